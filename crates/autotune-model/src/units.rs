//! Quantities with a unit: bytes, rates, shares. Durations are `Duration`.

use std::fmt;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

impl Bytes {
    /// One mebibyte.
    pub const MIB: Bytes = Bytes(1 << 20);

    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In mebibytes, for people.
    pub fn mib(self) -> f64 {
        self.0 as f64 / (1u64 << 20) as f64
    }

    /// The sum; stays at the largest number instead of wrapping.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Self::saturating_add)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.mib())
    }
}

/// A number that a quantity may not have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{value} is not {wanted}")]
pub struct OutOfRange {
    /// What was given.
    pub value: f64,
    /// What is possible, for example `a positive rate`.
    pub wanted: &'static str,
}

/// Arrivals per second: finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// This many per second.
    ///
    /// # Errors
    /// When the number is not finite or not above zero.
    pub fn per_second(value: f64) -> Result<Self, OutOfRange> {
        if value.is_finite() && value > 0.0 {
            Ok(Self(value))
        } else {
            Err(OutOfRange {
                value,
                wanted: "a positive, finite rate",
            })
        }
    }

    /// Arrivals per second.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A part of a whole, or a relative difference: `0.05` is 5 %. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// The share with this value, where 1 is the whole.
    ///
    /// # Errors
    /// When the number is negative or not finite.
    pub fn new(value: f64) -> Result<Self, OutOfRange> {
        if value.is_finite() && value >= 0.0 {
            Ok(Self(value))
        } else {
            Err(OutOfRange {
                value,
                wanted: "a share of zero or more",
            })
        }
    }

    /// Where 1 is the whole.
    pub fn get(self) -> f64 {
        self.0
    }

    /// In percent.
    pub fn percent(self) -> f64 {
        self.0 * 100.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", crate::units::trim(self.percent()))
    }
}

/// A number with at most three decimals and no trailing zeros.
pub fn trim(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

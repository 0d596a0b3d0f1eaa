//! The shape of the load.

use std::fmt;
use std::time::Duration;

use crate::units::Rate;

/// How requests arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadShape {
    /// Arrivals at a rate, whether or not the server keeps up.
    Open {
        /// Over all endpoints together.
        rate: Rate,
        /// How the arrivals are spread.
        arrivals: Arrivals,
    },
    /// Users who wait for an answer before they ask again.
    Closed(Users),
}

/// How the arrivals of an open load are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Independent of each other, as from many people.
    Poisson,
    /// Evenly spaced.
    Constant,
}

/// The users of a closed load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users {
    /// In total, at least one.
    pub count: u32,
    /// The pause of each user after an answer.
    pub think: Duration,
}

/// How many times the load of the comparison a configuration must also carry:
/// above one, at most a hundred.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Surge(f64);

impl Surge {
    /// The largest.
    pub const MOST: f64 = 100.0;

    /// `None` where the factor is not above one or larger than [`Surge::MOST`].
    pub fn new(factor: f64) -> Option<Self> {
        (factor > 1.0 && factor <= Self::MOST).then_some(Self(factor))
    }

    /// The factor.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Surge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times the rate", self.0)
    }
}

impl LoadShape {
    /// The same arrivals at so many times the rate. Users of a closed load wait
    /// for answers, so that nothing surges: it stays as it is.
    pub fn surged(self, surge: Surge) -> Self {
        match self {
            Self::Open { rate, arrivals } => Self::Open {
                // A rate and a factor within their bounds stay above zero and
                // finite; one that does not is left as it was.
                rate: Rate::per_second(rate.get() * surge.get()).unwrap_or(rate),
                arrivals,
            },
            Self::Closed(users) => Self::Closed(users),
        }
    }

    /// `open` or `closed`, for reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Closed(_) => "closed",
        }
    }
}

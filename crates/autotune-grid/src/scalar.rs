//! Small texts with a unit or a form: durations, percentages, names. What is
//! made of them, and the words of a fault, are left to the callers.

use std::time::Duration;

use autotune_model::{Bytes, Share};

/// The longest time that a grid file can ask for; sums of clock readings with
/// it cannot overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Units of time with their length in nanoseconds, longest first.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// `10s`, `500ms`, `1h 30m`, `1.5s`: numbers with units, each unit once and the
/// longest first. `None` for any other text and for more than a year.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut left = UNITS.as_slice();
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !(c.is_ascii_digit() || c == '.'));
        let (unit, after) = split_where(after.trim_start(), |c| !c.is_ascii_alphabetic());
        let place = left.iter().position(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(number, left[place].1)?)?;
        left = &left[place + 1..];
        rest = after.trim_start();
    }
    let whole = u64::try_from(nanos).ok()?;
    Some(Duration::from_nanos(whole)).filter(|time| *time <= LONGEST)
}

/// Amounts of memory, by the unit.
const AMOUNTS: [(&str, u128); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// `512MiB` or `1.5 GiB`; parts of a byte are cut off.
pub(crate) fn bytes(text: &str) -> Option<Bytes> {
    let (number, unit) = split_where(text.trim(), |c| !(c.is_ascii_digit() || c == '.'));
    let (_, scale) = AMOUNTS
        .iter()
        .find(|(name, _)| *name == unit.trim_start())?;
    u64::try_from(scaled(number, *scale)?).ok().map(Bytes::new)
}

/// A decimal number times a unit, cut off to whole ones.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    // Longer ones would overflow, and nobody needs them.
    if whole.is_empty() || whole.len() > 18 || !(1..=9).contains(&decimals.len()) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let power = 10u128.pow(u32::try_from(decimals.len()).ok()?);
    let decimals: u128 = decimals.parse().ok()?;
    Some(whole * unit + decimals * unit / power)
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

/// `5%`, `0.1 %`: the share, or `None` for any other text.
pub(crate) fn percent(text: &str) -> Option<Share> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value: f64 = number.parse().ok().filter(|_| plain)?;
    Share::new(value / 100.0).ok()
}

/// Whether a text can name a folder and lead a label: letters, digits, `-` and
/// `_`, beginning with a letter or digit, at most 64 characters.
pub(crate) fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && text.len() <= 64 && text.chars().all(is_name_char)
}

/// Letters, digits, `-` and `_`.
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Whether a text can be a variable of a template: a letter or `_`, then
/// letters, digits and `_`.
pub(crate) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected_ms: Option<f64>) {
        let expected = expected_ms.map(|ms| Duration::from_secs_f64(ms / 1000.0));
        assert_eq!(duration(text), expected, "{text}");
    }

    #[test]
    fn durations() {
        check("10s", Some(10_000.0));
        check("500ms", Some(500.0));
        check("2m", Some(120_000.0));
        check("8h", Some(28_800_000.0));
        check("1h 30m", Some(5_400_000.0));
        check("1h30m", Some(5_400_000.0));
        check(" 1 h ", Some(3_600_000.0));
        check("1.5s", Some(1_500.0));
        check("0.25ms", Some(0.25));
        check("250us", Some(0.25));
        check("0s", Some(0.0));
        check("365d", Some(31_536_000_000.0));
    }

    #[test]
    fn what_is_no_duration() {
        let texts = [
            "",
            " ",
            "5",
            "s",
            "-1s",
            "1e3s",
            "1,5s",
            "5 minutes",
            "30m 1h",
            "1h 1h",
            "1.s",
            ".5s",
            "1..5s",
            "366d",
            "99999999999999999999d",
            "1s!",
            "1.0000000001s",
        ];
        for text in texts {
            check(text, None);
        }
    }

    #[test]
    fn percentages() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(percent(text).map(Share::get), expected, "{text}");
        };
        check("5%", Some(0.05));
        check(" 0.1 %", Some(0.001));
        check("0%", Some(0.0));
        check("150%", Some(1.5));
        for text in ["", "%", "5", "-5%", "inf%", "nan%", "1e1%", "5%%", "+5%"] {
            check(text, None);
        }
    }

    #[test]
    fn names() {
        for name in ["a", "flask-dev", "g_2", "9lives"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "_a", "a b", "a/b", "..", "é", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}

//! Numbers and lists as people read them: each number with its unit.

use std::time::Duration;

use autotune_analysis::Estimate;
use autotune_model::Bytes;

use crate::study::Unit;

/// What stands where there is no number.
pub(crate) const NONE: &str = "-";

/// A percentage, one decimal below ten: `6.1 %`, `23 %`.
pub(crate) fn percent(value: f64) -> String {
    format!("{} %", tidy(value))
}

/// A percentage that somebody asked for, with all its decimals: `0.05 %`.
pub(crate) fn percent_exactly(value: f64) -> String {
    // Without what multiplying by 100 adds in the last bits.
    format!("{} %", (value * 1e9).round() / 1e9)
}

/// A confidence in percent with two decimals, never rounded up.
pub(crate) fn confidence(value: f64) -> String {
    let percent = (value * 1e4 + 1e-6).floor() / 100.0;
    format!("{percent} %")
}

/// An upper bound in percent, never rounded down: a bound that is stated must
/// hold.
pub(crate) fn percent_at_most(value: f64) -> String {
    let scale = if value < 100.0 { 10.0 } else { 1.0 };
    // The small term keeps 6.1 from becoming 6.2 by the last bit.
    let up = (value * scale - 1e-9).ceil() / scale;
    format!("{} %", up + 0.0)
}

/// A change with its sign: `+4.0 %`, `-38 %`.
pub(crate) fn change(value: f64) -> String {
    let text = tidy(value);
    if value > 0.0 && text != "0" {
        format!("+{text} %")
    } else {
        format!("{text} %")
    }
}

/// A time in microseconds, with three digits.
pub(crate) fn time_us(value: f64) -> String {
    if value < 1_000.0 {
        format!("{value:.0} µs")
    } else if value < 1e6 {
        format!("{} ms", three_digits(value / 1e3))
    } else {
        format!("{} s", three_digits(value / 1e6))
    }
}

/// A long time: `4 min 58 s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) if time < Duration::from_secs(10) => {
            format!(
                "{} s",
                autotune_model::units::trim((time.as_secs_f64() * 10.0).round() / 10.0)
            )
        }
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes} min {rest} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// Mebibytes, one decimal below ten: `9.5 MiB`, `37 MiB`.
pub(crate) fn memory(bytes: Bytes) -> String {
    format!("{} MiB", tidy(bytes.mib()))
}

/// The objective in its unit.
pub(crate) fn in_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Micros => time_us(value),
        Unit::Bytes => memory(Bytes::new(value as u64)),
        Unit::Seconds => time_us(value * 1e6),
        Unit::Ratio => format!("{value:.2}"),
    }
}

/// `1.06 (1.02 to 1.10)`, or the value alone.
pub(crate) fn ratio(estimate: &Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) if low < high => {
            format!("{:.2} ({low:.2} to {high:.2})", estimate.value)
        }
        _ => format!("{:.2}", estimate.value),
    }
}

/// The ends of the interval in their unit: `10.9 ms to 11.6 ms`.
pub(crate) fn interval(estimate: &Estimate, unit: Unit) -> Option<String> {
    let (low, high) = (estimate.low?, estimate.high?);
    Some(format!("{} to {}", in_unit(low, unit), in_unit(high, unit)))
}

/// `1 block`, `3 blocks`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// A share of requests in percent, with as many decimals as it needs.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.to_owned();
    }
    let value = part as f64 / whole as f64 * 100.0;
    if part > 0 && value < 0.1 {
        format!("{value:.3} %")
    } else {
        percent(value)
    }
}

/// One line: control characters and line ends become spaces, so that a hostile
/// name cannot begin a line of its own.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// One decimal below ten, none above; no trailing zero, no negative zero.
fn tidy(value: f64) -> String {
    let rounded = if value.abs() < 9.95 {
        (value * 10.0).round() / 10.0
    } else {
        value.round()
    };
    // Adding zero turns the negative one into the positive one.
    format!("{}", rounded + 0.0)
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_rounded_down() {
        let cases = [
            (0.0, "0 %"),
            (6.1, "6.1 %"),
            (6.11, "6.2 %"),
            (22.21, "22.3 %"),
            (200.1, "201 %"),
        ];
        for (value, expected) in cases {
            assert_eq!(percent_at_most(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_asked_for_and_claimed_is_not_rounded_away() {
        let cases = [
            (5.0, "5 %"),
            (0.05, "0.05 %"),
            (0.07 * 0.01 * 100.0, "0.07 %"),
        ];
        for (value, expected) in cases {
            assert_eq!(percent_exactly(value), expected, "{value}");
        }
        let cases = [
            (0.95, "95 %"),
            (0.9875, "98.75 %"),
            (1.0 - 0.05 / 6.0, "99.16 %"),
        ];
        for (value, expected) in cases {
            assert_eq!(confidence(value), expected, "{value}");
        }
    }

    #[test]
    fn numbers_carry_their_unit() {
        assert_eq!(time_us(850.4), "850 µs");
        assert_eq!(time_us(12_345.0), "12.3 ms");
        assert_eq!(time_us(999_600.0), "1000 ms");
        assert_eq!(time_us(1_234_000.0), "1.23 s");
        assert_eq!(memory(Bytes::new(39_845_888)), "38 MiB");
        assert_eq!(change(4.0), "+4 %");
        assert_eq!(change(-0.01), "0 %");
        assert_eq!(share(1, 100_000), "0.001 %");
        assert_eq!(span(Duration::from_millis(8_250)), "8.3 s");
        assert_eq!(span(Duration::from_secs(298)), "4 min 58 s");
        assert_eq!(span(Duration::from_secs(7_260)), "2 h 1 min");
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }
}

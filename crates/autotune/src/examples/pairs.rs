//! The grid files of the case study stand twice: at the original scale, and with
//! every time divided by one factor. Nothing else may differ between the two.

use std::time::Duration;

use toml::{Table, Value};

use super::*;

/// One for all of them.
const FACTOR: u32 = 10;
/// Keys whose values are times of the load, or what gunicorn counts in seconds
/// against them, wherever they stand.
const TIMES: [&str; 7] = [
    "think",
    "every",
    "for",
    "ramp",
    "at_most",
    "idle",
    "keepalive",
];
/// How much the app divides its own times by.
const SHORTEN: &str = "SHORTEN";

fn duration(value: &Value) -> Option<Duration> {
    if let Some(seconds) = value.as_integer() {
        return u64::try_from(seconds).ok().map(Duration::from_secs);
    }
    let text = value.as_str()?;
    let time: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(time).ok()
}

/// What is in the short one other than it should be.
fn faults(path: &str, (original, short): (&Value, &Value), found: &mut Vec<String>) {
    let key = path.rsplit('.').next().unwrap_or(path);
    match (original, short) {
        (Value::Table(original), Value::Table(short)) => {
            let keys: BTreeSet<&String> = original.keys().chain(short.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                match (original.get(key), short.get(key)) {
                    (Some(original), Some(short)) => faults(&path, (original, short), found),
                    _ => found.push(format!("{path} stands in one of them only")),
                }
            }
        }
        (Value::Array(original), Value::Array(short)) if original.len() == short.len() => {
            let pairs = original.iter().zip(short);
            pairs.for_each(|pair| faults(path, pair, found));
        }
        // A night is a night.
        _ if path == ".name" || path == ".budget.time" => {}
        _ if key == SHORTEN => {
            let (one, factor) = (original.as_str(), short.as_str());
            if one != Some("1") || factor != Some(&FACTOR.to_string()) {
                found.push(format!("{path}: {original} and {short}"));
            }
        }
        _ if TIMES.contains(&key) => {
            let (long, short) = (duration(original), duration(short));
            if long.is_none() || long != short.map(|time| time * FACTOR) {
                found.push(format!("{path}: {long:?} is not {FACTOR} times {short:?}"));
            }
        }
        _ if original != short => found.push(format!("{path}: {original} and {short}")),
        _ => {}
    }
}

fn table(text: &str) -> Value {
    Value::Table(text.parse::<Table>().unwrap())
}

#[test]
fn the_short_ones_are_the_originals_with_every_time_divided() {
    let mut pairs = 0;
    for (file, ..) in EXAMPLES {
        let Some(stage) = file.strip_suffix("-short.toml") else {
            continue;
        };
        let read = |name: &str| table(&fs::read_to_string(folder().join(name)).unwrap());
        let mut found = Vec::new();
        let original = read(&format!("{stage}.toml"));
        faults("", (&original, &read(file)), &mut found);
        assert_eq!(found, Vec::<String>::new(), "{file}");
        pairs += 1;
    }
    let all = EXAMPLES.map(|(file, ..)| file);
    let all = all.iter().filter(|file| file.starts_with("case-study/"));
    assert_eq!(all.count(), 2 * pairs, "each stands twice");
}

#[test]
fn a_pair_that_drifts_apart_is_seen() {
    let check = |original: &str, short: &str, expected: usize| {
        let mut found = Vec::new();
        faults("", (&table(original), &table(short)), &mut found);
        assert_eq!(found.len(), expected, "{found:?}");
    };
    check("a.think = \"10s\"", "a.think = \"1s\"", 0);
    check("a.think = \"10s\"", "a.think = \"2s\"", 1);
    check("a = [{ for = \"3m\" }]", "a = [{ for = \"18s\" }]", 0);
    check("a = [{ for = \"3m\" }]", "a = [{ for = \"3m\" }]", 1);
    check("keepalive = 20", "keepalive = 2", 0);
    check("keepalive = [20, 5]", "keepalive = [2, 5]", 1);
    check("users = 130", "users = 13", 1);
    check("users = 130", "", 1);
    check("env.SHORTEN = \"1\"", "env.SHORTEN = \"5\"", 1);
    check("name = \"a\"", "name = \"b\"", 0);
}

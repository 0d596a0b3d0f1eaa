//! Broken grid files: the code, the very text under the caret, the words. The
//! cases are in `broken.cases`, whose head says how they are written.

use super::*;

#[derive(Debug, Default)]
pub(super) struct Case<'c> {
    head: &'c str,
    from: Vec<&'c str>,
    to: Vec<&'c str>,
    under: &'c str,
    words: Vec<&'c str>,
}

pub(super) fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (mark, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match (mark, cases.last_mut()) {
            ("<", Some(case)) => case.from.push(rest),
            (">", Some(case)) => case.to.push(rest),
            ("^", Some(case)) => case.under = rest,
            ("?", Some(case)) => case.words.push(rest),
            _ => cases.push(Case {
                head: line,
                ..Case::default()
            }),
        }
    }
    cases
}

/// The broken text and the code of its fault.
pub(super) fn edit<'c>(case: &Case<'c>) -> (String, &'c str) {
    let (whole, code) = case.head.split_once(' ').unwrap_or_default();
    let whole = match whole {
        "full" => FULL,
        "command" => COMMAND,
        "least" => LEAST,
        "login" => LOGIN,
        "services" => SERVICES,
        _ => panic!("no such grid file: {case:#?}"),
    };
    let text = edited(whole, &case.from.join("\n"), &case.to.join("\n"));
    (text, code)
}

fn check(case: &Case<'_>) {
    let (broken, code) = edit(case);
    let faults = read_text(&broken).expect_err(&format!("{case:#?}"));
    let shown = format!("{case:#?}\n{faults:#?}");
    assert_eq!(faults.len(), 1, "{shown}");
    let fault = &faults[0];
    assert_eq!(fault.code.as_str(), code, "{shown}");
    assert_eq!(&broken[fault.span.clone()], case.under, "{shown}");
    let hint = fault.hint.as_deref().unwrap_or_default();
    let said = format!("{} | {} | {hint}", fault.message, fault.label);
    assert!(!case.words.is_empty(), "{shown}");
    for word in &case.words {
        assert!(said.contains(word), "no {word}: {shown}");
    }
}

#[test]
fn every_broken_grid_file_is_refused_at_the_right_place() {
    let cases = cases(include_str!("broken.cases"));
    assert!(cases.len() > 150, "only {} cases were read", cases.len());
    cases.iter().for_each(check);
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_text() {
    let mut text = FULL.to_owned();
    let edits = [
        ("\"blog\"", "\"a/b\""),
        ("\"app:app\"", "7"),
        ("\"python3 -m venv {{ cache }}/venv\"", "\"{{ cash }}\""),
        ("workers = [1, 4]", "wokers = [1, 4]\nthreds = 1"),
        ("workers = 5", "workers = 0"),
        ("weight = 3", "weight = 0"),
        ("rate = 120.5", "rate = \"x\""),
        ("\"p99\"", "\"p98\""),
        ("\"1h 30m\"", "\"x\""),
    ];
    for (from, to) in edits {
        text = edited(&text, from, to);
    }
    let faults = read_text(&text).expect_err("much is wrong");
    let under: Vec<_> = faults
        .iter()
        .map(|fault| &text[fault.span.clone()])
        .collect();
    let expected = [
        "\"a/b\"",
        "7",
        "\"{{ cash }}\"",
        "wokers",
        "threds",
        "0",
        "0",
        "\"x\"",
        "\"p98\"",
        "\"x\"",
    ];
    assert_eq!(under, expected);
}

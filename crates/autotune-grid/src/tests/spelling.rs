//! Configurations as typed.

use autotune_model::VariantName;

use super::*;
use crate::{ConfigTextError, parse_configuration};

fn variants() -> Vec<(VariantName, Profile)> {
    vec![
        (VariantName::new("g"), gunicorn()),
        (VariantName::new("other"), gunicorn()),
        (VariantName::new("puma"), command()),
    ]
}

/// `reason` is a part of the first reason, or nothing where there is none.
#[track_caller]
fn check(text: &str, label: &str, reason: &str) {
    let folded = parse_configuration(text, &variants()).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(folded.configuration.label().as_str(), label, "{text}");
    match folded.reasons.first() {
        Some(first) => assert!(
            !reason.is_empty() && first.contains(reason),
            "{text}: {first}"
        ),
        None => assert_eq!(reason, "", "{text}"),
    }
}

#[test]
fn labels_are_themselves() {
    for label in [
        "4/1/gthread/750/500",
        "1/1/sync/0/0,preload=true",
        "other:1/1/sync/0/0",
        "1/1/uvicorn.workers.UvicornWorker/0/0",
        "puma:",
        "puma:workers=2,threads=4",
        "puma:url=http://a:1/b,c",
        "puma:name=",
        "puma:name= x ",
    ] {
        check(label, label, "");
    }
}

#[test]
fn other_spellings_are_folded_and_said_so() {
    check(
        "4/2/sync/0/0",
        "4/2/gthread/0/0",
        "sync with threads is gthread",
    );
    check(
        "4/8/gevent/0/50",
        "4/1/gevent/0/0",
        "threads mean nothing to gevent",
    );
    check(
        "4/1/sync",
        "4/1/sync/0/0",
        "`4/1/sync` is written 4/1/sync/0/0",
    );
    check("4", "4/1/sync/0/0", "is written");
    check(" 04 / 1 / sync / 0 / 0 ", "4/1/sync/0/0", "is written");
    check("g:4/1/sync/0/0", "4/1/sync/0/0", "is written");
    check(
        "workers=4,threads=2,worker_class=gthread",
        "4/2/gthread/0/0",
        "is written",
    );
    check("4/1/sync/0/0,preload=false", "4/1/sync/0/0", "is written");
    check("other:workers=2", "other:2/1/sync/0/0", "is written");
}

#[test]
fn what_is_no_configuration() {
    let check = |text: &str, message: &str, hint: &str| {
        let error = parse_configuration(text, &variants()).expect_err(text);
        assert_eq!(error.to_string(), message, "{text}");
        let given = error.hint().unwrap_or_default();
        assert!(
            given.contains(hint) && hint.is_empty() == given.is_empty(),
            "{text}: {given}"
        );
    };
    check("", "a configuration is missing", "4/1/gthread");
    check("g:", "a configuration is missing", "4/1/gthread");
    check(
        "othr:4",
        "no server is called `othr`",
        "did you mean `other`?",
    );
    check(
        "4/1/sync/0/0/0",
        "6 fields between slashes, but there are `workers`, `threads`, \
          `worker_class`, `max_requests` and `max_requests_jitter`",
        ",name=value",
    );
    check(
        "0/1/sync/0/0",
        "`workers` cannot be `0`",
        "from 1 to 100000",
    );
    check("x", "`workers` cannot be `x`", "a whole number");
    check(
        "4/1/gthred",
        "`worker_class` cannot be `gthred`",
        "sync, gthread, gevent",
    );
    check(
        "4/1/sync,preload=yes",
        "`preload` cannot be `yes`",
        "true or false",
    );
    check(
        "4/1/sync,prelod=true",
        "`g` has no parameter `prelod`",
        "did you mean `preload`?",
    );
    check("4/1/sync,workers=2", "`workers` is set twice", "");
    check("puma:4/1", "`4/1` is not key=value", "");
    check("puma:a=1,a=2", "`a` is set twice", "");
    check("puma:a-b=1", "`puma` has no parameter `a-b`", "");
    assert_eq!(parse_configuration("4", &[]), Err(ConfigTextError::Empty));
}

#[test]
fn a_grid_file_knows_its_variables() {
    let file = good(COMMAND);
    let parse = |text| file.configuration(text, &profiles());
    let folded = parse("puma:threads=8,workers=1").unwrap();
    assert_eq!(folded.configuration, file.space.configurations[1]);
    assert_eq!(folded.reasons.len(), 1);
    let label = parse("puma:workers=1,threads=8").unwrap();
    assert_eq!(
        (label.configuration, label.reasons.len()),
        (folded.configuration, 0)
    );
    let missing = parse("puma:threads=8").expect_err("no workers");
    assert_eq!(
        missing.to_string(),
        "`workers` is not set, and has no default"
    );
    let unknown = parse("puma:thread=8,workers=1").expect_err("no thread");
    assert_eq!(unknown.hint().as_deref(), Some("did you mean `threads`?"));
}

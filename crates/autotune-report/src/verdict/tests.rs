//! The keys and words of `verdict.json` that programs rely on.

use autotune_analysis::VerdictWord;
use autotune_model::ErrorCode;
use serde_json::Value;

use super::*;
use crate::testing::Fixture;

fn parsed(fixture: &Fixture) -> Value {
    serde_json::from_str(&verdict_json(&fixture.study()).unwrap()).unwrap()
}

#[test]
fn keys_are_settled_in_their_order() {
    let text = verdict_json(&Fixture::realistic().study()).unwrap();
    let keys: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  \"")?.split_once('"'))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(
        keys,
        [
            "format",
            "verdict",
            "recommended",
            "tie_set",
            "bound_pct",
            "bound_us",
            "dependency_bound",
            "exploratory",
            "exploratory_reasons",
            "limits",
            "server_cpus",
            "server_cpu_set",
            "generator_cpu_set",
            "generator_cpu_pct",
            "host_limits",
            "restarts_observed",
            "memory_growth_mib_per_1000",
            "lighter_open",
            "ratio_to_baseline",
            "fault",
            "headline",
            "notes",
            "study",
            "ending",
            "objective",
            "load",
            "confidence",
            "complete_blocks",
            "fewest_requests",
            "baseline",
            "control",
            "drift",
            "disturbed",
            "noise",
            "time_spent_s",
            "planned",
            "configurations",
            "services",
            "host",
            "versions",
            "tool_version",
            "command",
        ]
    );
    assert!(text.ends_with("}\n"));
}

#[test]
fn says_what_was_found() {
    let verdict = parsed(&Fixture::realistic());
    assert_eq!(verdict["format"], 1);
    assert_eq!(verdict["verdict"], "recommended");
    assert_eq!(verdict["recommended"], "1/8/gthread/0/0");
    let tie_set: Vec<&str> = verdict["tie_set"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        tie_set,
        [
            "1/8/gthread/0/0",
            "6/1/sync/0/0",
            "9/1/sync/0/0",
            "4/1/sync/0/0"
        ]
    );
    assert_eq!(verdict["bound_pct"], 6.1);
    assert_eq!(verdict["exploratory"], false);
    assert_eq!(verdict["limits"][0]["state"], "shown");
    assert_eq!(verdict["server_cpus"], 1);
    assert_eq!(verdict["restarts_observed"], 0);
    assert_eq!(verdict["baseline"], "3/1/sync/0/0");
    assert_eq!(verdict["fault"], Value::Null);
    let configuration = &verdict["configurations"][3];
    assert_eq!(configuration["label"], "1/8/gthread/0/0");
    assert_eq!(configuration["parameters"]["threads"], 8);
    assert_eq!(configuration["objective_us"]["value"], 11_400.0);
    assert_eq!(configuration["standing"], "recommended");
    for one in verdict["configurations"].as_array().unwrap() {
        assert!(one["memory_growth_mib_per_1000"].is_f64(), "{one:#}");
    }
}

#[test]
fn nothing_is_recommended_by_the_last_three_words() {
    let check = |change: &dyn Fn(&mut Fixture), word: &str| {
        let mut fixture = Fixture::realistic();
        change(&mut fixture);
        let verdict = parsed(&fixture);
        assert_eq!(verdict["verdict"], word);
        assert_eq!(verdict["recommended"], Value::Null, "{word}");
        assert_eq!(verdict["tie_set"], Value::Array(Vec::new()), "{word}");
        assert_eq!(verdict["bound_pct"], Value::Null, "{word}");
    };
    check(&Fixture::infeasible, "infeasible");
    check(
        &|fixture| fixture.ending = Ending::Interrupted,
        "interrupted",
    );
    check(&stop, "stopped");
}

#[test]
fn the_other_words() {
    let check = |word: VerdictWord, expected: &str| {
        let mut fixture = Fixture::realistic();
        fixture.analysis.verdict.word = word;
        assert_eq!(parsed(&fixture)["verdict"], expected);
        assert_eq!(parsed(&fixture)["recommended"], "1/8/gthread/0/0");
    };
    check(VerdictWord::KeepCurrent, "keep-current");
    check(VerdictWord::Unresolved, "unresolved");
}

#[test]
fn a_fault_is_named() {
    let mut fixture = Fixture::realistic();
    stop(&mut fixture);
    let fault = &parsed(&fixture)["fault"];
    assert_eq!(fault["code"], "A0203");
    assert_eq!(fault["message"], "endpoint notes answered 404");
}

fn stop(fixture: &mut Fixture) {
    fixture.ending = Ending::Stopped {
        code: ErrorCode::EndpointCheck,
        fault: "endpoint notes answered 404".to_owned(),
    };
}

#[test]
fn the_limits_of_the_host_say_whether_they_were_enforced() {
    let mut fixture = Fixture::realistic();
    let read = |fixture: &Fixture| -> Value {
        serde_json::from_str(&verdict_json(&fixture.study()).unwrap()).unwrap()
    };
    assert_eq!(read(&fixture)["host_limits"], Value::Null);
    fixture.limit(None);
    let expected = serde_json::json!({
        "memory_bytes": 512 << 20, "cpus": 1.5, "open_files": null, "enforced": true,
        "enforced_by": "cgroup", "not_enforced_because": null,
    });
    assert_eq!(read(&fixture)["host_limits"], expected);
    fixture.limit(Some("no permission"));
    let found = &read(&fixture)["host_limits"];
    assert_eq!(found["enforced"], false);
    assert_eq!(found["enforced_by"], Value::Null);
    assert_eq!(found["not_enforced_because"], "no permission");
}

//! What is said in which case.

use std::time::Duration;

use autotune_analysis::{
    Disturbed, Drift, Estimate, Exploratory, Feasibility, LimitCheck, LimitFigures, LimitState,
    MemoryGrowth, Reason,
};
use autotune_model::{
    Accept, ConfigId, CpuSet, EndpointName, ErrorCode, Groups, Levels, LoadShape, MemorySource,
    Metric, Over, Pause, Share, Step, Users,
};

use super::*;
use crate::testing::Fixture;

mod limits;
mod services;

/// The first sentence of the study after a change.
fn check(change: impl FnOnce(&mut Fixture), expected: &str) {
    let mut fixture = Fixture::realistic();
    change(&mut fixture);
    assert_eq!(sentences(&fixture.study())[0], expected);
}

/// Whether a later sentence of the study after a change is this one.
fn check_note(change: impl FnOnce(&mut Fixture), expected: &str) {
    let mut fixture = Fixture::realistic();
    change(&mut fixture);
    let all = sentences(&fixture.study());
    assert!(
        all[1..].iter().any(|note| note == expected),
        "{expected} is not in {all:#?}"
    );
}

/// That no sentence holds this text.
fn check_silent(change: impl FnOnce(&mut Fixture), unwanted: &str) {
    let mut fixture = Fixture::realistic();
    change(&mut fixture);
    let text = headline(&fixture.study());
    assert!(!text.contains(unwanted), "{unwanted} is in {text}");
}

fn id(fixture: &Fixture, label: &str) -> ConfigId {
    fixture.find(label).id
}

#[test]
fn the_first_sentence_says_what_the_server_was_held_to() {
    let held = |text: &str| {
        format!(
            "1/8/gthread/0/0: with 95 % confidence at most 6.1 % worse than the best measured (p95, \
             geomean over 4 endpoints), for a server on 1 CPU {text}, open load of 90 requests/s, \
             keep-alive connections."
        )
    };
    check(
        |fixture| fixture.limit(None),
        &held("held to 1.5 CPUs and 512 MiB of memory"),
    );
    check(
        |fixture| {
            fixture.limit(Some("no permission"));
            fixture.confinement.limits.files = Some(1024);
        },
        &held("held to 1024 open files (limits not enforced: 1.5 CPUs and 512 MiB of memory)"),
    );
}

#[test]
fn the_first_sentence_with_a_recommendation() {
    check(
        |_| {},
        "1/8/gthread/0/0: with 95 % confidence at most 6.1 % worse than the best measured (p95, \
         geomean over 4 endpoints), for a server on 1 CPU, open load of 90 requests/s, keep-alive \
         connections.",
    );
    check(
        |fixture| fixture.analysis.verdict.word = VerdictWord::KeepCurrent,
        "keep 1/8/gthread/0/0, which runs today: with 95 % confidence at most 6.1 % worse than the \
         best measured (p95, geomean over 4 endpoints), for a server on 1 CPU, open load of 90 \
         requests/s, keep-alive connections.",
    );
    check(
        |fixture| {
            fixture.analysis.verdict.word = VerdictWord::Unresolved;
            fixture.analysis.verdict.bound_pct = Some(14.21);
            fixture.analysis.verdict.why = vec![Reason::BestEstimate];
            fixture.analysis.confidence = 0.9875;
        },
        "unresolved, the favourite is 1/8/gthread/0/0: with 98.75 % confidence it is only shown to be \
         at most 14.3 % worse than the best measured, where 10 % is accepted (p95, geomean over 4 \
         endpoints), for a server on 1 CPU, open load of 90 requests/s, keep-alive connections.",
    );
    check(
        |fixture| {
            fixture.objective.accept = Accept {
                relative: Some(Share::new(0.05).unwrap()),
                absolute: Some(Duration::from_millis(2)),
            };
        },
        "1/8/gthread/0/0: with 95 % confidence at most 6.1 % or 980 µs worse than the best measured \
         (p95, geomean over 4 endpoints), for a server on 1 CPU, open load of 90 requests/s, \
         keep-alive connections.",
    );
    check(
        |fixture| {
            fixture.analysis.verdict.bound_pct = None;
            fixture.analysis.over = Over::Worst;
            fixture.placement.cores = 2;
            fixture.load = LoadShape::closed(50, Duration::from_secs(10));
        },
        "1/8/gthread/0/0: measured too seldom to say how much worse than the best measured it may \
         be (p95, worst of 4 endpoints against the control), for a server on 2 CPUs, closed load \
         of 50 users with 10 s think time, keep-alive connections.",
    );
    check(
        |fixture| {
            fixture.analysis.metric = Metric::Duration;
            fixture.analysis.verdict.bound_pct = None;
        },
        "1/8/gthread/0/0: measured too seldom to say how much worse than the best measured it may \
         be (time to the last answer), for a server on 1 CPU, open load of 90 requests/s, \
         keep-alive connections.",
    );
    check(
        |fixture| {
            fixture.analysis.metric = Metric::Memory;
            for config in &mut fixture.analysis.configurations {
                if config.configuration.label().as_str() != "1/8/gthread/0/0" {
                    config.feasibility = Feasibility::Infeasible(vec!["overloaded".to_owned()]);
                }
            }
        },
        "1/8/gthread/0/0: the only one of 14 configurations measured that meets the limits (peak \
         memory), for a server on 1 CPU, open load of 90 requests/s, keep-alive connections.",
    );
}

#[test]
fn what_could_not_be_measured_is_named_first() {
    let unknown = |fixture: &mut Fixture| {
        fixture.analysis.verdict.word = VerdictWord::Unresolved;
        let all = fixture.analysis.configurations.iter_mut();
        let one = all.filter(|config| config.configuration.label().as_str() == "4/1/sync/0/0");
        one.for_each(|config| {
            config.feasibility =
                Feasibility::Unknown(vec!["none of 4 launches was valid".to_owned()]);
        });
    };
    check(
        unknown,
        "unresolved, as 4/1/sync/0/0 could not be measured; the favourite of the others is \
         1/8/gthread/0/0: with 95 % confidence at most 6.1 % worse than the best measured (p95, \
         geomean over 4 endpoints), for a server on 1 CPU, open load of 90 requests/s, keep-alive \
         connections.",
    );
    check_note(
        unknown,
        "Not measured: 4/1/sync/0/0 (none of 4 launches was valid). Its trials in the report say \
         why; mend that or leave it out of [grid], and begin anew with --fresh; where the machine \
         was only busy, a larger --budget helps.",
    );
    check_silent(unknown, "only shown");
}

#[test]
fn a_small_limit_is_not_rounded_away() {
    check_note(
        |fixture| {
            for config in &mut fixture.analysis.configurations {
                for limit in &mut config.limits {
                    limit.figures = LimitFigures::Share {
                        at_most: 0.0005,
                        seen: 0.0,
                        upper: 0.0004,
                    };
                }
            }
        },
        "max_error_rate of 0.05 % is shown to hold at every endpoint.",
    );
}

#[test]
fn the_first_sentence_without_one() {
    check(
        Fixture::infeasible,
        "no configuration meets the limits: of 14 configurations launched all fail (max_error_rate \
         broken in 2, out of memory in 1, overloaded in 13), for a server on 1 CPU, open load of \
         90 requests/s, keep-alive connections.",
    );
    check(
        |fixture| {
            fixture.infeasible();
            fixture.analysis.verdict.word = VerdictWord::Unresolved;
            let reason = "not launched in the comparison";
            for config in &mut fixture.analysis.configurations[..2] {
                config.feasibility = Feasibility::Unknown(vec![reason.to_owned()]);
            }
        },
        "unresolved, nothing could be compared: of 14 configurations not all were measured (not \
         launched in the comparison in 2), the other 12 fail, for a server on 1 CPU, open load of \
         90 requests/s, keep-alive connections.",
    );
    check(
        |fixture| fixture.ending = Ending::Interrupted,
        "interrupted after 6 complete blocks: no verdict yet, for a server on 1 CPU, open load of \
         90 requests/s, keep-alive connections.",
    );
    check(
        |fixture| {
            fixture.ending = Ending::Stopped {
                code: ErrorCode::EndpointCheck,
                fault: "endpoint notes answered 404".to_owned(),
            };
        },
        "stopped by a fault (A0203): endpoint notes answered 404; no verdict, for a server on 1 \
         CPU, open load of 90 requests/s, keep-alive connections.",
    );
}

#[test]
fn the_last_line_names_the_tie_set_where_there_is_one() {
    let mut fixture = Fixture::realistic();
    assert_eq!(
        recommended_line(&fixture.study()).as_deref(),
        Some("recommended: 1/8/gthread/0/0 6/1/sync/0/0 9/1/sync/0/0 4/1/sync/0/0")
    );
    fixture.analysis.verdict.word = VerdictWord::Unresolved;
    assert!(recommended_line(&fixture.study()).is_some());
    fixture.ending = Ending::Interrupted;
    assert_eq!(recommended_line(&fixture.study()), None);
    fixture.ending = Ending::Answered;
    fixture.infeasible();
    assert_eq!(recommended_line(&fixture.study()), None);
}

#[test]
fn what_to_do_next_is_said() {
    check_note(
        |fixture| {
            fixture.analysis.verdict.word = VerdictWord::Unresolved;
            fixture.ending = Ending::Budget;
        },
        "The budget ended before the answer: the same command with a larger --budget goes on with \
         the comparison.",
    );
    check_note(
        |fixture| fixture.ending = Ending::Interrupted,
        "So far 1/8/gthread/0/0 is the favourite; the same command goes on: autotune sweep \
         blog.toml",
    );
    check_note(
        |fixture| {
            let first = id(fixture, "1/4/gthread/0/0");
            fixture.analysis.verdict.lighter_open = vec![first];
        },
        "1/4/gthread/0/0 needs less memory and is neither shown within 10 % of the best nor \
         outside: a larger --budget could change the answer.",
    );
}

#[test]
fn an_exploratory_verdict_says_what_it_needs() {
    check_note(
        |fixture| {
            fixture.analysis.verdict.exploratory = vec![Exploratory::FewRequests {
                have: 80,
                need: 200,
            }];
        },
        "Exploratory: an endpoint had only 80 requests in the mean trial, p95 needs 200: a rate of \
         273 requests/s would do, or --fresh with a --budget that is about 3.0 times as long.",
    );
    check_note(
        |fixture| {
            let step = Step {
                level: 50,
                length: Duration::from_secs(60),
            };
            fixture.load = LoadShape::Closed(Groups::one(Users {
                count: Levels::Steps(vec![step]),
                pause: Pause::Every(Duration::from_secs(10)),
                loops: None,
            }));
            fixture.analysis.verdict.exploratory = vec![Exploratory::FewRequests {
                have: 80,
                need: 200,
            }];
        },
        "Exploratory: an endpoint had only 80 requests in the mean trial, p95 needs 200: steps that \
         take 3.0 times as long would do.",
    );
    check_note(
        |fixture| {
            fixture.analysis.verdict.exploratory =
                vec![Exploratory::FewBlocks { have: 1, need: 4 }];
        },
        "Exploratory: 1 complete block, 4 would do; a larger --budget gives more.",
    );
}

#[test]
fn every_reason_is_a_sentence() {
    let reason = |reason: Reason, expected: &str| {
        check_note(
            |fixture| fixture.analysis.verdict.why = vec![reason],
            expected,
        );
    };
    reason(
        Reason::OnlyOne,
        "Why this one: the only one shown within 10 % of the best.",
    );
    reason(
        Reason::SmallestSpread {
            spread_pct: 1.2,
            next_pct: 2.4,
        },
        "Why this one: the smallest spread between launches, 1.2 % against 2.4 %.",
    );
    reason(
        Reason::FewestChanges { changed: 1 },
        "Why this one: the fewest changes from today's setting, 1 parameter.",
    );
    check_note(
        |fixture| {
            fixture.analysis.verdict.why =
                vec![Reason::LimitsShown, Reason::FewestWorkers { workers: 1 }];
        },
        "Why this one: its limits are shown to hold and none of its launches failed, which is not so \
         of others; then the fewest workers, 1.",
    );
}

#[test]
fn disturbed_trials_are_said() {
    let disturbed = |trials, counting, expected: &str| {
        check_note(
            |fixture| {
                fixture.analysis.disturbed = Disturbed {
                    trials,
                    counting,
                    usual: Some(0.012),
                };
            },
            expected,
        );
    };
    disturbed(
        1,
        0,
        "Others had more of the machine's CPU time than usual (1.2 %) during 1 trial; none of them \
         counts.",
    );
    disturbed(
        4,
        2,
        "Others had more of the machine's CPU time than usual (1.2 %) during 4 trials; 2 of them \
         count all the same, for want of a calm one.",
    );
}

#[test]
fn restarts_and_growth_are_said() {
    let growth = |growth: Option<f64>, expected: &str| {
        check_note(
            |fixture| {
                fixture.analysis.verdict.memory_growth = growth.map(|growth| MemoryGrowth {
                    mib_per_1000_requests: growth,
                });
            },
            expected,
        );
    };
    growth(
        Some(-0.3),
        "restarts not observed; max-requests not judged; memory grew 0 MiB per 1,000 requests.",
    );
    growth(None, "restarts not observed; max-requests not judged.");
    check_note(
        |fixture| fixture.analysis.restarts_observed = 3,
        "3 restarts of workers observed while load ran.",
    );
    check_silent(
        |fixture| fixture.analysis.restarts_observed = 3,
        "not judged",
    );
}

#[test]
fn limits_that_are_not_shown_are_called_so() {
    check_note(
        |fixture| {
            for config in &mut fixture.analysis.configurations {
                config.limits[1].state = LimitState::NotShownBroken;
            }
        },
        "max_error_rate of 1 % is shown to hold at notes, slow and leaky, and not shown broken at \
         report.",
    );
}

#[test]
fn what_disturbs_is_said_and_what_does_not_is_not() {
    check_note(
        |fixture| {
            fixture.analysis.drift = Some(Drift {
                total_pct: 8.2,
                low_pct: 4.1,
                high_pct: 12.5,
                noticeable: true,
            });
        },
        "The machine changed meanwhile: 4/1/sync/0/0, in every block, went by +8.2 % from the \
         first block to the last (95 % interval +4.1 % to +13 %); configurations are compared \
         within blocks only.",
    );
    check_note(
        |fixture| {
            fixture.placement.server = None;
            fixture.placement.generator = None;
        },
        "Nothing was pinned: server and load generator share the CPUs; the generator used 2.6 % of \
         one CPU.",
    );
    check_note(
        |fixture| fixture.limit(Some("no permission")),
        "Limits not enforced: no permission. The server had the memory and CPU time of this \
         machine, and nothing here says how it does with what [limits] gives.",
    );
    check_silent(|fixture| fixture.limit(None), "not enforced");
    check_note(
        |fixture| fixture.placement.generator = Some(CpuSet::new([0, 1])),
        "Server and load generator share CPU 1; the generator used 2.6 % of one CPU.",
    );
    check_note(
        |fixture| {
            for trial in &mut fixture.history.trials {
                trial.server.as_mut().unwrap().memory_source = MemorySource::Rss;
            }
        },
        "Memory is RSS, as PSS could not be read: shared pages count in every process.",
    );
    check_note(
        |fixture| fixture.analysis.disturbed.usual = Some(0.755),
        "Others than the server and the load generator usually had 76 % of the machine's CPU time (a \
         database that the app asks is one of them): on a quieter machine the answer may be another.",
    );
    check_silent(
        |fixture| fixture.analysis.disturbed.usual = Some(0.09),
        "usually had",
    );
    check_silent(|_| {}, "The machine changed");
    check_silent(|_| {}, "generator");
    check_silent(|_| {}, "RSS");
}

#[test]
fn the_change_from_today_has_its_interval() {
    let mut fixture = Fixture::realistic();
    fixture.analysis.verdict.against_baseline = Some(Estimate {
        value: 0.9,
        low: Some(0.85),
        high: Some(0.953),
    });
    for config in &mut fixture.analysis.configurations {
        if config.is_baseline {
            config.feasibility = Feasibility::Feasible;
        }
    }
    let text = headline(&fixture.study());
    assert!(
        text.contains("(-10 %, 95 % interval -15 % to -4.7 %)"),
        "{text}"
    );
}

#[test]
fn a_failing_baseline_is_a_finding() {
    check_note(
        |fixture| {
            let today = fixture
                .analysis
                .configurations
                .iter_mut()
                .find(|config| config.is_baseline);
            today.unwrap().feasibility =
                Feasibility::Infeasible(vec!["overloaded in 6 of 6 launches".to_owned()]);
        },
        "Today's setting 3/1/sync/0/0 is ruled out: overloaded in 6 of 6 launches.",
    );
}

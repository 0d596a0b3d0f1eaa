//! What is said of limits.

use super::*;

#[test]
fn a_limit_of_the_whole_server_names_no_endpoint() {
    let memory = |state, expected: &str| {
        check_note(
            |fixture| {
                for config in &mut fixture.analysis.configurations {
                    config.limits = vec![LimitCheck {
                        limit: "max_memory".to_owned(),
                        endpoint: None,
                        figures: LimitFigures::Memory {
                            at_most: f64::from(512 << 20),
                            seen: None,
                            upper: None,
                        },
                        state,
                    }];
                }
            },
            expected,
        );
    };
    memory(LimitState::Shown, "max_memory of 512 MiB is shown to hold.");
    memory(
        LimitState::NotShownBroken,
        "max_memory of 512 MiB is not shown broken; too little was measured to show that it holds.",
    );
}

#[test]
fn a_surge_is_spoken_of_in_launches() {
    let surge = |[carried, failed]: [u32; 2], state| LimitCheck {
        limit: "surge".to_owned(),
        endpoint: None,
        figures: LimitFigures::Surge {
            factor: 1.5,
            carried,
            failed,
        },
        state,
    };
    let asked = |launches, state| {
        move |fixture: &mut Fixture| {
            for config in &mut fixture.analysis.configurations {
                config.limits = vec![surge(launches, state)];
            }
        }
    };
    check_note(
        asked([2, 1], LimitState::Shown),
        "surge of 1.5 times the rate is carried in 2 of 3 launches.",
    );
    check_note(
        asked([0, 0], LimitState::NotShownBroken),
        "surge of 1.5 times the rate is not shown to be carried: carried in 0, failed in 0 launches.",
    );
    check(
        |fixture| {
            fixture.analysis.verdict.word = VerdictWord::Unresolved;
            fixture.analysis.verdict.but_for_surge = Some(VerdictWord::Recommended);
        },
        "unresolved, as it was not shown to carry the surge; the favourite is 1/8/gthread/0/0: with \
         95 % confidence at most 6.1 % worse than the best measured (p95, geomean over 4 \
         endpoints), for a server on 1 CPU, open load of 90 requests/s, keep-alive connections.",
    );
}

#[test]
fn each_limit_is_spoken_of_by_itself() {
    let slowest = |endpoint: &str, at_most_us, state| LimitCheck {
        limit: "max_p95".to_owned(),
        endpoint: Some(EndpointName::new(endpoint)),
        figures: LimitFigures::Time {
            at_most_us,
            seen_us: Some(1_000.0),
            upper_us: None,
        },
        state,
    };
    check_note(
        |fixture| {
            for config in &mut fixture.analysis.configurations {
                config
                    .limits
                    .push(slowest("notes", 20_000.0, LimitState::Shown));
                config
                    .limits
                    .push(slowest("slow", 20_000.0, LimitState::Shown));
                config
                    .limits
                    .push(slowest("report", 2e6, LimitState::NotShownBroken));
            }
        },
        "max_error_rate of 1 % is shown to hold at every endpoint. max_p95 of 20.0 ms is shown to \
         hold at notes and slow. max_p95 of 2.00 s is not shown broken at report; too little was \
         measured to show that it holds.",
    );
}

//! When going on measuring would store nothing but the trouble of the machine or
//! of a service that the app needs.

use autotune_model::{ConfigId, ErrorCode, History, Outcome, TrialRecord};

use crate::run_trial::Fault;

/// So many invalid trials in a row say that nothing can be measured here, unless
/// something just was.
const INVALID: usize = 6;
/// So many launches in a row that failed are no coincidence, where such fail that
/// worked before.
const STARTS: usize = 3;

/// What the last trials are looked at with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// A block has so many trials.
    pub(crate) of_block: usize,
    /// When this run began. Its trials alone can stop it: since the run before
    /// it was stopped, the trouble may have been mended.
    pub(crate) since_wall_ns: i64,
}

/// A fault where the last trials say more of the surroundings than of their
/// configurations.
pub(crate) fn hopeless(history: &History, watch: Watch) -> Option<Fault> {
    let mut by_time: Vec<&TrialRecord> = history.trials.iter().collect();
    by_time.sort_by_key(|trial| trial.span.end.wall_ns);
    let of_run = by_time
        .iter()
        .filter(|trial| trial.span.start.wall_ns >= watch.since_wall_ns);
    let of_run = last(&by_time, of_run.count());
    let before = last(&by_time, INVALID + watch.of_block);
    nothing_valid(of_run, before).or_else(|| nothing_starts(history, of_run))
}

/// The last trials were invalid, and nothing was measured in a block's worth of
/// trials before them: those that are tried again come last in a block, so that a
/// few bad ones follow each other in a sound sweep, too.
fn nothing_valid(of_run: &[&TrialRecord], before: &[&TrialRecord]) -> Option<Fault> {
    let last = last(of_run, INVALID);
    let is_invalid = |trial: &&TrialRecord| matches!(trial.outcome, Outcome::Invalid { .. });
    let measured = before.iter().any(|trial| is_measured(trial));
    if last.len() < INVALID || measured || !last.iter().all(is_invalid) {
        return None;
    }
    Some(fault(
        format!("the last {INVALID} trials were all invalid"),
        last,
    ))
}

/// The last launches failed, among them the control, which is known to work, or
/// two configurations that were measured before. One alone may be unsteady.
fn nothing_starts(history: &History, of_run: &[&TrialRecord]) -> Option<Fault> {
    let failed = of_run
        .iter()
        .rev()
        .take_while(|trial| matches!(trial.outcome, Outcome::FailedToStart { .. }));
    let run = last(of_run, failed.count());
    if run.len() < STARTS {
        return None;
    }
    let worked = |id: ConfigId| {
        let mut all = history.trials.iter();
        all.any(|trial| trial.spec.configuration.id() == id && is_measured(trial))
    };
    let mut fell: Vec<ConfigId> = run
        .iter()
        .map(|trial| trial.spec.configuration.id())
        .filter(|id| worked(*id))
        .collect();
    fell.sort();
    fell.dedup();
    let has_control = history
        .control()
        .is_some_and(|control| fell.contains(&control));
    if fell.len() < 2 && !has_control {
        return None;
    }
    Some(fault(
        format!(
            "the last {} launches failed, also of settings that were measured before: something \
             that the app needs is gone",
            run.len()
        ),
        run,
    ))
}

fn is_measured(trial: &TrialRecord) -> bool {
    trial.outcome == Outcome::Measured
}

fn last<'a, 'b>(trials: &'a [&'b TrialRecord], count: usize) -> &'a [&'b TrialRecord] {
    &trials[trials.len().saturating_sub(count)..]
}

fn fault(what: String, trials: &[&TrialRecord]) -> Fault {
    let detail = trials.last().and_then(|trial| trial.outcome.detail());
    Fault {
        code: ErrorCode::NothingValid,
        message: format!("{what}: {}", detail.unwrap_or_default()),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autotune_model::{
        Anchor, Arrivals, Configuration, Decision, LoadShape, ParamName, Profile, Rate, Seed, Span,
        Stage, TrialKey, TrialSpec, VariantName,
    };

    use super::*;

    fn configuration(n: i64) -> Configuration {
        let profile = Profile {
            name: "demo".to_owned(),
            params: Vec::new(),
            label_fields: 0,
            folds: Vec::new(),
            recycling: None,
            config_file: None,
            workers: None,
            threads: None,
            cleared_env: Vec::new(),
        };
        let given = [(ParamName::from("n"), n.into())];
        Configuration::fold(&profile, &VariantName::new("demo"), &given, false).configuration
    }

    fn trial(position: u32, letter: char, n: i64) -> TrialRecord {
        let detail = "because".to_owned();
        let anchor = Anchor {
            monotonic_ns: 0,
            boot_ns: 0,
            wall_ns: i64::from(position),
        };
        TrialRecord {
            spec: TrialSpec {
                key: TrialKey {
                    stage: Stage::Measure,
                    block: 0,
                    position,
                },
                attempt: 0,
                configuration: configuration(n),
                load: LoadShape::open(Rate::per_second(10.0).unwrap(), Arrivals::Poisson),
                length: Duration::from_secs(5),
                warm_up: Duration::from_secs(1),
                seed: Seed::new(1),
            },
            outcome: match letter {
                'm' => Outcome::Measured,
                'i' => Outcome::Invalid { detail },
                'f' => Outcome::FailedToStart { detail },
                _ => panic!("{letter}"),
            },
            span: Span {
                start: anchor,
                end: anchor,
            },
            load: None,
            server: None,
        }
    }

    /// Trials in order of time, as in `m0 i1`: outcome and configuration; with
    /// configuration 0 as the control, in blocks of four. After `|` begins the run.
    fn check(trials: &str, expected: Option<&str>) {
        let (earlier, now) = trials.split_once('|').unwrap_or(("", trials));
        let watch = Watch {
            of_block: 4,
            since_wall_ns: i64::try_from(earlier.split_whitespace().count()).unwrap(),
        };
        let all = earlier.split_whitespace().chain(now.split_whitespace());
        let trials = (0..).zip(all).map(|(at, text)| {
            let letter = text.chars().next().unwrap();
            trial(at, letter, text[1..].parse().unwrap())
        });
        let history = History {
            trials: trials.collect(),
            decisions: vec![Decision {
                number: 0,
                kind: autotune_model::DecisionKind::Planned {
                    control: configuration(0).id(),
                    length: Duration::from_secs(5),
                    warm_up: Duration::from_secs(1),
                    resolvable_pct: None,
                },
            }],
        };
        let fault = hopeless(&history, watch);
        match (fault, expected) {
            (None, None) => {}
            (Some(fault), Some(part)) => {
                assert!(fault.message.contains(part), "{}", fault.message);
                assert!(fault.message.contains("because"), "{}", fault.message);
            }
            (fault, _) => panic!("{fault:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn invalid_trials_stop_a_sweep_that_measures_nothing() {
        check("i0 i1 i2 i3 i0 i1", Some("the last 6 trials"));
        check("i0 i1 i2 i3 i0", None);
        // They are the end of a block and what is tried again of it.
        check("m0 i1 i2 i3 i1 i2 i3", None);
        check("m0 m1 i2 i3 i0 i1 i2 i3", None);
        check(
            "m0 i1 i2 i3 i0 i1 i2 i3 i0 i1 i2",
            Some("the last 6 trials"),
        );
    }

    #[test]
    fn launches_that_fail_though_they_worked_stop_a_sweep() {
        let stops = Some("the last 3 launches failed");
        check("m0 m1 m2 f1 f2 f0", stops);
        check("m0 m1 m2 f1 f2 f3", stops);
        check("m0 f0 f0 f0", stops);
        // What never worked is ruled out, and one may be unsteady.
        check("f0 f1 f2 f3", None);
        check("m0 m1 f1 f2 f3", None);
        check("m0 m1 f1 f0", None);
        check("m0 m1 m2 f1 f2 f0 m3", None);
    }

    #[test]
    fn what_stopped_an_earlier_run_does_not_stop_this_one() {
        check("m0 m1 m2 f1 f2 f0 | f3", None);
        check("m0 m1 m2 f1 f2 f0 | f3 f1 f0", Some("the last 3 launches"));
        check("i0 i1 i2 i3 i0 i1 | i0", None);
        check("i0 i1 | i2 i3 i0 i1 i2 i3", Some("the last 6 trials"));
    }
}

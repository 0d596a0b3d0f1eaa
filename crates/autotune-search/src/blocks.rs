//! Blocks: who is in one, in which order, and what of it is still to do.

use std::time::Duration;

use autotune_analysis::Disturbance;
use autotune_model::{
    ConfigId, Configuration, History, LoadShape, Outcome, Seed, Stage, TrialKey, TrialRecord,
    TrialSpec,
};
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

/// How often a place in a block is tried before it is left as it is: a trial that
/// says nothing, or that the machine disturbed, is tried once more.
const ATTEMPTS: u32 = 2;
/// Launches that failed before a configuration is left out of later blocks.
const FAILURES: usize = 2;

/// What all trials of a block have in common.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BlockPlan {
    pub(crate) stage: Stage,
    pub(crate) block: u32,
    pub(crate) load: LoadShape,
    pub(crate) length: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) seed: Seed,
}

impl BlockPlan {
    /// The trials of the block in random order, by the seed. All have the same
    /// load seed: the same requests at the same times, so that what the load
    /// does by chance cancels out of the differences.
    pub(crate) fn trials(&self, configurations: &[Configuration]) -> Vec<TrialSpec> {
        let stage = self.stage as u64;
        let order_seed = self.seed.derive("order", &[stage, u64::from(self.block)]);
        let load_seed = self.seed.derive("load", &[stage, u64::from(self.block)]);
        let mut order: Vec<&Configuration> = configurations.iter().collect();
        order.shuffle(&mut Pcg64Mcg::seed_from_u64(order_seed.value()));
        let positions = 0u32..;
        let trials = positions
            .zip(order)
            .map(|(position, configuration)| TrialSpec {
                key: TrialKey {
                    stage: self.stage,
                    block: self.block,
                    position,
                },
                attempt: 0,
                configuration: configuration.clone(),
                load: self.load.clone(),
                length: self.length,
                warm_up: self.warm_up,
                seed: load_seed,
            });
        trials.collect()
    }
}

/// The trials of a block that are still to do, with their next attempt.
/// Interrupted trials do not use up an attempt.
pub(crate) fn outstanding(trials: Vec<TrialSpec>, history: &History) -> Vec<TrialSpec> {
    let disturbance = Disturbance::of(history);
    let left = trials.into_iter().filter_map(|mut spec| {
        let tried: Vec<&TrialRecord> = history
            .trials
            .iter()
            .filter(|trial| trial.spec.key == spec.key)
            .collect();
        let is_answered = tried
            .iter()
            .any(|trial| !trial.outcome.says_nothing() && !disturbance.disturbs(trial));
        let used_up = tried
            .iter()
            .filter(|trial| trial.outcome != Outcome::Interrupted)
            .count();
        if is_answered || used_up >= ATTEMPTS as usize {
            return None;
        }
        spec.attempt = history.attempts(spec.key);
        Some(spec)
    });
    let mut left: Vec<TrialSpec> = left.collect();
    // What is tried again comes last, whether or not the block was interrupted.
    left.sort_by_key(|spec| spec.attempt);
    left
}

/// The configurations that are still compared in this block: those that did not
/// fail twice, or were not invalid in every attempt, in blocks before it.
pub(crate) fn still_compared(
    configurations: &[Configuration],
    history: &History,
    block: u32,
) -> Vec<Configuration> {
    let counting: Vec<&TrialRecord> = history.counting(Stage::Measure).collect();
    let is_out = |id: ConfigId| {
        let earlier = || {
            counting.iter().filter(move |trial| {
                trial.spec.key.block < block && trial.spec.configuration.id() == id
            })
        };
        let failed = earlier().filter(|trial| trial.outcome.is_failure_of_configuration());
        let invalid = earlier().filter(|trial| matches!(trial.outcome, Outcome::Invalid { .. }));
        let told = earlier().any(|trial| !trial.outcome.says_nothing());
        // More than one failure in five is infeasible whatever follows soon; a
        // configuration that once ran well may fail once more before it is out.
        let failed = failed.count();
        let too_often = failed >= FAILURES && failed * 5 > earlier().count();
        too_often || (!told && invalid.count() >= FAILURES)
    };
    configurations
        .iter()
        .filter(|one| !is_out(one.id()))
        .cloned()
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use autotune_model::{
        Arrivals, HostLoad, ParamName, Profile, Rate, ServerRecord, Span, VariantName, time::Anchor,
    };

    pub(crate) fn configurations() -> Vec<Configuration> {
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
        let one = |n: i64| {
            let given = [(ParamName::from("n"), n.into())];
            Configuration::fold(&profile, &VariantName::new("demo"), &given, false).configuration
        };
        (0..6).map(one).collect()
    }

    pub(crate) fn plan(block: u32) -> BlockPlan {
        BlockPlan {
            stage: Stage::Measure,
            block,
            load: LoadShape::open(Rate::per_second(10.0).unwrap(), Arrivals::Poisson),
            length: Duration::from_secs(5),
            warm_up: Duration::from_secs(1),
            seed: Seed::new(1),
        }
    }

    pub(crate) fn ended(spec: &TrialSpec, outcome: Outcome) -> TrialRecord {
        let anchor = Anchor {
            monotonic_ns: 0,
            boot_ns: 0,
            wall_ns: 0,
        };
        TrialRecord {
            spec: spec.clone(),
            outcome,
            span: Span {
                start: anchor,
                end: anchor,
            },
            load: None,
            server: None,
        }
    }

    fn died() -> Outcome {
        Outcome::Died {
            detail: String::new(),
        }
    }

    #[test]
    fn a_block_has_everybody_once_in_its_own_order_under_one_load() {
        let (all, first, second) = (configurations(), plan(0), plan(1));
        let labels = |plan: &BlockPlan| -> Vec<String> {
            plan.trials(&all)
                .iter()
                .map(|spec| spec.configuration.to_string())
                .collect()
        };
        assert_eq!(labels(&first), labels(&first));
        assert_ne!(labels(&first), labels(&second));
        let mut sorted = labels(&first);
        sorted.sort();
        let mut expected: Vec<_> = all.iter().map(ToString::to_string).collect();
        expected.sort();
        assert_eq!(sorted, expected);
        let trials = first.trials(&all);
        assert!(trials.iter().all(|spec| spec.seed == trials[0].seed));
        assert_ne!(trials[0].seed, second.trials(&all)[0].seed);
    }

    #[test]
    fn what_says_nothing_is_tried_once_more_and_comes_last() {
        let trials = plan(0).trials(&configurations());
        let invalid = Outcome::Invalid {
            detail: String::new(),
        };
        let mut history = History::default();
        history.trials.push(ended(&trials[0], invalid.clone()));
        history.trials.push(ended(&trials[1], died()));
        let left = outstanding(trials.clone(), &history);
        assert_eq!(left.len(), 5);
        assert_eq!((left[4].key, left[4].attempt), (trials[0].key, 1));
        history.trials.push(ended(&left[4], invalid));
        assert_eq!(outstanding(trials.clone(), &history).len(), 4);
        // An interruption is nobody's fault and uses up no attempt.
        history.trials.push(ended(&trials[2], Outcome::Interrupted));
        let left = outstanding(trials.clone(), &history);
        assert!(
            left.iter()
                .any(|spec| spec.key == trials[2].key && spec.attempt == 1)
        );
    }

    #[test]
    fn what_was_disturbed_is_tried_once_more() {
        let trials = plan(0).trials(&configurations());
        let beside = |share: f64| ServerRecord {
            host: Some(HostLoad {
                wall: Duration::from_secs(5),
                cpus: 2,
                stolen: Duration::from_secs_f64(share * 10.0),
                others: Duration::ZERO,
            }),
            ..ServerRecord::default()
        };
        let mut history = History::default();
        for (spec, share) in trials.iter().zip([0.2, 0.01, 0.01, 0.01, 0.01, 0.01]) {
            let mut trial = ended(spec, Outcome::Measured);
            trial.server = Some(beside(share));
            history.trials.push(trial);
        }
        let left = outstanding(trials.clone(), &history);
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].key, left[0].attempt), (trials[0].key, 1));
        // Disturbed again: what is there must do.
        let mut again = ended(&left[0], Outcome::Measured);
        again.server = Some(beside(0.3));
        history.trials.push(again);
        assert_eq!(outstanding(trials, &history), []);
    }

    #[test]
    fn two_failures_end_the_comparison_for_a_configuration() {
        let all = configurations();
        let mut history = History::default();
        for block in 0..2 {
            for spec in plan(block).trials(&all) {
                let outcome = if spec.configuration == all[3] {
                    died()
                } else {
                    Outcome::Measured
                };
                history.trials.push(ended(&spec, outcome));
            }
        }
        assert_eq!(still_compared(&all, &history, 1).len(), 6);
        let left = still_compared(&all, &history, 2);
        assert_eq!(left.len(), 5);
        assert!(!left.contains(&all[3]));
    }
}

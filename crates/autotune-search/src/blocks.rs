//! Blocks: who is in one, in which order, and what of it is still to do.

use std::time::Duration;

use autotune_model::{
    ConfigId, Configuration, History, LoadShape, Outcome, Seed, Stage, TrialKey, TrialRecord,
    TrialSpec,
};
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

/// How often a place in a block is tried before it is left open: a trial that
/// says nothing is tried once more.
const ATTEMPTS: u32 = 2;
/// Launches that failed before a configuration is left out of later blocks.
const FAILURES: usize = 2;

/// What all trials of a block have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
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
                load: self.load,
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
    let left = trials.into_iter().filter_map(|mut spec| {
        let tried: Vec<&TrialRecord> = history
            .trials
            .iter()
            .filter(|trial| trial.spec.key == spec.key)
            .collect();
        let is_answered = tried.iter().any(|trial| !trial.outcome.says_nothing());
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
    let is_out = |id: ConfigId| {
        let earlier = || {
            let measured = history.last_attempts(Stage::Measure);
            measured.filter(move |trial| {
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

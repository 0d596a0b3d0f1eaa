//! Trials that the machine spoiled: others had more of its CPU time than usual.
//!
//! The usual is that of the study itself, the median over its trials, since some
//! machines always lose a few percent to their neighbours and must still be of
//! use. A database on the same machine is one of the others, and some settings ask
//! it more than others do; so what is usual for a setting, once that is known, is
//! usual too. A disturbed trial is tried once more, and the later attempt counts
//! (`History::counting`). What a trial measured has no say in it.
//!
//! Why the limit is where it is: docs/decisions/0006-disturbed-trials.md.

use std::collections::BTreeMap;

use autotune_model::{ConfigId, History, Outcome, Stage, TrialRecord};
use autotune_stats::median;

use crate::outcome::Disturbed;

/// So much of the machine's CPU time above the usual disturbs a trial.
const BEYOND_USUAL: f64 = 0.025;
/// With fewer trials nobody knows what is usual.
const FEWEST_TRIALS: usize = 4;

/// What is usual in a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Disturbance {
    usual: Option<f64>,
    of_configuration: BTreeMap<ConfigId, f64>,
}

impl Disturbance {
    /// From all trials whose machine was watched.
    pub fn of(history: &History) -> Self {
        let mut each: BTreeMap<ConfigId, Vec<f64>> = BTreeMap::new();
        for trial in &history.trials {
            let of_it = each.entry(trial.spec.configuration.id()).or_default();
            of_it.extend(share(trial));
        }
        let all: Vec<f64> = each.values().flatten().copied().collect();
        let known = each.into_iter();
        Self {
            usual: usual(&all),
            of_configuration: known
                .filter_map(|(id, shares)| Some((id, usual(&shares)?)))
                .collect(),
        }
    }

    /// Whether others had so much more of the machine than usual that the trial
    /// is not to be trusted.
    pub fn disturbs(&self, trial: &TrialRecord) -> bool {
        // A calm machine would not have kept it alive; and what a crash leaves to
        // the system, such as writing a core file, makes the machine busy.
        if matches!(
            trial.outcome,
            Outcome::Died { .. } | Outcome::OutOfMemory { .. }
        ) {
            return false;
        }
        let own = self.of_configuration.get(&trial.spec.configuration.id());
        let usual = self.usual.map(|all| own.map_or(all, |own| all.max(*own)));
        share(trial)
            .zip(usual)
            .is_some_and(|(share, usual)| share - usual > BEYOND_USUAL)
    }
}

fn usual(shares: &[f64]) -> Option<f64> {
    median(shares).filter(|_| shares.len() >= FEWEST_TRIALS)
}

/// How many trials of the comparison were disturbed, and what became of them.
pub(crate) fn disturbed(history: &History) -> Disturbed {
    let disturbance = Disturbance::of(history);
    let count = |trials: &mut dyn Iterator<Item = &TrialRecord>| {
        let disturbed = trials.filter(|trial| disturbance.disturbs(trial)).count();
        u32::try_from(disturbed).unwrap_or(u32::MAX)
    };
    let all = history.trials.iter();
    let mut measured = all.filter(|trial| trial.spec.key.stage == Stage::Measure);
    Disturbed {
        trials: count(&mut measured),
        counting: count(&mut history.counting(Stage::Measure)),
        usual: disturbance.usual,
    }
}

/// The share of the machine's CPU time that others had.
fn share(trial: &TrialRecord) -> Option<f64> {
    Some(trial.server.as_ref()?.host?.share())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autotune_model::{HostLoad, Outcome};

    use super::*;
    use crate::testing::{configurations, history, sent, trial};

    fn unwatched(block: u32) -> TrialRecord {
        trial(
            &configurations(1)[0],
            block,
            vec![sent("a", 1_000, [400, 0])],
        )
    }

    /// In block and attempt, with this share of the machine taken by others.
    fn seen(block: u32, attempt: u32, share: f64) -> TrialRecord {
        let mut trial = unwatched(block);
        trial.spec.attempt = attempt;
        if let Some(server) = &mut trial.server {
            server.host = Some(HostLoad {
                wall: Duration::from_secs(10),
                cpus: 2,
                stolen: Duration::from_secs_f64(share * 5.0),
                others: Duration::from_secs_f64(share * 15.0),
            });
        }
        trial
    }

    fn attempts(history: &History) -> Vec<u32> {
        let counting = history.counting(Stage::Measure);
        counting.map(|trial| trial.spec.attempt).collect()
    }

    #[test]
    fn the_usual_is_the_studys_own() {
        let busy: Vec<_> = [0.30, 0.31, 0.29, 0.30, 0.32]
            .into_iter()
            .zip(0..)
            .map(|(share, block)| seen(block, 0, share))
            .collect();
        let steady = history(busy.clone());
        let disturbance = Disturbance::of(&steady);
        assert_eq!(disturbance.usual, Some(0.30));
        assert!(
            steady
                .trials
                .iter()
                .all(|trial| !disturbance.disturbs(trial))
        );
        assert!(disturbance.disturbs(&seen(9, 0, 0.33)));
        assert!(!disturbance.disturbs(&seen(9, 0, 0.0)));
        // Nobody knows what is usual after three trials, and nothing is known of
        // a trial whose machine was not watched.
        let few = history(busy[..3].to_vec());
        assert!(!Disturbance::of(&few).disturbs(&seen(9, 0, 0.9)));
        assert!(!disturbance.disturbs(&unwatched(9)));
    }

    #[test]
    fn the_later_attempt_counts_if_it_says_something() {
        let calm = |block| seen(block, 0, 0.01);
        let rest = || (1..6).map(calm).collect::<Vec<_>>();
        let with = |first: Vec<TrialRecord>| history([first, rest()].concat());
        let repeated = with(vec![seen(0, 0, 0.2), seen(0, 1, 0.01)]);
        assert_eq!(attempts(&repeated), [1, 0, 0, 0, 0, 0]);
        let told = disturbed(&repeated);
        assert_eq!((told.trials, told.counting), (1, 0));
        // Both disturbed: the last one, rather than none.
        let twice = with(vec![seen(0, 0, 0.2), seen(0, 1, 0.3)]);
        assert_eq!(attempts(&twice), [1, 0, 0, 0, 0, 0]);
        let told = disturbed(&twice);
        assert_eq!((told.trials, told.counting), (2, 1));
        // A repetition that says nothing does not undo what was measured.
        let mut spoiled = seen(0, 1, 0.01);
        spoiled.outcome = Outcome::Interrupted;
        let kept = with(vec![seen(0, 0, 0.2), spoiled.clone()]);
        assert_eq!(attempts(&kept), [0, 0, 0, 0, 0, 0]);
        // Where all say nothing, the last one tells why.
        let mut first = seen(0, 0, 0.01);
        first.outcome = Outcome::Interrupted;
        assert_eq!(attempts(&with(vec![first, spoiled])), [1, 0, 0, 0, 0, 0]);
    }

    /// A trial of the second configuration, with this share taken by others.
    fn of_another(block: u32, share: f64) -> TrialRecord {
        let host = seen(block, 0, share).server.and_then(|server| server.host);
        let endpoints = vec![sent("a", 1_000, [400, 0])];
        let mut other = trial(&configurations(2)[1], block, endpoints);
        if let Some(server) = &mut other.server {
            server.host = host;
        }
        other
    }

    #[test]
    fn what_is_usual_for_a_setting_does_not_disturb_it() {
        // The second one asks the database more: others have 6 % more, always.
        let first = (0..20).map(|block| seen(block, 0, 0.02));
        let with = |blocks: u32| {
            let second = (0..blocks).map(|block| of_another(block, 0.08));
            Disturbance::of(&history(first.clone().chain(second).collect()))
        };
        assert!(with(3).disturbs(&of_another(9, 0.08)), "not known yet");
        assert!(!with(4).disturbs(&of_another(9, 0.08)));
        assert!(with(4).disturbs(&of_another(9, 0.12)));
        // That one setting is used to it is no excuse for another.
        assert!(with(4).disturbs(&seen(30, 0, 0.08)));
    }

    #[test]
    fn a_crash_is_no_disturbance() {
        let calm = history((0..6).map(|block| seen(block, 0, 0.01)).collect());
        let mut crashed = seen(9, 0, 0.3);
        crashed.outcome = Outcome::Died {
            detail: String::new(),
        };
        assert!(!Disturbance::of(&calm).disturbs(&crashed));
    }
}

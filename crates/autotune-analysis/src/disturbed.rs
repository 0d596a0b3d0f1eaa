//! Trials that the machine spoiled: others had more of its CPU time than usual.
//!
//! The usual is that of the study itself, the median over its trials, since some
//! machines always lose a few percent to their neighbours and must still be of
//! use. A disturbed trial is tried once more, and the calm attempt counts. What a
//! trial measured has no say in it, so that nothing is chosen by its result.
//!
//! Why the limit is where it is: docs/decisions/0006-disturbed-trials.md.

use std::collections::BTreeMap;

use autotune_model::{History, Stage, TrialKey, TrialRecord};
use autotune_stats::median;

use crate::outcome::Disturbed;

/// So much of the machine's CPU time above the usual disturbs a trial.
const BEYOND_USUAL: f64 = 0.025;
/// With fewer trials nobody knows what is usual.
const FEWEST_TRIALS: usize = 4;

/// What is usual in a study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disturbance {
    usual: Option<f64>,
}

impl Disturbance {
    /// From all trials whose machine was watched.
    pub fn of(history: &History) -> Self {
        let shares: Vec<f64> = history.trials.iter().filter_map(share).collect();
        let usual = median(&shares).filter(|_| shares.len() >= FEWEST_TRIALS);
        Self { usual }
    }

    /// The share of the machine's CPU time that others usually have, from 0 to 1;
    /// `None` where too little is known.
    pub fn usual(&self) -> Option<f64> {
        self.usual
    }

    /// Whether others had so much more of the machine than usual that the trial
    /// is not to be trusted.
    pub fn disturbs(&self, trial: &TrialRecord) -> bool {
        let beyond = share(trial)
            .zip(self.usual)
            .map(|(share, usual)| share - usual);
        beyond.is_some_and(|beyond| beyond > BEYOND_USUAL)
    }

    /// The attempt that counts, for every place of a stage, in their order: the
    /// last one that was calm and says something; else the last that says
    /// something; else the last.
    pub fn counting<'h>(&self, history: &'h History, stage: Stage) -> Vec<&'h TrialRecord> {
        let mut best: BTreeMap<TrialKey, &TrialRecord> = BTreeMap::new();
        let worth = |trial: &TrialRecord| {
            let says = !trial.outcome.says_nothing();
            (says, says && !self.disturbs(trial), trial.spec.attempt)
        };
        for trial in &history.trials {
            if trial.spec.key.stage != stage {
                continue;
            }
            let have = best.entry(trial.spec.key).or_insert(trial);
            if worth(trial) > worth(have) {
                *have = trial;
            }
        }
        best.into_values().collect()
    }
}

/// How many trials were disturbed, and what became of them.
pub(crate) fn disturbed(history: &History) -> Disturbed {
    let disturbance = Disturbance::of(history);
    let count = |trials: &mut dyn Iterator<Item = &TrialRecord>| {
        let disturbed = trials.filter(|trial| disturbance.disturbs(trial)).count();
        u32::try_from(disturbed).unwrap_or(u32::MAX)
    };
    let counting = disturbance.counting(history, Stage::Measure);
    Disturbed {
        trials: count(&mut history.trials.iter()),
        counting: count(&mut counting.into_iter()),
        usual: disturbance.usual(),
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
        let counting = Disturbance::of(history).counting(history, Stage::Measure);
        counting.iter().map(|trial| trial.spec.attempt).collect()
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
        assert_eq!(disturbance.usual(), Some(0.30));
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
    fn the_calm_attempt_counts_whichever_it_is() {
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
}

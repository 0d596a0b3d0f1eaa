//! Whether a configuration carries a multiple of the load that it was compared
//! under: a setting that is best at the usual rate and falls over at half as much
//! again is no recommendation.
//!
//! Asked of the one that is about to be recommended only, by launches of their
//! own that no comparison uses. What counts is that the backlog does not grow,
//! that the server lives, and that the error rate holds; a surge may be slow.

use std::collections::BTreeMap;

use autotune_model::{ConfigId, History, Objective, Outcome, Share, Stage, Surge, TrialRecord};
use autotune_stats::lower_bound;

use crate::feasible::CONFIDENCE;
use crate::outcome::{LimitCheck, LimitFigures, LimitState};

/// So many launches that agree settle it: one may be the machine's doing.
pub const AGREEING: u32 = 2;
/// Hence it takes at most so many launches.
pub const LAUNCHES: u32 = 2 * AGREEING - 1;

/// What the launches under the surge say, by configuration.
pub(crate) struct Launches {
    /// `None` where none is asked for.
    surge: Option<Surge>,
    /// How many carried it, and how many did not.
    told: BTreeMap<ConfigId, [u32; 2]>,
}

impl Launches {
    pub(crate) fn of(history: &History, objective: &Objective) -> Self {
        let mut told: BTreeMap<ConfigId, [u32; 2]> = BTreeMap::new();
        for trial in history.counting(Stage::Surge).filter(|one| was_asked(one)) {
            let of_it = told.entry(trial.spec.configuration.id()).or_default();
            of_it[usize::from(!is_carried(trial, objective))] += 1;
        }
        let surge = objective.surge;
        Self { surge, told }
    }

    /// What they say of one configuration, as a limit.
    pub(crate) fn check(&self, id: ConfigId) -> Option<LimitCheck> {
        let [carried, failed] = self.told.get(&id).copied().unwrap_or_default();
        self.surge.map(|surge| limit(surge, carried, failed))
    }
}

/// Whether a surge is asked for, and neither shown to be carried nor failed.
pub fn is_open(limits: &[LimitCheck]) -> bool {
    limits.iter().any(|check| {
        matches!(check.figures, LimitFigures::Surge { .. })
            && check.state == LimitState::NotShownBroken
    })
}

fn limit(surge: Surge, carried: u32, failed: u32) -> LimitCheck {
    LimitCheck {
        limit: "surge".to_owned(),
        endpoint: None,
        figures: LimitFigures::Surge {
            factor: surge.get(),
            carried,
            failed,
        },
        state: if failed >= AGREEING {
            LimitState::Broken
        } else if carried >= AGREEING {
            LimitState::Shown
        } else {
            LimitState::NotShownBroken
        },
    }
}

/// A server that never answered was not asked: it ran in the comparison, so that
/// something else was amiss.
fn was_asked(trial: &TrialRecord) -> bool {
    !trial.outcome.says_nothing() && !matches!(trial.outcome, Outcome::FailedToStart { .. })
}

/// Whether this launch carried it: measured, and at no endpoint with more errors
/// than chance explains under the limit.
fn is_carried(trial: &TrialRecord, objective: &Objective) -> bool {
    let endpoints = trial.load.iter().flat_map(|load| &load.endpoints);
    let mut windows = endpoints.map(|endpoint| endpoint.window);
    let breaks_limit = |bad, of| {
        let most = objective.max_error_rate.map(Share::get);
        most.is_some_and(|most| of > 0 && lower_bound(bad, of, CONFIDENCE) > most)
    };
    trial.outcome == Outcome::Measured
        && !windows.any(|window| breaks_limit(window.not_completed(), window.scheduled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{configurations, history, objective, sent, trial};

    fn launch(position: u32, outcome: Outcome, failed: u64) -> TrialRecord {
        let sent = vec![sent("a", 1_000, [400 - failed, failed])];
        let mut trial = trial(&configurations(1)[0], 0, sent);
        trial.spec.key.stage = Stage::Surge;
        trial.spec.key.position = position;
        trial.outcome = outcome;
        trial
    }

    fn state(launches: Vec<TrialRecord>) -> LimitState {
        let wanted = Objective {
            surge: Surge::new(1.5),
            ..objective()
        };
        let id = configurations(1)[0].id();
        let launches = Launches::of(&history(launches), &wanted);
        launches.check(id).unwrap().state
    }

    #[test]
    fn two_launches_that_agree_settle_it() {
        let good = |position| launch(position, Outcome::Measured, 0);
        let bad = |position| {
            let detail = String::new();
            launch(position, Outcome::Overloaded { detail }, 0)
        };
        assert_eq!(state(vec![]), LimitState::NotShownBroken);
        assert_eq!(state(vec![good(0)]), LimitState::NotShownBroken);
        assert_eq!(state(vec![good(0), bad(1)]), LimitState::NotShownBroken);
        assert_eq!(state(vec![good(0), bad(1), good(2)]), LimitState::Shown);
        assert_eq!(state(vec![bad(0), bad(1)]), LimitState::Broken);
    }

    #[test]
    fn errors_beyond_the_limit_do_not_carry_it_and_what_says_nothing_does_not_count() {
        // One in a hundred is allowed: eight of 400 may be chance, forty are not.
        let with = |failed| {
            vec![
                launch(0, Outcome::Measured, failed),
                launch(1, Outcome::Measured, failed),
            ]
        };
        assert_eq!(state(with(8)), LimitState::Shown);
        assert_eq!(state(with(40)), LimitState::Broken);
        let invalid = |position| {
            let detail = String::new();
            launch(position, Outcome::Invalid { detail }, 0)
        };
        let never_answered = |position| {
            let detail = String::new();
            launch(position, Outcome::FailedToStart { detail }, 0)
        };
        assert_eq!(
            state(vec![never_answered(0), never_answered(1)]),
            LimitState::NotShownBroken
        );
        assert_eq!(
            state(vec![invalid(0), invalid(1)]),
            LimitState::NotShownBroken
        );
    }

    #[test]
    fn without_a_surge_there_is_no_such_limit() {
        let id = configurations(1)[0].id();
        let launches = Launches::of(&history(vec![]), &objective());
        assert_eq!(launches.check(id), None);
    }
}

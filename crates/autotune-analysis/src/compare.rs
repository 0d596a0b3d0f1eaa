//! The bound and the tie set: comparisons with the best.
//!
//! Within a block all trials meet the same machine and the same requests, so
//! two configurations are compared by the differences of their log objective
//! over the blocks they share. The variance of these differences is the pair's
//! own: a noisy configuration does not lend its noise to a steady one.
//!
//! **Bound.** Let b be the truly best of k feasible configurations. For every i,
//! the true difference i - b is at most `mean(d_ib) + t * se(d_ib)`, all k - 1 of
//! them together with confidence 1 - alpha when each uses alpha / (k - 1)
//! (Bonferroni). As b is among the rivals j, the largest of
//! `mean(d_ij) + t * se(d_ij)` over j bounds the difference to b without knowing
//! b. So the bound holds for all configurations at once, whichever is chosen
//! from the data. This is Hsu's multiple comparison with the best ("Simultaneous
//! confidence intervals for all distances from the best", Annals of Statistics
//! 9, 1981) with a pair's own variance and Bonferroni's quantile.
//!
//! **Tie set.** i is left out when some rival is shown better at the same level.
//! The truly best is left out only if one of its k - 1 comparisons errs, so the
//! set holds it with confidence 1 - alpha.
//!
//! **Looking more than once.** Up to eight blocks a sweep never stops because of
//! what it saw. After that it may stop at 8, 16, 32, … blocks; each such look
//! has its own part of alpha, and half is kept for the end, so that all looks
//! together err with at most alpha. Somebody who reads a verdict and then raises
//! the budget because of it looks once more at his own account.

use std::collections::BTreeSet;

use autotune_model::{ConfigId, History, Stage};
use autotune_stats::PairedDifferences;

use crate::sample::{Arm, Arms, differences};

/// The error that bound and tie set may have, over all looks: 5 %.
pub const ALPHA: f64 = 0.05;

/// The first number of blocks at which a sweep may stop because the
/// question is answered; with fewer the verdict is exploratory.
pub const FIRST_LOOK: u32 = 8;

/// Whether a sweep may stop after so many [`blocks`] because of what it saw.
pub fn is_look(blocks: u32) -> bool {
    blocks >= FIRST_LOOK && blocks.is_power_of_two()
}

/// The blocks that were begun and not closed: what looks are counted by. It grows
/// by one when a block begins and falls back only when that one is closed, before
/// anything was looked at; so each look comes exactly once. The number of
/// complete blocks would not do, as it changes with who is feasible.
pub fn blocks(history: &History) -> u32 {
    let measured = history
        .trials
        .iter()
        .filter(|trial| trial.spec.key.stage == Stage::Measure);
    let begun: BTreeSet<u32> = measured.map(|trial| trial.spec.key.block).collect();
    let open = begun
        .iter()
        .filter(|block| !history.is_closed(Stage::Measure, **block));
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}

/// When an analysis is made, for what it may spend of [`ALPHA`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// On the way: the sweep may go on.
    Underway,
    /// The sweep has ended, for whatever reason but what it saw.
    Ended,
}

/// The part of [`ALPHA`] that an analysis after so many [`blocks`] may
/// spend: all of it before the first look; a quarter at the first look, an eighth
/// at the second and so on; and at any other time what the looks have left.
pub fn alpha(blocks: u32, moment: Moment) -> f64 {
    let share = |look: u32| ALPHA / f64::from(1u32 << (look + 2));
    if blocks < FIRST_LOOK {
        return ALPHA;
    }
    let look = blocks.ilog2() - FIRST_LOOK.ilog2();
    if moment == Moment::Underway && is_look(blocks) {
        return share(look);
    }
    ALPHA - (0..=look).map(share).sum::<f64>()
}

/// One configuration against the best of the rivals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AgainstBest {
    /// Upper bound of the log ratio to the best; never below zero. `None` where
    /// a rival shares fewer than two blocks.
    pub(crate) upper: Option<f64>,
    /// Lower bound of the log ratio to the best; never below zero. Zero: not
    /// shown worse.
    pub(crate) lower: f64,
}

/// Everything that a comparison with the best is made from.
pub(crate) struct Field<'a> {
    /// All launches.
    pub(crate) arms: &'a Arms<'a>,
    /// The feasible configurations.
    pub(crate) rivals: &'a [ConfigId],
    /// The error that all comparisons together may have.
    pub(crate) alpha: f64,
}

impl Field<'_> {
    /// Compares one configuration with all rivals (itself left out).
    pub(crate) fn against_best(&self, id: ConfigId) -> AgainstBest {
        self.bounds(id, 1, differences)
    }

    /// The same in microseconds at the endpoint where it is largest.
    pub(crate) fn against_best_us(&self, id: ConfigId) -> AgainstBest {
        let launches = self.arms.get(&id).map_or(&[][..], |arm| &arm.launches);
        let endpoints = launches
            .iter()
            .map(|one| one.endpoints_us.len())
            .max()
            .unwrap_or(0);
        let none = AgainstBest {
            upper: None,
            lower: 0.0,
        };
        let each = (0..endpoints).map(|endpoint| {
            self.bounds(id, endpoints, |own, rival| {
                differences_us(own, rival, endpoint)
            })
        });
        let largest = |all: AgainstBest, one: AgainstBest| AgainstBest {
            upper: all.upper.zip(one.upper).map(|(a, b)| a.max(b)),
            lower: all.lower.max(one.lower),
        };
        each.reduce(largest).unwrap_or(none)
    }

    /// `families`: how many such comparisons share the error.
    fn bounds(
        &self,
        id: ConfigId,
        families: usize,
        pair_up: impl Fn(&Arm<'_>, &Arm<'_>) -> Vec<f64>,
    ) -> AgainstBest {
        let tail = self.alpha / ((self.rivals.len().max(2) - 1) * families) as f64;
        let mut result = AgainstBest {
            upper: Some(0.0),
            lower: 0.0,
        };
        let Some(own) = self.arms.get(&id) else {
            return AgainstBest {
                upper: None,
                lower: 0.0,
            };
        };
        for rival in self.rivals.iter().filter(|rival| **rival != id) {
            let pair = self.arms.get(rival).map(|rival| pair_up(own, rival));
            let pair = pair.and_then(|differences| PairedDifferences::new(&differences));
            let upper = pair
                .as_ref()
                .map(|pair| pair.upper(tail))
                .filter(|u| u.is_finite());
            result.upper = result.upper.zip(upper).map(|(all, one)| all.max(one));
            let lower = pair
                .map(|pair| pair.lower(tail))
                .filter(|lower| lower.is_finite());
            result.lower = result.lower.max(lower.unwrap_or(0.0));
        }
        result
    }
}

fn differences_us(own: &Arm<'_>, rival: &Arm<'_>, endpoint: usize) -> Vec<f64> {
    let value =
        |launch: &crate::sample::Launch<'_>| launch.endpoints_us.get(endpoint).copied().flatten();
    let pairs = own.measured().filter_map(|(mine, _)| {
        let (theirs, _) = rival
            .measured()
            .find(|(theirs, _)| theirs.block == mine.block)?;
        Some(value(mine)? - value(theirs)?)
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{configurations, history, sent, trial};
    use autotune_model::{Decision, DecisionKind};

    #[test]
    fn all_looks_together_spend_no_more_than_alpha() {
        for last in 1..4096 {
            let underway = |n: &u32| is_look(*n) && *n <= last;
            let looks: f64 = (1..4096)
                .filter(underway)
                .map(|n| alpha(n, Moment::Underway))
                .sum();
            assert!(
                looks + alpha(last, Moment::Ended) <= ALPHA + 1e-12,
                "{last}"
            );
        }
        assert_eq!(alpha(5, Moment::Ended), ALPHA);
        assert_eq!(alpha(8, Moment::Underway), ALPHA / 4.0);
        assert!(is_look(8) && !is_look(4) && !is_look(12));
    }

    #[test]
    fn looks_are_counted_by_blocks_begun_and_not_closed() {
        let one = &configurations(1)[0];
        let endpoints = || vec![sent("a", 20_000, [100, 0])];
        let mut history = history((0..3).map(|block| trial(one, block, endpoints())).collect());
        assert_eq!(blocks(&history), 3);
        let kind = DecisionKind::BlockClosed {
            stage: Stage::Measure,
            block: 2,
        };
        history.decisions.push(Decision { number: 0, kind });
        assert_eq!(blocks(&history), 2);
        // The same block in another stage is another block.
        history.trials[0].spec.key.stage = Stage::Preflight;
        assert_eq!(blocks(&history), 1);
    }
}

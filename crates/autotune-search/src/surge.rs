//! The launches that show whether the one that is about to be recommended carries
//! a multiple of the load.

use autotune_analysis::surge::{AGREEING, LAUNCHES, is_open};
use autotune_analysis::{Analysis, ConfigAnalysis};
use autotune_model::{History, Stage, TrialKey, TrialSpec};

use crate::blocks::outstanding;
use crate::length::Length;
use crate::plan::Plan;

/// How many launches it takes where nothing is refused: room is kept for them.
pub(crate) fn usual(plan: &Plan) -> u32 {
    plan.surge.map_or(0, |_| AGREEING)
}

/// The next launch of the recommended configuration under the surge; `None` where
/// none is asked for, or it is settled, or cannot be: too many said nothing.
pub(crate) fn next(
    plan: &Plan,
    length: Length,
    (history, analysis): (&History, &Analysis),
) -> Option<TrialSpec> {
    let recommended = analysis.verdict.recommended?;
    let of_it = |one: &&ConfigAnalysis| one.id == recommended && is_open(&one.limits);
    let configuration = &analysis.configurations.iter().find(of_it)?.configuration;
    let mut places = plan.configurations.iter();
    let block = places.position(|one| one == configuration)?;
    let spec = |position: u32| TrialSpec {
        key: TrialKey {
            stage: Stage::Surge,
            block: u32::try_from(block).unwrap_or(u32::MAX),
            position,
        },
        attempt: 0,
        configuration: configuration.clone(),
        load: plan.load.surged(plan.surge),
        length: length.length,
        warm_up: length.warm_up,
        // The same requests for each configuration that is asked.
        seed: plan
            .seed
            .derive("load", &[Stage::Surge as u64, u64::from(position)]),
    };
    let all = (0..LAUNCHES).map(spec).collect();
    outstanding(all, history).into_iter().next()
}

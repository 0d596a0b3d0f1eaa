//! How the time was spent.

use autotune_model::Stage;
use serde::Serialize;

use crate::format::{percent, span};
use crate::launch::{TimeSpent, time_spent};
use crate::study::Study;

#[derive(Debug, Serialize)]
pub(crate) struct TimeRow {
    name: &'static str,
    trials: u64,
    time: String,
    starting: String,
    loading: String,
    between: String,
    share: String,
}

/// Pre-flight, comparison, attempts that say nothing, and the sum.
pub(crate) fn rows(study: &Study<'_>) -> Vec<TimeRow> {
    let whole = time_spent(study, |_| true);
    let useful = |stage: Stage| {
        time_spent(study, |trial| {
            trial.spec.key.stage == stage && !trial.outcome.says_nothing()
        })
    };
    let parts = [
        ("pre-flight", useful(Stage::Preflight)),
        ("comparison", useful(Stage::Measure)),
        ("surge", useful(Stage::Surge)),
        (
            "attempts that say nothing",
            time_spent(study, |trial| trial.outcome.says_nothing()),
        ),
        ("together", whole),
    ];
    let parts = parts.into_iter().filter(|(_, spent)| spent.trials > 0);
    parts.map(|(name, spent)| row(name, spent, whole)).collect()
}

fn row(name: &'static str, spent: TimeSpent, whole: TimeSpent) -> TimeRow {
    let all = whole.total().as_secs_f64();
    let share = if all > 0.0 {
        spent.total().as_secs_f64() / all * 100.0
    } else {
        0.0
    };
    TimeRow {
        name,
        trials: spent.trials,
        time: span(spent.total()),
        starting: span(spent.starting),
        loading: span(spent.loading),
        between: span(spent.between),
        share: percent(share),
    }
}

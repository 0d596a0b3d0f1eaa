//! Limits, and whether a configuration can be recommended at all.

use autotune_model::Objective;
use autotune_stats::{lower_bound, upper_bound};

use crate::outcome::{EndpointEstimate, Feasibility, Launches, LimitCheck, LimitState};

/// The confidence of "shown" and "broken".
const CONFIDENCE: f64 = 0.95;

/// Each limit at each endpoint, from counts over all launches.
pub(crate) fn limits(objective: &Objective, endpoints: &[EndpointEstimate]) -> Vec<LimitCheck> {
    let Some(limit) = objective.max_error_rate else {
        return Vec::new();
    };
    let counted = endpoints.iter().filter(|endpoint| endpoint.scheduled > 0);
    let checks = counted.map(|endpoint| {
        let (bad, of) = (endpoint.not_completed, endpoint.scheduled);
        let upper = upper_bound(bad, of, CONFIDENCE);
        let state = if lower_bound(bad, of, CONFIDENCE) > limit.get() {
            LimitState::Broken
        } else if upper <= limit.get() {
            LimitState::Shown
        } else {
            LimitState::NotShownBroken
        };
        LimitCheck {
            limit: "max_error_rate".to_owned(),
            endpoint: endpoint.name.clone(),
            at_most: limit.get(),
            seen: bad as f64 / of as f64,
            upper,
            state,
        }
    });
    checks.collect()
}

/// A configuration is infeasible when a limit is shown broken, or when more than
/// one in five of its launches failed (a single failure among five or more may
/// be the machine's doing; it is counted and shown).
pub(crate) fn feasibility(launches: &Launches, limits: &[LimitCheck]) -> Feasibility {
    let mut reasons: Vec<String> = limits
        .iter()
        .filter(|check| check.state == LimitState::Broken)
        .map(|check| {
            format!(
                "{} at {}: {:.2} % of requests were not completed, at most {:.2} % allowed",
                check.limit,
                check.endpoint,
                check.seen * 100.0,
                check.at_most * 100.0
            )
        })
        .collect();
    if launches.failed() * 5 > launches.telling() {
        reasons.extend(failures(launches));
    }
    if !reasons.is_empty() {
        Feasibility::Infeasible(reasons)
    } else if launches.measured == 0 {
        Feasibility::Unknown(vec![unknown(launches)])
    } else {
        Feasibility::Feasible
    }
}

fn unknown(launches: &Launches) -> String {
    match (launches.no_statistic, launches.invalid) {
        (0, 0) => "not launched in the comparison".to_owned(),
        (0, n) => format!("none of {n} launches was valid"),
        (n, _) => format!("in {n} launches too little was measured to compare"),
    }
}

fn failures(launches: &Launches) -> impl Iterator<Item = String> {
    let of = launches.telling();
    let kinds = [
        (launches.overloaded, "overloaded"),
        (launches.failed_to_start, "failed to start"),
        (launches.died, "died under load"),
        (launches.out_of_memory, "out of memory"),
        (launches.not_attained, "too many failures for the quantile"),
    ];
    let seen = kinds.into_iter().filter(|(count, _)| *count > 0);
    seen.map(move |(count, what)| format!("{what} in {count} of {of} launches"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_in_five_is_tolerated_and_two_are_not() {
        let launches = |measured, died| Launches {
            measured,
            died,
            ..Launches::default()
        };
        assert_eq!(feasibility(&launches(4, 1), &[]), Feasibility::Feasible);
        let infeasible = Feasibility::Infeasible(vec!["died under load in 2 of 5 launches".into()]);
        assert_eq!(feasibility(&launches(3, 2), &[]), infeasible);
        assert!(matches!(
            feasibility(&launches(0, 0), &[]),
            Feasibility::Unknown(_)
        ));
    }
}

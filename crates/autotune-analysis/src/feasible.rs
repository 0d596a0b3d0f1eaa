//! Limits, and whether a configuration can be recommended at all.

use autotune_model::{Bytes, MaxLatency, Metric, Objective, Outcome, Share};
use autotune_stats::student::upper_quantile;
use autotune_stats::{lower_bound, mean, tries_needed, upper_bound, variance};

use crate::outcome::{
    EndpointEstimate, Feasibility, Launches, LimitCheck, LimitFigures, LimitState,
};
use crate::sample::{Arm, endpoint_us};

/// The confidence of "shown" and "broken".
pub(crate) const CONFIDENCE: f64 = 0.95;

/// How many requests of an endpoint, none of which fails, show that a limit on the
/// error rate holds; `None` for a limit that no number of requests shows.
pub fn requests_to_show(max_error_rate: Share) -> Option<u64> {
    tries_needed(max_error_rate.get(), CONFIDENCE)
}

/// Each limit at each endpoint, and that of the whole server.
pub(crate) fn limits(
    objective: &Objective,
    arm: &Arm<'_>,
    endpoints: &[EndpointEstimate],
) -> Vec<LimitCheck> {
    let slow = objective.max_latency.iter().filter_map(|limit| {
        let place = endpoints
            .iter()
            .position(|one| one.name == limit.endpoint)?;
        Some(latency(limit, arm, place))
    });
    let memory = objective.max_memory.map(|limit| memory(limit, arm));
    errors(objective, endpoints)
        .chain(slow)
        .chain(memory)
        .collect()
}

/// From counts over all launches.
fn errors<'e>(
    objective: &Objective,
    endpoints: &'e [EndpointEstimate],
) -> impl Iterator<Item = LimitCheck> + use<'e> {
    let limit = objective.max_error_rate;
    let counted = endpoints.iter().filter(|endpoint| endpoint.scheduled > 0);
    counted.filter_map(move |endpoint| {
        let at_most = limit?.get();
        let (bad, of) = (endpoint.not_completed, endpoint.scheduled);
        let upper = upper_bound(bad, of, CONFIDENCE);
        let state = if lower_bound(bad, of, CONFIDENCE) > at_most {
            LimitState::Broken
        } else if upper <= at_most {
            LimitState::Shown
        } else {
            LimitState::NotShownBroken
        };
        Some(LimitCheck {
            limit: "max_error_rate".to_owned(),
            endpoint: Some(endpoint.name.clone()),
            figures: LimitFigures::Share {
                at_most,
                seen: bad as f64 / of as f64,
                upper,
            },
            state,
        })
    })
}

/// From the quantile of each measured launch: launches differ by more than the
/// requests of one let expect, so a count over all requests would be too sure. A
/// launch in which the quantile was not attained is slower than any limit.
fn latency(limit: &MaxLatency, arm: &Arm<'_>, place: usize) -> LimitCheck {
    let metric = Metric::Latency(limit.quantile);
    let measured = arm
        .launches
        .iter()
        .filter(|launch| launch.record.outcome == Outcome::Measured);
    let loads = measured.filter_map(|launch| launch.record.load.as_ref()?.endpoints.get(place));
    let all: Vec<Option<f64>> = loads
        .filter(|load| load.window.scheduled > 0)
        .map(|load| endpoint_us(metric, load))
        .collect();
    let logs: Vec<f64> = all.iter().flatten().map(|us| us.ln()).collect();
    let at_most_us = limit.at_most.as_secs_f64() * 1e6;
    let launches = Figures {
        logs: &logs,
        lost: all.len() - logs.len(),
    };
    let (state, seen_us, upper_us) = launches.against(at_most_us);
    LimitCheck {
        limit: limit.key(),
        endpoint: Some(limit.endpoint.clone()),
        figures: LimitFigures::Time {
            at_most_us,
            seen_us,
            upper_us,
        },
        state,
    }
}

/// From the peak of each launch that lived through its load, overloaded ones
/// included; one that died had not reached its peak.
fn memory(limit: Bytes, arm: &Arm<'_>) -> LimitCheck {
    let lived = arm.launches.iter().filter(|launch| {
        matches!(
            launch.record.outcome,
            Outcome::Measured | Outcome::Overloaded { .. }
        )
    });
    let peaks = lived.filter_map(|launch| launch.record.server.as_ref()?.memory_peak);
    let logs: Vec<f64> = peaks.map(|peak| (peak.get() as f64).ln()).collect();
    let at_most = limit.get() as f64;
    let launches = Figures {
        logs: &logs,
        lost: 0,
    };
    let (state, seen, upper) = launches.against(at_most);
    LimitCheck {
        limit: "max_memory".to_owned(),
        endpoint: None,
        figures: LimitFigures::Memory {
            at_most,
            seen,
            upper,
        },
        state,
    }
}

/// One figure a launch, as logs, and how many launches lie beyond any limit.
struct Figures<'a> {
    logs: &'a [f64],
    lost: usize,
}

impl Figures<'_> {
    /// What they say of a limit, their geometric mean, and its upper bound.
    fn against(&self, at_most: f64) -> (LimitState, Option<f64>, Option<f64>) {
        let middle = mean(self.logs);
        let margin = variance(self.logs).map(|variance| {
            let n = self.logs.len() as f64;
            upper_quantile(1.0 - CONFIDENCE, n - 1.0) * (variance / n).sqrt()
        });
        let bounds = middle.zip(margin);
        let upper = bounds
            .map(|(middle, margin)| (middle + margin).exp())
            .filter(|_| self.lost == 0);
        let lower = bounds.map(|(middle, margin)| (middle - margin).exp());
        let never = self.logs.is_empty() && self.lost > 0;
        let state = if never || lower.is_some_and(|lower| lower > at_most) {
            LimitState::Broken
        } else if upper.is_some_and(|upper| upper <= at_most) {
            LimitState::Shown
        } else {
            LimitState::NotShownBroken
        };
        (state, middle.map(f64::exp), upper)
    }
}

/// What broke a limit, for people.
fn broken(check: &LimitCheck) -> String {
    let place = check.endpoint.as_ref();
    let place = place.map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
    let limit = format!("{}{place}", check.limit);
    let ms = |us: f64| format!("{:.1} ms", us / 1e3);
    let not_attained = || "not attained".to_owned();
    match check.figures {
        LimitFigures::Share { at_most, seen, .. } => format!(
            "{limit}: {:.2} % of requests were not completed, at most {:.2} % allowed",
            seen * 100.0,
            at_most * 100.0
        ),
        LimitFigures::Time {
            at_most_us,
            seen_us,
            ..
        } => format!(
            "{limit}: {}, at most {} allowed",
            seen_us.map_or_else(not_attained, ms),
            ms(at_most_us)
        ),
        LimitFigures::Surge {
            factor,
            carried,
            failed,
        } => format!(
            "{limit}: {factor} times the rate is not carried in {failed} of {} launches",
            carried + failed
        ),
        LimitFigures::Memory { at_most, seen, .. } => {
            let bytes = |bytes: f64| Bytes::new(bytes as u64).to_string();
            format!(
                "{limit}: {}, at most {} allowed",
                seen.map_or_else(not_attained, bytes),
                bytes(at_most)
            )
        }
    }
}

/// A configuration is infeasible when a limit is shown broken, or when more than
/// one in five of its launches failed (a single failure among five or more may
/// be the machine's doing; it is counted and shown).
pub(crate) fn feasibility(launches: &Launches, limits: &[LimitCheck]) -> Feasibility {
    let mut reasons: Vec<String> = limits
        .iter()
        .filter(|check| check.state == LimitState::Broken)
        .map(broken)
        .collect();
    if are_too_many(launches.failed(), launches) {
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

/// Whether so many of these launches rule a configuration out.
pub(crate) fn are_too_many(failed: u32, launches: &Launches) -> bool {
    failed * 5 > launches.telling()
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

//! What a budget gives before anything was measured: how long trials will be, how
//! many blocks fit, how many requests a quantile gets. The same computations as
//! those of a sweep, with what is known by then in the place of the pre-flight.

use std::time::Duration;

use autotune_analysis::compare::FIRST_LOOK;
use autotune_model::Metric;

use crate::length::{self, Length, Room};
use crate::plan::{Plan, Warning};
use crate::surge;

/// What is known before the pre-flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// What a launch was seen to take besides its load; `None` where none was
    /// seen, and a usual time is taken.
    pub overhead: Option<Duration>,
}

/// What a budget gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// How many launches the pre-flight has.
    pub preflight_trials: u32,
    /// How long the pre-flight takes in all.
    pub preflight: Duration,
    /// How long requests are sent in a trial of the comparison; a guess where the
    /// rate is only seen in the pre-flight.
    pub length: Duration,
    /// The part of it that does not count.
    pub warm_up: Duration,
    /// What a trial takes besides.
    pub overhead: Duration,
    /// How long a block takes.
    pub block: Duration,
    /// How many whole blocks fit into the budget.
    pub blocks: u32,
    /// How many launches under the surge there is room for after the comparison.
    pub surge_trials: u32,
    /// How long they take in all.
    pub surge: Duration,
    /// When a sweep may stop because of what it saw; `None` where so many blocks
    /// do not fit.
    pub earliest_end: Option<Duration>,
    /// When it stops for want of budget.
    pub latest_end: Duration,
    /// Requests of the rarest endpoint that are expected in the window of a trial;
    /// `None` where only the pre-flight will show the rate.
    pub requests: Option<u64>,
    /// How many the quantile takes; `None` where no quantile is minimised.
    pub requests_needed: Option<u64>,
    /// What the pre-flight will find wanting.
    pub warnings: Vec<Warning>,
}

/// How often the comparison's blocks fit, and how fast requests come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) blocks: f64,
    /// Of the rarest endpoint; `None` where nobody knows it yet.
    pub(crate) rarest: Option<f64>,
}

/// What a sweep of this plan will be like, with so many launches before it.
pub(crate) fn outlook(plan: &Plan, probes: u32, known: Known) -> Outlook {
    let none = || std::iter::empty();
    let overhead = known.overhead.unwrap_or_else(|| length::overhead(none()));
    let known_rate = plan.load.mean_rate();
    let rarest = known_rate.map(|_| length::rarest(plan, none()));
    let preflight = (length::preflight(plan).length + overhead) * probes;
    let left = plan.budget.saturating_sub(preflight);
    let room = Room {
        configurations: plan.configurations.len(),
        left,
        overhead,
        // Without a rate the usual limit is taken; requests that are rare make
        // trials longer than that, where the budget allows.
        rarest: rarest.unwrap_or(0.0),
        reserved: surge::usual(plan),
        took: None,
    };
    let decided = length::comparison(plan, room);
    let blocks = length::blocks(room, decided);
    let whole = blocks.min(1e6) as u32;
    let count = u32::try_from(plan.configurations.len()).unwrap_or(u32::MAX);
    let block = (decided.length + overhead) * count;
    let pace = Pace { blocks, rarest };
    let surge = (decided.length + overhead) * surge::usual(plan);
    Outlook {
        preflight_trials: probes,
        preflight,
        length: decided.length,
        warm_up: decided.warm_up,
        overhead,
        block,
        blocks: whole,
        surge_trials: surge::usual(plan),
        surge,
        earliest_end: (whole >= FIRST_LOOK).then(|| preflight + block * FIRST_LOOK + surge),
        latest_end: preflight + block * whole + surge,
        requests: rarest.map(|rate| requests(decided, rate)),
        requests_needed: needed(plan.metric),
        warnings: too_few(plan, decided, pace),
    }
}

/// Where the requests of a trial, or the blocks, are too few for what is asked.
pub(crate) fn too_few(plan: &Plan, decided: Length, pace: Pace) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some((rate, need)) = pace.rarest.zip(needed(plan.metric)) {
        let expected = requests(decided, rate);
        if expected < need {
            warnings.push(Warning::FewRequests { expected, need });
        }
    }
    if pace.blocks < f64::from(FIRST_LOOK) {
        warnings.push(Warning::FewBlocks {
            fit: pace.blocks as u32,
            need: FIRST_LOOK,
        });
    }
    warnings
}

fn needed(metric: Metric) -> Option<u64> {
    match metric {
        Metric::Latency(quantile) => Some(quantile.requests_needed()),
        Metric::Mean | Metric::Memory | Metric::Cpu | Metric::Duration => None,
    }
}

/// Of the rarest endpoint in the window.
fn requests(decided: Length, rarest: f64) -> u64 {
    let window = decided.length.saturating_sub(decided.warm_up);
    (rarest * window.as_secs_f64()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use autotune_model::{
        Arrivals, Configuration, LoadShape, Quantile, Rate, Seed, Share, VariantName,
    };

    fn plan(budget: u64, load: LoadShape) -> Plan {
        let profile = autotune_model::Profile {
            name: "command".to_owned(),
            params: Vec::new(),
            label_fields: 0,
            folds: Vec::new(),
            recycling: None,
            config_file: None,
            workers: None,
            threads: None,
            cleared_env: Vec::new(),
        };
        let one = |number: i64| {
            let given = [("n".into(), number.into())];
            Configuration::fold(&profile, &VariantName::new("x"), &given, false).configuration
        };
        Plan {
            configurations: (1..=4).map(one).collect(),
            baseline: None,
            seed: Seed::new(1),
            budget: Duration::from_secs(budget),
            load,
            metric: Metric::Latency(Quantile::P95),
            surge: None,
            rarest_endpoint: Share::new(0.25).unwrap(),
        }
    }

    fn open(rate: f64) -> LoadShape {
        LoadShape::open(Rate::per_second(rate).unwrap(), Arrivals::Constant)
    }

    const TWO: Known = Known {
        overhead: Some(Duration::from_secs(2)),
    };

    #[test]
    fn an_hour_is_divided_as_a_sweep_does_it() {
        let seconds = Duration::from_secs;
        let seen = outlook(&plan(3600, open(100.0)), 6, TWO);
        // A sixtieth of the budget is more than the longest probe, 30 s.
        assert_eq!(seen.preflight, seconds(6 * 32));
        // As `length` computes it for 200 requests at 25 a second.
        assert_eq!((seen.length, seen.warm_up), (seconds(11), seconds(1)));
        assert_eq!(seen.block, seconds(4 * 13));
        // 3408 / 52 = 65.5.
        assert_eq!(seen.blocks, 65);
        assert_eq!(seen.earliest_end, Some(seconds(192 + 8 * 52)));
        assert_eq!(seen.latest_end, seconds(192 + 65 * 52));
        assert_eq!(
            (seen.requests, seen.requests_needed),
            (Some(250), Some(200))
        );
        assert_eq!(seen.warnings, []);
    }

    #[test]
    fn what_is_too_little_is_said() {
        let seen = outlook(&plan(200, open(20.0)), 4, TWO);
        assert_eq!(seen.earliest_end, None);
        let expected = seen.requests.unwrap();
        let few = Warning::FewRequests {
            expected,
            need: 200,
        };
        let blocks = Warning::FewBlocks {
            fit: seen.blocks,
            need: 8,
        };
        assert_eq!(seen.warnings, [few, blocks]);
    }

    #[test]
    fn a_rate_that_nobody_knows_yet_gives_the_longest_usual_trial() {
        let users = LoadShape::closed(5, Duration::ZERO);
        let seen = outlook(&plan(36_000, users), 6, TWO);
        assert_eq!(seen.length, Duration::from_secs(60));
        assert_eq!(seen.requests, None);
        assert_eq!(seen.warnings, []);
    }
}

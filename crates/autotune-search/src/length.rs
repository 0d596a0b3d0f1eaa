//! How long a trial is, from the budget and the pre-flight.

use std::time::Duration;

use autotune_analysis::compare::FIRST_LOOK;
use autotune_model::{LoadRecord, LoadShape, Metric, Outcome, TrialRecord, whole_seconds};
use autotune_stats::median;

use crate::plan::Plan;

/// No trial is shorter: below it start-up effects are most of what is seen.
const SHORTEST: Duration = Duration::from_secs(4);
/// Where requests need not more, no trial is longer: another launch tells more
/// than a longer one, since launches differ from each other.
const LONGEST: Duration = Duration::from_secs(60);
/// The warm-up is this part of a trial, at least one second, in whole seconds.
const WARM_UP_PART: u32 = 10;

/// The length of a trial and its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length {
    pub(crate) length: Duration,
    pub(crate) warm_up: Duration,
}

impl Length {
    /// What a load with steps says itself.
    fn fixed(load: &LoadShape) -> Option<Self> {
        let length = load.fixed_length()?;
        let warm_up = load.fixed_warm_up()?;
        Some(Self { length, warm_up })
    }

    /// Longer by the time in which the load reaches its level, which does not count.
    fn after_ramp(self, load: &LoadShape) -> Self {
        let ramp = whole_seconds(load.ramp());
        Self {
            length: self.length + ramp,
            warm_up: self.warm_up + ramp,
        }
    }

    /// Of users with a fixed number of requests: as long as they may take. What does
    /// not count depends on how long they were seen to take.
    fn of_loops(load: &LoadShape, took: Option<Took>) -> Option<Self> {
        let (length, unseen) = load.unseen_length()?;
        let ramp = whole_seconds(load.ramp());
        let warm_up = took.map_or(unseen, |took| {
            Self::of(took.shortest.saturating_sub(ramp)).warm_up + ramp
        });
        Some(Self { length, warm_up })
    }

    /// The time that a trial is expected to send requests for.
    pub(crate) fn expected(self, took: Option<Took>) -> Self {
        let length = took.map_or(self.length, |took| took.median);
        Self { length, ..self }
    }

    /// With a warm-up in whole seconds, since records are by the second.
    pub(crate) fn of(length: Duration) -> Self {
        let warm_up = Duration::from_secs((length / WARM_UP_PART).as_secs().max(1));
        Self { length, warm_up }
    }
}

/// Whether trials are long because the load is, by steps or a ramp, whatever the
/// budget.
pub(crate) fn is_given(load: &LoadShape) -> bool {
    load.fixed_length().is_some() || !load.ramp().is_zero()
}

/// The pre-flight's trials: a sixtieth of the budget, within bounds; all steps,
/// where there are any.
pub(crate) fn preflight(plan: &Plan) -> Length {
    let wanted = (plan.budget / 60).clamp(SHORTEST, Duration::from_secs(30));
    unless_given(&plan.load, wanted)
}

/// How long a load is of which nothing was seen yet, and the part at the beginning
/// that does not count: what steps or loops say themselves, else as long as wanted,
/// and a ramp before.
pub fn trial_length(load: &LoadShape, wanted: Duration) -> (Duration, Duration) {
    let Length { length, warm_up } = unless_given(load, wanted);
    (length, warm_up)
}

fn unless_given(load: &LoadShape, wanted: Duration) -> Length {
    let given = Length::fixed(load).or_else(|| Length::of_loops(load, None));
    given.unwrap_or_else(|| Length::of(wanted).after_ramp(load))
}

/// How long users with a fixed number of requests took until all were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    pub(crate) median: Duration,
    pub(crate) shortest: Duration,
}

/// Of the trials that were measured; `None` where there is none, or where the load
/// does not end with its users.
pub(crate) fn took<'a>(trials: impl Iterator<Item = &'a TrialRecord>) -> Option<Took> {
    let measured = trials
        .filter(|trial| trial.outcome == Outcome::Measured && trial.spec.load.at_most().is_some());
    let each = measured.filter_map(|trial| Some(trial.load.as_ref()?.length.as_secs_f64()));
    let each: Vec<f64> = each.collect();
    let shortest = each.iter().copied().reduce(f64::min)?;
    Some(Took {
        median: Duration::from_secs_f64(median(&each)?),
        shortest: Duration::from_secs_f64(shortest),
    })
}

/// How long requests were sent: as planned, or until all users were done.
fn sent(trial: &TrialRecord) -> Duration {
    let until_done = trial.load.as_ref();
    let until_done = until_done.filter(|_| trial.spec.load.at_most().is_some());
    until_done.map_or(trial.spec.length, |load| load.length)
}

/// What a trial takes besides its load: median over trials with a load.
pub(crate) fn overhead<'a>(trials: impl Iterator<Item = &'a TrialRecord>) -> Duration {
    let each: Vec<f64> = trials
        .filter(|trial| trial.load.is_some())
        .map(|trial| {
            trial
                .span
                .length()
                .saturating_sub(sent(trial))
                .as_secs_f64()
        })
        .collect();
    Duration::from_secs_f64(median(&each).unwrap_or(3.0))
}

/// What the comparison's trials must fit into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// How many are compared.
    pub(crate) configurations: usize,
    /// What is left of the budget.
    pub(crate) left: Duration,
    /// What a trial takes besides its load.
    pub(crate) overhead: Duration,
    /// Requests per second of the endpoint that is asked the least.
    pub(crate) rarest: f64,
    /// Trials after the comparison: those under the surge.
    pub(crate) reserved: u32,
    /// How long users with a fixed number of requests were seen to take.
    pub(crate) took: Option<Took>,
}

/// The length of the comparison's trials.
///
/// What the quantile needs, rounded up, and where that does not fit as often as a
/// confirmed verdict takes blocks, as long as so many blocks allow. A launch that
/// meets a slow moment of the machine is one of eight then, and not one of five.
/// In whole seconds. Steps have their length whatever the budget, and users with a
/// fixed number of requests their time.
pub(crate) fn comparison(plan: &Plan, room: Room) -> Length {
    let known = Length::fixed(&plan.load);
    if let Some(known) = known.or_else(|| Length::of_loops(&plan.load, room.took)) {
        return known;
    }
    let besides = room.overhead + whole_seconds(plan.load.ramp());
    let fit = |blocks: u32| {
        let slots = blocks * u32::try_from(room.configurations.max(1)).unwrap_or(u32::MAX);
        (room.left / (slots + room.reserved)).saturating_sub(besides)
    };
    let needed = needed(plan, room.rarest).max(SHORTEST);
    let wanted = needed.max((3 * room.overhead).min(LONGEST));
    let fits = Duration::from_secs(fit(FIRST_LOOK).as_secs());
    let length = whole_seconds(wanted).min(fits).max(SHORTEST);
    Length::of(length).after_ramp(&plan.load)
}

/// How often the comparison's blocks fit into what is left.
pub(crate) fn blocks(room: Room, decided: Length) -> f64 {
    let slot = decided.expected(room.took).length + room.overhead;
    let left = room.left.saturating_sub(slot * room.reserved);
    left.as_secs_f64() / slot.as_secs_f64() / room.configurations.max(1) as f64
}

/// How long a trial must be for the metric's requests at the rarest endpoint,
/// the warm-up included; in whole seconds.
///
/// Arrivals are random: their number has about its own square root as standard
/// deviation. Three of these more, so that hardly a trial has too few.
pub(crate) fn needed(plan: &Plan, rarest: f64) -> Duration {
    let Metric::Latency(quantile) = plan.metric else {
        return SHORTEST;
    };
    if rarest <= 0.0 {
        return LONGEST;
    }
    let need = quantile.requests_needed() as f64;
    let seconds = (need + 3.0 * need.sqrt()) / rarest;
    let window = whole_seconds(Duration::from_secs_f64(seconds.min(86_400.0)));
    // The warm-up is a part of the whole, which is longer than the window.
    let mut length = Length::of(window + Length::of(window).warm_up);
    while length.length - length.warm_up < window {
        length = Length::of(length.length + Duration::from_secs(1));
    }
    length.length
}

/// Requests per second of the endpoint that is asked the least: by the rate of an
/// open load; of a closed one what the pre-flight saw in its windows, as only that
/// knows how slow endpoints are.
pub(crate) fn rarest<'a>(plan: &Plan, trials: impl Iterator<Item = &'a TrialRecord>) -> f64 {
    let share = plan.rarest_endpoint.get();
    if let Some(rate) = plan.load.mean_rate() {
        return rate * share;
    }
    let seen: Vec<f64> = trials
        .filter_map(|trial| rarest_in(trial.load.as_ref()?))
        .collect();
    median(&seen).unwrap_or(share)
}

/// Completed requests per second of the window, where there was one: users who are
/// still coming in ask less than they will.
fn rarest_in(load: &LoadRecord) -> Option<f64> {
    let window = load.length.checked_sub(load.warm_up)?;
    let endpoints = load.endpoints.iter();
    let least = endpoints.map(|one| one.window.completed).min()?;
    (!window.is_zero()).then(|| least as f64 / window.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::blocks::tests::{configurations, ended, plan as block};
    use autotune_model::{
        Accounting, Arrivals, Arriving, EndpointLoad, EndpointName, GeneratorRecord,
        GeneratorVerdict, Groups, Histogram, Levels, LoadRecord, LoadShape, Loops, Metric, Pause,
        Quantile, Rate, Seed, Share, Step, Users,
    };

    fn plan(per_second: f64) -> Plan {
        Plan {
            configurations: Vec::new(),
            baseline: None,
            seed: Seed::new(1),
            budget: Duration::from_secs(300),
            load: LoadShape::open(Rate::per_second(per_second).unwrap(), Arrivals::Poisson),
            metric: Metric::Latency(Quantile::P95),
            surge: None,
            rarest_endpoint: Share::new(0.25).unwrap(),
        }
    }

    fn room(seconds: u64) -> Room {
        Room {
            configurations: 5,
            left: Duration::from_secs(seconds),
            overhead: Duration::from_secs(2),
            rarest: 25.0,
            reserved: 0,
            took: None,
        }
    }

    #[test]
    fn room_is_kept_for_launches_after_the_comparison() {
        // 8 blocks of 5, and 2: 42 slots of 8 s.
        let asked = Room {
            reserved: 2,
            ..room(42 * 8)
        };
        assert_eq!(comparison(&plan(100.0), asked).length.as_secs(), 6);
        assert_eq!(blocks(asked, Length::of(Duration::from_secs(6))), 8.0);
    }

    #[test]
    fn a_trial_is_as_long_as_the_quantile_needs_if_the_budget_allows() {
        // 200 requests and three times 14.1 more, at a quarter of 100 a second,
        // are 9.7 s; rounded up, with a second of warm-up.
        assert_eq!(needed(&plan(100.0), 25.0), Duration::from_secs(11));
        let ample = comparison(&plan(100.0), room(3600));
        assert_eq!(ample.length, Duration::from_secs(11));
        assert_eq!(ample.warm_up, Duration::from_secs(1));
    }

    #[test]
    fn the_window_holds_what_is_needed_at_any_rate() {
        for per_second in 1..400 {
            let per_second = f64::from(per_second);
            let length = needed(&plan(per_second), per_second / 4.0);
            let Length { warm_up, .. } = Length::of(length);
            let requests = (length - warm_up).as_secs_f64() * per_second / 4.0;
            assert!(requests >= 242.0, "{per_second}: {requests} in {length:?}");
        }
    }

    #[test]
    fn a_short_budget_gets_eight_blocks() {
        // 560 / (8 x 5) - 2 = 12 s are more than needed.
        assert_eq!(
            comparison(&plan(100.0), room(560)).length,
            Duration::from_secs(11)
        );
        // 320 / 40 - 2 = 6 s.
        assert_eq!(
            comparison(&plan(100.0), room(320)).length,
            Duration::from_secs(6)
        );
        // Nothing fits: no trial is shorter than the shortest.
        assert_eq!(comparison(&plan(100.0), room(10)).length, SHORTEST);
    }

    fn with_ramp(mut plan: Plan, seconds: f64) -> Plan {
        if let LoadShape::Open(open) = &mut plan.load {
            open.ramp = Duration::from_secs_f64(seconds);
        }
        plan
    }

    #[test]
    fn a_ramp_makes_trials_longer_and_does_not_count() {
        let seconds = Duration::from_secs;
        let ample = comparison(&with_ramp(plan(100.0), 29.5), room(3600));
        assert_eq!((ample.length, ample.warm_up), (seconds(41), seconds(31)));
        // 1400 / 40 - 2 - 30 = 3 s: the shortest there is.
        let short = comparison(&with_ramp(plan(100.0), 30.0), room(1400));
        assert_eq!((short.length, short.warm_up), (seconds(34), seconds(31)));
        let probe = preflight(&with_ramp(plan(100.0), 30.0));
        assert_eq!((probe.length, probe.warm_up), (seconds(35), seconds(31)));
    }

    #[test]
    fn steps_decide_the_length_whatever_the_budget() {
        let step = |rate| Step {
            level: Rate::per_second(rate).unwrap(),
            length: Duration::from_secs(60),
        };
        let mut plan = plan(100.0);
        plan.load = LoadShape::Open(Groups::one(Arriving {
            rate: Levels::Steps(vec![step(50.0), step(90.0)]),
            arrivals: Arrivals::Poisson,
        }));
        let plan = with_ramp(plan, 10.0);
        for length in [comparison(&plan, room(10)), preflight(&plan)] {
            assert_eq!(length.length, Duration::from_secs(120));
            assert_eq!(length.warm_up, Duration::from_secs(16));
        }
        let none = || std::iter::empty();
        assert_eq!(rarest(&plan, none()), 17.5);
    }

    /// Two endpoints with so many completed in the window, of so many in all.
    fn closed(windows: [(u64, u64); 2], (length, warm_up): (u64, u64)) -> LoadRecord {
        let counts = |completed| Accounting {
            scheduled: completed,
            completed,
            ..Accounting::default()
        };
        let endpoint = |(window, total)| EndpointLoad {
            name: EndpointName::new("a"),
            total: counts(total),
            window: counts(window),
            response: Histogram::new(),
            service: Histogram::new(),
            failed: Histogram::new(),
            failures: std::collections::BTreeMap::new(),
        };
        LoadRecord {
            start_ns: 0,
            length: Duration::from_secs(length),
            warm_up: Duration::from_secs(warm_up),
            endpoints: windows.into_iter().map(endpoint).collect(),
            seconds: Vec::new(),
            outstanding: Vec::new(),
            generator: GeneratorRecord {
                own_lag: Histogram::new(),
                waited_for_connection: 0,
                cpu: Duration::ZERO,
                wall: Duration::from_secs(length),
                connections_peak: 1,
                connections_limit: 1,
                outstanding_at_end: 0,
                retries: 0,
                verdict: GeneratorVerdict::Ok,
            },
        }
    }

    #[test]
    fn how_often_users_ask_is_seen_once_they_are_all_there() {
        // While they came in for 31 of 35 s, they asked half as often.
        let record = closed([(40, 195), (8, 39)], (35, 31));
        assert_eq!(rarest_in(&record), Some(2.0));
        // A load that was cut short within its ramp shows nothing.
        assert_eq!(rarest_in(&closed([(0, 20), (0, 9)], (31, 31))), None);
        assert_eq!(rarest_in(&closed([(0, 20), (0, 9)], (9, 31))), None);
    }

    #[test]
    fn users_with_a_number_of_requests_have_their_time_and_are_expected_as_seen() {
        let seconds = Duration::from_secs;
        let mut plan = plan(100.0);
        plan.load = LoadShape::Closed(Groups {
            ramp: seconds(5),
            ..Groups::one(Users {
                count: Levels::Constant(4),
                pause: Pause::Every(seconds(1)),
                loops: Some(Loops {
                    each: NonZeroU32::new(50).unwrap(),
                    at_most: seconds(600),
                }),
            })
        });
        // A second after the ramp, as nobody knows yet how long they take.
        let probe = preflight(&plan);
        assert_eq!((probe.length, probe.warm_up), (seconds(600), seconds(6)));
        let unseen = comparison(&plan, room(8_400));
        assert_eq!(unseen, probe);
        assert_eq!(blocks(room(6_020), unseen), 2.0);
        // Then a tenth of the shortest beside the ramp.
        let seen = Room {
            took: Some(Took {
                median: seconds(48),
                shortest: seconds(45),
            }),
            ..room(2_000)
        };
        let decided = comparison(&plan, seen);
        assert_eq!(
            (decided.length, decided.warm_up),
            (seconds(600), seconds(9))
        );
        assert_eq!(blocks(seen, decided), 8.0);
        assert_eq!(decided.expected(seen.took).length, seconds(48));
    }

    #[test]
    fn how_long_users_took_is_that_of_measured_trials() {
        let spec = |load: &LoadShape| {
            let mut spec = block(0).trials(&configurations()).remove(0);
            spec.load = load.clone();
            spec.length = Duration::from_secs(60);
            spec
        };
        let trial = |load: &LoadShape, outcome, seconds| {
            let mut trial = ended(&spec(load), outcome);
            trial.span.end.boot_ns = (seconds + 3) * 1_000_000_000;
            trial.span.end.monotonic_ns = trial.span.end.boot_ns;
            trial.load = Some(closed([(0, 0); 2], (seconds, 0)));
            trial
        };
        let overloaded = || Outcome::Overloaded {
            detail: String::new(),
        };
        let looping = LoadShape::Closed(Groups::one(Users {
            count: Levels::Constant(4),
            pause: Pause::Every(Duration::from_secs(1)),
            loops: Some(Loops {
                each: NonZeroU32::new(50).unwrap(),
                at_most: Duration::from_secs(60),
            }),
        }));
        let trials = [
            trial(&looping, Outcome::Measured, 20),
            trial(&looping, overloaded(), 60),
            trial(&looping, Outcome::Measured, 12),
            trial(&looping, Outcome::Measured, 50),
        ];
        let found = took(trials.iter()).unwrap();
        assert_eq!(found.median, Duration::from_secs(20));
        assert_eq!(found.shortest, Duration::from_secs(12));
        // Whatever the load took, the rest of each trial were three seconds.
        assert_eq!(overhead(trials.iter()), Duration::from_secs(3));
        assert_eq!(took(trials[1..2].iter()), None);
        let plain = LoadShape::closed(4, Duration::ZERO);
        let plain = [trial(&plain, Outcome::Measured, 60)];
        assert_eq!(took(plain.iter()), None);
    }
}

//! Whether the backlog of an open load grew, over the whole of it or within one of
//! its steps. Pure.

use std::ops::Range;
use std::time::Duration;

use autotune_model::{EndpointLoad, LoadRecord, LoadShape, whole_seconds};

/// More than this share of the requests due without an end when the schedule
/// ends: too many for requests that are merely being served.
const OUTSTANDING_SHARE: f64 = 0.02;
/// And more than so many times what a steady server of this speed holds.
const BEYOND_USUAL: f64 = 2.0;
/// Two numbers that differ by more than so many standard deviations do not differ
/// by chance: it does so once in a thousand times.
const BEYOND_CHANCE: f64 = 3.0;

/// A part of a load over which its level does not change, once it is reached.
struct Part<'a> {
    load: &'a LoadRecord,
    /// Requests that were due in it.
    due: u64,
    /// By endpoint: requests a second that were due once its level was reached.
    rates: Vec<f64>,
    /// Requests due, but without an end at the end of each second in which its
    /// level was reached: what a climb adds to those in flight is no backlog.
    settled: &'a [u32],
    /// The same at its very end.
    left: u64,
}

/// The evidence, where the backlog grew: requests outstanding at the end exceed
/// 2 % of those due, and their number rises once the level is reached (Theil and
/// Sen's slope, its 95 % interval above zero; with fewer than five seconds the
/// ends are compared, and must differ by more than chance explains). Of a load
/// with steps each is looked at like that: a backlog that a later step works off
/// was there all the same.
pub(crate) fn overload(shape: &LoadShape, load: &LoadRecord) -> Option<String> {
    if !matches!(shape, LoadShape::Open(_)) {
        return None;
    }
    let steps = shape.steps();
    let ramp = seconds(whole_seconds(shape.ramp()));
    if steps.len() < 2 {
        return whole(load, ramp).overload("");
    }
    let mut start = 0;
    let parts = steps.iter().map(|step| {
        let end = start + seconds(*step);
        let part = part(load, start..end, ramp);
        start = end;
        part
    });
    let of = steps.len();
    (1..).zip(parts).find_map(|(number, part)| {
        let part = part?;
        part.overload(&format!(" of step {number} of {of}"))
    })
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

fn whole(load: &LoadRecord, ramp: u32) -> Part<'_> {
    let length = load.length.as_secs_f64().max(1e-3);
    let end = seconds(whole_seconds(load.length));
    let rate = |(index, endpoint): (usize, &EndpointLoad)| {
        if ramp == 0 || ramp >= end {
            return endpoint.total.scheduled as f64 / length;
        }
        due_within(load, index, &(ramp..end)) as f64 / (length - f64::from(ramp)).max(1e-3)
    };
    Part {
        load,
        due: load.total().scheduled,
        rates: load.endpoints.iter().enumerate().map(rate).collect(),
        settled: load.outstanding.get(ramp as usize..).unwrap_or_default(),
        left: load.generator.outstanding_at_end,
    }
}

fn due_within(load: &LoadRecord, index: usize, seconds: &Range<u32>) -> u64 {
    let mine = load
        .seconds
        .iter()
        .filter(|second| usize::from(second.endpoint) == index && seconds.contains(&second.second));
    mine.map(|second| second.accounting.scheduled).sum()
}

/// `None` where a load was cut short before its level was reached.
fn part(load: &LoadRecord, within: Range<u32>, ramp: u32) -> Option<Part<'_>> {
    let end = within.end.min(seconds(whole_seconds(load.length)));
    let all = 0..load.endpoints.len();
    let settled = within.start + ramp..end;
    let outstanding = load
        .outstanding
        .get(settled.start as usize..settled.end as usize)?;
    let rate = |index| due_within(load, index, &settled) as f64 / settled.len().max(1) as f64;
    Some(Part {
        load,
        due: all
            .clone()
            .map(|index| due_within(load, index, &within))
            .sum(),
        rates: all.map(rate).collect(),
        left: u64::from(*outstanding.last()?),
        settled: outstanding,
    })
}

impl Part<'_> {
    fn overload(&self, of: &str) -> Option<String> {
        let (due, left) = (self.due, self.left);
        if due == 0 || left as f64 <= OUTSTANDING_SHARE * due as f64 {
            return None;
        }
        // A slow but steady server holds as many as arrive while one is answered.
        if left as f64 <= BEYOND_USUAL * self.usual_in_flight() {
            return None;
        }
        let slope = slope(self.settled)?;
        (slope > 0.0).then(|| {
            format!(
                "{left} of {due} requests{of} were without an answer when the last one was due, \
                 and their number grew by {slope:.1} a second"
            )
        })
    }

    /// Requests in flight if all were answered as fast as the fastest one: rate
    /// times time, summed over the endpoints (Little's law). Under overload the
    /// fastest is among those that came before the backlog, so the warm-up is
    /// looked at, too, and other steps.
    fn usual_in_flight(&self) -> f64 {
        let each = self.rates.iter().zip(0u16..).filter_map(|(rate, index)| {
            let seconds_of = self.load.seconds.iter();
            let mine = seconds_of.filter(|second| second.endpoint == index);
            let fastest = mine.filter_map(|second| second.response.counts().first());
            let fastest_us = fastest.map(|(value_us, _)| *value_us).min()?;
            Some(rate * fastest_us as f64 / 1e6)
        });
        each.sum()
    }
}

/// The rise a second of a series of one value a second; `None` where it is not
/// shown to rise.
fn slope(series: &[u32]) -> Option<f64> {
    let points: Vec<(f64, f64)> = series
        .iter()
        .enumerate()
        .map(|(x, y)| (x as f64, f64::from(*y)))
        .collect();
    if let Some(fit) = autotune_stats::theil_sen(&points) {
        return (fit.low > 0.0).then_some(fit.slope);
    }
    let (first, last) = (points.first()?, points.last()?);
    let rise = last.1 - first.1;
    // Numbers of requests in flight: a variance is about the number itself.
    let by_chance = BEYOND_CHANCE * (first.1 + last.1).sqrt();
    (rise > by_chance).then(|| rise / (last.0 - first.0))
}

#[cfg(test)]
mod tests {
    use autotune_model::{
        Accounting, Arrivals, Arriving, Groups, Levels, LoadSecond, Rate, SparseHistogram, Step,
    };

    use super::*;
    use crate::outcome::tests::load;

    /// Three steps of ten seconds; in each second 100 are due.
    fn in_steps(outstanding: [[u32; 10]; 3]) -> (LoadShape, LoadRecord) {
        let step = |rate| Step {
            level: Rate::per_second(rate).unwrap(),
            length: Duration::from_secs(10),
        };
        let shape = LoadShape::Open(Groups::one(Arriving {
            rate: Levels::Steps(vec![step(50.0), step(100.0), step(60.0)]),
            arrivals: Arrivals::Poisson,
        }));
        let mut record = load(&outstanding.concat());
        record.length = Duration::from_secs(30);
        let second = |second| LoadSecond {
            second,
            accounting: Accounting {
                scheduled: 100,
                completed: 100,
                ..Accounting::default()
            },
            response: SparseHistogram::from_counts([(5_000, 100)]),
            ..LoadSecond::default()
        };
        record.seconds = (0..30).map(second).collect();
        (shape, record)
    }

    const CALM: [u32; 10] = [1, 0, 2, 1, 0, 1, 2, 0, 1, 1];
    const GROWING: [u32; 10] = [5, 12, 19, 31, 38, 49, 58, 71, 80, 92];
    const WORKED_OFF: [u32; 10] = [80, 61, 44, 21, 9, 1, 0, 2, 1, 0];

    #[test]
    fn a_backlog_that_grew_within_any_step_is_an_overload() {
        let check = |outstanding, expected: Option<&str>| {
            let (shape, record) = in_steps(outstanding);
            let found = overload(&shape, &record);
            match expected {
                None => assert_eq!(found, None),
                Some(part) => assert!(found.as_ref().unwrap().contains(part), "{found:?}"),
            }
        };
        check([CALM; 3], None);
        let second = "92 of 1000 requests of step 2 of 3 were without an answer";
        check([CALM, GROWING, WORKED_OFF], Some(second));
        check([CALM, CALM, GROWING], Some("of step 3 of 3"));
        // What is worked off before the step ends counts as served.
        let peak = [5, 20, 40, 60, 60, 40, 20, 5, 1, 0];
        check([CALM, peak, CALM], None);
    }

    /// A slow but steady server: in flight are as many as arrive in 800 ms.
    #[test]
    fn what_a_climb_adds_to_those_in_flight_is_no_backlog() {
        let rate = Rate::per_second(100.0).unwrap();
        let mut shape = LoadShape::open(rate, Arrivals::Poisson);
        let climb: Vec<u32> = (1..=25).map(|second| second * 3 + 1).collect();
        let mut record = load(&[&climb[..], &[78, 80, 81, 82, 80]].concat());
        record.length = Duration::from_secs(30);
        record.endpoints[0].total.scheduled = 1_750;
        let second = |second: u32| LoadSecond {
            second,
            accounting: Accounting {
                scheduled: u64::from((second * 4 + 2).min(100)),
                ..Accounting::default()
            },
            response: SparseHistogram::from_counts([(600_000, 50)]),
            ..LoadSecond::default()
        };
        record.seconds = (0..30).map(second).collect();
        if let LoadShape::Open(open) = &mut shape {
            open.ramp = Duration::from_secs(25);
        }
        assert_eq!(overload(&shape, &record), None);
        // Nor of a server that once answered in 5 ms: at its level nothing grows.
        record.seconds[0].response = SparseHistogram::from_counts([(5_000, 1)]);
        record.outstanding[25..].copy_from_slice(&[80, 78, 81, 79, 80]);
        assert_eq!(overload(&shape, &record), None);
        // What does grow is a backlog, and less than what the climb adds.
        record.outstanding[25..].copy_from_slice(&[80, 83, 87, 90, 95]);
        record.generator.outstanding_at_end = 95;
        let found = overload(&shape, &record).unwrap();
        assert!(found.contains("grew by 3.6 a second"), "{found}");
    }

    #[test]
    fn the_climb_to_a_step_is_no_backlog_either() {
        let (shape, mut record) = in_steps([CALM; 3]);
        let LoadShape::Open(open) = shape else {
            unreachable!("steps of an open load");
        };
        let shape = LoadShape::Open(Groups {
            ramp: Duration::from_secs(5),
            ..open
        });
        let climb = [5, 15, 25, 40, 55, 60, 58, 61, 59, 60];
        record.outstanding[10..20].copy_from_slice(&climb);
        assert_eq!(overload(&shape, &record), None);
        let on = [5, 15, 25, 40, 55, 60, 67, 72, 80, 86];
        record.outstanding[10..20].copy_from_slice(&on);
        assert!(overload(&shape, &record).is_some());
    }

    /// Of fewer than five seconds: as many as chance lets rise, and more.
    #[test]
    fn a_short_load_is_overloaded_only_beyond_chance() {
        let shape = LoadShape::open(Rate::per_second(100.0).unwrap(), Arrivals::Poisson);
        let is_overloaded = |outstanding: &[u32]| {
            let mut record = load(outstanding);
            record.endpoints[0].total.scheduled = 400;
            overload(&shape, &record).is_some()
        };
        assert!(!is_overloaded(&[2, 5, 4, 11]));
        assert!(!is_overloaded(&[8, 10, 12, 20]));
        assert!(is_overloaded(&[10, 22, 29, 41]));
        assert!(!is_overloaded(&[41]));
    }

    #[test]
    fn a_load_that_was_cut_short_is_judged_as_far_as_it_went() {
        let (shape, mut record) = in_steps([CALM, GROWING, CALM]);
        record.length = Duration::from_secs(4);
        record.outstanding.truncate(4);
        assert_eq!(overload(&shape, &record), None);
        let (shape, mut record) = in_steps([CALM, GROWING, CALM]);
        record.length = Duration::from_secs(20);
        record.outstanding.truncate(20);
        assert!(overload(&shape, &record).is_some());
    }
}

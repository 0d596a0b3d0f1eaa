//! Whether the generator was the bottleneck: a pure function of what it noted
//! of itself.

use std::collections::BTreeMap;

use autotune_model::{GeneratorVerdict, Histogram, LoadRecord};

use crate::transport::Resource;

/// A lag up to here is no matter, or up to this share of the median service time
/// if that is longer: one limit for all would find fault with slow
/// configurations, whose server keeps the machine busy for longer.
const LATE_US: u64 = 1_000;
const LATE_SHARE_OF_SERVICE: f64 = 0.10;
/// Share of sends that may be late although a connection was free; the limit of
/// Fortio's warning.
const LATE_SHARE: f64 = 0.05;
/// Share of one CPU: a thread that is busier answers late by queueing alone.
const BUSY_SUSPECT: f64 = 0.70;
const BUSY_INVALID: f64 = 0.80;
/// Share of the schedule that must have been sent when it ended.
const ACHIEVED_SHARE: f64 = 0.99;
/// Little's law: in closed load each user is, at any time, waiting for an
/// answer or thinking. The share of the users' time that may be neither.
const UNKNOWN_USER_SHARE: f64 = 0.05;

/// What the engine noted of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// 99th percentile of the own lag; `None` without sends.
    pub(crate) own_lag_p99_us: Option<u64>,
    /// Median service time; `None` where no request was completed.
    pub(crate) service_p50_us: Option<u64>,
    /// Requests that found a free connection, or room for a new one.
    pub(crate) sends: u64,
    /// Of these: taken up late, see [`late_from_us`].
    pub(crate) late: u64,
    /// Of these late ones: taken up after the schedule had ended.
    pub(crate) behind: u64,
    /// Requests that waited for a connection.
    pub(crate) waited: u64,
    /// The most connections allowed.
    pub(crate) limit: u32,
    /// Share of one CPU used up to the end of the schedule.
    pub(crate) busy: Option<f64>,
    /// What the machine ran out of, and how often.
    pub(crate) resources: BTreeMap<Resource, u64>,
    /// The time of all users, in closed load.
    pub(crate) users: Option<UserTime>,
}

/// The users' time, summed up over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserTime {
    /// Number of users times length of the schedule.
    pub(crate) planned_ns: u128,
    /// Of this: waiting for an answer, thinking, or not yet begun.
    pub(crate) known_ns: u128,
}

/// The verdict. With a reason for `Invalid`, reasons for `Suspect` follow after
/// those, so that none is hidden.
pub(crate) fn judge(findings: &Findings) -> GeneratorVerdict {
    let mut invalid = reasons_for_invalid(findings);
    let suspect = reasons_for_suspect(findings);
    if !invalid.is_empty() {
        invalid.extend(suspect);
        GeneratorVerdict::Invalid(invalid)
    } else if !suspect.is_empty() {
        GeneratorVerdict::Suspect(suspect)
    } else {
        GeneratorVerdict::Ok
    }
}

/// The longest lag that does not count as late, microseconds.
pub(crate) fn late_from_us(service_p50_us: Option<u64>) -> u64 {
    let by_service = service_p50_us.unwrap_or_default() as f64 * LATE_SHARE_OF_SERVICE;
    LATE_US.max(by_service as u64)
}

/// How many values are above this one.
pub(crate) fn count_above(histogram: &Histogram, value_us: u64) -> u64 {
    let above = histogram.counts().filter(|(value, _)| *value > value_us);
    above.map(|(_, count)| count).sum()
}

/// Whether a load shows its generator to have been too slow, apart from what it
/// waited for: too many sends were late, or its thread was too busy while
/// requests were due. The same limits as for its own verdict, for those who ask
/// whether a backlog was its doing.
pub fn generator_was_slow(load: &LoadRecord) -> bool {
    let mut service = Histogram::new();
    let seconds = load.seconds.iter();
    seconds.for_each(|second| second.service.add_to(&mut service));
    let generator = &load.generator;
    let late_from = late_from_us(service.quantile_us(0.5));
    let late = count_above(&generator.own_lag, late_from);
    let length = load.length.as_secs_f64();
    let busy = length > 0.0 && generator.cpu.as_secs_f64() / length > BUSY_INVALID;
    busy || share(late, generator.own_lag.len()) > LATE_SHARE
}

fn reasons_for_invalid(findings: &Findings) -> Vec<String> {
    let mut reasons = Vec::new();
    let late = share(findings.late, findings.sends);
    if late > LATE_SHARE {
        reasons.push(format!(
            "{:.1} % of the sends were late by more than {:.1} ms though a connection was free",
            late * 100.0,
            late_from_us(findings.service_p50_us) as f64 / 1_000.0
        ));
    }
    let achieved = 1.0 - share(findings.behind, findings.sends);
    if achieved < ACHIEVED_SHARE {
        reasons.push(format!(
            "only {:.1} % of the schedule was sent in time though connections were free",
            achieved * 100.0
        ));
    }
    if let Some(busy) = findings.busy.filter(|busy| *busy > BUSY_INVALID) {
        reasons.push(format!(
            "the generator thread was {:.0} % busy",
            busy * 100.0
        ));
    }
    if findings.waited > 0 {
        reasons.push(format!(
            "{} requests waited because all {} connections were in use",
            findings.waited, findings.limit
        ));
    }
    for (resource, count) in &findings.resources {
        reasons.push(format!("{count} requests failed: {resource}"));
    }
    reasons
}

fn reasons_for_suspect(findings: &Findings) -> Vec<String> {
    let mut reasons = Vec::new();
    let limit = late_from_us(findings.service_p50_us);
    if let Some(lag) = findings.own_lag_p99_us.filter(|lag| *lag > limit) {
        reasons.push(format!(
            "the generator's own lag has a 99th percentile of {lag} us"
        ));
    }
    let busy = findings
        .busy
        .filter(|busy| *busy > BUSY_SUSPECT && *busy <= BUSY_INVALID);
    if let Some(busy) = busy {
        reasons.push(format!(
            "the generator thread was {:.0} % busy",
            busy * 100.0
        ));
    }
    if let Some(users) = findings.users.filter(|users| users.planned_ns > 0) {
        let unknown_ns = users.planned_ns.saturating_sub(users.known_ns);
        let unknown = unknown_ns as f64 / users.planned_ns as f64;
        if unknown > UNKNOWN_USER_SHARE {
            reasons.push(format!(
                "{:.1} % of the users' time went into neither waiting nor thinking (Little's law)",
                unknown * 100.0
            ));
        }
    }
    reasons
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Findings {
        Findings {
            own_lag_p99_us: Some(300),
            service_p50_us: Some(2_000),
            sends: 1_000,
            limit: 64,
            busy: Some(0.2),
            users: Some(UserTime {
                planned_ns: 1_000,
                known_ns: 990,
            }),
            ..Findings::default()
        }
    }

    /// The word of the verdict, and a part of its first reason.
    fn check(change: impl FnOnce(&mut Findings), word: &str, reason: &str) {
        let mut findings = good();
        change(&mut findings);
        let (got, reasons) = match judge(&findings) {
            GeneratorVerdict::Ok => ("ok", Vec::new()),
            GeneratorVerdict::Suspect(reasons) => ("suspect", reasons),
            GeneratorVerdict::Invalid(reasons) => ("invalid", reasons),
        };
        assert_eq!(got, word, "{findings:?}: {reasons:?}");
        let first = reasons.first().map_or("", String::as_str);
        assert!(first.contains(reason), "{first:?} lacks {reason:?}");
    }

    #[test]
    fn a_good_generator_is_ok() {
        check(|_| (), "ok", "");
        check(|findings| *findings = Findings::default(), "ok", "");
    }

    #[test]
    fn own_lag_is_measured_against_service() {
        check(|findings| findings.own_lag_p99_us = Some(1_000), "ok", "");
        check(
            |findings| findings.own_lag_p99_us = Some(1_001),
            "suspect",
            "1001 us",
        );
        let slow = |findings: &mut Findings| {
            findings.own_lag_p99_us = Some(4_000);
            findings.service_p50_us = Some(50_000);
        };
        check(slow, "ok", "");
        let unknown = |findings: &mut Findings| {
            findings.own_lag_p99_us = Some(1_500);
            findings.service_p50_us = None;
        };
        check(unknown, "suspect", "99th percentile");
    }

    #[test]
    fn late_sends_and_a_missed_rate_are_invalid() {
        check(|findings| findings.late = 50, "ok", "");
        check(
            |findings| findings.late = 51,
            "invalid",
            "5.1 % of the sends were late",
        );
        check(|findings| findings.behind = 10, "ok", "");
        check(|findings| findings.behind = 11, "invalid", "only 98.9 %");
    }

    #[test]
    fn a_busy_thread_is_suspect_and_then_invalid() {
        check(|findings| findings.busy = Some(0.70), "ok", "");
        check(
            |findings| findings.busy = Some(0.71),
            "suspect",
            "71 % busy",
        );
        check(
            |findings| findings.busy = Some(0.80),
            "suspect",
            "80 % busy",
        );
        check(
            |findings| findings.busy = Some(0.81),
            "invalid",
            "81 % busy",
        );
    }

    #[test]
    fn a_pool_that_binds_is_invalid() {
        check(
            |findings| findings.waited = 1,
            "invalid",
            "all 64 connections",
        );
    }

    #[test]
    fn what_the_machine_ran_out_of_is_named() {
        let short = |resource| {
            move |findings: &mut Findings| {
                findings.resources = BTreeMap::from([(resource, 3)]);
            }
        };
        check(
            short(Resource::Ports),
            "invalid",
            "net.ipv4.ip_local_port_range",
        );
        check(short(Resource::Descriptors), "invalid", "ulimit -n");
    }

    #[test]
    fn time_of_users_that_is_lost_is_suspect() {
        let known = |known_ns| {
            move |findings: &mut Findings| {
                findings.users = Some(UserTime {
                    planned_ns: 1_000,
                    known_ns,
                });
            }
        };
        check(known(950), "ok", "");
        check(known(949), "suspect", "Little's law");
    }

    #[test]
    fn reasons_for_suspect_are_not_hidden_by_graver_ones() {
        let findings = Findings {
            waited: 1,
            own_lag_p99_us: Some(9_000),
            ..good()
        };
        let GeneratorVerdict::Invalid(reasons) = judge(&findings) else {
            panic!("a pool that binds is invalid");
        };
        assert_eq!(reasons.len(), 2);
    }
}

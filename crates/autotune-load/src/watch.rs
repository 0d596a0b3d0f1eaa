//! What the engine did itself: its lateness, its CPU time, what it ran out of.
//! Leaves what that means to `judge`.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::Histogram;

use crate::judge::{Findings, UserTime, count_above, late_from_us};
use crate::recorder::micros;
use crate::transport::Resource;

/// The engine's notes on itself. Times are nanoseconds since the schedule began.
#[derive(Debug)]
pub(crate) struct Watch {
    own_lag: Histogram,
    /// Of this the part of the requests taken up after the schedule's end.
    behind_lag: Histogram,
    sends: u64,
    /// Requests that waited for a connection.
    pub(crate) waited: u64,
    /// Requests that were sent again.
    pub(crate) retries: u64,
    resources: BTreeMap<Resource, u64>,
    length_ns: u64,
    cpu_at_start: Duration,
    /// When the end of the schedule was seen, and the CPU time up to then.
    end: Option<(u64, Duration)>,
    users: Option<u32>,
    known_user_ns: u128,
    cut_short: bool,
}

impl Watch {
    /// Of a schedule of this length, with so many users in closed load.
    pub(crate) fn new(length_ns: u64, users: Option<u32>, cpu_at_start: Duration) -> Self {
        Self {
            own_lag: Histogram::new(),
            behind_lag: Histogram::new(),
            sends: 0,
            waited: 0,
            retries: 0,
            resources: BTreeMap::new(),
            length_ns,
            cpu_at_start,
            end: None,
            users,
            known_user_ns: 0,
            cut_short: false,
        }
    }

    /// A request was taken up at once, a connection being free.
    pub(crate) fn taken_up(&mut self, due_ns: u64, at_ns: u64) {
        let lag_us = micros(due_ns, at_ns);
        self.own_lag.record(lag_us);
        if at_ns > self.length_ns {
            self.behind_lag.record(lag_us);
        }
        self.sends += 1;
    }

    /// The machine ran out of something.
    pub(crate) fn ran_out(&mut self, resource: Resource) {
        *self.resources.entry(resource).or_default() += 1;
    }

    /// A user was known to wait or to think.
    pub(crate) fn user_known(&mut self, from_ns: u64, to_ns: u64) {
        let to_ns = to_ns.min(self.length_ns);
        self.known_user_ns += u128::from(to_ns.saturating_sub(from_ns));
    }

    /// The schedule has ended. Only the first call counts.
    pub(crate) fn schedule_ended(&mut self, now_ns: u64, cpu: Duration) {
        let cpu = cpu.saturating_sub(self.cpu_at_start);
        self.end.get_or_insert((now_ns, cpu));
    }

    /// All users are done, and the load ends with that. What each was known to be
    /// away after this time is no part of the load any more.
    pub(crate) fn all_done(&mut self, now_ns: u64) {
        let beyond = u128::from(self.length_ns.saturating_sub(now_ns));
        let beyond = beyond * u128::from(self.users.unwrap_or_default());
        self.known_user_ns = self.known_user_ns.saturating_sub(beyond);
        self.length_ns = self.length_ns.min(now_ns);
    }

    /// The schedule ended before its time.
    pub(crate) fn cut_short(&mut self) {
        self.cut_short = true;
    }

    /// CPU time from the beginning to the end of the schedule. Waiting for the
    /// last answers costs next to nothing and would hide a thread that was busy.
    pub(crate) fn cpu_used(&self) -> Duration {
        self.end.map_or(Duration::ZERO, |(_, cpu)| cpu)
    }

    /// All that the judge wants to know, and the lags.
    pub(crate) fn findings(self, service_p50_us: Option<u64>, limit: u32) -> (Findings, Histogram) {
        // Of a schedule that was cut short the thinking beyond the cut is
        // unknown, so the law says nothing.
        let users = self.users.filter(|_| !self.cut_short);
        let users = users.map(|users| UserTime {
            planned_ns: u128::from(users) * u128::from(self.length_ns),
            known_ns: self.known_user_ns,
        });
        let late_from = late_from_us(service_p50_us);
        let busy = self.end.map(|(now_ns, cpu)| {
            let wall = Duration::from_nanos(now_ns.max(1));
            cpu.as_secs_f64() / wall.as_secs_f64()
        });
        let findings = Findings {
            own_lag_p99_us: self.own_lag.quantile_us(0.99),
            service_p50_us,
            sends: self.sends,
            late: count_above(&self.own_lag, late_from),
            behind: count_above(&self.behind_lag, late_from),
            waited: self.waited,
            limit,
            busy,
            resources: self.resources,
            users,
        };
        (findings, self.own_lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_and_behind_are_counted_apart() {
        let mut watch = Watch::new(10_000_000, Some(2), Duration::from_secs(1));
        watch.taken_up(0, 1_000_000);
        watch.taken_up(0, 1_001_000);
        watch.taken_up(9_500_000, 10_200_000);
        watch.taken_up(9_000_000, 10_200_000);
        watch.ran_out(Resource::Ports);
        watch.user_known(0, 4_000_000);
        watch.user_known(9_000_000, 20_000_000);
        watch.user_known(15_000_000, 20_000_000);
        watch.schedule_ended(10_000_000, Duration::from_millis(1005));
        watch.schedule_ended(20_000_000, Duration::from_millis(1020));
        // Up to the end of the schedule only.
        assert_eq!(watch.cpu_used(), Duration::from_millis(5));
        let (findings, lag) = watch.findings(Some(7), 5);
        assert_eq!((findings.sends, findings.late, findings.behind), (4, 2, 1));
        assert_eq!(lag.len(), 4);
        assert_eq!(findings.busy, Some(0.5));
        assert_eq!(
            findings.users,
            Some(UserTime {
                planned_ns: 20_000_000,
                known_ns: 5_000_000
            })
        );
        assert_eq!(findings.resources[&Resource::Ports], 1);
    }

    #[test]
    fn what_is_late_depends_on_the_service() {
        let late = |service_p50_us| {
            let mut watch = Watch::new(10_000_000, None, Duration::ZERO);
            watch.taken_up(0, 500_000);
            watch.taken_up(0, 3_000_000);
            watch.taken_up(8_000_000, 11_000_000);
            let (findings, _) = watch.findings(service_p50_us, 1);
            (findings.late, findings.behind)
        };
        assert_eq!(late(None), (2, 1));
        assert_eq!(late(Some(2_000)), (2, 1));
        assert_eq!(late(Some(40_000)), (0, 0), "3 ms of 40 ms is no matter");
    }

    #[test]
    fn who_is_done_is_known_to_be_away_up_to_the_end() {
        let mut watch = Watch::new(100, Some(2), Duration::ZERO);
        watch.user_known(0, 30);
        watch.user_known(30, u64::MAX);
        watch.user_known(0, 40);
        watch.user_known(40, u64::MAX);
        watch.all_done(40);
        let users = watch.findings(None, 2).0.users.unwrap();
        assert_eq!((users.planned_ns, users.known_ns), (80, 80));
    }

    #[test]
    fn a_cut_schedule_says_nothing_of_its_users() {
        let mut watch = Watch::new(10, Some(1), Duration::ZERO);
        watch.cut_short();
        assert_eq!(watch.findings(None, 1).0.users, None);
    }
}

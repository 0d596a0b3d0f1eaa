//! What became of every request, by endpoint and second of its due time. Leaves
//! the engine's own doing to `watch`.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{
    Accounting, EndpointLoad, EndpointName, FailureClass, GeneratorRecord, Histogram, LoadRecord,
    LoadSecond, SparseHistogram,
};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// With a good answer.
    Completed,
    /// With a wrong answer, or broken off.
    Failed(FailureClass),
    /// Not at all, within the timeout.
    TimedOut(FailureClass),
    /// Never written, for want of a connection.
    Dropped,
}

/// The end of one request. Times are nanoseconds since the schedule began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Which endpoint.
    pub(crate) endpoint: u16,
    /// When it was due.
    pub(crate) due_ns: u64,
    /// When its first byte was written.
    pub(crate) written_ns: Option<u64>,
    /// When it ended.
    pub(crate) end_ns: u64,
    /// How.
    pub(crate) how: How,
}

/// All requests of one load.
#[derive(Debug)]
pub(crate) struct Recorder {
    names: Vec<EndpointName>,
    /// By endpoint: whether response is service. Users who pause after an answer
    /// have no time at which they should have asked while they waited.
    response_is_service: Box<[bool]>,
    length_ns: u64,
    /// At second x endpoints + endpoint.
    seconds: Vec<LoadSecond>,
    failures: Vec<BTreeMap<FailureClass, u64>>,
    /// By second: change of the number of requests open at its end.
    steps: Vec<i64>,
    open_at_end: u64,
    /// When the first of the users with a fixed number of requests was done: what
    /// is due later is not in the window.
    window_end_ns: Option<u64>,
    /// By endpoint: requests due after the window's end, but in the same second.
    late: Vec<LoadSecond>,
}

impl Recorder {
    /// For these endpoints, each with whether its response is its service, and a
    /// schedule of this length.
    pub(crate) fn new(
        endpoints: impl IntoIterator<Item = (EndpointName, bool)>,
        length_ns: u64,
    ) -> Self {
        let (names, response_is_service): (Vec<_>, Vec<_>) = endpoints.into_iter().unzip();
        let failures = vec![BTreeMap::new(); names.len()];
        Self {
            names,
            response_is_service: response_is_service.into(),
            length_ns,
            seconds: Vec::new(),
            failures,
            steps: Vec::new(),
            open_at_end: 0,
            window_end_ns: None,
            late: Vec::new(),
        }
    }

    /// The window ends now: nothing that was counted up to now was due later. Only
    /// the first call counts.
    pub(crate) fn end_window(&mut self, now_ns: u64) {
        if self.window_end_ns.is_some() {
            return;
        }
        self.window_end_ns = Some(now_ns);
        let second = |endpoint| LoadSecond {
            endpoint,
            second: u32::try_from(now_ns / NS_PER_SECOND).unwrap_or(u32::MAX),
            ..LoadSecond::default()
        };
        self.late = (0..).take(self.names.len()).map(second).collect();
    }

    /// The schedule ends earlier than planned: now.
    pub(crate) fn cut_short(&mut self, length_ns: u64) {
        self.length_ns = self.length_ns.min(length_ns);
    }

    /// A request is due. Counted here and not with its end, so that one that
    /// gets lost breaks the identity.
    pub(crate) fn scheduled(&mut self, endpoint: u16, due_ns: u64) {
        self.second(endpoint, due_ns).accounting.scheduled += 1;
    }

    /// A request has ended.
    pub(crate) fn ended(&mut self, ended: &Ended) {
        self.count_open(ended.due_ns, ended.end_ns);
        let is_service = self.response_is_service[usize::from(ended.endpoint)];
        let second = self.second(ended.endpoint, ended.due_ns);
        let response = micros(ended.due_ns, ended.end_ns);
        let class = match ended.how {
            How::Completed => {
                let service = ended
                    .written_ns
                    .map_or(response, |at| micros(at, ended.end_ns));
                second.accounting.completed += 1;
                second.service.record(service);
                second
                    .response
                    .record(if is_service { service } else { response });
                return;
            }
            How::Failed(class) => {
                second.accounting.failed += 1;
                second.failed.record(response);
                class
            }
            How::TimedOut(class) => {
                second.accounting.timed_out += 1;
                second.failed.record(response);
                class
            }
            How::Dropped => {
                second.accounting.dropped += 1;
                FailureClass::ClientQueue
            }
        };
        *self.failures[usize::from(ended.endpoint)]
            .entry(class)
            .or_default() += 1;
    }

    /// Service times of all completed requests.
    pub(crate) fn service(&self) -> Histogram {
        let mut all = Histogram::new();
        self.seconds
            .iter()
            .for_each(|second| second.service.add_to(&mut all));
        all
    }

    /// Requests without an end when the schedule ended.
    pub(crate) fn open_at_end(&self) -> u64 {
        self.open_at_end
    }

    /// The record, with the parts from the warm-up to the end of the window.
    pub(crate) fn finish(self, warm_up: Duration, generator: GeneratorRecord) -> LoadRecord {
        let outstanding = self.outstanding();
        let window_end_ns = self.window_end_ns.unwrap_or(u64::MAX);
        let is_within =
            |second: &LoadSecond| u64::from(second.second) * NS_PER_SECOND <= window_end_ns;
        let seconds = self.seconds.into_iter();
        let (within, mut beyond): (Vec<_>, Vec<_>) = seconds.partition(is_within);
        beyond.extend(self.late);
        let endpoints = self.names.into_iter().zip(self.failures).enumerate();
        let endpoints = endpoints.map(|(index, (name, failures))| {
            let mut total = Accounting::default();
            let mine = within
                .iter()
                .chain(&beyond)
                .filter(|second| usize::from(second.endpoint) == index);
            mine.for_each(|second| total.add(&second.accounting));
            EndpointLoad {
                name,
                total,
                window: Accounting::default(),
                response: Histogram::new(),
                service: Histogram::new(),
                failed: Histogram::new(),
                failures,
            }
        });
        let mut record = LoadRecord {
            start_ns: 0,
            length: Duration::from_nanos(self.length_ns),
            warm_up,
            endpoints: endpoints.collect(),
            seconds: within,
            outstanding,
            generator,
        };
        record.cut(warm_up);
        record.seconds.extend(beyond);
        record.seconds = joined(record.seconds);
        record
    }

    fn second(&mut self, endpoint: u16, due_ns: u64) -> &mut LoadSecond {
        let second = due_ns / NS_PER_SECOND;
        let is_late = |end_ns| due_ns > end_ns && second == end_ns / NS_PER_SECOND;
        if self.window_end_ns.is_some_and(is_late) {
            return &mut self.late[usize::from(endpoint)];
        }
        let endpoints = self.names.len();
        let index =
            usize::try_from(second).unwrap_or(usize::MAX) * endpoints + usize::from(endpoint);
        while self.seconds.len() <= index {
            let at = self.seconds.len();
            self.seconds.push(LoadSecond {
                endpoint: u16::try_from(at % endpoints).unwrap_or(u16::MAX),
                second: u32::try_from(at / endpoints).unwrap_or(u32::MAX),
                ..LoadSecond::default()
            });
        }
        &mut self.seconds[index]
    }

    /// The request is open at the ends of all seconds from the one in which it
    /// was due up to the one before that in which it ended.
    fn count_open(&mut self, due_ns: u64, end_ns: u64) {
        if end_ns > self.length_ns {
            self.open_at_end += 1;
        }
        let first = usize::try_from(due_ns / NS_PER_SECOND).unwrap_or(usize::MAX);
        let last = usize::try_from(end_ns.saturating_sub(1) / NS_PER_SECOND).unwrap_or(usize::MAX);
        if last > first {
            if self.steps.len() <= last {
                self.steps.resize(last + 1, 0);
            }
            self.steps[first] += 1;
            self.steps[last] -= 1;
        }
    }

    /// One number a second of the schedule; the last second may be a short one.
    fn outstanding(&self) -> Vec<u32> {
        let count = usize::try_from(self.length_ns.div_ceil(NS_PER_SECOND)).unwrap_or(usize::MAX);
        let mut open = 0;
        let steps = self
            .steps
            .iter()
            .copied()
            .chain(std::iter::repeat(0))
            .take(count);
        let mut numbers: Vec<u32> = steps
            .map(|step| {
                open += step;
                u32::try_from(open).unwrap_or(u32::MAX)
            })
            .collect();
        if let Some(last) = numbers.last_mut() {
            *last = u32::try_from(self.open_at_end).unwrap_or(u32::MAX);
        }
        numbers
    }
}

/// In their order and without empty ones; the two parts of a second are one.
fn joined(mut seconds: Vec<LoadSecond>) -> Vec<LoadSecond> {
    seconds.retain(|second| second.accounting.scheduled > 0);
    seconds.sort_by_key(|second| (second.endpoint, second.second));
    let add = |to: &mut SparseHistogram, more: &SparseHistogram| {
        let counts = to.counts().iter().chain(more.counts());
        *to = SparseHistogram::from_counts(counts.copied());
    };
    seconds.dedup_by(|next, kept| {
        let is_same = (next.endpoint, next.second) == (kept.endpoint, kept.second);
        if is_same {
            kept.accounting.add(&next.accounting);
            add(&mut kept.response, &next.response);
            add(&mut kept.service, &next.service);
            add(&mut kept.failed, &next.failed);
        }
        is_same
    });
    seconds
}

/// From one time to another, rounded to whole microseconds.
pub(crate) fn micros(from_ns: u64, to_ns: u64) -> u64 {
    to_ns.saturating_sub(from_ns).saturating_add(500) / 1000
}

#[cfg(test)]
mod tests {
    use autotune_model::GeneratorVerdict;
    use proptest::prelude::*;

    use super::*;

    fn generator() -> GeneratorRecord {
        GeneratorRecord {
            own_lag: Histogram::new(),
            waited_for_connection: 0,
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
            connections_peak: 0,
            connections_limit: 0,
            outstanding_at_end: 0,
            retries: 0,
            verdict: GeneratorVerdict::Ok,
        }
    }

    fn recorder(endpoints: usize, closed: bool, length_ns: u64) -> Recorder {
        let names = (0..endpoints).map(|index| EndpointName::new(format!("e{index}")));
        Recorder::new(names.map(|name| (name, closed)), length_ns)
    }

    fn completed(due_ms: u64, written_ms: u64, end_ms: u64) -> Ended {
        Ended {
            endpoint: 0,
            due_ns: due_ms * 1_000_000,
            written_ns: Some(written_ms * 1_000_000),
            end_ns: end_ms * 1_000_000,
            how: How::Completed,
        }
    }

    fn record(recorder: &mut Recorder, ended: &Ended) {
        recorder.scheduled(ended.endpoint, ended.due_ns);
        recorder.ended(ended);
    }

    #[test]
    fn response_counts_from_the_due_time_and_service_from_the_write() {
        let ended = completed(100, 130, 150);
        for (closed, response) in [(false, 50_000), (true, 20_000)] {
            let mut recorder = recorder(1, closed, NS_PER_SECOND);
            record(&mut recorder, &ended);
            let made = recorder.finish(Duration::ZERO, generator());
            let value = |histogram: &Histogram| histogram.quantile_us(1.0).unwrap();
            assert!(value(&made.endpoints[0].response).abs_diff(response) <= response / 500);
            assert!(value(&made.endpoints[0].service).abs_diff(20_000) <= 40);
        }
    }

    #[test]
    fn a_request_belongs_to_the_second_of_its_due_time() {
        let mut recorder = recorder(2, false, 3 * NS_PER_SECOND);
        record(&mut recorder, &completed(999, 999, 2500));
        record(&mut recorder, &completed(1000, 1000, 1001));
        let failed = Ended {
            how: How::Failed(FailureClass::Status),
            endpoint: 1,
            ..completed(2000, 2000, 2001)
        };
        record(&mut recorder, &failed);
        let made = recorder.finish(Duration::from_secs(1), generator());
        let place =
            |second: &LoadSecond| (second.endpoint, second.second, second.accounting.completed);
        assert_eq!(
            made.seconds.iter().map(place).collect::<Vec<_>>(),
            [(0, 0, 1), (0, 1, 1), (1, 2, 0)]
        );
        assert_eq!(made.endpoints[0].total.completed, 2);
        assert_eq!(made.endpoints[0].window.completed, 1);
        assert_eq!(made.endpoints[1].failures[&FailureClass::Status], 1);
        assert_eq!(made.endpoints[1].failed.len(), 1);
        assert_eq!(made.outstanding, [1, 1, 0]);
    }

    #[test]
    fn the_window_ends_with_the_first_who_is_done_and_totals_go_on() {
        let mut recorder = recorder(2, false, 60 * NS_PER_SECOND);
        let other = |due_ms, end_ms| Ended {
            endpoint: 1,
            ..completed(due_ms, due_ms, end_ms)
        };
        record(&mut recorder, &completed(500, 500, 510));
        record(&mut recorder, &completed(2100, 2100, 2110));
        // Due before the end, answered after it.
        recorder.scheduled(1, 2_200_000_000);
        recorder.end_window(2_300_000_000);
        recorder.end_window(9_300_000_000);
        recorder.ended(&other(2200, 7000));
        record(&mut recorder, &other(2400, 2410));
        record(&mut recorder, &completed(2500, 2500, 2510));
        record(&mut recorder, &completed(3000, 3000, 3010));
        recorder.cut_short(7 * NS_PER_SECOND);
        let made = recorder.finish(Duration::from_secs(1), generator());
        let counts = |index: usize| {
            let endpoint = &made.endpoints[index];
            assert_eq!(endpoint.response.len(), endpoint.window.completed);
            (endpoint.total.completed, endpoint.window.completed)
        };
        assert_eq!((counts(0), counts(1)), ((4, 1), (2, 1)));
        assert_eq!(made.length, Duration::from_secs(7));
        // The second in which it ended is whole.
        let place = |one: &LoadSecond| (one.endpoint, one.second, one.accounting.completed);
        let seconds: Vec<_> = made.seconds.iter().map(place).collect();
        assert_eq!(seconds, [(0, 0, 1), (0, 2, 2), (0, 3, 1), (1, 2, 2)]);
        let second = &made.seconds[1];
        assert_eq!((second.response.len(), second.service.len()), (2, 2));
        assert_eq!(made.outstanding, [0, 0, 1, 1, 1, 1, 0]);
    }

    proptest! {
        /// Against counting by hand, over random requests, some of which end
        /// after the schedule.
        #[test]
        fn nothing_is_lost_and_open_requests_are_counted(
            length_ms in 1u64..5000,
            requests in prop::collection::vec((0u16..3, 0u64..5000, 0u64..4000, 0u8..4), 0..60),
        ) {
            let length_ns = length_ms * 1_000_000;
            let mut recorder = recorder(3, false, length_ns);
            let requests: Vec<Ended> = requests
                .into_iter()
                .filter(|(_, due, ..)| *due < length_ms)
                .map(|(endpoint, due, took, how)| Ended {
                    endpoint,
                    how: [
                        How::Completed,
                        How::Failed(FailureClass::Status),
                        How::TimedOut(FailureClass::ReadTimeout),
                        How::Dropped,
                    ][usize::from(how)],
                    ..completed(due, due, due + took)
                })
                .collect();
            requests.iter().for_each(|ended| record(&mut recorder, ended));
            let open_at = |at: u64| requests.iter().filter(|r| r.due_ns < at && at < r.end_ns).count() as u64;
            prop_assert_eq!(recorder.open_at_end(), open_at(length_ns));
            let made = recorder.finish(Duration::ZERO, generator());
            prop_assert_eq!(made.total().scheduled, requests.len() as u64);
            for endpoint in &made.endpoints {
                prop_assert!(endpoint.total.adds_up());
                prop_assert_eq!(endpoint.total, endpoint.window);
                prop_assert_eq!(endpoint.failures.values().sum::<u64>(), endpoint.total.not_completed());
                prop_assert_eq!(endpoint.response.len(), endpoint.total.completed);
                prop_assert_eq!(endpoint.failed.len(), endpoint.total.failed + endpoint.total.timed_out);
            }
            prop_assert!(made.seconds.iter().all(|second| second.accounting.adds_up()));
            for (second, open) in made.outstanding.iter().enumerate() {
                let at = ((second as u64 + 1) * NS_PER_SECOND).min(length_ns);
                prop_assert_eq!(u64::from(*open), open_at(at), "second {}", second);
            }
        }
    }
}

//! The dispatcher: takes requests when they are due, puts them on connections,
//! and ends each of them exactly once. One future on one thread; generic over
//! the network and the clock, so that it runs in simulated time as well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Duration;

use autotune_model::{EndpointName, FailureClass, GeneratorRecord, LoadRecord, LoadShape, Pause};

use crate::clock::Clock;
use crate::connection::{Connection, Exchange};
use crate::flights::{FlightId, Flights, Place};
use crate::judge::judge;
use crate::line::WaitingLine;
use crate::plan::{LoadPlan, nanos};
use crate::pool::{Pool, Slot};
use crate::recorder::{How, Recorder};
use crate::request::Request;
use crate::source::{Arrival, Source};
use crate::transport::{ConnectFault, Transport};
use crate::wake::WakeHub;
use crate::watch::Watch;

mod ends;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod moods;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod tests;

use ends::Breakage;

/// How often the stop flag is looked at.
const TICK_NS: u64 = 20_000_000;
/// After a stop nobody wants to wait for the whole timeout.
const DRAIN_AFTER_STOP_NS: u64 = 1_000_000_000;
/// More than the usual answer, so that one read takes all of it.
const SCRATCH: usize = 64 * 1024;

/// One load under way. Times are nanoseconds since the schedule began.
pub(crate) struct Engine<'a, T: Transport, C> {
    plan: &'a LoadPlan,
    stop: &'a AtomicBool,
    transport: T,
    clock: C,
    requests: Vec<Request>,
    timeout_ns: u64,
    length_ns: u64,
    /// When what is still open is given up; later than all timeouts unless the
    /// load was stopped.
    give_up_ns: u64,
    /// Answers over one connection, at most.
    most_answers: u64,
    /// How long a kept connection may be unused.
    most_idle_ns: Option<u64>,
    source: Source,
    flights: Flights,
    line: WaitingLine,
    pool: Pool<T>,
    hub: Arc<WakeHub>,
    recorder: Recorder,
    watch: Watch,
    scratch: Vec<u8>,
    ready: Vec<u32>,
}

impl<'a, T: Transport, C: Clock> Engine<'a, T, C> {
    /// For a checked plan and its requests; the clock begins with the schedule.
    pub(crate) fn new(
        (plan, requests): (&'a LoadPlan, Vec<Request>),
        stop: &'a AtomicBool,
        transport: T,
        clock: C,
    ) -> Self {
        let length_ns = nanos(plan.length);
        let users = plan.shape.most_users();
        let limit = users.unwrap_or(plan.pool_limit);
        let hub = Arc::new(WakeHub::default());
        let source = Source::new(plan);
        let most_idle = plan.connections.most_idle();
        let pool = match most_idle {
            Some(_) => Pool::knowing_unused(limit, Arc::clone(&hub)),
            None => Pool::new(limit, Arc::clone(&hub)),
        };
        let mut watch = Watch::new(length_ns, users, clock.cpu());
        source
            .user_starts()
            .for_each(|start| watch.user_known(0, start));
        Self {
            requests,
            timeout_ns: nanos(plan.timeout),
            length_ns,
            give_up_ns: u64::MAX,
            most_answers: plan
                .connections
                .most_answers()
                .map_or(u64::MAX, |most| most.get().into()),
            most_idle_ns: most_idle.map(nanos),
            source,
            flights: Flights::default(),
            line: WaitingLine::default(),
            pool,
            hub,
            recorder: Recorder::new(recorded(plan), length_ns),
            watch,
            scratch: vec![0; SCRATCH],
            ready: Vec::new(),
            plan,
            stop,
            transport,
            clock,
        }
    }

    /// Does all that can be done now; ready when the last request has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.hub.register(cx.waker());
        // News first: a kept connection that the server has closed is then not
        // used for what is due.
        self.advance_ready();
        self.admit_due();
        self.close_unused(self.clock.now());
        self.heed_stop();
        self.expire();
        let now = self.clock.now();
        if now >= self.length_ns {
            self.watch.schedule_ended(now, self.clock.cpu());
            if self.flights.is_empty() && self.source.next_due().is_none() {
                return Poll::Ready(Ok(()));
            }
        }
        let wake_ns = self.next_wake(now);
        match self.clock.poll_until(wake_ns, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                // Come again, but let the runtime look at the sockets before.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    /// The record, once all requests have ended.
    pub(crate) fn finish(self) -> LoadRecord {
        let service_p50_us = self.recorder.service().quantile_us(0.5);
        let cpu = self.watch.cpu_used();
        let (waited, retries) = (self.watch.waited, self.watch.retries);
        let limit = self.pool.limit();
        let (findings, own_lag) = self.watch.findings(service_p50_us, limit);
        let generator = GeneratorRecord {
            own_lag,
            waited_for_connection: waited,
            cpu,
            wall: Duration::from_nanos(self.clock.now()),
            connections_peak: self.pool.peak(),
            connections_limit: limit,
            outstanding_at_end: self.recorder.open_at_end(),
            retries,
            verdict: judge(&findings),
        };
        self.recorder.finish(self.plan.warm_up, generator)
    }

    /// How many users have not made all their requests; none where they ask until
    /// the end of the load.
    pub(crate) fn users_left(&self) -> u32 {
        self.source.doing().map_or(0, |doing| doing.left)
    }

    /// The clock, for where the schedule lies on the trial's axis.
    pub(crate) fn clock(&self) -> &C {
        &self.clock
    }

    fn advance_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        self.hub.take_ready(&mut ready);
        for slot in ready.drain(..) {
            self.advance(slot);
            self.serve_line();
        }
        self.ready = ready;
    }

    fn admit_due(&mut self) {
        let now = self.clock.now();
        while let Some(arrival) = self.source.take_due(now) {
            self.close_unused(arrival.due_ns);
            self.admit(arrival);
        }
    }

    fn admit(&mut self, arrival: Arrival) {
        self.recorder.scheduled(arrival.endpoint, arrival.due_ns);
        let id = self.flights.begin(arrival);
        if self.line.is_empty() && self.start(id) {
            return;
        }
        self.watch.waited += 1;
        if let Some(flight) = self.flights.get_mut(id) {
            flight.waited = true;
        }
        if !self.line.join(id) {
            self.end(id, How::Dropped, self.clock.now());
        }
    }

    /// Puts the request on a kept or a new connection; false when there is none.
    fn start(&mut self, id: FlightId) -> bool {
        let Some(flight) = self.flights.get_mut(id) else {
            return true;
        };
        let user = flight.arrival.user;
        let Some(slot) = self.pool.take_kept(user) else {
            let room = self.pool.has_room();
            if room {
                self.open(id);
            }
            return room;
        };
        self.take_up(id, slot);
        if let Slot::Idle { mut connection } = self.pool.take(slot) {
            connection.begin();
            self.exchange(slot, connection, id);
        }
        true
    }

    /// Puts the request on a new connection; there is room for one.
    fn open(&mut self, id: FlightId) {
        let now = self.clock.now();
        let connecting = self.transport.connect();
        let slot = self.pool.open(Slot::Connecting {
            connecting,
            flight: id,
        });
        self.take_up_at(id, slot, now);
        self.advance(slot);
    }

    fn take_up(&mut self, id: FlightId, slot: u32) {
        self.take_up_at(id, slot, self.clock.now());
    }

    fn take_up_at(&mut self, id: FlightId, slot: u32, now: u64) {
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        flight.place = Place::On(slot);
        if flight.taken_up_ns.is_none() {
            flight.taken_up_ns = Some(now);
            if !flight.waited {
                self.watch.taken_up(flight.arrival.due_ns, now);
            }
        }
    }

    /// Those that wait, while there are connections for them.
    fn serve_line(&mut self) {
        while let Some(id) = self.line.first() {
            if !self.start(id) {
                return;
            }
            self.line.leave();
        }
    }

    /// Looks at what has news.
    fn advance(&mut self, slot: u32) {
        let waker = self.pool.waker(slot);
        let mut cx = Context::from_waker(&waker);
        match self.pool.take(slot) {
            Slot::Free => {}
            Slot::Connecting {
                mut connecting,
                flight,
            } => match std::pin::Pin::new(&mut connecting).poll(&mut cx) {
                Poll::Pending => self.pool.put(slot, Slot::Connecting { connecting, flight }),
                Poll::Ready(Ok(stream)) => {
                    self.exchange(slot, Connection::new(stream), flight);
                }
                Poll::Ready(Err(error)) => self.connect_failed(slot, flight, &error),
            },
            Slot::Busy { connection, flight } => self.exchange(slot, connection, flight),
            Slot::Idle { mut connection } => {
                match connection.poll_idle(&mut self.scratch, &mut cx) {
                    Poll::Pending => self.pool.put(slot, Slot::Idle { connection }),
                    Poll::Ready(()) => self.pool.close_kept(slot),
                }
            }
        }
    }

    fn connect_failed(&mut self, slot: u32, id: FlightId, error: &io::Error) {
        self.pool.close(slot);
        let class = match ConnectFault::of(error) {
            ConnectFault::Server(class) => class,
            ConnectFault::Resource(resource) => {
                self.watch.ran_out(resource);
                FailureClass::ClientResource
            }
        };
        tracing::debug!(%error, "no connection");
        self.end(id, How::Failed(class), self.clock.now());
    }

    /// Goes on with the exchange on this slot, which is empty meanwhile.
    fn exchange(&mut self, slot: u32, mut connection: Connection<T::Stream>, id: FlightId) {
        let Some(flight) = self.flights.get_mut(id) else {
            self.pool.close(slot);
            return;
        };
        let waker = self.pool.waker(slot);
        let request = &self.requests[usize::from(flight.arrival.endpoint)];
        let mut exchange = Exchange {
            request,
            wire: request.wire(flight.arrival.variant),
            scratch: &mut self.scratch,
            clock: &self.clock,
        };
        let polled = connection.poll_exchange(&mut exchange, &mut Context::from_waker(&waker));
        flight.written_ns = flight.written_ns.or(connection.written_ns());
        let Poll::Ready(ending) = polled else {
            self.pool.put(
                slot,
                Slot::Busy {
                    connection,
                    flight: id,
                },
            );
            return;
        };
        let arrival = flight.arrival;
        match ending.result {
            Ok(answer) => {
                // Its end was noted when its last byte came: what a look into the
                // body takes is the generator's time and not the answer's.
                let body = connection.kept_body();
                let how = self.judge_answer(arrival.endpoint, (answer, body));
                let is_wanted = self.end(id, how, ending.end_ns);
                // A connection is closed only after an answer, and kept ones while
                // nobody uses them: no request fails by our own closing.
                if answer.reusable && is_wanted && connection.answers() < self.most_answers {
                    let kept = (arrival.user, ending.end_ns);
                    self.pool.keep(slot, kept, connection);
                    // Looked at once, so that its end is noticed from now on.
                    self.advance(slot);
                } else {
                    drop(connection);
                    self.pool.close(slot);
                }
            }
            Err(broken) => {
                let reused = connection.is_reused();
                drop(connection);
                self.pool.close(slot);
                self.broken(
                    id,
                    Breakage {
                        broken,
                        reused,
                        at_ns: ending.end_ns,
                    },
                );
            }
        }
    }
}

/// The endpoints, each with whether its response is its service: in closed load,
/// unless its users keep a pace.
fn recorded(plan: &LoadPlan) -> impl Iterator<Item = (EndpointName, bool)> {
    let is_service = |name: &EndpointName| match &plan.shape {
        LoadShape::Open(_) => false,
        LoadShape::Closed(closed) => closed.groups.iter().any(|group| {
            let names = group.endpoints.as_ref();
            let thinks = matches!(group.who.pause, Pause::Think(_));
            thinks && names.is_none_or(|names| names.contains(name))
        }),
    };
    let names = plan.endpoints.iter().map(|endpoint| &endpoint.name);
    names.map(move |name| (name.clone(), is_service(name)))
}

//! How requests end: answered, broken, out of time, given up. Each passes
//! through [`Engine::end`] exactly once.

use std::sync::atomic::Ordering;

use autotune_model::FailureClass;

use super::{DRAIN_AFTER_STOP_NS, Engine, TICK_NS};
use crate::clock::Clock;
use crate::connection::Broken;
use crate::flights::{FlightId, Place};
use crate::pauses::Asked;
use crate::recorder::{Ended, How};
use crate::response::Answer;
use crate::transport::Transport;

/// A connection that broke under a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breakage {
    /// How.
    pub(super) broken: Broken,
    /// Whether the connection had carried an answer before.
    pub(super) reused: bool,
    /// When.
    pub(super) at_ns: u64,
}

impl<T: Transport, C: Clock> Engine<'_, T, C> {
    /// What this answer is worth.
    pub(super) fn judge_answer(&self, endpoint: u16, (answer, body): (Answer, &[u8])) -> How {
        let request = &self.requests[usize::from(endpoint)];
        if !request.accepts(answer.status) {
            How::Failed(FailureClass::Status)
        } else if !answer.contains || !request.fits(answer.bytes) || !request.says(body) {
            How::Failed(FailureClass::Assertion)
        } else {
            How::Completed
        }
    }

    /// The connection is gone. A kept one may have been closed by the server
    /// just as the request went out, which is nobody's fault: the request is
    /// sent again, once, on a fresh connection, if asking twice is as good as
    /// asking once; its time goes on from its first due time.
    pub(super) fn broken(&mut self, id: FlightId, breakage: Breakage) {
        let before = breakage.broken == Broken::BeforeResponse;
        let Some(flight) = self.flights.get_mut(id) else {
            return;
        };
        let request = &self.requests[usize::from(flight.arrival.endpoint)];
        if before && breakage.reused && !flight.retried && request.is_repeatable {
            flight.retried = true;
            self.watch.retries += 1;
            self.open(id);
            return;
        }
        let class = match breakage.broken {
            Broken::BeforeResponse if breakage.reused => FailureClass::StaleKeepAlive,
            Broken::BeforeResponse => FailureClass::ResetBeforeResponse,
            Broken::DuringResponse => FailureClass::ResetDuringResponse,
            Broken::ShortBody => FailureClass::ShortBody,
            Broken::Malformed(malformed) => {
                tracing::debug!(?malformed, "answer is not HTTP");
                FailureClass::BadResponse
            }
        };
        self.end(id, How::Failed(class), breakage.at_ns);
    }

    /// Ends what is out of time. The oldest has the nearest deadline.
    pub(super) fn expire(&mut self) {
        let now = self.clock.now();
        while let Some((id, flight)) = self.flights.oldest() {
            let deadline_ns = flight.arrival.due_ns.saturating_add(self.timeout_ns);
            if now < deadline_ns.min(self.give_up_ns) {
                break;
            }
            match flight.place {
                Place::On(slot) => {
                    let connecting = self.pool.is_connecting(slot);
                    self.pool.close(slot);
                    let class = match connecting {
                        true => FailureClass::ConnectTimeout,
                        false => FailureClass::ReadTimeout,
                    };
                    self.end(id, How::TimedOut(class), now);
                }
                Place::Waiting | Place::Ended => {
                    self.end(id, How::Dropped, now);
                }
            }
        }
        self.serve_line();
    }

    /// Closes kept connections that were unused for as long as they may be by this
    /// time: for a request that is taken up late the time at which it was due, as
    /// being late must not change what it meets.
    pub(super) fn close_unused(&mut self, by_ns: u64) {
        let Some(most_idle_ns) = self.most_idle_ns else {
            return;
        };
        while let Some((slot, since_ns)) = self.pool.longest_unused()
            && since_ns.saturating_add(most_idle_ns) <= by_ns
        {
            self.pool.close_kept(slot);
        }
    }

    /// The request has ended. False when nobody wants its connection any more: its
    /// user has left.
    pub(super) fn end(&mut self, id: FlightId, how: How, end_ns: u64) -> bool {
        let Some(flight) = self.flights.end(id) else {
            return true;
        };
        let arrival = flight.arrival;
        self.recorder.ended(&Ended {
            endpoint: arrival.endpoint,
            due_ns: arrival.due_ns,
            written_ns: flight.written_ns,
            end_ns,
            how,
        });
        let answered = match how {
            How::Completed => true,
            How::Failed(class) => {
                matches!(class, FailureClass::Status | FailureClass::Assertion)
            }
            How::TimedOut(_) | How::Dropped => false,
        };
        let asked = Asked {
            due_ns: arrival.due_ns,
            end_ns,
            answered,
        };
        let Some(next) = self.source.ended(arrival.user, asked) else {
            return true;
        };
        self.watch
            .user_known(flight.taken_up_ns.unwrap_or(end_ns), end_ns);
        // Who does not come back is known to be away.
        self.watch
            .user_known(end_ns, next.due_ns.unwrap_or(u64::MAX));
        self.heed_loops(end_ns);
        next.stays
    }

    /// Of users with a fixed number of requests the first who is done ends the
    /// window, and the last one the load.
    fn heed_loops(&mut self, now: u64) {
        let Some(doing) = self.source.doing() else {
            return;
        };
        if let Some(first_ns) = doing.first_done_ns {
            self.recorder.end_window(first_ns);
        }
        if doing.left == 0 && now < self.length_ns {
            self.length_ns = now;
            self.recorder.cut_short(now);
            self.watch.all_done(now);
        }
    }

    /// Ends the schedule when the caller asks for it.
    pub(super) fn heed_stop(&mut self) {
        if self.give_up_ns == u64::MAX && self.stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            self.give_up_ns = now.saturating_add(DRAIN_AFTER_STOP_NS);
            if now < self.length_ns {
                self.length_ns = now;
                self.source.end_at(now);
                self.recorder.cut_short(now);
                self.watch.cut_short();
            }
        }
    }

    /// When there is something to do, if the network keeps quiet.
    pub(super) fn next_wake(&self, now: u64) -> u64 {
        let oldest = self.flights.oldest();
        let deadline =
            oldest.map(|(_, flight)| flight.arrival.due_ns.saturating_add(self.timeout_ns));
        // On a fixed raster, so that the timer is not set anew at every event.
        let tick = (now / TICK_NS + 1) * TICK_NS;
        let end = (now < self.length_ns).then_some(self.length_ns);
        let unused = self.most_idle_ns.and_then(|most_idle_ns| {
            let (_, since_ns) = self.pool.longest_unused()?;
            Some(since_ns.saturating_add(most_idle_ns))
        });
        let next = [
            self.source.next_due(),
            deadline,
            unused,
            end,
            Some(self.give_up_ns),
        ];
        next.into_iter().flatten().fold(tick, u64::min)
    }
}

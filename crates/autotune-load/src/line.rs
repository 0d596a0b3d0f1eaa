//! Requests that wait for a connection, first come, first served.

use std::collections::VecDeque;

use crate::flights::FlightId;

/// More than anyone's patience holds at a rate that one thread can send; bounds
/// the memory all the same.
const LONGEST: usize = 100_000;

/// The line.
#[derive(Debug, Default)]
pub(crate) struct WaitingLine(VecDeque<FlightId>);

impl WaitingLine {
    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Joins at the end; false when the line is full.
    pub(crate) fn join(&mut self, id: FlightId) -> bool {
        let room = self.0.len() < LONGEST;
        if room {
            self.0.push_back(id);
        }
        room
    }

    /// Who is next.
    pub(crate) fn first(&self) -> Option<FlightId> {
        self.0.front().copied()
    }

    /// The first one leaves.
    pub(crate) fn leave(&mut self) {
        self.0.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flights::Flights;
    use crate::source::Arrival;

    #[test]
    fn the_line_is_fair_and_bounded() {
        let mut flights = Flights::default();
        let mut line = WaitingLine::default();
        let mut begin = || {
            flights.begin(Arrival {
                due_ns: 0,
                endpoint: 0,
                variant: 0,
                user: None,
            })
        };
        let ids: Vec<FlightId> = (0..LONGEST).map(|_| begin()).collect();
        assert!(ids.iter().all(|id| line.join(*id)));
        assert!(!line.join(begin()));
        assert_eq!(line.first(), Some(ids[0]));
        line.leave();
        assert_eq!(line.first(), Some(ids[1]));
        assert!(line.join(begin()));
    }
}

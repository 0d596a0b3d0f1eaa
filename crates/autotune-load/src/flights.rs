//! Requests under way, in the order in which they became due. All have the same
//! timeout, so this order is also that of the deadlines: only the oldest has to
//! be looked at, and no request needs a timer. Leaves acting to `engine`.

use std::collections::VecDeque;

use crate::source::Arrival;

/// The number of a request, counted from the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlightId(u64);

/// One request under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    /// What and when.
    pub(crate) arrival: Arrival,
    /// When the engine took it up: began to write, or to connect.
    pub(crate) taken_up_ns: Option<u64>,
    /// When the first byte was written.
    pub(crate) written_ns: Option<u64>,
    /// Where it is.
    pub(crate) place: Place,
    /// Whether it had to wait for a connection.
    pub(crate) waited: bool,
    /// Whether it was sent again on a fresh connection.
    pub(crate) retried: bool,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the queue for a connection.
    Waiting,
    /// On this connection slot.
    On(u32),
    /// It has ended.
    Ended,
}

/// All requests under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    /// The number of the first one in the queue.
    first: u64,
    /// Ended ones stay until all older ones have ended too.
    queue: VecDeque<Flight>,
}

impl Flights {
    /// A request is due.
    pub(crate) fn begin(&mut self, arrival: Arrival) -> FlightId {
        self.queue.push_back(Flight {
            arrival,
            taken_up_ns: None,
            written_ns: None,
            place: Place::Waiting,
            waited: false,
            retried: false,
        });
        FlightId(self.first + self.queue.len() as u64 - 1)
    }

    /// A request that has not ended.
    pub(crate) fn get_mut(&mut self, id: FlightId) -> Option<&mut Flight> {
        let index = usize::try_from(id.0.checked_sub(self.first)?).ok()?;
        self.queue
            .get_mut(index)
            .filter(|flight| flight.place != Place::Ended)
    }

    /// The request has ended; gives it for the last time.
    pub(crate) fn end(&mut self, id: FlightId) -> Option<Flight> {
        let flight = self.get_mut(id)?;
        let copy = *flight;
        flight.place = Place::Ended;
        while self
            .queue
            .front()
            .is_some_and(|flight| flight.place == Place::Ended)
        {
            self.queue.pop_front();
            self.first += 1;
        }
        Some(copy)
    }

    /// The one that became due first.
    pub(crate) fn oldest(&self) -> Option<(FlightId, &Flight)> {
        self.queue
            .front()
            .map(|flight| (FlightId(self.first), flight))
    }

    /// Whether all have ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_one_leads_whatever_the_order_of_ends() {
        let mut flights = Flights::default();
        let begin = |flights: &mut Flights, due_ns| {
            flights.begin(Arrival {
                due_ns,
                endpoint: 0,
                variant: 0,
                user: None,
            })
        };
        let ids: Vec<FlightId> = (0..4).map(|due| begin(&mut flights, due)).collect();
        let oldest = |flights: &Flights| flights.oldest().map(|(_, flight)| flight.arrival.due_ns);
        assert!(flights.end(ids[1]).is_some());
        assert!(flights.end(ids[1]).is_none());
        assert_eq!(oldest(&flights), Some(0));
        assert!(flights.end(ids[0]).is_some());
        assert_eq!(oldest(&flights), Some(2));
        assert!(flights.get_mut(ids[0]).is_none());
        let late = begin(&mut flights, 9);
        assert!(flights.end(ids[2]).is_some());
        assert!(flights.end(ids[3]).is_some());
        assert_eq!(
            flights.get_mut(late).map(|flight| flight.arrival.due_ns),
            Some(9)
        );
        assert!(flights.end(late).is_some());
        assert!(flights.is_empty());
    }
}

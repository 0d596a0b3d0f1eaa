//! The users of a closed load: each asks, waits for the answer, thinks, and
//! asks again. Pure; leaves the answers to the engine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use autotune_model::{Seed, Users};

use crate::choice::{ChoiceStream, Weights};
use crate::plan::nanos;

/// Users come in over at least this long each: many connects at once overflow
/// an accept queue, and what is tried again a second later looks like latency.
const RAMP_PER_USER: Duration = Duration::from_millis(1);
/// The least pause after a request that got no answer, so that users of a dead
/// server do not ask as fast as the machine can refuse.
const BACK_OFF: Duration = Duration::from_millis(100);

/// All users and when each asks next.
#[derive(Debug)]
pub(crate) struct UserCrowd {
    due: BinaryHeap<Reverse<(u64, u32)>>,
    streams: Vec<ChoiceStream>,
    /// How often each has asked.
    asked: Vec<u64>,
    think_ns: u64,
}

/// A user who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When.
    pub(crate) due_ns: u64,
    /// Who.
    pub(crate) user: u32,
    /// What, by the order of the plan.
    pub(crate) endpoint: u16,
    /// Which of the user's requests, counted from 0.
    pub(crate) number: u64,
}

impl UserCrowd {
    /// The first requests are spread evenly over one think time.
    pub(crate) fn new(users: Users, seed: Seed) -> Self {
        let ramp_ns = nanos(users.think.max(RAMP_PER_USER * users.count));
        let first = |user: u32| u128::from(ramp_ns) * u128::from(user) / u128::from(users.count);
        let first = |user| u64::try_from(first(user)).unwrap_or(u64::MAX);
        let stream = |user| ChoiceStream::new(seed.derive("user", &[u64::from(user)]));
        Self {
            due: (0..users.count)
                .map(|user| Reverse((first(user), user)))
                .collect(),
            streams: (0..users.count).map(stream).collect(),
            asked: vec![0; users.count as usize],
            think_ns: nanos(users.think),
        }
    }

    /// When each user asks for the first time; to be called before the load.
    pub(crate) fn starts(&self) -> impl Iterator<Item = u64> {
        self.due.iter().map(|Reverse((due, _))| *due)
    }

    /// When the next user asks; `None` while all wait for answers.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.streams.len()).expect("their count was a u32")
    }

    /// The next user, with the time and the endpoint.
    pub(crate) fn take(&mut self, weights: &Weights) -> Option<Turn> {
        let Reverse((due_ns, user)) = self.due.pop()?;
        let asked = &mut self.asked[user as usize];
        Some(Turn {
            due_ns,
            user,
            endpoint: weights.pick(&mut self.streams[user as usize]),
            number: std::mem::replace(asked, *asked + 1),
        })
    }

    /// The user's request has ended; gives the time of the next one.
    pub(crate) fn ended(&mut self, user: u32, at_ns: u64, answered: bool) -> u64 {
        let pause = if answered {
            self.think_ns
        } else {
            self.think_ns.max(nanos(BACK_OFF))
        };
        let next = at_ns.saturating_add(pause);
        self.due.push(Reverse((next, user)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(count: u32, think_ms: u64) -> UserCrowd {
        let think = Duration::from_millis(think_ms);
        UserCrowd::new(Users { count, think }, Seed::new(1))
    }

    #[test]
    fn first_requests_are_spread_over_a_think_time() {
        let mut users = crowd(4, 1000);
        let weights = Weights::new([1.0]);
        let times: Vec<u64> = std::iter::from_fn(|| users.take(&weights))
            .map(|turn| turn.due_ns)
            .collect();
        assert_eq!(times, [0, 250_000_000, 500_000_000, 750_000_000]);
        let mut users = crowd(2, 0);
        let times: Vec<u64> = std::iter::from_fn(|| users.take(&weights))
            .map(|turn| turn.due_ns)
            .collect();
        assert_eq!(times, [0, 1_000_000]);
    }

    #[test]
    fn a_user_thinks_after_an_answer_and_backs_off_without_one() {
        let mut users = crowd(1, 20);
        let first = Turn {
            due_ns: 0,
            user: 0,
            endpoint: 0,
            number: 0,
        };
        assert_eq!(users.take(&Weights::new([1.0])), Some(first));
        assert_eq!(users.next_due(), None);
        assert_eq!(users.ended(0, 5_000_000, true), 25_000_000);
        assert_eq!(users.next_due(), Some(25_000_000));
        assert_eq!(crowd(1, 20).ended(0, 0, false), 100_000_000);
        assert_eq!(crowd(1, 200).ended(0, 0, false), 200_000_000);
    }

    #[test]
    fn what_a_user_asks_does_not_depend_on_the_order_of_answers() {
        let weights = Weights::new([1.0, 1.0, 1.0]);
        let sequence = |answer_first: u32| {
            let mut users = crowd(2, 0);
            let mut asked = [Vec::new(), Vec::new()];
            for round in 0..40 {
                while let Some(turn) = users.take(&weights) {
                    asked[turn.user as usize].push((turn.endpoint, turn.number));
                }
                users.ended(answer_first, round, true);
                users.ended(1 - answer_first, round, true);
            }
            asked
        };
        assert_eq!(sequence(0), sequence(1));
    }
}

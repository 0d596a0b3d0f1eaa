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
    think_ns: u64,
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

    /// The next user, with the time and the endpoint.
    pub(crate) fn take(&mut self, weights: &Weights) -> Option<(u64, u32, u16)> {
        let Reverse((due, user)) = self.due.pop()?;
        let endpoint = weights.pick(&mut self.streams[user as usize]);
        Some((due, user, endpoint))
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
            .map(|(due, ..)| due)
            .collect();
        assert_eq!(times, [0, 250_000_000, 500_000_000, 750_000_000]);
        let mut users = crowd(2, 0);
        let times: Vec<u64> = std::iter::from_fn(|| users.take(&weights))
            .map(|(due, ..)| due)
            .collect();
        assert_eq!(times, [0, 1_000_000]);
    }

    #[test]
    fn a_user_thinks_after_an_answer_and_backs_off_without_one() {
        let mut users = crowd(1, 20);
        assert_eq!(users.take(&Weights::new([1.0])), Some((0, 0, 0)));
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
                while let Some((_, user, endpoint)) = users.take(&weights) {
                    asked[user as usize].push(endpoint);
                }
                users.ended(answer_first, round, true);
                users.ended(1 - answer_first, round, true);
            }
            asked
        };
        assert_eq!(sequence(0), sequence(1));
    }
}

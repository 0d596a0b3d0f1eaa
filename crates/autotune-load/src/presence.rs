//! When the users of a group are there, as their number changes. Pure.

use std::time::Duration;

use autotune_model::{Step, Users};

use crate::plan::nanos;

/// Users come in over at least this long each: many connects at once overflow
/// an accept queue, and what is tried again a second later looks like latency.
const RAMP_PER_USER: Duration = Duration::from_millis(1);

/// One level. Users are numbered; of so many the first ones are there.
#[derive(Clone, Copy, Debug)]
struct Level {
    start_ns: u64,
    users: u32,
    /// How many were there before.
    before: u32,
    /// Over how long those come in who were not.
    enter_ns: u64,
    /// Over how long those leave who are not there any more.
    leave_ns: u64,
}

/// When each user of a group is there.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    levels: Box<[Level]>,
}

/// When a user asks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// The time; `None` when the user does not come back.
    pub(crate) due_ns: Option<u64>,
    /// Whether the user is there up to then, and so is the connection.
    pub(crate) stays: bool,
}

impl Presence {
    /// Users come in evenly over the ramp, or over a usual pause where that is
    /// longer: those who come at once ask at once, for as long as they are there.
    /// The last to come leaves first.
    pub(crate) fn new(who: &Users, ramp: Duration) -> Self {
        let mut start_ns = 0u64;
        let mut before = 0;
        let levels = who.count.within(Duration::MAX).into_iter();
        let levels = levels.map(|Step { level, length }| {
            let spread = ramp.max(who.pause.typical());
            let newcomers = level.saturating_sub(before);
            let enter = spread.max(RAMP_PER_USER * newcomers).min(length);
            let level = Level {
                start_ns,
                users: level,
                before,
                enter_ns: nanos(enter),
                leave_ns: nanos(ramp.min(length)),
            };
            start_ns = start_ns.saturating_add(nanos(length));
            before = level.users;
            level
        });
        Self {
            levels: levels.collect(),
        }
    }

    /// When this user, whose last request ended at `from_ns` and who would ask
    /// again at `wish_ns`, does so.
    pub(crate) fn next(&self, user: u32, (from_ns, wish_ns): (u64, u64)) -> Next {
        let mut came_ns = None;
        for (index, level) in self.levels.iter().enumerate() {
            if user >= level.users {
                continue;
            }
            let came = *came_ns.get_or_insert_with(|| level.comes_ns(user));
            let leaves_ns = match self.levels.get(index + 1) {
                None => u64::MAX,
                Some(next) if user < next.users => continue,
                Some(next) => next.leaves_ns(user),
            };
            if wish_ns < leaves_ns {
                return Next {
                    due_ns: Some(came.max(wish_ns)),
                    stays: came <= from_ns,
                };
            }
            came_ns = None;
        }
        Next {
            due_ns: None,
            stays: false,
        }
    }

    /// The most that are there at one time.
    pub(crate) fn most(&self) -> u32 {
        self.levels
            .iter()
            .map(|level| level.users)
            .max()
            .unwrap_or(0)
    }
}

impl Level {
    fn comes_ns(&self, user: u32) -> u64 {
        match user.checked_sub(self.before) {
            None => self.start_ns,
            Some(nth) => self.start_ns + share(self.enter_ns, nth, self.users - self.before),
        }
    }

    /// When a user of the level before goes who is not of this one.
    fn leaves_ns(&self, user: u32) -> u64 {
        self.start_ns
            + share(
                self.leave_ns,
                self.before - 1 - user,
                self.before - self.users,
            )
    }
}

fn share(whole: u64, part: u32, of: u32) -> u64 {
    let share = u128::from(whole) * u128::from(part) / u128::from(of);
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use autotune_model::{Levels, Pause, Think};
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn presence(steps: &[(u32, u64)], ramp: u64) -> Presence {
        let steps = steps.iter().map(|(level, seconds)| Step {
            level: *level,
            length: Duration::from_secs(*seconds),
        });
        let who = Users {
            count: Levels::Steps(steps.collect()),
            pause: Pause::Think(Think::Fixed(Duration::ZERO)),
            loops: None,
        };
        Presence::new(&who, Duration::from_secs(ramp))
    }

    fn due(presence: &Presence, user: u32, from: u64, wish: u64) -> (Option<u64>, bool) {
        let next = presence.next(user, (from * SECOND, wish * SECOND));
        (next.due_ns.map(|ns| ns / SECOND), next.stays)
    }

    #[test]
    fn users_come_evenly_and_the_last_to_come_leaves_first() {
        let presence = presence(&[(4, 20), (8, 20), (2, 20), (3, 20)], 8);
        let firsts = |users: std::ops::Range<u32>| -> Vec<Option<u64>> {
            users.map(|user| due(&presence, user, 0, 0).0).collect()
        };
        assert_eq!(firsts(0..4), [0, 2, 4, 6].map(Some));
        assert_eq!(firsts(4..9), [Some(20), Some(22), Some(24), Some(26), None]);
        // Those who stay are not asked to do anything at a change.
        assert_eq!(due(&presence, 1, 30, 41), (Some(41), true));
        // Six leave within eight seconds.
        assert_eq!(due(&presence, 7, 39, 39), (Some(39), true));
        assert_eq!(due(&presence, 7, 40, 40), (None, false));
        assert_eq!(due(&presence, 4, 43, 43), (Some(43), true));
        assert_eq!(due(&presence, 4, 43, 44), (None, false));
        // One comes back, on a connection of its own.
        assert_eq!(due(&presence, 2, 45, 47), (Some(60), false));
        assert_eq!(due(&presence, 2, 45, 65), (Some(65), false));
        assert_eq!(presence.most(), 8);
    }

    #[test]
    fn users_come_over_a_ramp_or_a_pause_and_no_faster_than_is_good() {
        let of = |count, think, ramp| {
            let who = Users {
                count: Levels::Constant(count),
                pause: Pause::Think(Think::Fixed(Duration::from_millis(think))),
                loops: None,
            };
            let presence = Presence::new(&who, Duration::from_millis(ramp));
            let first = |user| presence.next(user, (0, 0)).due_ns.unwrap() / 1_000_000;
            (0..count).map(first).collect::<Vec<_>>()
        };
        assert_eq!(of(4, 1000, 0), [0, 250, 500, 750]);
        assert_eq!(of(4, 1000, 2000), [0, 500, 1000, 1500]);
        // Within the ramp they would ask in bursts ever after.
        assert_eq!(of(4, 1000, 100), [0, 250, 500, 750]);
        assert_eq!(of(3, 0, 0), [0, 1, 2]);
    }

    proptest! {
        /// After the change as many are there as the step says, at every time
        /// before it no more than at the larger of the two levels.
        #[test]
        fn as_many_are_there_as_the_steps_say(
            levels in prop::collection::vec(1u32..30, 1..6),
            ramp in 0u64..10,
        ) {
            let steps: Vec<(u32, u64)> = levels.iter().map(|level| (*level, 10)).collect();
            let presence = presence(&steps, ramp);
            let there = |ns: u64| {
                (0..presence.most())
                    .filter(|user| presence.next(*user, (ns, ns)) == Next { due_ns: Some(ns), stays: true })
                    .count() as u32
            };
            let mut before = 0;
            for (index, level) in (0u64..).zip(&levels) {
                let start = index * 10 * SECOND;
                let settled = start + ramp.max(1) * SECOND;
                for at in [settled, start + 10 * SECOND - 1] {
                    prop_assert_eq!(there(at), *level);
                }
                let halfway = there(start + ramp * SECOND / 2);
                prop_assert!(halfway <= before.max(*level));
                prop_assert!(halfway >= before.min(*level));
                before = *level;
            }
        }
    }
}

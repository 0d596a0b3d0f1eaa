//! The users of a closed load: each asks, waits for the answer, pauses, and asks
//! again. Pure; leaves the answers to the engine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use autotune_model::{Groups, Loops, Users};

use crate::choice::ChoiceStream;
use crate::members::Members;
use crate::pauses::{Asked, Pauses};
use crate::plan::{LoadPlan, nanos};
use crate::presence::{Next, Presence};

/// All users and when each asks next.
#[derive(Debug)]
pub(crate) struct UserCrowd {
    due: BinaryHeap<Reverse<(u64, u32)>>,
    groups: Box<[CrowdGroup]>,
    /// By user, over all groups.
    users: Box<[User]>,
    doing: Doing,
}

/// How far users with a fixed number of requests are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doing {
    /// How many are not done; none where users ask until the end of the load.
    pub(crate) left: u32,
    /// When the first of them was done.
    pub(crate) first_done_ns: Option<u64>,
}

#[derive(Debug)]
struct CrowdGroup {
    /// The first of its users.
    first: u32,
    count: u32,
    presence: Presence,
    pauses: Pauses,
    loops: Option<Loops>,
    members: Members,
}

#[derive(Debug)]
struct User {
    group: u16,
    choice: ChoiceStream,
    /// How often the user has asked.
    asked: u64,
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
    /// Which of the group's users, and of how many.
    pub(crate) place: (u32, u32),
}

impl UserCrowd {
    /// The users of all groups, numbered through.
    pub(crate) fn new(closed: &Groups<Users>, plan: &LoadPlan) -> Self {
        let mut groups = Vec::new();
        let mut users = Vec::new();
        let mut due = BinaryHeap::new();
        let mut doing = Doing::default();
        for (number, group) in (0u16..).zip(&closed.groups) {
            let presence = Presence::new(&group.who, closed.ramp);
            let first = u32::try_from(users.len()).unwrap_or(u32::MAX);
            let count = presence.most();
            for place in 0..count {
                let user = first + place;
                let come = presence.next(place, (0, 0));
                due.extend(come.due_ns.map(|come_ns| Reverse((come_ns, user))));
                users.push(User {
                    group: number,
                    choice: ChoiceStream::new(plan.seed.derive("user", &[u64::from(user)])),
                    asked: 0,
                });
            }
            if group.who.loops.is_some() {
                doing.left += count;
            }
            groups.push(CrowdGroup {
                first,
                count,
                presence,
                pauses: Pauses::new(group.who.pause, (first, count), plan.seed),
                loops: group.who.loops,
                members: Members::new(group.endpoints.as_deref(), plan),
            });
        }
        Self {
            due,
            groups: groups.into(),
            users: users.into(),
            doing,
        }
    }

    /// How far users with a fixed number of requests are.
    pub(crate) fn doing(&self) -> Doing {
        self.doing
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
    pub(crate) fn take(&mut self) -> Option<Turn> {
        let Reverse((due_ns, number)) = self.due.pop()?;
        let user = &mut self.users[number as usize];
        let group = &self.groups[usize::from(user.group)];
        let asked = user.asked;
        user.asked += 1;
        Some(Turn {
            due_ns,
            user: number,
            endpoint: group.members.pick(&mut user.choice),
            number: asked,
            place: (number - group.first, group.count),
        })
    }

    /// The user's request has ended; gives the time of the next one.
    pub(crate) fn ended(&mut self, number: u32, asked: Asked) -> Next {
        let user = &self.users[number as usize];
        let group = &mut self.groups[usize::from(user.group)];
        if let Some(loops) = group.loops
            && user.asked >= u64::from(loops.each.get())
        {
            // Who has the last answer only after the end was not done by then.
            if asked.end_ns <= nanos(loops.at_most) {
                self.doing.left -= 1;
                self.doing.first_done_ns.get_or_insert(asked.end_ns);
            }
            return Next {
                due_ns: None,
                stays: false,
            };
        }
        let place = number - group.first;
        let wish_ns = group.pauses.next(place, asked);
        let next = group.presence.next(place, (asked.end_ns, wish_ns));
        self.due
            .extend(next.due_ns.map(|due_ns| Reverse((due_ns, number))));
        next
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use autotune_model::{EndpointName, Group, Levels, LoadShape, Pause, Seed, Step, Think};

    use super::*;
    use crate::plan::tests::{endpoint, plan};

    const SECOND: u64 = 1_000_000_000;

    fn crowd(shape: LoadShape) -> UserCrowd {
        let LoadShape::Closed(closed) = &shape else {
            panic!("users are of closed load");
        };
        let mut plan = plan();
        plan.endpoints = vec![endpoint("a"), endpoint("b"), endpoint("c")];
        plan.seed = Seed::new(1);
        UserCrowd::new(closed, &plan)
    }

    fn answered(due_ns: u64, end_ns: u64) -> Asked {
        Asked {
            due_ns,
            end_ns,
            answered: true,
        }
    }

    #[test]
    fn a_user_asks_again_after_the_pause() {
        let mut users = crowd(LoadShape::closed(1, Duration::from_millis(20)));
        let first = users.take().unwrap();
        assert_eq!((first.due_ns, first.user, first.number), (0, 0, 0));
        assert_eq!(users.next_due(), None);
        let next = users.ended(0, answered(0, 5_000_000));
        let expected = Next {
            due_ns: Some(25_000_000),
            stays: true,
        };
        assert_eq!(next, expected);
        assert_eq!(users.next_due(), Some(25_000_000));
        assert_eq!(users.take().unwrap().number, 1);
    }

    #[test]
    fn what_a_user_asks_does_not_depend_on_the_order_of_answers() {
        let sequence = |answer_first: u32| {
            let mut users = crowd(LoadShape::closed(2, Duration::ZERO));
            let mut asked = [Vec::new(), Vec::new()];
            for round in 0..40 {
                while let Some(turn) = users.take() {
                    asked[turn.user as usize].push((turn.endpoint, turn.number));
                }
                users.ended(answer_first, answered(round, round));
                users.ended(1 - answer_first, answered(round, round));
            }
            asked
        };
        assert_eq!(sequence(0), sequence(1));
    }

    #[test]
    fn groups_ask_for_their_own_endpoints_at_their_own_pace() {
        let group = |names: &[&str], count, pause| Group {
            endpoints: Some(names.iter().map(|name| EndpointName::new(*name)).collect()),
            who: Users {
                count: Levels::Constant(count),
                pause,
                loops: None,
            },
        };
        let second = Duration::from_secs(1);
        let mut users = crowd(LoadShape::Closed(Groups {
            groups: vec![
                group(&["c"], 2, Pause::Think(Think::Fixed(second))),
                group(&["a", "b"], 3, Pause::Every(3 * second)),
            ],
            ramp: Duration::ZERO,
        }));
        let mut turns = Vec::new();
        while let Some(turn) = users.take().filter(|turn| turn.due_ns < 9 * SECOND) {
            turns.push(turn);
            users.ended(turn.user, answered(turn.due_ns, turn.due_ns + SECOND / 2));
        }
        // Every 1.5 s for 9 s, and every 3 s.
        let of = |users: std::ops::Range<u32>| {
            let turns = turns.iter();
            turns.filter(move |turn| users.contains(&turn.user))
        };
        assert_eq!(of(0..2).count(), 12);
        assert!(of(0..2).all(|turn| turn.endpoint == 2 && turn.place.1 == 2));
        assert_eq!(of(2..5).count(), 9);
        assert!(of(2..5).all(|turn| turn.endpoint < 2 && turn.place.1 == 3));
        assert!(of(2..5).any(|turn| turn.endpoint == 1));
        assert_eq!(of(3..4).next().unwrap().place.0, 1);
    }

    #[test]
    fn who_leaves_ends_the_last_request_and_asks_no_more() {
        let step = |level, seconds| Step {
            level,
            length: Duration::from_secs(seconds),
        };
        let mut users = crowd(LoadShape::Closed(Groups::one(Users {
            count: Levels::Steps(vec![step(2, 10), step(1, 10)]),
            pause: Pause::Think(Think::Fixed(Duration::ZERO)),
            loops: None,
        })));
        let turns = [users.take().unwrap(), users.take().unwrap()];
        assert_eq!(turns.map(|turn| turn.user), [0, 1]);
        let late = answered(0, 12 * SECOND);
        assert_eq!(users.ended(1, late).due_ns, None);
        assert!(users.ended(0, late).stays);
        assert_eq!(users.take().unwrap().user, 0);
        assert_eq!(users.take(), None);
    }

    fn looping(each: u32, pause: Pause) -> Users {
        Users {
            count: Levels::Constant(2),
            pause,
            loops: Some(Loops {
                each: NonZeroU32::new(each).unwrap(),
                at_most: Duration::from_secs(60),
            }),
        }
    }

    /// Runs until nobody asks, each answer after half a second; how often each of
    /// the users asked.
    fn run_out(users: &mut UserCrowd) -> Vec<u64> {
        let mut asked = vec![0; users.users.len()];
        while let Some(turn) = users.take() {
            asked[turn.user as usize] += 1;
            assert!(users.doing().left > 0);
            users.ended(turn.user, answered(turn.due_ns, turn.due_ns + SECOND / 2));
        }
        asked
    }

    #[test]
    fn each_user_of_a_group_asks_as_often_as_it_says_and_leaves() {
        let second = Duration::from_secs(1);
        let group = |name: &str, who| Group {
            endpoints: Some(vec![EndpointName::new(name)]),
            who,
        };
        let mut users = crowd(LoadShape::Closed(Groups {
            groups: vec![
                group("a", looping(5, Pause::Every(second))),
                group("b", looping(2, Pause::Think(Think::Fixed(second)))),
            ],
            ramp: Duration::ZERO,
        }));
        assert_eq!(
            users.doing(),
            Doing {
                left: 4,
                first_done_ns: None
            }
        );
        assert_eq!(run_out(&mut users), [5, 5, 2, 2]);
        // The third user asks at 0 s and 1.5 s.
        let done = Doing {
            left: 0,
            first_done_ns: Some(2 * SECOND),
        };
        assert_eq!(users.doing(), done);
        assert_eq!(users.next_due(), None);
    }

    #[test]
    fn who_has_the_last_answer_after_the_end_was_not_done() {
        let at_once = Pause::Think(Think::Fixed(Duration::ZERO));
        let mut users = crowd(LoadShape::Closed(Groups::one(looping(1, at_once))));
        let turns = [users.take().unwrap(), users.take().unwrap()];
        let late = answered(turns[0].due_ns, 60 * SECOND + 1);
        assert!(!users.ended(turns[0].user, late).stays);
        users.ended(turns[1].user, answered(turns[1].due_ns, 60 * SECOND));
        let doing = Doing {
            left: 1,
            first_done_ns: Some(60 * SECOND),
        };
        assert_eq!(users.doing(), doing);
        // Without a number nobody is waited for.
        assert_eq!(crowd(LoadShape::closed(3, Duration::ZERO)).doing().left, 0);
    }
}

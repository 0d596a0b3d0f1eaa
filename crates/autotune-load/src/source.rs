//! Where requests come from: a schedule or users, behind one face, so that the
//! dispatcher is written once. Pure; times are nanoseconds since the schedule
//! began.

use autotune_model::LoadShape;

use crate::choice::{ChoiceStream, Weights};
use crate::plan::{LoadPlan, nanos};
use crate::schedule::Schedule;
use crate::users::UserCrowd;

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When.
    pub(crate) due_ns: u64,
    /// What, by the order of the plan.
    pub(crate) endpoint: u16,
    /// Who, in closed load.
    pub(crate) user: Option<u32>,
}

/// All requests of one load.
#[derive(Debug)]
pub(crate) struct Source {
    kind: Kind,
    weights: Weights,
    /// Nothing is due at this time or later.
    end_ns: u64,
}

#[derive(Debug)]
enum Kind {
    Open {
        schedule: Schedule,
        next: u64,
        stream: ChoiceStream,
    },
    Closed(UserCrowd),
}

impl Source {
    /// The requests of this plan.
    pub(crate) fn new(plan: &LoadPlan) -> Self {
        let kind = match plan.shape {
            LoadShape::Open { rate, arrivals } => {
                let seed = plan.seed.derive("arrivals", &[]);
                let mut schedule = Schedule::new(rate, arrivals, seed);
                Kind::Open {
                    next: schedule.next().unwrap_or(u64::MAX),
                    schedule,
                    stream: ChoiceStream::new(plan.seed.derive("endpoints", &[])),
                }
            }
            LoadShape::Closed(users) => Kind::Closed(UserCrowd::new(users, plan.seed)),
        };
        Self {
            kind,
            weights: Weights::new(plan.endpoints.iter().map(|endpoint| endpoint.weight)),
            end_ns: nanos(plan.length),
        }
    }

    /// When the users of a closed load begin; to be called before the load.
    pub(crate) fn user_starts(&self) -> impl Iterator<Item = u64> {
        let users = match &self.kind {
            Kind::Open { .. } => None,
            Kind::Closed(users) => Some(users),
        };
        users.into_iter().flat_map(UserCrowd::starts)
    }

    /// When the next request is due; `None` when there is none, for now or for
    /// good.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let next = match &self.kind {
            Kind::Open { next, .. } => Some(*next),
            Kind::Closed(users) => users.next_due(),
        };
        next.filter(|due| *due < self.end_ns)
    }

    /// The next request, if it is due by now.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<Arrival> {
        self.next_due().filter(|due| *due <= now_ns)?;
        match &mut self.kind {
            Kind::Open {
                schedule,
                next,
                stream,
            } => {
                let due_ns = std::mem::replace(next, schedule.next().unwrap_or(u64::MAX));
                Some(Arrival {
                    due_ns,
                    endpoint: self.weights.pick(stream),
                    user: None,
                })
            }
            Kind::Closed(users) => {
                let (due_ns, user, endpoint) = users.take(&self.weights)?;
                Some(Arrival {
                    due_ns,
                    endpoint,
                    user: Some(user),
                })
            }
        }
    }

    /// A request has ended. In closed load its user asks again: when.
    pub(crate) fn ended(&mut self, user: Option<u32>, at_ns: u64, answered: bool) -> Option<u64> {
        match (&mut self.kind, user) {
            (Kind::Closed(users), Some(user)) => Some(users.ended(user, at_ns, answered)),
            _ => None,
        }
    }

    /// Nothing more is due from this time on.
    pub(crate) fn end_at(&mut self, end_ns: u64) {
        self.end_ns = self.end_ns.min(end_ns);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autotune_model::{Arrivals, Rate, Seed, Users};
    use proptest::prelude::*;

    use super::*;
    use crate::plan::tests::{endpoint, plan};

    fn all(plan: &LoadPlan) -> Vec<Arrival> {
        let mut source = Source::new(plan);
        std::iter::from_fn(|| source.take_due(u64::MAX)).collect()
    }

    #[test]
    fn nothing_is_due_before_its_time_or_after_the_end() {
        let mut source = Source::new(&plan());
        assert_eq!(source.take_due(0).map(|arrival| arrival.due_ns), Some(0));
        assert_eq!(source.take_due(99_999_999), None);
        assert_eq!(
            source.take_due(100_000_000).map(|arrival| arrival.due_ns),
            Some(100_000_000)
        );
        assert_eq!(all(&plan()).len(), 10);
        source.end_at(100_000_001);
        assert_eq!(source.take_due(u64::MAX), None);
        source.end_at(u64::MAX);
        assert_eq!(source.next_due(), None);
    }

    #[test]
    fn a_user_asks_again_only_after_an_answer() {
        let mut plan = plan();
        plan.shape = LoadShape::Closed(Users {
            count: 1,
            think: Duration::from_millis(10),
        });
        let mut source = Source::new(&plan);
        let first = source.take_due(0);
        assert_eq!(
            first,
            Some(Arrival {
                due_ns: 0,
                endpoint: 0,
                user: Some(0)
            })
        );
        assert_eq!(source.take_due(u64::MAX), None);
        assert_eq!(source.ended(Some(0), 1_000_000, true), Some(11_000_000));
        assert_eq!(source.next_due(), Some(11_000_000));
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_times_and_endpoints(seed in any::<u64>(), rate in 1.0f64..500.0) {
            let mut plan = plan();
            plan.seed = Seed::new(seed);
            plan.endpoints = vec![endpoint("a"), endpoint("b"), endpoint("c")];
            plan.shape = LoadShape::Open {
                rate: Rate::per_second(rate).unwrap(),
                arrivals: Arrivals::Poisson,
            };
            prop_assert_eq!(all(&plan), all(&plan));
            // The order of endpoints is the same at another rate.
            let order = |plan: &LoadPlan| all(plan).iter().map(|arrival| arrival.endpoint).collect::<Vec<_>>();
            let slow = order(&plan);
            plan.shape = LoadShape::Open {
                rate: Rate::per_second(rate * 2.0).unwrap(),
                arrivals: Arrivals::Poisson,
            };
            let fast = order(&plan);
            let both = slow.len().min(fast.len());
            prop_assert_eq!(&slow[..both], &fast[..both]);
        }
    }
}

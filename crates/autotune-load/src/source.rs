//! Where requests come from: a schedule or users, behind one face, so that the
//! dispatcher is written once. Pure; times are nanoseconds since the schedule
//! began.

use autotune_model::LoadShape;

use crate::choice::{ChoiceStream, Weights};
use crate::plan::{LoadPlan, nanos};
use crate::schedule::Schedule;
use crate::spread::Spread;
use crate::users::UserCrowd;

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// When.
    pub(crate) due_ns: u64,
    /// What, by the order of the plan.
    pub(crate) endpoint: u16,
    /// Which of the endpoint's requests: in whose session, with which row.
    pub(crate) variant: u32,
    /// Who, in closed load.
    pub(crate) user: Option<u32>,
}

/// All requests of one load.
#[derive(Debug)]
pub(crate) struct Source {
    kind: Kind,
    weights: Weights,
    spreads: Box<[Spread]>,
    /// Nothing is due at this time or later.
    end_ns: u64,
}

#[derive(Debug)]
enum Kind {
    Open {
        schedule: Schedule,
        next: u64,
        stream: ChoiceStream,
        /// A stream of its own, so that the endpoints are the same however many
        /// sessions there are.
        sessions: ChoiceStream,
        /// By endpoint: how often it was asked.
        asked: Box<[u64]>,
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
                    sessions: ChoiceStream::new(plan.seed.derive("sessions", &[])),
                    asked: vec![0; plan.endpoints.len()].into(),
                }
            }
            LoadShape::Closed(users) => Kind::Closed(UserCrowd::new(users, plan.seed)),
        };
        Self {
            kind,
            weights: Weights::new(plan.endpoints.iter().map(|endpoint| endpoint.weight)),
            spreads: plan.spreads().collect(),
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
                sessions,
                asked,
            } => {
                let due_ns = std::mem::replace(next, schedule.next().unwrap_or(u64::MAX));
                let endpoint = self.weights.pick(stream);
                let asked = &mut asked[usize::from(endpoint)];
                let row = std::mem::replace(asked, *asked + 1);
                let spread = self.spreads[usize::from(endpoint)];
                let session = sessions.below(spread.sessions());
                Some(Arrival {
                    due_ns,
                    endpoint,
                    variant: spread.variant(session, row),
                    user: None,
                })
            }
            Kind::Closed(users) => {
                let turn = users.take(&self.weights)?;
                let spread = self.spreads[usize::from(turn.endpoint)];
                // Users begin at rows that are far from each other, so that they
                // do not all ask for the same.
                let first = u64::from(turn.user) * spread.rows() / u64::from(users.count());
                let row = first + turn.number;
                Some(Arrival {
                    due_ns: turn.due_ns,
                    endpoint: turn.endpoint,
                    variant: spread.variant(u64::from(turn.user), row),
                    user: Some(turn.user),
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

    use autotune_model::{
        Arrivals, DataTable, Endpoint, Hole, LoginSession, Part, Rate, Seed, Text, Users,
    };
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
                variant: 0,
                user: Some(0)
            })
        );
        assert_eq!(source.take_due(u64::MAX), None);
        assert_eq!(source.ended(Some(0), 1_000_000, true), Some(11_000_000));
        assert_eq!(source.next_due(), Some(11_000_000));
    }

    /// Two endpoints, the first with rows, in two sessions.
    fn with_rows() -> LoadPlan {
        let column = Hole::Column {
            table: "items".to_owned(),
            column: "id".to_owned(),
        };
        let with_row = Endpoint {
            path: Text::Holed(vec![Part::Fixed("/".to_owned()), Part::Hole(column)]),
            ..endpoint("a")
        };
        let items = DataTable {
            name: "items".to_owned(),
            columns: vec!["id".to_owned()],
            rows: (0..5).map(|id| vec![format!("{id}")]).collect(),
        };
        LoadPlan {
            endpoints: vec![with_row, endpoint("b")],
            sessions: vec![LoginSession::default(); 2],
            data: vec![items].into(),
            length: Duration::from_secs(100),
            ..plan()
        }
    }

    #[test]
    fn in_open_load_rows_come_one_after_the_other_and_sessions_by_chance() {
        let asked = all(&with_rows());
        let of = |endpoint| {
            asked
                .iter()
                .filter(move |arrival| arrival.endpoint == endpoint)
        };
        let rows: Vec<u32> = of(0).map(|arrival| arrival.variant % 5).collect();
        let expected: Vec<u32> = (0..5).cycle().take(rows.len()).collect();
        assert_eq!(rows, expected);
        // Expected 500 of 1,000 with a standard deviation of 16.
        let sessions = of(0).map(|arrival| arrival.variant / 5);
        let first = sessions.chain(of(1).map(|arrival| arrival.variant));
        let first = first.filter(|session| *session == 0).count();
        assert!((420..580).contains(&first), "{first}");
    }

    #[test]
    fn in_closed_load_a_user_keeps_the_session_and_begins_at_rows_of_its_own() {
        let mut plan = with_rows();
        plan.endpoints.truncate(1);
        plan.shape = LoadShape::Closed(Users {
            count: 3,
            think: Duration::ZERO,
        });
        let of = |order: [u32; 3]| {
            let mut source = Source::new(&plan);
            let mut variants = [const { Vec::new() }; 3];
            for _ in 0..4 {
                while let Some(arrival) = source.take_due(u64::MAX) {
                    variants[arrival.user.unwrap() as usize].push(arrival.variant);
                }
                for user in order {
                    source.ended(Some(user), 1, true);
                }
            }
            variants
        };
        let expected = [[0, 1, 2, 3], [6, 7, 8, 9], [3, 4, 0, 1]];
        assert_eq!(of([0, 1, 2]), expected);
        assert_eq!(of([2, 0, 1]), expected);
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

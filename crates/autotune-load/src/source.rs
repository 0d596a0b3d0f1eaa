//! Where requests come from: schedules or users, behind one face, so that the
//! dispatcher is written once. Pure; times are nanoseconds since the schedule
//! began.

use autotune_model::{Arriving, Group, Groups, LoadShape, Rate};

use crate::choice::ChoiceStream;
use crate::members::Members;
use crate::pauses::Asked;
use crate::plan::{LoadPlan, nanos};
use crate::presence::Next;
use crate::schedule::Schedule;
use crate::spread::Spread;
use crate::users::{Doing, UserCrowd};

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
    spreads: Box<[Spread]>,
    /// Whether users ask a fixed number of times.
    counts_loops: bool,
    /// Nothing is due at this time or later.
    end_ns: u64,
}

#[derive(Debug)]
enum Kind {
    /// One stream of requests for each group.
    Open(Box<[Stream]>),
    Closed(UserCrowd),
}

/// The requests of one group of an open load.
#[derive(Debug)]
struct Stream {
    schedule: Schedule,
    next_ns: u64,
    choice: ChoiceStream,
    /// A stream of its own, so that the endpoints are the same however many
    /// sessions there are.
    sessions: ChoiceStream,
    members: Members,
    /// By endpoint of the plan: how often it was asked.
    asked: Box<[u64]>,
}

impl Source {
    /// The requests of this plan.
    pub(crate) fn new(plan: &LoadPlan) -> Self {
        let kind = match &plan.shape {
            LoadShape::Open(open) => {
                let streams = (0..open.groups.len()).map(|index| Stream::new(open, index, plan));
                Kind::Open(streams.collect())
            }
            LoadShape::Closed(closed) => Kind::Closed(UserCrowd::new(closed, plan)),
        };
        Self {
            kind,
            spreads: plan.spreads().collect(),
            counts_loops: plan.shape.at_most().is_some(),
            end_ns: nanos(plan.length),
        }
    }

    /// When the users of a closed load begin; to be called before the load.
    pub(crate) fn user_starts(&self) -> impl Iterator<Item = u64> {
        let users = match &self.kind {
            Kind::Open(_) => None,
            Kind::Closed(users) => Some(users),
        };
        users.into_iter().flat_map(UserCrowd::starts)
    }

    /// When the next request is due; `None` when there is none, for now or for
    /// good.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let next = match &self.kind {
            Kind::Open(streams) => streams.iter().map(|stream| stream.next_ns).min(),
            Kind::Closed(users) => users.next_due(),
        };
        next.filter(|due| *due < self.end_ns)
    }

    /// The next request, if it is due by now.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<Arrival> {
        self.next_due().filter(|due| *due <= now_ns)?;
        match &mut self.kind {
            Kind::Open(streams) => {
                let stream = streams.iter_mut().min_by_key(|stream| stream.next_ns)?;
                Some(stream.take(&self.spreads))
            }
            Kind::Closed(users) => {
                let turn = users.take()?;
                let spread = self.spreads[usize::from(turn.endpoint)];
                // Users begin at rows that are far from each other, so that they
                // do not all ask for the same.
                let (place, of) = turn.place;
                let first = u64::from(place) * spread.rows() / u64::from(of);
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
    pub(crate) fn ended(&mut self, user: Option<u32>, asked: Asked) -> Option<Next> {
        match (&mut self.kind, user) {
            (Kind::Closed(users), Some(user)) => Some(users.ended(user, asked)),
            _ => None,
        }
    }

    /// How far users with a fixed number of requests are; `None` where the load has
    /// none.
    pub(crate) fn doing(&self) -> Option<Doing> {
        match &self.kind {
            Kind::Closed(users) if self.counts_loops => Some(users.doing()),
            _ => None,
        }
    }

    /// Nothing more is due from this time on.
    pub(crate) fn end_at(&mut self, end_ns: u64) {
        self.end_ns = self.end_ns.min(end_ns);
    }
}

impl Stream {
    fn new(open: &Groups<Arriving>, index: usize, plan: &LoadPlan) -> Self {
        let Group { endpoints, who } = &open.groups[index];
        // The first group has the numbers of a load without groups.
        let path = [index as u64];
        let path = if index == 0 { &[][..] } else { &path[..] };
        let part = phase(open, index);
        let seed = |what| plan.seed.derive(what, path);
        let mut schedule = Schedule::new(who, (open.ramp, part), seed("arrivals"));
        Self {
            next_ns: schedule.next().unwrap_or(u64::MAX),
            schedule,
            choice: ChoiceStream::new(seed("endpoints")),
            sessions: ChoiceStream::new(seed("sessions")),
            members: Members::new(endpoints.as_deref(), plan),
            asked: vec![0; plan.endpoints.len()].into(),
        }
    }

    fn take(&mut self, spreads: &[Spread]) -> Arrival {
        let next_ns = self.schedule.next().unwrap_or(u64::MAX);
        let due_ns = std::mem::replace(&mut self.next_ns, next_ns);
        let endpoint = self.members.pick(&mut self.choice);
        let asked = &mut self.asked[usize::from(endpoint)];
        let row = std::mem::replace(asked, *asked + 1);
        let spread = spreads[usize::from(endpoint)];
        let session = self.sessions.below(spread.sessions());
        Arrival {
            due_ns,
            endpoint,
            variant: spread.variant(session, row),
            user: None,
        }
    }
}

/// With which part of its gap a group begins that asks evenly.
///
/// In time it is a part of the shortest gap, and the golden ratio from group to
/// group: an irrational number, so that two groups never ask at the same instant
/// under a rate that is kept, whatever the ratio of their rates. With halves or
/// thirds of a gap they would at many, and each such pair would queue.
fn phase(open: &Groups<Arriving>, index: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let first = |group: &Group<Arriving>| group.who.rate.all().next().map_or(0.0, Rate::get);
    let fastest = open.groups.iter().map(first).fold(0.0, f64::max);
    (index as f64 * GOLDEN).fract() * first(&open.groups[index]) / fastest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autotune_model::{
        Arrivals, DataTable, Endpoint, EndpointName, Hole, Levels, LoginSession, Part, Rate, Seed,
        Text,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::plan::tests::{endpoint, plan};

    fn answered(at_ns: u64) -> Asked {
        Asked {
            due_ns: 0,
            end_ns: at_ns,
            answered: true,
        }
    }

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
        plan.shape = LoadShape::closed(1, Duration::from_millis(10));
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
        let next = source.ended(Some(0), answered(1_000_000)).unwrap();
        assert_eq!(next.due_ns, Some(11_000_000));
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
        plan.shape = LoadShape::closed(3, Duration::ZERO);
        let of = |order: [u32; 3]| {
            let mut source = Source::new(&plan);
            let mut variants = [const { Vec::new() }; 3];
            for _ in 0..4 {
                while let Some(arrival) = source.take_due(u64::MAX) {
                    variants[arrival.user.unwrap() as usize].push(arrival.variant);
                }
                for user in order {
                    source.ended(Some(user), answered(1));
                }
            }
            variants
        };
        let expected = [[0, 1, 2, 3], [6, 7, 8, 9], [3, 4, 0, 1]];
        assert_eq!(of([0, 1, 2]), expected);
        assert_eq!(of([2, 0, 1]), expected);
    }

    #[test]
    fn groups_of_an_open_load_have_rates_of_their_own_and_weights_within() {
        let mut plan = plan();
        plan.endpoints = vec![endpoint("a"), endpoint("b"), endpoint("c")];
        plan.endpoints[1].weight = 3.0;
        plan.length = Duration::from_secs(100);
        let group = |names: &[&str], rate| Group {
            endpoints: Some(names.iter().map(|name| EndpointName::new(*name)).collect()),
            who: Arriving {
                rate: Levels::Constant(Rate::per_second(rate).unwrap()),
                arrivals: Arrivals::Constant,
            },
        };
        plan.shape = LoadShape::Open(Groups {
            groups: vec![group(&["a", "b"], 40.0), group(&["c"], 20.0)],
            ramp: Duration::ZERO,
        });
        let asked = all(&plan);
        let of = |endpoint| asked.iter().filter(move |one| one.endpoint == endpoint);
        assert_eq!(of(2).count(), 2_000);
        assert_eq!(of(0).count() + of(1).count(), 4_000);
        // Expected 3,000 with a standard deviation of 27.
        assert!((2_880..3_120).contains(&of(1).count()));
        assert!(asked.is_sorted_by_key(|one| one.due_ns));
        assert_eq!(asked, all(&plan));
    }

    #[test]
    fn groups_that_ask_evenly_never_ask_at_the_same_instant() {
        let mut plan = plan();
        plan.length = Duration::from_secs(100);
        let mut check = |rates: &[f64], ramp| {
            let names: Vec<String> = (0..rates.len()).map(|index| format!("e{index}")).collect();
            plan.endpoints = names.iter().map(|name| endpoint(name)).collect();
            let group = |(name, rate): (&String, &f64)| Group {
                endpoints: Some(vec![EndpointName::new(name.as_str())]),
                who: Arriving {
                    rate: Levels::Constant(Rate::per_second(*rate).unwrap()),
                    arrivals: Arrivals::Constant,
                },
            };
            plan.shape = LoadShape::Open(Groups {
                groups: names.iter().zip(rates).map(group).collect(),
                ramp: Duration::from_secs(ramp),
            });
            let times: Vec<u64> = all(&plan).iter().map(|one| one.due_ns).collect();
            let distinct: std::collections::BTreeSet<u64> = times.iter().copied().collect();
            assert_eq!(distinct.len(), times.len(), "{rates:?}");
        };
        check(&[40.0, 20.0], 0);
        check(&[20.0, 40.0], 0);
        check(&[10.0, 10.0, 20.0, 5.0], 0);
        check(&[1.0, 2.0, 4.0, 3.0, 8.0], 10);
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_times_and_endpoints(seed in any::<u64>(), rate in 1.0f64..500.0) {
            let mut plan = plan();
            plan.seed = Seed::new(seed);
            plan.endpoints = vec![endpoint("a"), endpoint("b"), endpoint("c")];
            let open = |rate| LoadShape::open(Rate::per_second(rate).unwrap(), Arrivals::Poisson);
            plan.shape = open(rate);
            prop_assert_eq!(all(&plan), all(&plan));
            // The order of endpoints is the same at another rate.
            let order = |plan: &LoadPlan| all(plan).iter().map(|arrival| arrival.endpoint).collect::<Vec<_>>();
            let slow = order(&plan);
            plan.shape = open(rate * 2.0);
            let fast = order(&plan);
            let both = slow.len().min(fast.len());
            prop_assert_eq!(&slow[..both], &fast[..both]);
        }
    }
}

//! The shape of the load.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::endpoint::{Endpoint, EndpointName};
use crate::units::{Rate, Share};

/// How requests arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadShape {
    /// Arrivals at a rate, whether or not the server keeps up.
    Open(Groups<Arriving>),
    /// Users who wait for an answer before they ask again.
    Closed(Groups<Users>),
}

/// Those who ask, each kind on its own, and how they come in.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups<G> {
    /// At least one; every endpoint belongs to exactly one.
    pub groups: Vec<Group<G>>,
    /// How long the load takes to reach its level, and each further one.
    pub ramp: Duration,
}

/// Who asks for what.
#[derive(Clone, Debug, PartialEq)]
pub struct Group<G> {
    /// What they ask for, by weight; all endpoints where it is `None`.
    pub endpoints: Option<Vec<EndpointName>>,
    /// Who they are.
    pub who: G,
}

/// Requests that arrive at a rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Arriving {
    /// Over all endpoints of the group together.
    pub rate: Levels<Rate>,
    /// How they are spread.
    pub arrivals: Arrivals,
}

/// Users of a closed load.
#[derive(Clone, Debug, PartialEq)]
pub struct Users {
    /// In total, at least one.
    pub count: Levels<u32>,
    /// When each asks again.
    pub pause: Pause,
    /// How often each asks; all groups of a load have it, or none.
    pub loops: Option<Loops>,
}

/// A load that ends when its users are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loops {
    /// So many requests of each user.
    pub each: NonZeroU32,
    /// How long the whole load may take; the same in all groups.
    pub at_most: Duration,
}

/// A level that is kept, or several, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Levels<L> {
    /// From beginning to end.
    Constant(L),
    /// At least one. Their lengths together are the length of the load.
    Steps(Vec<Step<L>>),
}

/// One level of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step<L> {
    /// The level.
    pub level: L,
    /// For how long, the change to it included; in whole seconds.
    pub length: Duration,
}

/// How the arrivals of an open load are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Independent of each other, as from many people.
    Poisson,
    /// Evenly spaced.
    Constant,
}

/// What an answer takes, at least, where nobody has seen one yet: users without a
/// pause ask no faster than this.
const LEAST_TURN: Duration = Duration::from_millis(100);

/// When a user asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// So long after an answer.
    Think(Think),
    /// So long after the last request was due, or at once where its answer took
    /// longer.
    Every(Duration),
}

/// How many times the load of the comparison a configuration must also carry:
/// above one, at most a hundred.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Surge(f64);

impl Surge {
    /// The largest.
    pub const MOST: f64 = 100.0;

    /// `None` where the factor is not above one or larger than [`Surge::MOST`].
    pub fn new(factor: f64) -> Option<Self> {
        (factor > 1.0 && factor <= Self::MOST).then_some(Self(factor))
    }

    /// The factor.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Surge {
    /// A rate and a factor within their bounds stay above zero and finite; one
    /// that does not is left as it was.
    fn of(self, rate: Rate) -> Rate {
        Rate::per_second(rate.get() * self.0).unwrap_or(rate)
    }
}

impl fmt::Display for Surge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times the rate", self.0)
    }
}

/// How long a user thinks after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Think {
    /// Always the same.
    Fixed(Duration),
    /// Any time between these is as likely as another.
    Uniform {
        /// The shortest.
        from: Duration,
        /// The longest.
        to: Duration,
    },
    /// Exponentially distributed: short ones are the most likely.
    Exponential {
        /// The mean.
        mean: Duration,
    },
}

impl Pause {
    /// The mean pause, or the pace: what a user's first request is spread over.
    pub fn typical(&self) -> Duration {
        match *self {
            Self::Every(time) | Self::Think(Think::Fixed(time)) => time,
            Self::Think(Think::Uniform { from, to }) => (from + to) / 2,
            Self::Think(Think::Exponential { mean }) => mean,
        }
    }
}

impl<L: Copy> Levels<L> {
    /// All levels in their order.
    pub fn all(&self) -> impl Iterator<Item = L> {
        let (one, several) = match self {
            Self::Constant(level) => (Some(*level), None),
            Self::Steps(steps) => (None, Some(steps)),
        };
        let several = several.into_iter().flatten().map(|step| step.level);
        one.into_iter().chain(several)
    }

    /// How long they take together; `None` for one without an end.
    pub fn length(&self) -> Option<Duration> {
        match self {
            Self::Constant(_) => None,
            Self::Steps(steps) => Some(steps.iter().map(|step| step.length).sum()),
        }
    }

    /// Each level with its time; the only one lasts until `end`.
    pub fn within(&self, end: Duration) -> Vec<Step<L>> {
        match self {
            Self::Constant(level) => vec![Step {
                level: *level,
                length: end,
            }],
            Self::Steps(steps) => steps.clone(),
        }
    }
}

impl Levels<u32> {
    /// The largest.
    pub fn most(&self) -> u32 {
        self.all().max().unwrap_or_default()
    }
}

impl Levels<Rate> {
    /// The largest, a second.
    pub fn most(&self) -> f64 {
        self.all().map(Rate::get).fold(0.0, f64::max)
    }

    /// The mean over time, a second. What a change takes is not looked at.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(rate) => rate.get(),
            Self::Steps(steps) => {
                let requests = steps
                    .iter()
                    .map(|step| step.level.get() * step.length.as_secs_f64());
                let seconds: f64 = steps.iter().map(|step| step.length.as_secs_f64()).sum();
                requests.sum::<f64>() / seconds.max(1e-9)
            }
        }
    }
}

impl<G> Groups<G> {
    /// One group for all endpoints, without a ramp.
    pub fn one(who: G) -> Self {
        Self {
            groups: vec![Group {
                endpoints: None,
                who,
            }],
            ramp: Duration::ZERO,
        }
    }
}

impl LoadShape {
    /// Arrivals at one rate over all endpoints.
    pub fn open(rate: Rate, arrivals: Arrivals) -> Self {
        Self::Open(Groups::one(Arriving {
            rate: Levels::Constant(rate),
            arrivals,
        }))
    }

    /// So many users for all endpoints, each thinking so long after an answer.
    pub fn closed(count: u32, think: Duration) -> Self {
        Self::Closed(Groups::one(Users {
            count: Levels::Constant(count),
            pause: Pause::Think(Think::Fixed(think)),
            loops: None,
        }))
    }

    /// The same arrivals at so many times the rates, where a surge is asked for.
    /// Users of a closed load wait for answers, so that nothing surges: it stays as
    /// it is.
    pub fn surged(&self, surge: Option<Surge>) -> Self {
        let mut shape = self.clone();
        if let (Self::Open(open), Some(surge)) = (&mut shape, surge) {
            for group in &mut open.groups {
                match &mut group.who.rate {
                    Levels::Constant(rate) => *rate = surge.of(*rate),
                    Levels::Steps(steps) => steps
                        .iter_mut()
                        .for_each(|step| step.level = surge.of(step.level)),
                }
            }
        }
        shape
    }

    /// `open` or `closed`, for reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Closed(_) => "closed",
        }
    }

    /// How long it takes to reach its level.
    pub fn ramp(&self) -> Duration {
        match self {
            Self::Open(open) => open.ramp,
            Self::Closed(closed) => closed.ramp,
        }
    }

    /// How long each of its steps is, in their order; empty without steps. All
    /// groups change at the same times.
    pub fn steps(&self) -> Vec<Duration> {
        fn lengths<L: Copy>(levels: &Levels<L>) -> Vec<Duration> {
            match levels {
                Levels::Constant(_) => Vec::new(),
                Levels::Steps(steps) => steps.iter().map(|step| step.length).collect(),
            }
        }
        let each: Vec<Vec<Duration>> = match self {
            Self::Open(open) => {
                let groups = open.groups.iter();
                groups.map(|group| lengths(&group.who.rate)).collect()
            }
            Self::Closed(closed) => {
                let groups = closed.groups.iter();
                groups.map(|group| lengths(&group.who.count)).collect()
            }
        };
        each.into_iter().max_by_key(Vec::len).unwrap_or_default()
    }

    /// Its length, where it says so itself.
    pub fn fixed_length(&self) -> Option<Duration> {
        let steps = self.steps();
        (!steps.is_empty()).then(|| steps.iter().sum())
    }

    /// What does not count of a load with steps: the ramp, and a tenth of the first
    /// step, at least a second; in whole seconds. `None` without steps.
    pub fn fixed_warm_up(&self) -> Option<Duration> {
        let first = self.steps().first().copied()?;
        let tenth = Duration::from_secs((first.as_secs() / 10).max(1));
        Some(whole_seconds(self.ramp()) + tenth)
    }

    /// How long it may take until its users are done; `None` where its users ask
    /// until its end.
    pub fn at_most(&self) -> Option<Duration> {
        match self {
            Self::Open(_) => None,
            Self::Closed(closed) => {
                let loops = closed.groups.iter().filter_map(|group| group.who.loops);
                loops.map(|loops| loops.at_most).max()
            }
        }
    }

    /// How long the pre-flight waits for users to be done, and what does not count
    /// of that as nobody knows yet how long they take: the ramp and a second.
    pub fn unseen_length(&self) -> Option<(Duration, Duration)> {
        let warm_up = whole_seconds(self.ramp()) + Duration::from_secs(1);
        Some((self.at_most()?, warm_up))
    }

    /// The mean rate of an open load over all endpoints, which nobody has to measure.
    pub fn mean_rate(&self) -> Option<f64> {
        match self {
            Self::Open(open) => Some(open.groups.iter().map(|one| one.who.rate.mean()).sum()),
            Self::Closed(_) => None,
        }
    }

    /// The largest rate of an open load over all endpoints.
    pub fn peak_rate(&self) -> Option<f64> {
        match self {
            Self::Open(open) => Some(open.groups.iter().map(|one| one.who.rate.most()).sum()),
            Self::Closed(_) => None,
        }
    }

    /// The most users of a closed load at one time.
    pub fn most_users(&self) -> Option<u32> {
        match self {
            Self::Open(_) => None,
            Self::Closed(closed) => {
                let users = closed.groups.iter().map(|one| one.who.count.most());
                Some(users.fold(0, u32::saturating_add))
            }
        }
    }

    /// The endpoint that is asked the least and its share of the requests, by
    /// weights within groups and by how often groups ask: at their rates, or users
    /// as often as their pauses let them. How slow an endpoint is only a trial
    /// shows; users of slow ones ask less often than this says.
    pub fn rarest<'e>(&self, endpoints: &'e [Endpoint]) -> Option<(&'e EndpointName, Share)> {
        let sized: Vec<(f64, Option<&[EndpointName]>)> = match self {
            Self::Open(open) => {
                let groups = open.groups.iter();
                let sized = groups.map(|one| (one.who.rate.mean(), one.endpoints.as_deref()));
                sized.collect()
            }
            Self::Closed(closed) => {
                let groups = closed.groups.iter();
                let sized = groups.map(|one| {
                    let pause = one.who.pause.typical().max(LEAST_TURN);
                    let users = f64::from(one.who.count.most());
                    (users / pause.as_secs_f64(), one.endpoints.as_deref())
                });
                sized.collect()
            }
        };
        let all: f64 = sized.iter().map(|(size, _)| size).sum();
        let shares = sized.iter().flat_map(|(size, names)| {
            let is_in = |one: &&Endpoint| names.is_none_or(|names| names.contains(&one.name));
            let within: f64 = endpoints.iter().filter(is_in).map(|one| one.weight).sum();
            let mine = endpoints.iter().filter(is_in);
            let share = |one: &'e Endpoint| (&one.name, size / all * one.weight / within);
            mine.map(share).collect::<Vec<_>>()
        });
        let rarest = shares.min_by(|(_, a), (_, b)| a.total_cmp(b));
        rarest.and_then(|(name, share)| Some((name, Share::new(share.min(1.0)).ok()?)))
    }
}

/// Rounded up.
pub fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: f64) -> Rate {
        Rate::per_second(per_second).unwrap()
    }

    fn steps<L>(steps: impl IntoIterator<Item = (L, u64)>) -> Levels<L> {
        let steps = steps.into_iter().map(|(level, seconds)| Step {
            level,
            length: Duration::from_secs(seconds),
        });
        Levels::Steps(steps.collect())
    }

    fn group<G>(names: &[&str], who: G) -> Group<G> {
        let names = names.iter().map(|name| EndpointName::new(*name));
        Group {
            endpoints: Some(names.collect()),
            who,
        }
    }

    #[test]
    fn steps_decide_length_mean_and_peak() {
        let load = LoadShape::Open(Groups::one(Arriving {
            rate: steps([(rate(50.0), 60), (rate(110.0), 120)]),
            arrivals: Arrivals::Constant,
        }));
        assert_eq!(load.fixed_length(), Some(Duration::from_secs(180)));
        assert_eq!(load.fixed_warm_up(), Some(Duration::from_secs(6)));
        assert_eq!(load.mean_rate(), Some(90.0));
        assert_eq!(load.peak_rate(), Some(110.0));
        assert_eq!(load.most_users(), None);
        let load = LoadShape::closed(7, Duration::ZERO);
        assert_eq!(load.fixed_length(), None);
        assert_eq!((load.mean_rate(), load.most_users()), (None, Some(7)));
    }

    #[test]
    fn the_rarest_endpoint_is_found_within_its_group() {
        let endpoint = |name: &str, weight| Endpoint {
            weight,
            ..Endpoint::get(name, "/")
        };
        let endpoints = [endpoint("a", 1.0), endpoint("b", 3.0), endpoint("c", 9.0)];
        let plain = LoadShape::closed(4, Duration::ZERO);
        let rarest = |load: &LoadShape| {
            let (name, share) = load.rarest(&endpoints).unwrap();
            (name.as_str(), share.get())
        };
        let (name, share) = rarest(&plain);
        assert!(name == "a" && (share - 1.0 / 13.0).abs() < 1e-12);
        let arriving = |per_second| Arriving {
            rate: Levels::Constant(rate(per_second)),
            arrivals: Arrivals::Poisson,
        };
        let open = |first, second| {
            LoadShape::Open(Groups {
                groups: vec![
                    group(&["a", "b"], arriving(first)),
                    group(&["c"], arriving(second)),
                ],
                ramp: Duration::ZERO,
            })
        };
        assert_eq!(rarest(&open(8.0, 2.0)), ("a", 0.2));
        assert_eq!(rarest(&open(90.0, 10.0)), ("c", 0.1));
        assert_eq!(rarest(&open(2.0, 2.0)), ("a", 0.125));
        assert_eq!(open(8.0, 2.0).mean_rate(), Some(10.0));
        // As many users of `c`, who pause nine times as long.
        let users = |seconds| Users {
            count: Levels::Constant(5),
            pause: Pause::Think(Think::Fixed(Duration::from_secs(seconds))),
            loops: None,
        };
        let paced = LoadShape::Closed(Groups {
            groups: vec![group(&["a", "b"], users(1)), group(&["c"], users(9))],
            ramp: Duration::ZERO,
        });
        let (name, share) = rarest(&paced);
        assert!(name == "c" && (share - 0.1).abs() < 1e-12, "{name} {share}");
    }
}

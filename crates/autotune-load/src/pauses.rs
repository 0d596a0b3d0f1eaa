//! How long each user pauses: always the same, a pace, or drawn from a sequence
//! of the user's own. Pure.

use std::time::Duration;

use autotune_model::{Pause, Seed, Think};
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;

use crate::plan::nanos;

/// The least pause after a request that got no answer, so that users of a dead
/// server do not ask as fast as the machine can refuse.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The pauses of all users of a group.
#[derive(Debug)]
pub(crate) struct Pauses {
    kind: Kind,
    /// By user, where pauses are drawn.
    streams: Box<[Pcg64Mcg]>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fixed(u64),
    Every(u64),
    Uniform { from_ns: u64, span_ns: u64 },
    Exponential { mean_ns: f64 },
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// When it was due.
    pub(crate) due_ns: u64,
    /// When it ended.
    pub(crate) end_ns: u64,
    /// Whether there was an answer.
    pub(crate) answered: bool,
}

impl Pauses {
    /// Of so many users; the first of them has this number among all.
    pub(crate) fn new(pause: Pause, (first, count): (u32, u32), seed: Seed) -> Self {
        let (kind, drawn) = match pause {
            Pause::Every(time) => (Kind::Every(nanos(time)), 0),
            Pause::Think(Think::Fixed(time)) => (Kind::Fixed(nanos(time)), 0),
            Pause::Think(Think::Uniform { from, to }) => {
                let from_ns = nanos(from);
                let span_ns = nanos(to).saturating_sub(from_ns);
                (Kind::Uniform { from_ns, span_ns }, count)
            }
            Pause::Think(Think::Exponential { mean }) => {
                let mean_ns = nanos(mean) as f64;
                (Kind::Exponential { mean_ns }, count)
            }
        };
        let stream = |user: u32| {
            let seed = seed.derive("think", &[u64::from(first) + u64::from(user)]);
            Pcg64Mcg::seed_from_u64(seed.value())
        };
        Self {
            kind,
            streams: (0..drawn).map(stream).collect(),
        }
    }

    /// When this user of the group asks again. One number is drawn for each
    /// request, whatever became of it: the sequence is the same for every server.
    pub(crate) fn next(&mut self, user: u32, asked: Asked) -> u64 {
        let wish = match self.kind {
            Kind::Fixed(pause_ns) => asked.end_ns.saturating_add(pause_ns),
            Kind::Every(pace_ns) => asked.due_ns.saturating_add(pace_ns).max(asked.end_ns),
            Kind::Uniform { from_ns, span_ns } => {
                let part = unit(&mut self.streams[user as usize]);
                let pause_ns = from_ns + (part * span_ns as f64) as u64;
                asked.end_ns.saturating_add(pause_ns)
            }
            Kind::Exponential { mean_ns } => {
                let gap: f64 = Exp1.sample(&mut self.streams[user as usize]);
                asked.end_ns.saturating_add((gap * mean_ns) as u64)
            }
        };
        if asked.answered {
            wish
        } else {
            wish.max(asked.end_ns.saturating_add(nanos(BACK_OFF)))
        }
    }
}

/// Uniform from 0 to below 1, in steps of 2^-53.
fn unit(stream: &mut Pcg64Mcg) -> f64 {
    (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn pauses(pause: Pause) -> Pauses {
        Pauses::new(pause, (0, 2), Seed::new(1))
    }

    fn think(think: Think) -> Pauses {
        pauses(Pause::Think(think))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn asked(due_ms: u64, end_ms: u64, answered: bool) -> Asked {
        Asked {
            due_ns: due_ms * MS,
            end_ns: end_ms * MS,
            answered,
        }
    }

    #[test]
    fn a_user_thinks_after_an_answer_and_backs_off_without_one() {
        let mut short = think(Think::Fixed(ms(20)));
        assert_eq!(short.next(0, asked(0, 5, true)), 25 * MS);
        assert_eq!(short.next(0, asked(0, 0, false)), 100 * MS);
        let mut long = think(Think::Fixed(ms(200)));
        assert_eq!(long.next(0, asked(0, 0, false)), 200 * MS);
    }

    #[test]
    fn a_pace_counts_from_the_due_time_and_never_catches_up() {
        let mut pace = pauses(Pause::Every(ms(1000)));
        assert_eq!(pace.next(0, asked(0, 5, true)), 1000 * MS);
        assert_eq!(pace.next(0, asked(1000, 2500, true)), 2500 * MS);
        assert_eq!(pace.next(0, asked(2500, 2600, true)), 3500 * MS);
        assert_eq!(pace.next(0, asked(0, 990, false)), 1090 * MS);
    }

    #[test]
    fn drawn_pauses_have_their_distribution_and_a_sequence_for_each_user() {
        let draw = |pauses: &mut Pauses, user| -> Vec<f64> {
            let one = |_| pauses.next(user, asked(0, 0, true)) as f64 / 1e9;
            (0..4000).map(one).collect()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let uniform = Think::Uniform {
            from: ms(1000),
            to: ms(3000),
        };
        let first = draw(&mut think(uniform), 0);
        assert!(first.iter().all(|pause| (1.0..3.0).contains(pause)));
        assert!((mean(&first) - 2.0).abs() < 0.05, "{}", mean(&first));
        let early = first.iter().filter(|pause| **pause < 1.5).count();
        assert!((900..1100).contains(&early), "{early}");
        let exponential = Think::Exponential { mean: ms(2000) };
        let times = draw(&mut think(exponential), 0);
        assert!((mean(&times) - 2.0).abs() < 0.13, "{}", mean(&times));
        // A share of 1 / e is longer than the mean.
        let long = times.iter().filter(|pause| **pause > 2.0).count();
        assert!((1370..1570).contains(&long), "{long}");

        // The other user draws in between, and fails: nothing changes.
        let mut both = think(uniform);
        let mixed: Vec<f64> = (0..50)
            .map(|_| {
                both.next(1, asked(0, 0, false));
                both.next(0, asked(0, 0, true)) as f64 / 1e9
            })
            .collect();
        assert_eq!(mixed, first[..50]);
        assert_ne!(draw(&mut think(uniform), 1)[..50], first[..50]);
    }
}

//! What a service used while a load ran, from looks at its processes. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{ServerSample, ServiceName, ServiceRecord, ServiceWindow};

use crate::tree::{memory_peak, memory_source};

/// Looks that are closer to each other say little of a rate: the kernel counts in
/// hundredths of a second.
const SHORTEST_STEP: Duration = Duration::from_millis(500);

/// A service at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Its processes; the time is the clock's own.
    pub(crate) sample: ServerSample,
    /// CPU time of those of its processes that had ended by then.
    pub(crate) reaped: Duration,
}

/// What it did between the first look and the last, and between two moments of the
/// clock, from the end of the warm-up to the end of the load.
///
/// A look that was asked for comes before those that were told meanwhile, so they
/// are put in order first.
pub(crate) fn record(
    (name, cpus): (ServiceName, u32),
    looks: &[Look],
    (from_ns, to_ns): (u64, u64),
) -> ServiceRecord {
    let mut looks: Vec<&Look> = looks.iter().collect();
    looks.sort_by_key(|look| look.sample.at_ns);
    let samples: Vec<ServerSample> = looks.iter().map(|look| look.sample.clone()).collect();
    let memory_source = memory_source(&samples);
    let within = looks
        .iter()
        .copied()
        .filter(|look| (from_ns..=to_ns).contains(&look.sample.at_ns));
    let within: Vec<&Look> = within.collect();
    let ends = looks.first().zip(looks.last());
    ServiceRecord {
        name,
        cpus,
        memory_peak: memory_peak(&samples, memory_source),
        memory_source,
        cpu: ends.map(|(first, last)| used(first, last)),
        window: window(&within),
    }
}

fn window(looks: &[&Look]) -> Option<ServiceWindow> {
    let (first, last) = (looks.first()?, looks.last()?);
    let wall = between(first, last);
    let (busiest, key) = busiest(first, last);
    if wall < SHORTEST_STEP {
        return None;
    }
    Some(ServiceWindow {
        wall,
        cpu: used(first, last),
        busiest,
        busiest_peak_pct: 100.0 * key.map_or(0.0, |key| peak(looks, key)),
    })
}

/// CPU time of all processes from one look to another, those included that came
/// and went between them.
fn used(first: &Look, last: &Look) -> Duration {
    let total = |look: &Look| -> Duration {
        let living = look.sample.processes.iter().map(|process| process.cpu);
        living.sum::<Duration>() + look.reaped
    };
    total(last).saturating_sub(total(first))
}

fn between(first: &Look, last: &Look) -> Duration {
    Duration::from_nanos(last.sample.at_ns.saturating_sub(first.sample.at_ns))
}

/// A process, by what makes it the same one.
type Key = (u32, u64);

fn cpu_by_process(look: &Look) -> BTreeMap<Key, Duration> {
    let processes = look.sample.processes.iter();
    processes
        .map(|process| ((process.pid, process.start_time), process.cpu))
        .collect()
}

/// The living process that used the most; one that came later counts from its
/// birth.
fn busiest(first: &Look, last: &Look) -> (Duration, Option<Key>) {
    let before = cpu_by_process(first);
    let used = cpu_by_process(last).into_iter().map(|(key, cpu)| {
        let before = before.get(&key).copied().unwrap_or_default();
        (cpu.saturating_sub(before), Some(key))
    });
    used.max().unwrap_or_default()
}

/// The most CPU time a second that this process used from one look to the next.
fn peak(looks: &[&Look], key: Key) -> f64 {
    let mut most = 0.0_f64;
    let mut from: Option<(&Look, Duration)> = None;
    for look in looks {
        let Some(cpu) = cpu_by_process(look).get(&key).copied() else {
            continue;
        };
        let Some((start, before)) = from else {
            from = Some((look, cpu));
            continue;
        };
        let wall = between(start, look);
        if wall >= SHORTEST_STEP {
            most = most.max(cpu.saturating_sub(before).as_secs_f64() / wall.as_secs_f64());
            from = Some((look, cpu));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use autotune_model::{Bytes, ProcessRole, ProcessSample};

    use super::*;

    /// Processes with these CPU times in milliseconds, numbered from 1.
    fn look(at_s: f64, cpu_ms: &[u64], reaped_ms: u64) -> Look {
        let processes = (1..).zip(cpu_ms).map(|(pid, cpu_ms)| ProcessSample {
            pid,
            start_time: 1,
            role: ProcessRole::Child,
            pss: Some(Bytes::new(100)),
            uss: None,
            rss: Bytes::new(300),
            swap_pss: None,
            cpu: Duration::from_millis(*cpu_ms),
            threads: 1,
        });
        Look {
            sample: ServerSample {
                at_ns: (at_s * 1e9) as u64,
                processes: processes.collect(),
            },
            reaped: Duration::from_millis(reaped_ms),
        }
    }

    fn made(looks: &[Look], (from_s, to_s): (f64, f64)) -> ServiceRecord {
        let window = ((from_s * 1e9) as u64, (to_s * 1e9) as u64);
        record((ServiceName::new("db"), 2), looks, window)
    }

    #[test]
    fn processes_that_came_and_went_between_two_looks_count() {
        let looks = [look(0.0, &[100, 50], 10), look(2.0, &[300], 1010)];
        let record = made(&looks, (0.0, 2.0));
        // 200 ms of the one that stayed; of all others 1000 ms, less the 50 ms
        // that one of them had used before.
        assert_eq!(record.cpu, Some(Duration::from_millis(1150)));
        assert_eq!(record.memory_peak, Some(Bytes::new(200)));
        let window = record.window.expect("two looks");
        assert_eq!(window.wall, Duration::from_secs(2));
        assert_eq!(window.busiest, Duration::from_millis(200));
        assert_eq!(window.busiest_peak_pct, 10.0);
    }

    #[test]
    fn looks_are_put_in_order_each_with_what_had_ended_by_then() {
        let looks = [
            look(0.0, &[0], 0),
            look(3.0, &[300], 900),
            look(1.0, &[100], 200),
            look(2.0, &[200], 500),
        ];
        let mut ordered = looks.clone();
        ordered.sort_by_key(|look| look.sample.at_ns);
        let window = (0.5, 3.0);
        assert_eq!(made(&looks, window), made(&ordered, window));
        assert_eq!(made(&looks, window).cpu, Some(Duration::from_millis(1200)));
        let within = made(&looks, window).window.expect("three looks");
        assert_eq!(within.cpu, Duration::from_millis(900));
    }

    #[test]
    fn the_warm_up_and_the_wait_for_the_last_answers_are_left_out() {
        let looks = [
            look(0.0, &[0], 0),
            look(1.0, &[900], 0),
            look(2.0, &[1800], 0),
            look(3.0, &[2900], 0),
            look(9.0, &[2900], 0),
        ];
        let record = made(&looks, (0.9, 3.1));
        assert_eq!(record.cpu, Some(Duration::from_millis(2900)));
        let window = record.window.expect("three looks");
        assert_eq!(window.wall, Duration::from_secs(2));
        assert_eq!(window.cpu, Duration::from_millis(2000));
        assert!((window.busiest_peak_pct - 110.0).abs() < 1e-9);
    }

    #[test]
    fn too_few_looks_say_nothing_of_the_window() {
        assert_eq!(made(&[], (0.0, 9.0)).cpu, None);
        let looks = [look(0.0, &[0], 0), look(0.1, &[90], 0)];
        let record = made(&looks, (0.0, 9.0));
        assert_eq!(record.cpu, Some(Duration::from_millis(90)));
        assert_eq!(record.window, None);
    }
}

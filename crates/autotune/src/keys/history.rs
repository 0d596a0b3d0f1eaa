//! A study that was never measured: the configurations of a grid file with made-up
//! numbers, each of which is the best in something.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::time::Anchor;
use autotune_model::{
    Accounting, Bytes, Configuration, Endpoint, EndpointLoad, GeneratorRecord, GeneratorVerdict,
    Histogram, History, LoadRecord, LoadShape, Outcome, Seed, ServerRecord, Span, Stage, TrialKey,
    TrialRecord, TrialSpec,
};

const BLOCKS: u32 = 10;
const LENGTH: Duration = Duration::from_secs(10);
/// Of each endpoint in each trial.
const REQUESTS: u64 = 1000;

/// What is true of a configuration.
struct Truth {
    /// Microseconds of half of the requests, of those up to 90, 95 and 99 %, and of
    /// the rest.
    times: [u64; 5],
    /// The same at the second endpoint.
    second: [u64; 5],
    mebibytes: u64,
    cpu: Duration,
    /// Failed requests of a thousand.
    failed: u64,
}

/// The first answers most requests fast, fails the most and needs the most memory;
/// the second is a little slower; the third has short tails.
const TRUTHS: [Truth; 3] = [
    Truth {
        times: [9_000, 10_000, 11_000, 20_000, 90_000],
        second: [9_000, 10_000, 11_000, 20_000, 90_000],
        mebibytes: 300,
        cpu: Duration::from_millis(900),
        failed: 5,
    },
    Truth {
        times: [9_300, 10_400, 11_500, 21_000, 95_000],
        second: [8_000, 9_500, 11_200, 21_000, 95_000],
        mebibytes: 200,
        cpu: Duration::from_millis(700),
        failed: 1,
    },
    Truth {
        times: [10_000, 12_000, 14_000, 15_000, 16_000],
        second: [12_000, 15_000, 19_000, 19_500, 20_000],
        mebibytes: 100,
        cpu: Duration::from_millis(500),
        failed: 0,
    },
];

pub(super) fn history(
    configurations: &[Configuration],
    (endpoints, load): (&[Endpoint], &LoadShape),
) -> History {
    let mut trials = Vec::new();
    for block in 0..BLOCKS {
        for (place, configuration) in configurations.iter().enumerate() {
            let position = u32::try_from(place).unwrap();
            let spec = TrialSpec {
                key: TrialKey {
                    stage: Stage::Measure,
                    block,
                    position,
                },
                attempt: 0,
                configuration: configuration.clone(),
                load: load.clone(),
                length: LENGTH,
                warm_up: LENGTH / 10,
                seed: Seed::new(u64::from(block)),
            };
            let number = u64::from(block) * 100 + u64::from(position);
            trials.push(trial(
                spec,
                &TRUTHS[place % TRUTHS.len()],
                (number, endpoints),
            ));
        }
    }
    History {
        trials,
        decisions: Vec::new(),
    }
}

fn trial(spec: TrialSpec, truth: &Truth, (number, endpoints): (u64, &[Endpoint])) -> TrialRecord {
    let anchor = |seconds: u64| Anchor {
        monotonic_ns: seconds * 1_000_000_000,
        boot_ns: seconds * 1_000_000_000,
        wall_ns: i64::try_from(seconds).unwrap() * 1_000_000_000,
    };
    // Launches differ by up to half a percent, in no order that repeats.
    let noise = 1.0 + (number * 37 % 11) as f64 / 2200.0;
    let loads = endpoints.iter().enumerate().map(|(place, endpoint)| {
        let times = if place == 1 {
            truth.second
        } else {
            truth.times
        };
        sent(
            endpoint,
            times.map(|us| (us as f64 * noise) as u64),
            truth.failed,
        )
    });
    let memory = Bytes::new(truth.mebibytes << 20);
    TrialRecord {
        outcome: Outcome::Measured,
        span: Span {
            start: anchor(number * 20),
            end: anchor(number * 20 + 12),
        },
        load: Some(load(loads.collect())),
        server: Some(ServerRecord {
            memory_peak: Some(memory),
            memory_before: Some(memory),
            memory_after: Some(memory),
            cpu: Some(truth.cpu.mul_f64(noise)),
            ..ServerRecord::default()
        }),
        spec,
    }
}

fn sent(endpoint: &Endpoint, times: [u64; 5], failed: u64) -> EndpointLoad {
    let completed = REQUESTS - failed;
    let accounting = Accounting {
        scheduled: REQUESTS,
        completed,
        failed,
        ..Accounting::default()
    };
    let mut response = Histogram::new();
    let upper = [500, 400, 50, 40, 10];
    for (us, count) in times.into_iter().zip(upper) {
        response.record_n(us, count);
    }
    EndpointLoad {
        name: endpoint.name.clone(),
        total: accounting,
        window: accounting,
        service: response.clone(),
        response,
        failed: Histogram::new(),
        failures: BTreeMap::new(),
    }
}

fn load(endpoints: Vec<EndpointLoad>) -> LoadRecord {
    LoadRecord {
        start_ns: 0,
        length: LENGTH,
        warm_up: LENGTH / 10,
        endpoints,
        seconds: Vec::new(),
        outstanding: Vec::new(),
        generator: GeneratorRecord {
            own_lag: Histogram::new(),
            waited_for_connection: 0,
            cpu: Duration::ZERO,
            wall: LENGTH,
            connections_peak: 1,
            connections_limit: 256,
            outstanding_at_end: 0,
            retries: 0,
            verdict: GeneratorVerdict::Ok,
        },
    }
}

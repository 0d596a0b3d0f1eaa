//! Whole studies without a store, as fast as they go.

use std::time::Duration;

use autotune_analysis::{Analysis, analyse};
use autotune_model::{
    Accept, Arrivals, Configuration, Decision, DecisionKind, EndpointName, History, LoadShape,
    Metric, Objective, Over, ParamName, Profile, Quantile, Rate, Seed, Share, StopReason,
    VariantName,
};
use autotune_search::{Next, Plan, Procedure};
use autotune_sweep::RunTrial;

use autotune_sim::World;

/// So many distinct configurations of a server with one parameter, `workers`.
pub(crate) fn configurations(count: i64) -> Vec<Configuration> {
    let profile = Profile {
        name: "simulated".to_owned(),
        params: Vec::new(),
        label_fields: 0,
        folds: Vec::new(),
        recycling: None,
        config_file: None,
        workers: Some(ParamName::from("workers")),
        threads: None,
        cleared_env: Vec::new(),
    };
    let variant = VariantName::new("sim");
    let one = |n: i64| {
        let given = [(ParamName::from("workers"), n.into())];
        Configuration::fold(&profile, &variant, &given, false).configuration
    };
    (1..=count).map(one).collect()
}

/// Minimise p95, accept 5 %, resolve 2 %.
pub(crate) fn objective() -> Objective {
    let share = |value| Share::new(value).expect("a constant share");
    Objective {
        minimize: Metric::Latency(Quantile::P95),
        over: Over::Geomean,
        max_error_rate: Some(share(0.01)),
        max_latency: Vec::new(),
        max_memory: None,
        surge: None,
        accept: Accept {
            relative: Some(share(0.05)),
            absolute: None,
        },
        min_effect: share(0.02),
        weights: vec![(EndpointName::new("only"), 1.0)],
        baseline: None,
        workers: Some(ParamName::from("workers")),
    }
}

/// What a trial takes in [`plan`], its overhead of 2 s included: the procedure
/// makes it three times as long as that, as the requests need less, and as short
/// as it may be where the budget gives fewer than eight blocks.
fn slot(blocks: u32) -> Duration {
    Duration::from_secs(if blocks < 8 { 4 + 2 } else { 6 + 2 })
}

/// A plan whose budget fits exactly so many blocks, five or more, after the
/// pre-flight.
pub(crate) fn plan(configurations: Vec<Configuration>, blocks: u32, seed: Seed) -> Plan {
    let slots = blocks * u32::try_from(configurations.len()).expect("few configurations");
    // The pre-flight takes a part of the budget, which is larger for it: two or
    // three probes, twice. Ten rounds leave less than a millisecond open.
    let slot = slot(blocks);
    let mut budget = slots * slot;
    for _ in 0..10 {
        let trials = if budget < Duration::from_secs(900) {
            4
        } else {
            6
        };
        let load = (budget / 60).clamp(Duration::from_secs(4), Duration::from_secs(30));
        let preflight = trials * (load + Duration::from_secs(2));
        budget = slots * slot + preflight + Duration::from_millis(10);
    }
    Plan {
        configurations,
        baseline: None,
        seed,
        budget,
        load: LoadShape::open(
            Rate::per_second(100.0).expect("a constant rate"),
            Arrivals::Poisson,
        ),
        metric: Metric::Latency(Quantile::P95),
        surge: None,
        rarest_endpoint: Share::new(1.0).expect("a constant share"),
    }
}

/// Plays a study to its end.
pub(crate) async fn study(
    procedure: &Procedure,
    objective: &Objective,
    world: &mut World,
) -> (History, Analysis, StopReason) {
    let mut history = History::default();
    loop {
        let analysis = analyse(&history, objective);
        match procedure.next(&history, &analysis) {
            Next::Run(trials) => {
                for spec in trials {
                    let record = world
                        .run(&spec)
                        .await
                        .expect("a simulated trial cannot fault");
                    history.trials.push(record);
                }
                history
                    .trials
                    .sort_by_key(|trial| (trial.spec.key, trial.spec.attempt));
            }
            Next::Decide(kind) => {
                let number = u32::try_from(history.decisions.len()).expect("few decisions");
                history.decisions.push(Decision { number, kind });
            }
            Next::Done(reason) => {
                let number = u32::try_from(history.decisions.len()).expect("few decisions");
                let kind = DecisionKind::Stopped { reason };
                history.decisions.push(Decision { number, kind });
                let analysis = analyse(&history, objective);
                return (history, analysis, reason);
            }
        }
    }
}

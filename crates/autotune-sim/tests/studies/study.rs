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

/// A plan whose budget fits so many blocks of 10 s trials and 2 s of overhead,
/// after the pre-flight.
pub(crate) fn plan(configurations: Vec<Configuration>, blocks: u32, seed: Seed) -> Plan {
    let slots = blocks * u32::try_from(configurations.len()).expect("few configurations");
    // The pre-flight: at most three probes, twice, at most half a minute each.
    let budget = slots * Duration::from_secs(12) + Duration::from_secs(6 * 32);
    Plan {
        configurations,
        baseline: None,
        seed,
        budget,
        load: LoadShape::Open {
            rate: Rate::per_second(100.0).expect("a constant rate"),
            arrivals: Arrivals::Poisson,
        },
        metric: Metric::Latency(Quantile::P95),
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

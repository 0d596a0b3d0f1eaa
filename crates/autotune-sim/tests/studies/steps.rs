//! A load whose steps say how long a trial is, in a budget that they do not fit.

use std::time::Duration;

use autotune_model::{
    Arrivals, Arriving, Bytes, Groups, History, Levels, LoadShape, Rate, Seed, Stage, Step,
    StopReason,
};
use autotune_search::{Plan, Procedure};
use autotune_sim::{Failing, SimulatedServer, World};

use crate::study::{configurations, objective, plan, study};

/// Two configurations under steps of five minutes each: a trial takes 602 s.
fn play(budget: u64) -> (History, StopReason) {
    let step = |rate| Step {
        level: Rate::per_second(rate).unwrap(),
        length: Duration::from_secs(300),
    };
    let all = configurations(2);
    let server = SimulatedServer {
        p95_us: 20_000.0,
        noise: 0.01,
        memory: Bytes::new(64 << 20),
        failing: Failing::Never,
    };
    let truth = all.iter().map(|one| (one.id(), server)).collect();
    let mut world = World::new(truth, Seed::new(1));
    let procedure = Procedure::exhaustive(Plan {
        budget: Duration::from_secs(budget),
        load: LoadShape::Open(Groups::one(Arriving {
            rate: Levels::Steps(vec![step(50.0), step(90.0)]),
            arrivals: Arrivals::Poisson,
        })),
        ..plan(all, 8, Seed::new(1))
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let wanted = objective();
    let played = study(&procedure, &wanted, &mut world);
    let (history, _, reason) = runtime.block_on(played);
    assert!(history.time_spent() <= Duration::from_secs(budget));
    (history, reason)
}

#[test]
fn the_preflight_keeps_to_the_budget() {
    for (budget, preflight, compared) in
        [(1_200, 0, 0), (1_300, 2, 0), (2_500, 4, 0), (3_700, 4, 2)]
    {
        let (history, reason) = play(budget);
        let count = |stage| history.counting(stage).count();
        let launched = (count(Stage::Preflight), count(Stage::Measure));
        assert_eq!(launched, (preflight, compared), "in {budget} s");
        assert_eq!(reason, StopReason::Budget);
    }
}

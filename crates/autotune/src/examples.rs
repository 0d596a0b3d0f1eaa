//! The grid files in `grids/`: every one of them can be read, as by an editor so by
//! the program, and planned, and all its commands can be written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autotune_model::{Confinement, CpuSet, Seed, Stage, TrialKey, TrialSpec};
use autotune_search::{Known, Procedure};
use autotune_trial::{Rehearsal, rehearse};

use crate::budget::{Budget, BudgetArgs};
use crate::commands::sweep::plan;
use crate::grid_file::{self, Grid};
use crate::{placement, world};

mod pairs;

/// By file below `grids/`: how many configurations a sweep compares, the baseline
/// among them, and whether that is in the grid, too.
const EXAMPLES: [(&str, usize, bool); 21] = [
    ("case-study/four-workers-short.toml", 6, true),
    ("case-study/four-workers.toml", 6, true),
    ("case-study/recycling-short.toml", 6, true),
    ("case-study/recycling.toml", 6, true),
    ("case-study/stress-short.toml", 2, false),
    ("case-study/stress.toml", 2, false),
    ("case-study/worker-class-short.toml", 2, true),
    ("case-study/worker-class.toml", 2, true),
    ("case-study/workers-threads-short.toml", 13, true),
    ("case-study/workers-threads.toml", 13, true),
    ("django.toml", 10, false),
    ("flask-dev.toml", 10, false),
    ("granian.toml", 9, true),
    ("hypercorn.toml", 12, true),
    ("node.toml", 4, true),
    ("postgres.toml", 9, true),
    ("puma.toml", 12, true),
    ("quickstart.toml", 5, false),
    ("uvicorn.toml", 7, true),
    ("uwsgi.toml", 12, true),
    ("waitress.toml", 6, true),
];

/// As many as a usual machine has; where a grid file computes with it.
const CPUS: usize = 2;

/// What their launches take besides the load, as seen.
const OVERHEAD: Duration = Duration::from_millis(1500);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../grids")
}

fn found() -> BTreeSet<String> {
    fn look(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(root, &path, found);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                let name = path.strip_prefix(root).unwrap();
                found.insert(name.to_str().unwrap().to_owned());
            }
        }
    }
    let (root, mut names) = (folder(), BTreeSet::new());
    look(&root, &root, &mut names);
    names
}

fn load(name: &str) -> Grid {
    match grid_file::load(&folder().join(name)) {
        Ok(grid) => grid,
        Err(why) => panic!("{name}: {why:?}"),
    }
}

#[test]
fn none_is_forgotten() {
    let listed: BTreeSet<String> = EXAMPLES.map(|(name, ..)| name.to_owned()).into();
    assert_eq!(listed, found(), "what this test knows, what is there");
    for name in listed {
        let path = folder().join(&name);
        let guide = path.parent().unwrap().join("README.md");
        let guide = fs::read_to_string(guide).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(guide.contains(&format!("]({name})")), "no word of {name}");
    }
}

#[test]
fn each_has_the_schema_that_an_editor_looks_for() {
    let schema = autotune_grid::schema(&autotune_server::profiles());
    let schema = jsonschema::draft7::new(&schema).unwrap();
    for name in found() {
        let text = fs::read_to_string(folder().join(&name)).unwrap();
        let first = text.lines().next().unwrap();
        let named = first.strip_prefix("#:schema ").expect("a schema in line 1");
        let folder = folder().join(&name).parent().unwrap().to_owned();
        assert!(folder.join(named).is_file(), "{name}: {named}");
        let table: toml::Table = text.parse().unwrap();
        let value = serde_json::to_value(table).unwrap();
        let errors: Vec<String> = schema
            .iter_errors(&value)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_grid_file_that_the_reference_begins_with_is_complete() {
    let text = fs::read_to_string(folder().join("../docs/grid-file.md")).unwrap();
    let (_, rest) = text.split_once("```toml\n").expect("a grid file");
    let (file, _) = rest.split_once("```\n").expect("its end");
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("shop")).unwrap();
    let path = place.path().join("shop.toml");
    fs::write(&path, file).unwrap();
    let grid = grid_file::load(&path).unwrap_or_else(|why| panic!("{why:?}"));
    // Four of sync, whose threads mean nothing, and eight of gthread.
    assert_eq!(grid.configurations().len(), 12);
    assert_eq!(grid.file.endpoints.len(), 2);
}

#[test]
fn each_is_planned_and_fills_a_night_at_most() {
    let mut names = BTreeMap::new();
    for (file, configurations, has_baseline) in EXAMPLES {
        let grid = load(file);
        assert_eq!(names.insert(grid.file.name.clone(), file), None, "one name");
        // An expression with the number of CPUs gives more on a larger machine.
        let cores = crate::placement::allowed().unwrap().len();
        let text = fs::read_to_string(folder().join(file)).unwrap();
        if cores == CPUS || !text.contains("{{ cores") {
            assert_eq!(grid.configurations().len(), configurations, "{file}");
            let base = grid.file.space.baseline.as_ref().unwrap();
            let swept = &grid.file.space.configurations;
            let is_swept = swept.iter().any(|one| one.id() == base.id());
            assert_eq!(is_swept, has_baseline, "{file}");
        }
        let budget = Budget::read(&BudgetArgs::default()).unwrap();
        let budget = budget.time(grid.file.budget, Duration::ZERO).unwrap();
        let procedure = Procedure::exhaustive(plan(&grid, budget, Seed::new(1)));
        let overhead = Some(OVERHEAD);
        let outlook = procedure.outlook(Known { overhead });
        assert!(outlook.earliest_end.is_some(), "{file}: {outlook:?}");
        // At its original scale the case study takes days.
        let is_original = file.starts_with("case-study/") && !file.contains("-short");
        let hours = if is_original { 7 * 24 } else { 12 };
        assert!(budget <= Duration::from_secs(hours * 3600), "{file}");
    }
}

#[test]
fn each_configuration_can_be_launched() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (file, ..) in EXAMPLES {
        let grid = load(file);
        let runs = tempfile::tempdir().unwrap();
        for number in 0..grid.configurations().len() {
            let launched = runtime.block_on(launch(&grid, number, runs.path()));
            let argv = &launched.server.argv;
            assert!(argv.iter().all(|word| !word.contains("{{")), "{argv:?}");
            let port = launched.load.target.port().to_string();
            let mut env = launched.server.env.iter();
            let in_env = env.any(|(_, value)| value.expose() == &port);
            let told = in_env || argv.iter().any(|word| word.contains(&port));
            assert!(told, "{file}: nobody tells the port: {argv:?}");
        }
    }
}

async fn launch(grid: &Grid, number: usize, runs: &Path) -> Rehearsal {
    // What [host] asks for need not be there.
    let placement = placement::decide(&grid.file.host, &CpuSet::new(0..CPUS), None).unwrap();
    let mut context = world::context(grid, (&placement, &Confinement::default()), runs.to_owned());
    context.cache_root = runs.join("cache");
    let spec = TrialSpec {
        key: TrialKey {
            stage: Stage::Measure,
            block: 0,
            position: 0,
        },
        attempt: 0,
        configuration: grid.configurations().swap_remove(number),
        load: grid.file.load.clone(),
        length: Duration::from_secs(10),
        warm_up: Duration::from_secs(1),
        seed: Seed::new(1),
    };
    rehearse(context, &spec, (&[], &[])).await.unwrap()
}

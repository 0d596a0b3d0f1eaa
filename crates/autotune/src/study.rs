//! The study's folder: where it is, made or opened, refused when it belongs to
//! something else, put aside on request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autotune_model::{Confinement, CpuPlacement, ErrorCode, History, Seed, VariantName};
use autotune_store::{FORMAT, Store, StoreError, StudyMeta};

use crate::app_hash::identity;
use crate::awake::Awake;
use crate::confine;
use crate::failure::Failure;
use crate::grid_file::Grid;
use crate::host;

/// The database within a study's folder.
pub(crate) const DATABASE: &str = "study.db";

/// The seed of a study that does not name one. Any number does: it decides only
/// orders and arrival times, and it is stored.
pub(crate) const DEFAULT_SEED: u64 = 1;
/// The folder of all studies unless another is named.
pub(crate) const DEFAULT_RESULTS: &str = "results";

/// What a study tells of where it was made.
const GRID_FILE: &str = "grid file";
pub(crate) const RESULTS: &str = "results folder";

/// How a study is to be opened.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    /// The folder of all studies.
    pub(crate) results: &'a Path,
    /// Put an older study of the same name aside.
    pub(crate) fresh: bool,
    /// Another seed than the usual one.
    pub(crate) seed: Option<u64>,
    /// Which CPUs are used.
    pub(crate) placement: &'a CpuPlacement,
    /// What servers may have, and by what they are kept to it.
    pub(crate) confinement: &'a Confinement,
    /// What becomes of their idle states.
    pub(crate) awake: &'a Awake,
}

/// A study that is open for writing.
#[derive(Debug)]
pub(crate) struct OpenStudy {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its store.
    pub(crate) store: Store,
}

/// Where the study of this grid is.
pub(crate) fn folder(results: &Path, grid: &Grid) -> PathBuf {
    results.join(&grid.file.name)
}

/// Opens the study of this grid, or makes it.
///
/// # Errors
/// When the folder holds a study of another grid or app, or cannot be used.
pub(crate) fn open(grid: &Grid, opening: &Opening<'_>) -> Result<OpenStudy, Failure> {
    let folder = folder(opening.results, grid);
    let database = folder.join(DATABASE);
    if opening.fresh && folder.exists() {
        put_aside(&folder)?;
    }
    let identity = identity(grid, opening.results)?;
    let store = if database.exists() {
        let store = Store::open(&database).map_err(failed)?;
        check_same(&store, &identity, opening)?;
        check_kept(&store, opening)?;
        store
    } else {
        Store::create(&database, &meta(grid, identity, opening)).map_err(failed)?
    };
    Ok(OpenStudy { folder, store })
}

/// Where the grid file of a study was.
pub(crate) fn grid_file(meta: &StudyMeta) -> &Path {
    Path::new(fact(meta, GRID_FILE).unwrap_or("grid.toml"))
}

/// What a study tells of how it was made, by name.
pub(crate) fn fact<'a>(meta: &'a StudyMeta, name: &str) -> Option<&'a str> {
    let mut facts = meta.provenance.iter();
    facts
        .find(|(have, _)| have == name)
        .map(|(_, value)| value.as_str())
}

/// The database that a `STUDY` argument means: a folder, its database or a name.
///
/// # Errors
/// When there is none.
pub(crate) fn find(study: &str, results: &Path) -> Result<PathBuf, Failure> {
    let given = Path::new(study);
    let candidates = [
        given.to_owned(),
        given.join(DATABASE),
        results.join(study).join(DATABASE),
    ];
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::usage(format!("there is no study `{study}`")).hint(format!(
            "name a folder below {}, its {DATABASE}, or a path to one of them",
            results.display()
        ))
    })
}

/// A store that was open and cannot be read.
pub(crate) fn unreadable(error: StoreError) -> Failure {
    Failure::stopped(ErrorCode::Store, "the study cannot be read").because(error)
}

/// A store that cannot be opened.
pub(crate) fn failed(error: StoreError) -> Failure {
    Failure::stopped(ErrorCode::Store, "the study cannot be opened").because(error)
}

fn check_same(store: &Store, identity: &str, opening: &Opening<'_>) -> Result<(), Failure> {
    let meta = store.meta();
    let folder = store
        .path()
        .parent()
        .unwrap_or(store.path())
        .display()
        .to_string();
    let changed = if meta.identity != identity {
        "was made from another grid or app"
    } else if &meta.placement != opening.placement {
        "was made with other CPUs"
    } else if opening
        .seed
        .is_some_and(|seed| Seed::new(seed) != meta.seed)
    {
        "was made with another seed"
    } else {
        return Ok(());
    };
    Err(strange(&folder, changed))
}

/// That its servers are kept to their limits as before, or as before are not.
fn check_kept(store: &Store, opening: &Opening<'_>) -> Result<(), Failure> {
    let now = opening.confinement;
    let then = confine::recalled(&now.limits, store.meta());
    let folder = store.path().parent().unwrap_or(store.path());
    match confine::changed(&then, now) {
        Some(changed) => Err(strange(&folder.display().to_string(), &changed)),
        None => Ok(()),
    }
}

/// The refusal of a study that is not this one.
fn strange(folder: &str, changed: &str) -> Failure {
    Failure::Other {
        exit: crate::exit::Exit::Usage,
        code: Some(ErrorCode::StudyChanged),
        message: format!("the study in {folder} {changed}"),
        hint: Some("--fresh begins anew and renames the old folder; nothing is deleted".to_owned()),
        source: None,
    }
}

/// Whether the server and its Python are those that the study was measured with.
///
/// # Errors
/// When one of them is another now.
pub(crate) fn check_versions(
    folder: &Path,
    history: &History,
    (variant, now): (&VariantName, &BTreeMap<String, String>),
) -> Result<(), Failure> {
    let trials = history.trials.iter();
    let trials = trials.filter(|trial| trial.spec.configuration.variant() == variant);
    let stored = trials.filter_map(|trial| Some(&trial.server.as_ref()?.versions));
    for (name, then) in stored.flatten() {
        if let Some(now) = now.get(name).filter(|now| *now != then) {
            let changed = format!("was measured with {name} {then}, and now it is {now}");
            return Err(strange(&folder.display().to_string(), &changed));
        }
    }
    Ok(())
}

fn meta(grid: &Grid, identity: String, opening: &Opening<'_>) -> StudyMeta {
    let words: Vec<String> = std::env::args().collect();
    let mut provenance = vec![
        ("command".to_owned(), words.join(" ")),
        (GRID_FILE.to_owned(), grid.path.display().to_string()),
        (RESULTS.to_owned(), opening.results.display().to_string()),
    ];
    provenance.extend(confine::remembered(opening.confinement));
    StudyMeta {
        name: grid.file.name.clone(),
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        grid_text: grid.text.clone(),
        identity,
        seed: Seed::new(opening.seed.unwrap_or(DEFAULT_SEED)),
        host: host::facts(opening.placement, opening.awake),
        created_wall_ns: host::now_wall_ns(),
        placement: opening.placement.clone(),
        provenance,
    }
}

/// Renames the folder to the first free `NAME.old-N`.
fn put_aside(folder: &Path) -> Result<(), Failure> {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let aside = (1u32..).map(|n| folder.with_file_name(format!("{name}.old-{n}")));
    for path in aside {
        if path.exists() {
            continue;
        }
        return std::fs::rename(folder, &path).map_err(|error| {
            Failure::stopped(
                ErrorCode::Store,
                format!(
                    "{} cannot be renamed to {}",
                    folder.display(),
                    path.display()
                ),
            )
            .because(error)
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use autotune_model::{
        Anchor, Configuration, LoadShape, Outcome, ServerRecord, Span, Stage, TrialKey,
        TrialRecord, TrialSpec,
    };

    use super::*;

    fn trial(variant: &VariantName, versions: BTreeMap<String, String>) -> TrialRecord {
        let profiles = autotune_server::profiles();
        let folded = Configuration::fold(&profiles[0], variant, &[], false);
        let anchor = Anchor {
            monotonic_ns: 0,
            boot_ns: 0,
            wall_ns: 0,
        };
        TrialRecord {
            spec: TrialSpec {
                key: TrialKey {
                    stage: Stage::Measure,
                    block: 0,
                    position: 0,
                },
                attempt: 0,
                configuration: folded.configuration,
                load: LoadShape::closed(1, Duration::ZERO),
                length: Duration::from_secs(1),
                warm_up: Duration::ZERO,
                seed: Seed::new(1),
            },
            outcome: Outcome::Measured,
            span: Span {
                start: anchor,
                end: anchor,
            },
            load: None,
            server: Some(ServerRecord {
                versions,
                ..ServerRecord::default()
            }),
        }
    }

    #[test]
    fn a_study_does_not_go_on_under_other_versions() {
        let variant = VariantName::new("gunicorn");
        let versions = |text: &str| BTreeMap::from([("gunicorn".to_owned(), text.to_owned())]);
        let mut history = History::default();
        let check = |history: &History, now: &str| {
            check_versions(Path::new("results/x"), history, (&variant, &versions(now)))
        };
        assert!(check(&history, "23.0.0").is_ok());
        history.trials.push(trial(&variant, versions("23.0.0")));
        assert!(check(&history, "23.0.0").is_ok());
        let refused = check(&history, "24.0.0").unwrap_err();
        assert_eq!(refused.exit(), crate::exit::Exit::Usage);
        let Failure::Other { message, hint, .. } = refused else {
            panic!("{refused:?}");
        };
        assert!(message.contains("with gunicorn 23.0.0, and now it is 24.0.0"));
        assert!(hint.is_some_and(|hint| hint.starts_with("--fresh")));
    }
}

//! What is done once before all trials: setup steps by content, versions. Makes
//! the [`Trials`] that check and run configurations.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autotune_model::{Bytes, ConfigId, CpuSet, Profile, ServerVariant, VariantName};
use autotune_process::{Finished, Launch, Marker, ProcessError, StopSignal, clock, run_to_end};
use autotune_server::{
    Behaviour, Command, Http, Place, Redactor, RenderError, Rendering, Version, behaviour,
    render_setup,
};

use crate::context::{TrialContext, TrialEvent};
use crate::error::TrialError;
use crate::facts::Facts;
use crate::folder::TrialFolder;
use crate::key::cache_key;
use crate::logs::{self, LOG_LIMIT_BYTES};
use crate::reach::Reach;

/// Packages can be large, and may have to be compiled.
const SETUP_LIMIT: Duration = Duration::from_secs(3600);
const QUESTION_LIMIT: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// Written last: a folder without it is half built.
const COMPLETE: &str = ".autotune-complete";

/// Checks and runs configurations of the prepared servers.
#[derive(Debug)]
pub struct Trials {
    pub(crate) context: TrialContext,
    pub(crate) variants: BTreeMap<VariantName, Prepared>,
    /// What was found out of a configuration, once.
    pub(crate) facts: BTreeMap<ConfigId, Facts>,
    pub(crate) http: Http,
    pub(crate) marker: Marker,
}

/// A server whose setup steps are done.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) variant: ServerVariant,
    pub(crate) profile: Profile,
    pub(crate) behaviour: Behaviour,
    pub(crate) cache: PathBuf,
    pub(crate) reach: Reach,
    pub(crate) stop: StopSignal,
    /// By name, as printed.
    pub(crate) versions: BTreeMap<String, String>,
    /// The server's own.
    pub(crate) version: Option<Version>,
}

impl Trials {
    /// Runs the setup steps of all servers, unless what they build is there,
    /// and asks for versions. Dropping the future ends the step that runs.
    ///
    /// # Errors
    /// When a setup step fails, or a server is not described well enough.
    pub async fn prepare(
        context: TrialContext,
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<Self, TrialError> {
        remove_leftovers(&context.run_root)?;
        let mut trials = Self {
            variants: BTreeMap::new(),
            facts: BTreeMap::new(),
            http: Http::new()?,
            marker: Marker::for_this_process()?,
            context,
        };
        for (variant, profile) in trials.context.variants.clone() {
            let prepared = trials.prepare_one(variant, profile, on_event).await?;
            trials
                .variants
                .insert(prepared.variant.name.clone(), prepared);
        }
        Ok(trials)
    }

    pub(crate) fn prepared(&self, name: &VariantName) -> Result<&Prepared, TrialError> {
        let unknown = || TrialError::UnknownVariant {
            variant: name.clone(),
        };
        self.variants.get(name).ok_or_else(unknown)
    }

    async fn prepare_one(
        &self,
        variant: ServerVariant,
        profile: Profile,
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<Prepared, TrialError> {
        let name = variant.name.clone();
        let mut behaviour = behaviour(&profile.name).ok_or_else(|| TrialError::Render {
            variant: name.clone(),
            source: RenderError::UnknownProfile {
                profile: profile.name.clone(),
            },
        })?;
        behaviour.always_give(&profile, &self.context.named);
        let signal = variant.stop.as_ref().unwrap_or(&behaviour.stop);
        let stop = signal.parse().map_err(|source| TrialError::StopSignal {
            variant: name.clone(),
            source,
        })?;
        let reach = Reach::parse(&variant.may_reach).map_err(|entry| TrialError::MayReach {
            variant: name,
            entry,
        })?;
        reach.resolve().await;
        let cache = self.set_up(&variant, on_event).await?;
        let mut prepared = Prepared {
            variant,
            profile,
            behaviour,
            cache,
            reach,
            stop,
            versions: BTreeMap::new(),
            version: None,
        };
        self.ask_versions(&mut prepared).await?;
        Ok(prepared)
    }

    /// Makes sure that what the setup steps build is there; gives its folder.
    async fn set_up(
        &self,
        variant: &ServerVariant,
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<PathBuf, TrialError> {
        let root = &self.context.cache_root;
        fs::create_dir_all(root).map_err(TrialError::file("make folder", root))?;
        let python = match variant.setup.is_empty() {
            true => String::new(),
            false => self.ask_python().await?,
        };
        let key = cache_key(&variant.dir, &variant.setup, &python).map_err(TrialError::file(
            "read the files that `setup` names in",
            &variant.dir,
        ))?;
        let cache = root.join(&key);
        let lock_path = root.join(format!("{key}.lock"));
        let lock = lock(&lock_path, || {
            on_event(TrialEvent::SetupAwaited {
                variant: variant.name.clone(),
            });
        });
        let _lock: File = lock.await?;
        if cache.join(COMPLETE).exists() {
            if !variant.setup.is_empty() {
                let variant = variant.name.clone();
                on_event(TrialEvent::SetupReused {
                    variant,
                    cache: cache.clone(),
                });
            }
            return Ok(cache);
        }
        if cache.exists() {
            fs::remove_dir_all(&cache).map_err(TrialError::file("remove folder", &cache))?;
        }
        fs::create_dir_all(&cache).map_err(TrialError::file("make folder", &cache))?;
        self.run_steps(variant, &cache, on_event).await?;
        let complete = cache.join(COMPLETE);
        fs::write(&complete, "").map_err(TrialError::file("write", complete))?;
        Ok(cache)
    }

    async fn run_steps(
        &self,
        variant: &ServerVariant,
        cache: &Path,
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<(), TrialError> {
        let began = Instant::now();
        let log = cache.with_extension("log");
        let steps = render_setup(variant, cache, &self.context.environment).map_err(|source| {
            TrialError::Render {
                variant: variant.name.clone(),
                source,
            }
        })?;
        for command in &steps {
            let step = command.argv.join(" ");
            on_event(TrialEvent::SetupStep {
                variant: variant.name.clone(),
                step: step.clone(),
            });
            let question = Question {
                command,
                dir: &variant.dir,
                log: &log,
                cpus: None,
            };
            let end = match self.run_tool(&question, SETUP_LIMIT).await {
                Ok((finished, _)) if finished.is_success() => continue,
                Ok((finished, output)) => (end(&finished), logs::tail(&output)),
                Err(TrialError::Process(ProcessError::Launch { source, .. })) => {
                    (source.to_string(), Vec::new())
                }
                Err(error) => return Err(error),
            };
            let (end, log) = end;
            return Err(TrialError::Setup {
                variant: variant.name.clone(),
                step,
                end,
                log,
            });
        }
        if !steps.is_empty() {
            let variant = variant.name.clone();
            on_event(TrialEvent::SetupDone {
                variant,
                took: began.elapsed(),
            });
        }
        Ok(())
    }

    /// What `python3 --version` says; a text of its own where there is none.
    async fn ask_python(&self) -> Result<String, TrialError> {
        let folder = TrialFolder::make(&self.context.run_root, None)?;
        let log = &folder.log();
        let env = self.context.environment.iter();
        let command = Command {
            argv: vec!["python3".to_owned(), "--version".to_owned()],
            env: env
                .map(|(name, value)| (name.clone(), autotune_model::Secret::new(value.clone())))
                .collect(),
            redactor: Redactor::default(),
        };
        let question = Question {
            command: &command,
            dir: Path::new("/"),
            log,
            cpus: None,
        };
        match self.run_tool(&question, QUESTION_LIMIT).await {
            Ok((_, output)) => Ok(output.trim().to_owned()),
            Err(TrialError::Process(ProcessError::Launch { .. })) => Ok("no python3".to_owned()),
            Err(error) => Err(error),
        }
    }

    /// Asks the server's program and its Python. A program that cannot be run
    /// is no error here: that the server does not start will be.
    async fn ask_versions(&self, prepared: &mut Prepared) -> Result<(), TrialError> {
        let Some(program) = prepared.behaviour.program.clone() else {
            return Ok(());
        };
        let python = match prepared.variant.bin {
            Some(_) => "python",
            None => "python3",
        };
        let folder = TrialFolder::make(&self.context.run_root, None)?;
        for (name, program, arguments) in [
            (
                program.as_str(),
                program.as_str(),
                prepared.behaviour.version.clone(),
            ),
            ("python", python, vec!["--version".to_owned()]),
        ] {
            let place = self.place(prepared, &folder, (Ipv4Addr::LOCALHOST, 0).into());
            let command = self
                .rendering(prepared, &place)
                .tool(program, &arguments)
                .map_err(|source| prepared.render_error(source))?;
            let log = folder.log().with_extension(name);
            let dir = &prepared.variant.dir;
            let question = Question {
                command: &command,
                dir,
                log: &log,
                cpus: None,
            };
            match self.run_tool(&question, QUESTION_LIMIT).await {
                Ok((_, output)) => {
                    if let Some(version) = Version::find(&output) {
                        prepared
                            .versions
                            .insert(name.to_owned(), version.to_string());
                        if name != "python" {
                            prepared.version = Some(version);
                        }
                    }
                }
                Err(TrialError::Process(ProcessError::Launch { source, .. })) => {
                    tracing::debug!(program, error = %source, "no version");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn place(
        &self,
        prepared: &Prepared,
        folder: &TrialFolder,
        address: SocketAddr,
    ) -> Place {
        Place {
            cache: prepared.cache.clone(),
            run: folder.run(),
            address,
            cores: self.context.placement.cores,
        }
    }

    pub(crate) fn rendering<'a>(
        &'a self,
        prepared: &'a Prepared,
        place: &'a Place,
    ) -> Rendering<'a> {
        Rendering {
            variant: &prepared.variant,
            profile: &prepared.profile,
            behaviour: &prepared.behaviour,
            place,
            version: prepared.version.as_ref(),
            inherited: &self.context.environment,
        }
    }

    /// Runs a command to its end and gives what it printed.
    pub(crate) async fn run_tool(
        &self,
        question: &Question<'_>,
        limit: Duration,
    ) -> Result<(Finished, String), TrialError> {
        let before = logs::length(question.log);
        let launch = Launch {
            argv: question.command.argv.clone(),
            env: question.command.env.clone(),
            dir: question.dir.to_owned(),
            log: question.log.to_owned(),
            log_limit: Bytes::new(LOG_LIMIT_BYTES),
            cpus: question.cpus.cloned(),
            user: None,
            marker: self.marker.clone(),
            sample_every: None,
            origin_monotonic_ns: clock::monotonic_ns(),
        };
        let finished = run_to_end(&launch, limit).await?;
        let output = logs::read_from(question.log, before, &question.command.redactor);
        Ok((finished, output))
    }
}

/// A command that is run to its end.
pub(crate) struct Question<'a> {
    pub(crate) command: &'a Command,
    pub(crate) dir: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) cpus: Option<&'a CpuSet>,
}

impl Prepared {
    pub(crate) fn render_error(&self, source: RenderError) -> TrialError {
        TrialError::Render {
            variant: self.variant.name.clone(),
            source,
        }
    }
}

/// How a command ended, for people.
pub(crate) fn end(finished: &Finished) -> String {
    if finished.timed_out {
        return format!("no end after {} s", finished.took.as_secs());
    }
    finished
        .exit
        .map_or_else(|| "an unknown status".to_owned(), |exit| exit.to_string())
}

/// Run folders of a program that was killed. Its processes were ended before.
fn remove_leftovers(run_root: &Path) -> Result<(), TrialError> {
    let entries = match fs::read_dir(run_root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(TrialError::file("read folder", run_root)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(TrialError::file("read folder", run_root))?;
        if entry.file_name().to_string_lossy().starts_with("trial-") {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(TrialError::file("remove folder", path))?;
        }
    }
    Ok(())
}

/// Takes the lock, waiting for another program that holds it. It is held as
/// long as the file is open.
async fn lock(path: &Path, mut on_wait: impl FnMut()) -> Result<File, TrialError> {
    let file = File::create(path).map_err(TrialError::file("open lock", path))?;
    let mut waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !waiting {
                    on_wait();
                    waiting = true;
                }
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(TryLockError::Error(error)) => return Err(TrialError::file("lock", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_run_folders_are_removed_at_the_start() {
        let place = tempfile::tempdir().unwrap();
        let run_root = place.path().join("run");
        remove_leftovers(&run_root).unwrap();
        fs::create_dir_all(run_root.join("trial-abc/run")).unwrap();
        fs::create_dir_all(run_root.join("mine")).unwrap();
        remove_leftovers(&run_root).unwrap();
        assert!(!run_root.join("trial-abc").exists());
        assert!(run_root.join("mine").exists());
    }

    #[tokio::test]
    async fn a_lock_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let mut held = Some(lock(&path, || ()).await.unwrap());
        // The wait itself lets the lock go, so nothing depends on time.
        let mut waited = 0;
        let second = lock(&path, || {
            waited += 1;
            drop(held.take());
        });
        drop(second.await.unwrap());
        assert_eq!(waited, 1);
    }
}

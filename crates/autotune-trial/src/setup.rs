//! Setup steps: run once, by content, into a folder that is kept. The same for a
//! server and for a service.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autotune_process::{ProcessError, RunAs, causes};
use autotune_server::{Command, Redactor, RenderError};

use crate::context::TrialEvent;
use crate::error::{Part, TrialError};
use crate::folder::TrialFolder;
use crate::key::cache_key;
use crate::logs;
use crate::prepare::{Question, Trials, end};

/// Packages can be large, and may have to be compiled.
const SETUP_LIMIT: Duration = Duration::from_secs(3600);
pub(crate) const QUESTION_LIMIT: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// Ends the name of a file beside the folder that is written last: without it the
/// folder is half built. What lies in the folder is its user's, who could make a
/// link of it.
const COMPLETE: &str = "complete";

/// What is built, and where.
#[derive(Clone, Copy)]
pub(crate) struct Building<'a> {
    /// For whom.
    pub(crate) part: &'a Part,
    /// Where the steps run.
    pub(crate) dir: &'a Path,
    /// As in the grid file, before any hole is filled.
    pub(crate) steps: &'a [Vec<String>],
    /// The folder of all that is kept.
    pub(crate) root: &'a Path,
    /// Whom the steps run as, and whose the folder is, where that is another user.
    pub(crate) user: Option<&'a RunAs>,
}

/// The steps with their holes filled, for a folder that is kept.
pub(crate) type Render<'a> = &'a dyn Fn(&Path) -> Result<Vec<Command>, RenderError>;

impl<'a> Building<'a> {
    /// The folder that is kept: another one for other steps, files that they name,
    /// another Python and another user, as what one has built may be closed to
    /// another.
    pub(crate) fn cache(&self, python: &str) -> Result<PathBuf, TrialError> {
        let maker = match self.user {
            Some(user) => format!("{python}\nuser {} {}", user.uid, user.gid),
            None => python.to_owned(),
        };
        let key = cache_key(self.dir, self.steps, &maker).map_err(TrialError::file(
            "read the files that `setup` names in",
            self.dir,
        ))?;
        Ok(self.root.join(key))
    }

    /// The steps for this folder.
    pub(crate) fn steps(
        &self,
        cache: &Path,
        render: Render<'_>,
    ) -> Result<Vec<Command>, TrialError> {
        render(cache).map_err(|source| TrialError::Render {
            part: self.part.clone(),
            source,
        })
    }

    /// A step, as it is run.
    pub(crate) fn question(&self, command: &'a Command, log: &'a Path) -> Question<'a> {
        Question {
            command,
            dir: self.dir,
            log,
            cpus: None,
            user: self.user,
        }
    }
}

impl Trials {
    /// The steps as they would be run for this folder.
    #[cfg(feature = "rehearsal")]
    pub(crate) fn rehearse_steps(
        &self,
        building: Building<'_>,
        (cache, render): (&Path, Render<'_>),
    ) -> Result<Vec<autotune_process::Launch>, TrialError> {
        let log = cache.with_extension("log");
        let steps = building.steps(cache, render)?;
        let launch = |command| self.tool(&building.question(command, &log));
        Ok(steps.iter().map(launch).collect())
    }

    /// Makes sure that what the setup steps build is there; gives its folder.
    pub(crate) async fn set_up(
        &self,
        building: Building<'_>,
        render: Render<'_>,
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<PathBuf, TrialError> {
        let Building { part, root, .. } = building;
        fs::create_dir_all(root).map_err(TrialError::file("make folder", root))?;
        let python = match building.steps.is_empty() {
            true => String::new(),
            false => self.ask_python().await?,
        };
        let cache = building.cache(&python)?;
        let lock_path = cache.with_extension("lock");
        let lock = lock(&lock_path, || {
            on_event(TrialEvent::SetupAwaited { part: part.clone() });
        });
        let _lock: File = lock.await?;
        let complete = cache.with_extension(COMPLETE);
        if is_built(&cache, &complete) {
            if !building.steps.is_empty() {
                on_event(TrialEvent::SetupReused {
                    part: part.clone(),
                    cache: cache.clone(),
                });
            }
            return Ok(cache);
        }
        match fs::remove_file(&complete) {
            // Somebody removed the folder, to have it built anew.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(TrialError::file("remove", complete)(error)),
        }
        if cache.exists() {
            fs::remove_dir_all(&cache).map_err(TrialError::file("remove folder", &cache))?;
        }
        fs::create_dir_all(&cache).map_err(TrialError::file("make folder", &cache))?;
        give_to(building.user, &cache)?;
        if building.user.is_some() {
            // The way here may be open to everybody.
            let closed = fs::Permissions::from_mode(0o700);
            fs::set_permissions(&cache, closed).map_err(TrialError::file("close", &cache))?;
        }
        self.run_steps(building, (&cache, render), on_event).await?;
        fs::write(&complete, "").map_err(TrialError::file("write", complete))?;
        Ok(cache)
    }

    async fn run_steps(
        &self,
        building: Building<'_>,
        (cache, render): (&Path, Render<'_>),
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<(), TrialError> {
        let part = building.part;
        let began = Instant::now();
        let log = cache.with_extension("log");
        logs::make(&log, building.user)?;
        let steps = building.steps(cache, render)?;
        for command in &steps {
            let step = command.argv.join(" ");
            on_event(TrialEvent::SetupStep {
                part: part.clone(),
                step: step.clone(),
            });
            let question = building.question(command, &log);
            let (end, log) = match self.run_tool(&question, SETUP_LIMIT).await {
                Ok((finished, _)) if finished.is_success() => continue,
                Ok((finished, output)) => (end(&finished), logs::tail(&output)),
                Err(TrialError::Process(error @ ProcessError::Launch { .. })) => {
                    (causes(&error), Vec::new())
                }
                Err(error) => return Err(error),
            };
            return Err(TrialError::Setup {
                part: part.clone(),
                step,
                end,
                log,
            });
        }
        if !steps.is_empty() {
            on_event(TrialEvent::SetupDone {
                part: part.clone(),
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
            user: None,
        };
        match self.run_tool(&question, QUESTION_LIMIT).await {
            Ok((_, output)) => Ok(output.trim().to_owned()),
            Err(TrialError::Process(ProcessError::Launch { .. })) => Ok("no python3".to_owned()),
            Err(error) => Err(error),
        }
    }
}

/// Whether this folder was built to the end. Links are not followed.
fn is_built(cache: &Path, complete: &Path) -> bool {
    let is = |path: &Path, kind: fn(&fs::Metadata) -> bool| {
        fs::symlink_metadata(path).is_ok_and(|found| kind(&found))
    };
    is(complete, fs::Metadata::is_file) && is(cache, fs::Metadata::is_dir)
}

/// Makes a file or folder that user's, where it is another one.
pub(crate) fn give_to(user: Option<&RunAs>, path: &Path) -> Result<(), TrialError> {
    let Some(user) = user else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))
        .map_err(TrialError::file("change the owner of", path))
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
    fn a_folder_is_built_where_it_and_its_marker_are_really_there() {
        let place = tempfile::tempdir().unwrap();
        let (cache, other) = (place.path().join("key"), place.path().join("other"));
        let complete = cache.with_extension(COMPLETE);
        assert!(!complete.starts_with(&cache));
        fs::create_dir(&cache).unwrap();
        assert!(!is_built(&cache, &complete), "it is half built");
        fs::write(&complete, "").unwrap();
        assert!(is_built(&cache, &complete));
        fs::rename(&cache, &other).unwrap();
        assert!(!is_built(&cache, &complete), "it was removed");
        std::os::unix::fs::symlink(&other, &cache).unwrap();
        assert!(!is_built(&cache, &complete), "it leads elsewhere");
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

//! The commands that a server's `before_trial` and `after_trial` name: run one
//! after the other to their end, under a supervisor, around each launch.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_process::ProcessError;
use autotune_server::{Command, Redactor};
use tokio::time::Instant;

use crate::error::TrialError;
use crate::folder::TrialFolder;
use crate::logs;
use crate::prepare::{Prepared, Question, Trials, end};
use crate::session::stopped;

/// For all commands of a key together. A database that is restored is no package
/// that is compiled; and a trial, its commands included, must end before others
/// may take it for lost.
const HOOK_LIMIT: Duration = Duration::from_secs(600);

/// The commands of one key, with all holes filled.
#[derive(Debug)]
pub(crate) struct Hooks {
    /// As in the grid file.
    pub(crate) key: &'static str,
    pub(crate) commands: Vec<Command>,
}

impl Trials {
    /// Runs these commands. The first one that fails ends it; what it printed is
    /// told without the redactor's secrets.
    ///
    /// # Errors
    /// [`TrialError::Hook`] for one that fails or takes too long,
    /// [`TrialError::Interrupted`] when the program is asked to stop; the command
    /// that runs is then ended.
    pub(crate) async fn run_hooks(
        &self,
        prepared: &Prepared,
        (hooks, (folder, redactor)): (&Hooks, (&TrialFolder, &Redactor)),
        stop: &AtomicBool,
    ) -> Result<(), TrialError> {
        let deadline = Instant::now() + HOOK_LIMIT;
        for command in &hooks.commands {
            let question = Question {
                command,
                dir: &prepared.variant.dir,
                log: &folder.hook_log(),
                cpus: None,
                user: None,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let finished = tokio::select! {
                biased;
                () = stopped(stop) => return Err(TrialError::Interrupted),
                finished = self.run_tool(&question, left) => finished,
            };
            let (end, output) = match finished {
                Ok((finished, _)) if finished.is_success() => continue,
                Ok((finished, output)) => (end(&finished), output),
                Err(TrialError::Process(ProcessError::Launch { source, .. })) => {
                    (source.to_string(), String::new())
                }
                Err(error) => return Err(error),
            };
            return Err(TrialError::Hook {
                variant: prepared.variant.name.clone(),
                key: hooks.key,
                command: redactor.clean(&command.argv.join(" ")),
                end,
                log: logs::tail(&redactor.clean(&output)),
            });
        }
        Ok(())
    }
}

//! Runs a command to its end under a supervisor, for setup steps and questions to
//! a server's program.

use std::time::Duration;

use crate::client::{ProcessEvent, Supervised};
use crate::error::ProcessError;
use crate::launch::Launch;
use crate::signal::{ExitStatus, StopSignal};

/// How long a command that took too long may take to end gracefully.
const GRACE: Duration = Duration::from_secs(2);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How its main process ended; `None` where that is not known.
    pub exit: Option<ExitStatus>,
    /// From its start to its end.
    pub took: Duration,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
}

impl Finished {
    /// Whether it ended by itself, in time and well.
    pub fn is_success(&self) -> bool {
        !self.timed_out && self.exit.is_some_and(|exit| exit.is_success())
    }
}

/// Runs a command until it ends, or for the limit. What it leaves running is
/// ended; when the future is dropped, so is the command.
///
/// # Errors
/// As [`Supervised::launch`] and [`Supervised::stop`]. That the command itself
/// failed is no error.
pub async fn run_to_end(launch: &Launch, limit: Duration) -> Result<Finished, ProcessError> {
    let began = std::time::Instant::now();
    let mut supervised = Supervised::launch(launch).await?;
    let exited = async {
        while !matches!(supervised.next().await?, ProcessEvent::Exited(_)) {}
        Ok::<(), ProcessError>(())
    };
    let timed_out = match tokio::time::timeout(limit, exited).await {
        Ok(exited) => {
            exited?;
            false
        }
        Err(tokio::time::error::Elapsed { .. }) => true,
    };
    let took = began.elapsed();
    let report = supervised.stop(StopSignal::Term, GRACE).await?;
    Ok(Finished {
        exit: report.exit,
        took,
        timed_out,
    })
}

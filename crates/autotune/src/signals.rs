//! The first interrupt ends the trial cleanly and leaves the sweep resumable;
//! the second ends the program, and the supervisors end what it started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal;

/// Listens from now on; the flag is set by the first signal.
///
/// # Errors
/// When the signals cannot be listened to.
pub(crate) fn listen() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    // Handling a hang-up undoes `nohup`, which ignores it.
    if !is_ignored(libc_sighup()) {
        kinds.push(SignalKind::hangup());
    }
    for kind in kinds {
        let stream = signal(kind).map_err(|error| {
            Failure::stopped(
                autotune_model::ErrorCode::Process,
                "signals cannot be handled",
            )
            .because(error)
        })?;
        tokio::spawn(wait(stream, Arc::clone(&stop)));
    }
    Ok(stop)
}

#[expect(clippy::exit, reason = "the second signal asks for an end at once")]
async fn wait(mut stream: Signal, stop: Arc<AtomicBool>) {
    while stream.recv().await.is_some() {
        if stop.swap(true, Ordering::SeqCst) {
            std::process::exit(Exit::Interrupted as i32);
        }
        terminal::say("stopping: the trial is ended cleanly; again to stop at once");
    }
}

fn libc_sighup() -> u32 {
    nix::sys::signal::Signal::SIGHUP as u32
}

/// Whether this process ignores a signal, from the mask in `/proc`.
fn is_ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

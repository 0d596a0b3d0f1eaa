//! Sends a plan for real: one thread of its own, pinned where asked, with its
//! own runtime. What is sent when is `engine`'s.

use std::future::poll_fn;
use std::sync::atomic::AtomicBool;
use std::thread;

use autotune_model::{CpuSet, LoadRecord};
use nix::sched::{CpuSet as AffinityMask, sched_setaffinity};
use nix::unistd::Pid;
use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, LocalOptions};

use crate::clock::MonotonicClock;
use crate::engine::Engine;
use crate::plan::{LoadError, LoadPlan};
use crate::request::{Request, write_all};
use crate::transport::Loopback;

/// Below zero comes first; far from what the kernel's own threads have.
const NICENESS: i32 = -10;

/// A load whose requests have all ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// What was seen.
    pub record: LoadRecord,
    /// How many users had not made all the requests that the load says when its
    /// time was over; none where users ask until its end.
    pub users_left: u32,
}

/// [`send`], for callers that want no more than the record.
///
/// # Errors
/// As for [`send`].
pub fn run(plan: &LoadPlan, stop: &AtomicBool) -> Result<LoadRecord, LoadError> {
    send(plan, stop).map(|sent| sent.record)
}

/// Sends the load and waits until the last request has ended; blocks the
/// calling thread.
///
/// Setting `stop` ends the schedule early: what is not yet due is never
/// scheduled, and what is open is waited for up to one second. The record then
/// says the length that was reached.
///
/// # Errors
/// When the plan is refused (anything but loopback, above all), or when the
/// generator cannot be set up. Failing requests are no errors but data.
pub fn send(plan: &LoadPlan, stop: &AtomicBool) -> Result<Finished, LoadError> {
    plan.check()?;
    let requests = write_all(plan)?;
    let setup = |what| move |source| LoadError::Setup { what, source };
    thread::scope(|scope| {
        let generator = thread::Builder::new()
            .name("autotune-load".to_owned())
            .spawn_scoped(scope, || generate((plan, requests), stop))
            .map_err(setup("thread"))?;
        match generator.join() {
            Ok(sent) => sent,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn generate(
    (plan, requests): (&LoadPlan, Vec<Request>),
    stop: &AtomicBool,
) -> Result<Finished, LoadError> {
    if let Some(cpus) = &plan.cpus {
        pin(cpus).map_err(|source| LoadError::Pin {
            cpus: cpus.clone(),
            source,
        })?;
    }
    prefer();
    let setup = |what| move |source| LoadError::Setup { what, source };
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build_local(LocalOptions::default())
        .map_err(setup("runtime"))?;
    runtime.block_on(async {
        let clock = MonotonicClock::start().map_err(setup("timer"))?;
        let transport = Loopback {
            target: plan.target,
        };
        let mut engine = Engine::new((plan, requests), stop, transport, clock);
        poll_fn(|cx| engine.poll(cx))
            .await
            .map_err(setup("timer"))?;
        let start_ns = engine
            .clock()
            .start_ns()
            .saturating_sub(plan.origin_monotonic_ns);
        let users_left = engine.users_left();
        let record = LoadRecord {
            start_ns,
            ..engine.finish()
        };
        Ok(Finished { record, users_left })
    })
}

/// Lets the calling thread go before others, the server's processes above all,
/// where this program may do that. On Linux the call is for one thread, and only
/// what that thread starts inherits it: this one starts nothing.
fn prefer() {
    if getpriority_process(None).is_ok_and(|have| have <= NICENESS) {
        return;
    }
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the generator runs at the usual priority");
    }
}

/// Pins the calling thread.
fn pin(cpus: &CpuSet) -> nix::Result<()> {
    let mut mask = AffinityMask::new();
    cpus.as_slice().iter().try_for_each(|cpu| mask.set(*cpu))?;
    sched_setaffinity(Pid::from_raw(0), &mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_generator_thread_is_preferred() {
        let own = || getpriority_process(None).unwrap();
        let before = own();
        let inside = thread::spawn(move || {
            prefer();
            own()
        });
        // The same where this program may not do that.
        let inside = inside.join().unwrap();
        assert!(inside <= before, "{inside} {before}");
        assert_eq!(own(), before);
    }
}

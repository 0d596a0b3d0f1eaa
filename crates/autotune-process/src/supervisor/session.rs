//! The supervisor's loop: waits for the program, the keeper and the time, and
//! decides what is done next.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use super::link::Link;
use super::running::{Ended, Running};
use crate::clock::monotonic_ns;
use crate::signal::StopSignal;
use crate::wire::{Reply, Request, VERSION, WireReport};

/// How often the size of the log is looked at.
const LOG_EVERY: Duration = Duration::from_millis(200);
/// How long the rest of a tree may take to end after the main process: those
/// that are just ending need not be killed.
const SETTLE: Duration = Duration::from_millis(300);

/// Serves one program until it is gone or all is stopped.
#[derive(Debug)]
pub(crate) struct Session {
    link: Link,
    signals: SignalFd,
    greeted: bool,
    running: Option<Running>,
    told_exit: bool,
    sampling: Option<Beat>,
    log: Beat,
    stopping: Option<Stopping>,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Wait,
    End,
}

/// Something that is done again and again; times of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Beat {
    every_ns: u64,
    next_ns: u64,
}

/// A stop under way; times of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stopping {
    began_ns: u64,
    /// When what is left is killed.
    until_ns: u64,
}

impl Session {
    pub(crate) fn new(link: Link, signals: SignalFd) -> Self {
        Self {
            link,
            signals,
            greeted: false,
            running: None,
            told_exit: false,
            sampling: None,
            log: Beat::starting_at(monotonic_ns(), LOG_EVERY),
            stopping: None,
        }
    }

    /// Whatever ends the loop, nothing of the tree is left afterwards.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let ended = self.serve();
        let cleared = self
            .running
            .as_mut()
            .map(|running| running.end(&self.signals));
        if let Err(error) = &ended {
            self.link.send_last(&Reply::Fault {
                what: error.to_string(),
            })?;
        }
        cleared.transpose()?;
        ended
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            self.wait()?;
            while let Some(signal) = self.signals.read_signal()? {
                if signal.ssi_signo == Signal::SIGTERM as u32 {
                    return Ok(());
                }
            }
            self.link.read()?;
            while let Some(request) = self.link.next().map_err(io::Error::other)? {
                if self.answer(request)? == Next::End {
                    return Ok(());
                }
            }
            if self.link.is_closed() || self.look_after()? == Next::End {
                return Ok(());
            }
            self.link.flush()?;
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, self.link.is_waiting());
        let mut fds = vec![
            PollFd::new(self.link.socket().as_fd(), events),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        let report = self.running.as_ref().and_then(Running::report);
        fds.extend(report.map(|report| PollFd::new(report, PollFlags::POLLIN)));
        match poll(&mut fds, self.timeout()) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Until the next thing that is due.
    fn timeout(&self) -> PollTimeout {
        if self.running.is_none() {
            return PollTimeout::NONE;
        }
        let sampling = self.sampling.map(|beat| beat.next_ns);
        let stopping = self.stopping.map(|stopping| stopping.until_ns);
        let next = [Some(self.log.next_ns), sampling, stopping]
            .into_iter()
            .flatten()
            .min();
        let left_ns = next.unwrap_or_default().saturating_sub(monotonic_ns());
        PollTimeout::from(u16::try_from(left_ns.div_ceil(1_000_000)).unwrap_or(u16::MAX))
    }

    fn answer(&mut self, request: Request) -> io::Result<Next> {
        match (request, &self.running) {
            (Request::Hello { version }, None) if !self.greeted => {
                if version > VERSION {
                    self.link.send_last(&Reply::Refused { version: VERSION })?;
                    return Ok(Next::End);
                }
                self.greeted = true;
                self.link.send(&Reply::Hello { version: VERSION })?;
            }
            (Request::Launch(launch), None) if self.greeted => {
                return self.launch(&launch);
            }
            (Request::Sample { id }, Some(running)) => {
                let sample = running.sample()?;
                self.link.send(&Reply::Sampled {
                    id: Some(id),
                    sample,
                })?;
            }
            (Request::Stop { signal, grace_us }, Some(running)) if self.stopping.is_none() => {
                let signal: StopSignal = signal.parse().map_err(io::Error::other)?;
                let began_ns = monotonic_ns();
                let grace_ns = if running.exit().is_some() || signal == StopSignal::Kill {
                    0
                } else {
                    running.signal(signal)?;
                    grace_us.saturating_mul(1000)
                };
                let until_ns = began_ns.saturating_add(grace_ns);
                self.stopping = Some(Stopping { began_ns, until_ns });
                self.sampling = None;
            }
            _ => return Err(io::Error::other("message out of turn")),
        }
        Ok(Next::Wait)
    }

    fn launch(&mut self, launch: &crate::wire::WireLaunch) -> io::Result<Next> {
        match Running::launch(launch) {
            Ok(running) => {
                // A fault of the supervisor's own is then found in the log.
                running.log.show_faults()?;
                let now = monotonic_ns();
                let every = launch.sample_every_us.filter(|every| *every > 0);
                self.sampling = every.map(|us| Beat::after(now, Duration::from_micros(us)));
                self.log = Beat::starting_at(now, LOG_EVERY);
                let isolation = running.isolation().as_str().to_owned();
                self.link.send(&Reply::Started {
                    pid: running.main(),
                    isolation,
                })?;
                self.running = Some(running);
                Ok(Next::Wait)
            }
            Err(fault) => {
                let path = fault.path.to_string_lossy().into_owned();
                let step = fault.step.into();
                self.link.send_last(&Reply::LaunchFailed {
                    step,
                    path,
                    errno: fault.errno,
                })?;
                Ok(Next::End)
            }
        }
    }

    /// Does what is due.
    fn look_after(&mut self) -> io::Result<Next> {
        let Some(running) = &mut self.running else {
            return Ok(Next::Wait);
        };
        running.update()?;
        let now = monotonic_ns();
        if let Some(exit) = running.exit().filter(|_| !self.told_exit) {
            self.told_exit = true;
            self.sampling = None;
            self.link.send(&Reply::Exited(exit.into()))?;
            if let Some(stopping) = &mut self.stopping {
                stopping.main_ended(now);
            }
        }
        if self.log.is_due(now) {
            running.log.enforce()?;
        }
        let sampling = self.sampling.as_mut().filter(|_| !self.link.is_behind());
        if sampling.is_some_and(|beat| beat.is_due(now)) {
            let sample = running.sample()?;
            self.link.send(&Reply::Sampled { id: None, sample })?;
        }
        match self.stopping {
            Some(stopping) if running.is_empty() || now >= stopping.until_ns => {
                self.finish(stopping)?;
                Ok(Next::End)
            }
            _ => Ok(Next::Wait),
        }
    }

    /// Ends what is left and says what it came to.
    fn finish(&mut self, stopping: Stopping) -> io::Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let Ended {
            killed,
            left,
            oom_kills,
            groups_left,
        } = running.end(&self.signals)?;
        let took_us = monotonic_ns().saturating_sub(stopping.began_ns) / 1000;
        let reply = if left.is_empty() {
            Reply::Stopped(WireReport {
                exit: running.exit().map(Into::into),
                took_us,
                killed,
                log_bytes: running.log.bytes()?,
                log_truncations: running.log.truncations(),
                oom_kills,
                groups_left: groups_left
                    .iter()
                    .map(|path| path.to_string_lossy().into_owned())
                    .collect(),
            })
        } else {
            Reply::NotEnded { pids: left }
        };
        self.link.send_last(&reply)
    }
}

impl Beat {
    fn starting_at(now_ns: u64, every: Duration) -> Self {
        let every_ns = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self {
            every_ns,
            next_ns: now_ns,
        }
    }

    fn after(now_ns: u64, every: Duration) -> Self {
        let first = Self::starting_at(now_ns, every);
        Self {
            next_ns: now_ns.saturating_add(first.every_ns),
            ..first
        }
    }

    /// Whether it is to be done now. The beat is kept; what was missed is left
    /// out rather than made up for in a burst.
    fn is_due(&mut self, now_ns: u64) -> bool {
        let is_due = now_ns >= self.next_ns;
        if is_due {
            let missed = (now_ns - self.next_ns) / self.every_ns;
            let step = self.every_ns.saturating_mul(missed.saturating_add(1));
            self.next_ns = self.next_ns.saturating_add(step);
        }
        is_due
    }
}

impl Stopping {
    /// What is left has a moment of its own, within the grace.
    fn main_ended(&mut self, now_ns: u64) {
        let settle_ns = u64::try_from(SETTLE.as_nanos()).unwrap_or(u64::MAX);
        self.until_ns = self.until_ns.min(now_ns.saturating_add(settle_ns));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use nix::sys::signal::SigSet;

    use super::*;
    use crate::wire::{Decoder, encode};

    /// All that a session answers to these requests before it ends.
    fn answers(requests: &[Request]) -> (io::Result<()>, Vec<Reply>) {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
        let signals =
            SignalFd::with_flags(&SigSet::empty(), nix::sys::signalfd::SfdFlags::SFD_NONBLOCK)
                .expect("a signalfd");
        for request in requests {
            theirs
                .write_all(&encode(request).expect("short"))
                .expect("written");
        }
        theirs
            .shutdown(std::net::Shutdown::Write)
            .expect("shut down");
        let ended = Session::new(Link::new(ours).expect("a link"), signals).run();
        let mut decoder = Decoder::default();
        theirs.read_to_end(decoder.buffer()).expect("readable");
        let replies = std::iter::from_fn(|| decoder.next().expect("whole")).collect();
        (ended, replies)
    }

    #[test]
    fn a_program_that_is_newer_is_refused() {
        let (ended, replies) = answers(&[Request::Hello {
            version: VERSION + 1,
        }]);
        assert!(ended.is_ok());
        assert!(matches!(replies[..], [Reply::Refused { version: VERSION }]));
    }

    #[test]
    fn messages_out_of_turn_end_the_session_with_a_fault() {
        let hello = || Request::Hello { version: VERSION };
        for requests in [vec![Request::Sample { id: 1 }], vec![hello(), hello()]] {
            let (ended, replies) = answers(&requests);
            assert!(ended.is_err());
            assert!(matches!(replies.last(), Some(Reply::Fault { .. })));
        }
    }

    #[test]
    fn a_beat_is_kept_and_what_was_missed_is_left_out() {
        let mut beat = Beat::after(1000, Duration::from_nanos(100));
        assert!(!beat.is_due(1099));
        assert!(beat.is_due(1105));
        assert!(!beat.is_due(1199));
        assert!(beat.is_due(1430));
        assert_eq!(beat.next_ns, 1500);
    }

    #[test]
    fn after_the_main_process_the_rest_has_a_moment_within_the_grace() {
        let mut stopping = Stopping {
            began_ns: 0,
            until_ns: 10_000_000_000,
        };
        stopping.main_ended(1_000_000_000);
        assert_eq!(stopping.until_ns, 1_300_000_000);
        let mut stopping = Stopping {
            began_ns: 0,
            until_ns: 1_100_000_000,
        };
        stopping.main_ended(1_000_000_000);
        assert_eq!(stopping.until_ns, 1_100_000_000);
    }
}

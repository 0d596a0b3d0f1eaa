//! Questions to every endpoint before any load: what is wrong with an app must
//! show in seconds, not after a night.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_model::{Bytes, Configuration, Peer};
use autotune_process::{causes, clock};
use tokio::time::Instant;

use crate::context::{Answered, Outside, TrialEvent, Verified};
use crate::error::{Part, TrialError};
use crate::logs;
use crate::prepare::{Prepared, Trials};
use crate::reach::is_beyond;
use crate::session::{Asking, Break, CLOSE_QUESTIONS, Care, Closed, Session, StartFault, stopped};
use crate::workers::describe;

/// A question that takes longer than this is answered wrongly enough.
const LONGEST_QUESTION: Duration = Duration::from_secs(20);
/// With less time left nothing else is tried.
const SHORTEST_TRY: Duration = Duration::from_secs(5);
/// A server that never became ready has nothing to end gracefully.
const SHORT_GRACE: Duration = Duration::from_secs(2);

impl Trials {
    /// Launches a configuration, asks every endpoint, looks at its connections
    /// and settings, and stops it.
    ///
    /// # Errors
    /// [`TrialError::ServerStart`], [`TrialError::EndpointCheck`] and
    /// [`TrialError::OutsideConnection`] name what is wrong with the app.
    pub async fn verify(
        &mut self,
        configuration: &Configuration,
        on_event: &mut dyn FnMut(TrialEvent),
        stop: &AtomicBool,
    ) -> Result<Verified, TrialError> {
        let mut until = Instant::now() + self.context.check_limit;
        self.verify_until(&mut until, configuration, on_event, stop)
            .await
    }

    /// As [`Trials::verify`], with a second configuration where the first one
    /// does not start: that is data, while an endpoint that answers wrongly does
    /// so under any. Both share the time of one, so that an app that never gets
    /// ready stops everything as soon.
    ///
    /// # Errors
    /// As [`Trials::verify`].
    pub async fn verify_either<'c>(
        &mut self,
        [first, other]: [&'c Configuration; 2],
        on_event: &mut dyn FnMut(TrialEvent),
        stop: &AtomicBool,
    ) -> Result<(&'c Configuration, Verified), TrialError> {
        let mut until = Instant::now() + self.context.check_limit;
        let verified = self.verify_until(&mut until, first, on_event, stop).await;
        match verified {
            Err(fault @ TrialError::ServerStart { .. })
                if first != other && Instant::now() + SHORTEST_TRY < until =>
            {
                on_event(TrialEvent::Note {
                    text: fault.to_string(),
                });
                let verified = self.verify_until(&mut until, other, on_event, stop).await?;
                Ok((other, verified))
            }
            answer => Ok((first, answer?)),
        }
    }

    /// What `before_trial` takes is added to the time: it is not the server's.
    async fn verify_until(
        &mut self,
        until: &mut Instant,
        configuration: &Configuration,
        on_event: &mut dyn FnMut(TrialEvent),
        stop: &AtomicBool,
    ) -> Result<Verified, TrialError> {
        let label = configuration.label().clone();
        on_event(TrialEvent::Starting {
            configuration: label.clone(),
        });
        let mut facts = tokio::select! {
            facts = self.facts(configuration) => facts?,
            () = stopped(stop) => return Err(TrialError::Interrupted),
        };
        for note in &facts.notes {
            on_event(TrialEvent::Note { text: note.clone() });
        }
        let launched = Instant::now();
        let origin = clock::monotonic_ns();
        let opened = Session::open(self, configuration, (origin, stop)).await;
        if opened.is_err() {
            self.services.check().await?;
        }
        let mut session = match opened? {
            Ok(session) => session,
            Err(fault) => {
                return Err(self.fault(configuration, StartFault::Launch(fault), Vec::new()));
            }
        };
        *until += session.hooks_took;
        let asking = self.asking(configuration, &facts);
        let asking = Asking {
            care: Care::Close,
            ready_limit: until.saturating_duration_since(Instant::now()),
            timeout: asking.timeout.min(LONGEST_QUESTION),
            ..asking
        };
        let started = session.start(&asking, stop).await;
        // While the process that holds a connection still has a name.
        let started = started.map_err(|fault| self.fault(configuration, fault, Vec::new()));
        let so_far = session.log();
        let grace = self.grace(configuration, &facts);
        let grace = started.as_ref().map_or(grace.min(SHORT_GRACE), |_| grace);
        let closed = session.close(grace, stop).await;
        if let Ok(closed) = &closed {
            *until += closed.hooks_took;
        }
        // What an app does whose database is gone is no finding about the app.
        self.services.check().await?;
        let (started, closed) = match (started, closed) {
            (Err(error), Err(_)) => return Err(error),
            (started, closed) => (started, closed?),
        };
        let memory = self.context.confinement.limits.memory;
        let started = started.map_err(|error| with_end(error, &closed, memory))?;
        if facts.overridden.is_none() {
            facts.overridden = self.overridden(configuration, &facts, (&started, &so_far));
        }
        let took = launched.elapsed();
        on_event(TrialEvent::Checked {
            configuration: label,
            boot: started.boot,
        });
        let prepared = self.prepared(configuration.variant())?;
        Ok(Verified {
            versions: prepared.versions.clone(),
            settings: facts.settings,
            boot: started.boot,
            overridden: facts.overridden,
            notes: facts.notes,
            overhead: took.saturating_sub(asked_again(&started.answers)),
            answers: last_of_each(started.answers, self.context.endpoints.len()),
            outside: outside(prepared, &closed.peers),
            services: self.services.up(),
        })
    }

    /// The error for a server that does not become ready.
    pub(crate) fn fault(
        &self,
        configuration: &Configuration,
        fault: StartFault,
        log: Vec<String>,
    ) -> TrialError {
        let name = configuration.to_string();
        let start = |reason: String| TrialError::ServerStart {
            configuration: name.clone(),
            reason,
            log: log.clone(),
        };
        match fault {
            StartFault::Launch(error) => start(causes(&error)),
            StartFault::NotReady(why) => start(why),
            StartFault::Break(Break::Exited(status)) => {
                start(format!("it ended with {status} before it was ready"))
            }
            StartFault::Endpoint(mut failure) => TrialError::EndpointCheck {
                configuration: configuration.to_string(),
                source: failure.source.take(),
                failure,
                log,
            },
            StartFault::Break(Break::Stopped) => TrialError::Interrupted,
            StartFault::Break(Break::Lost(error)) => error.into(),
            StartFault::Break(Break::Service(ended)) => self.services.fault(ended),
            StartFault::Break(Break::Outside(peer)) => TrialError::OutsideConnection {
                part: Part::Server(configuration.variant().clone()),
                address: peer.address,
                protocol: peer.protocol,
                process: describe(peer.pid),
            },
        }
    }
}

/// The time of the questions that a trial does not ask: all but the first round.
fn asked_again(answers: &[Answered]) -> Duration {
    let all: Duration = answers.iter().map(|answer| answer.took).sum();
    all - all / CLOSE_QUESTIONS as u32
}

/// The last round of answers: the server has done its first-time work by then.
fn last_of_each(mut answers: Vec<Answered>, endpoints: usize) -> Vec<Answered> {
    answers.split_off(answers.len().saturating_sub(endpoints))
}

/// Where the app's connections lead, each place once, whoever holds them.
fn outside(prepared: &Prepared, peers: &BTreeSet<Peer>) -> Vec<Outside> {
    let beyond = peers.iter().filter(|peer| is_beyond(peer.address));
    let places: BTreeSet<Outside> = beyond
        .map(|peer| Outside {
            address: peer.address,
            protocol: peer.protocol.clone(),
            allowed_by: prepared.reach.allowing(peer.address).map(str::to_owned),
        })
        .collect();
    places.into_iter().collect()
}

/// Tells how a server ended that does not start: with its log, and whether the
/// kernel ended it since it may have no more than this memory.
fn with_end(error: TrialError, closed: &Closed, memory: Option<Bytes>) -> TrialError {
    let mut error = with_log(error, logs::tail(&closed.log));
    let ooms = closed.report.as_ref().and_then(|report| report.oom_kills);
    let memory = ooms.filter(|kills| *kills > 0).and(memory);
    if let (TrialError::ServerStart { reason, .. }, Some(memory)) = (&mut error, memory) {
        reason.push_str(&format!(
            "; the kernel ended a process of it, since {memory} is all the memory that [limits] gives"
        ));
    }
    error
}

/// The log is whole only after the stop.
fn with_log(error: TrialError, tail: Vec<String>) -> TrialError {
    match error {
        TrialError::ServerStart {
            configuration,
            reason,
            ..
        } => TrialError::ServerStart {
            configuration,
            reason,
            log: tail,
        },
        TrialError::EndpointCheck {
            configuration,
            failure,
            source,
            ..
        } => TrialError::EndpointCheck {
            configuration,
            failure,
            source,
            log: tail,
        },
        other => other,
    }
}

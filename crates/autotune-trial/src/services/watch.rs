//! A service while it runs: a task owns it, hears of it, keeps the samples of a
//! load and stops it when asked. When the task ends, so does the service.

use std::time::Duration;

use autotune_model::{Peer, ServerSample};
use autotune_process::{ExitStatus, ProcessError, ProcessEvent, StopSignal, Supervised};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::usage::Look;
use crate::reach::Reach;

/// Requests wait for an answer, so no more than one is ever under way.
const REQUESTS: usize = 1;

/// Why a service can be used no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its main process ended.
    Exited(ExitStatus),
    /// Its supervisor was lost, and with it the service.
    Lost(String),
    /// It connects to where it may not.
    Outside(Peer),
}

/// The handle of a service that is watched. When it is dropped, the service is
/// ended.
#[derive(Debug)]
pub(crate) struct Watched {
    requests: mpsc::Sender<Request>,
    end: watch::Receiver<Option<End>>,
    task: Task,
}

#[derive(Debug)]
enum Request {
    Look(oneshot::Sender<Looked>),
    BeginLoad(oneshot::Sender<Looked>),
    EndLoad(oneshot::Sender<Vec<Look>>),
    Stop {
        signal: StopSignal,
        grace: Duration,
        done: oneshot::Sender<Result<(), ProcessError>>,
    },
}

/// It was looked at, at this moment.
#[derive(Debug)]
struct Looked;

/// A task that does not outlive its handle.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watched {
    /// Watches it from now on.
    pub(crate) fn begin(supervised: Supervised, reach: Reach) -> Self {
        let (requests, asked) = mpsc::channel(REQUESTS);
        let (told, end) = watch::channel(None);
        let keeper = Keeper {
            supervised,
            reach,
            told,
            looks: None,
        };
        Self {
            requests,
            end,
            task: Task(tokio::spawn(keeper.run(asked))),
        }
    }

    /// Returns when it can be used no more.
    pub(crate) async fn ended(&self) -> End {
        let mut end = self.end.clone();
        let known = end.wait_for(Option::is_some).await;
        let known = known.ok().and_then(|end| end.clone());
        // The task ends only after it has told, or when all of this is dropped.
        known.unwrap_or_else(|| End::Lost("nobody watches it any more".to_owned()))
    }

    /// Why it can be used no more, if that is so at this moment.
    pub(crate) async fn end_so_far(&self) -> Option<End> {
        self.ask(Request::Look).await;
        self.end.borrow().clone()
    }

    pub(crate) async fn begin_load(&self) {
        self.ask(Request::BeginLoad).await;
    }

    /// The looks since the load began; none where the service is gone.
    pub(crate) async fn end_load(&self) -> Vec<Look> {
        self.ask(Request::EndLoad).await.unwrap_or_default()
    }

    /// Ends it gracefully, then surely.
    pub(crate) async fn stop(
        mut self,
        signal: StopSignal,
        grace: Duration,
    ) -> Result<(), ProcessError> {
        let stopped = self.ask(|done| Request::Stop {
            signal,
            grace,
            done,
        });
        let stopped = stopped.await.unwrap_or(Ok(()));
        // It has ended by itself: it was stopped, or its supervisor was lost.
        if let Err(error) = (&mut self.task.0).await {
            tracing::warn!(%error, "the task of a service failed");
        }
        stopped
    }

    /// `None` where the task has ended.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.ok()?;
        answered.await.ok()
    }
}

/// What the task holds.
struct Keeper {
    supervised: Supervised,
    reach: Reach,
    told: watch::Sender<Option<End>>,
    /// Of the load that is under way.
    looks: Option<Vec<Look>>,
}

impl Keeper {
    async fn run(mut self, mut asked: mpsc::Receiver<Request>) {
        loop {
            // The end is told again whenever it is asked for.
            let has_ended = self.told.borrow().is_some();
            tokio::select! {
                biased;
                request = asked.recv() => match request {
                    None => return,
                    Some(Request::Stop { signal, grace, done }) => {
                        let stopped = self.supervised.stop(signal, grace).await;
                        // Nobody may be left who waits for the answer.
                        drop(done.send(without_loss(stopped.map(drop))));
                        return;
                    }
                    Some(request) => self.answer(request).await,
                },
                event = self.supervised.next(), if !has_ended => self.hear(event).await,
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Look(done) => {
                self.look().await;
                drop(done.send(Looked));
            }
            Request::BeginLoad(done) => {
                // What was told before is none of the load's.
                self.hear_what_is_there().await;
                self.looks = Some(Vec::new());
                self.look().await;
                drop(done.send(Looked));
            }
            Request::EndLoad(done) => {
                self.look().await;
                drop(done.send(self.looks.take().unwrap_or_default()));
            }
            Request::Stop { .. } => {}
        }
    }

    /// A sample at this moment.
    async fn look(&mut self) {
        if self.told.borrow().is_some() {
            return;
        }
        match self.supervised.sample_now().await {
            Ok((sample, peers)) => self.note(sample, peers).await,
            Err(error) => self.tell(End::Lost(error.to_string())),
        }
        // What came with the sample: its end, for one.
        self.hear_what_is_there().await;
    }

    async fn hear_what_is_there(&mut self) {
        while self.told.borrow().is_none() {
            match timeout(Duration::ZERO, self.supervised.next()).await {
                Ok(event) => self.hear(event).await,
                Err(_nothing_more) => break,
            }
        }
    }

    async fn hear(&mut self, event: Result<ProcessEvent, ProcessError>) {
        match event {
            Ok(ProcessEvent::Sampled { sample, peers }) => self.note(sample, peers).await,
            Ok(ProcessEvent::Exited(status)) => self.tell(End::Exited(status)),
            Err(error) => self.tell(End::Lost(error.to_string())),
        }
    }

    async fn note(&mut self, sample: ServerSample, peers: Vec<Peer>) {
        let reaped = self.supervised.reaped();
        if let Some(looks) = &mut self.looks {
            looks.push(Look { sample, reaped });
        }
        if let Some(peer) = self.reach.first_outside(&peers).await {
            self.tell(End::Outside(peer.clone()));
        }
    }

    /// The first reason is the one that matters.
    fn tell(&self, end: End) {
        self.told.send_if_modified(|told| {
            let is_first = told.is_none();
            told.get_or_insert(end);
            is_first
        });
    }
}

/// A supervisor that is lost has ended the service, which is what was wanted.
fn without_loss(stopped: Result<(), ProcessError>) -> Result<(), ProcessError> {
    match stopped {
        Err(ProcessError::SupervisorLost { .. }) => Ok(()),
        other => other,
    }
}

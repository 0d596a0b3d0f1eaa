//! The loop itself.

use std::time::Duration;

use autotune_analysis::{Analysis, analyse};
use autotune_model::{
    Decision, DecisionKind, History, Objective, Outcome, Stage, StopReason, TrialRecord, TrialSpec,
};
use autotune_search::{Next, Procedure};
use autotune_store::{Claim, Lease, Series, Store, StoreError};

use crate::event::Event;
use crate::run_trial::{Fault, RunTrial};

/// So many invalid trials in a row say that nothing can be measured here.
const HOPELESS: usize = 6;
/// A lease outlasts its trial by this.
const LEASE_MARGIN: Duration = Duration::from_secs(600);

/// A sweep that can be run: everything but the world.
pub struct Sweep<'a> {
    /// Where the study is.
    pub store: &'a mut Store,
    /// What to try.
    pub procedure: &'a Procedure,
    /// What the verdict is made for.
    pub objective: &'a Objective,
    /// The name of this machine, for claims.
    pub owner: &'a str,
}

/// How a sweep ended.
#[derive(Debug)]
pub enum Ended {
    /// The procedure has ended.
    Done(StopReason),
    /// The user stopped it; the same command goes on.
    Interrupted,
    /// A fault outside the configurations.
    Stopped(Fault),
}

/// What there is at the end, however it came.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// Without series.
    pub history: History,
    /// What follows from it.
    pub analysis: Analysis,
}

/// What keeps a sweep from even telling what there is.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The record is the product: without the store there is no sweep.
    #[error("the study cannot be kept")]
    Store(#[from] StoreError),
}

impl Sweep<'_> {
    /// Runs until the procedure, the user or a fault ends it. Every trial is
    /// stored before the next one begins.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run<R: RunTrial>(
        &mut self,
        world: &mut R,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Finished, SweepError> {
        let mut history = self.store.load_history(Series::Without)?;
        if !history.trials.is_empty() {
            let (trials, spent) = (history.trials.len(), history.time_spent());
            on_event(Event::Resumed { trials, spent });
            self.close_stale_block(&mut history, world.now_wall_ns())?;
        }
        let ended = loop {
            if world.is_stopping() {
                break Ended::Interrupted;
            }
            let analysis = analyse(&history, self.objective);
            match self.procedure.next(&history, &analysis) {
                Next::Run(trials) => {
                    self.resume(&mut history)?;
                    let ended = self
                        .run_trials(&mut history, trials, world, on_event)
                        .await?;
                    if let Some(ended) = ended {
                        break ended;
                    }
                    let analysis = analyse(&history, self.objective);
                    let left = self.left(&history);
                    on_event(Event::BlockFinished {
                        analysis: &analysis,
                        left,
                    });
                }
                Next::Decide(kind) => {
                    self.decide(&mut history, kind)?;
                    let warnings = self.procedure.warnings(&history);
                    if let Some(Decision { kind, .. }) = history.decisions.last() {
                        on_event(Event::Decided {
                            kind,
                            warnings,
                            history: &history,
                        });
                    }
                }
                Next::Done(reason) => {
                    self.write_stop(&mut history, reason)?;
                    on_event(Event::Done { reason });
                    break Ended::Done(reason);
                }
            }
        };
        let analysis = analyse(&history, self.objective);
        Ok(Finished {
            ended,
            history,
            analysis,
        })
    }

    /// Runs these trials in order. `Some` when the sweep ends here.
    async fn run_trials<R: RunTrial>(
        &mut self,
        history: &mut History,
        trials: Vec<TrialSpec>,
        world: &mut R,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Ended>, SweepError> {
        let of_block = trials.len();
        for spec in trials {
            if world.is_stopping() {
                return Ok(Some(Ended::Interrupted));
            }
            let lease = Lease {
                owner: self.owner.to_owned(),
                now_wall_ns: world.now_wall_ns(),
                length: spec.length + LEASE_MARGIN,
            };
            match self.store.claim(&spec, &lease)? {
                Claim::Granted => {}
                // Another machine has it or had it: its result counts when it is
                // stored, and the next look at the history asks for what is left.
                Claim::AlreadyDone | Claim::HeldBy { .. } => continue,
            }
            let left = self.left(history);
            on_event(Event::TrialStarted {
                spec: &spec,
                of_block,
                left,
            });
            let record = match world.run(&spec).await {
                Ok(record) => record,
                Err(fault) => return Ok(Some(Ended::Stopped(fault))),
            };
            self.store.record(&record)?;
            on_event(Event::TrialFinished { record: &record });
            let interrupted = record.outcome == Outcome::Interrupted;
            keep(history, record);
            if interrupted {
                return Ok(Some(Ended::Interrupted));
            }
            if let Some(fault) = hopeless(history) {
                return Ok(Some(Ended::Stopped(fault)));
            }
        }
        Ok(None)
    }

    fn left(&self, history: &History) -> Duration {
        self.procedure
            .plan()
            .budget
            .saturating_sub(history.time_spent())
    }

    fn decide(&mut self, history: &mut History, kind: DecisionKind) -> Result<(), SweepError> {
        let number = u32::try_from(history.decisions.len()).unwrap_or(u32::MAX);
        let decision = Decision { number, kind };
        self.store.append_decision(&decision)?;
        history.decisions.push(decision);
        Ok(())
    }

    /// Writes down that a study that had ended goes on.
    fn resume(&mut self, history: &mut History) -> Result<(), SweepError> {
        let last = history.decisions.last().map(|last| &last.kind);
        match last {
            Some(DecisionKind::Stopped { .. }) => self.decide(history, DecisionKind::Resumed),
            _ => Ok(()),
        }
    }

    /// Writes down why the procedure ended, once for each end.
    fn write_stop(&mut self, history: &mut History, reason: StopReason) -> Result<(), SweepError> {
        let kind = DecisionKind::Stopped { reason };
        if history
            .decisions
            .last()
            .is_some_and(|last| last.kind == kind)
        {
            return Ok(());
        }
        self.decide(history, kind)
    }

    /// A block that was interrupted for longer than its own length is closed:
    /// its trials would no longer be close in time.
    fn close_stale_block(
        &mut self,
        history: &mut History,
        now_wall_ns: i64,
    ) -> Result<(), SweepError> {
        let measured = history.last_attempts(Stage::Measure);
        let Some(block) = measured.map(|trial| trial.spec.key.block).max() else {
            return Ok(());
        };
        if history.is_closed(Stage::Measure, block) {
            return Ok(());
        }
        let analysis = analyse(history, self.objective);
        let Next::Run(left) = self.procedure.next(history, &analysis) else {
            return Ok(());
        };
        let unfinished = left.iter().any(|spec| spec.key.block == block);
        let of_block = || {
            let all = history.trials.iter();
            all.filter(|t| t.spec.key.stage == Stage::Measure && t.spec.key.block == block)
        };
        let done: Duration = of_block().map(|trial| trial.span.length()).sum();
        let mean = done / u32::try_from(of_block().count().max(1)).unwrap_or(u32::MAX);
        let length = done + mean * u32::try_from(left.len()).unwrap_or(u32::MAX);
        let last_end = of_block()
            .map(|trial| trial.span.end.wall_ns)
            .max()
            .unwrap_or(now_wall_ns);
        let gap = u64::try_from(now_wall_ns.saturating_sub(last_end)).unwrap_or(0);
        if unfinished && Duration::from_nanos(gap) > length {
            self.decide(
                history,
                DecisionKind::BlockClosed {
                    stage: Stage::Measure,
                    block,
                },
            )?;
        }
        Ok(())
    }
}

/// Adds a record without its series, in order of key and attempt.
fn keep(history: &mut History, mut record: TrialRecord) {
    if let Some(load) = &mut record.load {
        load.seconds = Vec::new();
    }
    if let Some(server) = &mut record.server {
        server.samples = Vec::new();
    }
    let key = |record: &TrialRecord| (record.spec.key, record.spec.attempt);
    let at = history
        .trials
        .partition_point(|other| key(other) < key(&record));
    history.trials.insert(at, record);
}

/// When the last trials were all invalid, nothing can be measured here.
fn hopeless(history: &History) -> Option<Fault> {
    let mut by_time: Vec<&TrialRecord> = history.trials.iter().collect();
    by_time.sort_by_key(|trial| trial.span.end.wall_ns);
    let last = &by_time[by_time.len().saturating_sub(HOPELESS)..];
    let all_invalid = last
        .iter()
        .all(|trial| matches!(trial.outcome, Outcome::Invalid { .. }));
    if last.len() < HOPELESS || !all_invalid {
        return None;
    }
    let detail = last
        .last()
        .and_then(|trial| trial.outcome.detail())
        .unwrap_or_default();
    Some(Fault {
        code: autotune_model::ErrorCode::NothingValid,
        message: format!("the last {HOPELESS} trials were all invalid: {detail}"),
        source: None,
    })
}

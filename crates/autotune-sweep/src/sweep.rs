//! The loop itself.

use std::time::Duration;

use autotune_analysis::{Analysis, analyse};
use autotune_model::{
    Decision, DecisionKind, ErrorCode, History, Objective, Outcome, Stage, StopReason, TrialKey,
    TrialRecord, TrialSpec,
};
use autotune_search::{Next, Procedure, Warning};
use autotune_store::{Claim, Lease, Series, Store, StoreError};

use crate::event::Event;
use crate::hopeless::{Watch, hopeless};
use crate::run_trial::{Fault, RunTrial};

/// A lease outlasts its trial by this: ten minutes for each of the two keys whose
/// commands run around it, and ten for start, login and stop. Every trial is
/// claimed anew just before it runs, so that no lease needs to be prolonged.
const LEASE_MARGIN: Duration = Duration::from_secs(1_800);
/// How long to wait at most before looking again at what another machine holds.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A sweep that can be run: everything but the world.
pub struct Sweep<'a> {
    /// Where the study is.
    pub store: &'a mut Store,
    /// What to try.
    pub procedure: &'a Procedure,
    /// What the verdict is made for.
    pub objective: &'a Objective,
    /// What this machine is known by, for claims.
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
    /// There is nothing to begin with.
    #[error("the study cannot be read")]
    Store(#[from] StoreError),
}

/// Trials that the procedure asks for.
struct Round {
    trials: Vec<TrialSpec>,
    watch: Watch,
}

impl Sweep<'_> {
    /// Runs until the procedure, the user or a fault ends it. Every trial is
    /// stored before the next one begins. A store that fails on the way is a
    /// fault like others: what was measured until then is there to be shown.
    ///
    /// # Errors
    /// When the study cannot even be read.
    pub async fn run<R: RunTrial>(
        &mut self,
        world: &mut R,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Finished, SweepError> {
        let mut history = self.store.load_history(Series::Without)?;
        let ended = self.work(&mut history, world, on_event).await;
        let ended = ended.unwrap_or_else(|error| {
            Ended::Stopped(Fault {
                code: ErrorCode::Store,
                message: "the study cannot be kept".to_owned(),
                source: Some(Box::new(error)),
            })
        });
        let analysis = analyse(&history, self.objective);
        Ok(Finished {
            ended,
            history,
            analysis,
        })
    }

    async fn work<R: RunTrial>(
        &mut self,
        history: &mut History,
        world: &mut R,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Ended, StoreError> {
        let watch = Watch {
            of_block: self.procedure.plan().configurations.len(),
            since_wall_ns: world.now_wall_ns(),
        };
        if !history.trials.is_empty() {
            let (trials, spent) = (history.trials.len(), history.time_spent());
            on_event(Event::Resumed { trials, spent });
            self.close_stale_block(history, world.now_wall_ns(), on_event)?;
        }
        loop {
            if world.is_stopping() {
                return Ok(Ended::Interrupted);
            }
            let analysis = analyse(history, self.objective);
            match self.procedure.next(history, &analysis) {
                Next::Run(trials) => {
                    self.resume(history, &trials)?;
                    let round = Round { trials, watch };
                    let ended = self.run_trials(history, round, world, on_event).await?;
                    if let Some(ended) = ended {
                        return Ok(ended);
                    }
                    let analysis = analyse(history, self.objective);
                    let left = self.left(history);
                    on_event(Event::BlockFinished {
                        analysis: &analysis,
                        left,
                    });
                }
                Next::Decide(kind) => {
                    self.decide(history, kind)?;
                    // They are about what was planned, and told once.
                    let warnings = match history.decisions.last().map(|last| &last.kind) {
                        Some(DecisionKind::Planned { .. }) => self.procedure.warnings(history),
                        _ => Vec::new(),
                    };
                    tell_decision(history, warnings, on_event);
                }
                Next::Done(reason) => {
                    self.write_stop(history, reason)?;
                    on_event(Event::Done { reason });
                    return Ok(Ended::Done(reason));
                }
            }
        }
    }

    /// Runs these trials in order. `Some` when the sweep ends here.
    async fn run_trials<R: RunTrial>(
        &mut self,
        history: &mut History,
        Round { trials, watch }: Round,
        world: &mut R,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Ended>, StoreError> {
        let of_block = trials.len();
        let (mut others, mut ran) = (None, 0usize);
        for spec in trials {
            if world.is_stopping() {
                return Ok(Some(Ended::Interrupted));
            }
            let lease = Lease {
                owner: self.owner.to_owned(),
                now_wall_ns: world.now_wall_ns(),
                length: spec.length + LEASE_MARGIN,
            };
            let claim = self.store.claim(&spec, &lease)?;
            if claim != Claim::Granted {
                others = Some(claim);
                continue;
            }
            ran += 1;
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
            let left = left.saturating_sub(record.span.length());
            on_event(Event::TrialFinished {
                record: &record,
                left,
            });
            let interrupted = record.outcome == Outcome::Interrupted;
            keep(history, record);
            if interrupted {
                return Ok(Some(Ended::Interrupted));
            }
            if let Some(fault) = hopeless(history, watch) {
                return Ok(Some(Ended::Stopped(fault)));
            }
        }
        if let Some(claim) = others {
            // What another machine has stored counts, and what it runs is waited
            // for where nothing else is left to do.
            *history = self.store.load_history(Series::Without)?;
            if let (
                Claim::HeldBy {
                    owner,
                    until_wall_ns,
                },
                0,
            ) = (claim, ran)
            {
                on_event(Event::Waiting { owner: &owner });
                let look = i64::try_from(LOOK_AGAIN.as_nanos()).unwrap_or(i64::MAX);
                let look = world.now_wall_ns().saturating_add(look);
                world.wait_until(until_wall_ns.min(look)).await;
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

    fn decide(&mut self, history: &mut History, kind: DecisionKind) -> Result<(), StoreError> {
        let number = u32::try_from(history.decisions.len()).unwrap_or(u32::MAX);
        let decision = Decision { number, kind };
        self.store.append_decision(&decision)?;
        history.decisions.push(decision);
        Ok(())
    }

    /// Writes down that a study that had ended goes on, or that one goes on with a
    /// comparison that had ended.
    fn resume(&mut self, history: &mut History, next: &[TrialSpec]) -> Result<(), StoreError> {
        let last = history.decisions.last().map(|last| &last.kind);
        let compares = next.iter().any(|spec| spec.key.stage == Stage::Measure);
        match last {
            Some(DecisionKind::Stopped { .. }) => self.decide(history, DecisionKind::Resumed),
            Some(DecisionKind::Compared { .. }) if compares => {
                self.decide(history, DecisionKind::Resumed)
            }
            _ => Ok(()),
        }
    }

    /// Writes down why the procedure ended, once for each end.
    fn write_stop(&mut self, history: &mut History, reason: StopReason) -> Result<(), StoreError> {
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
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), StoreError> {
        let measured = history.counting(Stage::Measure);
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
        let is_of_it = |key: TrialKey| key.stage == Stage::Measure && key.block == block;
        let unfinished = left.iter().any(|spec| is_of_it(spec.key));
        let of_block = || {
            let all = history.trials.iter();
            all.filter(|trial| is_of_it(trial.spec.key))
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
            tell_decision(history, Vec::new(), on_event);
        }
        Ok(())
    }
}

/// Tells of the decision that was just written down.
fn tell_decision(history: &History, warnings: Vec<Warning>, on_event: &mut dyn FnMut(Event<'_>)) {
    if let Some(Decision { kind, .. }) = history.decisions.last() {
        on_event(Event::Decided {
            kind,
            warnings,
            history,
        });
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

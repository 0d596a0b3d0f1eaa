//! Decisions, numbered from 0 without gaps.

use std::time::Duration;

use autotune_model::{ConfigId, Decision, DecisionKind, Stage, StopReason};
use rusqlite::{Connection, Row};

use crate::error::Fault;
use crate::rows::{insert, ns, stage_of};

/// What appending a decision came to.
pub(crate) enum Appended {
    /// It is stored, now or since an earlier call.
    Stored,
    /// Another decision has its number.
    OtherIsStored,
    /// The number would leave a gap; this one is next.
    Gap { next: u32 },
}

pub(crate) fn append(
    connection: &Connection,
    study: &str,
    decision: &Decision,
) -> Result<Appended, Fault> {
    let next: u32 = connection
        .prepare_cached("SELECT COUNT(*) FROM decision WHERE study = ?1")?
        .query_row([study], |row| row.get(0))?;
    if decision.number > next {
        return Ok(Appended::Gap { next });
    }
    if decision.number < next {
        let stored = load_decisions(connection, study)?;
        let same = stored.contains(decision);
        return Ok(if same {
            Appended::Stored
        } else {
            Appended::OtherIsStored
        });
    }
    let columns = columns_of(&decision.kind)?;
    insert(
        connection,
        "decision",
        &[
            ("study", &study),
            ("number", &decision.number),
            ("kind", &columns.kind),
            ("control_config_id", &columns.control),
            ("length_ns", &columns.length_ns),
            ("warm_up_ns", &columns.warm_up_ns),
            ("resolvable_pct", &columns.resolvable_pct),
            ("stage", &columns.stage),
            ("block", &columns.block),
            ("reason", &columns.reason),
        ],
    )?;
    Ok(Appended::Stored)
}

pub(crate) fn load_decisions(connection: &Connection, study: &str) -> Result<Vec<Decision>, Fault> {
    let sql = "SELECT * FROM decision WHERE study = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([study])?;
    let mut decisions = Vec::new();
    while let Some(row) = rows.next()? {
        decisions.push(Decision {
            number: row.get("number")?,
            kind: kind_of(row)?,
        });
    }
    Ok(decisions)
}

#[derive(Default)]
struct Columns {
    kind: &'static str,
    control: Option<[u8; 16]>,
    length_ns: Option<u64>,
    warm_up_ns: Option<u64>,
    resolvable_pct: Option<f64>,
    stage: Option<&'static str>,
    block: Option<u32>,
    reason: Option<&'static str>,
}

fn columns_of(kind: &DecisionKind) -> Result<Columns, Fault> {
    Ok(match kind {
        DecisionKind::Planned {
            control,
            length,
            warm_up,
            resolvable_pct,
        } => Columns {
            kind: "planned",
            control: Some(*control.as_bytes()),
            length_ns: Some(ns(*length)?),
            warm_up_ns: Some(ns(*warm_up)?),
            resolvable_pct: *resolvable_pct,
            ..Columns::default()
        },
        DecisionKind::BlockClosed { stage, block } => Columns {
            kind: "block-closed",
            stage: Some(Stage::as_str(*stage)),
            block: Some(*block),
            ..Columns::default()
        },
        DecisionKind::Compared { reason } => Columns {
            kind: "compared",
            reason: Some(StopReason::as_str(*reason)),
            ..Columns::default()
        },
        DecisionKind::Stopped { reason } => Columns {
            kind: "stopped",
            reason: Some(StopReason::as_str(*reason)),
            ..Columns::default()
        },
        DecisionKind::Resumed => Columns {
            kind: "resumed",
            ..Columns::default()
        },
    })
}

fn kind_of(row: &Row<'_>) -> Result<DecisionKind, Fault> {
    let kind: String = row.get("kind")?;
    match kind.as_str() {
        "planned" => Ok(DecisionKind::Planned {
            control: ConfigId::from_bytes(row.get("control_config_id")?),
            length: Duration::from_nanos(row.get("length_ns")?),
            warm_up: Duration::from_nanos(row.get("warm_up_ns")?),
            resolvable_pct: row.get("resolvable_pct")?,
        }),
        "block-closed" => Ok(DecisionKind::BlockClosed {
            stage: stage_of(row)?,
            block: row.get("block")?,
        }),
        "compared" => Ok(DecisionKind::Compared {
            reason: reason_of(row)?,
        }),
        "stopped" => Ok(DecisionKind::Stopped {
            reason: reason_of(row)?,
        }),
        "resumed" => Ok(DecisionKind::Resumed),
        _ => Err(Fault::Unknown {
            what: "kind of decision",
            found: kind,
        }),
    }
}

fn reason_of(row: &Row<'_>) -> Result<StopReason, Fault> {
    let text: String = row.get("reason")?;
    StopReason::parse(&text).ok_or(Fault::Unknown {
        what: "reason to stop",
        found: text,
    })
}

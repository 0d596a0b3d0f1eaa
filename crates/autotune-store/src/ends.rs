//! How the runs of a sweep ended, numbered from 0. A run that was killed has no
//! row: what was added after the last one tells that there was such a run.

use autotune_model::{ErrorCode, StopReason};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::Fault;
use crate::rows::insert;

/// How a run of a sweep ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The procedure has ended.
    Done(StopReason),
    /// By the user.
    Interrupted,
    /// By a fault outside the configurations.
    Stopped {
        /// Which kind.
        code: ErrorCode,
        /// What happened, for people; without secrets, which are the caller's to
        /// take out.
        fault: String,
    },
}

/// The last end that is stored, and what there was of the study by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEnd {
    /// How.
    pub end: RunEnd,
    /// Trials that were stored, every attempt counted.
    pub trials: usize,
    /// Decisions that were stored.
    pub decisions: usize,
}

/// The same end of the same study is stored once.
pub(crate) fn append(
    connection: &Connection,
    study: &str,
    (end, now_wall_ns): (&RunEnd, i64),
) -> Result<(), Fault> {
    let now = LastEnd {
        end: end.clone(),
        trials: count(connection, study, "trial")?,
        decisions: count(connection, study, "decision")?,
    };
    if load_last(connection, study)?.as_ref() == Some(&now) {
        return Ok(());
    }
    let (code, fault) = match end {
        RunEnd::Done(_) | RunEnd::Interrupted => (None, None),
        RunEnd::Stopped { code, fault } => (Some(code.as_str()), Some(fault)),
    };
    insert(
        connection,
        "run_end",
        &[
            ("study", &study),
            ("number", &count(connection, study, "run_end")?),
            ("how", &how(end)),
            ("fault_code", &code),
            ("fault_text", &fault),
            ("trials_count", &now.trials),
            ("decisions_count", &now.decisions),
            ("ended_wall_ns", &now_wall_ns),
        ],
    )
}

/// The last end; `None` where no run has ended by itself, or where the study has
/// a format that knew no ends and was opened for reading only.
pub(crate) fn load_last(connection: &Connection, study: &str) -> Result<Option<LastEnd>, Fault> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'run_end'";
    let known = connection.query_row(sql, [], |_| Ok(())).optional()?;
    if known.is_none() {
        return Ok(None);
    }
    let sql = "SELECT * FROM run_end WHERE study = ?1 ORDER BY number DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([study])?;
    rows.next()?.map(last_of).transpose()
}

fn last_of(row: &Row<'_>) -> Result<LastEnd, Fault> {
    Ok(LastEnd {
        end: end_of(row)?,
        trials: row.get("trials_count")?,
        decisions: row.get("decisions_count")?,
    })
}

fn how(end: &RunEnd) -> &'static str {
    match end {
        RunEnd::Done(reason) => reason.as_str(),
        RunEnd::Interrupted => "interrupted",
        RunEnd::Stopped { .. } => "stopped",
    }
}

fn end_of(row: &Row<'_>) -> Result<RunEnd, Fault> {
    let how: String = row.get("how")?;
    match how.as_str() {
        "interrupted" => Ok(RunEnd::Interrupted),
        "stopped" => {
            let text: String = row.get("fault_code")?;
            let code = ErrorCode::ALL
                .into_iter()
                .find(|code| code.as_str() == text);
            Ok(RunEnd::Stopped {
                code: code.ok_or(Fault::Unknown {
                    what: "code of a fault",
                    found: text,
                })?,
                fault: row.get("fault_text")?,
            })
        }
        _ => {
            let reason = StopReason::parse(&how).ok_or(Fault::Unknown {
                what: "end of a run",
                found: how,
            })?;
            Ok(RunEnd::Done(reason))
        }
    }
}

fn count(connection: &Connection, study: &str, table: &str) -> Result<usize, Fault> {
    let sql = format!("SELECT COUNT(*) FROM {table} WHERE study = ?1");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([study], |row| row.get(0))?)
}

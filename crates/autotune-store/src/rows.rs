//! Small helpers between Rust values and columns: where a row stands, how one
//! is added, and how times become numbers.

use std::time::Duration;

use autotune_model::{Stage, TrialKey};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use crate::error::Fault;

/// A column with its value.
pub(crate) type Column<'a> = (&'static str, &'a dyn ToSql);

/// The key of everything that belongs to one attempt of one trial.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    study: &'a str,
    stage: &'static str,
    block: u32,
    position: u32,
    attempt: u32,
}

impl<'a> Place<'a> {
    pub(crate) fn new(study: &'a str, key: TrialKey, attempt: u32) -> Self {
        Self {
            study,
            stage: key.stage.as_str(),
            block: key.block,
            position: key.position,
            attempt,
        }
    }

    /// The key columns, in the order of [`Place::WHERE`].
    pub(crate) fn columns(&self) -> [Column<'_>; 5] {
        [
            ("study", &self.study),
            ("stage", &self.stage),
            ("block", &self.block),
            ("position", &self.position),
            ("attempt", &self.attempt),
        ]
    }

    const WHERE: &'static str =
        "study = ?1 AND stage = ?2 AND block = ?3 AND position = ?4 AND attempt = ?5";

    /// All rows of a table that belong here, in this order.
    pub(crate) fn select<T>(
        &self,
        connection: &Connection,
        table: &Table,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let sql = format!(
            "SELECT * FROM {} WHERE {} ORDER BY {}",
            table.name,
            Self::WHERE,
            table.order
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(&self.columns().map(|(_, value)| value)[..])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// Whether the table has a row here.
    pub(crate) fn is_in(&self, connection: &Connection, table: &Table) -> Result<bool, Fault> {
        let sql = format!("SELECT 1 FROM {} WHERE {}", table.name, Self::WHERE);
        let mut statement = connection.prepare_cached(&sql)?;
        let found = statement
            .query_row(&self.columns().map(|(_, value)| value)[..], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }
}

/// A table with a trial's key in it.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// What orders the rows of one trial.
    pub(crate) order: &'static str,
}

/// Adds one row.
pub(crate) fn insert(
    connection: &Connection,
    table: &str,
    columns: &[Column<'_>],
) -> Result<(), Fault> {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let holes = vec!["?"; columns.len()].join(", ");
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES ({holes})",
        names.join(", ")
    );
    let values: Vec<_> = columns.iter().map(|(_, value)| *value).collect();
    connection.prepare_cached(&sql)?.execute(&values[..])?;
    Ok(())
}

/// Whole nanoseconds.
pub(crate) fn ns(duration: Duration) -> Result<u64, Fault> {
    i64::try_from(duration.as_nanos())
        .map(i64::cast_unsigned)
        .map_err(|_out_of_range| Fault::TooLong(duration))
}

/// A duration column that may be NULL.
pub(crate) fn duration_of(row: &Row<'_>, column: &str) -> Result<Option<Duration>, Fault> {
    let ns: Option<u64> = row.get(column)?;
    Ok(ns.map(Duration::from_nanos))
}

/// The stage in a row.
pub(crate) fn stage_of(row: &Row<'_>) -> Result<Stage, Fault> {
    let text: String = row.get("stage")?;
    Stage::parse(&text).ok_or(Fault::Unknown {
        what: "stage",
        found: text,
    })
}

/// The key and the attempt in a row.
pub(crate) fn key_of(row: &Row<'_>) -> Result<(TrialKey, u32), Fault> {
    let key = TrialKey {
        stage: stage_of(row)?,
        block: row.get("block")?,
        position: row.get("position")?,
    };
    Ok((key, row.get("attempt")?))
}

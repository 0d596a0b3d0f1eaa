//! Who works on which trial, and until when. Many machines may share a study;
//! an owner that dies loses its claims when their leases end.

use std::time::Duration;

use autotune_model::TrialSpec;
use rusqlite::{Connection, params};

use crate::error::Fault;
use crate::rows::{Place, Table};
use crate::trials::is_stored;

const CLAIM: Table = Table {
    name: "claim",
    order: "attempt",
};

/// Who asks for a trial, when, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Names the machine and not the process: one sweep runs on a machine at a
    /// time, so what a killed sweep has claimed is its successor's at once.
    pub owner: String,
    /// Nanoseconds since 1970 UTC.
    pub now_wall_ns: i64,
    /// Longer than the longest trial.
    pub length: Duration,
}

impl Lease {
    fn until_wall_ns(&self) -> i64 {
        let length = i64::try_from(self.length.as_nanos()).unwrap_or(i64::MAX);
        self.now_wall_ns.saturating_add(length)
    }
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The trial is the owner's to run.
    Granted,
    /// The trial is stored.
    AlreadyDone,
    /// Another owner runs it.
    HeldBy {
        /// Who.
        owner: String,
        /// When its lease ends: nanoseconds since 1970 UTC.
        until_wall_ns: i64,
    },
}

pub(crate) fn claim(
    connection: &Connection,
    study: &str,
    spec: &TrialSpec,
    lease: &Lease,
) -> Result<Claim, Fault> {
    if is_stored(connection, study, (spec.key, spec.attempt))? {
        return Ok(Claim::AlreadyDone);
    }
    let place = Place::new(study, spec.key, spec.attempt);
    if let Some((owner, until_wall_ns)) = holder(connection, &place)?
        && owner != lease.owner
        && until_wall_ns > lease.now_wall_ns
    {
        return Ok(Claim::HeldBy {
            owner,
            until_wall_ns,
        });
    }
    // The key may stand for another configuration than when it was claimed
    // before: nothing was measured, so the plan may have changed.
    connection
        .prepare_cached(
            "INSERT INTO claim (study, stage, block, position, attempt,
                 config_id, owner, lease_until_wall_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET config_id = excluded.config_id,
                 owner = excluded.owner, lease_until_wall_ns = excluded.lease_until_wall_ns",
        )?
        .execute(params![
            study,
            spec.key.stage.as_str(),
            spec.key.block,
            spec.key.position,
            spec.attempt,
            spec.configuration.id().as_bytes(),
            lease.owner,
            lease.until_wall_ns(),
        ])?;
    Ok(Claim::Granted)
}

fn holder(connection: &Connection, place: &Place<'_>) -> Result<Option<(String, i64)>, Fault> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get("owner")?, row.get("lease_until_wall_ns")?));
    Ok(place.select(connection, &CLAIM, read)?.pop())
}

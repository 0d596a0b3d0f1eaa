//! Finished trials: one record becomes rows of several tables, and back.

use std::time::Duration;

use autotune_model::{
    Anchor, ConfigId, Configuration, Outcome, Seed, Span, TrialKey, TrialRecord, TrialSpec,
};
use rusqlite::{Connection, Row};

use crate::error::Fault;
use crate::json::{configuration_from_json, configuration_to_json};
use crate::load_rows::{insert_load, load_load};
use crate::rows::{Place, Table, insert, key_of, ns};
use crate::series::{self, TrialSeries};
use crate::server_rows::{insert_server, load_server};
use crate::shape::{load_columns, load_of};

pub(crate) const TRIAL: Table = Table {
    name: "trial",
    order: "attempt",
};
const SERIES: Table = Table {
    name: "trial_series",
    order: "attempt",
};

/// What recording a trial came to.
pub(crate) enum Recorded {
    /// It is stored, now or since an earlier call.
    Stored,
    /// Another record has its place.
    OtherIsStored,
}

pub(crate) fn record(
    connection: &Connection,
    study: &str,
    record: &TrialRecord,
) -> Result<Recorded, Fault> {
    let place = Place::new(study, record.spec.key, record.spec.attempt);
    if let Some(mut stored) = place.select(connection, &TRIAL, trial_of)?.pop() {
        load_parts(connection, study, &mut stored)?;
        load_series(connection, &place)?.put_into(&mut stored);
        let same = &stored == record;
        return Ok(if same {
            Recorded::Stored
        } else {
            Recorded::OtherIsStored
        });
    }
    insert_trial(connection, &place, record)?;
    if let Some(server) = &record.server {
        insert_server(connection, &place, server)?;
    }
    if let Some(load) = &record.load {
        insert_load(connection, &place, load)?;
    }
    insert(
        connection,
        SERIES.name,
        &[&place.columns()[..], &[("series", &series::pack(record)?)]].concat(),
    )?;
    Ok(Recorded::Stored)
}

/// All trials of a study by key and attempt, without their series.
pub(crate) fn load_trials(connection: &Connection, study: &str) -> Result<Vec<TrialRecord>, Fault> {
    let sql = "SELECT * FROM trial WHERE study = ?1 ORDER BY stage, block, position, attempt";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([study])?;
    let mut trials = Vec::new();
    while let Some(row) = rows.next()? {
        let mut trial = trial_of(row)?;
        load_parts(connection, study, &mut trial)?;
        trials.push(trial);
    }
    // The database orders stages by name, the study by what they are for.
    trials.sort_by_key(|trial| (trial.spec.key, trial.spec.attempt));
    Ok(trials)
}

/// The series of a trial; empty where there is none.
pub(crate) fn load_series(
    connection: &Connection,
    place: &Place<'_>,
) -> Result<TrialSeries, Fault> {
    let unpack = |row: &Row<'_>| {
        let column = row.get_ref("series")?;
        series::unpack(column.as_blob().map_err(rusqlite::Error::from)?)
    };
    let found = place.select(connection, &SERIES, unpack)?.pop();
    Ok(found.unwrap_or_default())
}

/// Whether the trial is finished.
pub(crate) fn is_stored(
    connection: &Connection,
    study: &str,
    (key, attempt): (TrialKey, u32),
) -> Result<bool, Fault> {
    Place::new(study, key, attempt).is_in(connection, &TRIAL)
}

fn load_parts(connection: &Connection, study: &str, trial: &mut TrialRecord) -> Result<(), Fault> {
    let place = Place::new(study, trial.spec.key, trial.spec.attempt);
    trial.load = load_load(connection, &place)?;
    trial.server = load_server(connection, &place)?;
    Ok(())
}

fn insert_trial(
    connection: &Connection,
    place: &Place<'_>,
    record: &TrialRecord,
) -> Result<(), Fault> {
    let TrialSpec {
        configuration,
        load,
        ..
    } = &record.spec;
    let load = load_columns(load)?;
    let Span { start, end } = record.span;
    insert(
        connection,
        TRIAL.name,
        &[
            &place.columns()[..],
            &[
                ("config_id", configuration.id().as_bytes()),
                ("config_json", &configuration_to_json(configuration)?),
                ("label", &configuration.label().as_str()),
                ("load_kind", &load.kind),
                ("rate_per_s", &load.rate_per_s),
                ("arrivals", &load.arrivals),
                ("users_count", &load.users_count),
                ("think_ns", &load.think_ns),
                ("length_ns", &ns(record.spec.length)?),
                ("warm_up_ns", &ns(record.spec.warm_up)?),
                ("seed", &record.spec.seed.value().cast_signed()),
                ("outcome", &record.outcome.as_str()),
                ("detail", &record.outcome.detail()),
                ("start_monotonic_ns", &start.monotonic_ns),
                ("start_boot_ns", &start.boot_ns),
                ("start_wall_ns", &start.wall_ns),
                ("end_monotonic_ns", &end.monotonic_ns),
                ("end_boot_ns", &end.boot_ns),
                ("end_wall_ns", &end.wall_ns),
            ],
        ]
        .concat(),
    )
}

/// A trial without what server and generator say.
fn trial_of(row: &Row<'_>) -> Result<TrialRecord, Fault> {
    let (key, attempt) = key_of(row)?;
    let seed: i64 = row.get("seed")?;
    let outcome: String = row.get("outcome")?;
    let anchor = |columns: [&str; 3]| {
        Ok::<_, Fault>(Anchor {
            monotonic_ns: row.get(columns[0])?,
            boot_ns: row.get(columns[1])?,
            wall_ns: row.get(columns[2])?,
        })
    };
    Ok(TrialRecord {
        spec: TrialSpec {
            key,
            attempt,
            configuration: configuration_of(row)?,
            load: load_of(row)?,
            length: Duration::from_nanos(row.get("length_ns")?),
            warm_up: Duration::from_nanos(row.get("warm_up_ns")?),
            seed: Seed::new(seed.cast_unsigned()),
        },
        outcome: Outcome::parse(&outcome, row.get("detail")?).ok_or(Fault::Unknown {
            what: "outcome",
            found: outcome,
        })?,
        span: Span {
            start: anchor(["start_monotonic_ns", "start_boot_ns", "start_wall_ns"])?,
            end: anchor(["end_monotonic_ns", "end_boot_ns", "end_wall_ns"])?,
        },
        load: None,
        server: None,
    })
}

fn configuration_of(row: &Row<'_>) -> Result<Configuration, Fault> {
    let json: String = row.get("config_json")?;
    let configuration = configuration_from_json(&json, row.get("label")?)?;
    if configuration.id() != ConfigId::from_bytes(row.get("config_id")?) {
        return Err(Fault::Identity {
            label: configuration.label().to_string(),
        });
    }
    Ok(configuration)
}

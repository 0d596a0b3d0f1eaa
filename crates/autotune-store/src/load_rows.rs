//! The rows of what the generator saw in a trial, without its seconds: one for
//! the generator, one for each endpoint, one for each class of failure.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{
    Accounting, EndpointLoad, EndpointName, FailureClass, GeneratorRecord, GeneratorVerdict,
    Histogram, LoadRecord,
};
use rusqlite::{Connection, Row};

use crate::error::Fault;
use crate::rows::{Place, Table, insert, ns};

const LOAD: Table = Table {
    name: "trial_load",
    order: "attempt",
};
const ENDPOINT: Table = Table {
    name: "trial_endpoint",
    order: "number",
};
const FAILURE: Table = Table {
    name: "trial_failure",
    order: "number, class",
};

pub(crate) fn insert_load(
    connection: &Connection,
    place: &Place<'_>,
    load: &LoadRecord,
) -> Result<(), Fault> {
    let generator = &load.generator;
    let (verdict, reasons) = verdict_to_text(&generator.verdict);
    insert(
        connection,
        LOAD.name,
        &[
            &place.columns()[..],
            &[
                ("start_ns", &load.start_ns),
                ("length_ns", &ns(load.length)?),
                ("warm_up_ns", &ns(load.warm_up)?),
                ("own_lag_us_hdr", &generator.own_lag.to_bytes()?),
                (
                    "waited_for_connection_count",
                    &generator.waited_for_connection,
                ),
                ("generator_cpu_ns", &ns(generator.cpu)?),
                ("generator_wall_ns", &ns(generator.wall)?),
                ("connections_peak_count", &generator.connections_peak),
                ("connections_limit_count", &generator.connections_limit),
                ("outstanding_at_end_count", &generator.outstanding_at_end),
                ("retries_count", &generator.retries),
                ("verdict", &verdict),
                ("verdict_reasons_json", &serde_json::to_string(reasons)?),
            ],
        ]
        .concat(),
    )?;
    for (number, endpoint) in (0u32..).zip(&load.endpoints) {
        insert_endpoint(connection, place, (number, endpoint))?;
    }
    Ok(())
}

fn insert_endpoint(
    connection: &Connection,
    place: &Place<'_>,
    (number, endpoint): (u32, &EndpointLoad),
) -> Result<(), Fault> {
    let (total, window) = (&endpoint.total, &endpoint.window);
    insert(
        connection,
        ENDPOINT.name,
        &[
            &place.columns()[..],
            &[
                ("number", &number),
                ("endpoint", &endpoint.name.as_str()),
                ("total_scheduled_count", &total.scheduled),
                ("total_completed_count", &total.completed),
                ("total_failed_count", &total.failed),
                ("total_timed_out_count", &total.timed_out),
                ("total_dropped_count", &total.dropped),
                ("window_scheduled_count", &window.scheduled),
                ("window_completed_count", &window.completed),
                ("window_failed_count", &window.failed),
                ("window_timed_out_count", &window.timed_out),
                ("window_dropped_count", &window.dropped),
                ("response_us_hdr", &endpoint.response.to_bytes()?),
                ("service_us_hdr", &endpoint.service.to_bytes()?),
                ("failed_us_hdr", &endpoint.failed.to_bytes()?),
            ],
        ]
        .concat(),
    )?;
    for (class, count) in &endpoint.failures {
        insert(
            connection,
            FAILURE.name,
            &[
                &place.columns()[..],
                &[
                    ("number", &number),
                    ("class", &class.as_str()),
                    ("requests_count", count),
                ],
            ]
            .concat(),
        )?;
    }
    Ok(())
}

/// Without its seconds.
pub(crate) fn load_load(
    connection: &Connection,
    place: &Place<'_>,
) -> Result<Option<LoadRecord>, Fault> {
    let Some(mut load) = place.select(connection, &LOAD, load_of)?.pop() else {
        return Ok(None);
    };
    load.endpoints = place.select(connection, &ENDPOINT, endpoint_of)?;
    let failures = place.select(connection, &FAILURE, failure_of)?;
    for (number, class, count) in failures {
        let endpoint = load.endpoints.get_mut(number);
        let endpoint = endpoint.ok_or_else(|| Fault::Unknown {
            what: "endpoint of a failure",
            found: number.to_string(),
        })?;
        endpoint.failures.insert(class, count);
    }
    Ok(Some(load))
}

fn load_of(row: &Row<'_>) -> Result<LoadRecord, Fault> {
    Ok(LoadRecord {
        start_ns: row.get("start_ns")?,
        length: Duration::from_nanos(row.get("length_ns")?),
        warm_up: Duration::from_nanos(row.get("warm_up_ns")?),
        endpoints: Vec::new(),
        seconds: Vec::new(),
        outstanding: Vec::new(),
        generator: GeneratorRecord {
            own_lag: histogram(row, "own_lag_us_hdr")?,
            waited_for_connection: row.get("waited_for_connection_count")?,
            cpu: Duration::from_nanos(row.get("generator_cpu_ns")?),
            wall: Duration::from_nanos(row.get("generator_wall_ns")?),
            connections_peak: row.get("connections_peak_count")?,
            connections_limit: row.get("connections_limit_count")?,
            outstanding_at_end: row.get("outstanding_at_end_count")?,
            retries: row.get("retries_count")?,
            verdict: verdict_of(row)?,
        },
    })
}

fn endpoint_of(row: &Row<'_>) -> Result<EndpointLoad, Fault> {
    Ok(EndpointLoad {
        name: EndpointName::new(row.get::<_, String>("endpoint")?),
        total: Accounting {
            scheduled: row.get("total_scheduled_count")?,
            completed: row.get("total_completed_count")?,
            failed: row.get("total_failed_count")?,
            timed_out: row.get("total_timed_out_count")?,
            dropped: row.get("total_dropped_count")?,
        },
        window: Accounting {
            scheduled: row.get("window_scheduled_count")?,
            completed: row.get("window_completed_count")?,
            failed: row.get("window_failed_count")?,
            timed_out: row.get("window_timed_out_count")?,
            dropped: row.get("window_dropped_count")?,
        },
        response: histogram(row, "response_us_hdr")?,
        service: histogram(row, "service_us_hdr")?,
        failed: histogram(row, "failed_us_hdr")?,
        failures: BTreeMap::new(),
    })
}

fn failure_of(row: &Row<'_>) -> Result<(usize, FailureClass, u64), Fault> {
    let text: String = row.get("class")?;
    let class = FailureClass::parse(&text).ok_or(Fault::Unknown {
        what: "class of failure",
        found: text,
    })?;
    Ok((row.get("number")?, class, row.get("requests_count")?))
}

fn histogram(row: &Row<'_>, column: &str) -> Result<Histogram, Fault> {
    let bytes = row
        .get_ref(column)?
        .as_blob()
        .map_err(rusqlite::Error::from)?;
    Ok(Histogram::from_bytes(bytes)?)
}

fn verdict_to_text(verdict: &GeneratorVerdict) -> (&'static str, &[String]) {
    match verdict {
        GeneratorVerdict::Ok => ("ok", &[]),
        GeneratorVerdict::Suspect(reasons) => ("suspect", reasons),
        GeneratorVerdict::Invalid(reasons) => ("invalid", reasons),
    }
}

fn verdict_of(row: &Row<'_>) -> Result<GeneratorVerdict, Fault> {
    let text: String = row.get("verdict")?;
    let reasons: String = row.get("verdict_reasons_json")?;
    let reasons = serde_json::from_str(&reasons)?;
    match text.as_str() {
        "ok" => Ok(GeneratorVerdict::Ok),
        "suspect" => Ok(GeneratorVerdict::Suspect(reasons)),
        "invalid" => Ok(GeneratorVerdict::Invalid(reasons)),
        _ => Err(Fault::Unknown {
            what: "verdict of the generator",
            found: text,
        }),
    }
}

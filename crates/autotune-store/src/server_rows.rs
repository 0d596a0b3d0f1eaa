//! The row of what the server did in a trial, without its samples.

use std::time::Duration;

use autotune_model::{Bytes, HostLoad, LogRecord, MemorySource, ServerRecord};
use rusqlite::{Connection, Row};

use crate::error::Fault;
use crate::json::{peers_from_json, peers_to_json};
use crate::rows::{Place, Table, duration_of, insert, ns};
use crate::service_rows::{insert_services, load_services};

const SERVER: Table = Table {
    name: "trial_server",
    order: "attempt",
};

pub(crate) fn insert_server(
    connection: &Connection,
    place: &Place<'_>,
    server: &ServerRecord,
) -> Result<(), Fault> {
    let peers = peers_to_json(&server.peers)?;
    let host = |time: fn(HostLoad) -> Duration| server.host.map(|host| ns(time(host))).transpose();
    insert(
        connection,
        SERVER.name,
        &[
            &place.columns()[..],
            &[
                ("boot_ns", &server.boot.map(ns).transpose()?),
                ("stop_ns", &server.stop.map(ns).transpose()?),
                ("exit", &server.exit),
                ("killed_count", &server.killed),
                ("restarts_count", &server.restarts),
                ("settings_json", &serde_json::to_string(&server.settings)?),
                ("versions_json", &serde_json::to_string(&server.versions)?),
                ("memory_peak_bytes", &server.memory_peak.map(Bytes::get)),
                ("memory_before_bytes", &server.memory_before.map(Bytes::get)),
                ("memory_after_bytes", &server.memory_after.map(Bytes::get)),
                ("memory_source", &source_to_text(server.memory_source)),
                ("cpu_ns", &server.cpu.map(ns).transpose()?),
                ("log_tail_json", &serde_json::to_string(&server.log.tail)?),
                ("log_bytes", &server.log.bytes),
                ("log_truncations_count", &server.log.truncations),
                ("peers_json", &peers),
                ("isolation", &server.isolation),
                ("host_wall_ns", &host(|host| host.wall)?),
                ("host_cpus_count", &server.host.map(|host| host.cpus)),
                ("host_stolen_ns", &host(|host| host.stolen)?),
                ("host_others_ns", &host(|host| host.others)?),
            ],
        ]
        .concat(),
    )?;
    insert_services(connection, place, &server.services)
}

/// Without its samples.
pub(crate) fn load_server(
    connection: &Connection,
    place: &Place<'_>,
) -> Result<Option<ServerRecord>, Fault> {
    let mut server = place.select(connection, &SERVER, server_of)?.pop();
    if let Some(server) = &mut server {
        server.services = load_services(connection, place)?;
    }
    Ok(server)
}

fn server_of(row: &Row<'_>) -> Result<ServerRecord, Fault> {
    let json = |column| row.get::<_, String>(column);
    let bytes = |column| {
        let bytes: Option<u64> = row.get(column)?;
        Ok::<_, Fault>(bytes.map(Bytes::new))
    };
    Ok(ServerRecord {
        boot: duration_of(row, "boot_ns")?,
        stop: duration_of(row, "stop_ns")?,
        exit: row.get("exit")?,
        killed: row.get("killed_count")?,
        settings: serde_json::from_str(&json("settings_json")?)?,
        versions: serde_json::from_str(&json("versions_json")?)?,
        restarts: row.get("restarts_count")?,
        memory_peak: bytes("memory_peak_bytes")?,
        memory_before: bytes("memory_before_bytes")?,
        memory_after: bytes("memory_after_bytes")?,
        memory_source: source_from_text(&json("memory_source")?)?,
        cpu: duration_of(row, "cpu_ns")?,
        samples: Vec::new(),
        log: LogRecord {
            tail: serde_json::from_str(&json("log_tail_json")?)?,
            bytes: row.get("log_bytes")?,
            truncations: row.get("log_truncations_count")?,
        },
        peers: peers_from_json(&json("peers_json")?)?,
        isolation: row.get("isolation")?,
        host: host_of(row)?,
        services: Vec::new(),
    })
}

/// All four columns are filled, or none; a study of an earlier format that is
/// only read does not have them.
fn host_of(row: &Row<'_>) -> Result<Option<HostLoad>, Fault> {
    if row.as_ref().column_index("host_cpus_count").is_err() {
        return Ok(None);
    }
    let cpus: Option<u32> = row.get("host_cpus_count")?;
    let wall = duration_of(row, "host_wall_ns")?;
    let stolen = duration_of(row, "host_stolen_ns")?;
    let others = duration_of(row, "host_others_ns")?;
    let all = cpus.zip(wall).zip(stolen.zip(others));
    Ok(all.map(|((cpus, wall), (stolen, others))| HostLoad {
        wall,
        cpus,
        stolen,
        others,
    }))
}

pub(crate) fn source_to_text(source: MemorySource) -> &'static str {
    match source {
        MemorySource::Pss => "pss",
        MemorySource::Rss => "rss",
    }
}

pub(crate) fn source_from_text(text: &str) -> Result<MemorySource, Fault> {
    match text {
        "pss" => Ok(MemorySource::Pss),
        "rss" => Ok(MemorySource::Rss),
        _ => Err(Fault::Unknown {
            what: "memory source",
            found: text.to_owned(),
        }),
    }
}

//! The rows of what services did in a trial, one for each.

use autotune_model::{Bytes, ServiceName, ServiceRecord, ServiceWindow};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::Fault;
use crate::rows::{Place, Table, duration_of, insert, ns};
use crate::server_rows::{source_from_text, source_to_text};

const SERVICE: Table = Table {
    name: "trial_service",
    order: "number",
};

pub(crate) fn insert_services(
    connection: &Connection,
    place: &Place<'_>,
    services: &[ServiceRecord],
) -> Result<(), Fault> {
    for (number, service) in (0u32..).zip(services) {
        let window = service.window;
        let time = |time: fn(ServiceWindow) -> std::time::Duration| {
            window.map(|window| ns(time(window))).transpose()
        };
        let peak_pct = window.map(|window| window.busiest_peak_pct);
        insert(
            connection,
            SERVICE.name,
            &[
                &place.columns()[..],
                &[
                    ("number", &number),
                    ("service", &service.name.as_str()),
                    ("cpus_count", &service.cpus),
                    ("memory_peak_bytes", &service.memory_peak.map(Bytes::get)),
                    ("memory_source", &source_to_text(service.memory_source)),
                    ("cpu_ns", &service.cpu.map(ns).transpose()?),
                    ("window_wall_ns", &time(|window| window.wall)?),
                    ("window_cpu_ns", &time(|window| window.cpu)?),
                    ("window_busiest_cpu_ns", &time(|window| window.busiest)?),
                    ("window_busiest_peak_pct", &peak_pct),
                ],
            ]
            .concat(),
        )?;
    }
    Ok(())
}

/// None in a study of an earlier format that is only read: it has no such table.
pub(crate) fn load_services(
    connection: &Connection,
    place: &Place<'_>,
) -> Result<Vec<ServiceRecord>, Fault> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([SERVICE.name], |_| Ok(())).optional()?;
    match found {
        Some(()) => place.select(connection, &SERVICE, service_of),
        None => Ok(Vec::new()),
    }
}

fn service_of(row: &Row<'_>) -> Result<ServiceRecord, Fault> {
    let name: String = row.get("service")?;
    let peak: Option<u64> = row.get("memory_peak_bytes")?;
    let source: String = row.get("memory_source")?;
    Ok(ServiceRecord {
        name: ServiceName::new(name),
        cpus: row.get("cpus_count")?,
        memory_peak: peak.map(Bytes::new),
        memory_source: source_from_text(&source)?,
        cpu: duration_of(row, "cpu_ns")?,
        window: window_of(row)?,
    })
}

/// All four columns are filled, or none.
fn window_of(row: &Row<'_>) -> Result<Option<ServiceWindow>, Fault> {
    let wall = duration_of(row, "window_wall_ns")?;
    let cpu = duration_of(row, "window_cpu_ns")?;
    let busiest = duration_of(row, "window_busiest_cpu_ns")?;
    let peak_pct: Option<f64> = row.get("window_busiest_peak_pct")?;
    let all = wall.zip(cpu).zip(busiest.zip(peak_pct));
    Ok(all.map(|((wall, cpu), (busiest, peak_pct))| ServiceWindow {
        wall,
        cpu,
        busiest,
        busiest_peak_pct: peak_pct,
    }))
}

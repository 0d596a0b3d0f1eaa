//! The per-second data of a trial, packed into one column.
//!
//! A byte of format version, then in version 1 zlib over JSON, so that any
//! language can read it: in Python `json.loads(zlib.decompress(blob[1:]))`.
//! Nothing here is needed for a verdict; it is kept to cut the warm-up anew
//! and to draw charts.

use std::io::{Read, Write};
use std::time::Duration;

use autotune_model::{
    Accounting, Bytes, LoadSecond, ProcessRole, ProcessSample, ServerSample, SparseHistogram,
    TrialRecord,
};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::rows::ns;

const VERSION: u8 = 1;

/// The per-second data of one trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialSeries {
    /// As in [`autotune_model::LoadRecord::seconds`].
    pub seconds: Vec<LoadSecond>,
    /// As in [`autotune_model::LoadRecord::outstanding`].
    pub outstanding: Vec<u32>,
    /// As in [`autotune_model::ServerRecord::samples`].
    pub samples: Vec<ServerSample>,
}

impl TrialSeries {
    /// Puts the data where a record has them.
    pub(crate) fn put_into(self, record: &mut TrialRecord) {
        if let Some(load) = &mut record.load {
            load.seconds = self.seconds;
            load.outstanding = self.outstanding;
        }
        if let Some(server) = &mut record.server {
            server.samples = self.samples;
        }
    }
}

/// The column for the series of a record.
pub(crate) fn pack(record: &TrialRecord) -> Result<Vec<u8>, Fault> {
    let load = record.load.as_ref();
    let samples = record.server.as_ref().map(|server| &server.samples[..]);
    let json = SeriesJson {
        seconds: load
            .map_or(&[][..], |load| &load.seconds)
            .iter()
            .map(second_to_json)
            .collect(),
        outstanding_count: load.map_or_else(Vec::new, |load| load.outstanding.clone()),
        samples: samples
            .unwrap_or_default()
            .iter()
            .map(sample_to_json)
            .collect::<Result<_, _>>()?,
    };
    let mut encoder = ZlibEncoder::new(vec![VERSION], Compression::default());
    encoder
        .write_all(&serde_json::to_vec(&json)?)
        .and_then(|()| encoder.finish())
        .map_err(Fault::Zlib)
}

/// Back from [`pack`].
pub(crate) fn unpack(column: &[u8]) -> Result<TrialSeries, Fault> {
    let (version, zlib) = column.split_first().ok_or_else(|| unknown(&[]))?;
    if *version != VERSION {
        return Err(unknown(&[*version]));
    }
    let mut text = Vec::new();
    ZlibDecoder::new(zlib)
        .read_to_end(&mut text)
        .map_err(Fault::Zlib)?;
    let json: SeriesJson = serde_json::from_slice(&text)?;
    Ok(TrialSeries {
        seconds: json.seconds.into_iter().map(second_from_json).collect(),
        outstanding: json.outstanding_count,
        samples: json.samples.into_iter().map(sample_from_json).collect(),
    })
}

fn unknown(version: &[u8]) -> Fault {
    Fault::Unknown {
        what: "version of a series",
        found: format!("{version:?}"),
    }
}

#[derive(Serialize, Deserialize)]
struct SeriesJson {
    seconds: Vec<SecondJson>,
    /// Requests due but not yet ended, at the end of each second.
    outstanding_count: Vec<u32>,
    samples: Vec<SampleJson>,
}

/// Counts are of requests; histograms are pairs of microseconds and count.
#[derive(Serialize, Deserialize)]
struct SecondJson {
    endpoint: u16,
    second: u32,
    scheduled: u64,
    completed: u64,
    failed: u64,
    timed_out: u64,
    dropped: u64,
    response_us: Vec<(u64, u32)>,
    service_us: Vec<(u64, u32)>,
    failed_us: Vec<(u64, u32)>,
}

#[derive(Serialize, Deserialize)]
struct SampleJson {
    at_ns: u64,
    processes: Vec<ProcessJson>,
}

#[derive(Serialize, Deserialize)]
struct ProcessJson {
    pid: u32,
    start_time_ticks: u64,
    role: RoleJson,
    pss_bytes: Option<u64>,
    uss_bytes: Option<u64>,
    rss_bytes: u64,
    swap_pss_bytes: Option<u64>,
    cpu_ns: u64,
    threads: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RoleJson {
    Main,
    Child,
    Descendant,
}

fn second_to_json(second: &LoadSecond) -> SecondJson {
    SecondJson {
        endpoint: second.endpoint,
        second: second.second,
        scheduled: second.accounting.scheduled,
        completed: second.accounting.completed,
        failed: second.accounting.failed,
        timed_out: second.accounting.timed_out,
        dropped: second.accounting.dropped,
        response_us: second.response.counts().to_vec(),
        service_us: second.service.counts().to_vec(),
        failed_us: second.failed.counts().to_vec(),
    }
}

fn second_from_json(json: SecondJson) -> LoadSecond {
    LoadSecond {
        endpoint: json.endpoint,
        second: json.second,
        accounting: Accounting {
            scheduled: json.scheduled,
            completed: json.completed,
            failed: json.failed,
            timed_out: json.timed_out,
            dropped: json.dropped,
        },
        response: SparseHistogram::from_counts(json.response_us),
        service: SparseHistogram::from_counts(json.service_us),
        failed: SparseHistogram::from_counts(json.failed_us),
    }
}

fn sample_to_json(sample: &ServerSample) -> Result<SampleJson, Fault> {
    let processes = sample.processes.iter().map(process_to_json);
    Ok(SampleJson {
        at_ns: sample.at_ns,
        processes: processes.collect::<Result<_, _>>()?,
    })
}

fn sample_from_json(json: SampleJson) -> ServerSample {
    ServerSample {
        at_ns: json.at_ns,
        processes: json.processes.into_iter().map(process_from_json).collect(),
    }
}

fn process_to_json(process: &ProcessSample) -> Result<ProcessJson, Fault> {
    Ok(ProcessJson {
        pid: process.pid,
        start_time_ticks: process.start_time,
        role: match process.role {
            ProcessRole::Main => RoleJson::Main,
            ProcessRole::Child => RoleJson::Child,
            ProcessRole::Descendant => RoleJson::Descendant,
        },
        pss_bytes: process.pss.map(Bytes::get),
        uss_bytes: process.uss.map(Bytes::get),
        rss_bytes: process.rss.get(),
        swap_pss_bytes: process.swap_pss.map(Bytes::get),
        cpu_ns: ns(process.cpu)?,
        threads: process.threads,
    })
}

fn process_from_json(json: ProcessJson) -> ProcessSample {
    ProcessSample {
        pid: json.pid,
        start_time: json.start_time_ticks,
        role: match json.role {
            RoleJson::Main => ProcessRole::Main,
            RoleJson::Child => ProcessRole::Child,
            RoleJson::Descendant => ProcessRole::Descendant,
        },
        pss: json.pss_bytes.map(Bytes::new),
        uss: json.uss_bytes.map(Bytes::new),
        rss: Bytes::new(json.rss_bytes),
        swap_pss: json.swap_pss_bytes.map(Bytes::new),
        cpu: Duration::from_nanos(json.cpu_ns),
        threads: json.threads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_and_broken_bytes_are_refused() {
        assert!(matches!(unpack(&[]), Err(Fault::Unknown { .. })));
        assert!(matches!(unpack(&[2, 0]), Err(Fault::Unknown { .. })));
        assert!(matches!(unpack(&[VERSION, 1, 2]), Err(Fault::Zlib(_))));
    }
}

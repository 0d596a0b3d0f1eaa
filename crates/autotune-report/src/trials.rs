//! `trials.csv`: a row a trial, failed ones too. Columns keep their order for
//! ever; new ones are appended.

use std::time::Duration;

use autotune_model::{
    GeneratorVerdict, Histogram, History, HostLoad, MemorySource, Outcome, ServerRecord,
    TrialRecord,
};

use crate::error::ReportError;
use crate::format::one_line;

const COLUMNS: [&str; 36] = [
    "stage",
    "block",
    "position",
    "attempt",
    "config",
    "outcome",
    "boot_ms",
    "load_s",
    "scheduled",
    "completed",
    "failed",
    "timed_out",
    "dropped",
    "response_p50_us",
    "response_p95_us",
    "response_p99_us",
    "pss_peak_bytes",
    "cpu_s",
    // Why percentiles are empty: `censored` where the outcome is not measured,
    // else those that were not attained.
    "flag",
    "detail",
    "restarts",
    "memory_source",
    "memory_before_bytes",
    "memory_after_bytes",
    "warm_up_s",
    "window_scheduled",
    "window_completed",
    "generator",
    "generator_cpu_s",
    "own_lag_p99_us",
    "retries",
    "trial_s",
    "seed",
    "config_id",
    // Over all CPUs of the machine, while the load ran.
    "host_stolen_s",
    "host_others_s",
];

/// The trials as CSV, in the order of the history. Counts are over the whole
/// trial; percentiles are of response time over all endpoints after the warm-up,
/// with requests that were not completed as infinitely slow, and are empty where
/// they were not attained or the outcome is not `measured`.
///
/// # Errors
/// When the CSV writer fails.
pub fn trials_csv(history: &History) -> Result<String, ReportError> {
    let mut text = Vec::new();
    {
        let mut writer = csv::Writer::from_writer(&mut text);
        writer.write_record(COLUMNS)?;
        for trial in &history.trials {
            writer.write_record(row(trial))?;
        }
        writer.flush()?;
    }
    Ok(String::from_utf8(text)?)
}

fn row(trial: &TrialRecord) -> Vec<String> {
    let key = trial.spec.key;
    let mut row = vec![
        key.stage.as_str().to_owned(),
        key.block.to_string(),
        key.position.to_string(),
        trial.spec.attempt.to_string(),
        one_line(trial.spec.configuration.label().as_str()),
        trial.outcome.as_str().to_owned(),
    ];
    let boot = trial.server.as_ref().and_then(|server| server.boot);
    row.push(text(
        boot.map(|boot| format!("{:.1}", boot.as_secs_f64() * 1e3)),
    ));
    row.extend(counts(trial));
    let (percentiles, flag) = percentiles(trial);
    row.extend(percentiles);
    let server = trial.server.as_ref();
    row.push(text(
        server
            .and_then(|server| server.memory_peak)
            .map(|peak| peak.get()),
    ));
    row.push(text(
        server
            .and_then(|server| server.cpu)
            .map(|cpu| seconds(cpu.as_secs_f64())),
    ));
    row.push(flag);
    row.push(detail(&trial.outcome));
    row.extend(server_columns(server));
    row.push(seconds(trial.spec.warm_up.as_secs_f64()));
    row.extend(generator_columns(trial));
    row.push(seconds(trial.span.length().as_secs_f64()));
    row.push(trial.spec.seed.value().to_string());
    row.push(trial.spec.configuration.id().to_string());
    let host = server.and_then(|server| server.host);
    let cpu =
        |time: fn(HostLoad) -> Duration| text(host.map(|host| seconds(time(host).as_secs_f64())));
    row.extend([cpu(|host| host.stolen), cpu(|host| host.others)]);
    row
}

fn counts(trial: &TrialRecord) -> Vec<String> {
    let Some(load) = &trial.load else {
        return vec![String::new(); 6];
    };
    let total = load.total();
    let counts = [
        total.scheduled,
        total.completed,
        total.failed,
        total.timed_out,
        total.dropped,
    ];
    let mut row = vec![seconds(load.length.as_secs_f64())];
    row.extend(counts.map(|count| count.to_string()));
    row
}

/// The three percentiles and the flag.
fn percentiles(trial: &TrialRecord) -> (Vec<String>, String) {
    let empty = vec![String::new(); 3];
    let Some(load) = &trial.load else {
        return (empty, String::new());
    };
    if trial.outcome != Outcome::Measured {
        return (empty, "censored".to_owned());
    }
    let mut all = Histogram::new();
    let mut not_completed = 0;
    for endpoint in &load.endpoints {
        all.merge(&endpoint.response);
        not_completed += endpoint.window.not_completed();
    }
    let mut missing = Vec::new();
    let percentiles = [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)].map(|(name, fraction)| {
        let value = all.quantile_with_infinite_us(fraction, not_completed);
        if value.is_none() {
            missing.push(name);
        }
        text(value)
    });
    let flag = if missing.is_empty() {
        String::new()
    } else {
        format!("not-attained:{}", missing.join("+"))
    };
    (percentiles.to_vec(), flag)
}

/// The evidence on one line, so that a row is a line for simple tools too.
fn detail(outcome: &Outcome) -> String {
    let lines = outcome.detail().unwrap_or_default().lines().map(one_line);
    lines.collect::<Vec<_>>().join(" | ")
}

fn server_columns(server: Option<&ServerRecord>) -> Vec<String> {
    let Some(server) = server else {
        return vec![String::new(); 4];
    };
    let source = match server.memory_source {
        MemorySource::Pss => "pss",
        MemorySource::Rss => "rss",
    };
    vec![
        server.restarts.to_string(),
        server
            .memory_peak
            .map_or_else(String::new, |_| source.to_owned()),
        text(server.memory_before.map(|bytes| bytes.get())),
        text(server.memory_after.map(|bytes| bytes.get())),
    ]
}

fn generator_columns(trial: &TrialRecord) -> Vec<String> {
    let Some(load) = &trial.load else {
        return vec![String::new(); 6];
    };
    let window = |count: fn(&autotune_model::Accounting) -> u64| {
        load.endpoints
            .iter()
            .map(|endpoint| count(&endpoint.window))
            .sum::<u64>()
            .to_string()
    };
    let generator = &load.generator;
    let verdict = match generator.verdict {
        GeneratorVerdict::Ok => "ok",
        GeneratorVerdict::Suspect(_) => "suspect",
        GeneratorVerdict::Invalid(_) => "invalid",
    };
    vec![
        window(|window| window.scheduled),
        window(|window| window.completed),
        verdict.to_owned(),
        seconds(generator.cpu.as_secs_f64()),
        text(generator.own_lag.quantile_us(0.99)),
        generator.retries.to_string(),
    ]
}

fn seconds(value: f64) -> String {
    format!("{value:.3}")
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    fn parsed(history: &History) -> (csv::StringRecord, Vec<csv::StringRecord>) {
        let text = trials_csv(history).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        (header, reader.records().map(Result::unwrap).collect())
    }

    #[test]
    fn the_first_columns_are_settled_for_ever() {
        let text = trials_csv(&History::default()).unwrap();
        assert!(text.starts_with(
            "stage,block,position,attempt,config,outcome,boot_ms,load_s,scheduled,completed,\
             failed,timed_out,dropped,response_p50_us,response_p95_us,response_p99_us,\
             pss_peak_bytes,cpu_s,flag,"
        ));
    }

    #[test]
    fn every_trial_has_a_row_and_every_row_adds_up() {
        let fixture = Fixture::realistic();
        let (header, rows) = parsed(&fixture.history);
        assert_eq!(rows.len(), fixture.history.trials.len());
        let at = |name: &str| header.iter().position(|have| have == name).unwrap();
        for row in &rows {
            let number = |name: &str| row[at(name)].parse::<u64>().unwrap_or(0);
            let sum: u64 = ["completed", "failed", "timed_out", "dropped"]
                .map(number)
                .iter()
                .sum();
            assert_eq!(number("scheduled"), sum, "{row:?}");
        }
    }

    #[test]
    fn what_was_not_attained_is_empty_and_flagged() {
        let mut fixture = Fixture::realistic();
        let trial = &mut fixture.history.trials[0];
        for endpoint in &mut trial.load.as_mut().unwrap().endpoints {
            endpoint.window.failed = endpoint.window.completed / 9;
        }
        let (header, rows) = parsed(&fixture.history);
        let at = |name: &str| header.iter().position(|have| have == name).unwrap();
        assert!(!rows[0][at("response_p50_us")].is_empty());
        assert_eq!(&rows[0][at("response_p95_us")], "");
        assert_eq!(&rows[0][at("flag")], "not-attained:p95+p99");
        let overloaded = rows
            .iter()
            .find(|row| &row[at("outcome")] == "overloaded")
            .unwrap();
        assert_eq!(&overloaded[at("response_p50_us")], "");
        assert_eq!(&overloaded[at("flag")], "censored");
    }

    #[test]
    fn evidence_of_many_lines_stays_on_one() {
        let mut fixture = Fixture::realistic();
        fixture.history.trials[0].outcome = Outcome::Died {
            detail: "signal 9\nlog, \"end\"".to_owned(),
        };
        let text = trials_csv(&fixture.history).unwrap();
        assert_eq!(text.lines().count(), fixture.history.trials.len() + 1);
        assert!(text.contains("\"signal 9 | log, \"\"end\"\"\""));
    }
}

//! `[objective]`, `[host]` and `[budget]`: what is wanted, on which CPUs and for
//! how long.

use std::ops::Range;
use std::time::Duration;

use autotune_model::{
    Accept, Bytes, CpuSet, Endpoint, ErrorCode, LoadShape, MaxLatency, Metric, Over, Quantile,
    Share,
};

use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::file::HostRequest;
use crate::load::time;
use crate::scalar;
use crate::tree::{Keys, Node, Table, all};

pub(crate) const OBJECTIVE_KEYS: Keys<'_> = Keys {
    known: &[
        "minimize",
        "over",
        "max_error_rate",
        "max_p95",
        "max_p99",
        "max_memory",
        "accept",
        "min_effect",
    ],
    planned: &["connections"],
};
pub(crate) const HOST_KEYS: Keys<'_> = Keys {
    known: &["server_cpus", "generator_cpus", "keep_awake"],
    planned: &[],
};
pub(crate) const BUDGET_KEYS: Keys<'_> = Keys {
    known: &["time"],
    planned: &["uptime"],
};
pub(crate) const METRICS: [(&str, Metric); 8] = [
    ("mean", Metric::Mean),
    ("p50", Metric::Latency(Quantile::P50)),
    ("p90", Metric::Latency(Quantile::P90)),
    ("p95", Metric::Latency(Quantile::P95)),
    ("p99", Metric::Latency(Quantile::P99)),
    ("memory", Metric::Memory),
    ("cpu", Metric::Cpu),
    ("duration", Metric::Duration),
];
pub(crate) const COMBINATIONS: [(&str, Over); 3] = [
    ("geomean", Over::Geomean),
    ("worst", Over::Worst),
    ("pooled", Over::Pooled),
];
/// The kernel's CPU masks end here.
pub(crate) const LAST_CPU: i64 = 1023;

/// `[objective]`, before endpoints and baseline are known.
pub(crate) struct Goal {
    pub(crate) minimize: Metric,
    pub(crate) over: Over,
    pub(crate) max_error_rate: Share,
    pub(crate) max_latency: Vec<Slowest>,
    pub(crate) max_memory: Option<Bytes>,
    pub(crate) accept: Accept,
    pub(crate) min_effect: Share,
}

/// `max_p95` or `max_p99`, before the endpoints are known.
pub(crate) struct Slowest {
    quantile: Quantile,
    allowed: Allowed,
}

enum Allowed {
    /// At every endpoint.
    Everywhere(Duration),
    /// At these, named at these places.
    At(Vec<(String, Range<usize>, Duration)>),
}

/// `[objective]`.
pub(crate) fn read(root: &Table<'_>, faults: &mut Faults) -> Checked<Goal> {
    let table = root.section("objective", &OBJECTIVE_KEYS, faults)?;
    let minimize = table
        .require("minimize", "for example \"p95\"", faults)
        .and_then(|node| node.choice(&METRICS, faults));
    let over = table
        .require("over", "for example \"geomean\"", faults)
        .and_then(|node| node.choice(&COMBINATIONS, faults));
    let max_error_rate = table
        .require("max_error_rate", "for example \"0.1%\"", faults)
        .and_then(|node| bounded_share(&node, Zero::Allowed, faults));
    let limits = [("max_p95", Quantile::P95), ("max_p99", Quantile::P99)];
    let max_latency = all(limits
        .into_iter()
        .filter_map(|(key, quantile)| Some((table.get(key)?, quantile)))
        .map(|(node, quantile)| {
            let allowed = allowed(&node, faults)?;
            Ok(Slowest { quantile, allowed })
        }));
    let max_memory = table
        .get("max_memory")
        .map(|node| bytes(&node, faults))
        .transpose();
    let accept = table
        .require("accept", "for example \"5%\"", faults)
        .and_then(|node| accept(&node, faults));
    let min_effect = table
        .require("min_effect", "for example \"2%\"", faults)
        .and_then(|node| bounded_share(&node, Zero::Refused, faults));
    let (minimize, accept) = (minimize?, accept?);
    if let (Metric::Memory | Metric::Cpu | Metric::Duration, Some(_), Some(node)) =
        (minimize, accept.absolute, table.get("accept"))
    {
        let message = format!("`accept` takes no time where {minimize} is minimised");
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &node.span, message, "a time");
        return Err(faults.add(fault.hint("write a percentage, such as \"5%\"")));
    }
    Ok(Goal {
        minimize,
        over: over?,
        max_error_rate: max_error_rate?,
        max_latency: max_latency?,
        max_memory: max_memory?,
        accept,
        min_effect: min_effect?,
    })
}

/// The total time can be minimised where the load has an end of its own that
/// depends on the server.
pub(crate) fn check_duration(
    root: &Table<'_>,
    (minimize, load): (Metric, &LoadShape),
    faults: &mut Faults,
) -> Checked<()> {
    if minimize != Metric::Duration || load.at_most().is_some() {
        return Ok(());
    }
    let objective = root.given("objective");
    let minimize = objective.and_then(|node| Some(node.value.as_table()?.get("minimize")?.span()));
    let place = minimize.unwrap_or_default();
    let message = "`duration` is minimised of a load without `loops`";
    let code = ErrorCode::GridConflict;
    let fault = GridFault::new(code, &place, message, "takes equally long for all");
    let hint = "the total time depends on the server only where users ask a number of times: give \
                [load.closed] `loops` and `at_most`, or minimise p95";
    Err(faults.add(fault.hint(hint)))
}

/// An amount of memory, above zero.
pub(crate) fn bytes(node: &Node<'_>, faults: &mut Faults) -> Checked<Bytes> {
    let text = match node.value.is_str() {
        true => node.text(faults)?,
        false => {
            return Err(faults.add(node.mismatch("an amount as a text, such as \"512MiB\"")));
        }
    };
    let bytes = scalar::bytes(text).ok_or_else(|| {
        let message = format!("`{}` is not an amount of memory: \"{text}\"", node.key);
        let fault = node.fault(message, "not an amount");
        let hint =
            "write it as \"512MiB\" or \"1.5GiB\"; also KiB, and kB, MB, GB for powers of 1000";
        faults.add(fault.hint(hint))
    })?;
    if bytes == Bytes::default() {
        let message = format!("`{}` is above zero", node.key);
        return Err(faults.add(node.fault(message, "no memory")));
    }
    Ok(bytes)
}

/// A time for all endpoints, or a table with one for each that has a limit.
fn allowed(node: &Node<'_>, faults: &mut Faults) -> Checked<Allowed> {
    let positive = |node: &Node<'_>, faults: &mut Faults| {
        let at_most = time(node, faults)?;
        if at_most.is_zero() {
            let message = format!("`{}` is above zero", node.key);
            return Err(faults.add(node.fault(message, "no time")));
        }
        Ok(at_most)
    };
    if !node.value.is_table() {
        return positive(node, faults).map(Allowed::Everywhere);
    }
    let table = node.table(format!("`{}`", node.key), None, faults)?;
    let each = table.nodes.iter().map(|node| {
        let at_most = positive(node, faults)?;
        Ok((node.key.to_owned(), node.key_span.clone(), at_most))
    });
    all(each).map(Allowed::At)
}

/// The limits of all endpoints, in the order of the endpoints. Faults for names
/// that no endpoint has.
pub(crate) fn max_latency(
    slowest: Vec<Slowest>,
    endpoints: &[Endpoint],
    faults: &mut Faults,
) -> Checked<Vec<MaxLatency>> {
    let names = || endpoints.iter().map(|endpoint| endpoint.name.as_str());
    let each = slowest.into_iter().map(|Slowest { quantile, allowed }| {
        let limit = |endpoint: &Endpoint, at_most| MaxLatency {
            quantile,
            endpoint: endpoint.name.clone(),
            at_most,
        };
        let named = match allowed {
            Allowed::Everywhere(at_most) => {
                let everywhere = endpoints.iter().map(|one| limit(one, at_most));
                return Ok(everywhere.collect::<Vec<_>>());
            }
            Allowed::At(named) => named,
        };
        all(named.into_iter().map(|(name, span, at_most)| {
            let found = endpoints.iter().find(|one| one.name.as_str() == name);
            found.map(|one| limit(one, at_most)).ok_or_else(|| {
                let message = format!("no endpoint is called `{name}`");
                let code = ErrorCode::GridUnknownKey;
                let mut fault = GridFault::new(code, &span, message, "no such endpoint");
                fault.hint = did_you_mean(&name, names());
                faults.add(fault)
            })
        }))
    });
    Ok(all(each)?.concat())
}

/// Whether a share may be zero: no night resolves a difference of nothing.
#[derive(Clone, Copy, PartialEq)]
enum Zero {
    Allowed,
    Refused,
}

fn share(node: &Node<'_>, text: &str, faults: &mut Faults) -> Checked<Share> {
    scalar::percent(text).ok_or_else(|| {
        let message = format!("`{}` is not a percentage: \"{text}\"", node.key);
        let fault = node.fault(message, "not a percentage");
        faults.add(fault.hint("write it as \"5%\""))
    })
}

fn bounded_share(node: &Node<'_>, zero: Zero, faults: &mut Faults) -> Checked<Share> {
    let text = percent_text(node, "a percentage as a text, such as \"2%\"", faults)?;
    let share = share(node, text, faults)?;
    if share.get() > 1.0 {
        let message = format!("`{}` is at most 100%", node.key);
        return Err(faults.add(node.fault(message, "more than all")));
    }
    if zero == Zero::Refused && share.get() == 0.0 {
        let message = format!("`{}` is above zero", node.key);
        return Err(faults.add(node.fault(message, "zero")));
    }
    Ok(share)
}

fn percent_text<'a>(node: &Node<'a>, wanted: &str, faults: &mut Faults) -> Checked<&'a str> {
    match node.value.is_str() {
        true => node.text(faults),
        false => Err(faults.add(node.mismatch(wanted))),
    }
}

/// `"5%"`, `"2ms"` or both in a list.
fn accept(node: &Node<'_>, faults: &mut Faults) -> Checked<Accept> {
    let parts = match node.value.is_array() {
        true => node.filled_list(faults)?,
        false => vec![node.clone()],
    };
    let mut accept = Accept {
        relative: None,
        absolute: None,
    };
    for part in &parts {
        let wanted = "a percentage or a time as a text, such as \"5%\" or \"2ms\"";
        let text = percent_text(part, wanted, faults)?;
        let twice = if text.contains('%') {
            accept
                .relative
                .replace(share(part, text, faults)?)
                .is_some()
        } else {
            let Some(time) = scalar::duration(text) else {
                let message = format!("`accept` is neither percentage nor time: \"{text}\"");
                let fault = part.fault(message, "without a unit that is known");
                return Err(faults.add(fault.hint("write it as \"5%\", \"2ms\" or \"1s\"")));
            };
            accept.absolute.replace(time).is_some()
        };
        if twice {
            let message = "`accept` takes one percentage and one time";
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &part.span, message, "the second of its kind");
            return Err(faults.add(fault.hint("leave one of them out")));
        }
    }
    Ok(accept)
}

/// `[host]`: the CPUs of the server and of the generator, and their idle states.
pub(crate) fn host(root: &Table<'_>, faults: &mut Faults) -> Checked<HostRequest> {
    let table = root.section("host", &HOST_KEYS, faults)?;
    let mut cpus = |key| {
        let node = table.get(key);
        node.map(|node| cpu_set(&node, faults)).transpose()
    };
    let (server, generator) = (cpus("server_cpus"), cpus("generator_cpus"));
    let keep_awake = table
        .require("keep_awake", "true or false", faults)
        .and_then(|node| node.bool(faults));
    let (server, generator, keep_awake) = (server?, generator?, keep_awake?);
    if let (Some(server), Some(generator), Some(node)) =
        (&server, &generator, table.get("generator_cpus"))
        && let Some(cpu) = server
            .as_slice()
            .iter()
            .find(|cpu| generator.as_slice().contains(cpu))
    {
        let message = format!("CPU {cpu} is both the server's and the generator's");
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &node.span, message, "overlaps `server_cpus`");
        let hint = "the generator would slow down what it measures; name others";
        return Err(faults.add(fault.hint(hint)));
    }
    Ok(HostRequest {
        server_cpus: server,
        generator_cpus: generator,
        keep_awake,
    })
}

/// The numbers of CPUs, at least one.
pub(crate) fn cpu_set(node: &Node<'_>, faults: &mut Faults) -> Checked<CpuSet> {
    let list = node.filled_list(faults)?;
    let cpus = all(list.iter().map(|cpu| {
        let number = cpu.int((0, LAST_CPU), faults)?;
        usize::try_from(number).map_err(|why| faults.add(cpu.fault(why.to_string(), "no CPU")))
    }))?;
    Ok(CpuSet::new(cpus))
}

/// `[budget]`: how long a sweep may work.
pub(crate) fn budget(root: &Table<'_>, faults: &mut Faults) -> Checked<Option<Duration>> {
    let table = root.section("budget", &BUDGET_KEYS, faults)?;
    let Some(node) = table.get("time") else {
        return Ok(None);
    };
    let budget = time(&node, faults)?;
    if budget.is_zero() {
        return Err(faults.add(node.fault("`time` is above zero", "no time")));
    }
    Ok(Some(budget))
}

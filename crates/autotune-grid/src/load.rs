//! `[load]`: how requests arrive and how connections are used.

use autotune_model::{Arrivals, ConnectionPolicy, ErrorCode, LoadShape, Rate, Surge, Users};

use crate::fault::{Checked, Faults, GridFault};
use crate::scalar;
use crate::tree::{Keys, Node, Table, not_supported, quoted};

pub(crate) const KEYS: Keys<'_> = Keys {
    known: &["connections", "open", "closed"],
    planned: &["groups"],
};
pub(crate) const OPEN_KEYS: Keys<'_> = Keys {
    known: &["rate", "arrivals", "surge"],
    planned: &["steps", "ramp", "groups"],
};
pub(crate) const CLOSED_KEYS: Keys<'_> = Keys {
    known: &["users", "think"],
    planned: &["every", "loops", "steps", "ramp", "groups"],
};
const HOW: &str = "add [load.open] with `rate`, or [load.closed] with `users`";

/// `[load]`.
pub(crate) struct Load {
    pub(crate) connections: ConnectionPolicy,
    pub(crate) shape: LoadShape,
    pub(crate) surge: Option<Surge>,
}

/// How connections are used, and the load.
pub(crate) fn read(root: &Table<'_>, faults: &mut Faults) -> Checked<Load> {
    let load = root.section("load", &KEYS, faults)?;
    let connections = load
        .require("connections", "\"keep-alive\" or \"per-request\"", faults)
        .and_then(|node| connections(&node, faults));
    let shape = match (load.given("open"), load.given("closed")) {
        (Some(_), None) => open(&load, faults),
        (None, Some(_)) => closed(&load, faults).map(|shape| (shape, None)),
        (None, None) => {
            load.not_misspelt("open").and(load.not_misspelt("closed"))?;
            let message = "no load is given";
            let code = ErrorCode::GridMissing;
            let fault = GridFault::new(code, &load.span, message, "neither open nor closed");
            Err(faults.add(fault.hint(HOW)))
        }
        (Some(open), Some(closed)) => {
            let second = if open.key_span.start < closed.key_span.start {
                closed
            } else {
                open
            };
            let message = "the load is both open and closed";
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &second.key_span, message, "the second load");
            Err(faults.add(fault.hint("keep one of the two")))
        }
    };
    let (shape, surge) = shape?;
    Ok(Load {
        connections: connections?,
        shape,
        surge,
    })
}

fn connections(node: &Node<'_>, faults: &mut Faults) -> Checked<ConnectionPolicy> {
    if let Some(table) = node.value.as_table()
        && table.contains_key("reconnect_every")
    {
        return Err(faults.add(not_supported(&node.span, &quoted("reconnect_every"))));
    }
    let choices = [ConnectionPolicy::KeepAlive, ConnectionPolicy::PerRequest];
    node.choice(&choices.map(|policy| (policy.as_str(), policy)), faults)
}

fn open(load: &Table<'_>, faults: &mut Faults) -> Checked<(LoadShape, Option<Surge>)> {
    let table = load.section("open", &OPEN_KEYS, faults)?;
    let rate = table
        .require(
            "rate",
            "requests per second, over all endpoints: rate = 100",
            faults,
        )
        .and_then(|node| {
            let number = node.positive(faults)?;
            Rate::per_second(number)
                .map_err(|why| faults.add(node.fault(why.to_string(), "not a rate")))
        });
    let arrivals = table
        .require("arrivals", "\"poisson\" or \"constant\"", faults)
        .and_then(|node| {
            let choices = [
                ("poisson", Arrivals::Poisson),
                ("constant", Arrivals::Constant),
            ];
            node.choice(&choices, faults)
        });
    let surge = table.get("surge").map(|node| surge(&node, faults));
    let shape = LoadShape::Open {
        rate: rate?,
        arrivals: arrivals?,
    };
    Ok((shape, surge.transpose()?))
}

fn surge(node: &Node<'_>, faults: &mut Faults) -> Checked<Surge> {
    let factor = node.positive(faults)?;
    Surge::new(factor).ok_or_else(|| {
        let message = format!(
            "`surge` is how many times the rate, above 1 and at most {}",
            Surge::MOST
        );
        let fault = node.fault(message, "not a surge");
        faults
            .add(fault.hint("surge = 1.5 asks the recommended setting to carry half as much again"))
    })
}

fn closed(load: &Table<'_>, faults: &mut Faults) -> Checked<LoadShape> {
    let table = load.section("closed", &CLOSED_KEYS, faults)?;
    let count = table
        .require("users", "in total: users = 50", faults)
        .and_then(|node| {
            let count = node.int((1, i64::from(u32::MAX)), faults)?;
            u32::try_from(count).map_err(|why| faults.add(node.fault(why.to_string(), "too many")))
        });
    let think = table
        .require(
            "think",
            "the pause after an answer: think = \"10s\"",
            faults,
        )
        .and_then(|node| time(&node, faults));
    Ok(LoadShape::Closed(Users {
        count: count?,
        think: think?,
    }))
}

/// A duration.
pub(crate) fn time(node: &Node<'_>, faults: &mut Faults) -> Checked<std::time::Duration> {
    let text = match node.value.is_str() {
        true => node.text(faults)?,
        false => return Err(faults.add(node.mismatch("a time as a text, such as \"10s\""))),
    };
    scalar::duration(text).ok_or_else(|| {
        let message = format!("`{}` is not a time: \"{text}\"", node.key);
        let fault = node.fault(message, "not a time");
        faults.add(fault.hint("write it as \"500ms\", \"10s\", \"2m\" or \"1h 30m\", at most 365d"))
    })
}

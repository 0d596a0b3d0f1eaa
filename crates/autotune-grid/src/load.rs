//! `[load]`: how requests arrive and how connections are used.

use std::num::NonZeroU32;
use std::time::Duration;

use autotune_model::{
    Arrivals, Arriving, ConnectionPolicy, Endpoint, ErrorCode, Groups, KeepLimits, LoadShape,
    Loops, Pause, Surge, Think, Users,
};

use crate::fault::{Checked, Faults, GridFault};
use crate::scalar;
use crate::tree::{Keys, Node, Table};

mod groups;
mod levels;
mod loops;

pub(crate) const KEYS: Keys<'_> = Keys {
    known: &["connections", "open", "closed"],
    planned: &[],
};
pub(crate) const CONNECTION_KEYS: Keys<'_> = Keys {
    known: &["reconnect_every", "idle"],
    planned: &[],
};
pub(crate) const OPEN_KEYS: Keys<'_> = Keys {
    known: &["rate", "arrivals", "ramp", "steps", "surge", "group"],
    planned: &[],
};
pub(crate) const CLOSED_KEYS: Keys<'_> = Keys {
    known: &[
        "users", "think", "every", "ramp", "loops", "at_most", "steps", "group",
    ],
    planned: &[],
};
pub(crate) const OPEN_STEP_KEYS: Keys<'_> = Keys {
    known: &["rate", "for"],
    planned: &[],
};
pub(crate) const CLOSED_STEP_KEYS: Keys<'_> = Keys {
    known: &["users", "for"],
    planned: &[],
};
pub(crate) const OPEN_GROUP_KEYS: Keys<'_> = Keys {
    known: &["endpoints", "rate", "arrivals", "steps"],
    planned: &[],
};
pub(crate) const CLOSED_GROUP_KEYS: Keys<'_> = Keys {
    known: &["endpoints", "users", "think", "every", "loops", "steps"],
    planned: &[],
};
pub(crate) const UNIFORM_KEYS: Keys<'_> = Keys {
    known: &["from", "to"],
    planned: &[],
};
pub(crate) const EXPONENTIAL_KEYS: Keys<'_> = Keys {
    known: &["mean"],
    planned: &[],
};
/// The most answers that a limit can name.
pub(crate) const MOST_ANSWERS: i64 = 1_000_000_000;
const HOW: &str = "add [load.open] with `rate`, or [load.closed] with `users`";

/// `[load]`.
pub(crate) struct Load {
    pub(crate) connections: ConnectionPolicy,
    pub(crate) shape: LoadShape,
    pub(crate) surge: Option<Surge>,
}

/// How connections are used, and the load. Endpoints are there unless they have
/// faults of their own.
pub(crate) fn read(
    root: &Table<'_>,
    endpoints: Option<&[Endpoint]>,
    faults: &mut Faults,
) -> Checked<Load> {
    let load = root.section("load", &KEYS, faults)?;
    let connections = load
        .require(
            "connections",
            "\"keep-alive\", \"per-request\" or { reconnect_every = 1000 }",
            faults,
        )
        .and_then(|node| connections(&node, faults));
    let shape = match (load.given("open"), load.given("closed")) {
        (Some(_), None) => open(&load, endpoints, faults),
        (None, Some(_)) => closed(&load, endpoints, faults).map(|shape| (shape, None)),
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
    if node.value.as_table().is_none() {
        let choices = [
            ("keep-alive", ConnectionPolicy::KeepAlive),
            ("per-request", ConnectionPolicy::PerRequest),
        ];
        return node.choice(&choices, faults);
    }
    let mut table = node.table("`connections`".to_owned(), None, faults)?;
    table.check_keys(&CONNECTION_KEYS, faults);
    let answers = table.given("reconnect_every").map(|node| {
        let answers = node.int((1, MOST_ANSWERS), faults)?;
        Ok(u32::try_from(answers).ok().and_then(NonZeroU32::new))
    });
    let idle = table.given("idle").map(|node| some_time(&node, faults));
    let (answers, idle) = (answers.transpose()?.flatten(), idle.transpose()?);
    KeepLimits::new(answers, idle)
        .map(ConnectionPolicy::Limited)
        .ok_or_else(|| {
            let hint = "give { reconnect_every = 1000 }, { idle = \"60s\" } or both, or write \
                        \"keep-alive\" for connections without a limit";
            let misspelt = CONNECTION_KEYS.known.iter();
            let mut misspelt = misspelt.filter_map(|key| table.not_misspelt(key).err());
            misspelt.next().unwrap_or_else(|| {
                let fault = node.fault("`connections` limits nothing", "no limit");
                faults.add(fault.hint(hint))
            })
        })
}

fn open(
    load: &Table<'_>,
    endpoints: Option<&[Endpoint]>,
    faults: &mut Faults,
) -> Checked<(LoadShape, Option<Surge>)> {
    let table = load.section("open", &OPEN_KEYS, faults)?;
    let surge = table.get("surge").map(|node| surge(&node, faults));
    let shape = arriving(&table, endpoints, faults);
    Ok((shape?, surge.transpose()?))
}

/// Rates and their groups.
fn arriving(
    table: &Table<'_>,
    endpoints: Option<&[Endpoint]>,
    faults: &mut Faults,
) -> Checked<LoadShape> {
    let ramp = levels::ramp(table, faults);
    if let Some(list) = levels::grouped(table, ["rate", "steps", "arrivals"], faults)? {
        let read = |group: &Table<'_>, faults: &mut Faults| {
            let rate = levels::rates(group, faults);
            let arrivals = arrivals(group, faults);
            Ok(Arriving {
                rate: rate?,
                arrivals: arrivals?,
            })
        };
        let known = (&OPEN_GROUP_KEYS, endpoints);
        let groups = groups::read(&list, (table, known), read, faults)?;
        let ramp = ramp?;
        let shape = LoadShape::Open(Groups { groups, ramp });
        levels::check_steps((table, &list), &shape, faults)?;
        return Ok(shape);
    }
    let rate = levels::rates(table, faults);
    let arrivals = arrivals(table, faults);
    let (ramp, rate) = (ramp?, rate?);
    let shape = LoadShape::Open(Groups {
        ramp,
        ..Groups::one(Arriving {
            rate,
            arrivals: arrivals?,
        })
    });
    if let Some(steps) = table.given("steps") {
        levels::check_steps((table, &steps), &shape, faults)?;
    }
    Ok(shape)
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

fn arrivals(table: &Table<'_>, faults: &mut Faults) -> Checked<Arrivals> {
    let node = table.require("arrivals", "\"poisson\" or \"constant\"", faults)?;
    let choices = [
        ("poisson", Arrivals::Poisson),
        ("constant", Arrivals::Constant),
    ];
    node.choice(&choices, faults)
}

fn closed(
    load: &Table<'_>,
    endpoints: Option<&[Endpoint]>,
    faults: &mut Faults,
) -> Checked<LoadShape> {
    let table = load.section("closed", &CLOSED_KEYS, faults)?;
    let ramp = levels::ramp(&table, faults);
    let at_most = loops::at_most(&table, faults)?;
    let instead = ["users", "steps", "think", "every", "loops"];
    if let Some(list) = levels::grouped(&table, instead, faults)? {
        let read = |group: &Table<'_>, faults: &mut Faults| users(group, at_most, faults);
        let known = (&CLOSED_GROUP_KEYS, endpoints);
        let groups = groups::read(&list, (&table, known), read, faults)?;
        let ramp = ramp?;
        let shape = LoadShape::Closed(Groups { groups, ramp });
        loops::check((&table, Some(&list)), &shape, faults)?;
        levels::check_steps((&table, &list), &shape, faults)?;
        return Ok(shape);
    }
    let users = users(&table, at_most, faults);
    let ramp = ramp?;
    let shape = LoadShape::Closed(Groups {
        ramp,
        ..Groups::one(users?)
    });
    loops::check((&table, None), &shape, faults)?;
    if let Some(steps) = table.given("steps") {
        levels::check_steps((&table, &steps), &shape, faults)?;
    }
    Ok(shape)
}

/// The users of a table, who have no longer than this for their loops.
fn users(table: &Table<'_>, at_most: Option<Duration>, faults: &mut Faults) -> Checked<Users> {
    let count = levels::user_levels(table, faults);
    let pause = pause(table, faults);
    let each = loops::each(table, faults);
    Ok(Users {
        count: count?,
        pause: pause?,
        // Without a time the check of the whole finds that.
        loops: each?.map(|each| Loops {
            each,
            at_most: at_most.unwrap_or_default(),
        }),
    })
}

/// `think` or `every`.
fn pause(table: &Table<'_>, faults: &mut Faults) -> Checked<Pause> {
    let (think, every) = (table.given("think"), table.given("every"));
    if let (Some(think), Some(every)) = (&think, &every) {
        let second = if think.key_span.start < every.key_span.start {
            every
        } else {
            think
        };
        let message = format!("both `think` and `every` in {}", table.title);
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &second.key_span, message, "the second one");
        let hint = "keep one: `think` is a pause after each answer, `every` a pace that answers do \
                    not change";
        return Err(faults.add(fault.hint(hint)));
    }
    if let Some(every) = every {
        return Ok(Pause::Every(some_time(&every, faults)?));
    }
    let node = table.require(
        "think",
        "the pause after an answer: think = \"10s\"",
        faults,
    )?;
    think_time(&node, faults).map(Pause::Think)
}

fn think_time(node: &Node<'_>, faults: &mut Faults) -> Checked<Think> {
    let Some(value) = node.value.as_table() else {
        return time(node, faults).map(Think::Fixed);
    };
    let mut table = node.table("`think`".to_owned(), None, faults)?;
    if value.contains_key("mean") {
        table.check_keys(&EXPONENTIAL_KEYS, faults);
        let mean = table.require("mean", "{ mean = \"2s\" }", faults)?;
        let mean = some_time(&mean, faults)?;
        return Ok(Think::Exponential { mean });
    }
    table.check_keys(&UNIFORM_KEYS, faults);
    let hint = "either { from = \"1s\", to = \"3s\" } or { mean = \"2s\" }";
    let from = table
        .require("from", hint, faults)
        .and_then(|node| time(&node, faults));
    let to_node = table.require("to", hint, faults);
    let to = to_node
        .as_ref()
        .map_err(|reported| *reported)
        .and_then(|node| time(node, faults));
    let (from, to_node, to) = (from?, to_node?, to?);
    if from >= to {
        let fault = to_node.fault("`to` is not longer than `from`", "not longer");
        return Err(faults.add(fault.hint("for one time write it alone: think = \"2s\"")));
    }
    Ok(Think::Uniform { from, to })
}

/// A duration.
pub(crate) fn time(node: &Node<'_>, faults: &mut Faults) -> Checked<Duration> {
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

/// A duration above zero.
fn some_time(node: &Node<'_>, faults: &mut Faults) -> Checked<Duration> {
    let time = time(node, faults)?;
    if time.is_zero() {
        let message = format!("`{}` is a time above zero", node.key);
        return Err(faults.add(node.fault(message, "no time at all")));
    }
    Ok(time)
}

//! The shape of a load in the columns of a trial.
//!
//! A single rate, or a single number of users with a fixed pause, has the columns
//! that it always had. Any other shape stands as JSON in `arrivals`, where a
//! program that does not know it finds a word that it does not know, and does not
//! take the trial for one under another load.

use std::num::NonZeroU32;
use std::time::Duration;

use autotune_model::{
    Arrivals, Arriving, EndpointName, Group, Groups, Levels, LoadShape, Loops, Pause, Rate, Step,
    Think, Users,
};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::rows::ns;

/// The columns of a load.
#[derive(Default)]
pub(crate) struct LoadColumns {
    pub(crate) kind: &'static str,
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) arrivals: Option<String>,
    pub(crate) users_count: Option<u32>,
    pub(crate) think_ns: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct ShapeJson<G> {
    ramp_ns: u64,
    groups: Vec<GroupJson<G>>,
}

#[derive(Serialize, Deserialize)]
struct GroupJson<G> {
    endpoints: Option<Vec<String>>,
    who: G,
}

#[derive(Serialize, Deserialize)]
struct ArrivingJson {
    /// Without `for_ns` in the only one: from beginning to end. Texts, since a
    /// number of JSON may come back as its neighbour.
    rates_per_s: Vec<LevelJson<String>>,
    arrivals: String,
}

#[derive(Serialize, Deserialize)]
struct UsersJson {
    users: Vec<LevelJson<u32>>,
    pause: PauseJson,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loops: Option<LoopsJson>,
}

#[derive(Serialize, Deserialize)]
struct LoopsJson {
    each: NonZeroU32,
    at_most_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct LevelJson<L> {
    level: L,
    for_ns: Option<u64>,
}

#[derive(Serialize, Deserialize)]
enum PauseJson {
    #[serde(rename = "think_ns")]
    Think(u64),
    #[serde(rename = "uniform_ns")]
    Uniform(u64, u64),
    #[serde(rename = "mean_ns")]
    Mean(u64),
    #[serde(rename = "every_ns")]
    Every(u64),
}

pub(crate) fn load_columns(load: &LoadShape) -> Result<LoadColumns, Fault> {
    let columns = LoadColumns {
        kind: load.kind(),
        ..LoadColumns::default()
    };
    Ok(match load {
        LoadShape::Open(open) => match plain_rate(open) {
            Some((rate, arrivals)) => LoadColumns {
                rate_per_s: Some(rate.get()),
                arrivals: Some(arrivals_name(arrivals).to_owned()),
                ..columns
            },
            None => LoadColumns {
                arrivals: Some(json(open, arriving_json)?),
                ..columns
            },
        },
        LoadShape::Closed(closed) => match plain_users(closed) {
            Some((count, think)) => LoadColumns {
                users_count: Some(count),
                think_ns: Some(ns(think)?),
                ..columns
            },
            None => LoadColumns {
                arrivals: Some(json(closed, users_json)?),
                ..columns
            },
        },
    })
}

pub(crate) fn load_of(row: &Row<'_>) -> Result<LoadShape, Fault> {
    let kind: String = row.get("load_kind")?;
    let shape: Option<String> = row.get("arrivals")?;
    let json = shape.filter(|text| text.starts_with('{'));
    match (kind.as_str(), json) {
        ("open", Some(text)) => Ok(LoadShape::Open(from_json(&text, arriving)?)),
        ("open", None) => {
            let rate = Rate::per_second(row.get("rate_per_s")?)?;
            Ok(LoadShape::open(rate, arrivals_of(row.get("arrivals")?)?))
        }
        ("closed", Some(text)) => Ok(LoadShape::Closed(from_json(&text, users)?)),
        ("closed", None) => Ok(LoadShape::closed(
            row.get("users_count")?,
            Duration::from_nanos(row.get("think_ns")?),
        )),
        _ => Err(Fault::Unknown {
            what: "kind of load",
            found: kind,
        }),
    }
}

/// The only group, for all endpoints and without a ramp.
fn only<G>(groups: &Groups<G>) -> Option<&G> {
    match &groups.groups[..] {
        [group] if group.endpoints.is_none() && groups.ramp.is_zero() => Some(&group.who),
        _ => None,
    }
}

fn plain_rate(open: &Groups<Arriving>) -> Option<(Rate, Arrivals)> {
    let who = only(open)?;
    match who.rate {
        Levels::Constant(rate) => Some((rate, who.arrivals)),
        Levels::Steps(_) => None,
    }
}

fn plain_users(closed: &Groups<Users>) -> Option<(u32, Duration)> {
    let who = only(closed)?;
    match (&who.count, who.pause, who.loops) {
        (Levels::Constant(count), Pause::Think(Think::Fixed(think)), None) => Some((*count, think)),
        _ => None,
    }
}

fn arrivals_name(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Poisson => "poisson",
        Arrivals::Constant => "constant",
    }
}

fn arrivals_of(text: String) -> Result<Arrivals, Fault> {
    match text.as_str() {
        "poisson" => Ok(Arrivals::Poisson),
        "constant" => Ok(Arrivals::Constant),
        _ => Err(Fault::Unknown {
            what: "kind of arrivals",
            found: text,
        }),
    }
}

fn json<G, J: Serialize>(
    groups: &Groups<G>,
    who: impl Fn(&G) -> Result<J, Fault>,
) -> Result<String, Fault> {
    let each = groups.groups.iter().map(|group| {
        let names = group.endpoints.as_ref();
        let names = names.map(|names| names.iter().map(ToString::to_string).collect());
        Ok(GroupJson {
            endpoints: names,
            who: who(&group.who)?,
        })
    });
    Ok(serde_json::to_string(&ShapeJson {
        ramp_ns: ns(groups.ramp)?,
        groups: each.collect::<Result<_, Fault>>()?,
    })?)
}

fn from_json<'t, G, J: Deserialize<'t>>(
    text: &'t str,
    who: impl Fn(J) -> Result<G, Fault>,
) -> Result<Groups<G>, Fault> {
    let shape: ShapeJson<J> = serde_json::from_str(text)?;
    let groups = shape.groups.into_iter().map(|group| {
        let names = group.endpoints;
        let names = names.map(|names| names.into_iter().map(EndpointName::new).collect());
        Ok(Group {
            endpoints: names,
            who: who(group.who)?,
        })
    });
    Ok(Groups {
        groups: groups.collect::<Result<_, Fault>>()?,
        ramp: Duration::from_nanos(shape.ramp_ns),
    })
}

fn levels_json<L: Copy, J>(
    levels: &Levels<L>,
    level: impl Fn(L) -> J,
) -> Result<Vec<LevelJson<J>>, Fault> {
    match levels {
        Levels::Constant(only) => Ok(vec![LevelJson {
            level: level(*only),
            for_ns: None,
        }]),
        Levels::Steps(steps) => {
            let steps = steps.iter().map(|step| {
                Ok(LevelJson {
                    level: level(step.level),
                    for_ns: Some(ns(step.length)?),
                })
            });
            steps.collect()
        }
    }
}

fn levels<L, J>(
    json: Vec<LevelJson<J>>,
    level: impl Fn(J) -> Result<L, Fault>,
) -> Result<Levels<L>, Fault> {
    let mut steps = Vec::new();
    for one in json {
        let level = level(one.level)?;
        match one.for_ns {
            None => return Ok(Levels::Constant(level)),
            Some(for_ns) => steps.push(Step {
                level,
                length: Duration::from_nanos(for_ns),
            }),
        }
    }
    Ok(Levels::Steps(steps))
}

fn arriving_json(who: &Arriving) -> Result<ArrivingJson, Fault> {
    Ok(ArrivingJson {
        rates_per_s: levels_json(&who.rate, |rate| rate.get().to_string())?,
        arrivals: arrivals_name(who.arrivals).to_owned(),
    })
}

fn rate(text: String) -> Result<Rate, Fault> {
    match text.parse::<f64>() {
        Ok(rate) => Ok(Rate::per_second(rate)?),
        Err(_) => Err(Fault::Unknown {
            what: "rate",
            found: text,
        }),
    }
}

fn arriving(json: ArrivingJson) -> Result<Arriving, Fault> {
    Ok(Arriving {
        rate: levels(json.rates_per_s, rate)?,
        arrivals: arrivals_of(json.arrivals)?,
    })
}

fn users_json(who: &Users) -> Result<UsersJson, Fault> {
    let loops = who.loops.map(|loops| {
        Ok::<_, Fault>(LoopsJson {
            each: loops.each,
            at_most_ns: ns(loops.at_most)?,
        })
    });
    Ok(UsersJson {
        loops: loops.transpose()?,
        users: levels_json(&who.count, |count| count)?,
        pause: match who.pause {
            Pause::Every(time) => PauseJson::Every(ns(time)?),
            Pause::Think(Think::Fixed(time)) => PauseJson::Think(ns(time)?),
            Pause::Think(Think::Uniform { from, to }) => PauseJson::Uniform(ns(from)?, ns(to)?),
            Pause::Think(Think::Exponential { mean }) => PauseJson::Mean(ns(mean)?),
        },
    })
}

fn users(json: UsersJson) -> Result<Users, Fault> {
    let time = Duration::from_nanos;
    Ok(Users {
        loops: json.loops.map(|loops| Loops {
            each: loops.each,
            at_most: time(loops.at_most_ns),
        }),
        count: levels(json.users, Ok)?,
        pause: match json.pause {
            PauseJson::Every(pace) => Pause::Every(time(pace)),
            PauseJson::Think(think) => Pause::Think(Think::Fixed(time(think))),
            PauseJson::Uniform(from, to) => Pause::Think(Think::Uniform {
                from: time(from),
                to: time(to),
            }),
            PauseJson::Mean(mean) => Pause::Think(Think::Exponential { mean: time(mean) }),
        },
    })
}

//! Rates and numbers of users: one that is kept, or steps, with a ramp.

use std::time::Duration;

use autotune_model::{ErrorCode, Levels, LoadShape, Rate, Step, whole_seconds};

use super::{CLOSED_STEP_KEYS, OPEN_STEP_KEYS, some_time, time};
use crate::fault::{Checked, Faults, GridFault};
use crate::tree::{Keys, Node, Table, all};

const RATE: &str = "requests per second, over all endpoints: rate = 100";
const USERS: &str = "in total: users = 50";

/// Every step of an open load is judged on its own, by one number a second: fewer
/// do not tell a backlog from chance.
const JUDGED: Duration = Duration::from_secs(5);

/// How long the load takes to reach its level.
pub(super) fn ramp(table: &Table<'_>, faults: &mut Faults) -> Checked<Duration> {
    let ramp = table.given("ramp").map(|node| some_time(&node, faults));
    Ok(ramp.transpose()?.unwrap_or_default())
}

/// A change that takes longer than the level lasts would never be done, and
/// something is left of the steps after the warm-up.
pub(super) fn check_steps(
    (table, place): (&Table<'_>, &Node<'_>),
    shape: &LoadShape,
    faults: &mut Faults,
) -> Checked<()> {
    let shortest = shape.steps().into_iter().min();
    if let Some(node) = table.given("ramp")
        && shortest.is_some_and(|shortest| shortest < shape.ramp())
    {
        let message = "`ramp` is longer than a step";
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &node.span, message, "longer than a step");
        let hint = "each change takes that long; give longer steps, or a shorter ramp";
        return Err(faults.add(fault.hint(hint)));
    }
    if !same_times(shape) {
        let message = "the groups change at different times";
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &place.key_span, message, "different steps");
        let hint = "give the steps of all groups the same lengths; a group may also have none";
        return Err(faults.add(fault.hint(hint)));
    }
    if let Some((length, warm_up)) = shape.fixed_length().zip(shape.fixed_warm_up())
        && length <= warm_up
    {
        let message = format!(
            "nothing is left of `steps` after the warm-up of {} s",
            warm_up.as_secs()
        );
        let fault = place.fault(message, "too short");
        let hint = "the ramp and a tenth of the first step, at least a second, do not count: give \
                    longer steps";
        return Err(faults.add(fault.hint(hint)));
    }
    if matches!(shape, LoadShape::Open(_))
        && shortest.is_some_and(|one| one < whole_seconds(shape.ramp()) + JUDGED)
    {
        let message = format!(
            "a step has less than {} s at its rate, too few to tell whether it was kept up with",
            JUDGED.as_secs()
        );
        let fault = place.fault(message, "too short a step");
        let hint = "whether a backlog grows by more than chance shows within 5 s or more after the \
                    ramp: give longer steps, for = \"10s\", or a shorter ramp";
        return Err(faults.add(fault.hint(hint)));
    }
    Ok(())
}

/// Whether all groups that have steps have them at the same times.
fn same_times(shape: &LoadShape) -> bool {
    fn lengths<L>(levels: &Levels<L>) -> Option<Vec<Duration>> {
        match levels {
            Levels::Constant(_) => None,
            Levels::Steps(steps) => Some(steps.iter().map(|step| step.length).collect()),
        }
    }
    let times = shape.steps();
    match shape {
        LoadShape::Open(open) => {
            let mut groups = open.groups.iter();
            groups.all(|group| lengths(&group.who.rate).is_none_or(|own| own == times))
        }
        LoadShape::Closed(closed) => {
            let mut groups = closed.groups.iter();
            groups.all(|group| lengths(&group.who.count).is_none_or(|own| own == times))
        }
    }
}

/// The value of `group`, which stands in place of these keys.
pub(super) fn grouped<'a, const N: usize>(
    table: &Table<'a>,
    instead: [&'static str; N],
    faults: &mut Faults,
) -> Checked<Option<Node<'a>>> {
    let Some(group) = table.given("group") else {
        return Ok(None);
    };
    let other = instead.iter().find_map(|key| table.given(key));
    let Some(other) = other else {
        return Ok(Some(group));
    };
    let message = format!("both `{}` and groups in {}", other.key, table.title);
    let fault = GridFault::new(
        ErrorCode::GridConflict,
        &other.key_span,
        message,
        "beside groups",
    );
    let hint = format!("each group has `{}` of its own: move it there", other.key);
    Err(faults.add(fault.hint(hint)))
}

/// `rate` or `steps`.
pub(super) fn rates(table: &Table<'_>, faults: &mut Faults) -> Checked<Levels<Rate>> {
    match steps(table, "rate", faults)? {
        Some(list) => each(&list, (&OPEN_STEP_KEYS, rate_of), faults),
        None => rate_of(table, faults).map(Levels::Constant),
    }
}

/// `users` or `steps`.
pub(super) fn user_levels(table: &Table<'_>, faults: &mut Faults) -> Checked<Levels<u32>> {
    match steps(table, "users", faults)? {
        Some(list) => each(&list, (&CLOSED_STEP_KEYS, users_of), faults),
        None => users_of(table, faults).map(Levels::Constant),
    }
}

fn rate_of(table: &Table<'_>, faults: &mut Faults) -> Checked<Rate> {
    let node = table.require("rate", RATE, faults)?;
    let number = node.positive(faults)?;
    Rate::per_second(number).map_err(|why| faults.add(node.fault(why.to_string(), "not a rate")))
}

fn users_of(table: &Table<'_>, faults: &mut Faults) -> Checked<u32> {
    let node = table.require("users", USERS, faults)?;
    let count = node.int((1, i64::from(u32::MAX)), faults)?;
    u32::try_from(count).map_err(|why| faults.add(node.fault(why.to_string(), "too many")))
}

/// The value of `steps`, which stands in place of this key.
fn steps<'a>(table: &Table<'a>, instead: &str, faults: &mut Faults) -> Checked<Option<Node<'a>>> {
    let (Some(steps), level) = (table.given("steps"), table.given(instead)) else {
        return Ok(None);
    };
    let Some(level) = level else {
        return Ok(Some(steps));
    };
    let second = if level.key_span.start < steps.key_span.start {
        &steps
    } else {
        &level
    };
    let message = format!("both `{instead}` and `steps` in {}", table.title);
    let code = ErrorCode::GridConflict;
    let fault = GridFault::new(code, &second.key_span, message, "the second one");
    let hint = format!("keep one of the two; each step has `{instead}` of its own");
    Err(faults.add(fault.hint(hint)))
}

type ReadLevel<L> = fn(&Table<'_>, &mut Faults) -> Checked<L>;

fn each<L>(
    list: &Node<'_>,
    (keys, level): (&Keys<'_>, ReadLevel<L>),
    faults: &mut Faults,
) -> Checked<Levels<L>> {
    let list = list.filled_list(faults)?;
    let steps = list.into_iter().map(|node| {
        let mut table = node.table("`steps`".to_owned(), None, faults)?;
        table.check_keys(keys, faults);
        let level = level(&table, faults);
        let length = table
            .require("for", "how long this step is: for = \"3m\"", faults)
            .and_then(|node| step_length(&node, faults));
        Ok(Step {
            level: level?,
            length: length?,
        })
    });
    Ok(Levels::Steps(all(steps)?))
}

/// What is kept of a load is kept by the second.
fn step_length(node: &Node<'_>, faults: &mut Faults) -> Checked<Duration> {
    let length = time(node, faults)?;
    if length.is_zero() || length.subsec_nanos() > 0 {
        let message = "`for` is a time in whole seconds, at least one";
        return Err(faults.add(node.fault(message, "not whole seconds")));
    }
    Ok(length)
}

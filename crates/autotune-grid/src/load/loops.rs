//! `loops` and `at_most`: users who ask a fixed number of times.

use std::num::NonZeroU32;
use std::time::Duration;

use autotune_model::{ErrorCode, LoadShape};

use super::some_time;
use crate::fault::{Checked, Faults, GridFault};
use crate::tree::{Node, Table};

const AT_MOST: &str = "how long the users have for their loops: at_most = \"10m\"";

/// How long the users have.
pub(super) fn at_most(table: &Table<'_>, faults: &mut Faults) -> Checked<Option<Duration>> {
    let at_most = table.given("at_most");
    at_most.map(|node| some_time(&node, faults)).transpose()
}

/// How often each user of a table asks.
pub(super) fn each(table: &Table<'_>, faults: &mut Faults) -> Checked<Option<NonZeroU32>> {
    let Some(node) = table.given("loops") else {
        return Ok(None);
    };
    if let Some(steps) = table.given("steps") {
        let second = if node.key_span.start < steps.key_span.start {
            &steps
        } else {
            &node
        };
        let message = format!("both `loops` and `steps` in {}", table.title);
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &second.key_span, message, "the second one");
        let hint =
            "keep one of the two: a load ends with its last step, or when its users are done";
        return Err(faults.add(fault.hint(hint)));
    }
    let each = node.int((1, i64::from(u32::MAX)), faults)?;
    Ok(u32::try_from(each).ok().and_then(NonZeroU32::new))
}

/// Whether all users have a number or none, and a time where they have one, of
/// which something is left after the warm-up.
pub(super) fn check(
    (table, groups): (&Table<'_>, Option<&Node<'_>>),
    shape: &LoadShape,
    faults: &mut Faults,
) -> Checked<()> {
    let LoadShape::Closed(closed) = shape else {
        return Ok(());
    };
    let have = closed.groups.iter().filter(|one| one.who.loops.is_some());
    let (have, all) = (have.count(), closed.groups.len());
    if have == 0 {
        let Some(node) = table.given("at_most") else {
            return Ok(());
        };
        // Who misspelt `loops` has been told so.
        table.not_misspelt("loops")?;
        let message = format!("`at_most` without `loops` in {}", table.title);
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &node.key_span, message, "bounds nothing");
        let hint = "say how often each user asks: loops = 100; or leave `at_most` out";
        return Err(faults.add(fault.hint(hint)));
    }
    if let Some(list) = groups.filter(|_| have < all) {
        let message = "some groups have `loops` and others have not";
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &list.key_span, message, "not all have `loops`");
        let hint = "the load ends when all users are done: give each group `loops`, or none";
        return Err(faults.add(fault.hint(hint)));
    }
    let node = table.require("at_most", AT_MOST, faults)?;
    if let Some((at_most, warm_up)) = shape.unseen_length()
        && at_most <= warm_up
    {
        let message = format!(
            "nothing is left of `at_most` after the warm-up of {} s",
            warm_up.as_secs()
        );
        let fault = node.fault(message, "too short");
        let hint = "the ramp and at least a second do not count: give the users more time";
        return Err(faults.add(fault.hint(hint)));
    }
    Ok(())
}

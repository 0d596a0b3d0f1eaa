//! One value of a parameter out of `[grid]` or `[baseline]`. Which parameters
//! there are, and what becomes of the values, is left to `grid`.

use autotune_model::{ErrorCode, ParamKind, Profile, Value};

use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::param::{self, Accepts};
use crate::template;
use crate::tree::{Node, Table, not_supported};

/// One value of a parameter.
pub(crate) fn value(
    node: &Node<'_>,
    table: &Table<'_>,
    profile: &Profile,
    faults: &mut Faults,
) -> Checked<Value> {
    let kind = match param::accepts(profile, node.key) {
        Accepts::Kind(kind) => Some(kind),
        Accepts::Anything if template::AT_LAUNCH.contains(&node.key) => {
            let message = format!("`{}` is filled in at launch and cannot be set", node.key);
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &node.key_span, message, "the name is taken");
            return Err(faults.add(fault.hint("give the variable another name")));
        }
        Accepts::Anything => None,
        Accepts::Nothing => {
            let known = profile.params.iter().map(|param| param.name.as_str());
            return Err(faults.add(unknown(node, table, known)));
        }
    };
    if let Some(text) = node.value.as_str()
        && let Some(what) = planned_value(text, kind)
    {
        let fault = not_supported(&node.span, &format!("{what} in `{}`", node.key));
        return Err(faults.add(fault.hint("list the values")));
    }
    match kind {
        Some(kind) => value_of_kind(node, kind, faults),
        None => value_of_variable(node, faults),
    }
}

/// A parameter that is not among the known ones.
pub(crate) fn unknown<'n>(
    node: &Node<'_>,
    table: &Table<'_>,
    known: impl Iterator<Item = &'n str>,
) -> GridFault {
    let message = format!("unknown parameter `{}` in {}", node.key, table.title);
    let code = ErrorCode::GridUnknownKey;
    let mut fault = GridFault::new(code, &node.key_span, message, "no such parameter");
    fault.hint = did_you_mean(node.key, known.chain(["server"]));
    fault
}

/// A form of value that is planned and must not be taken for a word.
fn planned_value(text: &str, kind: Option<&ParamKind>) -> Option<&'static str> {
    let is_bound = |end: &str| {
        let end = end.trim().trim_start_matches('=').trim();
        end.contains("{{") || end.parse::<i64>().is_ok()
    };
    let is_range = text
        .split_once("..")
        .is_some_and(|(from, to)| is_bound(from) && is_bound(to));
    let takes_numbers = matches!(kind, None | Some(ParamKind::Int { .. }));
    if is_range && takes_numbers {
        Some("a range")
    } else if template::has_holes(text) {
        Some("an expression")
    } else {
        None
    }
}

fn value_of_kind(node: &Node<'_>, kind: &ParamKind, faults: &mut Faults) -> Checked<Value> {
    let wanted = param::wanted(kind);
    let value = match kind {
        ParamKind::Int { .. } => node.as_int().map(Value::Int),
        ParamKind::Switch => node.value.as_bool().map(Value::Bool),
        ParamKind::Word { .. } => node.value.as_str().map(Value::from),
    };
    let Some(value) = value else {
        return Err(faults.add(node.mismatch(&wanted)));
    };
    if param::allows(kind, &value) {
        return Ok(value);
    }
    let message = format!("`{}` cannot be `{value}`", node.key);
    let mut fault = node.fault(message, format!("takes {wanted}"));
    if let (ParamKind::Word { known, .. }, Value::Text(word)) = (kind, &value) {
        fault.hint = did_you_mean(word, known.iter().map(String::as_str));
    }
    Err(faults.add(fault))
}

fn value_of_variable(node: &Node<'_>, faults: &mut Faults) -> Checked<Value> {
    if let Some(number) = node.as_int() {
        return Ok(Value::Int(number));
    }
    if let Some(flag) = node.value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if !node.value.is_str() {
        return Err(faults.add(node.mismatch("a whole number, a text, true or false")));
    }
    let text = node.text(faults)?;
    match param::variable_fault(text) {
        None => Ok(Value::from(text)),
        Some(why) => {
            let message = format!("`{}` cannot be \"{}\"", node.key, text.escape_debug());
            Err(faults.add(node.fault(message, "not a value").hint(why)))
        }
    }
}

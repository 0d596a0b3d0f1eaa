//! Values of a parameter out of `[grid]` or `[baseline]`. Which parameters
//! there are, and what becomes of the values, is left to `grid`.

use autotune_model::{ErrorCode, ParamKind, Profile, Value};

use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::number::{Computed, compute};
use crate::param::{self, Accepts};
use crate::template;
use crate::tree::{Node, Table};

/// What the values of a table are read by.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'r, 't, 'p> {
    /// `[grid]` or `[baseline]`.
    pub(crate) table: &'r Table<'t>,
    /// Of the server.
    pub(crate) profile: &'p Profile,
    /// How many CPUs the server gets.
    pub(crate) cores: usize,
}

/// The values that an element of a list stands for: one, or those of a range.
pub(crate) fn values(
    node: &Node<'_>,
    reading: Reading<'_, '_, '_>,
    faults: &mut Faults,
) -> Checked<Vec<Value>> {
    let Reading {
        table,
        profile,
        cores,
    } = reading;
    let kind = match param::accepts(profile, node.key) {
        Accepts::Kind(kind) => Some(kind),
        Accepts::Anything if template::is_taken(node.key) => {
            let message = format!("`{}` is filled in at launch and cannot be set", node.key);
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &node.key_span, message, "the name is taken");
            return Err(faults.add(fault.hint("give the variable another name")));
        }
        Accepts::Anything => None,
        Accepts::Nothing => {
            let known = profile.params.iter().map(|param| param.name.as_str());
            let mut fault = unknown(node, table, known);
            if profile.takes_any_param() {
                let hint = "a variable fills {{ NAME }}: letters, digits and `_`, no digit first";
                fault = fault.hint(hint);
            }
            return Err(faults.add(fault));
        }
    };
    let computed = match (node.value.as_str(), kind) {
        (Some(text), None | Some(ParamKind::Int { .. })) => compute(node, text, cores, faults)?,
        _ => Computed::Plain,
    };
    let numbers = match (computed, kind) {
        (Computed::Plain, Some(kind)) => return Ok(vec![value_of_kind(node, kind, faults)?]),
        (Computed::Plain, None) => return Ok(vec![value_of_variable(node, faults)?]),
        (Computed::Text(text), None) => return Ok(vec![param::variable_value(&text)]),
        (Computed::Text(text), Some(_)) => match text.parse() {
            Ok(number) => vec![number],
            Err(_not_whole) => {
                let message = format!("`{}` takes a whole number, this gives `{text}`", node.key);
                let fault = node.fault(message, "not a whole number");
                return Err(faults.add(fault.hint("`//` divides without a rest")));
            }
        },
        (Computed::Range(numbers), _) => numbers,
    };
    let allowed = |number: &i64| kind.is_none_or(|kind| param::allows(kind, &(*number).into()));
    if let (Some(number), Some(kind)) = (numbers.iter().find(|one| !allowed(one)), kind) {
        let message = format!("`{}` cannot be `{number}`", node.key);
        let label = format!("takes {}", param::wanted(kind));
        return Err(faults.add(node.fault(message, label)));
    }
    Ok(numbers.into_iter().map(Value::Int).collect())
}

/// The value of a key that takes just one.
pub(crate) fn value(
    node: &Node<'_>,
    reading: Reading<'_, '_, '_>,
    faults: &mut Faults,
) -> Checked<Value> {
    let mut values = values(node, reading, faults)?;
    match (values.pop(), values.is_empty()) {
        (Some(value), true) => Ok(value),
        _ => {
            let message = format!("`{}` takes one value in {}", node.key, reading.table.title);
            let fault = node.fault(message, "a range");
            Err(faults.add(fault.hint("what runs today has one: write a number")))
        }
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

fn value_of_kind(node: &Node<'_>, kind: &ParamKind, faults: &mut Faults) -> Checked<Value> {
    let wanted = param::wanted(kind);
    let value = match kind {
        ParamKind::Int { .. } => node.as_int().map(Value::Int),
        ParamKind::Switch => node.value.as_bool().map(Value::Bool),
        ParamKind::Word { .. } => node.value.as_str().map(Value::from),
    };
    let Some(value) = value else {
        let too_large = node.value.is_integer() && matches!(kind, ParamKind::Int { .. });
        return Err(faults.add(match too_large {
            true => node.fault(
                format!("`{}` is out of range", node.key),
                format!("takes {wanted}"),
            ),
            false => node.mismatch(&wanted),
        }));
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

//! `constraints` of `[grid]`: expressions that every configuration must meet,
//! such as `"workers * threads <= 64"`. They are asked of configurations in
//! canonical form, so a parameter that means nothing counts with the server's
//! default. What runs today need not meet them.

use std::collections::{BTreeMap, BTreeSet};

use autotune_model::{Configuration, ErrorCode, Label, Value};
use minijinja::value::ValueKind;
use minijinja::{Environment, Expression};

use crate::expand::{Expanded, FoldedCell};
use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::tree::{Node, all};

pub(crate) const KEY: &str = "constraints";
/// How many CPUs the server gets, as in the values of `[grid]`.
const CORES: &str = "cores";

/// A cell of the raw grid that a constraint left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedCell {
    /// As the grid spells it.
    pub spelled: String,
    /// The configuration that it is.
    pub configuration: Label,
    /// The constraint that this does not meet, as the grid file has it.
    pub constraint: String,
}

/// What constraints are asked of.
pub(crate) struct Field {
    /// What can be named: the parameters and variables of all variants.
    pub(crate) names: Vec<String>,
    /// How many CPUs the server gets.
    pub(crate) cores: usize,
}

struct Constraint<'a, 's> {
    node: Node<'a>,
    text: &'a str,
    names: Vec<String>,
    expression: Expression<'s, 's>,
}

/// A grid after its constraints.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) expanded: Expanded,
    pub(crate) dropped: Vec<DroppedCell>,
}

/// Leaves out what a constraint does not allow.
pub(crate) fn apply(
    node: Option<&Node<'_>>,
    field: &Field,
    expanded: Expanded,
    faults: &mut Faults,
) -> Checked<Kept> {
    let Some(node) = node else {
        return Ok(Kept {
            expanded,
            dropped: Vec::new(),
        });
    };
    let environment = Environment::new();
    let list = node.filled_list(faults)?;
    let constraints = all(list
        .into_iter()
        .map(|node| read(node, field, &environment, faults)))?;
    let mut kept = Kept::default();
    let folded = by_configuration(&expanded.folded);
    let mut left_out = BTreeSet::new();
    for (configuration, cells) in expanded.configurations.into_iter().zip(expanded.cells_of) {
        let label = configuration.label();
        let Some(constraint) = first_broken(&constraints, &configuration, field.cores, faults)?
        else {
            kept.expanded.configurations.push(configuration);
            kept.expanded.cells_of.push(cells);
            continue;
        };
        let folded = folded.get(label).map(Vec::as_slice).unwrap_or_default();
        // A cell that is spelled as its configuration is written is no folded one.
        let plain = (cells > folded.len()).then_some(label.as_str());
        let spelled = plain.into_iter().chain(folded.iter().copied());
        kept.dropped.extend(spelled.map(|spelled| DroppedCell {
            spelled: spelled.to_owned(),
            configuration: label.clone(),
            constraint: constraint.text.to_owned(),
        }));
        left_out.insert(label.clone());
    }
    if kept.expanded.configurations.is_empty() {
        let message = "the constraints leave no configuration";
        let fault = GridFault::new(
            ErrorCode::GridConflict,
            &node.span,
            message,
            "leave nothing",
        );
        return Err(faults.add(fault.hint("loosen one of them")));
    }
    let others = expanded.folded.into_iter();
    kept.expanded.folded = others
        .filter(|cell| !left_out.contains(&cell.into))
        .collect();
    Ok(kept)
}

/// How the grid spells configurations otherwise than they are written.
fn by_configuration(folded: &[FoldedCell]) -> BTreeMap<&Label, Vec<&str>> {
    let mut all: BTreeMap<&Label, Vec<&str>> = BTreeMap::new();
    for cell in folded {
        all.entry(&cell.into).or_default().push(&cell.spelled);
    }
    all
}

fn read<'a, 's>(
    node: Node<'a>,
    field: &Field,
    environment: &'s Environment<'s>,
    faults: &mut Faults,
) -> Checked<Constraint<'a, 's>> {
    let text = node.filled_text(faults)?;
    let expression = environment
        .compile_expression_owned(text.to_owned())
        .map_err(|error| {
            let why = error
                .detail()
                .map_or_else(|| error.kind().to_string(), str::to_owned);
            let message = format!("`{text}` is not an expression: {why}");
            let fault = node.fault(message, "not an expression");
            faults.add(fault.hint("write it as \"workers * threads <= 64\""))
        })?;
    let mut names: Vec<String> = expression.undeclared_variables(false).into_iter().collect();
    names.sort();
    let known = || field.names.iter().map(String::as_str).chain([CORES]);
    if let Some(name) = names.iter().find(|name| !known().any(|one| one == *name)) {
        let message = format!("no parameter is called `{name}`");
        let mut fault = node.fault(message, format!("uses `{name}`"));
        fault.hint = did_you_mean(name, known());
        return Err(faults.add(fault));
    }
    Ok(Constraint {
        node,
        text,
        names,
        expression,
    })
}

/// The first constraint that this configuration does not meet. One that names
/// what its server does not have says nothing of it.
fn first_broken<'c, 'a, 's>(
    constraints: &'c [Constraint<'a, 's>],
    configuration: &Configuration,
    cores: usize,
    faults: &mut Faults,
) -> Checked<Option<&'c Constraint<'a, 's>>> {
    let mut values: BTreeMap<&str, minijinja::Value> = configuration
        .values()
        .iter()
        .map(|(name, value)| (name.as_str(), of(value)))
        .collect();
    values.insert(CORES, cores.into());
    for constraint in constraints {
        let knows_all = constraint
            .names
            .iter()
            .all(|name| values.contains_key(name.as_str()));
        if knows_all && !is_met(constraint, configuration, &values, faults)? {
            return Ok(Some(constraint));
        }
    }
    Ok(None)
}

fn is_met(
    constraint: &Constraint<'_, '_>,
    configuration: &Configuration,
    values: &BTreeMap<&str, minijinja::Value>,
    faults: &mut Faults,
) -> Checked<bool> {
    let (node, text) = (&constraint.node, constraint.text);
    let value = constraint.expression.eval(values).map_err(|error| {
        let why = error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned);
        let message = format!(
            "`{text}` cannot be computed for {}: {why}",
            configuration.label()
        );
        faults.add(node.fault(message, "cannot be computed"))
    })?;
    if value.kind() == ValueKind::Bool {
        return Ok(value.is_true());
    }
    let message = format!(
        "`{text}` is neither true nor false: for {} it is {value}",
        configuration.label()
    );
    let fault = node.fault(message, "not a condition");
    Err(faults.add(fault.hint("compare it with something, as in \"workers * threads <= 64\"")))
}

fn of(value: &Value) -> minijinja::Value {
    match value {
        Value::Int(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Text(text) => text.as_str().into(),
    }
}

//! Values that the grid computes: `"{{ cores * 2 + 1 }}"`, and ranges such as
//! `"1..={{ cores }}"`. What a parameter may be set to is left to `axis`.

use minijinja::{Environment, context};

use crate::fault::{Checked, Faults, did_you_mean};
use crate::grid::MAX_CELLS;
use crate::template;
use crate::tree::Node;

/// The names that an expression can use.
const NAMES: [&str; 1] = ["cores"];
const STEP: &str = "step";

/// What a text stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Computed {
    /// Just itself: nothing was to be computed.
    Plain,
    /// The value of an expression.
    Text(String),
    /// The numbers of a range, at least one.
    Range(Vec<i64>),
}

/// Fills the holes of a value in `[grid]` or `[baseline]`, and unfolds a range.
/// `cores` is how many CPUs the server gets.
pub(crate) fn compute(
    node: &Node<'_>,
    text: &str,
    cores: usize,
    faults: &mut Faults,
) -> Checked<Computed> {
    let has_holes = template::has_holes(text);
    let filled = match has_holes {
        true => fill(node, text, cores, faults)?,
        false => text.to_owned(),
    };
    match range(node, &filled, faults)? {
        Some(numbers) => Ok(Computed::Range(numbers)),
        None if has_holes => Ok(Computed::Text(filled.trim().to_owned())),
        None => Ok(Computed::Plain),
    }
}

fn fill(node: &Node<'_>, text: &str, cores: usize, faults: &mut Faults) -> Checked<String> {
    let environment = Environment::new();
    let wrong = |error: &minijinja::Error| {
        let why = error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned);
        let message = format!("`{text}` cannot be computed: {why}");
        node.fault(message, "cannot be computed")
            .hint("`cores` is how many CPUs the server gets: write \"{{ cores * 2 + 1 }}\"")
    };
    let template = environment
        .template_from_str(text)
        .map_err(|error| faults.add(wrong(&error)))?;
    let mut unknown: Vec<String> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !NAMES.contains(&name.as_str()))
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        let message = format!("nothing is called `{name}` in `{}`", node.key);
        let mut fault = node.fault(message, format!("uses `{name}`"));
        fault.hint = did_you_mean(name, NAMES);
        return Err(faults.add(fault));
    }
    template
        .render(context! { cores })
        .map_err(|error| faults.add(wrong(&error)))
}

/// `1..=9` or `1..=9 step 2`. A text that only looks a little like one is none.
fn range(node: &Node<'_>, text: &str, faults: &mut Faults) -> Checked<Option<Vec<i64>>> {
    let Some((from, rest)) = text.split_once("..") else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let Some(from) = number(from) else {
        return Ok(None);
    };
    let (to, step) = match rest.split_once(STEP) {
        Some((to, step)) => (to, number(step)),
        None => (rest, Some(1)),
    };
    let last = to.trim_start().strip_prefix('=').and_then(number);
    let (Some(to), Some(step)) = (last, step.filter(|step| *step > 0)) else {
        let message = format!("`{text}` is not a range");
        let likely = number(to).unwrap_or(from.saturating_add(3));
        let hint = format!(
            "write \"{from}..={likely}\", or \"{from}..={likely} step 2\"; both ends are in it"
        );
        return Err(faults.add(node.fault(message, "not a range").hint(hint)));
    };
    let count = to.checked_sub(from).map(|width| width / step + 1);
    match count {
        Some(count) if count < 1 => {
            let message = format!("the range `{text}` is empty: {from} is above {to}");
            let fault = node.fault(message, "empty range");
            Err(faults.add(fault.hint(format!("write \"{to}..={from}\""))))
        }
        Some(count) if usize::try_from(count).is_ok_and(|count| count <= MAX_CELLS) => {
            Ok(Some((0..count).map(|place| from + place * step).collect()))
        }
        _ => {
            let message = format!("the range `{text}` has more than {MAX_CELLS} values");
            let hint = "a night measures some hundreds of trials; take a larger `step`";
            Err(faults.add(node.fault(message, "too many values").hint(hint)))
        }
    }
}

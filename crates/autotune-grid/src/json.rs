//! `expect.json`: what must stand at which place of an answer.

use autotune_model::json::is_json_pointer;
use autotune_model::{ErrorCode, JsonExpect, JsonWanted};
use toml::de::DeValue;

use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::tree::{Keys, Node, Table, all};

/// Of a value that is not written as itself.
pub(crate) const WANTED_KEYS: Keys<'_> = Keys {
    known: &["exists", "null"],
    planned: &[],
};
pub(crate) const NO_POINTER: &str = "`json` takes a JSON pointer, which begins with a slash";
const WANTED: &str = "a text, a number, true, false, { exists = true } or { null = true }";

/// Under `json` of an `expect`; nothing where it was left out.
pub(crate) fn read(expect: &Table<'_>, faults: &mut Faults) -> Checked<Vec<JsonExpect>> {
    let Some(node) = expect.get("json") else {
        return Ok(Vec::new());
    };
    let table = node.table("`json`".to_owned(), None, faults)?;
    if table.nodes.is_empty() {
        let fault = node.fault("`json` expects nothing", "empty table");
        let hint = "write { \"/data/0/id\" = 5 }, or leave it out";
        return Err(faults.add(fault.hint(hint)));
    }
    all(table.nodes.iter().map(|node| {
        let fault = GridFault {
            span: node.key_span.clone(),
            ..node.fault(NO_POINTER, "no pointer")
        };
        let pointer = pointer(node.key, fault, faults)?;
        let wanted = wanted(node, faults)?;
        Ok(JsonExpect { pointer, wanted })
    }))
}

/// This text as a pointer, or this fault with what was probably meant.
pub(crate) fn pointer(text: &str, fault: GridFault, faults: &mut Faults) -> Checked<String> {
    if is_json_pointer(text) {
        return Ok(text.to_owned());
    }
    let likely = match text.starts_with('/') {
        // Its tilde stands for itself.
        true => text.replace('~', "~0"),
        false => format!("/{}", text.trim_start_matches("$.").replace('.', "/")),
    };
    Err(faults.add(fault.hint(format!("write \"{likely}\""))))
}

fn wanted(node: &Node<'_>, faults: &mut Faults) -> Checked<JsonWanted> {
    match node.value {
        DeValue::String(_) => Ok(JsonWanted::Text(node.text(faults)?.to_owned())),
        DeValue::Boolean(flag) => Ok(JsonWanted::Bool(*flag)),
        DeValue::Integer(_) => {
            let number = node.as_int().map(JsonWanted::Int);
            number.ok_or_else(|| {
                let message = format!("`{}` is a number of more than 64 bits", node.key);
                faults.add(node.fault(message, "too large"))
            })
        }
        DeValue::Float(number) => {
            let number = number.as_str().replace('_', "").parse().ok();
            let number = number.filter(|number: &f64| number.is_finite());
            number.map(JsonWanted::Float).ok_or_else(|| {
                let message = format!("`{}` is no number that JSON has", node.key);
                faults.add(node.fault(message, "not in JSON"))
            })
        }
        DeValue::Table(_) => in_words(node, faults),
        DeValue::Array(_) | DeValue::Datetime(_) => Err(faults.add(node.mismatch(WANTED))),
    }
}

/// `{ exists = true }` or `{ null = true }`: TOML has no null.
fn in_words(node: &Node<'_>, faults: &mut Faults) -> Checked<JsonWanted> {
    let table = node.table(format!("`{}`", node.key), None, faults)?;
    let wrong = |faults: &mut Faults| {
        let message = format!("`{}` takes {WANTED}", node.key);
        Err(faults.add(node.fault(message, "none of these")))
    };
    let [one] = &table.nodes[..] else {
        return wrong(faults);
    };
    match (one.key, one.value) {
        ("exists" | "null", DeValue::Boolean(flag)) => match (one.key, flag) {
            ("exists", true) => Ok(JsonWanted::Something),
            ("exists", false) => Ok(JsonWanted::Nothing),
            (_, true) => Ok(JsonWanted::Null),
            (_, false) => wrong(faults),
        },
        ("exists" | "null", _) => Err(faults.add(one.mismatch("true or false"))),
        (other, _) => {
            let message = format!("unknown key `{other}` in {}", table.title);
            let code = ErrorCode::GridUnknownKey;
            let mut fault = GridFault::new(code, &one.key_span, message, "no such key");
            fault.hint = did_you_mean(other, WANTED_KEYS.known.iter().copied());
            Err(faults.add(fault))
        }
    }
}

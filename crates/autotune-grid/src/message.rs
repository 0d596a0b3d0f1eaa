//! Headers and body of an endpoint or a step of the login. Both may hold secrets, so both may come out
//! of the environment; taking them out is left to the program.

use autotune_model::{EnvValue, ErrorCode, Method, Part, Text};
use toml::de::DeTable;

use crate::environment::from_env;
use crate::fault::{Checked, Faults, GridFault};
use crate::template::{self, Names};
use crate::tree::{Node, Table, all};

/// What the load engine says for itself: how long a request is and what becomes
/// of its connection.
const OWN_HEADERS: [&str; 6] = [
    "connection",
    "content-length",
    "expect",
    "te",
    "transfer-encoding",
    "upgrade",
];
const CONTENT_TYPE: &str = "content-type";

/// `headers`, in the order of the text.
pub(crate) fn headers(
    endpoint: &Table<'_>,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Vec<(String, Text)>> {
    let Some(node) = endpoint.given("headers") else {
        return Ok(Vec::new());
    };
    let defaults = endpoint.defaults_of("headers");
    let table = node.table("`headers`".to_owned(), defaults, faults)?;
    let mut seen: Vec<String> = Vec::new();
    all(table.nodes.iter().map(|node| {
        name(node, &mut seen, faults)?;
        let before = names.columns.len();
        let value = value(node, defaults, names, faults)?;
        for used in &mut names.columns[before..] {
            used.header = Some(node.key.to_owned());
        }
        if !fixed(&value).all(is_header_value) {
            let message = format!("the value of `{}` holds a control character", node.key);
            return Err(faults.add(node.fault(message, "not a header's value")));
        }
        Ok((node.key.to_owned(), value))
    }))
}

/// Whether the text can stand in a header: it holds no line break or its like
/// (RFC 9110, section 5.5).
pub(crate) fn is_header_value(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_control())
}

fn name(node: &Node<'_>, seen: &mut Vec<String>, faults: &mut Faults) -> Checked<()> {
    let lower = node.key.to_ascii_lowercase();
    let fault = |code, message: String, label| GridFault::new(code, &node.key_span, message, label);
    // A token, RFC 9110, section 5.6.2.
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if node.key.is_empty() || !node.key.chars().all(is_token) {
        let message = format!("no header can be called `{}`", node.key);
        return Err(faults.add(fault(ErrorCode::GridValue, message, "not a name")));
    }
    if OWN_HEADERS.contains(&lower.as_str()) {
        let message = format!("`{}` is set by the load engine itself", node.key);
        let fault = fault(ErrorCode::GridConflict, message, "cannot be set");
        let hint = "`connections` under [load] decides how connections are used";
        return Err(faults.add(fault.hint(hint)));
    }
    if seen.contains(&lower) {
        let message = format!("the header `{}` is given twice", node.key);
        return Err(faults.add(fault(ErrorCode::GridConflict, message, "the second time")));
    }
    seen.push(lower);
    Ok(())
}

/// `body`.
pub(crate) fn body(
    endpoint: &Table<'_>,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Option<Text>> {
    let defaults = endpoint.defaults_of("headers");
    let node = endpoint.given("body");
    node.map(|node| value(&node, defaults, names, faults))
        .transpose()
}

/// The parts of a text that are known before any hole is filled.
pub(crate) fn fixed(text: &Text) -> impl Iterator<Item = &str> {
    let (whole, parts) = match text {
        Text::Value(EnvValue::Text(text)) => (Some(text.as_str()), &[][..]),
        Text::Value(EnvValue::FromEnv { .. } | EnvValue::Secret(_)) => (None, &[][..]),
        Text::Holed(parts) => (None, &parts[..]),
    };
    let parts = parts.iter().filter_map(|part| match part {
        Part::Fixed(text) => Some(text.as_str()),
        Part::Hole(_) => None,
    });
    whole.into_iter().chain(parts)
}

fn value<'a>(
    node: &Node<'a>,
    defaults: Option<&'a DeTable<'a>>,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Text> {
    if node.value.is_table() {
        return from_env(node, defaults, faults).map(Text::Value);
    }
    if !node.value.is_str() {
        return Err(faults.add(node.mismatch("a text or { from_env = \"NAME\" }")));
    }
    let text = node.text(faults)?;
    template::of_request(node, text, names, faults)
}

/// A text without holes, or one out of the environment.
pub(crate) fn plain_value<'a>(
    node: &Node<'a>,
    defaults: Option<&'a DeTable<'a>>,
    faults: &mut Faults,
) -> Checked<EnvValue> {
    if node.value.is_table() {
        return from_env(node, defaults, faults);
    }
    if !node.value.is_str() {
        return Err(faults.add(node.mismatch("a text or { from_env = \"NAME\" }")));
    }
    let text = node.text(faults)?;
    template::plain(node, text, faults)?;
    Ok(EnvValue::Text(text.to_owned()))
}

/// A body needs a method that has one, and a type: without it most frameworks
/// see no form and no JSON, and the app answers quickly that nothing came.
pub(crate) fn check_fits(
    endpoint: &Table<'_>,
    (method, headers, has_body): (Method, &[(String, Text)], bool),
    faults: &mut Faults,
) -> Checked<()> {
    let Some(body) = endpoint.given("body").filter(|_| has_body) else {
        return Ok(());
    };
    if !method.takes_body() {
        let message = format!("a {method} request has no body");
        let fault = GridFault::new(
            ErrorCode::GridConflict,
            &body.key_span,
            message,
            "has a body",
        );
        return Err(faults.add(fault.hint("add method = \"POST\", or leave `body` out")));
    }
    let is_type = |(name, _): &(String, Text)| name.eq_ignore_ascii_case(CONTENT_TYPE);
    if !headers.iter().any(is_type) {
        let message = "the body has no type";
        let fault = GridFault::new(
            ErrorCode::GridMissing,
            &body.key_span,
            message,
            "of which type?",
        );
        let hint = "add headers = { Content-Type = \"application/json\" }, or \
                    \"application/x-www-form-urlencoded\" for a form";
        return Err(faults.add(fault.hint(hint)));
    }
    Ok(())
}

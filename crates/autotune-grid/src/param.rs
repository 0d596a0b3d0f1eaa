//! What a parameter may be set to, the same for the grid file and for a
//! configuration typed by hand. Places and messages are left to the callers.

use autotune_model::{Param, ParamKind, ParamName, Profile, Value};

use crate::scalar::is_variable;

/// What may be done with this name in this profile: set it to values of a
/// kind, to any value, or nothing.
pub(crate) enum Accepts<'p> {
    /// A parameter of the profile.
    Kind(&'p ParamKind),
    /// A variable of a command.
    Anything,
    /// No such parameter.
    Nothing,
}

/// What this name takes in this profile.
pub(crate) fn accepts<'p>(profile: &'p Profile, name: &str) -> Accepts<'p> {
    let param: Option<&Param> = profile.param(&ParamName::new(name));
    match param {
        Some(param) => Accepts::Kind(&param.kind),
        None if profile.takes_any_param() && is_variable(name) => Accepts::Anything,
        None => Accepts::Nothing,
    }
}

/// Whether a parameter of this kind can have this value.
pub(crate) fn allows(kind: &ParamKind, value: &Value) -> bool {
    match (kind, value) {
        (ParamKind::Int { min, max }, Value::Int(number)) => (min..=max).contains(&number),
        (ParamKind::Word { known, open }, Value::Text(word)) => {
            known.contains(word) || (*open && is_dotted(word))
        }
        (ParamKind::Switch, Value::Bool(_)) => true,
        _ => false,
    }
}

/// What a parameter of this kind takes, for messages.
pub(crate) fn wanted(kind: &ParamKind) -> String {
    match kind {
        ParamKind::Int { min, max } => format!("a whole number from {min} to {max}"),
        ParamKind::Word { known, open } => {
            let dotted = if *open { ", or a dotted path" } else { "" };
            format!("one of {}{dotted}", known.join(", "))
        }
        ParamKind::Switch => "true or false".to_owned(),
    }
}

/// A variable's value as it is written in a label.
pub(crate) fn variable_value(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text
            .parse()
            .ok()
            .filter(|number: &i64| number.to_string() == text)
            .map_or_else(|| Value::from(text), Value::Int),
    }
}

/// Why this text cannot be a variable's value, if so: it would not come back
/// from the label that it is written in.
pub(crate) fn variable_fault(text: &str) -> Option<&'static str> {
    if !matches!(variable_value(text), Value::Text(_)) {
        Some("write it without quotes")
    } else if text.chars().any(char::is_control) {
        Some("control characters cannot be written in a label")
    } else if split_pairs(text).len() > 1 {
        Some("a comma before `name=` cannot be written in a label")
    } else {
        None
    }
}

/// Splits at each comma that `name=` follows, so that other commas can stand
/// in values.
pub(crate) fn split_pairs(text: &str) -> Vec<&str> {
    let mut pairs = Vec::new();
    let mut begin = 0;
    for (comma, _) in text.match_indices(',') {
        let after = text[comma + 1..].trim_start();
        if after
            .split_once('=')
            .is_some_and(|(name, _)| is_variable(name.trim_end()))
        {
            pairs.push(&text[begin..comma]);
            begin = comma + 1;
        }
    }
    pairs.push(&text[begin..]);
    pairs
}

/// A path to a class, `package.module.Class`.
fn is_dotted(word: &str) -> bool {
    word.contains('.') && word.split('.').all(is_variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_open_kind() {
        let kind = ParamKind::Word {
            known: vec!["sync".to_owned()],
            open: true,
        };
        let check =
            |word: &str, expected| assert_eq!(allows(&kind, &word.into()), expected, "{word}");
        check("sync", true);
        check("uvicorn.workers.UvicornWorker", true);
        check("gevent", false);
        check("a..b", false);
        check("a/b.c", false);
        check(".a", false);
        check("a.b,c", false);
    }

    #[test]
    fn pairs() {
        let check = |text, expected: &[&str]| assert_eq!(split_pairs(text), expected, "{text}");
        check("a=1,b=2", &["a=1", "b=2"]);
        check("a=1,2,b=2", &["a=1,2", "b=2"]);
        check("a=x,y=z", &["a=x", "y=z"]);
        check("a=x,-y=z", &["a=x,-y=z"]);
        check("", &[""]);
        check("a=,b=", &["a=", "b="]);
    }

    #[test]
    fn values_of_variables() {
        let check = |text: &str, expected: Value| assert_eq!(variable_value(text), expected);
        check("4", Value::Int(4));
        check("-4", Value::Int(-4));
        check("04", Value::from("04"));
        check("+4", Value::from("+4"));
        check("true", Value::Bool(true));
        check("True", Value::from("True"));
        check("", Value::from(""));
    }
}

//! Takes values out of answers: a CSRF token, an access token. Pure.

use autotune_model::Extractor;
use serde_json::Value;

use crate::cookies::Cookies;
use crate::http::Answer;

/// The value in this answer, or among the cookies that the session has after it.
/// `None` where there is none, or an empty one.
pub(crate) fn extract(extractor: &Extractor, answer: &Answer, cookies: &Cookies) -> Option<String> {
    let found = match extractor {
        Extractor::Between([before, after]) => {
            between(&String::from_utf8_lossy(&answer.body), before, after)
        }
        Extractor::Header(name) => answer.header(name).map(str::to_owned),
        Extractor::Json(pointer) => json(&answer.body, pointer),
        Extractor::Cookie(name) => {
            let cookie = cookies.iter().find(|(one, _)| one == name);
            cookie.map(|(_, value)| value.expose().clone())
        }
    };
    found.filter(|value| !value.is_empty())
}

/// Where a value was looked for, for people.
pub(crate) fn place(extractor: &Extractor) -> String {
    match extractor {
        Extractor::Between([before, after]) => {
            format!("in the body between `{before}` and `{after}`")
        }
        Extractor::Header(name) => format!("in the header `{name}`"),
        Extractor::Json(pointer) => format!("in the JSON of the body at `{pointer}`"),
        Extractor::Cookie(name) => format!("in the cookie `{name}`"),
    }
}

fn between(body: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = body.split_once(before)?;
    let (value, _) = rest.split_once(after)?;
    Some(value.to_owned())
}

fn json(body: &[u8], pointer: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match body.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::Secret;

    use super::*;

    fn check(extractor: Extractor, body: &str, expected: Option<&str>) {
        let header = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
        let answer = Answer {
            body: body.into(),
            headers: vec![header("x-token", "h1"), header("x-token", "h2")],
            ..Answer::default()
        };
        let cookies = vec![header("csrftoken", "c1")];
        let found = extract(&extractor, &answer, &cookies);
        assert_eq!(found.as_deref(), expected, "{extractor:?} of {body}");
    }

    fn marks(before: &str, after: &str) -> Extractor {
        Extractor::Between([before.to_owned(), after.to_owned()])
    }

    #[test]
    fn a_value_stands_between_two_texts() {
        let form = "<input name=\"csrf\" value=\"a.b\"><input value=\"c\">";
        check(marks("csrf\" value=\"", "\""), form, Some("a.b"));
        check(marks("value=\"", "\""), form, Some("a.b"));
        check(marks("token=\"", "\""), form, None);
        check(marks("value=\"c", "'"), form, None);
        check(marks("[", "]"), "[]", None);
    }

    #[test]
    fn a_value_stands_in_json_a_header_or_a_cookie() {
        let json = |pointer: &str| Extractor::Json(pointer.to_owned());
        let body = r#"{"data": [{"token": "t\n1", "id": 7, "on": true}], "none": null}"#;
        check(json("/data/0/token"), body, Some("t\n1"));
        check(json("/data/0/id"), body, Some("7"));
        check(json("/data/0/on"), body, Some("true"));
        check(json("/none"), body, None);
        check(json("/data"), body, None);
        check(json("/data/0/token"), "<html>", None);
        check(Extractor::Header("X-Token".to_owned()), "", Some("h1"));
        check(Extractor::Header("X-Other".to_owned()), "", None);
        check(Extractor::Cookie("csrftoken".to_owned()), "", Some("c1"));
        check(Extractor::Cookie("other".to_owned()), "", None);
    }
}

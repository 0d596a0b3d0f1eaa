//! What the JSON of an answer must say: values at JSON pointers (RFC 6901). The
//! check before all trials and the load judge by the same rules.

use std::fmt;

use serde_json::Value;

/// Longer bodies are not read as JSON: a thousand connections would keep as many
/// of them at a time.
pub const MOST_JSON_BYTES: usize = 1 << 20;

/// What must stand at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonExpect {
    /// The place: a JSON pointer, empty for the whole document.
    pub pointer: String,
    /// What must stand there.
    pub wanted: JsonWanted,
}

/// A value that is wanted, or what is wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonWanted {
    /// This text.
    Text(String),
    /// This whole number; `5` and `5.0` are the same.
    Int(i64),
    /// This number, as close as a float of 64 bits tells numbers apart.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Null.
    Null,
    /// Anything, null included.
    Something,
    /// That there is no such place.
    Nothing,
}

impl JsonWanted {
    fn is_met(&self, found: Option<&Value>) -> bool {
        match (self, found) {
            (Self::Something, found) => found.is_some(),
            (Self::Nothing, found) => found.is_none(),
            (Self::Text(text), Some(Value::String(found))) => text == found,
            (Self::Bool(flag), Some(Value::Bool(found))) => flag == found,
            (Self::Null, Some(Value::Null)) => true,
            (Self::Int(wanted), Some(Value::Number(found))) => match found.as_i64() {
                Some(number) => number == *wanted,
                // Written with a point or an exponent, or too large.
                None => found.as_f64() == Some(*wanted as f64),
            },
            (Self::Float(wanted), Some(Value::Number(found))) => found.as_f64() == Some(*wanted),
            _ => false,
        }
    }
}

/// As JSON has it, or in words.
impl fmt::Display for JsonWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Null => f.write_str("null"),
            Self::Something => f.write_str("some value"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

impl fmt::Display for JsonExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.pointer.as_str() {
            "" => "the whole body",
            pointer => pointer,
        };
        write!(f, "{} at {place}", self.wanted)
    }
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonFault {
    /// It is too long to be looked into.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is no JSON.
    NotJson {
        /// What the parser says.
        why: String,
    },
    /// Another value stands at the place.
    Differs {
        /// What was expected.
        expected: JsonExpect,
        /// What stands there, as JSON; `None` where there is no such place.
        found: Option<String>,
    },
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(
                f,
                "with {bytes} bytes, and JSON is looked into up to {MOST_JSON_BYTES}"
            ),
            Self::NotJson { why } => write!(f, "with a body that is no JSON: {why}"),
            Self::Differs { expected, found } => write!(
                f,
                "with {}, expected {expected}",
                found.as_deref().unwrap_or("nothing")
            ),
        }
    }
}

/// What is wrong with this body, if anything is; the first that is. Where nothing
/// is expected, a body need not be JSON.
pub fn judge_json(expected: &[JsonExpect], body: &[u8]) -> Option<JsonFault> {
    if expected.is_empty() {
        return None;
    }
    if body.len() > MOST_JSON_BYTES {
        return Some(JsonFault::TooLong { bytes: body.len() });
    }
    let document: Value = match serde_json::from_slice(body) {
        Ok(document) => document,
        Err(error) => {
            let why = error.to_string();
            return Some(JsonFault::NotJson { why });
        }
    };
    expected.iter().find_map(|one| {
        let found = document.pointer(&one.pointer);
        (!one.wanted.is_met(found)).then(|| JsonFault::Differs {
            expected: one.clone(),
            found: found.map(Value::to_string),
        })
    })
}

/// Whether a text is a JSON pointer: empty, or parts that each follow a slash, in
/// which `~` stands only before `0` and `1`.
pub fn is_json_pointer(text: &str) -> bool {
    let mut after_tilde = text.split('~').skip(1);
    (text.is_empty() || text.starts_with('/'))
        && after_tilde.all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"data": {"items": [{"id": 5}, {"id": 6.5}]}, "ok": true, "none": null,
        "name": "a\"b", "a/b": 1, "big": 9007199254740993, "five": 5.0,
        "long": 31.245270191439438}"#;

    #[track_caller]
    fn check(pointer: &str, wanted: JsonWanted, said: Option<&str>) {
        let expected = JsonExpect {
            pointer: pointer.to_owned(),
            wanted,
        };
        let fault = judge_json(&[expected], BODY.as_bytes());
        assert_eq!(fault.map(|fault| fault.to_string()).as_deref(), said);
    }

    #[test]
    fn values_are_compared_as_json_has_them() {
        use JsonWanted::{Bool, Float, Int, Null, Text};
        check("/data/items/0/id", Int(5), None);
        check("/data/items/0/id", Float(5.0), None);
        check("/data/items/1/id", Float(6.5), None);
        check("/five", Int(5), None);
        // A reader that is off by a last digit finds another number there.
        check("/long", Float(31.245_270_191_439_438), None);
        check("/a~1b", Int(1), None);
        check("/big", Int(9_007_199_254_740_993), None);
        check("/ok", Bool(true), None);
        check("/none", Null, None);
        check("/name", Text("a\"b".to_owned()), None);
        let said = Some("with 5, expected 6 at /data/items/0/id");
        check("/data/items/0/id", Int(6), said);
        let said = Some("with 9007199254740993, expected 9007199254740992 at /big");
        check("/big", Int(9_007_199_254_740_992), said);
        let said = Some("with 5, expected \"5\" at /data/items/0/id");
        check("/data/items/0/id", Text("5".to_owned()), said);
        check("/ok", Bool(false), Some("with true, expected false at /ok"));
        check(
            "/none",
            Bool(false),
            Some("with null, expected false at /none"),
        );
        check("/ok", Null, Some("with true, expected null at /ok"));
        check("/more", Int(1), Some("with nothing, expected 1 at /more"));
        let said = Some("with {\"id\":6.5}, expected 1 at /data/items/1");
        check("/data/items/1", Int(1), said);
    }

    #[test]
    fn a_place_can_be_wanted_or_not() {
        use JsonWanted::{Nothing, Something};
        check("", Something, None);
        check("/none", Something, None);
        check("/data/items/7", Nothing, None);
        check(
            "/x",
            Something,
            Some("with nothing, expected some value at /x"),
        );
        check("/ok", Nothing, Some("with true, expected nothing at /ok"));
    }

    #[test]
    fn a_body_that_is_no_json_or_too_long_is_said_to_be() {
        let expected = [JsonExpect {
            pointer: String::new(),
            wanted: JsonWanted::Something,
        }];
        let said = |body: &[u8]| judge_json(&expected, body).map(|fault| fault.to_string());
        let html = said(b"<html>").expect("no JSON");
        assert!(
            html.starts_with("with a body that is no JSON: expected value"),
            "{html}"
        );
        let long = vec![b' '; MOST_JSON_BYTES + 1];
        let said = said(&long).expect("too long");
        assert_eq!(
            said,
            "with 1048577 bytes, and JSON is looked into up to 1048576"
        );
        assert_eq!(judge_json(&[], b"<html>"), None);
    }

    #[test]
    fn pointers_are_as_the_standard_says() {
        for good in ["", "/", "/a", "/a/0/b", "/a~1b~0c", "/ä b"] {
            assert!(is_json_pointer(good), "{good}");
        }
        for bad in ["a", "a/b", "/a~", "/a~2", "$.a", "~1"] {
            assert!(!is_json_pointer(bad), "{bad}");
        }
    }
}

//! Versions as programs print them, comparable.

use std::fmt;

/// The first dotted number of a text: `gunicorn (version 27.0.1)` is 27.0.1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    /// The first number with a dot in it; `None` where the text has none.
    pub fn find(text: &str) -> Option<Self> {
        text.split(|c: char| !c.is_ascii_digit() && c != '.')
            .map(|word| word.trim_matches('.'))
            .filter(|word| word.contains('.'))
            .find_map(|word| {
                let parts: Result<Vec<u64>, _> = word.split('.').map(str::parse).collect();
                parts.ok().map(Self)
            })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let found = Version::find(text).map(|version| version.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn found_in_what_programs_print() {
        check("gunicorn (version 27.0.1)", Some("27.0.1"));
        check("Python 3.11.7", Some("3.11.7"));
        check("Python 3.14.0rc1", Some("3.14.0"));
        check("v20.1.", Some("20.1"));
        check("no version", None);
        check("7", None);
    }

    #[test]
    fn compared_by_number() {
        let at = |text| Version::find(text).expect("a version");
        assert!(at("25.1") < at("25.1.0") && at("25.1.0") < at("25.10"));
        assert!(at("9.0") < at("25.1"));
    }
}

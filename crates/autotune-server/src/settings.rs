//! The settings in effect: read from what the server prints, and compared with
//! what was asked.

use std::collections::BTreeMap;

use autotune_model::{Configuration, Profile};

use crate::shipped::Behaviour;

/// A parameter that is not in effect as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The parameter.
    pub setting: String,
    /// What was asked.
    pub asked: String,
    /// What is in effect.
    pub effective: String,
}

/// Reads `name   = value` lines. Of a name that comes twice the first counts:
/// the server prints its settings before it imports the app, which may print.
pub fn parse_settings(text: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(" = ") else {
            continue;
        };
        let name = name.trim_end();
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if is_name {
            settings
                .entry(name.to_owned())
                .or_insert_with(|| value.trim().to_owned());
        }
    }
    settings
}

/// The first parameter that the command line set and that is another one in
/// effect. Parameters that were left to the app are not compared, nor those
/// that the server does not print.
pub fn mismatch(
    (profile, behaviour): (&Profile, &Behaviour),
    configuration: &Configuration,
    settings: &BTreeMap<String, String>,
) -> Option<Mismatch> {
    profile.params.iter().find_map(|param| {
        let asked = configuration.value(&param.name)?;
        if asked == &param.default && !behaviour.always.contains(&param.name) {
            return None;
        }
        let effective = settings.get(param.name.as_str())?;
        let asked = asked.to_string();
        (!effective.eq_ignore_ascii_case(&asked)).then(|| Mismatch {
            setting: param.name.to_string(),
            asked,
            effective: effective.clone(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped::{behaviour, profile};
    use autotune_model::{ParamName, VariantName};

    const PRINTED: &str = "\
loading settings = of my own
access_log_format                  = %(h)s = %(l)s
bind                               = ['127.0.0.1:12345']
keepalive                          = 5
max_requests                       = 0
max_requests_jitter                = 0
post_fork                          = <post_fork()>
threads                            = 1
worker_class                       = sync
workers                            = 3
workers = 7
";

    fn settings() -> BTreeMap<String, String> {
        parse_settings(PRINTED)
    }

    fn compared(workers: i64) -> Option<Mismatch> {
        let profile = profile("gunicorn").expect("shipped");
        let behaviour = behaviour("gunicorn").expect("shipped");
        let given = [(ParamName::from("workers"), workers.into())];
        let folded = Configuration::fold(&profile, &VariantName::new("g"), &given, false);
        mismatch((&profile, &behaviour), &folded.configuration, &settings())
    }

    #[test]
    fn settings_are_read_and_the_first_of_a_name_counts() {
        let settings = settings();
        assert_eq!(settings["workers"], "3");
        assert_eq!(settings["access_log_format"], "%(h)s = %(l)s");
        assert_eq!(settings["post_fork"], "<post_fork()>");
        assert!(!settings.contains_key("loading settings"));
    }

    #[test]
    fn a_default_that_was_asked_for_is_compared_too() {
        let profile = profile("gunicorn").expect("shipped");
        let mut behaviour = behaviour("gunicorn").expect("shipped");
        behaviour.always_give(&profile, &["keepalive".into()]);
        let given = [(ParamName::from("workers"), 3.into())];
        let folded = Configuration::fold(&profile, &VariantName::new("g"), &given, false);
        let found = mismatch((&profile, &behaviour), &folded.configuration, &settings());
        assert_eq!(found.map(|m| m.setting).as_deref(), Some("keepalive"));
    }

    #[test]
    fn a_parameter_that_is_another_one_in_effect_is_named() {
        assert_eq!(compared(3), None, "keepalive was left to the app");
        assert_eq!(
            compared(2),
            Some(Mismatch {
                setting: "workers".to_owned(),
                asked: "2".to_owned(),
                effective: "3".to_owned(),
            })
        );
    }
}

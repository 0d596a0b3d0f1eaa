//! One cell of the space in canonical form, and how it is written.

use std::fmt;

use crate::id::{ConfigId, VariantName};
use crate::profile::Profile;
use crate::value::{ParamName, Value};

/// One setting of one server variant, in canonical form.
///
/// Invariant: two configurations that make the server behave the same are
/// equal; dead parameters have the server's default. Only [`Configuration::fold`]
/// makes a new one, so the invariant holds everywhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Configuration {
    variant: VariantName,
    values: Vec<(ParamName, Value)>,
    label: Label,
}

/// A configuration as people write it: `4/1/gthread/750/500`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` so that tables can align it.
        f.pad(&self.0)
    }
}

/// A configuration, and what had to be changed to make it canonical.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// In canonical form.
    pub configuration: Configuration,
    /// The reasons of the folds that applied, in order.
    pub reasons: Vec<String>,
}

impl Configuration {
    /// Brings values into canonical form. `given` may name parameters in any
    /// order; a parameter of the profile that is not given has its default.
    /// Parameters that the profile does not know keep the order of `given`.
    /// `prefixed` is whether the label leads with the variant's name.
    pub fn fold(
        profile: &Profile,
        variant: &VariantName,
        given: &[(ParamName, Value)],
        prefixed: bool,
    ) -> Folded {
        let mut values: Vec<(ParamName, Value)> = profile
            .params
            .iter()
            .map(|param| {
                let value = given.iter().find(|(name, _)| name == &param.name);
                (
                    param.name.clone(),
                    value.map_or_else(|| param.default.clone(), |v| v.1.clone()),
                )
            })
            .collect();
        for (name, value) in given {
            if profile.param(name).is_none() {
                values.push((name.clone(), value.clone()));
            }
        }
        let reasons = apply_folds(profile, &mut values);
        let label = label(profile, variant, &values, prefixed);
        Folded {
            configuration: Self {
                variant: variant.clone(),
                values,
                label,
            },
            reasons,
        }
    }

    /// A configuration that was folded before and stored since: variant, values
    /// in the order of the label, and the label. Whoever calls this compares
    /// [`Configuration::id`] with the stored identity.
    pub fn from_stored(
        variant: VariantName,
        values: Vec<(ParamName, Value)>,
        label: String,
    ) -> Self {
        Self {
            variant,
            values,
            label: Label(label),
        }
    }

    /// The identity: equal for equal behaviour, whatever the label.
    pub fn id(&self) -> ConfigId {
        ConfigId::of(&self.canonical_bytes())
    }

    /// Version 1 of the canonical bytes: the version, then variant, names and
    /// values, each text with its length before it, parameters by name.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        push_text(&mut bytes, self.variant.as_str());
        let mut sorted: Vec<_> = self.values.iter().collect();
        sorted.sort();
        for (name, value) in sorted {
            push_text(&mut bytes, name.as_str());
            match value {
                Value::Int(number) => {
                    bytes.push(b'i');
                    bytes.extend(number.to_le_bytes());
                }
                Value::Bool(flag) => bytes.extend([b'b', u8::from(*flag)]),
                Value::Text(text) => {
                    bytes.push(b't');
                    push_text(&mut bytes, text);
                }
            }
        }
        bytes
    }

    /// Which server variant it is for.
    pub fn variant(&self) -> &VariantName {
        &self.variant
    }

    /// All parameters in the order of the label.
    pub fn values(&self) -> &[(ParamName, Value)] {
        &self.values
    }

    /// What this parameter is set to.
    pub fn value(&self, name: &ParamName) -> Option<&Value> {
        self.values
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value)
    }

    /// As people write it.
    pub fn label(&self) -> &Label {
        &self.label
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label.fmt(f)
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn apply_folds(profile: &Profile, values: &mut [(ParamName, Value)]) -> Vec<String> {
    let mut reasons = Vec::new();
    // Each fold may enable another one; a profile has fewer folds than this.
    for _ in 0..=profile.folds.len() {
        let mut changed = false;
        for fold in &profile.folds {
            let holds = fold.when.iter().all(|condition| {
                values
                    .iter()
                    .any(|(name, value)| name == &condition.param && condition.test.holds(value))
            });
            let slot = values.iter_mut().find(|(name, _)| name == &fold.set);
            if let (true, Some((_, value))) = (holds, slot)
                && *value != fold.to
            {
                *value = fold.to.clone();
                reasons.push(fold.because.clone());
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    reasons
}

fn label(
    profile: &Profile,
    variant: &VariantName,
    values: &[(ParamName, Value)],
    prefixed: bool,
) -> Label {
    let (fields, rest) = values.split_at(profile.label_fields.min(values.len()));
    let mut text: String = fields
        .iter()
        .map(|(_, value)| value.to_string())
        .collect::<Vec<_>>()
        .join("/");
    for (name, value) in rest {
        let is_default = profile
            .param(name)
            .is_some_and(|param| &param.default == value);
        if !is_default {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&format!("{name}={value}"));
        }
    }
    // A server without the five fields is always written with its name.
    if prefixed || profile.label_fields == 0 {
        text = format!("{variant}:{text}");
    }
    Label(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Condition, Fold, Param, ParamKind, Test};

    fn profile() -> Profile {
        let int = |name: &str, default: i64| Param {
            name: name.into(),
            kind: ParamKind::Int { min: 0, max: 1000 },
            default: default.into(),
            flag: format!("--{name}"),
        };
        Profile {
            name: "demo".to_owned(),
            params: vec![
                int("workers", 1),
                int("threads", 1),
                Param {
                    name: "class".into(),
                    kind: ParamKind::Word {
                        known: vec!["sync".to_owned()],
                        open: false,
                    },
                    default: "sync".into(),
                    flag: "-k".to_owned(),
                },
            ],
            label_fields: 3,
            folds: vec![Fold {
                when: vec![
                    Condition {
                        param: "class".into(),
                        test: Test::IsOneOf(vec!["sync".into()]),
                    },
                    Condition {
                        param: "threads".into(),
                        test: Test::Above(1),
                    },
                ],
                set: "class".into(),
                to: "gthread".into(),
                because: "sync with threads is gthread".to_owned(),
            }],
            recycling: None,
            config_file: None,
            workers: Some("workers".into()),
            threads: None,
            cleared_env: Vec::new(),
        }
    }

    fn fold(given: &[(&str, Value)]) -> Folded {
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| (ParamName::from(*name), value.clone()))
            .collect();
        Configuration::fold(&profile(), &VariantName::new("g"), &given, false)
    }

    #[test]
    fn two_spellings_of_one_behaviour_are_one_configuration() {
        let a = fold(&[("class", "sync".into()), ("threads", 4.into())]);
        let b = fold(&[("threads", 4.into()), ("class", "gthread".into())]);
        assert_eq!(a.configuration, b.configuration);
        assert_eq!(a.configuration.id(), b.configuration.id());
        assert_eq!(a.configuration.label().as_str(), "1/4/gthread");
        assert_eq!(a.reasons, ["sync with threads is gthread"]);
        assert!(b.reasons.is_empty());
    }

    #[test]
    fn further_parameters_follow_the_label() {
        let folded = fold(&[("preload", Value::Bool(true))]);
        assert_eq!(
            folded.configuration.label().as_str(),
            "1/1/sync,preload=true"
        );
    }

    #[test]
    fn identity_is_pinned() {
        // A change of these bytes makes every stored trial a stranger.
        assert_eq!(fold(&[]).configuration.id().to_string(), PINNED);
    }
    const PINNED: &str = "5daf79225bd4a8e91d47de539ed2bfbf";
}

//! A configuration as people type it, back into canonical form.

use autotune_model::configuration::Folded;
use autotune_model::{Configuration, ParamKind, ParamName, Profile, Value, VariantName};

use crate::fault::{did_you_mean, in_words};
use crate::file::GridFile;
use crate::param::{self, Accepts};
use crate::scalar::is_name_char;

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigTextError {
    /// There is nothing.
    #[error("a configuration is missing")]
    Empty,
    /// The prefix names no server of the grid file.
    #[error("no server is called `{name}`")]
    UnknownVariant {
        /// As typed.
        name: String,
        /// The likely name, or all of them.
        hint: Option<String>,
    },
    /// More fields between slashes than the label has.
    #[error("{given} fields between slashes, but there are {fields}")]
    TooManyFields {
        /// As typed.
        given: usize,
        /// The names of the fields that there are, in words.
        fields: String,
    },
    /// A part that is neither a field nor `key=value`.
    #[error("`{text}` is not key=value")]
    NotAPair {
        /// As typed.
        text: String,
    },
    /// A parameter that the server does not have.
    #[error("`{variant}` has no parameter `{name}`")]
    UnknownParam {
        /// As typed.
        name: String,
        /// The server.
        variant: String,
        /// The likely name, or all of them.
        hint: Option<String>,
    },
    /// A value that the parameter cannot have.
    #[error("`{name}` cannot be `{text}`")]
    Value {
        /// The parameter.
        name: String,
        /// As typed.
        text: String,
        /// What it takes.
        wanted: String,
    },
    /// A parameter that is set twice.
    #[error("`{name}` is set twice")]
    Twice {
        /// The parameter.
        name: String,
    },
    /// A variable of a command without a value.
    #[error("`{name}` is not set, and has no default")]
    NotSet {
        /// The variable.
        name: String,
    },
}

impl ConfigTextError {
    /// What to type instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty => Some("for example 4/1/gthread/750/500".to_owned()),
            Self::UnknownVariant { hint, .. } | Self::UnknownParam { hint, .. } => hint.clone(),
            Self::TooManyFields { .. } => {
                Some("further parameters follow as ,name=value".to_owned())
            }
            Self::Value { wanted, .. } => Some(format!("it takes {wanted}")),
            Self::NotAPair { .. } | Self::Twice { .. } | Self::NotSet { .. } => None,
        }
    }
}

/// Reads a configuration as typed: `4/1/gthread/750/500`, with further
/// parameters as `,preload=true`, led by `variant:` for all but the first
/// variant. Any other spelling of it is brought into canonical form, and the
/// reasons say so; they are empty exactly when the text is the label itself.
///
/// For a server whose profile has no parameters this cannot know which
/// variables there are; [`GridFile::configuration`] does.
///
/// # Errors
/// When the text is no configuration of these variants.
pub fn parse_configuration(
    text: &str,
    variants: &[(VariantName, Profile)],
) -> Result<Folded, ConfigTextError> {
    let typed = parse(text, variants)?;
    Ok(typed.fold(text))
}

impl GridFile {
    /// Reads a configuration as typed, like [`parse_configuration`], for the
    /// variants of this grid file. The variables of a command may come in any
    /// order, but all must be there.
    ///
    /// # Errors
    /// When the text is no configuration of this grid file's variants.
    pub fn configuration(
        &self,
        text: &str,
        profiles: &[Profile],
    ) -> Result<Folded, ConfigTextError> {
        let variants: Vec<(VariantName, Profile)> = self
            .variants
            .iter()
            .filter_map(|variant| {
                let profile = profiles
                    .iter()
                    .find(|profile| profile.name == variant.profile)?;
                Some((variant.name.clone(), profile.clone()))
            })
            .collect();
        let mut typed = parse(text, &variants)?;
        if typed.profile.takes_any_param() {
            let known = self
                .space
                .variables
                .iter()
                .find(|(name, _)| name == typed.variant);
            typed.put_in_order(known.map_or(&[], |(_, variables)| variables))?;
        }
        Ok(typed.fold(text))
    }
}

/// What a text says, before folding.
struct Typed<'v> {
    variant: &'v VariantName,
    profile: &'v Profile,
    prefixed: bool,
    values: Vec<(ParamName, Value)>,
}

impl Typed<'_> {
    fn fold(&self, text: &str) -> Folded {
        let mut folded =
            Configuration::fold(self.profile, self.variant, &self.values, self.prefixed);
        let label = folded.configuration.label();
        if label.as_str() != text && folded.reasons.is_empty() {
            folded.reasons.push(format!("`{text}` is written {label}"));
        }
        folded
    }

    fn put_in_order(&mut self, variables: &[ParamName]) -> Result<(), ConfigTextError> {
        for (name, _) in &self.values {
            if !variables.contains(name) {
                return Err(ConfigTextError::UnknownParam {
                    name: name.to_string(),
                    variant: self.variant.to_string(),
                    hint: did_you_mean(name.as_str(), variables.iter().map(ParamName::as_str)),
                });
            }
        }
        let is_set = |name: &ParamName| self.values.iter().any(|(set, _)| set == name);
        if let Some(name) = variables.iter().find(|name| !is_set(name)) {
            return Err(ConfigTextError::NotSet {
                name: name.to_string(),
            });
        }
        self.values
            .sort_by_key(|(name, _)| variables.iter().position(|ordered| ordered == name));
        Ok(())
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), ConfigTextError> {
        let value = match param::accepts(self.profile, name) {
            Accepts::Anything => param::variable_value(text),
            Accepts::Kind(kind) => typed_value(kind, text)
                .filter(|value| param::allows(kind, value))
                .ok_or_else(|| ConfigTextError::Value {
                    name: name.to_owned(),
                    text: text.to_owned(),
                    wanted: param::wanted(kind),
                })?,
            Accepts::Nothing => {
                let known = self.profile.params.iter().map(|param| param.name.as_str());
                return Err(ConfigTextError::UnknownParam {
                    name: name.to_owned(),
                    variant: self.variant.to_string(),
                    hint: did_you_mean(name, known),
                });
            }
        };
        let name = ParamName::new(name);
        if self.values.iter().any(|(set, _)| set == &name) {
            let name = name.to_string();
            return Err(ConfigTextError::Twice { name });
        }
        self.values.push((name, value));
        Ok(())
    }
}

fn parse<'v>(
    text: &str,
    variants: &'v [(VariantName, Profile)],
) -> Result<Typed<'v>, ConfigTextError> {
    // A prefix holds only the characters of a name; a colon behind others
    // belongs to a value.
    let prefix = text
        .split_once(':')
        .map(|(prefix, body)| (prefix.trim(), body))
        .filter(|(prefix, _)| prefix.chars().all(is_name_char));
    let body = prefix.map_or(text, |(_, body)| body);
    let place = match prefix {
        None => 0,
        Some((name, _)) => variants
            .iter()
            .position(|(variant, _)| variant.as_str() == name)
            .ok_or_else(|| ConfigTextError::UnknownVariant {
                name: name.to_owned(),
                hint: did_you_mean(name, variants.iter().map(|(variant, _)| variant.as_str())),
            })?,
    };
    let (variant, profile) = variants.get(place).ok_or(ConfigTextError::Empty)?;
    let mut typed = Typed {
        variant,
        profile,
        prefixed: place > 0,
        values: Vec::new(),
    };
    if body.trim().is_empty() {
        // A server without variables is its name alone.
        let is_whole = prefix.is_some() && profile.takes_any_param();
        return if is_whole {
            Ok(typed)
        } else {
            Err(ConfigTextError::Empty)
        };
    }
    for (place, part) in param::split_pairs(body).into_iter().enumerate() {
        match part.split_once('=') {
            // Only names are trimmed: a value may begin or end with a space.
            Some((name, value)) => typed.set(name.trim(), value)?,
            None if place == 0 && profile.label_fields > 0 => fields(part, &mut typed)?,
            None => {
                let text = part.to_owned();
                return Err(ConfigTextError::NotAPair { text });
            }
        }
    }
    Ok(typed)
}

fn fields(text: &str, typed: &mut Typed<'_>) -> Result<(), ConfigTextError> {
    let profile = typed.profile;
    let names: Vec<&str> = profile
        .params
        .iter()
        .take(profile.label_fields)
        .map(|param| param.name.as_str())
        .collect();
    let values: Vec<&str> = text.split('/').collect();
    if values.len() > names.len() {
        return Err(ConfigTextError::TooManyFields {
            given: values.len(),
            fields: in_words(&names),
        });
    }
    for (name, value) in names.into_iter().zip(values) {
        typed.set(name, value.trim())?;
    }
    Ok(())
}

fn typed_value(kind: &ParamKind, text: &str) -> Option<Value> {
    let text = text.trim();
    match kind {
        ParamKind::Int { .. } => text.parse().ok().map(Value::Int),
        ParamKind::Switch => text.parse().ok().map(Value::Bool),
        ParamKind::Word { .. } => Some(Value::from(text)),
    }
}

//! The environment that a server gets: complete and explicit.
//!
//! Everything that `autotune` itself was started with is handed on, as a shell
//! would do in production, except what would set a parameter behind the command
//! line's back. Then come the profile's own variables and, strongest, those of
//! the variant: what the user sets on purpose is kept even where it was cleared.

use std::collections::BTreeMap;

use autotune_model::{EnvValue, Profile, Secret, ServerVariant};

use crate::redact::Redactor;
use crate::shipped::Behaviour;
use crate::template::{RenderError, Template};

/// A complete environment, and its secrets.
#[derive(Clone, Debug)]
pub struct Environment {
    /// By name, each once. Any value may be a secret, so all are held as one.
    pub variables: Vec<(String, Secret<String>)>,
    /// Takes the secrets out of texts.
    pub redactor: Redactor,
}

pub(crate) struct Sources<'a> {
    pub(crate) variant: &'a ServerVariant,
    pub(crate) profile: &'a Profile,
    pub(crate) behaviour: &'a Behaviour,
    pub(crate) inherited: &'a BTreeMap<String, String>,
}

impl Environment {
    /// For a launch of the server.
    pub(crate) fn for_server(
        sources: &Sources<'_>,
        template: &Template,
    ) -> Result<Self, RenderError> {
        let mut variables = sources.inherited.clone();
        for name in &sources.profile.cleared_env {
            variables.remove(name);
        }
        if variables.contains_key("PWD") {
            let dir = sources.variant.dir.display().to_string();
            variables.insert("PWD".to_owned(), dir);
        }
        variables.extend(sources.behaviour.env.clone());
        let mut secrets = Vec::new();
        for (name, value) in &sources.variant.env {
            let (text, secret) = match value {
                EnvValue::Text(text) => (template.fill(text)?, false),
                EnvValue::FromEnv { name: from, secret } => {
                    let found = sources.inherited.get(from);
                    let text = found.ok_or_else(|| RenderError::MissingEnv {
                        variable: name.clone(),
                        from: from.clone(),
                    })?;
                    if *secret && from != name {
                        // The server gets it under the name that was asked for only.
                        variables.remove(from);
                    }
                    (text.clone(), *secret)
                }
                EnvValue::Secret(text) => (text.expose().clone(), true),
            };
            if secret {
                secrets.push(text.clone());
            }
            variables.insert(name.clone(), text);
        }
        Ok(Self::of(variables, &secrets))
    }

    /// For setup steps: what `autotune` has, unchanged, since a package
    /// installer needs its proxies, indexes and certificates.
    pub(crate) fn for_setup(inherited: &BTreeMap<String, String>) -> Self {
        Self::of(inherited.clone(), &[])
    }

    fn of(variables: BTreeMap<String, String>, secrets: &[String]) -> Self {
        Self {
            redactor: Redactor::new(secrets.iter().map(String::as_str)),
            variables: variables
                .into_iter()
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        }
    }
}

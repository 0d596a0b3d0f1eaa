//! The environment that a server gets: complete and explicit.
//!
//! Everything that `autotune` itself was started with is handed on, as a shell
//! would do in production, except what would set a parameter behind the command
//! line's back. Then come the profile's own variables and, strongest, those of
//! the variant: what the user sets on purpose is kept even where it was cleared.

use std::collections::BTreeMap;

use autotune_model::{EnvValue, Profile, Secret, ServerVariant, Service};

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

/// Sets what the grid file gives; the secrets among it.
fn set(
    variables: &mut BTreeMap<String, String>,
    (given, inherited): (&[(String, EnvValue)], &BTreeMap<String, String>),
    template: &Template,
) -> Result<Vec<String>, RenderError> {
    let mut secrets = Vec::new();
    for (name, value) in given {
        let (text, secret) = match value {
            EnvValue::Text(text) => (template.fill(text)?, false),
            EnvValue::FromEnv { name: from, secret } => {
                let found = inherited.get(from);
                let text = found.ok_or_else(|| RenderError::MissingEnv {
                    variable: name.clone(),
                    from: from.clone(),
                })?;
                if *secret && from != name {
                    // It is there under the name that was asked for only.
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
    Ok(secrets)
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
        let given = (&sources.variant.env[..], sources.inherited);
        let secrets = set(&mut variables, given, template)?;
        Ok(Self::of(variables, &secrets))
    }

    /// For a service: what `autotune` has, then what its user is known by where
    /// that is another one, then the service's own.
    pub(crate) fn for_service(
        service: &Service,
        (inherited, of_user): (&BTreeMap<String, String>, &[(&str, String)]),
        template: &Template,
    ) -> Result<Self, RenderError> {
        let mut variables = inherited.clone();
        if variables.contains_key("PWD") {
            variables.insert("PWD".to_owned(), service.dir.display().to_string());
        }
        let of_user = of_user.iter();
        variables.extend(of_user.map(|(name, value)| ((*name).to_owned(), value.clone())));
        let secrets = set(&mut variables, (&service.env, inherited), template)?;
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

//! Holes in texts of the grid file: `{{ cache }}`, `{{ run }}` and the like.
//!
//! A hole that nothing fills is an error, never an empty text.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use autotune_model::{Configuration, ServiceName, Value};
use minijinja::{Environment, UndefinedBehavior};

/// Where and how a server is launched: what fills the holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the setup steps built.
    pub cache: PathBuf,
    /// The trial's fresh folder.
    pub run: PathBuf,
    /// The address to listen at.
    pub address: SocketAddr,
    /// How many CPUs the server gets.
    pub cores: usize,
    /// The services that run.
    pub services: BTreeMap<ServiceName, ServicePlace>,
}

/// Where a service runs: what fills `{{ service.db.port }}` and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlace {
    /// What its setup steps built.
    pub cache: PathBuf,
    /// Its fresh folder.
    pub run: PathBuf,
    /// The address to listen at.
    pub address: SocketAddr,
}

/// A command line or an environment that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A hole that nothing fills, or a text that is not a template.
    #[error("cannot fill in `{text}`")]
    Template {
        /// As in the grid file.
        text: String,
        /// What is wrong with it.
        #[source]
        source: Box<minijinja::Error>,
    },
    /// A variable is to be taken from an environment that does not have it.
    #[error("`{variable}` is to be taken from the environment variable `{from}`, which is not set")]
    MissingEnv {
        /// The variable of the server.
        variable: String,
        /// The variable of this program.
        from: String,
    },
    /// The profile needs an app.
    #[error("profile `{profile}` needs an `app`")]
    MissingApp {
        /// The profile.
        profile: String,
    },
    /// The profile needs a command.
    #[error("profile `{profile}` needs a `command`")]
    MissingCommand {
        /// The profile.
        profile: String,
    },
    /// An argument that would take launching out of our hands.
    #[error("`{argument}` in `args` is set by autotune itself and cannot be given")]
    Reserved {
        /// The argument.
        argument: String,
    },
    /// No shipped profile has this name.
    #[error("there is no profile `{profile}`")]
    UnknownProfile {
        /// The name.
        profile: String,
    },
}

impl ServicePlace {
    /// What others may know of it.
    fn holes(&self) -> BTreeMap<&'static str, minijinja::Value> {
        BTreeMap::from([
            ("run", self.run.display().to_string().into()),
            ("host", self.address.ip().to_string().into()),
            ("port", self.address.port().into()),
        ])
    }
}

/// Fills holes.
#[derive(Debug)]
pub(crate) struct Template {
    engine: Environment<'static>,
    values: BTreeMap<String, minijinja::Value>,
}

impl Template {
    /// For a place and, where there is one, a configuration: its parameters are
    /// variables, but none can take the name of a hole.
    pub(crate) fn new(place: &Place, configuration: Option<&Configuration>) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in configuration.into_iter().flat_map(Configuration::values) {
            let value = match value {
                Value::Int(number) => minijinja::Value::from(*number),
                Value::Bool(flag) => minijinja::Value::from(*flag),
                Value::Text(text) => minijinja::Value::from(text.as_str()),
            };
            values.insert(name.as_str().to_owned(), value);
        }
        let holes: [(&str, minijinja::Value); 5] = [
            ("cache", place.cache.display().to_string().into()),
            ("run", place.run.display().to_string().into()),
            ("host", place.address.ip().to_string().into()),
            ("port", place.address.port().into()),
            ("cores", place.cores.into()),
        ];
        values.extend(holes.map(|(name, value)| (name.to_owned(), value)));
        Self::of(values, &place.services)
    }

    /// For setup steps, which run before there is a trial: only the cache.
    pub(crate) fn for_setup(cache: &Path) -> Self {
        let cache = cache.display().to_string().into();
        Self::of([("cache".to_owned(), cache)].into(), &BTreeMap::new())
    }

    /// For the texts of a service, of which others already run.
    pub(crate) fn for_service(
        place: &ServicePlace,
        others: &BTreeMap<ServiceName, ServicePlace>,
    ) -> Self {
        let mut values = place.holes();
        values.insert("cache", place.cache.display().to_string().into());
        let values = values.into_iter();
        Self::of(
            values
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            others,
        )
    }

    fn of(
        mut values: BTreeMap<String, minijinja::Value>,
        services: &BTreeMap<ServiceName, ServicePlace>,
    ) -> Self {
        let services = services.iter().map(|(name, place)| {
            let holes = minijinja::Value::from_pairs(place.holes());
            (name.as_str(), holes)
        });
        let services = minijinja::Value::from_pairs(services);
        values.insert("service".to_owned(), services);
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        Self { engine, values }
    }

    /// The text with its holes filled.
    pub(crate) fn fill(&self, text: &str) -> Result<String, RenderError> {
        if !text.contains('{') {
            return Ok(text.to_owned());
        }
        self.engine
            .render_str(text, &self.values)
            .map_err(|source| RenderError::Template {
                text: text.to_owned(),
                source: Box::new(source),
            })
    }

    /// Each word with its holes filled. Words were split before, so that a path
    /// with a space stays one word. A word that was all template and is empty
    /// now is left out: `{% if preload %}--preload{% endif %}`.
    pub(crate) fn fill_words(&self, words: &[String]) -> Result<Vec<String>, RenderError> {
        let mut filled = Vec::with_capacity(words.len());
        for word in words {
            let text = self.fill(word)?;
            if !text.is_empty() || word.is_empty() {
                filled.push(text);
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template::new(
            &Place {
                cache: "/c a/k".into(),
                run: "/r".into(),
                address: ([127, 0, 0, 1], 9000).into(),
                cores: 2,
                services: [(
                    ServiceName::new("db"),
                    ServicePlace {
                        cache: "/c/db".into(),
                        run: "/r/db".into(),
                        address: ([127, 0, 0, 1], 9001).into(),
                    },
                )]
                .into(),
            },
            None,
        )
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(template().fill(text).expect("fills"), expected);
    }

    #[test]
    fn holes_are_filled() {
        check("{{ cache }}/venv", "/c a/k/venv");
        check("{{run}}:{{ host }}:{{ port }}", "/r:127.0.0.1:9000");
        check("{{ cores * 2 + 1 }}", "5");
        check("plain <&> \"text\"", "plain <&> \"text\"");
    }

    #[test]
    fn services_fill_holes_of_their_own() {
        check(
            "{{ service.db.host }}:{{ service.db.port }} {{service.db.run}}",
            "127.0.0.1:9001 /r/db",
        );
        for unknown in ["{{ service.db.cache }}", "{{ service.pool.port }}"] {
            assert!(template().fill(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn a_word_with_a_space_in_its_value_stays_one_word() {
        let words = ["{{ cache }}/x".to_owned(), "-v".to_owned()];
        let filled = template().fill_words(&words).expect("fills");
        assert_eq!(filled, ["/c a/k/x", "-v"]);
    }

    #[test]
    fn an_omitted_word_leaves_no_empty_one() {
        let words = [
            "{% if cores > 4 %}--many{% endif %}".to_owned(),
            String::new(),
        ];
        assert_eq!(template().fill_words(&words).expect("fills"), [""]);
    }

    #[test]
    fn an_unknown_hole_is_an_error_that_shows_the_text() {
        let error = template()
            .fill("{{ chache }}/venv")
            .expect_err("no such hole");
        assert_eq!(error.to_string(), "cannot fill in `{{ chache }}/venv`");
    }
}

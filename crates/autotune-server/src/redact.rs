//! Takes secrets out of texts before they reach store, log or report.

use autotune_model::Secret;

const SHOWN: &str = "(secret)";

/// Knows the secrets of one launch.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, so that a secret within another one leaves no rest.
    secrets: Vec<Secret<String>>,
}

impl Redactor {
    /// For these secrets. The password within a URL is a secret of its own:
    /// programs print it without the rest.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<&str> = Vec::new();
        for secret in secrets {
            all.push(secret);
            all.extend(url_password(secret));
        }
        all.retain(|secret| !secret.trim().is_empty());
        // Equal ones stand side by side, or some would stay.
        all.sort_unstable_by_key(|secret| (std::cmp::Reverse(secret.len()), *secret));
        all.dedup();
        Self {
            secrets: all
                .into_iter()
                .map(|secret| Secret::new(secret.to_owned()))
                .collect(),
        }
    }

    /// Knows these secrets as well.
    pub fn with<'a>(&'a self, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let own = self.secrets.iter().map(|secret| secret.expose().as_str());
        Self::new(own.chain(secrets))
    }

    /// The text without the secrets.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            if clean.contains(secret.expose().as_str()) {
                clean = clean.replace(secret.expose().as_str(), SHOWN);
            }
        }
        clean
    }
}

fn url_password(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secrets: &[&str], text: &str, expected: &str) {
        assert_eq!(Redactor::new(secrets.iter().copied()).clean(text), expected);
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        check(&["hunter2"], "a hunter2, hunter2", "a (secret), (secret)");
        check(&["ab", "abc"], "abc ab", "(secret) (secret)");
        check(&["", " "], "a b", "a b");
        check(&[], "nothing", "nothing");
    }

    #[test]
    fn each_secret_is_known_once() {
        let known = Redactor::new(["abc", "xyz", "abc", "long", "xyz"]);
        assert_eq!(known.secrets.len(), 3);
    }

    #[test]
    fn more_secrets_can_be_added() {
        let more = Redactor::new(["abc"]).with(["abcd", "x"]);
        assert_eq!(more.clean("abcd x abc"), "(secret) (secret) (secret)");
    }

    #[test]
    fn the_password_of_a_url_is_a_secret_of_its_own() {
        check(
            &["postgres://me:pw%21x@db/app"],
            "login of me with pw%21x failed",
            "login of me with (secret) failed",
        );
    }
}

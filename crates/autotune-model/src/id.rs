//! Identities: what makes two things the same, apart from how they print.

use std::fmt;

use sha2::{Digest, Sha256};

/// The identity of a configuration: a hash of its canonical bytes.
///
/// Never an index and never printed text, so that neither a new order nor a
/// new spelling makes stored trials strangers. The first byte of what is hashed
/// is a format version, see [`crate::Configuration::canonical_bytes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigId([u8; 16]);

impl ConfigId {
    /// The identity of these canonical bytes: the first 128 bits of SHA-256.
    pub fn of(canonical: &[u8]) -> Self {
        let digest = Sha256::digest(canonical);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// The identity as stored.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigId({self})")
    }
}

/// A seed. Every seed that shapes a study is stored with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The seed with this value.
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// The value, for a generator.
    pub fn value(self) -> u64 {
        self.0
    }

    /// An independent seed for one part of the work, the same for the same
    /// words: SHA-256 over this seed and the words.
    pub fn derive(self, purpose: &str, numbers: &[u64]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0.to_le_bytes());
        hash.update(purpose.as_bytes());
        hash.update([0]);
        for number in numbers {
            hash.update(number.to_le_bytes());
        }
        let digest = hash.finalize();
        let mut word = [0; 8];
        word.copy_from_slice(&digest[..8]);
        // SQLite has only signed integers; a seed that fits one is stored as it is.
        Self(u64::from_le_bytes(word) >> 1)
    }
}

/// The name of a server variant: `gunicorn` in `[server.gunicorn]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariantName(String);

impl VariantName {
    /// The variant with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as written in the grid file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a service: `db` in `[service.db]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    /// The service with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as written in the grid file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_seeds_differ_by_purpose_and_number() {
        let seed = Seed::new(7);
        let all = [
            seed.derive("order", &[1]),
            seed.derive("order", &[2]),
            seed.derive("load", &[1]),
            Seed::new(8).derive("order", &[1]),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(seed.derive("order", &[1]), all[0]);
    }
}

//! `[limits]` in the schema.

use autotune_model::CpuQuota;
use serde_json::{Value, json};

use super::{AMOUNT, described, object, with_default};
use crate::limits;

pub(super) fn limits() -> Value {
    let schema = object(&limits::KEYS, &[], |key| {
        let (shape, words) = match key {
            "memory" => (
                json!({ "type": "string", "pattern": AMOUNT }),
                "The memory that all processes of the server may have together, such as \"1GiB\", \
                 without swap. The kernel ends one of them when it is used up, and the trial's \
                 outcome is `out-of-memory`. The page cache of files that it reads counts, but \
                 gives way.",
            ),
            "cpus" => (
                json!({
                    "type": "number", "exclusiveMinimum": 0,
                    "minimum": CpuQuota::LEAST, "maximum": CpuQuota::MOST,
                }),
                "The CPU time that they may have together, in CPUs: 2, or 0.5 for half of one. \
                 `cores` in [grid] is at most that.",
            ),
            "files" => (
                json!({
                    "type": "integer",
                    "minimum": limits::LEAST_FILES, "maximum": limits::MOST_FILES,
                }),
                "How many descriptors each process may have open, connections among them \
                 (`ulimit -n`); without it as many as this user may have.",
            ),
            _ => return None,
        };
        Some(with_default(described(shape, words), &["limits", key]))
    });
    let words = "What the production host or container lets the server have. It is kept to that \
                 in every trial.";
    described(schema, words)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::tree::Keys;

    use super::*;

    /// The keys with where they stand in the schema.
    pub(in crate::schema) fn place() -> (&'static Keys<'static>, &'static str) {
        (&limits::KEYS, "/properties/limits/properties")
    }
}

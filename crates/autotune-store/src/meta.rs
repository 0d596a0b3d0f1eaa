//! What is known of a study before its first trial: written once.

use autotune_model::{CpuPlacement, CpuSet, HostFacts, Seed};
use rusqlite::{Connection, OptionalExtension};

use crate::error::Fault;
use crate::rows::insert;

/// The format to state in [`StudyMeta::format`] for a new study.
pub const FORMAT: u32 = 2;

/// What makes a study, and where and with what it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyMeta {
    /// As in `name = "blog"`. The key of the study within its database.
    pub name: String,
    /// The format that it was created in, see [`FORMAT`]. The database's own
    /// version may be newer, after a migration.
    pub format: u32,
    /// The version of `autotune` that created it.
    pub tool_version: String,
    /// The grid file, byte for byte.
    pub grid_text: String,
    /// A hash, made by the caller, of what makes the study the same: the
    /// meaning of the grid and the content of the app.
    pub identity: String,
    /// From which all other seeds are derived.
    pub seed: Seed,
    /// The machine.
    pub host: HostFacts,
    /// Nanoseconds since 1970 UTC.
    pub created_wall_ns: i64,
    /// Who runs on which CPUs.
    pub placement: CpuPlacement,
    /// Versions, commit, command line and the like: pairs of name and text, in
    /// the order to be shown.
    pub provenance: Vec<(String, String)>,
}

pub(crate) fn insert_meta(connection: &Connection, meta: &StudyMeta) -> Result<(), Fault> {
    let server_cpus = cpus_to_json(meta.placement.server.as_ref())?;
    let generator_cpus = cpus_to_json(meta.placement.generator.as_ref())?;
    insert(
        connection,
        "study",
        &[
            ("study", &meta.name),
            ("format", &meta.format),
            ("tool_version", &meta.tool_version),
            ("grid_text", &meta.grid_text),
            ("identity", &meta.identity),
            ("seed", &meta.seed.value().cast_signed()),
            ("created_wall_ns", &meta.created_wall_ns),
            ("server_cpus_json", &server_cpus),
            ("generator_cpus_json", &generator_cpus),
            ("cores_count", &meta.placement.cores),
        ],
    )?;
    insert_facts(connection, &meta.name, ("host", &meta.host.facts))?;
    insert_facts(connection, &meta.name, ("provenance", &meta.provenance))
}

fn insert_facts(
    connection: &Connection,
    study: &str,
    (kind, facts): (&str, &[(String, String)]),
) -> Result<(), Fault> {
    for (number, (name, value)) in (0i64..).zip(facts) {
        insert(
            connection,
            "study_fact",
            &[
                ("study", &study),
                ("kind", &kind),
                ("number", &number),
                ("name", name),
                ("value", value),
            ],
        )?;
    }
    Ok(())
}

/// The one study of a database; `None` where there is none or more than one.
pub(crate) fn load_meta(connection: &Connection) -> Result<Option<StudyMeta>, Fault> {
    let count: u32 = connection.query_row("SELECT COUNT(*) FROM study", [], |row| row.get(0))?;
    if count != 1 {
        return Ok(None);
    }
    let found = connection
        .query_row("SELECT * FROM study ORDER BY study", [], |row| {
            let cpus: [Option<String>; 2] = [
                row.get("server_cpus_json")?,
                row.get("generator_cpus_json")?,
            ];
            let seed: i64 = row.get("seed")?;
            let meta = StudyMeta {
                name: row.get("study")?,
                format: row.get("format")?,
                tool_version: row.get("tool_version")?,
                grid_text: row.get("grid_text")?,
                identity: row.get("identity")?,
                seed: Seed::new(seed.cast_unsigned()),
                host: HostFacts::default(),
                created_wall_ns: row.get("created_wall_ns")?,
                placement: CpuPlacement {
                    server: None,
                    generator: None,
                    cores: row.get("cores_count")?,
                },
                provenance: Vec::new(),
            };
            Ok((meta, cpus))
        })
        .optional()?;
    let Some((mut meta, [server, generator])) = found else {
        return Ok(None);
    };
    meta.placement.server = cpus_from_json(server)?;
    meta.placement.generator = cpus_from_json(generator)?;
    meta.host.facts = load_facts(connection, &meta.name, "host")?;
    meta.provenance = load_facts(connection, &meta.name, "provenance")?;
    Ok(Some(meta))
}

fn load_facts(
    connection: &Connection,
    study: &str,
    kind: &str,
) -> Result<Vec<(String, String)>, Fault> {
    let sql = "SELECT name, value FROM study_fact WHERE study = ?1 AND kind = ?2 ORDER BY number";
    let mut statement = connection.prepare(sql)?;
    let facts = statement.query_map([study, kind], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(facts.collect::<Result<_, _>>()?)
}

fn cpus_to_json(cpus: Option<&CpuSet>) -> Result<Option<String>, Fault> {
    let text = cpus.map(|cpus| serde_json::to_string(cpus.as_slice()));
    Ok(text.transpose()?)
}

fn cpus_from_json(text: Option<String>) -> Result<Option<CpuSet>, Fault> {
    let numbers: Option<Vec<usize>> = text.map(|text| serde_json::from_str(&text)).transpose()?;
    Ok(numbers.map(CpuSet::new))
}

//! What makes a study the same: the meaning of the grid, the app's sources, its
//! fixture and the data that fills its requests.
//!
//! A changed budget does not make trials strangers; a changed server, endpoint,
//! login, load, fixture, data or source file does, and under another objective or baseline the
//! same trials would have been chosen otherwise. `may_reach` is left out: a sweep
//! that was stopped for a connection goes on once the address is allowed. The
//! app's database, logs and compiled files change with every trial and are left
//! out, as are the studies' own folders and virtual environments; the versions of
//! server and Python are compared where a study goes on.

use std::io::Read;
use std::path::{Path, PathBuf};

use autotune_model::{
    Asked, Configuration, DataTable, EndpointName, EnvValue, Expect, Extractor, HostLimits, Levels,
    LoadShape, Login, Objective, Part, Pause, ServerVariant, Service, ServiceReady, ServiceUser,
    Share, Text, Think,
};
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::grid_file::Grid;
use crate::study::DATABASE;

/// Endings of files that are sources.
const SOURCES: [&str; 20] = [
    "py", "rb", "js", "mjs", "ts", "go", "rs", "php", "html", "htm", "j2", "jinja", "jinja2",
    "sql", "sh", "toml", "cfg", "ini", "yaml", "yml",
];
/// Folders that hold no sources of the app.
const SKIPPED: [&str; 5] = ["__pycache__", "node_modules", "venv", "env", "target"];
/// What tells of such a folder whatever its name: a virtual environment, a study.
const SIGNS: [&str; 2] = ["pyvenv.cfg", DATABASE];
/// More files than this are no app but something else below the folder.
const MOST_FILES: usize = 20_000;

/// Text parts with their lengths, so that no two sequences look alike.
struct Feed(Sha256);

impl Feed {
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        texts.into_iter().for_each(|text| self.text(text));
        self.text("end");
    }
}

/// The identity of a study that has its results below this folder.
///
/// # Errors
/// When the app's folder cannot be read.
pub(crate) fn identity(grid: &Grid, results: &Path) -> Result<String, Failure> {
    let mut feed = Feed(Sha256::new());
    feed.text("autotune study 3");
    for variant in &grid.file.variants {
        feed_variant(&mut feed, variant);
        for path in sources(&variant.dir, results)? {
            // Its meaning is fed in below; a larger budget must not be a change.
            if is_same_file(&path, &grid.path) {
                continue;
            }
            feed.text(
                &path
                    .strip_prefix(&variant.dir)
                    .unwrap_or(&path)
                    .to_string_lossy(),
            );
            let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, error))?;
            feed.0.update(Sha256::digest(&bytes));
        }
        feed.texts(variant.fixture.as_ref().map(|_| "fixture"));
        if let Some(fixture) = &variant.fixture {
            feed_tree(&mut feed, fixture)?;
        }
    }
    for service in &grid.file.services {
        feed_service(&mut feed, service)?;
    }
    feed_objective(&mut feed, &grid.file.objective);
    for configuration in grid.configurations() {
        feed.0.update(configuration.id().as_bytes());
    }
    for endpoint in &grid.file.endpoints {
        feed.texts([endpoint.name.as_str(), &endpoint.weight.to_string()]);
        feed_request(&mut feed, endpoint.asked(), &endpoint.expect);
    }
    if let Some(login) = &grid.file.login {
        feed_login(&mut feed, login);
    }
    for table in grid.data.iter() {
        feed_data(&mut feed, table);
    }
    feed_load(&mut feed, &grid.file.load);
    feed.texts([grid.file.connections.to_string().as_str()]);
    feed.text(&format!("keep awake {}", grid.file.host.keep_awake));
    feed_limits(&mut feed, &grid.file.limits);
    let digest = feed.0.finalize();
    Ok(digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Nothing where nothing is limited: studies of before there were limits go on.
fn feed_limits(feed: &mut Feed, limits: &HostLimits) {
    let HostLimits {
        memory,
        cpus,
        files,
    } = limits;
    if !limits.is_empty() {
        feed.text(&format!("limits {memory:?} {cpus:?} {files:?}"));
    }
}

fn feed_load(feed: &mut Feed, load: &LoadShape) {
    let ramp = load.ramp();
    // Without anything further the texts are as they always were, so that a study
    // goes on.
    if !ramp.is_zero() {
        feed.text(&format!("ramp {ramp:?}"));
    }
    match load {
        LoadShape::Open(open) => {
            for group in &open.groups {
                feed_members(feed, group.endpoints.as_deref());
                let arrivals = group.who.arrivals;
                feed.text(&match &group.who.rate {
                    Levels::Constant(rate) => format!("open {} {arrivals:?}", rate.get()),
                    steps @ Levels::Steps(_) => format!("open {steps:?} {arrivals:?}"),
                });
            }
        }
        LoadShape::Closed(closed) => {
            for group in &closed.groups {
                feed_members(feed, group.endpoints.as_deref());
                feed.text(&match (&group.who.count, group.who.pause) {
                    (Levels::Constant(count), Pause::Think(Think::Fixed(think))) => {
                        format!("closed {count} {think:?}")
                    }
                    (count, pause) => format!("closed {count:?} {pause:?}"),
                });
                if let Some(loops) = group.who.loops {
                    feed.text(&format!("{loops:?}"));
                }
            }
        }
    }
}

fn feed_members(feed: &mut Feed, names: Option<&[EndpointName]>) {
    if let Some(names) = names {
        feed.texts(names.iter().map(EndpointName::as_str));
    }
}

fn feed_variant(feed: &mut Feed, variant: &ServerVariant) {
    feed.texts([variant.name.as_str(), &variant.profile]);
    feed.texts(variant.app.as_deref());
    feed.texts(variant.setup.iter().flatten().map(String::as_str));
    feed.texts(variant.bin.as_deref());
    feed.texts(
        variant
            .args
            .iter()
            .chain(&variant.command)
            .map(String::as_str),
    );
    feed.texts(
        variant
            .ready
            .as_deref()
            .into_iter()
            .chain(variant.stop.as_deref()),
    );
    for (name, value) in &variant.env {
        feed_value(feed, name, value);
    }
    for (key, commands) in [
        ("before_trial", &variant.before_trial),
        ("after_trial", &variant.after_trial),
    ] {
        feed.text(key);
        for words in commands {
            feed.texts(words.iter().map(String::as_str));
        }
    }
}

/// What a service is, with the files that its commands name. Where it may connect
/// to is left out, as of servers.
fn feed_service(feed: &mut Feed, service: &Service) -> Result<(), Failure> {
    feed.texts(["service", service.name.as_str(), &service.stop]);
    feed.texts(service.start.iter().map(String::as_str));
    match &service.ready {
        ServiceReady::Port => feed.text("port"),
        ServiceReady::Path(path) => feed.texts(["path", path]),
        ServiceReady::Command(words) => feed.texts(words.iter().map(String::as_str)),
    }
    match &service.user {
        ServiceUser::Own => feed.text("own user"),
        ServiceUser::Always(name) => feed.texts(["user", name]),
        ServiceUser::WhenRoot(name) => feed.texts(["user when root", name]),
    }
    feed.texts(service.cpus.as_ref().map(ToString::to_string).as_deref());
    for (name, value) in &service.env {
        feed_value(feed, name, value);
    }
    let commands = service.setup.iter().chain([&service.start]).cloned();
    let commands: Vec<Vec<String>> = commands.collect();
    let files = autotune_trial::files_key(&service.dir, &commands, "");
    let files = files.map_err(|error| unreadable(&service.dir, error))?;
    feed.texts(["files", &files]);
    Ok(())
}

fn feed_value(feed: &mut Feed, name: &str, value: &EnvValue) {
    match value {
        EnvValue::Text(text) => feed.texts([name, text]),
        EnvValue::FromEnv { name: from, .. } => feed.texts([name, from]),
        // Neither the secret nor a hash of it may be stored.
        EnvValue::Secret(_) => feed.texts([name]),
    }
}

fn feed_request(feed: &mut Feed, asked: Asked<'_>, expect: &Expect) {
    feed.text(asked.method.as_str());
    feed_text(feed, "path", asked.path);
    for (name, value) in asked.headers {
        feed_text(feed, name, value);
    }
    if let Some(body) = asked.body {
        feed_text(feed, "body", body);
    }
    let statuses: Vec<String> = expect.status.iter().map(u16::to_string).collect();
    feed.texts(statuses.iter().map(String::as_str));
    feed.texts(expect.contains.as_deref());
    for bytes in [expect.min_bytes, expect.max_bytes] {
        feed.texts(bytes.map(|bytes| bytes.to_string()).as_deref());
    }
    // Nothing where nothing is expected: studies of before go on.
    for one in &expect.json {
        feed.texts(["json", &one.pointer, &format!("{:?}", one.wanted)]);
    }
    feed.text("end");
}

fn feed_text(feed: &mut Feed, name: &str, text: &Text) {
    let parts = match text {
        Text::Value(value) => return feed_value(feed, name, value),
        Text::Holed(parts) => parts,
    };
    feed.texts([name, "with holes"]);
    for part in parts {
        match part {
            Part::Fixed(text) => feed.texts(["text", text]),
            Part::Hole(hole) => feed.texts(["hole", &hole.to_string()]),
        }
    }
    feed.text("end");
}

fn feed_login(feed: &mut Feed, login: &Login) {
    feed.texts(["login", &login.sessions.to_string()]);
    for (name, value) in &login.values {
        feed_value(feed, name, value);
    }
    for step in &login.steps {
        feed_request(feed, step.asked(), &step.expect);
        for (name, extractor) in &step.extract {
            match extractor {
                Extractor::Between([before, after]) => {
                    feed.texts([name, "between", before, after]);
                }
                Extractor::Header(header) => feed.texts([name, "header", header]),
                Extractor::Json(pointer) => feed.texts([name, "json", pointer]),
                Extractor::Cookie(cookie) => feed.texts([name, "cookie", cookie]),
            }
        }
        feed.text("end");
    }
}

/// Other rows are other requests. What of them is a password goes into one hash
/// with all of the app's sources.
fn feed_data(feed: &mut Feed, table: &DataTable) {
    feed.texts(["data", &table.name]);
    for row in std::iter::once(&table.columns).chain(&table.rows) {
        feed.texts(row.iter().map(String::as_str));
    }
    feed.text("end");
}

fn feed_objective(feed: &mut Feed, objective: &Objective) {
    let share = |share: Option<Share>| share.map(|share| share.get().to_string());
    let accept = objective.accept;
    let texts = [
        Some(objective.minimize.to_string()),
        Some(objective.over.to_string()),
        share(objective.max_error_rate),
        share(accept.relative),
        accept.absolute.map(|time| time.as_nanos().to_string()),
        share(Some(objective.min_effect)),
    ];
    for text in texts {
        feed.texts(text.as_deref());
    }
    for limit in &objective.max_latency {
        let at_most = limit.at_most.as_nanos().to_string();
        feed.texts([&limit.key(), limit.endpoint.as_str(), &at_most]);
    }
    let most = objective.max_memory.map(|most| most.get().to_string());
    feed.texts(most.as_deref());
    if let Some(surge) = objective.surge {
        feed.texts([format!("surge {}", surge.get()).as_str()]);
    }
    let baseline = objective.baseline.as_ref().map(Configuration::id);
    feed.texts(baseline.map(|id| id.to_string()).as_deref());
}

/// Everything below a folder that a copy of it would hold, by path.
fn feed_tree(feed: &mut Feed, folder: &Path) -> Result<(), Failure> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(|error| unreadable(folder, error))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let cannot = |error| unreadable(&path, error);
        let kind = entry.file_type().map_err(cannot)?;
        feed.text(&entry.file_name().to_string_lossy());
        if kind.is_dir() {
            feed.text("folder");
            feed_tree(feed, &path)?;
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path).map_err(cannot)?;
            feed.texts(["link", &target.to_string_lossy()]);
        } else if kind.is_file() {
            feed.text("file");
            feed.0.update(digest_of(&path).map_err(cannot)?);
        }
    }
    feed.text("end of folder");
    Ok(())
}

/// In pieces: it may be a database of gigabytes.
fn digest_of(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = std::fs::File::open(path)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(digest.finalize().into());
        }
        digest.update(&piece[..count]);
    }
}

/// The source files below a folder, by path; what is below the results is none.
fn sources(dir: &Path, results: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            let kind = entry
                .file_type()
                .map_err(|error| unreadable(&entry.path(), error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let skipped = name.starts_with('.') || SKIPPED.contains(&name.as_ref());
            let is_foreign = || is_same_file(&entry.path(), results) || has_sign(&entry.path());
            if kind.is_dir() && !skipped && !is_foreign() {
                folders.push(entry.path());
            } else if kind.is_file() && is_source(&entry.path()) {
                found.push(entry.path());
            }
        }
        if found.len() > MOST_FILES {
            return Err(Failure::usage(format!(
                "{} holds more than {MOST_FILES} source files",
                dir.display()
            ))
            .hint("let `dir` name the folder of the app alone"));
        }
    }
    found.sort();
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    // Other texts are as likely to be somebody's output.
    let is_requirements = name.starts_with("requirements") && name.ends_with(".txt");
    is_requirements || ending.is_some_and(|ending| SOURCES.contains(&ending))
}

fn has_sign(folder: &Path) -> bool {
    SIGNS.iter().any(|name| folder.join(name).is_file())
}

fn is_same_file(path: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    canonical(path).is_some_and(|path| Some(path) == canonical(other))
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read", path.display())).because(error)
}

#[cfg(test)]
mod tests;

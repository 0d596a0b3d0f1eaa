//! Texts with holes (`{{ … }}`): split into words around the holes, and checked
//! before the night begins. Filling the holes is left to whoever launches.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use autotune_model::{EnvValue, ErrorCode, Hole, ParamName, Part, ServiceName, Text};
use minijinja::{Environment, ErrorKind};

use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::scalar::{is_name, is_variable};
use crate::tree::{Node, all};

/// The holes of every text that is filled at launch.
pub(crate) const AT_LAUNCH: [&str; 5] = ["cache", "run", "port", "host", "cores"];
/// The holes of a setup step: it runs before there is a trial.
pub(crate) const AT_SETUP: [&str; 1] = ["cache"];
/// The holes of the texts of a service, beside those of the services before it.
const OF_SERVICE: [&str; 4] = ["cache", "run", "port", "host"];
/// What leads to the holes of a service: `{{ service.db.port }}`.
const SERVICE: &str = "service";
/// What there is of a service.
const PARTS: [&str; 3] = ["host", "port", "run"];

/// Whether a hole of this name is filled by `autotune` itself.
pub(crate) fn is_taken(name: &str) -> bool {
    AT_LAUNCH.contains(&name) || name == SERVICE
}

/// When the holes of a text are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Once, before there is a trial.
    AtSetup,
    /// When a service is started, before any server.
    OfService,
    /// At each launch, the same for all configurations: the server is also
    /// asked for its version in this way, without any configuration.
    AtLaunch,
    /// At each launch, with the parameters of the configuration.
    PerConfiguration,
}

/// A text with holes and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Holed<'a> {
    pub(crate) node: Node<'a>,
    /// The words that are filled one by one.
    pub(crate) words: Vec<String>,
    pub(crate) filled: Filled,
}

/// How holes, statements and comments of templates open and close.
const ALL: [[&str; 2]; 3] = [["{{", "}}"], ["{%", "%}"], ["{#", "#}"]];
/// In requests only two braces open a hole: a query that is copied out of a
/// browser holds `{%22`, and JSON may hold anything. Who writes a statement, which
/// has a space there, means a template and is told that there is none.
const IN_REQUESTS: [[&str; 2]; 2] = [["{{", "}}"], ["{% ", "%}"]];

/// Whether a text has anything to fill.
pub(crate) fn has_holes(text: &str) -> bool {
    next_hole(text, &ALL).is_some()
}

/// Splits into words as a shell would, but never within a hole. `None` when a
/// quote is not closed.
pub(crate) fn split_words(text: &str) -> Option<Vec<String>> {
    // Zero bytes are refused in every text, so they can mark the holes.
    let mut marked = String::new();
    let mut holes = Vec::new();
    let mut rest = text;
    while let Some((start, end)) = next_hole(rest, &ALL) {
        marked.push_str(&rest[..start]);
        marked.push_str(&format!("\0{}\0", holes.len()));
        holes.push(&rest[start..end]);
        rest = &rest[end..];
    }
    marked.push_str(rest);
    let words = shlex::split(&marked)?;
    Some(words.iter().map(|word| with_holes(word, &holes)).collect())
}

fn with_holes(word: &str, holes: &[&str]) -> String {
    // Text and hole numbers alternate between the marks.
    word.split('\0')
        .enumerate()
        .map(|(place, part)| match part.parse::<usize>() {
            Ok(number) if place % 2 == 1 => holes.get(number).copied().unwrap_or_default(),
            _ => part,
        })
        .collect()
}

/// The first hole of these kinds.
fn next_hole(text: &str, kinds: &[[&str; 2]]) -> Option<(usize, usize)> {
    let found = kinds.iter().filter_map(|[open, close]| {
        let start = text.find(*open)?;
        Some((start, *close))
    });
    let (start, close) = found.min_by_key(|(start, _)| *start)?;
    // A hole that is not closed reaches to the end; the check will say so.
    let end = text[start + 2..].find(close);
    Some((start, end.map_or(text.len(), |end| start + 2 + end + 2)))
}

/// What there is to fill holes with, beside what is always there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope<'s> {
    /// Only where a text is filled per configuration.
    pub(crate) params: &'s [ParamName],
    /// The services that run by then. Setup comes before any.
    pub(crate) services: &'s [ServiceName],
    /// This service and those that are started after it.
    pub(crate) later: &'s [ServiceName],
}

/// The names that a text's holes use. Faults for what is no template, and for
/// names and filters that will not be there.
pub(crate) fn check(
    text: &Holed<'_>,
    scope: Scope<'_>,
    faults: &mut Faults,
) -> Checked<BTreeSet<String>> {
    let params = scope.params;
    let mut used = BTreeSet::new();
    for word in &text.words {
        used.append(&mut check_word(&text.node, word, faults)?);
    }
    let of_services: Vec<String> = used
        .iter()
        .filter(|name| is_of_service(name))
        .cloned()
        .collect();
    used.retain(|name| !is_of_service(name));
    if text.filled == Filled::AtSetup && !of_services.is_empty() {
        let fault = text
            .node
            .fault("no service runs when the setup runs", "uses a service");
        let hint = "the setup is done once, before any service starts; use it in `before_trial`";
        return Err(faults.add(fault.hint(hint)));
    }
    all(of_services
        .iter()
        .map(|name| scope.check_service(&text.node, name, faults)))?;
    let mut allowed: Vec<&str> = match text.filled {
        Filled::AtSetup => AT_SETUP.to_vec(),
        Filled::OfService => OF_SERVICE.to_vec(),
        Filled::AtLaunch | Filled::PerConfiguration => AT_LAUNCH.to_vec(),
    };
    if text.filled == Filled::PerConfiguration {
        allowed.extend(params.iter().map(ParamName::as_str));
    }
    let mut result = Ok(());
    for name in used.iter().filter(|name| !allowed.contains(&name.as_str())) {
        let when = match text.filled {
            Filled::AtSetup => " when the setup runs",
            Filled::AtLaunch if params.iter().any(|param| param.as_str() == name) => " here",
            Filled::AtLaunch | Filled::OfService | Filled::PerConfiguration => "",
        };
        let message = format!("nothing is called `{name}`{when}");
        let mut fault = text.node.fault(message, format!("uses `{name}`"));
        fault.hint = did_you_mean(name, allowed.iter().copied());
        result = Err(faults.add(fault));
    }
    result.map(|()| used)
}

fn check_word(node: &Node<'_>, word: &str, faults: &mut Faults) -> Checked<BTreeSet<String>> {
    if !has_holes(word) {
        return Ok(BTreeSet::new());
    }
    let environment = Environment::new();
    let template = environment.template_from_str(word).map_err(|error| {
        let why = error.detail().unwrap_or("syntax error").to_owned();
        let message = format!("`{word}` is not a template: {why}");
        let fault = node.fault(message, "not a template");
        faults.add(fault.hint("a hole is written {{ name }}, with two braces on both sides"))
    })?;
    let mut used: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
    if used.remove(SERVICE) {
        // With the way to what is meant, where it is written out.
        let nested = template.undeclared_variables(true).into_iter();
        used.extend(nested.filter(|name| is_of_service(name)));
    }
    // Only a trial run finds filters that do not exist. Every name stands for a
    // number here; other errors may come from just that and say nothing.
    let words = used.iter().filter(|name| !is_of_service(name));
    let mut ones: BTreeMap<&str, minijinja::Value> =
        words.map(|name| (name.as_str(), 1.into())).collect();
    let services = used.iter().filter_map(|name| name.split('.').nth(1));
    let parts = || minijinja::Value::from_pairs(PARTS.map(|part| (part, 1)));
    let services: Vec<_> = services.map(|name| (name, parts())).collect();
    ones.insert(SERVICE, minijinja::Value::from_pairs(services));
    match template
        .render(&ones)
        .map_err(|error| (error.kind(), error))
    {
        Err((
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction,
            error,
        )) => {
            let why = error.detail().unwrap_or("unknown filter").to_owned();
            let fault = node.fault(
                format!("`{word}` cannot be filled: {why}"),
                "cannot be filled",
            );
            Err(faults.add(fault))
        }
        _ => Ok(used),
    }
}

/// Whether a name leads to a service.
fn is_of_service(name: &str) -> bool {
    let rest = name.strip_prefix(SERVICE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Scope<'_> {
    /// A fault unless this is `service.NAME.PART` of a service that runs by then.
    fn check_service(&self, node: &Node<'_>, name: &str, faults: &mut Faults) -> Checked<()> {
        let names = |services: &[ServiceName]| -> Vec<String> {
            services.iter().map(ToString::to_string).collect()
        };
        let (there, later) = (names(self.services), names(self.later));
        let mut way = name.split('.').skip(1);
        let (service, part) = (way.next(), way.next());
        let is_there = |one: &str| there.iter().any(|name| name == one);
        let part_is_good = part.is_some_and(|part| PARTS.contains(&part));
        match service {
            Some(service) if is_there(service) && part_is_good && way.next().is_none() => Ok(()),
            Some(service) if later.iter().any(|name| name == service) => {
                let message = format!("[service.{service}] is not started by then");
                let fault = node.fault(message, format!("uses `{name}`"));
                let hint = "services start in the order of the file: a service can name only \
                            those above it";
                Err(faults.add(fault.hint(hint)))
            }
            Some(service) if is_there(service) => {
                let message = format!("`{name}` is nothing that a service has");
                let fault = node.fault(message, format!("uses `{name}`"));
                let hint =
                    format!("write {{{{ service.{service}.port }}}}, with `host` or with `run`");
                Err(faults.add(fault.hint(hint)))
            }
            _ => {
                let message = format!("nothing is called `{name}`");
                let mut fault = node.fault(message, format!("uses `{name}`"));
                let known = there.iter().map(String::as_str);
                fault.hint = did_you_mean(service.unwrap_or_default(), known);
                let hint = "describe the service above: [service.NAME] with `start`";
                fault.hint.get_or_insert_with(|| hint.to_owned());
                Err(faults.add(fault))
            }
        }
    }
}

/// What fills the holes of requests.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Values of the login, and what its steps so far have taken out of answers.
    pub(crate) values: Vec<String>,
    /// Data files.
    pub(crate) tables: Vec<String>,
    /// The columns that are used, with their places: which there are is known
    /// only once the files are read.
    pub(crate) columns: Vec<ColumnUse>,
}

/// A column of a data file that a request uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnUse {
    /// The name of the data file, one that there is.
    pub table: String,
    /// The name of the column.
    pub column: String,
    /// The text that uses it.
    pub place: Range<usize>,
    /// The header that the text is the value of.
    pub header: Option<String>,
}

/// A text of a request with its holes, which are plain names: a request is
/// written a hundred thousand times, and no expression is needed for that.
pub(crate) fn of_request(
    node: &Node<'_>,
    text: &str,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Text> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((start, end)) = next_hole(rest, &IN_REQUESTS) {
        if start > 0 {
            parts.push(Part::Fixed(rest[..start].to_owned()));
        }
        let hole = hole(node, &rest[start..end], faults)?;
        names.check(node, &hole, faults)?;
        parts.push(Part::Hole(hole));
        rest = &rest[end..];
    }
    if parts.is_empty() {
        return Ok(Text::Value(EnvValue::Text(text.to_owned())));
    }
    if !rest.is_empty() {
        parts.push(Part::Fixed(rest.to_owned()));
    }
    Ok(Text::Holed(parts))
}

fn hole(node: &Node<'_>, text: &str, faults: &mut Faults) -> Checked<Hole> {
    let inner = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    let inner = inner.map(str::trim);
    let found = inner.and_then(|inner| match inner.split_once('.') {
        None => is_variable(inner).then(|| Hole::Value(inner.to_owned())),
        Some((table, column)) => (is_name(table) && is_name(column)).then(|| Hole::Column {
            table: table.to_owned(),
            column: column.to_owned(),
        }),
    });
    found.ok_or_else(|| {
        let message = format!("`{text}` is not a template that a request can have");
        let fault = node.fault(message, "not a name");
        faults.add(fault.hint("write {{ name }} or {{ data.column }}"))
    })
}

impl Names {
    fn check(&mut self, node: &Node<'_>, hole: &Hole, faults: &mut Faults) -> Checked<()> {
        let (name, known) = match hole {
            Hole::Value(name) => (name, &self.values),
            Hole::Column { table, .. } => (table, &self.tables),
        };
        if !known.contains(name) {
            let message = format!("nothing is called `{hole}` here");
            let mut fault = node.fault(message, format!("uses `{hole}`"));
            let is_table = matches!(hole, Hole::Value(name) if self.tables.contains(name));
            fault.hint = match is_table {
                true => Some(format!("write {{{{ {name}.COLUMN }}}}")),
                false => did_you_mean(name, known.iter().map(String::as_str)),
            };
            let hint = "`values` and `extract` under [login] give names, [data.NAME] gives columns";
            fault.hint.get_or_insert_with(|| hint.to_owned());
            return Err(faults.add(fault));
        }
        if let Hole::Column { table, column } = hole {
            self.columns.push(ColumnUse {
                table: table.clone(),
                column: column.clone(),
                place: node.span.clone(),
                header: None,
            });
        }
        Ok(())
    }
}

/// A fault for a text that has holes where none are filled.
pub(crate) fn plain(node: &Node<'_>, text: &str, faults: &mut Faults) -> Checked<()> {
    if next_hole(text, &IN_REQUESTS).is_none() {
        return Ok(());
    }
    let message = format!("a template in `{}` is not supported yet", node.key);
    let code = ErrorCode::GridNotSupported;
    let fault = GridFault::new(code, &node.span, message, "not supported yet");
    Err(faults.add(fault.hint("write it without {{ … }}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_requests_two_braces_open_a_hole() {
        let check = |text: &str, expected: Option<&str>| {
            let hole = next_hole(text, &IN_REQUESTS).map(|(start, end)| &text[start..end]);
            assert_eq!(hole, expected, "{text}");
        };
        check("/api?filter={%22name%22:1}", None);
        check("{# 1 #}{%1%}{\"a\":{\"b\":1}}", None);
        check("/{%22{{ a }}%22}", Some("{{ a }}"));
        check("{{a}}{{b}}", Some("{{a}}"));
        check("a {% if b %} c", Some("{% if b %}"));
        check("a {{ open", Some("{{ open"));
    }

    #[test]
    fn an_address_out_of_a_browser_is_a_path() {
        let text = r#"name = "a"
[server.g]
profile = "gunicorn"
app = "app:app"
[grid]
[[endpoint]]
name = "home"
path = "/api?filter={%22name%22:1}"
[load.closed]
users = 1
"#;
        let base = std::path::Path::new("/grids");
        let file = crate::read(text, base, &crate::tests::profiles(), &|_| 4);
        let path = file.map(|file| file.endpoints[0].path.clone());
        assert_eq!(path, Ok(Text::from("/api?filter={%22name%22:1}")));
    }

    #[test]
    fn words_are_split_around_holes() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let words = split_words(text);
            let words = words
                .as_ref()
                .map(|w| w.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(words.as_deref(), expected, "{text}");
        };
        check("a b", Some(&["a", "b"]));
        check("", Some(&[]));
        check(
            "python3 -m venv {{ cache }}/venv",
            Some(&["python3", "-m", "venv", "{{ cache }}/venv"]),
        );
        check("'{{ run }} x' y", Some(&["{{ run }} x", "y"]));
        check(
            "{{ 'a b' ~ \"c\" }}d e",
            Some(&["{{ 'a b' ~ \"c\" }}d", "e"]),
        );
        check(
            "{% if x %}a{% endif %} b",
            Some(&["{% if x %}a{% endif %}", "b"]),
        );
        check("{{ a }}{{ b }} 0", Some(&["{{ a }}{{ b }}", "0"]));
        check("x {{ open", Some(&["x", "{{ open"]));
        check("'open", None);
        check("a\\ b", Some(&["a b"]));
    }
}

//! `[[endpoint]]`: what is asked of the app, and what a good answer is.

use std::ops::Range;

use autotune_model::{Endpoint, EndpointName, ErrorCode, Expect, Method, Text};

use toml::Spanned;
use toml::de::DeValue;

use crate::environment;
use crate::fault::{Checked, Faults, GridFault};
use crate::json;
use crate::message;
use crate::template::{self, Names};
use crate::tree::{Keys, Node, Table, all};

pub(crate) const KEYS: Keys<'_> = Keys {
    known: &[
        "name", "method", "path", "headers", "body", "weight", "expect",
    ],
    planned: &[],
};
pub(crate) const EXPECT_KEYS: Keys<'_> = Keys {
    known: &["status", "contains", "min_bytes", "max_bytes", "json"],
    planned: &[],
};

/// The check before all trials reads no more of a body: 16 MiB.
pub(crate) const MOST_BYTES: i64 = 16 << 20;

/// All endpoints, at least one.
pub(crate) fn read_all(
    root: &Table<'_>,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Vec<Endpoint>> {
    let hint = "add [[endpoint]] with `name` and `path`";
    // The defaults have an `endpoint` too: only the text counts here.
    let Some(node) = root.given("endpoint") else {
        root.not_misspelt("endpoint")?;
        let message = "no endpoint is given";
        let code = ErrorCode::GridMissing;
        let fault = GridFault::new(code, &root.span, message, "without [[endpoint]]");
        return Err(faults.add(fault.hint(hint)));
    };
    if node.value.is_table() {
        let message = "endpoints are a list of tables";
        let fault = node.fault(message, "one table");
        return Err(faults.add(fault.hint("write [[endpoint]] with two brackets")));
    }
    let mut tables = all(node.filled_list(faults)?.into_iter().map(|item| {
        let defaults = root.defaults_of("endpoint");
        item.table("[[endpoint]]".to_owned(), defaults, faults)
    }))?;
    tables
        .iter_mut()
        .for_each(|table| table.check_keys(&KEYS, faults));
    let unique = names_are_unique(&tables, faults);
    let endpoints = all(tables.iter().map(|table| endpoint(table, names, faults)));
    unique?;
    endpoints
}

fn endpoint(table: &Table<'_>, names: &mut Names, faults: &mut Faults) -> Checked<Endpoint> {
    let name = name(table, faults);
    let request = request(table, names, faults);
    let weight = table
        .require("weight", "for example weight = 1", faults)
        .and_then(|node| node.positive(faults));
    let expect = expect(table, faults);
    let request = request?;
    Ok(Endpoint {
        name: EndpointName::new(name?),
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body,
        weight: weight?,
        expect: expect?,
    })
}

/// What endpoints and steps of the login have in common.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: Text,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) body: Option<Text>,
}

/// Method, path, headers and body.
pub(crate) fn request(
    table: &Table<'_>,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Request> {
    let path = table
        .require("path", "for example path = \"/report\"", faults)
        .and_then(|node| path(&node, names, faults));
    let method = table
        .require("method", "for example method = \"POST\"", faults)
        .and_then(|node| node.choice(&Method::ALL.map(|one| (one.as_str(), one)), faults));
    let headers = message::headers(table, names, faults);
    let body = message::body(table, names, faults);
    let (headers, body) = (headers?, body?);
    message::check_fits(table, (method?, &headers, body.is_some()), faults)?;
    Ok(Request {
        method: method?,
        path: path?,
        headers,
        body,
    })
}

fn name(table: &Table<'_>, faults: &mut Faults) -> Checked<String> {
    let node = table.require("name", "for example name = \"report\"", faults)?;
    let name = node.filled_text(faults)?;
    // It heads columns and lines of tables.
    if name.trim() != name || name.chars().any(char::is_control) || name.chars().count() > 64 {
        let message = "an endpoint's name has at most 64 characters, no control characters and \
                       no space at its ends";
        return Err(faults.add(node.fault(message, "not a name")));
    }
    Ok(name.to_owned())
}

fn names_are_unique(tables: &[Table<'_>], faults: &mut Faults) -> Checked<()> {
    let mut seen: Vec<&str> = Vec::new();
    let mut result = Ok(());
    for node in tables.iter().filter_map(|table| table.given("name")) {
        let Some(name) = node.value.as_str() else {
            continue;
        };
        if seen.contains(&name) {
            let message = format!("two endpoints are called `{name}`");
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &node.span, message, "the name is taken");
            result = Err(faults.add(fault));
        }
        seen.push(name);
    }
    result
}

/// The values of `from_env` in headers and bodies with their places.
pub(crate) fn from_env_places(root: &Table<'_>) -> Vec<(String, Range<usize>)> {
    let node = root.given("endpoint");
    let tables = node.iter().filter_map(|node| node.value.as_array());
    places_in(tables.flatten())
}

/// The same for these tables, of endpoints or of steps of the login.
pub(crate) fn places_in<'v, 'a: 'v>(
    tables: impl Iterator<Item = &'v Spanned<DeValue<'a>>>,
) -> Vec<(String, Range<usize>)> {
    let values = tables.flat_map(|table| {
        let table = table.get_ref();
        let headers = table
            .get("headers")
            .and_then(|headers| headers.get_ref().as_table());
        let headers = headers.into_iter().flat_map(|headers| headers.values());
        headers
            .chain(table.get("body"))
            .map(|value| value.get_ref())
    });
    environment::from_env_places(values)
}

fn path(node: &Node<'_>, names: &mut Names, faults: &mut Faults) -> Checked<Text> {
    let text = node.filled_text(faults)?;
    begins_with_slash(node, text, faults)?;
    let path = template::of_request(node, text, names, faults)?;
    for fixed in message::fixed(&path) {
        is_plain(node, fixed, faults)?;
    }
    Ok(path)
}

/// `ready` of a server is a path too, without holes.
pub(crate) fn ready_path(node: &Node<'_>, faults: &mut Faults) -> Checked<String> {
    let path = node.filled_text(faults)?;
    begins_with_slash(node, path, faults)?;
    template::plain(node, path, faults)?;
    is_plain(node, path, faults)?;
    Ok(path.to_owned())
}

fn begins_with_slash(node: &Node<'_>, path: &str, faults: &mut Faults) -> Checked<()> {
    if path.starts_with('/') {
        return Ok(());
    }
    let message = format!("`{}` begins with a slash", node.key);
    let fault = node.fault(message, "no slash");
    let likely = match path.split_once("://") {
        Some((_, rest)) => rest
            .find('/')
            .map_or("/", |slash| &rest[slash..])
            .to_owned(),
        None => format!("/{path}"),
    };
    Err(faults.add(fault.hint(format!("write \"{likely}\""))))
}

/// Goes into the request line as it is, so it may hold only what can stand
/// there.
fn is_plain(node: &Node<'_>, path: &str, faults: &mut Faults) -> Checked<()> {
    if path.contains('#') {
        let message = "the part of an address from `#` on is never sent";
        let sent = path.split('#').next().unwrap_or_default();
        let fault = node.fault(message, "holds `#`");
        return Err(faults.add(fault.hint(format!("write \"{sent}\""))));
    }
    if !path.chars().all(|c| c.is_ascii_graphic()) {
        let message = format!(
            "`{}` holds a character that a request line cannot",
            node.key
        );
        let fault = node.fault(message, "not plain");
        return Err(faults.add(fault.hint("percent-encode it: a space is %20")));
    }
    Ok(())
}

/// What makes an answer good.
pub(crate) fn expect(table: &Table<'_>, faults: &mut Faults) -> Checked<Expect> {
    let table = table.section("expect", &EXPECT_KEYS, faults)?;
    let status = table
        .require("status", "for example status = [200]", faults)
        .and_then(|node| node.filled_list(faults))
        .and_then(|list| all(list.iter().map(|node| status(node, faults))));
    let contains = table
        .get("contains")
        .map(|node| match node.text(faults)? {
            "" => Err(faults.add(
                node.fault("every body contains the empty text", "empty")
                    .hint("leave `contains` out, or write a text that only a good body has"),
            )),
            text => Ok(text.to_owned()),
        })
        .transpose();
    let sizes = bytes(&table, faults);
    let json = json::read(&table, faults);
    let (min_bytes, max_bytes) = sizes?;
    Ok(Expect {
        status: status?,
        contains: contains?,
        min_bytes,
        max_bytes,
        json: json?,
    })
}

/// The least and the most that a body may have.
fn bytes(table: &Table<'_>, faults: &mut Faults) -> Checked<(Option<u64>, Option<u64>)> {
    let mut number = |key| {
        let node = table.get(key);
        node.map(|node| node.int((0, MOST_BYTES), faults).map(i64::unsigned_abs))
            .transpose()
    };
    let (least, most) = (number("min_bytes"), number("max_bytes"));
    let (least, most) = (least?, most?);
    if let (Some(least), Some(most), Some(node)) = (least, most, table.get("max_bytes"))
        && least > most
    {
        let message = format!("no body has at least {least} and at most {most} bytes");
        let code = ErrorCode::GridConflict;
        return Err(faults.add(GridFault::new(code, &node.span, message, "below the least")));
    }
    Ok((least, most))
}

fn status(node: &Node<'_>, faults: &mut Faults) -> Checked<u16> {
    let status = node.int((100, 599), faults)?;
    u16::try_from(status).map_err(|why| faults.add(node.fault(why.to_string(), "not a status")))
}

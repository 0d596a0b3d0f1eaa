//! A check as a page for people.

use std::fmt::Write as _;

use autotune_model::{Bytes, Expect};
use autotune_report::{Align, Column, Table, connections_in_words, load_in_words};

use crate::commands::check::Checked;
use crate::commands::check::view::{length_is_guessed, planned, rarest, settings, warnings};
use crate::commands::sweep::view::{draw, planned as told};
use crate::progress::short;

/// So many folded or dropped cells are named; the rest is in the JSON.
const NAMED: usize = 40;

/// The whole page.
pub(super) fn page(checked: &Checked<'_>) -> String {
    let parts = [
        plan(checked),
        Some(load(checked)),
        login(checked),
        answers(checked),
        server(checked),
        services(checked),
        connections(checked),
        time(checked),
        machine(checked),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// A table of these columns; those whose title ends with a space are numbers.
fn table(titles: &[&str], rows: Vec<Vec<String>>) -> String {
    let columns = titles.iter().map(|title| Column {
        title: title.trim_end().to_owned(),
        align: match title.ends_with(' ') {
            true => Align::Right,
            false => Align::Left,
        },
    });
    let columns = columns.collect();
    draw(&Table { columns, rows }) + "\n"
}

fn plan(checked: &Checked<'_>) -> Option<String> {
    let all = planned(checked);
    let mut text = format!(
        "plan of {}: {} configurations, {} cells in the grid\n\n",
        checked.grid.file.name,
        all.len(),
        checked.grid.file.space.cells
    );
    let rows = all.iter().map(|one| {
        let what = match (one.is_baseline, one.cells) {
            (false, _) => "",
            (true, 0) => "runs today; not in the grid",
            (true, _) => "runs today",
        };
        vec![one.label.to_owned(), one.cells.to_string(), what.to_owned()]
    });
    text += &table(&["configuration", "cells ", ""], rows.collect());
    let told = told(checked.grid);
    text += &listed("folded, as the server would do the same", &told.folded);
    text += &listed("left out by constraints", &told.dropped);
    Some(text)
}

fn listed(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{title}:\n");
    let shown = lines.iter().take(NAMED);
    shown.for_each(|line| push(&mut text, &format!("  {line}")));
    if let Some(more) = lines.len().checked_sub(NAMED).filter(|more| *more > 0) {
        push(
            &mut text,
            &format!("  and {more} more; --json has them all"),
        );
    }
    text
}

fn push(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}

fn login(checked: &Checked<'_>) -> Option<String> {
    let login = checked.grid.file.login.as_ref()?;
    let steps = login.steps.iter();
    let steps: Vec<_> = steps
        .map(|step| format!("{} {}", step.method, step.path))
        .collect();
    let who = match login.sessions {
        1 => "one session".to_owned(),
        many => format!("{many} sessions, each"),
    };
    let steps = steps.join(", then ");
    Some(format!(
        "login before the load of every trial: {who} by {steps}\n"
    ))
}

fn answers(checked: &Checked<'_>) -> Option<String> {
    let (configuration, verified) = checked.launched.as_ref()?;
    let mut text = format!(
        "answers of {configuration}, ready {} after launch\n\n",
        short(verified.boot)
    );
    let pairs = checked.grid.file.endpoints.iter().zip(&verified.answers);
    let rows = pairs.map(|(endpoint, answer)| {
        vec![
            answer.endpoint.to_string(),
            format!("{} {}", endpoint.method, endpoint.path),
            answer.status.to_string(),
            size(answer.size),
            format!("{:.1} ms", answer.took.as_secs_f64() * 1e3),
            answer
                .content_type
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
            held(&endpoint.expect),
        ]
    });
    let titles = [
        "endpoint",
        "asked",
        "status ",
        "size ",
        "time ",
        "type",
        "as expected",
    ];
    text += &table(&titles, rows.collect());
    Some(text)
}

/// What ran beside the server.
fn services(checked: &Checked<'_>) -> Option<String> {
    let (_, verified) = checked.launched.as_ref()?;
    if verified.services.is_empty() {
        return None;
    }
    let rows = verified.services.iter().map(|service| {
        vec![
            service.name.to_string(),
            service.address.to_string(),
            short(service.ready),
            service.cpus.to_string(),
            service.user.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    let titles = ["service", "address", "ready after ", "CPUs ", "user"];
    let mut text = format!(
        "services, which run as long as the sweep does\n\n{}",
        table(&titles, rows.collect())
    );
    let shared = verified.services.iter().filter(|one| one.shares_server);
    for service in shared {
        let name = &service.name;
        push(
            &mut text,
            &format!(
                "  {name} may run on the server's CPUs: that the server waits for it may go unseen, \
                 unless `cpus` of [service.{name}] and `server_cpus` of [host] have none in common"
            ),
        );
    }
    Some(text)
}

fn size(size: Bytes) -> String {
    match size.get() {
        bytes @ 0..10_240 => format!("{bytes} B"),
        bytes @ 10_240..10_485_760 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        _ => size.to_string(),
    }
}

fn held(expect: &Expect) -> String {
    let statuses: Vec<String> = expect.status.iter().map(u16::to_string).collect();
    let parts = [
        Some(format!("status {}", statuses.join(" or "))),
        expect.contains.as_ref().map(|text| format!("`{text}`")),
        expect.min_bytes.map(|least| format!("at least {least} B")),
        expect.max_bytes.map(|most| format!("at most {most} B")),
    ];
    let json = expect.json.iter().map(ToString::to_string);
    let parts = parts.into_iter().flatten().chain(json);
    parts.collect::<Vec<_>>().join(", ")
}

fn server(checked: &Checked<'_>) -> Option<String> {
    let (_, verified) = checked.launched.as_ref()?;
    let versions = verified.versions.iter();
    let versions: Vec<_> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let versions = match versions.is_empty() {
        true => "versions not known".to_owned(),
        false => versions.join(", "),
    };
    let mut text = format!("server: {versions}\n");
    let rows = settings(checked).into_iter().map(|setting| {
        let of = match setting.named {
            true => "named in the grid file",
            false => "not the server's default",
        };
        vec![
            setting.name,
            setting.value.unwrap_or_else(|| "not printed".to_owned()),
            setting.default,
            of.to_owned(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        text += &format!(
            "\n{}",
            table(&["setting", "in effect", "default", ""], rows)
        );
    }
    let notes = verified.notes.iter().chain(&verified.overridden);
    notes.for_each(|note| push(&mut text, &format!("note: {note}")));
    Some(text)
}

fn connections(checked: &Checked<'_>) -> Option<String> {
    let (_, verified) = checked.launched.as_ref()?;
    if verified.outside.is_empty() {
        return Some("connections beyond this machine: none was seen\n".to_owned());
    }
    let mut text = "connections beyond this machine:\n".to_owned();
    for one in &verified.outside {
        let allowed = match &one.allowed_by {
            Some(entry) => format!("allowed by `{entry}` in `may_reach`"),
            None => "not judged: a host in `may_reach` cannot be looked up".to_owned(),
        };
        push(
            &mut text,
            &format!("  {} ({}): {allowed}", one.address, one.protocol),
        );
    }
    Some(text)
}

fn load(checked: &Checked<'_>) -> String {
    let file = &checked.grid.file;
    format!(
        "load: {}, {}\n",
        load_in_words(&file.load),
        connections_in_words(file.connections)
    )
}

fn time(checked: &Checked<'_>) -> Option<String> {
    let outlook = &checked.outlook;
    let is_guessed = length_is_guessed(checked);
    let load = &checked.grid.file.load;
    let ends_with_users = load.at_most().is_some();
    let about = match &checked.launched {
        _ if ends_with_users => "at most ",
        Some(_) if !is_guessed => "",
        _ => "about ",
    };
    let other = match is_guessed {
        _ if ends_with_users => "; it ends when all users are done",
        true => "; less where requests come fast, more where they are rare and the budget allows",
        false => "",
    };
    let (most, least) = match ends_with_users {
        true => ("at most ", "at least "),
        false => ("", ""),
    };
    let mut text = format!("time: budget {}\n", short(checked.budget));
    let mut line = |line: String| push(&mut text, &format!("  {line}"));
    line(format!(
        "pre-flight: {} launches, {most}{}",
        outlook.preflight_trials,
        short(outlook.preflight)
    ));
    let ramp = load.ramp();
    let ramp = match ramp.is_zero() {
        true => String::new(),
        false => format!(", {} of that to reach its level", short(ramp)),
    };
    line(format!(
        "trial: {about}{} of load ({} of it warm-up{ramp}), and {} to start, ask and stop{other}",
        short(outlook.length),
        short(outlook.warm_up),
        short(outlook.overhead)
    ));
    let count = planned(checked).len();
    let blocks = outlook.blocks;
    line(format!(
        "block: {count} trials, {most}{}; {least}{blocks} fit into the budget",
        short(outlook.block)
    ));
    if outlook.surge_trials > 0 {
        line(format!(
            "surge: {} launches or more of what is recommended, {}",
            outlook.surge_trials,
            short(outlook.surge)
        ));
    }
    let latest = short(outlook.latest_end);
    line(match outlook.earliest_end {
        Some(earliest) => {
            format!(
                "end: after {latest}, or from {} on with a sure answer",
                short(earliest)
            )
        }
        None => format!("end: after {latest}"),
    });
    line(requests(checked));
    error_rate(checked).into_iter().for_each(line);
    for one in warnings(checked) {
        push(&mut text, &format!("  warning: {one}"));
    }
    Some(text)
}

fn requests(checked: &Checked<'_>) -> String {
    let outlook = &checked.outlook;
    let metric = checked.grid.file.objective.minimize;
    let needed = outlook.requests_needed;
    let needed = needed.map_or_else(String::new, |need| format!("; {metric} takes {need}"));
    match outlook.requests {
        Some(requests) => format!(
            "requests: about {requests} in a trial at the rarest endpoint, {}{needed}",
            rarest(checked)
        ),
        None => format!(
            "requests: under closed load only the pre-flight shows how many a trial gets{needed}"
        ),
    }
}

fn error_rate(checked: &Checked<'_>) -> Option<String> {
    let rate = checked.error_rate()?;
    let limit = format!("max_error_rate of {}", rate.limit);
    let Some(requests) = rate.requests else {
        return Some(format!(
            "{limit}: no number of requests shows that it holds"
        ));
    };
    let needs =
        format!("{limit}: shown to hold by {requests} requests of an endpoint without a failure");
    Some(match rate.blocks {
        None => needs,
        Some(blocks) if blocks > u64::from(checked.outlook.blocks) => {
            format!("{needs}, which takes {blocks} blocks: more than fit")
        }
        Some(1) => format!("{needs}, which one block gives"),
        Some(blocks) => format!("{needs}, which {blocks} blocks give"),
    })
}

fn machine(checked: &Checked<'_>) -> Option<String> {
    let placement = &checked.placement;
    let on = |set: &Option<autotune_model::CpuSet>| match set {
        Some(cpus) => format!("on CPU {cpus}"),
        None => "not pinned".to_owned(),
    };
    let mut text = format!(
        "this machine: server {}, generator {}\n",
        on(&placement.server),
        on(&placement.generator)
    );
    let confinement = &checked.confinement;
    if !confinement.limits.is_empty() && confinement.enforcement.refusal().is_none() {
        let given = autotune_report::given_limits(&confinement.limits);
        let means = confinement.enforcement.means();
        let by = means.map_or_else(String::new, |means| format!(", by {means}"));
        push(&mut text, &format!("  every server is held to {given}{by}"));
    }
    for one in &checked.problems {
        push(&mut text, &format!("  warning[{}]: {}", one.code, one.text));
        push(&mut text, &format!("    remedy: {}", one.remedy));
    }
    if checked.problems.is_empty() {
        push(
            &mut text,
            "  nothing was seen that would disturb a measurement",
        );
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::tests;

    #[test]
    fn all_that_an_answer_must_be_is_named() {
        let grid = tests::grid();
        let said = held(&grid.file.endpoints[0].expect);
        assert_eq!(
            said,
            "status 200 or 304, `hi`, at least 10 B, at most 90 B, 5 at /n"
        );
    }

    #[test]
    fn the_page_says_what_the_load_is_and_what_its_ramp_and_steps_take() {
        let placement = tests::placement();
        let page_of = |load: &str| {
            let grid = tests::loaded(load);
            page(&tests::checked(&grid, &placement, 60))
        };
        let shown = page_of("[load.open]\nrate = 20\nramp = \"30s\"\n");
        let load =
            "load: open load of 20 requests/s, reached within 30 s, keep-alive connections\n";
        assert!(shown.contains(load), "{shown}");
        // 200 requests and 42 more at 20 a second, the warm-up, and the ramp.
        let trial = "trial: about 44 s of load (31 s of it warm-up, 30 s of that to reach \
                     its level)";
        assert!(shown.contains(trial), "{shown}");
        let shown =
            page_of("[load.closed]\nusers = 5\nloops = 70\nramp = \"4s\"\nat_most = \"10m\"\n");
        let load = "load: closed load of 5 users, 70 loops each, without think time, reached within \
                    4 s, for at most 10 min 0 s, keep-alive connections\n";
        assert!(shown.contains(load), "{shown}");
        let trial = "trial: at most 10 min 0 s of load (5 s of it warm-up, 4 s of that to reach \
                     its level), and 3 s to start, ask and stop; it ends when all users are done";
        assert!(shown.contains(trial), "{shown}");
        assert!(
            shown.contains("; at least 0 fit into the budget"),
            "{shown}"
        );
        let shown = page_of(
            "[load]\nconnections = { idle = \"1m\" }\n[load.closed]\nsteps = [{ users = 5, for = \
             \"30s\" }, { users = 9, for = \"30s\" }]\n",
        );
        let load = "load: closed load of 5 to 9 users in 2 steps without think time, connections \
                    kept until unused for 1 min 0 s\n";
        assert!(shown.contains(load), "{shown}");
        let trial = "1 min 0 s of load (3 s of it warm-up), and 3 s to start";
        assert!(shown.contains(trial), "{shown}");
        assert!(!shown.contains("less where requests come fast"), "{shown}");
    }

    #[test]
    fn the_page_has_the_login_and_says_when_nothing_fits() {
        let (grid, placement) = (tests::grid(), tests::placement());
        let shown = page(&tests::checked(&grid, &placement, 0));
        let login = "login before the load of every trial: 3 sessions, each by GET /login, then \
                     POST /login\n";
        assert!(shown.contains(login), "{shown}");
        let nothing = "warning: not one block fits: nothing would be compared; a budget of ";
        assert!(shown.contains(nothing), "{shown}");
        let ample = page(&tests::checked(&grid, &placement, 60));
        assert!(!ample.contains("not one block fits"), "{ample}");
    }
}

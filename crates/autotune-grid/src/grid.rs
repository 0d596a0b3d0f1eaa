//! `[grid]` and `[baseline]`: which parameters are set to what, for which
//! variants. Making configurations of them is left to `expand`.

use std::ops::Range;

use autotune_model::{Configuration, ErrorCode, ParamName, Profile, ServiceName, VariantName};

use crate::axis::{Reading, unknown, value, values};
use crate::constraint::{self, DroppedCell, Field};
use crate::expand::{Axis, FoldedCell, Sheet, expand};
use crate::fault::{Checked, Faults, GridFault, in_words};
use crate::scalar::is_variable;
use crate::server::Server;
use crate::template;
use crate::tree::{Node, Table, all};

/// The most cells that a raw grid may have: more could never be measured, and
/// unfolding them would only fill the memory.
pub const MAX_CELLS: usize = 10_000;

/// All that is to be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// Distinct, in grid order: the last key of `[grid]` changes fastest.
    pub configurations: Vec<Configuration>,
    /// What runs today; may or may not be among the configurations.
    pub baseline: Option<Configuration>,
    /// How many cells the raw grid has, before folding.
    pub cells: usize,
    /// How many of them each configuration is: as many numbers as configurations.
    pub cells_of: Vec<usize>,
    /// The cells that were not spelled as they behave, in grid order.
    pub folded: Vec<FoldedCell>,
    /// The cells that a constraint left out, by configuration in grid order.
    pub dropped: Vec<DroppedCell>,
    /// The parameters that `[grid]` or `[baseline]` names, in that order: they
    /// are given to the server even where they have its default.
    pub named: Vec<ParamName>,
    /// The variables of every `command` variant that is in use, in the order of
    /// its labels; empty for a variant whose profile has its own parameters.
    pub variables: Vec<(VariantName, Vec<ParamName>)>,
}

/// `[baseline]` and the variant that it is of.
struct Baseline<'b, 'a, 'p> {
    table: Table<'a>,
    server: &'b Server<'a, 'p>,
}

/// The space; also checks the holes of all variants, since only here it is
/// known which variables there are.
pub(crate) fn read(
    root: &Table<'_>,
    (servers, services): (&[Server<'_, '_>], &[ServiceName]),
    cores: usize,
    faults: &mut Faults,
) -> Checked<Space> {
    let mut grid = grid_table(root, faults)?;
    let constraints = take_constraints(&mut grid);
    let targets = targets(&grid, servers, faults);
    let baseline = baseline(root, servers, faults);
    let (targets, baseline) = (targets?, baseline?);
    let named = named_params(&grid, baseline.as_ref());
    let variables: Vec<(VariantName, Vec<ParamName>)> = servers
        .iter()
        .map(|server| {
            let of_server = variables(server, &targets, &grid, baseline.as_ref());
            (server.name.clone(), of_server)
        })
        .collect();
    let texts = all(servers.iter().zip(&variables).map(|(server, (_, names))| {
        // A variant that is only the baseline has the baseline's variables.
        let own = baseline.as_ref().filter(|_| !is_target(server, &targets));
        let table = own.map_or(&grid, |own| &own.table);
        check_texts(server, (names, services), table, faults)
    }));
    let flags = all(targets
        .iter()
        .map(|server| check_flags(server, &grid, faults)));
    let sheets = all(targets
        .iter()
        .map(|server| sheet(server, servers, (&grid, cores), faults)));
    let baseline = baseline
        .map(|baseline| {
            let index = servers
                .iter()
                .position(|server| server.name == baseline.server.name);
            let order = index.map_or(&[][..], |index| &variables[index].1);
            let first = index == Some(0);
            check_flags(baseline.server, &baseline.table, faults)?;
            baseline_configuration(&baseline, order, (first, cores), faults)
        })
        .transpose();
    let sheets = sheets?;
    let cells = sheets
        .iter()
        .map(Sheet::cells)
        .fold(0, usize::saturating_add);
    if cells > MAX_CELLS {
        return Err(faults.add(too_many(cells, &grid.span)));
    }
    texts?;
    flags?;
    let baseline = baseline?;
    let names = targets
        .iter()
        .flat_map(|server| known_names(server, &variables));
    let field = Field {
        names: names.collect(),
        cores,
    };
    let kept = constraint::apply(constraints.as_ref(), &field, expand(&sheets), faults)?;
    Ok(Space {
        configurations: kept.expanded.configurations,
        baseline,
        cells,
        cells_of: kept.expanded.cells_of,
        folded: kept.expanded.folded,
        dropped: kept.dropped,
        named,
        variables,
    })
}

/// What can be named in a constraint on this variant.
fn known_names(
    server: &Server<'_, '_>,
    variables: &[(VariantName, Vec<ParamName>)],
) -> Vec<String> {
    let own = server
        .profile
        .into_iter()
        .flat_map(|profile| &profile.params);
    let of_command = variables.iter().filter(|(name, _)| *name == server.name);
    own.map(|param| param.name.to_string())
        .chain(of_command.flat_map(|(_, names)| names.iter().map(ToString::to_string)))
        .collect()
}

fn named_params(grid: &Table<'_>, baseline: Option<&Baseline<'_, '_, '_>>) -> Vec<ParamName> {
    let tables = [Some(grid), baseline.map(|baseline| &baseline.table)];
    let mut names: Vec<ParamName> = Vec::new();
    for node in tables.into_iter().flatten().flat_map(params) {
        let name = ParamName::new(node.key);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn grid_table<'a>(root: &Table<'a>, faults: &mut Faults) -> Checked<Table<'a>> {
    root.require("grid", "add [grid] with lists of values to try", faults)?
        .table("[grid]".to_owned(), None, faults)
}

/// Takes the constraints out of the grid, so that all that is left but `server`
/// are parameters.
fn take_constraints<'a>(grid: &mut Table<'a>) -> Option<Node<'a>> {
    let constraints = grid.given(constraint::KEY);
    grid.nodes.retain(|node| node.key != constraint::KEY);
    constraints
}

fn too_many(cells: usize, span: &Range<usize>) -> GridFault {
    let count = match cells {
        usize::MAX => "far too many".to_owned(),
        count => count.to_string(),
    };
    let message = format!("the grid has {count} cells, more than {MAX_CELLS}");
    let fault = GridFault::new(
        ErrorCode::GridValue,
        span,
        message,
        format!("{count} cells"),
    );
    fault.hint("list fewer values: a night measures some hundreds of trials")
}

fn is_target(server: &Server<'_, '_>, targets: &[&Server<'_, '_>]) -> bool {
    targets.iter().any(|target| target.name == server.name)
}

/// The variants that the grid is for: the first, or those that it lists.
fn targets<'s, 'a, 'p>(
    grid: &Table<'_>,
    servers: &'s [Server<'a, 'p>],
    faults: &mut Faults,
) -> Checked<Vec<&'s Server<'a, 'p>>> {
    let Some(node) = grid.given("server") else {
        return Ok(servers.iter().take(1).collect());
    };
    let mut targets: Vec<&Server<'_, '_>> = Vec::new();
    for item in node.filled_list(faults)? {
        let server = named(&item, servers, faults)?;
        if is_target(server, &targets) {
            let message = format!("`{}` is listed twice", server.name);
            let code = ErrorCode::GridConflict;
            return Err(faults.add(GridFault::new(code, &item.span, message, "the second time")));
        }
        targets.push(server);
    }
    Ok(targets)
}

fn named<'s, 'a, 'p>(
    node: &Node<'_>,
    servers: &'s [Server<'a, 'p>],
    faults: &mut Faults,
) -> Checked<&'s Server<'a, 'p>> {
    let choices: Vec<(&str, &Server<'_, '_>)> = servers
        .iter()
        .map(|server| (server.name.as_str(), server))
        .collect();
    node.choice(&choices, faults)
}

fn baseline<'b, 'a, 'p>(
    root: &Table<'a>,
    servers: &'b [Server<'a, 'p>],
    faults: &mut Faults,
) -> Checked<Option<Baseline<'b, 'a, 'p>>> {
    let Some(node) = root.given("baseline") else {
        return Ok(None);
    };
    let table = node.table("[baseline]".to_owned(), None, faults)?;
    let server = match table.given("server") {
        Some(node) => Some(named(&node, servers, faults)?),
        None => servers.first(),
    };
    Ok(server.map(|server| Baseline { table, server }))
}

/// The variables of a `command` variant: the grid's keys where it is swept, the
/// baseline's where it is only that.
fn variables(
    server: &Server<'_, '_>,
    targets: &[&Server<'_, '_>],
    grid: &Table<'_>,
    baseline: Option<&Baseline<'_, '_, '_>>,
) -> Vec<ParamName> {
    let takes_any = server.profile.is_ok_and(Profile::takes_any_param);
    let table = match baseline {
        _ if !takes_any => return Vec::new(),
        _ if is_target(server, targets) => grid,
        Some(baseline) if baseline.server.name == server.name => &baseline.table,
        _ => return Vec::new(),
    };
    // A key that cannot stand in a hole is a fault of its own.
    let keys = params(table).map(|node| node.key);
    keys.filter(|key| is_variable(key) && !template::is_taken(key))
        .map(ParamName::new)
        .collect()
}

/// The keys of `[grid]` or `[baseline]` that are parameters.
fn params<'t, 'a>(table: &'t Table<'a>) -> impl Iterator<Item = &'t Node<'a>> {
    table.nodes.iter().filter(|node| node.key != "server")
}

/// Every hole must be filled, and every variable must fill one: else two cells
/// would be the same server under two names.
fn check_texts(
    server: &Server<'_, '_>,
    (variables, services): (&[ParamName], &[ServiceName]),
    table: &Table<'_>,
    faults: &mut Faults,
) -> Checked<()> {
    let profile = server.profile?;
    let own = || profile.params.iter().map(|param| param.name.clone());
    let params_of: Vec<ParamName> = variables.iter().cloned().chain(own()).collect();
    let checked = all(server.texts.iter().map(|text| {
        let scope = template::Scope {
            params: &params_of,
            services,
            later: &[],
        };
        let used = template::check(text, scope, faults)?;
        Ok((text.node.key, used))
    }));
    let (used, variant) = (
        checked?,
        server.variant.as_ref().map_err(|reported| *reported)?,
    );
    // Neither the folder of the program nor what runs around it starts it.
    let starts = |key: &str| !["bin", "before_trial", "after_trial"].contains(&key);
    let occurs = |name: &str| {
        used.iter()
            .any(|(key, used)| starts(key) && used.contains(name))
    };
    let mut result = Ok(());
    for node in params(table).filter(|node| variables.iter().any(|v| v.as_str() == node.key)) {
        if !occurs(node.key) {
            let message = format!(
                "`{}` is set but [server.{}] never uses it",
                node.key, server.name
            );
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &node.key_span, message, "used nowhere");
            let hint = format!("write {{{{ {} }}}} in `command`, `args` or `env`", node.key);
            result = Err(faults.add(fault.hint(hint)));
        }
    }
    if !variant.command.is_empty() && !occurs("port") {
        let message = format!("[server.{}] is not told where to listen", server.name);
        let span = server.places.command.as_ref().unwrap_or(&server.name_span);
        let fault = GridFault::new(ErrorCode::GridMissing, span, message, "without the port");
        let hint = "write {{ port }} in `command`, `args` or `env`";
        result = Err(faults.add(fault.hint(hint)));
    }
    result
}

/// An argument that sets a parameter of the label, or one that the table sets
/// too, would make the label a lie.
fn check_flags(server: &Server<'_, '_>, table: &Table<'_>, faults: &mut Faults) -> Checked<()> {
    let profile = server.profile?;
    let mut result = Ok(());
    for text in server.texts.iter().filter(|text| text.node.key == "args") {
        let arg = text.words.first().map_or("", String::as_str);
        let flag = arg.split_once('=').map_or(arg, |(flag, _)| flag);
        let set = profile.params.iter().enumerate().find(|(place, param)| {
            let named = || params(table).any(|node| node.key == param.name.as_str());
            !flag.is_empty() && param.flag == flag && (*place < profile.label_fields || named())
        });
        if let Some((_, param)) = set {
            let message = format!("`args` sets `{}`, which the grid sets", param.name);
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &text.node.span, message, "sets a parameter");
            let hint = format!("leave it out here and set `{}` in [grid]", param.name);
            result = Err(faults.add(fault.hint(hint)));
        }
    }
    result
}

fn sheet<'p>(
    server: &Server<'_, 'p>,
    servers: &[Server<'_, '_>],
    (grid, cores): (&Table<'_>, usize),
    faults: &mut Faults,
) -> Checked<Sheet<'p>> {
    let profile = server.profile?;
    let reading = Reading {
        table: grid,
        profile,
        cores,
    };
    let axes = all(params(grid).map(|node| {
        let found = match node.value.is_array() {
            true => node
                .filled_list(faults)
                .and_then(|list| all(list.iter().map(|item| values(item, reading, faults)))),
            false => values(node, reading, faults).map(|values| vec![values]),
        };
        Ok(Axis {
            name: ParamName::new(node.key),
            values: found?.concat(),
        })
    }));
    Ok(Sheet {
        variant: server.name.clone(),
        profile,
        prefixed: servers
            .first()
            .is_none_or(|first| first.name != server.name),
        axes: axes?,
    })
}

fn baseline_configuration(
    baseline: &Baseline<'_, '_, '_>,
    order: &[ParamName],
    (first, cores): (bool, usize),
    faults: &mut Faults,
) -> Checked<Configuration> {
    let (table, server) = (&baseline.table, baseline.server);
    let profile = server.profile?;
    let reading = Reading {
        table,
        profile,
        cores,
    };
    let mut values = all(params(table).map(|node| {
        if profile.takes_any_param() && !order.iter().any(|name| name.as_str() == node.key) {
            return Err(faults.add(unknown(node, table, order.iter().map(ParamName::as_str))));
        }
        let value = value(node, reading, faults)?;
        Ok((ParamName::new(node.key), value))
    }))?;
    // A variable has no default: the command would have a hole without a value.
    let is_set = |name: &ParamName| values.iter().any(|(set, _)| set == name);
    let missing: Vec<&str> = order
        .iter()
        .filter(|n| !is_set(n))
        .map(ParamName::as_str)
        .collect();
    if !missing.is_empty() {
        let message = format!("[baseline] does not set {}", in_words(&missing));
        let code = ErrorCode::GridMissing;
        let fault = GridFault::new(code, &table.span, message, "a variable without a value");
        let hint = "give each the value that it has today, as in [grid]";
        return Err(faults.add(fault.hint(hint)));
    }
    values.sort_by_key(|(name, _)| order.iter().position(|ordered| ordered == name));
    Ok(Configuration::fold(profile, &server.name, &values, !first).configuration)
}

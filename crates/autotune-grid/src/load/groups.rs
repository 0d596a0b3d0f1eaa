//! `[[load.open.group]]` and `[[load.closed.group]]`: who asks for which
//! endpoints. Every endpoint is in exactly one group.

use autotune_model::{Endpoint, EndpointName, ErrorCode, Group};

use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::tree::{Keys, Node, Table, all};

/// All groups of a list; `read` takes what is not common to both kinds of load.
pub(super) fn read<G>(
    list: &Node<'_>,
    (table, (keys, endpoints)): (&Table<'_>, (&Keys<'_>, Option<&[Endpoint]>)),
    read: impl Fn(&Table<'_>, &mut Faults) -> Checked<G>,
    faults: &mut Faults,
) -> Checked<Vec<Group<G>>> {
    let title = format!("[{}.group]]", table.title.trim_end_matches(']'));
    let nodes = list.filled_list(faults)?;
    let mut taken: Vec<EndpointName> = Vec::new();
    let groups = nodes.into_iter().map(|node| {
        let mut group = node.table(title.clone(), table.defaults_of("group"), faults)?;
        group.check_keys(keys, faults);
        let names = names(&group, (endpoints, &mut taken), faults);
        let who = read(&group, faults);
        Ok(Group {
            endpoints: Some(names?),
            who: who?,
        })
    });
    let groups = all(groups)?;
    let lost = endpoints.into_iter().flatten();
    let mut lost = lost.filter(|endpoint| !taken.contains(&endpoint.name));
    if let Some(lost) = lost.next() {
        let message = format!("endpoint `{}` is in no group", lost.name);
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, &list.key_span, message, "not in these groups");
        let hint = format!("list \"{}\" in `endpoints` of one group", lost.name);
        return Err(faults.add(fault.hint(hint)));
    }
    Ok(groups)
}

/// The endpoints of a group, none of them taken by another one.
fn names(
    group: &Table<'_>,
    (endpoints, taken): (Option<&[Endpoint]>, &mut Vec<EndpointName>),
    faults: &mut Faults,
) -> Checked<Vec<EndpointName>> {
    let hint = "names of [[endpoint]]: endpoints = [\"home\"]";
    let list = group
        .require("endpoints", hint, faults)?
        .filled_list(faults)?;
    all(list.into_iter().map(|node| {
        let name = EndpointName::new(node.text(faults)?);
        let mut known = endpoints.into_iter().flatten().map(|one| &one.name);
        if endpoints.is_some() && !known.any(|one| *one == name) {
            let message = format!("no endpoint is called `{name}`");
            let code = ErrorCode::GridConflict;
            let mut fault = GridFault::new(code, &node.span, message, "no such endpoint");
            let names = endpoints.into_iter().flatten();
            fault.hint = did_you_mean(name.as_str(), names.map(|one| one.name.as_str()));
            return Err(faults.add(fault));
        }
        if taken.contains(&name) {
            let message = format!("endpoint `{name}` is in a group already");
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &node.span, message, "the second time");
            let hint = "every endpoint is in exactly one group: ask for it there, or give its \
                        path to another [[endpoint]]";
            return Err(faults.add(fault.hint(hint)));
        }
        taken.push(name.clone());
        Ok(name)
    }))
}

//! From a service to the commands that build, start and ask it. Pure, as
//! `render` is for servers.

use std::collections::BTreeMap;
use std::path::Path;

use autotune_model::{Service, ServiceName, ServiceReady};

use crate::environment::Environment;
use crate::render::Command;
use crate::template::{RenderError, ServicePlace, Template};

/// What the commands of a service are made from.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRendering<'a> {
    /// Which.
    pub service: &'a Service,
    /// The environment that `autotune` was started with.
    pub inherited: &'a BTreeMap<String, String>,
    /// What the user is known by, where it is another one: `HOME`, `USER`.
    pub of_user: &'a [(&'a str, String)],
}

/// The commands of a service that is being started.
#[derive(Clone, Debug)]
pub struct ServiceCommands {
    /// What starts it.
    pub start: Command,
    /// What succeeds once it can be used, where a command tells that.
    pub ready: Option<Command>,
}

/// The commands at this place, beside the services that already run.
///
/// # Errors
/// When a hole cannot be filled or a variable is missing.
pub fn render_service(
    rendering: ServiceRendering<'_>,
    place: &ServicePlace,
    others: &BTreeMap<ServiceName, ServicePlace>,
) -> Result<ServiceCommands, RenderError> {
    let template = Template::for_service(place, others);
    let ServiceRendering {
        service,
        inherited,
        of_user,
    } = rendering;
    let environment = Environment::for_service(service, (inherited, of_user), &template)?;
    let command = |words: &[String]| {
        Ok::<_, RenderError>(Command {
            argv: template.fill_words(words)?,
            env: environment.variables.clone(),
            redactor: environment.redactor.clone(),
        })
    };
    let ready = match &service.ready {
        ServiceReady::Command(words) => Some(command(words)?),
        ServiceReady::Port | ServiceReady::Path(_) => None,
    };
    Ok(ServiceCommands {
        start: command(&service.start)?,
        ready,
    })
}

/// The setup steps of a service, each a program with its arguments. They see the
/// environment of `autotune` and of the user, as those of a server do.
///
/// # Errors
/// When a hole cannot be filled; only `cache` exists here.
pub fn render_service_setup(
    rendering: ServiceRendering<'_>,
    cache: &Path,
) -> Result<Vec<Command>, RenderError> {
    let template = Template::for_setup(cache);
    let mut inherited = rendering.inherited.clone();
    let of_user = rendering.of_user.iter();
    inherited.extend(of_user.map(|(name, value)| ((*name).to_owned(), value.clone())));
    let environment = Environment::for_setup(&inherited);
    let steps = rendering.service.setup.iter().map(|words| {
        Ok(Command {
            argv: template.fill_words(words)?,
            env: environment.variables.clone(),
            redactor: environment.redactor.clone(),
        })
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use autotune_model::{EnvValue, ServiceUser};

    use super::*;

    fn service() -> Service {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        Service {
            name: ServiceName::new("pool"),
            start: words("pooler --to {{service.db.port}} --listen {{port}} --dir {{run}}"),
            ready: ServiceReady::Command(words("ask {{host}}:{{port}}")),
            stop: "TERM".to_owned(),
            user: ServiceUser::Own,
            cpus: None,
            env: vec![(
                "DB".to_owned(),
                EnvValue::Text("{{ service.db.run }} {{ cache }}".to_owned()),
            )],
            dir: "/srv".into(),
            setup: vec![words("build {{cache}}/pool")],
            may_reach: Vec::new(),
        }
    }

    fn place(name: &str, port: u16) -> ServicePlace {
        ServicePlace {
            cache: format!("/cache/{name}").into(),
            run: format!("/run/{name}").into(),
            address: ([127, 0, 0, 1], port).into(),
        }
    }

    fn env<'c>(command: &'c Command, name: &str) -> Option<&'c str> {
        let found = command.env.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.expose().as_str())
    }

    #[test]
    fn a_service_sees_its_own_place_and_those_before_it() {
        let inherited = [("HOME", "/root"), ("PATH", "/bin")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let inherited = BTreeMap::from(inherited);
        let service = service();
        let rendering = ServiceRendering {
            service: &service,
            inherited: &inherited,
            of_user: &[("HOME", "/var/lib/pool".to_owned())],
        };
        let others = BTreeMap::from([(ServiceName::new("db"), place("db", 9001))]);
        let made = render_service(rendering, &place("pool", 9002), &others).expect("renders");
        assert_eq!(
            made.start.argv.join(" "),
            "pooler --to 9001 --listen 9002 --dir /run/pool"
        );
        let ready = made.ready.expect("a command tells it");
        assert_eq!(ready.argv.join(" "), "ask 127.0.0.1:9002");
        for command in [&made.start, &ready] {
            assert_eq!(env(command, "DB"), Some("/run/db /cache/pool"));
            assert_eq!(env(command, "HOME"), Some("/var/lib/pool"));
            assert_eq!(env(command, "PATH"), Some("/bin"));
        }
        let alone = render_service(rendering, &place("pool", 9002), &BTreeMap::new());
        assert!(alone.is_err(), "nothing is called db");
        let steps = render_service_setup(rendering, Path::new("/cache/k")).expect("renders");
        assert_eq!(steps[0].argv.join(" "), "build /cache/k/pool");
        assert_eq!(env(&steps[0], "HOME"), Some("/var/lib/pool"));
    }
}

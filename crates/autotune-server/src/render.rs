//! From a configuration to the command line and the environment that launch it.
//! Pure: nothing is read or started.

use std::collections::BTreeMap;
use std::path::Path;

use autotune_model::{Configuration, Profile, Secret, ServerVariant, Value};

use crate::environment::{Environment, Sources};
use crate::redact::Redactor;
use crate::shipped::Behaviour;
use crate::template::{Place, RenderError, Template};
use crate::version::Version;

/// What a command line is made from.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// The server and its app.
    pub variant: &'a ServerVariant,
    /// The parameters of its kind.
    pub profile: &'a Profile,
    /// How its kind is launched.
    pub behaviour: &'a Behaviour,
    /// What fills the holes.
    pub place: &'a Place,
    /// The server's version; without it, flags that only newer ones know are
    /// left out.
    pub version: Option<&'a Version>,
    /// The environment that `autotune` was started with.
    pub inherited: &'a BTreeMap<String, String>,
}

/// A program with its arguments and its whole environment.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program, then its arguments.
    pub argv: Vec<String>,
    /// Complete: nothing else is inherited.
    pub env: Vec<(String, Secret<String>)>,
    /// Takes the secrets of `env` out of texts.
    pub redactor: Redactor,
}

/// The command that serves with this configuration.
///
/// # Errors
/// When a hole cannot be filled, a variable is missing, or the variant gives an
/// argument that is `autotune`'s own.
pub fn render(
    request: &Rendering<'_>,
    configuration: &Configuration,
) -> Result<Command, RenderError> {
    let template = Template::new(request.place, Some(configuration));
    let argv = match &request.behaviour.program {
        Some(program) => known_argv(request, configuration, (program, &template))?,
        None => command_argv(request.variant, &template)?,
    };
    if argv.is_empty() {
        return Err(RenderError::MissingCommand {
            profile: request.profile.name.clone(),
        });
    }
    let environment = Environment::for_server(&request.sources(), &template)?;
    Ok(Command {
        argv,
        env: environment.variables,
        redactor: environment.redactor,
    })
}

/// The setup steps of a variant, each a program with its arguments.
///
/// # Errors
/// When a hole cannot be filled; only `cache` exists here.
pub fn render_setup(
    variant: &ServerVariant,
    cache: &Path,
    inherited: &BTreeMap<String, String>,
) -> Result<Vec<Command>, RenderError> {
    let template = Template::for_setup(cache);
    let environment = Environment::for_setup(inherited);
    let steps = variant.setup.iter().map(|words| {
        Ok(Command {
            argv: template.fill_words(words)?,
            env: environment.variables.clone(),
            redactor: environment.redactor.clone(),
        })
    });
    steps.collect()
}

impl Rendering<'_> {
    fn sources(&self) -> Sources<'_> {
        Sources {
            variant: self.variant,
            profile: self.profile,
            behaviour: self.behaviour,
            inherited: self.inherited,
        }
    }

    /// A program of the variant's `bin`, with arguments, in the server's
    /// environment: to ask the server for its version, for example.
    ///
    /// # Errors
    /// As for [`render`].
    pub fn tool(&self, program: &str, arguments: &[String]) -> Result<Command, RenderError> {
        let template = Template::new(self.place, None);
        let environment = Environment::for_server(&self.sources(), &template)?;
        let mut argv = vec![in_bin(self.variant, program, &template)?];
        argv.extend(arguments.iter().cloned());
        Ok(Command {
            argv,
            env: environment.variables,
            redactor: environment.redactor,
        })
    }
}

/// The commands that run around a trial, in the server's environment.
///
/// # Errors
/// As for [`render`].
pub fn render_hooks(
    request: &Rendering<'_>,
    configuration: &Configuration,
    commands: &[Vec<String>],
) -> Result<Vec<Command>, RenderError> {
    let template = Template::new(request.place, Some(configuration));
    let environment = Environment::for_server(&request.sources(), &template)?;
    let hooks = commands.iter().map(|words| {
        Ok(Command {
            argv: template.fill_words(words)?,
            env: environment.variables.clone(),
            redactor: environment.redactor.clone(),
        })
    });
    hooks.collect()
}

fn known_argv(
    request: &Rendering<'_>,
    configuration: &Configuration,
    (program, template): (&str, &Template),
) -> Result<Vec<String>, RenderError> {
    let Rendering {
        variant, behaviour, ..
    } = request;
    let app = variant.app.as_ref();
    let app = app.ok_or_else(|| RenderError::MissingApp {
        profile: request.profile.name.clone(),
    })?;
    let args = template.fill_words(&variant.args)?;
    if let Some(argument) = args.iter().find(|arg| is_reserved(behaviour, arg)) {
        return Err(RenderError::Reserved {
            argument: argument.clone(),
        });
    }
    let mut argv = vec![in_bin(variant, program, template)?];
    argv.extend(args);
    argv.extend(parameters(request, configuration));
    argv.extend(template.fill_words(&behaviour.bind)?);
    for since in &behaviour.since {
        if request.version.is_some_and(|have| *have >= since.version) {
            argv.extend(since.flags.iter().cloned());
        }
    }
    argv.push(template.fill(app)?);
    Ok(argv)
}

/// The command with the further arguments. A program that is named with a folder is
/// not looked for in `bin`.
fn command_argv(variant: &ServerVariant, template: &Template) -> Result<Vec<String>, RenderError> {
    let mut argv = template.fill_words(&variant.command)?;
    if let Some(program) = argv.first_mut().filter(|program| !program.contains('/')) {
        *program = in_bin(variant, program, template)?;
    }
    argv.extend(template.fill_words(&variant.args)?);
    Ok(argv)
}

/// Flags of the parameters, after the variant's own arguments so that they win.
fn parameters(request: &Rendering<'_>, configuration: &Configuration) -> Vec<String> {
    let mut argv = Vec::new();
    for param in &request.profile.params {
        let value = configuration.value(&param.name).unwrap_or(&param.default);
        if value == &param.default && !request.behaviour.always.contains(&param.name) {
            continue;
        }
        match value {
            Value::Bool(true) => argv.push(param.flag.clone()),
            Value::Bool(false) => {}
            Value::Int(_) | Value::Text(_) => {
                argv.push(param.flag.clone());
                argv.push(value.to_string());
            }
        }
    }
    argv
}

fn in_bin(
    variant: &ServerVariant,
    program: &str,
    template: &Template,
) -> Result<String, RenderError> {
    let Some(bin) = &variant.bin else {
        return Ok(program.to_owned());
    };
    // A relative `bin` is meant relative to `dir`, as everything of the variant.
    let bin = variant.dir.join(template.fill(bin)?);
    Ok(Path::new(&bin).join(program).display().to_string())
}

/// Whether the argument is reserved: itself, `--flag=value`, or `-bVALUE`.
fn is_reserved(behaviour: &Behaviour, argument: &str) -> bool {
    behaviour.reserved.iter().any(|reserved| {
        if reserved.starts_with("--") {
            argument
                .strip_prefix(reserved.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        } else {
            argument.starts_with(reserved.as_str())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped::{behaviour, profile};
    use autotune_model::{EnvValue, ParamName, VariantName};

    fn variant(profile: &str) -> ServerVariant {
        ServerVariant {
            name: VariantName::new("g"),
            profile: profile.to_owned(),
            app: Some("app:app".to_owned()),
            dir: "/srv/blog".into(),
            setup: Vec::new(),
            bin: Some("{{ cache }}/venv/bin".to_owned()),
            args: Vec::new(),
            command: Vec::new(),
            env: Vec::new(),
            fixture: None,
            before_trial: Vec::new(),
            after_trial: Vec::new(),
            may_reach: Vec::new(),
            ready: None,
            stop: None,
        }
    }

    fn place() -> Place {
        Place {
            cache: "/cache/k".into(),
            run: "/run/1".into(),
            address: ([127, 0, 0, 1], 9000).into(),
            cores: 2,
            services: BTreeMap::new(),
        }
    }

    /// Renders with these parameters; `inherited` is the outer environment.
    fn made(
        variant: &ServerVariant,
        given: &[(&str, Value)],
        version: &str,
        inherited: &[(&str, &str)],
    ) -> Result<Command, RenderError> {
        let behaviour = behaviour(&variant.profile).expect("shipped");
        made_with(variant, &behaviour, given, (version, inherited))
    }

    fn made_with(
        variant: &ServerVariant,
        behaviour: &Behaviour,
        given: &[(&str, Value)],
        (version, inherited): (&str, &[(&str, &str)]),
    ) -> Result<Command, RenderError> {
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| (ParamName::from(*name), value.clone()))
            .collect();
        let profile = profile(&variant.profile).expect("shipped");
        let folded = Configuration::fold(&profile, &variant.name, &given, false);
        let inherited = inherited
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        render(
            &Rendering {
                variant,
                profile: &profile,
                behaviour,
                place: &place(),
                version: Version::find(version).as_ref(),
                inherited: &inherited,
            },
            &folded.configuration,
        )
    }

    fn env(command: &Command, name: &str) -> Option<String> {
        let found = command.env.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.expose().clone())
    }

    #[test]
    fn gunicorn_gets_every_judged_parameter_and_the_app_last() {
        let mut variant = variant("gunicorn");
        variant.args = vec!["--preload".to_owned()];
        let given = [("workers", 4.into()), ("max_requests", 750.into())];
        let command = made(&variant, &given, "27.0.1", &[]).expect("renders");
        assert_eq!(
            command.argv.join(" "),
            "/cache/k/venv/bin/gunicorn --preload --workers 4 --threads 1 -k sync \
             --max-requests 750 --max-requests-jitter 0 --bind 127.0.0.1:9000 \
             --no-control-socket app:app"
        );
    }

    #[test]
    fn a_flag_that_the_version_lacks_is_left_out() {
        for version in ["25.0.3", "23.0.0", "unknown"] {
            let command = made(&variant("gunicorn"), &[], version, &[]).expect("renders");
            assert!(!command.argv.iter().any(|arg| arg == "--no-control-socket"));
        }
    }

    #[test]
    fn a_further_parameter_is_given_when_it_is_not_the_default() {
        let given = [("worker_class", "gthread".into()), ("keepalive", 75.into())];
        let command = made(&variant("gunicorn"), &given, "27.0", &[]).expect("renders");
        assert!(command.argv.join(" ").contains("--keep-alive 75"));
        assert!(!command.argv.join(" ").contains("--backlog"));
    }

    #[test]
    fn a_further_parameter_that_the_grid_names_is_given_at_its_default_too() {
        let mut behaviour = behaviour("gunicorn").expect("shipped");
        let profile = profile("gunicorn").expect("shipped");
        behaviour.always_give(&profile, &["keepalive".into(), "nothing".into()]);
        let given = [("worker_class", "gthread".into())];
        let command =
            made_with(&variant("gunicorn"), &behaviour, &given, ("27.0", &[])).expect("renders");
        let line = command.argv.join(" ");
        assert!(line.contains("--keep-alive 2"), "{line}");
        assert!(!line.contains("--backlog") && !line.contains("nothing"));
    }

    #[test]
    fn without_bin_the_program_is_looked_up_on_the_path() {
        let mut variant = variant("gunicorn");
        variant.bin = None;
        let command = made(&variant, &[], "27.0", &[]).expect("renders");
        assert_eq!(command.argv[0], "gunicorn");
    }

    #[test]
    fn a_relative_bin_is_relative_to_dir() {
        let mut variant = variant("gunicorn");
        variant.bin = Some("venv/bin".to_owned());
        let command = made(&variant, &[], "27.0", &[]).expect("renders");
        assert_eq!(command.argv[0], "/srv/blog/venv/bin/gunicorn");
    }

    #[test]
    fn arguments_that_take_launching_out_of_our_hands_are_refused() {
        for argument in ["--bind=0.0.0.0:80", "-b", "-b:80", "--daemon", "-D"] {
            let mut variant = variant("gunicorn");
            variant.args = vec![argument.to_owned()];
            let error = made(&variant, &[], "27.0", &[]).expect_err(argument);
            assert!(matches!(error, RenderError::Reserved { .. }), "{argument}");
        }
    }

    #[test]
    fn a_command_has_parameters_as_variables() {
        let mut variant = variant("command");
        variant.command = [
            "{{ cache }}/uvicorn",
            "--workers={{ workers }}",
            "--port",
            "{{ port }}",
        ]
        .map(str::to_owned)
        .to_vec();
        let command = made(&variant, &[("workers", 3.into())], "", &[]).expect("renders");
        assert_eq!(
            command.argv,
            ["/cache/k/uvicorn", "--workers=3", "--port", "9000"]
        );
        variant.command = vec!["x".to_owned(), "{{ threads }}".to_owned()];
        let error = made(&variant, &[("workers", 3.into())], "", &[]).expect_err("no threads");
        assert!(matches!(error, RenderError::Template { .. }));
    }

    #[test]
    fn a_command_takes_bin_and_further_arguments() {
        let mut variant = variant("command");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        variant.bin = Some("{{ cache }}/venv/bin".to_owned());
        variant.args = words(&["--log level", "{{ port }}"]);
        let mut check = |command: &[&str], expected: &[&str]| {
            variant.command = words(command);
            let made = made(&variant, &[], "", &[]).expect("renders");
            assert_eq!(made.argv, expected);
        };
        let program = "/cache/k/venv/bin/waitress";
        check(
            &["waitress", "app"],
            &[program, "app", "--log level", "9000"],
        );
        check(&["./own"], &["./own", "--log level", "9000"]);
    }

    #[test]
    fn what_would_override_is_cleared_and_the_rest_inherited() {
        let outer = [("WEB_CONCURRENCY", "9"), ("PATH", "/bin"), ("PWD", "/x")];
        let command = made(&variant("gunicorn"), &[], "27.0", &outer).expect("renders");
        assert_eq!(env(&command, "WEB_CONCURRENCY"), None);
        assert_eq!(env(&command, "PATH").as_deref(), Some("/bin"));
        assert_eq!(env(&command, "PWD").as_deref(), Some("/srv/blog"));
        assert_eq!(
            env(&command, "PYTHONDONTWRITEBYTECODE").as_deref(),
            Some("1")
        );
    }

    #[test]
    fn the_variants_own_environment_wins() {
        let mut variant = variant("gunicorn");
        let text = |text: &str| EnvValue::Text(text.to_owned());
        variant.env = vec![
            ("WEB_CONCURRENCY".to_owned(), text("5")),
            ("DATABASE".to_owned(), text("{{ run }}/notes.db")),
        ];
        let outer = [("WEB_CONCURRENCY", "9"), ("DATABASE", "x")];
        let command = made(&variant, &[], "27.0", &outer).expect("renders");
        assert_eq!(env(&command, "WEB_CONCURRENCY").as_deref(), Some("5"));
        assert_eq!(
            env(&command, "DATABASE").as_deref(),
            Some("/run/1/notes.db")
        );
    }

    #[test]
    fn secrets_come_from_outside_and_are_redacted() {
        let mut variant = variant("gunicorn");
        let from = EnvValue::FromEnv {
            name: "OUTER".to_owned(),
            secret: true,
        };
        variant.env = vec![("TOKEN".to_owned(), from)];
        let command = made(&variant, &[], "27.0", &[("OUTER", "s3cr3t")]).expect("renders");
        assert_eq!(env(&command, "TOKEN").as_deref(), Some("s3cr3t"));
        assert_eq!(env(&command, "OUTER"), None);
        assert_eq!(command.redactor.clean("got s3cr3t"), "got (secret)");
        assert!(!format!("{command:?}").contains("s3cr3t"));
        let error = made(&variant, &[], "27.0", &[]).expect_err("not set");
        assert_eq!(
            error.to_string(),
            "`TOKEN` is to be taken from the environment variable `OUTER`, which is not set"
        );
    }
}

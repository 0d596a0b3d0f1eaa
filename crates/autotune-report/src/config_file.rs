//! The recommendation as a file that a team takes into production, with what it
//! holds for in comment lines.

use autotune_analysis::{ConfigAnalysis, VerdictWord};
use autotune_model::{ConfigFile, ParamName, Value};

use crate::conditions::{held, placement};
use crate::format::{count, one_line};
use crate::sentences::sentences;
use crate::study::{Study, Word, label};

/// Longest comment line, for editors and terminals.
const WIDTH: usize = 92;

/// The name of the file and its text, for example `gunicorn.conf.py` with the
/// recommended settings. `None` where nothing is recommended or the server has
/// no such file.
pub fn config_file(study: &Study<'_>) -> Option<(String, String)> {
    let config = study.recommended()?;
    let file = study.profile(&config.configuration)?.config_file.as_ref()?;
    let mut lines = vec![
        format!(
            "{} - study {}, autotune {}",
            label(config),
            study.name,
            study.tool_version
        ),
        String::new(),
    ];
    if study.word() == Word::Verdict(VerdictWord::Unresolved) {
        lines.push("Not a final answer: see the first sentence.".to_owned());
    }
    lines.extend(sentences(study));
    lines.push(format!(
        "Holds for {} of the server{} ({}).",
        count(study.placement.cores as u64, "CPU"),
        held(study.confinement).map_or_else(String::new, |held| format!(" {held}")),
        placement(study.placement)
    ));
    lines.push(format!("To measure again: {}", study.command));
    let mut text = String::new();
    for line in lines {
        comment(&mut text, &file.comment, &one_line(&line));
    }
    text.push('\n');
    for line in settings(study)? {
        text.push_str(&line);
        text.push('\n');
    }
    Some((file.name.clone(), text))
}

/// The settings alone, to be shown and pasted: those of the label, and of the
/// others what the grid names or what is not at the server's default. The rest
/// the team may have set for reasons of its own.
pub(crate) fn settings(study: &Study<'_>) -> Option<Vec<String>> {
    settings_of(study, study.recommended()?)
}

fn settings_of(study: &Study<'_>, config: &ConfigAnalysis) -> Option<Vec<String>> {
    let profile = study.profile(&config.configuration)?;
    let values = config.configuration.values().iter().enumerate();
    let told = values.filter(|(index, (name, value))| {
        let default = profile.param(name).map(|param| &param.default);
        let named = study.planned.named.contains(name);
        *index < profile.label_fields || named || default != Some(value)
    });
    let line = |(name, value): &(ParamName, Value)| match &profile.config_file {
        Some(file) => setting(file, name, value),
        None => format!("{name} = {value}"),
    };
    Some(told.map(|(_, pair)| line(pair)).collect())
}

fn setting(file: &ConfigFile, name: &ParamName, value: &Value) -> String {
    let python = file.name.ends_with(".py");
    let value = match value {
        Value::Int(number) => number.to_string(),
        Value::Bool(true) if python => "True".to_owned(),
        Value::Bool(false) if python => "False".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Text(text) => quoted(text),
    };
    file.setting
        .replace("{name}", name.as_str())
        .replace("{value}", &value)
}

/// In double quotes, with escapes that Python, JSON and TOML share.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// One sentence as comment lines, broken between words.
fn comment(text: &mut String, mark: &str, sentence: &str) {
    let mut line = mark.to_owned();
    for word in sentence.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.len() > mark.len() {
            text.push_str(&line);
            text.push('\n');
            line = format!("{mark}  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ending;
    use crate::testing::Fixture;

    #[test]
    fn holds_the_settings_and_what_they_hold_for() {
        let fixture = Fixture::realistic();
        let (name, text) = config_file(&fixture.study()).unwrap();
        assert_eq!(name, "gunicorn.conf.py");
        let settings: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert_eq!(
            settings,
            [
                "workers = 1",
                "threads = 8",
                "worker_class = \"gthread\"",
                "max_requests = 0",
                "max_requests_jitter = 0"
            ]
        );
        let comments = text.replace("\n#", "").replace("   ", " ");
        for part in [
            "for a server on 1 CPU",
            "at most 6.1 % worse",
            "open load of 90 requests/s",
            "restarts not observed; max-requests not judged; memory grew 0.42 MiB per 1,000 requests",
        ] {
            assert!(comments.contains(part), "{part} in {text}");
        }
        assert!(text.lines().all(|line| line.len() <= WIDTH));
    }

    #[test]
    fn says_what_the_server_was_held_to() {
        let mut fixture = Fixture::realistic();
        fixture.limit(None);
        let (_, text) = config_file(&fixture.study()).unwrap();
        let text = text.replace("\n#", "").replace("   ", " ");
        let held =
            "Holds for 1 CPU of the server held to 1.5 CPUs and 512 MiB of memory (server on";
        assert!(text.contains(held), "{text}");
    }

    #[test]
    fn what_the_grid_names_is_told_at_its_default_too() {
        let mut fixture = Fixture::realistic();
        let extra = autotune_model::Param {
            name: "keepalive".into(),
            kind: autotune_model::ParamKind::Int { min: 0, max: 100 },
            default: 2.into(),
            flag: "--keep-alive".to_owned(),
        };
        let variants = fixture.variants.iter_mut();
        variants.for_each(|(_, profile)| profile.params.push(extra.clone()));
        let told = |fixture: &Fixture| {
            let study = fixture.study();
            let config = study.recommended().unwrap();
            let (variant, values) = (
                config.configuration.variant(),
                config.configuration.values(),
            );
            let mut with = config.clone();
            let mut values = values.to_vec();
            values.push(("keepalive".into(), 2.into()));
            with.configuration = autotune_model::Configuration::from_stored(
                variant.clone(),
                values,
                config.configuration.label().to_string(),
            );
            settings_of(&study, &with).unwrap().len()
        };
        assert_eq!(told(&fixture), 5);
        fixture.planned.named.push("keepalive".into());
        assert_eq!(told(&fixture), 6);
    }

    #[test]
    fn there_is_none_where_nothing_is_recommended() {
        let mut fixture = Fixture::realistic();
        fixture.ending = Ending::Interrupted;
        assert_eq!(config_file(&fixture.study()), None);
    }

    #[test]
    fn a_hostile_name_stays_in_its_comment_and_a_text_in_its_quotes() {
        let mut fixture = Fixture::realistic();
        fixture.name = "x\nimport os".to_owned();
        let (_, text) = config_file(&fixture.study()).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("import")));
        assert_eq!(quoted("a\"b\\\n"), "\"a\\\"b\\\\\\u000a\"");
    }
}

//! Filling a template: every value is escaped unless the template says that it
//! is finished text.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::error::ReportError;

/// What a template becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Html,
    Markdown,
}

/// A template that is built in.
pub(crate) struct Template {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) format: Format,
}

/// Fills the template. A name that the view lacks is an error, not an empty text.
pub(crate) fn fill(template: &Template, view: &impl Serialize) -> Result<String, ReportError> {
    let fault = |source| ReportError::Template {
        name: template.name,
        source,
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .map_err(&fault)?;
    environment.set_syntax(syntax);
    let format = template.format;
    // The library's own escaping turns the slashes of a configuration into
    // entities, which nobody can search for.
    environment.set_formatter(move |out, _, value| {
        if value.is_none() {
            return Ok(());
        }
        let text = value.to_string();
        let text = match (value.is_safe(), format) {
            (true, _) => text,
            (false, Format::Html) => html_escaped(&text),
            (false, Format::Markdown) => markdown_escaped(&text),
        };
        out.write_str(&text)?;
        Ok(())
    });
    environment
        .render_str(template.text, Serde(view))
        .map_err(fault)
}

/// For text and for attributes in double quotes.
pub(crate) fn html_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Not allowed in HTML; of terminal colours in logs, for example.
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// For running text and cells of tables: no markup, no link, no new line, no
/// mention of an account.
pub(crate) fn markdown_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '#' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A code block whose fence the text cannot close.
pub(crate) fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    let text = text.trim_end_matches('\n');
    format!("{fence}text\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct View {
        text: &'static str,
    }

    fn check(format: Format, template: &'static str, expected: &str) {
        let template = Template {
            name: "test",
            text: template,
            format,
        };
        assert_eq!(
            fill(&template, &View { text: "<b>1/8|`" }).unwrap(),
            expected
        );
    }

    #[test]
    fn values_are_escaped_unless_they_are_finished() {
        check(Format::Html, "<i>{{ text }}</i>", "<i>&lt;b&gt;1/8|`</i>");
        check(Format::Markdown, "*{{ text }}*", "*&lt;b&gt;1/8\\|\\`*");
        check(Format::Html, "{{ text|safe }}", "<b>1/8|`");
    }

    #[test]
    fn a_name_that_is_missing_is_an_error() {
        let template = Template {
            name: "test",
            text: "{{ nothing }}",
            format: Format::Html,
        };
        assert!(fill(&template, &View { text: "" }).is_err());
    }

    #[test]
    fn a_fence_outlives_its_text() {
        assert_eq!(fenced("a\n````\nb"), "`````text\na\n````\nb\n`````");
        assert_eq!(fenced("a"), "```text\na\n```");
    }
}

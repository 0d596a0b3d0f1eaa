//! What all outputs together promise.

use autotune_model::Outcome;

use crate::testing::Fixture;
use crate::*;

/// Every text that is made of a study.
fn all(fixture: &Fixture) -> Vec<(&'static str, String)> {
    let study = fixture.study();
    vec![
        ("headline", headline(&study)),
        ("verdict.json", verdict_json(&study).unwrap()),
        ("trials.csv", trials_csv(&fixture.history).unwrap()),
        ("report.md", report_md(&study).unwrap()),
        ("report.html", report_html(&study).unwrap()),
        (
            "gunicorn.conf.py",
            config_file(&study).map(|file| file.1).unwrap_or_default(),
        ),
    ]
}

#[test]
fn the_same_study_gives_the_same_bytes() {
    assert_eq!(all(&Fixture::realistic()), all(&Fixture::realistic()));
}

#[test]
fn cpus_and_restarts_are_said_everywhere() {
    let fixture = Fixture::realistic();
    for (name, text) in all(&fixture) {
        if name == "trials.csv" {
            continue;
        }
        let text = text.replace("\n#  ", "");
        assert!(text.contains("for a server on 1 CPU"), "{name}");
        let restarts = "restarts not observed; max-requests not judged; memory grew 0.42 MiB per 1,000 requests";
        assert!(text.contains(restarts), "{name}");
    }
}

#[test]
fn hostile_texts_stay_texts() {
    const EVIL: &str = "<script>alert(1)</script>\"'`|]] >{{ 7919 * 7919 }}";
    let mut fixture = Fixture::realistic();
    fixture.name = EVIL.to_owned();
    fixture.grid_text = format!("```\n{EVIL}");
    fixture.command = format!("autotune sweep '{EVIL}'");
    fixture.host.facts.push((EVIL.to_owned(), EVIL.to_owned()));
    fixture.versions.insert(EVIL.to_owned(), EVIL.to_owned());
    fixture.planned.folded.push(EVIL.to_owned());
    fixture.planned.dropped.push(EVIL.to_owned());
    fixture.endpoints[0].path = EVIL.into();
    for trial in &mut fixture.history.trials {
        if trial.spec.key.position == 2 {
            trial.outcome = Outcome::Died {
                detail: format!("{EVIL}\n{EVIL}"),
            };
            trial.server.as_mut().unwrap().log.tail =
                vec![EVIL.to_owned(), "\u{1b}[31m".to_owned()];
        }
    }
    let html = report_html(&fixture.study()).unwrap();
    assert!(!html.contains("<script"));
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert!(!html.contains('\u{1b}'));
    assert!(
        !html.contains("62710561"),
        "a template in the data was filled"
    );
    let markdown = report_md(&fixture.study()).unwrap();
    let outside_code = markdown.split("```").step_by(2).collect::<String>();
    assert!(!outside_code.contains("<script"));
}

#[test]
fn the_page_is_one_well_formed_file_without_network_or_script() {
    let html = report_html(&Fixture::realistic().study()).unwrap();
    for forbidden in [
        "<script", "<link", "<img", "url(", "@import", "src=", "href=",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    // Void elements apart the page is XML.
    let start = html.find("<main>").unwrap();
    let end = html.find("</main>").unwrap() + "</main>".len();
    let body = html[start..end].replace("<br>", "<br/>");
    let document = roxmltree::Document::parse(&body).unwrap();
    let charts = document
        .descendants()
        .filter(|node| node.tag_name().name() == "svg");
    assert!(charts.clone().count() >= 5, "three maps and two charts");
    assert!(
        charts
            .into_iter()
            .all(|chart| chart.attribute("viewBox").is_some())
    );
}

#[test]
fn markdown_tables_have_as_many_cells_in_every_row() {
    let text = report_md(&Fixture::realistic().study()).unwrap();
    let mut cells = None;
    let mut rows = 0;
    for line in text.lines() {
        if line.starts_with('|') {
            let found = line.matches('|').count() - line.matches("\\|").count();
            assert_eq!(*cells.get_or_insert(found), found, "{line}");
            rows += 1;
        } else {
            cells = None;
        }
    }
    assert!(rows > 30, "only {rows} rows in {text}");
}

#[test]
fn every_ending_gives_every_output() {
    let endings = [
        Ending::Budget,
        Ending::NothingMeasurable,
        Ending::Interrupted,
        Ending::Stopped {
            code: autotune_model::ErrorCode::Setup,
            fault: "pip failed".to_owned(),
        },
    ];
    for ending in endings {
        let mut fixture = Fixture::realistic();
        fixture.ending = ending;
        all(&fixture);
        fixture.infeasible();
        all(&fixture);
        // Nothing at all was measured yet.
        fixture.history = autotune_model::History::default();
        fixture.analysis.configurations.clear();
        fixture.analysis.noise = None;
        fixture.analysis.drift = None;
        let html = report_html(&fixture.study()).unwrap();
        assert!(html.contains("Nothing was measured."));
        all(&fixture);
    }
}

/// To look at: `REPORT_OUT=folder cargo test -p autotune-report -- --ignored`.
#[test]
#[ignore = "writes files to look at"]
#[expect(
    clippy::disallowed_methods,
    reason = "the files are written only on request"
)]
fn write_a_sample() {
    let folder = std::path::PathBuf::from(std::env::var("REPORT_OUT").unwrap());
    for (name, text) in all(&Fixture::realistic()) {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

//! The help of every command, as committed. After a wanted change
//! `RENEW_HELP=1 cargo test -p autotune --test end_to_end help` writes it anew.

use std::path::Path;

use crate::place::{Place, read};

#[test]
fn help_is_as_committed() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/help");
    for (name, words) in [
        ("autotune", &["--help"][..]),
        ("check", &["check", "--help"]),
        ("sweep", &["sweep", "--help"]),
        ("trial", &["trial", "--help"]),
        ("report", &["report", "--help"]),
        ("explain", &["explain", "--help"]),
        ("schema", &["schema", "--help"]),
    ] {
        let done = place.run(words);
        done.assert_code(0);
        assert_eq!(done.stderr, "");
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("RENEW_HELP").is_some() {
            std::fs::write(&path, &done.stdout).expect("written");
        }
        assert_eq!(done.stdout, read(&path), "`autotune {}`", words.join(" "));
    }
}

/// For editors that read the file from the source; renewed as the help is.
#[test]
fn the_schema_is_as_shipped() {
    let done = Place::new().run(&["schema"]);
    done.assert_code(0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grid-file.schema.json");
    if std::env::var_os("RENEW_HELP").is_some() {
        std::fs::write(&path, &done.stdout).expect("written");
    }
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    // The order of keys is the library's.
    assert_eq!(parsed(&done.stdout), parsed(&read(&path)));
}

#[test]
fn the_version_is_said() {
    let done = Place::new().run(&["--version"]);
    done.assert_code(0);
    assert_eq!(
        done.stdout,
        concat!("autotune ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

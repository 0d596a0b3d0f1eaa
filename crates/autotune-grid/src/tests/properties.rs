//! Random grids and random damage.

use std::collections::BTreeSet;

use autotune_model::VariantName;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;
use crate::{Space, parse_configuration};

/// A random cell as spelled: workers, threads, class, max-requests, jitter.
fn cell() -> impl Strategy<Value = (i64, i64, &'static str, i64, i64)> {
    let class = select(vec!["sync", "gthread", "gevent", "a.B"]);
    (1..9i64, 1..4i64, class, 0..2i64, 0..3i64)
}

/// How gunicorn understands a cell, by its own rules and not by the folds.
fn meant(cell: (i64, i64, &str, i64, i64)) -> (i64, i64, String, i64, i64) {
    let (workers, threads, class, max_requests, jitter) = cell;
    let threads = if class == "gevent" { 1 } else { threads };
    let class = if class == "sync" && threads > 1 {
        "gthread"
    } else {
        class
    };
    let jitter = if max_requests == 0 { 0 } else { jitter };
    (workers, threads, class.to_owned(), max_requests, jitter)
}

fn list<T: std::fmt::Debug>(values: &[T]) -> String {
    format!("{values:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_cell_folds_to_what_it_means_and_stays_so(cell in cell()) {
        let variants = [(VariantName::new("g"), gunicorn())];
        let (w, t, c, m, j) = cell;
        let once = parse_configuration(&format!("{w}/{t}/{c}/{m}/{j}"), &variants).unwrap();
        let (w, t, c, m, j) = meant(cell);
        let label = format!("{w}/{t}/{c}/{m}/{j}");
        prop_assert_eq!(once.configuration.label().as_str(), &label);
        let again = parse_configuration(&label, &variants).unwrap();
        prop_assert_eq!(&again.configuration, &once.configuration);
        prop_assert!(again.reasons.is_empty());
    }

    #[test]
    fn a_space_is_the_set_of_what_its_cells_mean(
        workers in subsequence(vec![1i64, 2, 4], 1..=3),
        threads in subsequence(vec![1i64, 2, 8], 1..=3),
        classes in subsequence(vec!["sync", "gthread", "gevent", "a.B"], 1..=4),
        max_requests in subsequence(vec![0i64, 500], 1..=2),
        jitters in subsequence(vec![0i64, 50, 100], 1..=3),
    ) {
        let grid = format!(
            "[grid]\nworker_class = {}\nworkers = {}\nmax_requests_jitter = {}\nthreads = {}\n\
             max_requests = {}",
            list(&classes), list(&workers), list(&jitters), list(&threads), list(&max_requests),
        );
        let file = good(&edited(LEAST, "[grid]", &grid));
        let mut expected = Vec::new();
        let mut cells = 0;
        for c in &classes {
            for w in &workers {
                for j in &jitters {
                    for t in &threads {
                        for m in &max_requests {
                            let (w, t, c, m, j) = meant((*w, *t, c, *m, *j));
                            let label = format!("{w}/{t}/{c}/{m}/{j}");
                            cells += 1;
                            if !expected.contains(&label) {
                                expected.push(label);
                            }
                        }
                    }
                }
            }
        }
        prop_assert_eq!(labels(&file), expected);
        prop_assert_eq!(file.space.cells, cells);
        // Every cell that brought no configuration is accounted for.
        let spelled: BTreeSet<_> = file.space.folded.iter().map(|cell| &cell.spelled).collect();
        prop_assert_eq!(spelled.len(), file.space.folded.len());
        prop_assert!(file.space.folded.len() >= cells - file.space.configurations.len());
        prop_assert!(file.space.folded.iter().all(|cell| !cell.reasons.is_empty()));
        prop_assert_eq!(file.space.cells_of.iter().sum::<usize>(), cells);
        // With a constraint every cell is kept or left out, spelled as before.
        let limit = "\nconstraints = [\"workers * threads < 8 or worker_class == 'sync'\"]\n[[endpoint]]";
        let Ok(limited) = read_text(&edited(&edited(LEAST, "[grid]", &grid), "[[endpoint]]", limit)) else {
            return Ok(());
        };
        let kept: usize = limited.space.cells_of.iter().sum();
        prop_assert_eq!(kept + limited.space.dropped.len(), cells);
        let folded = |space: &Space| space.folded.iter().map(|cell| cell.spelled.clone()).collect::<Vec<_>>();
        let dropped: BTreeSet<_> = limited.space.dropped.iter().map(|cell| cell.spelled.clone()).collect();
        prop_assert_eq!(dropped.len(), limited.space.dropped.len());
        let mut left = folded(&file.space);
        left.retain(|spelled| !dropped.contains(spelled));
        prop_assert_eq!(folded(&limited.space), left);
    }

    #[test]
    fn a_value_of_a_variable_comes_back_from_its_label(text in "[ -~é]{0,12}") {
        let command = "command = \"x {{ port }} {{ v }} {{ w }}\"";
        let grid = "[server.p]\nprofile = \"command\"\nCOMMAND\n[grid]\nv = [TEXT]\nw = 1";
        let server = "[server.g]\nprofile = \"gunicorn\"\napp = \"app:app\"\n[grid]";
        let value = toml::Value::String(text.clone()).to_string();
        let grid = grid.replace("COMMAND", command).replace("TEXT", &value);
        if let Ok(file) = read_text(&edited(LEAST, server, &grid)) {
            let configuration = &file.space.configurations[0];
            let label = configuration.label().as_str();
            let folded = file.configuration(label, &profiles()).unwrap();
            prop_assert_eq!(&folded.configuration, configuration);
            prop_assert!(folded.reasons.is_empty());
        }
    }

    #[test]
    fn damage_never_panics_and_every_fault_has_a_place(
        whole in select(vec![FULL, COMMAND, LEAST]),
        damages in prop::collection::vec((any::<Index>(), 0..12usize, damage()), 1..4),
    ) {
        let mut text = whole.to_owned();
        for (place, length, insert) in damages {
            let start = text.floor_char_boundary(place.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &insert);
        }
        match read_text(&text) {
            Ok(_) => prop_assert_eq!(schema::objections(&text), Vec::<String>::new(), "{}", text),
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(text.get(fault.span.clone()).is_some(), "{:?}", fault);
                    prop_assert!(!fault.message.ends_with('.') && !fault.label.is_empty());
                }
            }
        }
    }
}

/// What is put in the place of a piece of text.
fn damage() -> impl Strategy<Value = String> {
    let pieces = [
        "",
        " ",
        "\n",
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "{{",
        "}}",
        "{%",
        "=",
        ",",
        ".",
        "#",
        "é",
        "0",
        "-1",
        "1e999",
        "99999999999999999999",
        "nan",
        "true",
        "[]",
        "{}",
        "\"\"",
        "[server]",
        "[[endpoint]]",
        "[load.open]\n",
        "[grid]\n",
        "\"\\u0000\"",
        "server = [\"puma\"]\n",
        "1979-05-27",
        "x = 1\n",
        "profile = \"command\"\n",
        "grid.workers = 2\n",
        "\"2ms\"",
    ];
    select(pieces.to_vec()).prop_map(str::to_owned)
}

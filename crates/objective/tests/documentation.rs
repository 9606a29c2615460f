//! `docs/objectives.md` shows the registry as it is.

#![allow(clippy::unwrap_used)] // a panic is the report

use std::path::Path;

const BEGIN: &str = "<!-- tables: begin -->";
const END: &str = "<!-- tables: end -->";

/// `UPDATE_DOCS=1 cargo test --release -p objective` rewrites the tables.
#[test]
fn the_tables_are_those_of_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/objectives.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (before, rest) = text.split_once(BEGIN).expect("the begin marker");
    let (_, after) = rest.split_once(END).expect("the end marker");
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", objective::registry::markdown());
    if text == expected {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    panic!("{} is out of date: run UPDATE_DOCS=1 cargo test --release -p objective", path.display());
}

#[test]
fn every_name_and_option_appears() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/objectives.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for about in objective::registry::all() {
        assert!(text.contains(&format!("`{}`", about.name)), "{} is missing", about.name);
        for spec in about.options {
            assert!(text.contains(&format!("`{}`", spec.name)), "{}.{} is missing", about.name, spec.name);
        }
    }
    for algorithm in objective::policy::algorithm::ALL {
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", algorithm.name)) && line.contains(algorithm.summary));
        let row = row.unwrap_or_else(|| panic!("{} is missing", algorithm.name));
        for option in algorithm.uses {
            assert!(row.contains(&format!("`{option}`")), "{}: {option} is missing", algorithm.name);
        }
    }
}

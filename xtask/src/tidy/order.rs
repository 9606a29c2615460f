//! The crate order: a crate depends only on crates of lower rank, and every crate has the workspace's lints.

use std::path::Path;

/// Ranks, lowest first. A new crate gets a line here or tidy fails. `None` is a development dependency only.
pub const RANKS: &[(&str, Option<u32>)] = &[
    ("stdx", Some(0)),
    ("kernels", Some(0)),
    ("objective", Some(0)),
    ("statistics", Some(0)),
    ("record", Some(1)),
    ("chart", Some(1)),
    ("model", Some(1)),
    ("text", Some(1)),
    ("endpoint", Some(1)),
    ("world", Some(2)),
    ("render", Some(2)),
    ("corpus", Some(2)),
    ("run", Some(2)),
    ("label", Some(2)),
    ("generate", Some(3)),
    ("train", Some(4)),
    ("eval", Some(4)),
    ("instruct", Some(4)),
    ("study", Some(5)),
    ("serve", Some(5)),
    ("bench", Some(5)),
    ("cli", Some(6)),
    ("testkit", None),
];

/// What a manifest says: its package and the names under each table of ordinary dependencies.
struct Manifest {
    path: String,
    dependencies: Vec<String>,
    has_workspace_lints: bool,
}

/// Reads every manifest under `crates/` and says which edges are wrong.
pub fn check(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("crates"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut violations = Vec::new();
    for name in names {
        let path = format!("crates/{name}/Cargo.toml");
        match std::fs::read_to_string(root.join(&path)) {
            Ok(text) => check_manifest(&name, &parse(path, &text), &mut violations),
            Err(error) => violations.push(format!("{path}: {error}")),
        }
    }
    violations
}

fn check_manifest(name: &str, manifest: &Manifest, violations: &mut Vec<String>) {
    let path = &manifest.path;
    let Some(rank) = rank_of(name) else {
        violations.push(format!("{path}: `{name}` has no rank; give it a line in xtask/src/tidy/order.rs"));
        return;
    };
    if !manifest.has_workspace_lints {
        violations.push(format!("{path}: `[lints]` with `workspace = true` is missing"));
    }
    for dependency in &manifest.dependencies {
        match (rank, rank_of(dependency)) {
            (_, None) => {}
            (_, Some(None)) => {
                violations.push(format!("{path}: `{dependency}` is for tests; it belongs under [dev-dependencies]"))
            }
            (None, Some(Some(_))) => {}
            (Some(own), Some(Some(other))) if other < own => {}
            (Some(own), Some(Some(other))) => violations.push(format!(
                "{path}: `{name}` (rank {own}) depends on `{dependency}` (rank {other}); ranks must go down"
            )),
        }
    }
}

fn rank_of(name: &str) -> Option<Option<u32>> {
    RANKS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, rank)| *rank)
}

/// Enough of TOML for our own manifests: tables, and keys up to `.` or `=`.
fn parse(path: String, text: &str) -> Manifest {
    let mut manifest = Manifest { path, dependencies: Vec::new(), has_workspace_lints: false };
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']').to_string();
            continue;
        }
        let key = line.split(['.', '=', ' ']).next().unwrap_or_default().trim_matches('"');
        let ordinary = table == "dependencies"
            || table == "build-dependencies"
            || (table.starts_with("target.") && table.ends_with(".dependencies"));
        if ordinary && !key.is_empty() && !key.starts_with('#') {
            manifest.dependencies.push(key.to_string());
        }
        if table == "lints" && line.replace(' ', "") == "workspace=true" {
            manifest.has_workspace_lints = true;
        }
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(name: &str, text: &str) -> Vec<String> {
        let mut violations = Vec::new();
        check_manifest(name, &parse(format!("crates/{name}/Cargo.toml"), text), &mut violations);
        violations
    }

    #[test]
    fn an_edge_upwards_and_an_edge_sideways_are_named() {
        let found = check_text(
            "model",
            "[lints]\nworkspace = true\n[dependencies]\ntrain.workspace = true\nrecord = { path = \"\" }\nserde.workspace = true\n",
        );
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`model` (rank 1) depends on `train` (rank 4)"), "{found:?}");
        assert!(found[1].contains("`record` (rank 1)"), "{found:?}");
    }

    #[test]
    fn development_dependencies_are_free_but_testkit_is_only_there() {
        assert!(check_text("stdx", "[dev-dependencies]\ntrain.workspace = true\n[lints]\nworkspace = true").is_empty());
        let found = check_text("train", "[dependencies]\ntestkit.workspace = true\n[lints]\nworkspace = true");
        assert!(found[0].contains("[dev-dependencies]"), "{found:?}");
    }

    #[test]
    fn an_unknown_crate_and_missing_lints_are_named() {
        assert!(check_text("gadget", "")[0].contains("no rank"));
        assert!(check_text("stdx", "[dependencies]\n")[0].contains("[lints]"));
    }
}

//! The project's own rules, each a function over the sources: they run as a step of `cargo xtask test` and as tests.

mod order;
mod registry;
mod sources;

use std::path::{Path, PathBuf};

/// What the rules say about a checkout.
#[derive(Debug, Default)]
pub struct Findings {
    /// What must be mended.
    pub violations: Vec<String>,
    /// What deserves a look.
    pub warnings: Vec<String>,
    /// Rust files read.
    pub n_files: usize,
}

/// A Rust file: its path from the root, with `/`, and its text.
pub struct SourceFile {
    /// Path from the repository's root.
    pub path: String,
    /// Content.
    pub text: String,
}

/// Applies every rule to the checkout at `root`.
pub fn check(root: &Path) -> Findings {
    let files = rust_files(root);
    let mut findings = Findings { n_files: files.len(), ..Findings::default() };
    findings.violations.extend(order::check(root));
    findings.violations.extend(registry::check(&files));
    sources::check(&files, &mut findings);
    findings
}

fn rust_files(root: &Path) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    for folder in ["crates", "xtask", "tests", "fuzz"] {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            let path = path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
            Some(SourceFile { path, text })
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_is_tidy() {
        let findings = check(&crate::repository_root());
        assert!(findings.n_files > 20, "only {} files found", findings.n_files);
        assert!(findings.violations.is_empty(), "{:#?}", findings.violations);
    }
}

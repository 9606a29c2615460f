//! Files and their lists: no Rust file is left out of its module tree, and every file of a registry folder stands in
//! the registry's list, so that a new family, format or command cannot be written and then forgotten.

use super::SourceFile;
use std::collections::BTreeMap;

/// A folder whose every file must be named in a list.
struct Registry {
    folder: &'static str,
    /// The file with the list, and what the list begins with.
    list: (&'static str, &'static str),
    /// Files that are shared by the others and no entries themselves.
    helpers: &'static [&'static str],
}

const REGISTRIES: &[Registry] = &[
    Registry {
        folder: "crates/model/src/family/",
        list: ("crates/model/src/family.rs", "const FAMILIES"),
        helpers: &[],
    },
    Registry {
        folder: "crates/corpus/src/format/",
        list: ("crates/corpus/src/format/mod.rs", "const FORMATS"),
        helpers: &["mod"],
    },
    Registry {
        folder: "crates/objective/src/preference/",
        list: ("crates/objective/src/preference.rs", "const ALL"),
        helpers: &["formula"],
    },
    Registry { folder: "crates/train/src/rule/", list: ("crates/train/src/rule.rs", "const ALL"), helpers: &[] },
    Registry { folder: "crates/eval/src/task/", list: ("crates/eval/src/task.rs", "const ALL"), helpers: &[] },
    Registry { folder: "crates/cli/src/command/", list: ("crates/cli/src/command.rs", "enum Command"), helpers: &[] },
];

/// Every file that nothing declares, and every registry file that its list does not name.
pub fn check(files: &[SourceFile]) -> Vec<String> {
    let texts: BTreeMap<&str, &str> = files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    let mut violations: Vec<String> = files.iter().filter_map(|file| undeclared(&file.path, &texts)).collect();
    for Registry { folder, list: (list_file, list), helpers } in REGISTRIES {
        let Some(registered) = texts.get(list_file).and_then(|text| body_of(text, list)) else {
            violations.push(format!("{list_file}: the list `{list}` of {folder} is missing"));
            continue;
        };
        for name in files.iter().filter_map(|file| module_in(folder, &file.path)) {
            if !contains_word(registered, name) && !helpers.contains(&name) {
                violations.push(format!("{folder}{name}.rs: not in `{list}` of {list_file}"));
            }
        }
    }
    violations
}

/// The module name of a file directly in `folder`.
fn module_in<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    let name = path.strip_prefix(folder)?.strip_suffix(".rs")?;
    (!name.contains('/') && name != "tests").then_some(name)
}

fn undeclared(path: &str, texts: &BTreeMap<&str, &str>) -> Option<String> {
    let (folder, file) = path.rsplit_once('/')?;
    let name = file.strip_suffix(".rs")?;
    let within = folder.split("/src").nth(1)?;
    if matches!(name, "main" | "lib" | "mod" | "build") {
        return None;
    }
    let parents = if within.is_empty() {
        vec![format!("{folder}/lib.rs"), format!("{folder}/main.rs")]
    } else {
        vec![format!("{folder}.rs"), format!("{folder}/mod.rs")]
    };
    let declared = parents
        .iter()
        .filter_map(|parent| texts.get(parent.as_str()))
        .any(|text| text.contains(&format!("mod {name};")));
    (!declared).then(|| format!("{path}: no `mod {name};` in {}", parents.join(" or ")))
}

/// The text from `list` up to the first line that closes it at the margin.
fn body_of<'a>(text: &'a str, list: &str) -> Option<&'a str> {
    let start = text.find(list)?;
    let rest = &text[start..];
    let end = ["\n}", "\n];", "];\n"].iter().filter_map(|close| rest.find(close)).min().unwrap_or(rest.len());
    Some(&rest[..end])
}

fn contains_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> Vec<SourceFile> {
        entries.iter().map(|(path, text)| SourceFile { path: (*path).to_string(), text: (*text).to_string() }).collect()
    }

    #[test]
    fn a_file_outside_the_module_tree_is_named() {
        let found = check(&files(&[
            ("crates/stdx/src/lib.rs", "mod seed;"),
            ("crates/stdx/src/seed.rs", ""),
            ("crates/stdx/src/lost.rs", ""),
        ]));
        assert!(found.iter().any(|line| line.starts_with("crates/stdx/src/lost.rs")), "{found:?}");
        assert!(!found.iter().any(|line| line.starts_with("crates/stdx/src/seed.rs")), "{found:?}");
    }

    #[test]
    fn a_family_that_is_not_registered_is_named() {
        let found = check(&files(&[
            ("crates/model/src/lib.rs", "mod family;"),
            (
                "crates/model/src/family.rs",
                "mod llama;\nmod gpt2;\nconst FAMILIES: &[F] = &[\n    llama::F,\n];\nfn gpt2() {}",
            ),
            ("crates/model/src/family/llama.rs", ""),
            ("crates/model/src/family/gpt2.rs", ""),
        ]));
        assert!(found.iter().any(|line| line.starts_with("crates/model/src/family/gpt2.rs: not in")), "{found:?}");
        assert!(!found.iter().any(|line| line.contains("llama.rs")), "{found:?}");
    }
}

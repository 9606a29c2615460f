//! Rules on the text of each file: where `unsafe` may stand, nothing left undone, no file too long.

use super::{Findings, SourceFile};

/// The one crate that may be unsafe.
const UNSAFE_CRATE: &str = "crates/kernels/";

/// Files outside it with a reason: mapping a weight file into memory has no safe form.
const UNSAFE_FILES: &[&str] = &["crates/model/src/weights/map.rs"];

/// Lines above which a file deserves a look, and above which it must be divided.
const LONG: usize = 600;
const TOO_LONG: usize = 1200;

/// Adds what is wrong with each file.
pub fn check(files: &[SourceFile], findings: &mut Findings) {
    // Spelled in halves, so that this file does not find itself.
    let undone = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("TO", "DO"), concat!("FIX", "ME")];
    for SourceFile { path, text } in files {
        let may_be_unsafe = path.starts_with(UNSAFE_CRATE) || UNSAFE_FILES.contains(&path.as_str());
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            if !may_be_unsafe && is_unsafe(code) {
                findings.violations.push(format!("{path}:{number}: `unsafe` outside {UNSAFE_CRATE}"));
            }
            if let Some(word) = undone.iter().find(|word| line.contains(*word)) {
                findings.violations.push(format!("{path}:{number}: `{word}` left in the code"));
            }
        }
        check_length(path, text.lines().count(), findings);
    }
}

fn is_unsafe(code: &str) -> bool {
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"]
        .iter()
        .any(|form| code.contains(form) && !code.contains(&format!("\"{form}")))
}

fn check_length(path: &str, n_lines: usize, findings: &mut Findings) {
    if n_lines > TOO_LONG {
        findings.violations.push(format!("{path}: {n_lines} lines; at most {TOO_LONG}"));
    } else if n_lines > LONG {
        findings.warnings.push(format!("{path}: {n_lines} lines; one idea per file?"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        let file = SourceFile { path: path.to_string(), text: text.to_string() };
        check(&[file], &mut findings);
        findings.violations
    }

    #[test]
    fn unsafe_code_is_found_outside_kernels_only() {
        let word = concat!("un", "safe");
        let text =
            format!("fn f() {{\n    {word} {{ g() }}\n}}\n// {word} {{ in a comment }}\n#![deny({word}_code)]\n");
        assert_eq!(
            violations("crates/model/src/a.rs", &text),
            ["crates/model/src/a.rs:2: `unsafe` outside crates/kernels/"]
        );
        assert!(violations("crates/kernels/src/a.rs", &text).is_empty());
    }

    #[test]
    fn unfinished_code_is_found() {
        let text = format!("fn f() {{ {}) }}", concat!("to", "do!("));
        assert_eq!(violations("crates/run/src/a.rs", &text).len(), 1);
    }

    #[test]
    fn a_very_long_file_is_refused() {
        assert!(violations("crates/run/src/a.rs", &"\n".repeat(TOO_LONG + 1))[0].contains("1201 lines"));
        assert!(violations("crates/run/src/a.rs", &"\n".repeat(TOO_LONG)).is_empty());
    }
}

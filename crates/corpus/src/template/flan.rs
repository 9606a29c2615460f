//! FLAN's patterns (Wei et al., arXiv 2109.01652) as JSON: `{"data set": [["input pattern", "target pattern"], …]}`.
//!
//! `{field}` is replaced by the row's field and nothing is escaped; everything else stands byte for byte, upstream's
//! slips included (they are warned about). `options_`, where the row has a list `options` instead, is
//! `OPTIONS:\n- a\n- b`. For many data sets the last patterns are reversed tasks: the target is asked for.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::{Body, Facts, Rendering, Template, TemplateError};

static FIELD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{(\w*)\}").expect("a valid pattern"));

/// The templates of a file. Their names count from 0 within the data set.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Template>, TemplateError> {
    let sets: Map<String, Value> = serde_json::from_str(text).map_err(|error| TemplateError::Malformed {
        path: path.to_path_buf(),
        line: error.line(),
        problem: format!("invalid JSON: {error}; expected {{\"data set\": [[\"input\", \"target\"], …]}}"),
    })?;
    let mut templates = Vec::new();
    for (task, patterns) in &sets {
        let wrong = |template: String, found: &Value| TemplateError::Field {
            path: path.to_path_buf(),
            template,
            field: "pattern".to_owned(),
            found: found.to_string().chars().take(60).collect(),
            expected: "a list of [input, target]",
        };
        let patterns = patterns.as_array().ok_or_else(|| wrong(task.clone(), patterns))?;
        for (i, pattern) in patterns.iter().enumerate() {
            let name = format!("{task} {i}");
            let parts: Option<Vec<&str>> = pattern.as_array().and_then(|p| p.iter().map(Value::as_str).collect());
            let Some([input, target]) = parts.as_deref() else {
                return Err(wrong(name, pattern));
            };
            let body = Body::Pattern((*input).to_owned(), (*target).to_owned());
            templates.push(Template {
                name,
                task: task.clone(),
                id: None,
                body,
                answer_choices: None,
                facts: Facts::default(),
            });
        }
    }
    Ok(templates)
}

/// A pattern with `}n` before a capital, a blank or its end: `\n` that lost its backslash.
pub(super) fn warning(template: &Template) -> Option<String> {
    static SLIP: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\}n(?:[A-Z{\s]|$)").expect("a valid pattern"));
    let Body::Pattern(input, target) = &template.body else { return None };
    let slip = [input, target].into_iter().find_map(|pattern| SLIP.find(pattern))?;
    Some(format!("template {:?}: `{}` looks like a line break that lost its backslash", template.name, slip.as_str()))
}

/// Both patterns with the row's fields in them.
pub(super) fn render(input: &str, target: &str, row: &Map<String, Value>) -> Result<Rendering, String> {
    let parts = vec![filled(input, row)?, filled(target, row)?];
    let answer_choices = options(row).map(|options| options.iter().map(text).collect());
    Ok(Rendering { parts, answer_choices })
}

fn options(row: &Map<String, Value>) -> Option<&Vec<Value>> {
    row.get("options").and_then(Value::as_array)
}

fn filled(pattern: &str, row: &Map<String, Value>) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut last = 0;
    for captures in FIELD.captures_iter(pattern) {
        let (Some(whole), Some(name)) = (captures.get(0), captures.get(1)) else { continue };
        out.push_str(&pattern[last..whole.start()]);
        match (row.get(name.as_str()), name.as_str()) {
            (Some(value), _) => out.push_str(&text(value)),
            (None, "options_") => {
                let options = options(row).ok_or("the row has neither `options_` nor a list `options`")?;
                let options: Vec<String> = options.iter().map(text).collect();
                out.push_str(&format!("OPTIONS:\n- {}", options.join("\n- ")));
            }
            (None, name) => return Err(format!("the row has no field `{name}`")),
        }
        last = whole.end();
    }
    out.push_str(&pattern[last..]);
    Ok(out)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

//! Our own template files: TOML with Jinja in it.
//!
//! ```toml
//! task = "sentiment"
//!
//! [[template]]
//! name = "asked plainly"
//! answer_choices = ["negative", "positive"]   # each a Jinja program; optional
//! prompt = "{{ text }}\nIs this review positive or negative?"
//! completion = "{{ answer_choices[label] }}"
//! ```

use std::path::Path;

use serde::Deserialize;

use super::{Body, Facts, Template, TemplateError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    task: String,
    template: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    prompt: String,
    completion: String,
    #[serde(default)]
    answer_choices: Vec<String>,
    #[serde(default)]
    original_task: Option<bool>,
    #[serde(default)]
    reference: Option<String>,
}

/// The templates of a file.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Template>, TemplateError> {
    let file: File = toml::from_str(text).map_err(|error| TemplateError::Malformed {
        path: path.to_path_buf(),
        line: error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
        problem: format!("{}; expected `task` and [[template]] tables with name, prompt, completion", error.message()),
    })?;
    let task = file.task;
    let template = |entry: Entry| Template {
        name: entry.name,
        task: task.clone(),
        id: None,
        body: Body::Pair(entry.prompt, entry.completion),
        answer_choices: (!entry.answer_choices.is_empty()).then(|| entry.answer_choices.join("|||")),
        facts: Facts { original_task: entry.original_task, reference: entry.reference, ..Facts::default() },
    };
    Ok(file.template.into_iter().map(template).collect())
}

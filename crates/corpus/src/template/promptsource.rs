//! promptsource's `templates.yaml` (Bach et al., arXiv 2202.01279).
//!
//! `dataset`, an optional `subset`, and `templates`, a map from identifiers to `jinja`, `name`, `answer_choices`,
//! `metadata` and `reference`. Rendering follows promptsource's `apply` without truncation: the options are rendered
//! first, `|||` in the row's own text is protected, the **rendered** text is divided at `|||`, parts are stripped.

use std::path::Path;

use super::yaml::{self, Node};
use super::{Body, Facts, Template, TemplateError};

/// The templates of a file.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Template>, TemplateError> {
    let malformed = |line, problem| TemplateError::Malformed { path: path.to_path_buf(), line, problem };
    let root = yaml::parse(text).map_err(|(line, problem)| malformed(line, format!("invalid YAML: {problem}")))?;
    let dataset = root.get("dataset").and_then(Node::text);
    let (Some(dataset), Some(Node::Map(templates))) = (dataset, root.get("templates")) else {
        return Err(malformed(1, "expected `dataset` and a map `templates`".to_owned()));
    };
    let task = match root.get("subset").and_then(Node::text) {
        Some(subset) => format!("{dataset}/{subset}"),
        None => dataset.to_owned(),
    };
    templates.iter().map(|(id, node)| template(path, &task, id, node)).collect()
}

fn template(path: &Path, task: &str, id: &str, node: &Node) -> Result<Template, TemplateError> {
    let field = |field: &str, expected| {
        node.get(field).and_then(Node::text).ok_or_else(|| TemplateError::Field {
            path: path.to_path_buf(),
            template: node.get("name").and_then(Node::text).unwrap_or(id).to_owned(),
            field: field.to_owned(),
            found: node.get(field).map_or("nothing", |_| "a collection").to_owned(),
            expected,
        })
    };
    Ok(Template {
        name: field("name", "the template's name")?.to_owned(),
        task: task.to_owned(),
        id: Some(id.to_owned()),
        body: Body::Jinja(field("jinja", "a Jinja program")?.to_owned()),
        answer_choices: node.get("answer_choices").and_then(Node::text).map(str::to_owned),
        facts: facts(node),
    })
}

fn facts(node: &Node) -> Facts {
    let metadata = node.get("metadata");
    let truth = |key: &str| {
        let text = metadata.and_then(|map| map.get(key)).and_then(Node::text)?;
        match text.to_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        }
    };
    let texts = |key: &str| match metadata.and_then(|map| map.get(key)) {
        Some(Node::List(items)) => items.iter().filter_map(Node::text).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let reference = node.get("reference").and_then(Node::text).filter(|text| !text.is_empty());
    Facts {
        choices_in_prompt: truth("choices_in_prompt"),
        original_task: truth("original_task"),
        metrics: texts("metrics"),
        languages: texts("languages"),
        reference: reference.map(str::to_owned),
    }
}

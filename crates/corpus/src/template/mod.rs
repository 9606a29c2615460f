//! Instruction templates: rows of a labelled data set as many differently worded tasks (T0, FLAN).
//!
//! Three kinds of file are read: promptsource's `templates.yaml` (`promptsource`), FLAN's patterns as JSON (`flan`),
//! and our own TOML (`own`). All are untrusted: see `engine` for what bounds them.

mod cluster;
mod engine;
mod flan;
mod mixture;
mod own;
mod promptsource;
mod python;
mod split;
mod yaml;

pub use cluster::{ClusterError, Clusters, Side};
pub use engine::{Choice, on_deep_stack};
pub use mixture::{Mixture, capped};
pub use split::{Division, Split, SplitError, T0};

use std::path::{Path, PathBuf};

use engine::{Context, Engine};
use serde_json::{Map, Value};
use stdx::FileError;

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name within its task.
    pub name: String,
    /// The data set it is for: `dataset` or `dataset/subset`.
    pub task: String,
    /// Its identifier, where it has one.
    pub id: Option<String>,
    /// What makes the text.
    pub body: Body,
    /// The options, as a program whose output is divided at `|||`.
    pub answer_choices: Option<String>,
    /// What is said about it.
    pub facts: Facts,
}

/// What makes the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A Jinja program whose output is divided at `|||` into the prompt and its targets.
    Jinja(String),
    /// Jinja programs for the prompt and for its target.
    Pair(String, String),
    /// FLAN's patterns for both: `{field}` is replaced, and nothing else.
    Pattern(String, String),
}

/// What promptsource says about a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the prompt names the options.
    pub choices_in_prompt: Option<bool>,
    /// Whether it asks for what the data set was made for.
    pub original_task: Option<bool>,
    /// How answers are scored.
    pub metrics: Vec<String>,
    /// Languages of the prompt.
    pub languages: Vec<String>,
    /// Where the wording comes from.
    pub reference: Option<String>,
}

/// A row as a template says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// The prompt, then its targets: usually one; none where the template skips the row.
    pub parts: Vec<String>,
    /// The options, where the template has some.
    pub answer_choices: Option<Vec<String>>,
}

impl Rendering {
    /// Prompt and target; `None` where the target is missing or empty, which means that the row is to be skipped.
    pub fn pair(&self) -> Option<(&str, &str)> {
        match &self.parts[..] {
            [prompt, target, ..] if !target.is_empty() => Some((prompt, target)),
            _ => None,
        }
    }
}

/// Why templates can't be had, or a row can't be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file isn't one of templates.
    #[error("{}:{line}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Something in it isn't a template.
    #[error("{}: template {template:?}: {field}: found {found}, expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The template's name, or its place.
        template: String,
        /// The field.
        field: String,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// A template's program doesn't compile.
    #[error("{}: template {template:?}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The template's name.
        template: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no template in the file or folder.
    #[error("{}: no templates, expected a templates.yaml, .json (FLAN) or .toml, or a folder of them", path.display())]
    None {
        /// The file or folder.
        path: PathBuf,
    },
    /// A template fails on a row.
    #[error("template {template:?}: {reason}")]
    Render {
        /// The template's name.
        template: String,
        /// What went wrong.
        reason: String,
    },
}

/// Compiled templates.
pub struct TemplateSet {
    /// The templates, by file, in the order of each file.
    pub templates: Vec<Template>,
    /// What was noticed while reading: patterns that look mistaken.
    pub warnings: Vec<String>,
    engine: Engine,
}

impl TemplateSet {
    /// Reads a file, or every template file in and below a folder, in the order of their paths. Compiles on this
    /// thread: call it [`on_deep_stack`].
    ///
    /// # Errors
    /// A file can't be read or isn't one of templates, a program doesn't compile, or there is none.
    pub fn open(path: &Path) -> Result<TemplateSet, TemplateError> {
        let mut set = TemplateSet { templates: Vec::new(), warnings: Vec::new(), engine: Engine::new() };
        for file in files(path)? {
            set.add_file(&file)?;
        }
        if set.templates.is_empty() {
            return Err(TemplateError::None { path: path.to_path_buf() });
        }
        Ok(set)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), TemplateError> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path, "read"))?;
        let templates = match extension(path) {
            "yaml" | "yml" => promptsource::read(path, &text)?,
            "json" => flan::read(path, &text)?,
            _ => own::read(path, &text)?,
        };
        for template in templates {
            self.compile(path, &template)?;
            self.warnings.extend(flan::warning(&template));
            self.templates.push(template);
        }
        Ok(())
    }

    fn compile(&mut self, path: &Path, template: &Template) -> Result<(), TemplateError> {
        let number = self.templates.len();
        let mut add = |part: &str, source: &str| {
            self.engine.add(format!("{number} {part}"), source).map_err(|reason| TemplateError::Syntax {
                path: path.to_path_buf(),
                template: template.name.clone(),
                reason,
            })
        };
        if let Some(choices) = &template.answer_choices {
            add("choices", choices)?;
        }
        match &template.body {
            Body::Jinja(program) => add("prompt", program),
            Body::Pair(prompt, target) => add("prompt", prompt).and_then(|()| add("target", target)),
            Body::Pattern(..) => Ok(()),
        }
    }

    /// Renders a row by the template at `place` in [`TemplateSet::templates`].
    ///
    /// # Errors
    /// The program fails or goes beyond a limit, or a pattern's field is missing.
    pub fn render(&self, place: usize, row: &Map<String, Value>, choice: Choice) -> Result<Rendering, TemplateError> {
        let template = &self.templates[place];
        let failed = |reason| TemplateError::Render { template: template.name.clone(), reason };
        if let Body::Pattern(input, target) = &template.body {
            return flan::render(input, target, row).map_err(failed);
        }
        let mut context = Context::new(row, choice);
        let run =
            |part: &str, context: &Context| self.engine.render(&format!("{place} {part}"), context).map_err(failed);
        let answer_choices = match &template.answer_choices {
            Some(_) => Some(engine::parts(&run("choices", &context)?)),
            None => None,
        };
        if let Some(choices) = &answer_choices {
            context.set("answer_choices", choices);
        }
        let parts = match &template.body {
            Body::Pair(..) => {
                [run("prompt", &context)?, run("target", &context)?].iter().map(|part| engine::whole(part)).collect()
            }
            _ => engine::parts(&run("prompt", &context)?),
        };
        Ok(Rendering { parts, answer_choices })
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// The template files of a path: itself, or what is in and below a folder, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let (mut found, mut pending) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).map_err(FileError::at(&folder, "list"))? {
            let entry = entry.map_err(FileError::at(&folder, "list"))?;
            let path = entry.path();
            // Links to folders aren't followed: a circle of them would never end.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push(path);
            } else if matches!(extension(&path), "yaml" | "yml" | "json" | "toml") {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests;

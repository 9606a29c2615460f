//! From what a person calls a model to a model in memory, with its tokenizer and chat template.

use crate::arguments::ModelArguments;
use crate::bases;
use crate::context::Context;
use crate::error::CommandError;
use crate::pull::{self, Request};
use crate::source::Source;
use model::{LoadOptions, Model, Trainable};
use render::Renderer;
use std::path::{Path, PathBuf};

/// A model that can be asked.
pub struct Loaded {
    /// The weights.
    pub model: Model,
    /// Its tokenizer and template.
    pub renderer: Renderer,
}

/// The model folder or GGUF file that `text` names: a path, a run (its `final/`), a base that ships, or a source, pulled
/// when needed.
pub fn resolve(context: &Context, text: &str) -> Result<PathBuf, CommandError> {
    if let (Some(base), false) = (bases::find(text), Path::new(text).exists()) {
        return base.folder(context);
    }
    match Source::parse(text)? {
        Source::Local(path) => resolve_local(path),
        source => {
            let request = Request { refresh: false, offline: context.offline, verify: false };
            pull::pull(context, &source, &request)
        }
    }
}

fn resolve_local(path: PathBuf) -> Result<PathBuf, CommandError> {
    if path.is_file() || path.join("config.json").is_file() {
        return Ok(path);
    }
    let result = path.join("final");
    if result.join("config.json").is_file() {
        return Ok(result);
    }
    if path.join("config.toml").is_file() {
        return Err(CommandError::input(format!("{}: the run has no final/ yet", path.display()))
            .hint("finish it with --resume, or name one of its checkpoints/step-… folders"));
    }
    Err(CommandError::input(format!("{}: no config.json, so not a model folder", path.display())))
}

/// The tokenizer and chat template of a model.
pub fn renderer(context: &Context, text: &str, chat_template: Option<&Path>) -> Result<Renderer, CommandError> {
    open_renderer(&resolve(context, text)?, chat_template)
}

/// The same, of a model folder or GGUF file.
pub fn open_renderer(path: &Path, chat_template: Option<&Path>) -> Result<Renderer, CommandError> {
    if path.is_dir() {
        return Ok(Renderer::open(path, chat_template)?);
    }
    crate::conversion::gguf_renderer(path, chat_template)
}

/// Loads a model to be asked, not trained.
pub fn load(context: &Context, arguments: &ModelArguments) -> Result<Loaded, CommandError> {
    let path = resolve(context, &arguments.model)?;
    let renderer = open_renderer(&path, arguments.chat_template.as_deref())?;
    let device = arguments.device();
    let options = LoadOptions {
        precision: arguments.precision(&device, &path),
        trainable: Trainable::Nothing,
        scalar_head: false,
    };
    let model = Model::load(&device, &path, &options)?;
    check_vocabulary(&path, &renderer, &model)?;
    Ok(Loaded { model, renderer })
}

/// Refuses a tokenizer that has tokens the model has no embedding for.
pub fn check_vocabulary(path: &Path, renderer: &Renderer, model: &Model) -> Result<(), CommandError> {
    let (tokens, rows) = (renderer.tokenizer().vocab_size(), model.config().vocab_size);
    if tokens > rows {
        let message = format!("{}: the tokenizer has {tokens} tokens, the embedding {rows} rows", path.display());
        return Err(CommandError::input(message).hint("the tokenizer belongs to another model"));
    }
    Ok(())
}

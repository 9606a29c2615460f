//! Chat templates: the Jinja programs that model folders carry.
//!
//! They are run as `transformers` runs them (blocks trimmed, loop controls, Python's string
//! methods, `raise_exception`, `strftime_now`, `tojson`), by an engine with no loader, so that
//! there is nothing to read; instructions, recursion and output are limited. (Not limited: the length
//! of a string that a template doubles again and again before it writes it.) The clock is not
//! read either: a template that asks for the date gets [`Date`], so that the same data give the
//! same tokens tomorrow.
use std::fmt;
use std::path::PathBuf;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind};
use stdx::Limited;

use crate::error::RenderError;
use crate::python;
pub use crate::python::Date;

/// Instructions a template may execute, and so many more for each message. Published templates
/// take about 50 a message. The base is small because a loop that nests a list ever deeper must
/// run dry before the nest is too deep to be dropped.
const FUEL: u64 = 50_000;
const FUEL_PER_MESSAGE: u64 = 300;
/// Nested blocks, macros and calls.
const RECURSION_MAX: usize = 60;
/// A template's source, in bytes: the longest published ones have about 20 thousand.
const SOURCE_BYTES_MAX: usize = 1 << 16;
/// The compiler recurses into `not not not …` and into long sums, one level for each two bytes of
/// source at worst. It gets a stack that holds a whole source of that, twice over.
const COMPILER_STACK_BYTES: usize = 64 << 20;
/// Bytes of output beyond eight times the content.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Where a chat template came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateOrigin {
    /// `chat_template` of tokenizer_config.json, with its name if it has one.
    TokenizerConfig(Option<String>),
    /// chat_template.jinja in the model folder.
    JinjaFile,
    /// A file the user named.
    File(PathBuf),
    /// Built in: ChatML, whose `<|im_end|>` the tokenizer knows.
    ChatMl,
    /// Built in: ChatML with the tokenizer's own EOS at the end of a turn, because it has no
    /// `<|im_end|>` (the other markers are plain text).
    ChatMlWithEos,
}

impl fmt::Display for TemplateOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateOrigin::TokenizerConfig(None) => write!(f, "tokenizer_config.json"),
            TemplateOrigin::TokenizerConfig(Some(name)) => {
                write!(f, "tokenizer_config.json, template {name:?}")
            }
            TemplateOrigin::JinjaFile => write!(f, "chat_template.jinja"),
            TemplateOrigin::File(path) => write!(f, "{}", path.display()),
            TemplateOrigin::ChatMl => write!(f, "built-in ChatML"),
            TemplateOrigin::ChatMlWithEos => {
                write!(f, "built-in ChatML with the tokenizer's EOS after each turn")
            }
        }
    }
}

/// The names of the tokens that templates may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialNames {
    /// Begins a sequence.
    pub bos: Option<String>,
    /// Ends one.
    pub eos: Option<String>,
    /// Stands for what the vocabulary lacks.
    pub unk: Option<String>,
    /// Fills a batch.
    pub pad: Option<String>,
}

/// A message as templates see it: the role's name and the content.
pub type TemplateMessage<'a> = (&'a str, &'a str);

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    origin: TemplateOrigin,
    names: SpecialNames,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Compiles a template. `date` answers `strftime_now`.
    ///
    /// # Errors
    /// It is no Jinja, or longer than 64 KiB.
    pub fn new(source: &str, origin: TemplateOrigin, names: SpecialNames, date: Date) -> Result<Self, RenderError> {
        let wrong = |reason: String| RenderError::TemplateSyntax { origin: origin.to_string(), reason };
        if source.len() > SOURCE_BYTES_MAX {
            return Err(wrong(format!("expected at most {SOURCE_BYTES_MAX} bytes, found {}", source.len())));
        }
        let environment = compile(source, date).map_err(wrong)?;
        Ok(ChatTemplate { environment, source: source.to_string(), origin, names })
    }

    /// Built-in ChatML. `end_of_turn` is a token's name.
    pub(crate) fn chatml(end_of_turn: &str, origin: TemplateOrigin, names: SpecialNames) -> Result<Self, RenderError> {
        let end = serde_json::Value::from(end_of_turn).to_string();
        let source = format!(
            "{{% for message in messages %}}\
             {{{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + {end} + '\\n' }}}}\
             {{% endfor %}}\
             {{% if add_generation_prompt %}}{{{{ '<|im_start|>assistant\\n' }}}}{{% endif %}}"
        );
        Self::new(&source, origin, names, Date::default())
    }

    /// The conversation as text; with `generation_prompt`, up to where the assistant begins.
    ///
    /// # Errors
    /// The template refuses the conversation, fails, or exceeds a limit.
    pub fn render(&self, messages: &[TemplateMessage], generation_prompt: bool) -> Result<String, RenderError> {
        let content_bytes: usize = messages.iter().map(|(_, content)| content.len()).sum();
        let mut output = Limited::new(OUTPUT_BYTES_MAX + 8 * content_bytes);
        let failed = |reason: String| RenderError::TemplateFailed { origin: self.origin.to_string(), reason };
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL + FUEL_PER_MESSAGE * messages.len() as u64));
        let template = environment.get_template(NAME).map_err(|error| failed(described(&error)))?;
        template
            .render_captured_to(self.context(messages, generation_prompt), &mut output)
            .map_err(|error| self.refused_or_failed(&error))?;
        String::from_utf8(output.into_bytes()).map_err(|error| failed(error.to_string()))
    }

    fn context(&self, messages: &[TemplateMessage], generation_prompt: bool) -> Value {
        let messages: Vec<Value> = messages
            .iter()
            .map(|&(role, content)| Value::from_pairs([("role", Value::from(role)), ("content", Value::from(content))]))
            .collect();
        let mut context = vec![
            ("messages", Value::from(messages)),
            ("add_generation_prompt", Value::from(generation_prompt)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ];
        let names = [
            ("bos_token", &self.names.bos),
            ("eos_token", &self.names.eos),
            ("unk_token", &self.names.unk),
            ("pad_token", &self.names.pad),
        ];
        for (variable, name) in names {
            if let Some(name) = name {
                context.push((variable, Value::from(name.as_str())));
            }
        }
        Value::from_pairs(context)
    }

    fn refused_or_failed(&self, error: &minijinja::Error) -> RenderError {
        let origin = self.origin.to_string();
        match python::raised(error) {
            Some(message) => RenderError::TemplateRefused { origin, message },
            None => RenderError::TemplateFailed { origin, reason: described(error) },
        }
    }

    /// The Jinja source, as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it came from.
    pub fn origin(&self) -> &TemplateOrigin {
        &self.origin
    }
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate")
            .field("origin", &self.origin)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Compiles on a thread with a deep stack; what it makes is flat.
fn compile(source: &str, date: Date) -> Result<Environment<'static>, String> {
    let source = python::without_generation_tags(source);
    let work = move || {
        let mut environment = environment(date).map_err(|error| described(&error))?;
        environment.add_template_owned(NAME, source).map_err(|error| described(&error))?;
        Ok(environment)
    };
    std::thread::Builder::new()
        .stack_size(COMPILER_STACK_BYTES)
        .spawn(work)
        .map_err(|error| error.to_string())?
        .join()
        .unwrap_or_else(|_| Err("the template compiler gave up".to_string()))
}

/// An environment that behaves as `transformers`' does, with no loader.
fn environment(date: Date) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_recursion_limit(RECURSION_MAX);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    python::install(&mut environment, date);
    Ok(environment)
}

/// A template error in a line: what, and where in the template.
fn described(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes more steps than a template may".to_owned();
    }
    stdx::limit::chain(error)
}

#[cfg(test)]
mod tests;

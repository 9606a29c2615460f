//! What a person is told when something fails: what kind of failure, what happened, and what can be done.

use std::fmt;

/// The kinds of failure, by exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input or the run was wrong.
    Input,
    /// The command line or a config was wrong.
    Usage,
    /// A device, service or download is missing.
    Missing,
    /// A comparison found something worse.
    Regression,
    /// The person stopped it.
    Interrupted,
    /// Whoever read our stdout has gone (`| head`): nothing to say and nothing wrong.
    ReaderGone,
}

impl Kind {
    /// What the process ends with.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::ReaderGone => 0,
            Kind::Input => 1,
            Kind::Usage => 2,
            Kind::Missing => 3,
            Kind::Regression => 4,
            Kind::Interrupted => 130,
        }
    }
}

/// A failed command.
#[derive(Debug)]
pub struct CommandError {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened: file, line or option, found and expected.
    pub message: String,
    /// What the person can do, each a sentence.
    pub hints: Vec<String>,
}

impl CommandError {
    /// A failure of this kind.
    pub fn new(kind: Kind, message: impl fmt::Display) -> CommandError {
        CommandError { kind, message: message.to_string(), hints: Vec::new() }
    }
    /// The input or the run was wrong.
    pub fn input(message: impl fmt::Display) -> CommandError {
        CommandError::new(Kind::Input, message)
    }
    /// The command line or a config was wrong.
    pub fn usage(message: impl fmt::Display) -> CommandError {
        CommandError::new(Kind::Usage, message)
    }
    /// Something that must be had elsewhere is missing.
    pub fn missing(message: impl fmt::Display) -> CommandError {
        CommandError::new(Kind::Missing, message)
    }
    /// Adds what can be done.
    pub fn hint(mut self, hint: impl Into<String>) -> CommandError {
        self.hints.push(hint.into());
        self
    }
    /// Adds what can be done, if there is something.
    pub fn maybe_hint(mut self, hint: Option<String>) -> CommandError {
        self.hints.extend(hint);
        self
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        self.hints.iter().try_for_each(|hint| writeln!(f, "hint: {hint}"))
    }
}

/// Writing to stdout failed.
pub fn of_stdout(error: std::io::Error) -> CommandError {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        CommandError::new(Kind::ReaderGone, error)
    } else {
        CommandError::input(format!("stdout: {error}"))
    }
}

/// Reading or writing a file failed.
pub fn of_file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let path = path.display().to_string();
    move |error| CommandError::input(format!("{path}: {error}"))
}

impl From<stdx::FileError> for CommandError {
    fn from(error: stdx::FileError) -> CommandError {
        CommandError::input(error)
    }
}

impl From<corpus::CorpusError> for CommandError {
    fn from(error: corpus::CorpusError) -> CommandError {
        let hint = match &error {
            corpus::CorpusError::UnknownFormat { .. } => {
                let names: Vec<&str> = corpus::FORMATS.iter().map(|format| format.name()).collect();
                return CommandError::usage(&error).hint(format!("formats: {}", names.join(", ")));
            }
            corpus::CorpusError::Row { .. } | corpus::CorpusError::Line { .. } => {
                Some("--skip-bad counts broken rows instead of stopping".to_string())
            }
            _ => None,
        };
        CommandError::input(error).maybe_hint(hint)
    }
}

impl From<label::LabelError> for CommandError {
    fn from(error: label::LabelError) -> CommandError {
        let hint = match &error {
            label::LabelError::Busy { .. } => Some("another program writes to the database; try again".to_string()),
            label::LabelError::Version { .. } => Some("the database belongs to a newer helpmate".to_string()),
            _ => None,
        };
        CommandError::input(error).maybe_hint(hint)
    }
}

impl From<render::RenderError> for CommandError {
    fn from(error: render::RenderError) -> CommandError {
        CommandError::input(error)
    }
}

impl From<model::ModelError> for CommandError {
    fn from(error: model::ModelError) -> CommandError {
        CommandError::input(error)
    }
}

impl From<run::ConfigError> for CommandError {
    fn from(error: run::ConfigError) -> CommandError {
        let hint = error.hint();
        CommandError::usage(error).maybe_hint(hint)
    }
}

impl From<run::RunError> for CommandError {
    fn from(error: run::RunError) -> CommandError {
        let hint = error.hint();
        let kind = match &error {
            run::RunError::Config(_)
            | run::RunError::Exists { .. }
            | run::RunError::Foreign { .. }
            | run::RunError::NoRun { .. } => Kind::Usage,
            _ => Kind::Input,
        };
        CommandError::new(kind, error).maybe_hint(hint)
    }
}

impl From<generate::GenerateError> for CommandError {
    fn from(error: generate::GenerateError) -> CommandError {
        use generate::GenerateError as E;
        match &error {
            E::PromptTooLong { .. } | E::EmptyPrompt { .. } => CommandError::input(error),
            _ => CommandError::usage(error),
        }
    }
}

impl From<endpoint::hub::HubError> for CommandError {
    fn from(error: endpoint::hub::HubError) -> CommandError {
        use endpoint::hub::HubError as E;
        let (kind, hint) = match &error {
            E::Refused { with_token: false, .. } => (
                Kind::Missing,
                Some("the repository is private, gated or misspelt; set HF_TOKEN to an access token that may read it"),
            ),
            E::Refused { .. } => (
                Kind::Missing,
                Some(
                    "the token in HF_TOKEN may not read this repository; accept its terms on the hub, or use another token",
                ),
            ),
            E::NotFound { .. } => (
                Kind::Missing,
                Some("check the spelling of ORG/NAME and the revision behind `@`; private repositories need HF_TOKEN"),
            ),
            E::Unreachable { .. } => (
                Kind::Missing,
                Some(
                    "check the network, and HF_ENDPOINT or the proxy where one is used; a broken download resumes where it broke off",
                ),
            ),
            E::Stopped { .. } => (Kind::Interrupted, Some("the same command resumes where it stopped")),
            E::Settings { .. } => (Kind::Usage, None),
            E::Io { .. } => (Kind::Input, None),
            _ => (Kind::Missing, None),
        };
        CommandError::new(kind, error).maybe_hint(hint.map(str::to_string))
    }
}

impl From<eval::EvalError> for CommandError {
    fn from(error: eval::EvalError) -> CommandError {
        use eval::EvalError as E;
        match &error {
            E::UnknownTask { .. } => CommandError::usage(error).hint("`helpmate eval tasks` tells what each measures"),
            E::NoData { .. } => CommandError::usage(error).hint("give it with --data FILE"),
            E::Needs { .. } | E::Incomparable(_) => CommandError::usage(error),
            E::Interrupted { .. } => {
                CommandError::new(Kind::Interrupted, error).hint("the same command goes on where it stopped")
            }
            E::Scorer { missing: true, .. } => CommandError::missing(error).hint(
                "HELPMATE_SCORER_TIMEOUT sets the seconds that an answer may take (60), HELPMATE_SCORER_TOKEN a bearer's \
                 token; what was said is kept, and the same command goes on",
            ),
            E::Scorer { .. } => CommandError::input(error)
                .hint("docs/tasks/toxicity.md has the file's format, and what a service is asked and how it must answer"),
            _ => CommandError::input(error),
        }
    }
}

//! Why a study can't begin or go on.
use std::path::PathBuf;

/// An error of a study.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A training stage.
    #[error("{stage}: {source}")]
    Train {
        /// Which.
        stage: &'static str,
        /// Why.
        source: train::TrainError,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] stdx::FileError),
    /// A model.
    #[error(transparent)]
    Model(#[from] model::ModelError),
    /// Tokens.
    #[error(transparent)]
    Render(#[from] render::RenderError),
    /// Answers.
    #[error(transparent)]
    Generate(#[from] generate::GenerateError),
    /// Rewards.
    #[error(transparent)]
    Score(#[from] train::scorer::ScoreError),
    /// A file of a run.
    #[error(transparent)]
    Run(#[from] run::RunError),
    /// Too little to compute from.
    #[error("{what}: {source}")]
    Statistics {
        /// The number that was to be computed.
        what: String,
        /// Why it can't be.
        source: statistics::Error,
    },
    /// A file that can't be read as what it should be.
    #[error("{}: {message}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Found and expected.
        message: String,
    },
    /// The folder holds something else.
    #[error("{}: {what} is {found} there, expected {expected}", path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// There.
        found: String,
        /// Asked for now.
        expected: String,
    },
    /// The folder holds files that are no study.
    #[error("{}: not empty, and no study was begun there", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// Another process works there.
    #[error("{}: another process is at work there", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// Something that a finished stage left is not what it was.
    #[error("{stage} was done, but {} is not what it left", path.display())]
    Changed {
        /// The stage.
        stage: String,
        /// What changed.
        path: PathBuf,
    },
    /// The domain has too few of something.
    #[error("{what}: {found}, expected at least {expected}")]
    TooFew {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// Somebody asked to stop; the same study goes on from there.
    #[error("interrupted at {stage}; what was done is kept")]
    Interrupted {
        /// The stage that isn't finished.
        stage: String,
    },
}

impl StudyError {
    /// What the person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            StudyError::Train { source, .. } => source.hint(),
            StudyError::Run(error) => error.hint(),
            StudyError::Other { .. } | StudyError::Foreign { .. } => Some("name another folder with --out".into()),
            StudyError::Changed { path, .. } => {
                Some(format!("name another folder with --out, or restore {}", path.display()))
            }
            StudyError::Interrupted { .. } => Some("the same command with the same --out goes on from there".into()),
            _ => None,
        }
    }
}

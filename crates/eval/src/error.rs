//! Why an evaluation can't be made.

use std::path::PathBuf;
use stdx::FileError;

/// A refusal: which task, file, line, item or metric, what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// No task of this name.
    #[error("unknown task `{found}`, expected one of {}", names())]
    UnknownTask {
        /// The name.
        found: String,
    },
    /// A task without rows of its own got no file.
    #[error("task {task} needs a data file: {expected}")]
    NoData {
        /// The task.
        task: &'static str,
        /// The rows it reads.
        expected: &'static str,
    },
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line of a data file is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Found and expected.
        problem: String,
    },
    /// An item is wrong.
    #[error("task {task}, item {id}: {problem}")]
    Item {
        /// The task.
        task: String,
        /// The item.
        id: String,
        /// Found and expected.
        problem: String,
    },
    /// There is nothing to evaluate.
    #[error("task {task}: no items")]
    NoItems {
        /// The task.
        task: String,
    },
    /// A score isn't a number.
    #[error("task {task}, item {id}: {metric} is {found}, expected a finite number")]
    NotANumber {
        /// The task.
        task: String,
        /// The item.
        id: String,
        /// The metric.
        metric: String,
        /// NaN or infinite.
        found: f64,
    },
    /// A task needs something that wasn't given.
    #[error("task {task} needs {what}")]
    Needs {
        /// The task.
        task: String,
        /// What.
        what: &'static str,
    },
    /// A model can't be asked.
    #[error("{0}")]
    Model(String),
    /// Text can't be made tokens, or tokens text.
    #[error(transparent)]
    Render(#[from] render::RenderError),
    /// Nothing could be generated.
    #[error(transparent)]
    Generate(#[from] generate::GenerateError),
    /// Texts can't be scored.
    #[error("scorer {message}")]
    Scorer {
        /// Which scorer, and why.
        message: String,
        /// Whether nobody answers, rather than something wrong.
        missing: bool,
    },
    /// A statistic has no value.
    #[error(transparent)]
    Statistics(#[from] statistics::Error),
    /// A file isn't an evaluation.
    #[error("{}: not an evaluation: {problem}", path.display())]
    NotAnEvaluation {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A file or folder of a report's material can't be understood.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Two evaluations can't be compared.
    #[error("{0}")]
    Incomparable(String),
    /// The caller asked to stop; what was answered is in the cache.
    #[error("interrupted after {done} of {total} items of {task}")]
    Interrupted {
        /// The task.
        task: String,
        /// Items answered.
        done: usize,
        /// Items in all.
        total: usize,
    },
}

fn names() -> String {
    crate::task::ALL.iter().map(|task| task.name()).collect::<Vec<_>>().join(", ")
}

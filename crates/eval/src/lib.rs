//! Evaluations: what is asked of a model, how its answers are scored, and how sure a number is.
//!
//! A [`Task`] is a file with its definition and a line in [`task::ALL`]. It makes [`Item`]s of rows and scores
//! [`Answer`]s; it never sees a model. [`Subject`] answers: it knows tokens and batches and no task. [`run()`] brings
//! the two together through a cache, and [`Estimate`]s come out: a value, its 95 % interval and n, never a bare number.
//! [`compare`] takes two evaluations of the same items and pairs them.
//!
//! Nothing here prints, or reads arguments or the environment.

mod cache;
mod checks;
pub mod compare;
pub mod duel;
mod encode;
mod error;
mod estimate;
mod exact;
pub mod facet;
pub mod instruction;
mod item;
mod metric;
pub mod prefix;
pub mod report;
pub mod result;
mod run;
pub mod scorer;
pub mod statistic;
mod subject;
pub mod task;
pub mod truth;
pub mod unseen;

pub use cache::AnswerCache;
pub use compare::{Comparison, Difference};
pub use error::EvalError;
pub use estimate::Estimate;
pub use item::{Answer, Ask, Divergence, Item, LogLikelihood, Sample, Sampling};
pub use metric::{Better, Metric, Scale, Score};
pub use prefix::PrefixTree;
pub use result::{Evaluation, ItemResult, ModelResult, SubjectFacts, TaskResult};
pub use run::{Answering, Progress, RunOptions, items, run, run_with};
pub use subject::{Subject, SubjectOptions};
pub use task::{Data, Respondent, Row, Settings, Task};

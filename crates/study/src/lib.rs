//! The whole loop on one base model: demonstrations → supervised fine-tuning → rankings → reward model → PPO without and
//! with the pretraining mix → every model measured on questions that no stage saw, against where it began.
//!
//! [`Study::run`] is the loop, a stage a call, each skipped when it is done already ([`ledger`]). What it learns from and
//! how answers are judged comes from a [`Domain`]: the small world, whose truth is known, or the project's own
//! demonstrations and rankings, judged by instruction rules. Sizes and settings are a [`Plan`], so that experiments vary
//! one number and run the same code.
//!
//! It prints nothing: events go to the caller, numbers to `report.json`, pages to `report.html`.

mod answer;
mod asking;
mod compare;
mod curves;
pub mod domain;
mod error;
mod event;
pub mod ledger;
mod loss;
mod page;
mod plan;
mod report;
mod stages;
mod study;
mod summary;

pub use answer::Answer;
pub use domain::{Domain, Measure, Part, Question};
pub use error::StudyError;
pub use event::Event;
pub use plan::Plan;
pub use report::Report;
pub use study::Study;
pub use summary::summary;

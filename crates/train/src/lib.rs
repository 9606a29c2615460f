//! One flat loop per stage: [`pretrain`], [`sft`], [`reward`], [`ppo`], [`preference`],
//! [`rejection`].
//!
//! A loop reads rows, runs the model, steps the optimizer and yields events; it prints nothing and reads neither
//! arguments nor environment. What the loops share are small pure parts: [`packing`], [`order`], [`schedule`],
//! [`average`]; and what surrounds every loop: [`data`], [`memory`], [`evaluation`], [`session`].

// An error ends the run: its size is paid once.
#![allow(clippy::result_large_err)]

mod answers;
pub mod average;
pub mod data;
mod error;
pub mod evaluation;
pub mod event;
mod likelihood;
pub mod memory;
mod options;
pub mod order;
pub mod packing;
pub mod ppo;
pub mod preference;
pub mod pretrain;
pub mod ranked;
pub mod readout;
pub mod rejection;
pub mod reward;
pub mod rule;
pub mod schedule;
pub mod scorer;
pub mod session;
pub mod sft;
pub mod state;
pub mod tree;

pub use error::TrainError;
pub use event::{Event, Progress, Sink};
pub use options::{Options, Outcome, Program, Score, Summary};

//! Sampling from a model: key/value cache, one prefill a prompt for n samples, continuous batching, stop reasons.
//!
//! A completion depends on its prompt, its seed and the settings, never on what else is in the batch. It knows no files
//! and no HTTP; who wants tokens as they come hands in a closure. [`Generator`] continues prompts that are all there;
//! [`Pool`] takes requests in while others run.

mod bias;
mod engine;
mod pool;
mod rows;
mod sample;
mod sampling;
mod stop;

pub use bias::Bias;
pub use engine::{Completion, Event, GenerateError, Generator, Settings, StopReason};
pub use pool::{Limits, Pool, Request};
pub use sampling::{Sampling, SamplingError};

//! Sampling from a model: key/value cache, one prefill a prompt for n samples, continuous batching, stop reasons.
//!
//! A completion depends on its prompt, its seed and the settings, never on what else is in the batch. It knows no files
//! and no HTTP; who wants tokens as they come hands in a closure.

mod engine;
mod sampling;
mod slots;
mod stop;

pub use engine::{Completion, Event, GenerateError, Generator, Settings, StopReason};
pub use sampling::{Sampling, SamplingError};

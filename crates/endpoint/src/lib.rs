//! Clients of services on the network. Here a service is asked and its answer checked; what the answers are for,
//! where they are kept and what a person is told about them is the callers' affair.

mod agent;
pub mod completion;
pub mod hub;
pub mod reward;
pub mod score;
mod service;

pub use service::{ServiceError, ServiceSettings};

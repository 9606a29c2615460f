//! Self-Instruct (Wang et al., arXiv 2212.10560): a model writes its own tasks.
//!
//! What the published code does, not only what the paper says; every departure is named where it is made. The model is
//! handed in; nothing here knows whether it stands behind a network.
//!
//! - [`candidate`]: answers to instructions, and the rules that drop some
//! - [`filter`]: the ROUGE-L filter against everything that is kept already
//! - [`instance`]: answers to inputs and outputs
//! - [`recipe`]: the paper's recipe and Alpaca's

pub mod candidate;
pub mod filter;
pub mod instance;
mod python;
pub mod recipe;

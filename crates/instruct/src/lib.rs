//! Self-Instruct (Wang et al., arXiv 2212.10560): a model writes its own tasks.
//!
//! What the published code does, not only what the paper says; every departure is named where it is made. The model is
//! handed in as a [`writer::Writer`]; nothing here knows whether it stands behind a network.
//!
//! - [`candidate`]: answers to instructions, and the rules that drop some
//! - [`filter`]: the ROUGE-L filter against everything that is kept already
//! - [`instance`]: answers to inputs and outputs
//! - [`recipe`]: the paper's recipe and Alpaca's
//! - [`prompt`]: what the model is asked
//! - [`writer`]: the model, a memory of its answers, and a budget
//! - [`run`](mod@run): the loop
//! - [`report`]: how varied and how new the tasks are
//! - [`export`]: tasks as rows to train on

pub mod candidate;
pub mod export;
pub mod filter;
pub mod instance;
pub mod prompt;
mod python;
pub mod recipe;
pub mod report;
pub mod run;
pub mod writer;

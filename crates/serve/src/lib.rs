//! HTTP: the OpenAI-compatible API, the chat page, the labeling pages.
//!
//! Handlers are async and short; models run on a thread of their own, databases on blocking threads. It knows no
//! losses and no optimizers.

pub mod server;

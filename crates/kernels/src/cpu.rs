//! The CPU's implementation of what the modules above declare.
pub(crate) mod float;

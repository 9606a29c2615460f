//! The CPU's implementation of what the modules above declare.
pub(crate) mod buffer;
pub(crate) mod dot;
pub(crate) mod fetch;
pub(crate) mod gemm;

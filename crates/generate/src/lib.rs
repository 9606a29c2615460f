//! Sampling, KV cache, continuous batching.

//! Compute on slices: GEMM, attention over token trees, norms, rotary, activations, the fused LM head, AdamW.
//!
//! The only crate with `unsafe`. It knows no models, no losses and no files. Every function takes a
//! [`Device`], which is chosen at run time; the interface is coarse (a whole fused operation a call)
//! so that a GPU is a second folder beside `cpu/`.
//!
//! Shapes as suffixes: `T` tokens, `R` rows of a head call, `D` model width, `N` outputs of a linear,
//! `K` inputs of a linear, `H` heads, `V` vocabulary. Every matrix is row-major.
#![allow(unsafe_code, non_snake_case)]

pub mod activation;
pub mod attention;
pub mod choice;
mod cpu;
pub mod device;
pub mod elementwise;
pub mod head;
pub mod linear;
mod noise;
pub mod norm;
pub mod optimizer;
pub mod pool;
pub mod rotary;
#[cfg(test)]
mod twin;
mod vector;

pub use cpu::buffer::{Buffer, Number};
pub use device::{Device, DeviceError, Isa};

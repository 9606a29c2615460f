//! What a kernel runs on: a thread pool and an instruction set, found at run time.
use crate::pool::Pool;
use std::sync::Arc;

/// Instruction sets of the CPU kernels, from slowest to fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, VL, DQ.
    Avx512,
    /// AVX-512 with bf16 dot products.
    Avx512Bf16,
    /// AMX tiles with bf16 dot products.
    Amx,
}

/// Why a device can't be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The instruction set was asked for by name and this machine lacks it.
    #[error("instruction set {asked:?} is not available on this machine (best: {best:?})")]
    Unavailable {
        /// What was asked for.
        asked: Isa,
        /// The best that is there.
        best: Isa,
    },
}

/// A handle to the compute device; cheap to clone.
#[derive(Clone)]
pub struct Device {
    /// The workers.
    pub pool: Arc<Pool>,
    /// The instruction set in use.
    pub isa: Isa,
}

impl Device {
    /// The best instruction set there is, on `threads` workers (`None`: every core this process may use).
    pub fn detect(threads: Option<usize>) -> Device {
        let threads =
            threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        Device {
            pool: Arc::new(Pool::new(threads)),
            isa: Isa::Portable,
        }
    }
    /// A chosen instruction set; an error if this machine lacks it.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<Device, DeviceError> {
        Ok(Device {
            pool: Arc::new(Pool::new(threads)),
            isa,
        })
    }
}

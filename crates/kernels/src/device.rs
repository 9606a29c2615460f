//! What a kernel runs on: a thread pool and an instruction set, found at run time.
use crate::pool::Pool;
use std::sync::Arc;

/// A handle to the compute device; cheap to clone.
#[derive(Clone)]
pub struct Device {
    /// The workers.
    pub pool: Arc<Pool>,
    /// The instruction set in use; one that this machine has.
    pub isa: Isa,
}

impl Device {
    /// The best instruction set there is, on `threads` workers (`None`: every core this process may use).
    pub fn detect(threads: Option<usize>) -> Device {
        // Before there are workers: asking for AMX is a question for the whole process.
        let isa = Isa::best();
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        Device { pool: Arc::new(Pool::new(threads)), isa }
    }

    /// A chosen instruction set; an error if this machine lacks it.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<Device, DeviceError> {
        if !isa.is_available() {
            return Err(DeviceError::Unavailable { asked: isa, best: Isa::best() });
        }
        Ok(Device { pool: Arc::new(Pool::new(threads)), isa })
    }
}

/// Instruction sets of the CPU kernels, from slowest to fastest; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust.
    Portable,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, VL, DQ.
    Avx512,
    /// AVX-512 with bf16 dot products.
    Avx512Bf16,
    /// AMX tiles with bf16 dot products.
    Amx,
}

impl Isa {
    /// All of them, slowest first.
    pub const ALL: [Isa; 5] = [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx];

    /// Whether this machine, and for AMX its operating system, lets us use it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => detect::avx2(),
            Isa::Avx512 => detect::avx2() && detect::avx512(),
            Isa::Avx512Bf16 => Isa::Avx512.is_available() && detect::avx512_bf16(),
            Isa::Amx => Isa::Avx512Bf16.is_available() && detect::amx(),
        }
    }

    /// The fastest that is available.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }
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

#[cfg(target_arch = "x86_64")]
pub(crate) mod detect {
    use std::is_x86_feature_detected as has;

    pub fn avx2() -> bool {
        has!("avx2") && has!("fma") && has!("f16c")
    }
    pub fn avx512() -> bool {
        has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512dq")
    }
    pub fn avx512_bf16() -> bool {
        has!("avx512bf16")
    }

    /// The processor has tiles with bf16 dot products and the system lets this process use them.
    #[cfg(target_os = "linux")]
    pub fn amx() -> bool {
        use std::sync::OnceLock;
        static AMX: OnceLock<bool> = OnceLock::new();
        *AMX.get_or_init(|| processor_has_amx_bf16() && ask_for_tile_data())
    }
    #[cfg(not(target_os = "linux"))]
    pub fn amx() -> bool {
        false
    }

    /// CPUID leaf 7, EDX: bit 22 AMX-BF16, bit 24 AMX-TILE (Intel's manual, volume 2, CPUID).
    #[cfg(target_os = "linux")]
    pub fn processor_has_amx_bf16() -> bool {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        let leaves = __cpuid(0).eax;
        leaves >= 7 && {
            let edx = __cpuid_count(7, 0).edx;
            edx & (1 << 22) != 0 && edx & (1 << 24) != 0
        }
    }

    /// Tile data is off until a process asks (Linux's Documentation/arch/x86/xstate.rst); later threads inherit the answer.
    #[cfg(target_os = "linux")]
    fn ask_for_tile_data() -> bool {
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        // SAFETY: this request takes two integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod detect {
    pub fn avx2() -> bool {
        false
    }
    pub fn avx512() -> bool {
        false
    }
    pub fn avx512_bf16() -> bool {
        false
    }
    pub fn amx() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_what_it_says_or_is_refused() {
        for isa in Isa::ALL {
            match Device::with_isa(1, isa) {
                Ok(device) => assert!(device.isa == isa && isa <= Isa::best()),
                Err(error) => {
                    assert!(!isa.is_available());
                    assert!(error.to_string().contains(&format!("{isa:?}")));
                }
            }
        }
        assert_eq!(Device::detect(Some(2)).isa, Isa::best());
        assert_eq!(Device::detect(Some(2)).pool.threads(), 2);
    }

    #[test]
    fn a_faster_set_includes_the_slower_ones() {
        for pair in Isa::ALL.windows(2) {
            assert!(!pair[1].is_available() || pair[0].is_available());
        }
    }
}

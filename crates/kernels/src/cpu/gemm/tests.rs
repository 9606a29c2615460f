//! The AMX driver on an emulated tile unit, and on the instructions themselves: the processor's, or caught and emulated.
mod registers;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod trap;

use self::registers::Registers;
use super::amx::{Tiles, Unit};
use super::pack::{Left, Right};
use super::{PANEL, Product, depth_chunk, run};
use crate::linear::PackedBf16;
use crate::pool::SharedMut;
use crate::{Device, Isa};
use std::cell::RefCell;

/// A tile unit in memory, called in place of the instructions.
struct Emulated;

thread_local! {
    static REGISTERS: RefCell<Option<Registers>> = const { RefCell::new(None) };
}

fn registers<T>(with: impl FnOnce(&mut Registers) -> T) -> T {
    REGISTERS.with_borrow_mut(|registers| with(registers.as_mut().expect("used before configure")))
}

// SAFETY: reads and writes only the 16 rows that the contract promises.
unsafe impl Unit for Emulated {
    unsafe fn configure() {
        REGISTERS.set(Some(Registers::rubbish()));
    }
    unsafe fn release() {
        REGISTERS.set(None);
    }
    unsafe fn zero<const TILE: usize>() {
        registers(|t| t.zero(TILE));
    }
    unsafe fn load<const TILE: usize>(address: *const u8, stride: usize) {
        // SAFETY: by the contract.
        registers(|t| unsafe { t.load(TILE, address, stride) });
    }
    unsafe fn store<const TILE: usize>(address: *mut u8, stride: usize) {
        // SAFETY: by the contract.
        registers(|t| unsafe { t.store(TILE, address, stride) });
    }
    unsafe fn multiply<const SUM: usize, const LEFT: usize, const RIGHT: usize>() {
        registers(|t| t.multiply(SUM, LEFT, RIGHT));
    }
}

/// Small whole numbers: sums are exact in any order.
fn whole(length: usize, step: usize) -> Vec<f32> {
    (0..length).map(|i| (i * step % 17) as f32 - 8.0).collect()
}

#[test]
fn the_amx_driver_is_exact_on_whole_numbers() {
    is_exact_on_whole_numbers::<Emulated>();
}

/// Where the processor has no tiles its refusal of each instruction is caught, and the instruction, as it was
/// encoded, is done in memory: operands in the wrong order or a wrong configuration show on any machine.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn the_amx_instructions_are_exact_on_whole_numbers() {
    let is_emulated = !Isa::Amx.is_available();
    if is_emulated && crate::device::detect::processor_has_amx_bf16() {
        eprintln!(
            "SKIPPED: the processor has tiles, so that not all of their instructions trap, but the system refuses them"
        );
        return;
    }
    if is_emulated {
        trap::install();
    }
    let ran = is_exact_on_whole_numbers::<super::amx::Hardware>();
    assert!(!ran || !is_emulated || trap::caught() > 1000, "the instructions were not those caught");
}

/// Whether it could be run.
fn is_exact_on_whole_numbers<U: Unit>() -> bool {
    if !Isa::Avx512Bf16.is_available() {
        eprintln!("SKIPPED: packing for AMX needs AVX-512 with bf16, which this machine lacks");
        return false;
    }
    let device = Device::with_isa(2, Isa::Portable).expect("always there");
    for (m, n, k) in [(1, 1, 1), (3, 17, 31), (16, 16, 32), (33, 40, 65), (65, 100, 600), (200, 33, 1200)] {
        let (x, weight) = (whole(m * k, 7), whole(n * k, 5));
        let mut packed = PackedBf16::zeros(n, k);
        packed.pack_rows(&device, 0, &weight);
        for add in [false, true] {
            let before = whole(m * n, 3);
            let mut c = before.clone();
            let left = Left::Rows { data: &x, stride: k };
            let right = Right::Forward(&packed);
            let product = Product { m, n, k, left, right, c: SharedMut::new(&mut c), c_stride: n, add };
            run::<Tiles<U>>(&device, &product);
            for (i, &found) in c.iter().enumerate() {
                let (row, column) = (i / n, i % n);
                let sum: f32 = (0..k).map(|j| x[row * k + j] * weight[column * k + j]).sum();
                assert_eq!(found, sum + if add { before[i] } else { 0.0 }, "({m}, {n}, {k}) at {row}, {column}");
            }
        }
    }
    true
}

#[test]
fn chunks_of_depth_are_about_equal_and_fit() {
    assert_eq!([0, 1, 32, 576, 577, 896, 1536].map(|k| depth_chunk(k, 576)), [32, 32, 32, 576, 320, 448, 512]);
    assert_eq!(PANEL, 16);
}

//! The AMX driver on an emulated tile unit: everything but the instructions themselves.
use super::amx::{Tiles, Unit};
use super::pack::{Left, Right};
use super::{PANEL, Product, depth_chunk, run};
use crate::linear::PackedBf16;
use crate::pool::SharedMut;
use crate::{Device, Isa};
use std::cell::RefCell;

/// Eight tile registers in memory, 16 rows of 64 bytes each.
struct Emulated;

type Register = [[u8; 64]; 16];

thread_local! {
    static REGISTERS: RefCell<Option<[Register; 8]>> = const { RefCell::new(None) };
}

fn registers<T>(with: impl FnOnce(&mut [Register; 8]) -> T) -> T {
    REGISTERS.with_borrow_mut(|registers| with(registers.as_mut().expect("used before configure")))
}

fn float(row: &[u8; 64], column: usize) -> f32 {
    f32::from_le_bytes(row[4 * column..][..4].try_into().expect("four bytes"))
}

fn bf16(row: &[u8; 64], i: usize) -> f32 {
    f32::from_bits((u16::from_le_bytes([row[2 * i], row[2 * i + 1]]) as u32) << 16)
}

// SAFETY: reads and writes only the 16 rows that the contract promises.
unsafe impl Unit for Emulated {
    unsafe fn configure() {
        // Registers hold rubbish that would show, not zeros.
        REGISTERS.set(Some([[[0xff; 64]; 16]; 8]));
    }
    unsafe fn release() {
        REGISTERS.set(None);
    }
    unsafe fn zero<const TILE: usize>() {
        registers(|t| t[TILE] = [[0; 64]; 16]);
    }
    unsafe fn load<const TILE: usize>(address: *const u8, stride: usize) {
        registers(|t| {
            for (r, row) in t[TILE].iter_mut().enumerate() {
                // SAFETY: by the contract.
                *row = unsafe { address.add(r * stride).cast::<[u8; 64]>().read_unaligned() };
            }
        });
    }
    unsafe fn store<const TILE: usize>(address: *mut u8, stride: usize) {
        registers(|t| {
            for (r, row) in t[TILE].iter().enumerate() {
                // SAFETY: by the contract.
                unsafe { address.add(r * stride).cast::<[u8; 64]>().write_unaligned(*row) };
            }
        });
    }
    /// Intel's manual, volume 2, TDPBF16PS.
    unsafe fn multiply<const SUM: usize, const LEFT: usize, const RIGHT: usize>() {
        registers(|t| {
            for m in 0..16 {
                for n in 0..16 {
                    let mut sum = float(&t[SUM][m], n);
                    for k in 0..16 {
                        sum += bf16(&t[LEFT][m], 2 * k) * bf16(&t[RIGHT][k], 2 * n);
                        sum += bf16(&t[LEFT][m], 2 * k + 1) * bf16(&t[RIGHT][k], 2 * n + 1);
                    }
                    t[SUM][m][4 * n..][..4].copy_from_slice(&sum.to_le_bytes());
                }
            }
        });
    }
}

/// Small whole numbers: sums are exact in any order.
fn whole(length: usize, step: usize) -> Vec<f32> {
    (0..length).map(|i| (i * step % 17) as f32 - 8.0).collect()
}

#[test]
fn the_amx_driver_is_exact_on_whole_numbers() {
    if !Isa::Avx512Bf16.is_available() {
        eprintln!("SKIPPED: packing for AMX needs AVX-512 with bf16, which this machine lacks");
        return;
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
            run::<Tiles<Emulated>>(&device, &product);
            for (i, &found) in c.iter().enumerate() {
                let (row, column) = (i / n, i % n);
                let sum: f32 = (0..k).map(|j| x[row * k + j] * weight[column * k + j]).sum();
                assert_eq!(found, sum + if add { before[i] } else { 0.0 }, "({m}, {n}, {k}) at {row}, {column}");
            }
        }
    }
}

#[test]
fn chunks_of_depth_are_about_equal_and_fit() {
    assert_eq!([0, 1, 32, 576, 577, 896, 1536].map(|k| depth_chunk(k, 576)), [32, 32, 32, 576, 320, 448, 512]);
    assert_eq!(PANEL, 16);
}

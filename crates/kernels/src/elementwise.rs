//! Small operations over slices. Dropout and noise are drawn in `noise.rs`.
//!
//! Work is split over workers where every result element has one owner and a fixed order of additions,
//! so nothing here depends on the number of threads.
use crate::Device;
pub use crate::noise::{add_uniform_noise, dropout};
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};

/// Elements that one worker does rather than wake another for: some microseconds' worth.
const GRAIN: usize = 16384;

/// y += x.
pub fn add(device: &Device, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "x and y");
    device.pool.parts(y, GRAIN, |first, y| add_slice(device.isa, &x[first..first + y.len()], y));
}

/// y = x.
pub fn copy(device: &Device, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "x and y");
    device.pool.parts(y, GRAIN, |first, y| y.copy_from_slice(&x[first..first + y.len()]));
}

/// Every row of y += bias.
pub fn add_bias(device: &Device, bias: &[f32], y: &mut [f32], stride: usize) {
    let n_rows = rows_of(y.len(), bias.len(), stride);
    let shared = SharedMut::new(y);
    let grain = GRAIN.div_ceil(bias.len().max(1));
    device.pool.split(n_rows, grain, |_, rows| {
        for row in rows {
            let start = row * stride;
            // SAFETY: rows don't overlap (the stride is at least a row), and each has one worker.
            let y = unsafe { shared.range(start..start + bias.len()) };
            add_slice(device.isa, bias, y);
        }
    });
}

/// d_bias += column sums of the first `d_bias.len()` columns of dy.
pub fn add_column_sums(device: &Device, dy: &[f32], stride: usize, d_bias: &mut [f32]) {
    let width = d_bias.len();
    let n_rows = rows_of(dy.len(), width, stride);
    let shared = SharedMut::new(d_bias);
    device.pool.split(width, column_grain(n_rows), |_, columns| {
        // SAFETY: the ranges of a split don't overlap.
        let d_bias = unsafe { shared.range(columns.clone()) };
        for row in 0..n_rows {
            let start = row * stride;
            add_slice(device.isa, &dy[start + columns.start..start + columns.end], d_bias);
        }
    });
}

/// y = y·factor.
pub fn scale(device: &Device, y: &mut [f32], factor: f32) {
    device.pool.parts(y, GRAIN, |_, y| scale_slice(device.isa, y, factor));
}

/// y = value.
pub fn fill(device: &Device, y: &mut [f32], value: f32) {
    device.pool.parts(y, GRAIN, |_, y| y.fill(value));
}

/// y = y + share·(x − y): an exponential moving average takes x in.
pub fn blend(device: &Device, y: &mut [f32], x: &[f32], share: f32) {
    assert_eq!(y.len(), x.len(), "y and x");
    device.pool.parts(y, GRAIN, |first, y| {
        for (y, x) in y.iter_mut().zip(&x[first..]) {
            *y += share * (x - *y);
        }
    });
}

/// Row i of out = row ids\[i\] of table `[V, D]`.
pub fn gather_rows(device: &Device, table: &[f32], width: usize, ids: &[u32], out: &mut [f32]) {
    assert_eq!(out.len(), ids.len() * width, "rows of {width} for {} ids", ids.len());
    let shared = SharedMut::new(out);
    device.pool.split(ids.len(), GRAIN.div_ceil(width.max(1)), |_, rows| {
        for row in rows {
            let id = ids[row] as usize;
            // SAFETY: rows don't overlap, and each has one worker.
            let out = unsafe { shared.range(row * width..(row + 1) * width) };
            out.copy_from_slice(&table[id * width..(id + 1) * width]);
        }
    });
}

/// Row ids\[i\] of table += row i of x; equal ids add in order of i.
pub fn scatter_add_rows(device: &Device, x: &[f32], width: usize, ids: &[u32], table: &mut [f32]) {
    assert_eq!(x.len(), ids.len() * width, "rows of {width} for {} ids", ids.len());
    let shared = SharedMut::new(table);
    // Each worker takes some columns of every row, so that equal ids need no agreement between workers.
    device.pool.split(width, column_grain(ids.len()), |_, columns| {
        for (row, &id) in ids.iter().enumerate() {
            let target = id as usize * width;
            // SAFETY: columns have one worker each.
            let table = unsafe { shared.range(target + columns.start..target + columns.end) };
            let source = row * width;
            add_slice(device.isa, &x[source + columns.start..source + columns.end], table);
        }
    });
}

/// Rounds to bf16, nearest even.
pub fn to_bf16(device: &Device, x: &[f32], y: &mut [u16]) {
    assert_eq!(x.len(), y.len(), "x and y");
    device.pool.parts(y, GRAIN, |first, y| round_slice(device.isa, &x[first..first + y.len()], y));
}

/// Widens from bf16.
pub fn from_bf16(device: &Device, x: &[u16], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "x and y");
    device.pool.parts(y, GRAIN, |first, y| widen_slice(device.isa, &x[first..first + y.len()], y));
}

/// A zeroed buffer on huge pages where the system has them: first touch of small pages is slow on virtual machines.
pub fn zeroed(length: usize) -> Vec<f32> {
    // Large zeroed allocations are fresh pages that nobody has touched, so advice comes in time.
    let buffer = vec![0.0; length];
    advise_huge_pages(&buffer);
    buffer
}

/// Asks for huge pages under `buffer`, as far as whole ones fit in it.
#[cfg(target_os = "linux")]
fn advise_huge_pages(buffer: &[f32]) {
    const HUGE: usize = 2 << 20;
    let start = (buffer.as_ptr() as usize).next_multiple_of(HUGE);
    let end = (buffer.as_ptr() as usize + std::mem::size_of_val(buffer)) / HUGE * HUGE;
    if start < end {
        // SAFETY: the pages lie within the buffer, and this advice changes no content.
        // Refusal is no error: small pages work as well, more slowly.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
    }
}
#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_: &[f32]) {}

/// Rows in a buffer of `length` whose rows are `stride` apart, the last perhaps cut to `width`.
fn rows_of(length: usize, width: usize, stride: usize) -> usize {
    assert!(width <= stride, "rows of {width} with a stride of {stride}");
    if length < width || stride == 0 { 0 } else { (length - width) / stride + 1 }
}

/// Columns for one worker at least, when each has `n_rows` rows of them to do; whole cache lines.
fn column_grain(n_rows: usize) -> usize {
    GRAIN.div_ceil(n_rows.max(1)).next_multiple_of(16)
}

per_isa! { pub(crate) fn add_slice(x: &[f32], y: &mut [f32]) = add_body; }
#[inline(always)]
fn add_body<V: Lanes>(x: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks(V::WIDTH).zip(y.chunks_mut(V::WIDTH)) {
        (V::load_up_to(y) + V::load_up_to(x)).store_up_to(y);
    }
}

per_isa! { fn scale_slice(y: &mut [f32], factor: f32) = scale_body; }
#[inline(always)]
fn scale_body<V: Lanes>(y: &mut [f32], factor: f32) {
    for y in y.chunks_mut(V::WIDTH) {
        (V::load_up_to(y) * V::splat(factor)).store_up_to(y);
    }
}

per_isa! { fn round_slice(x: &[f32], y: &mut [u16]) = round_body; }
#[inline(always)]
fn round_body<V: Lanes>(x: &[f32], y: &mut [u16]) {
    for (x, y) in x.iter().zip(y) {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        // A NaN stays one, quiet, with its sign and upper payload.
        *y = if bits & 0x7fff_ffff > 0x7f80_0000 { (bits >> 16) | 0x40 } else { rounded } as u16;
    }
}

per_isa! { fn widen_slice(x: &[u16], y: &mut [f32]) = widen_body; }
#[inline(always)]
fn widen_body<V: Lanes>(x: &[u16], y: &mut [f32]) {
    for (x, y) in x.iter().zip(y) {
        *y = f32::from_bits((*x as u32) << 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::{devices, noise};

    const WIDTHS: [usize; 4] = [1, 7, 33, 576];

    #[test]
    fn additions_and_scales() {
        for device in devices() {
            for n in [0, 1, 15, 33, 40_000] {
                let (x, before) = (noise(1, n), noise(2, n));
                let mut y = before.clone();
                add(&device, &x, &mut y);
                assert!((0..n).all(|i| y[i] == before[i] + x[i]));
                scale(&device, &mut y, -0.7);
                assert!((0..n).all(|i| y[i] == (before[i] + x[i]) * -0.7));
                let scaled = y.clone();
                blend(&device, &mut y, &x, 0.3);
                assert!((0..n).all(|i| y[i] == scaled[i] + 0.3 * (x[i] - scaled[i])));
                fill(&device, &mut y, f32::NAN);
                fill(&device, &mut y, 2.5); // whatever stood there
                assert!(y.iter().all(|&y| y == 2.5));
            }
        }
    }

    #[test]
    fn a_bias_and_its_gradient() {
        for device in devices() {
            for width in WIDTHS {
                for (n_rows, stride) in [(1, width), (5, width + 3), (700, width + 1)] {
                    let length = (n_rows - 1) * stride + width;
                    let (bias, before) = (noise(3, width), noise(4, length));
                    let mut y = before.clone();
                    add_bias(&device, &bias, &mut y, stride);
                    for (i, (&y, &before)) in y.iter().zip(&before).enumerate() {
                        let bias = bias.get(i % stride).copied().unwrap_or(0.0);
                        assert_eq!(y, before + bias);
                    }
                    let mut d_bias = bias.clone();
                    add_column_sums(&device, &before, stride, &mut d_bias);
                    for column in 0..width {
                        let sum: f64 = (0..n_rows).map(|r| before[r * stride + column] as f64).sum();
                        let expected = sum + bias[column] as f64;
                        assert!((d_bias[column] as f64 - expected).abs() < 2e-4, "{expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_are_gathered_and_added_back_in_order() {
        for width in WIDTHS {
            let ids: Vec<u32> = (0..300).map(|i| (i * i + 3) % 17).collect();
            let table = noise(5, 17 * width);
            let x = noise(6, ids.len() * width);
            let mut expected = table.clone();
            for (i, &id) in ids.iter().enumerate() {
                for c in 0..width {
                    expected[id as usize * width + c] += x[i * width + c];
                }
            }
            for device in devices() {
                let mut rows = vec![0.0; x.len()];
                gather_rows(&device, &table, width, &ids, &mut rows);
                for (i, &id) in ids.iter().enumerate() {
                    assert_eq!(rows[i * width..(i + 1) * width], table[id as usize * width..][..width]);
                }
                let mut sums = table.clone();
                scatter_add_rows(&device, &x, width, &ids, &mut sums);
                // Exactly: the order of additions is the same.
                assert_eq!(sums, expected);
            }
        }
    }

    #[test]
    fn bf16_rounds_to_the_nearest_even() {
        let mut x = noise(7, 40_001);
        // A tie down to even, a tie up to even, just above a tie, the largest finite (rounds up to infinity), others.
        x.extend([1.003_906_2, 1.011_718_8, 1.003_906_4, f32::MAX, f32::INFINITY, -0.0, 1e-40]);
        x.extend([f32::NAN, f32::from_bits(0xff80_0001)]);
        for device in devices() {
            let mut y = vec![0u16; x.len()];
            to_bf16(&device, &x, &mut y);
            let mut back = vec![0.0; x.len()];
            from_bf16(&device, &y, &mut back);
            for i in 0..x.len() {
                assert_eq!(y[i], half::bf16::from_f32(x[i]).to_bits(), "{}", x[i]);
                assert_eq!(back[i].to_bits() >> 16, y[i] as u32);
            }
        }
    }

    #[test]
    fn zeroed_buffers_are_zero() {
        for n in [0, 1, 1000, 3 << 20] {
            let buffer = zeroed(n);
            assert_eq!(buffer.len(), n);
            assert!(buffer.iter().all(|&x| x == 0.0));
        }
    }
}

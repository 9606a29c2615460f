//! Rotary position embedding (arXiv 2104.09864), half-split layout: element i of the first half pairs with i of the second.
use crate::Device;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};

/// Cosines and sines, `[n_positions, rotary_dim/2]` each; the caller bakes any scaling in.
pub struct RotaryTable {
    /// Rotated width of a head, even, at most head_dim.
    pub rotary_dim: usize,
    /// cos.
    pub cos: Vec<f32>,
    /// sin.
    pub sin: Vec<f32>,
}

/// Rotates `n_heads` heads of each row in place, by `positions[row]`, or back when `inverse` (which is also the gradient).
/// Row r, head g is `x[r*stride + offset + g*head_dim ..]`; only its first `rotary_dim` elements turn.
pub fn rotate(
    device: &Device,
    table: &RotaryTable,
    positions: &[u32],
    x: &mut [f32],
    stride: usize,
    offset: usize,
    n_heads: usize,
    head_dim: usize,
    inverse: bool,
) {
    let (half, width) = (table.rotary_dim / 2, n_heads * head_dim);
    assert!(table.rotary_dim.is_multiple_of(2) && table.rotary_dim <= head_dim);
    assert!(offset + width <= stride, "{n_heads} heads at {offset} of {stride}");
    let x = SharedMut::new(x);
    device.pool.split(positions.len(), 16384usize.div_ceil(width.max(1)), |_, rows| {
        for row in rows {
            let angle = positions[row] as usize * half..(positions[row] as usize + 1) * half;
            let start = row * stride + offset;
            // SAFETY: rows don't overlap, and each has one worker.
            let x = unsafe { x.range(start..start + width) };
            let (cos, sin) = (&table.cos[angle.clone()], &table.sin[angle]);
            rotate_row(device.isa, cos, sin, x, head_dim, if inverse { -1.0 } else { 1.0 });
        }
    });
}

per_isa! { fn rotate_row(cos: &[f32], sin: &[f32], x: &mut [f32], head_dim: usize, sign: f32) = rotate_body; }
/// (a, b) → (a·cos − b·sin, b·cos + a·sin), sin times `sign`.
#[inline(always)]
fn rotate_body<V: Lanes>(cos: &[f32], sin: &[f32], x: &mut [f32], head_dim: usize, sign: f32) {
    let half = cos.len();
    let sign = V::splat(sign);
    for head in x.chunks_exact_mut(head_dim) {
        let (first, rest) = head.split_at_mut(half);
        let second = &mut rest[..half];
        for start in (0..half).step_by(V::WIDTH) {
            let cos = V::load_up_to(&cos[start..]);
            let sin = V::load_up_to(&sin[start..]) * sign;
            let (a, b) = (V::load_up_to(&first[start..]), V::load_up_to(&second[start..]));
            (a * cos - b * sin).store_up_to(&mut first[start..]);
            (b * cos + a * sin).store_up_to(&mut second[start..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::{assert_close, devices, noise};

    fn table(rotary_dim: usize, n_positions: usize) -> RotaryTable {
        let angle = |i: usize| {
            let (position, pair) = (i / (rotary_dim / 2), i % (rotary_dim / 2));
            position as f64 * 10000f64.powf(-2.0 * pair as f64 / rotary_dim as f64)
        };
        let n = n_positions * rotary_dim / 2;
        RotaryTable {
            rotary_dim,
            cos: (0..n).map(|i| angle(i).cos() as f32).collect(),
            sin: (0..n).map(|i| angle(i).sin() as f32).collect(),
        }
    }

    #[test]
    fn rotation_is_a_complex_product_and_back_again() {
        // (head_dim, rotary_dim): whole, partial, narrow, odd halves.
        for (head_dim, rotary_dim) in [(64, 64), (80, 20), (8, 8), (2, 2), (96, 66)] {
            let (n_rows, n_heads, offset) = (37, 3, 5);
            let stride = offset + n_heads * head_dim + 2;
            let table = table(rotary_dim, 50);
            let positions: Vec<u32> = (0..n_rows as u32).map(|r| (r * 13 + 7) % 50).collect();
            let before = noise(11, n_rows * stride);
            let half = rotary_dim / 2;
            let mut expected: Vec<f64> = before.iter().map(|&x| x as f64).collect();
            for (row, &position) in positions.iter().enumerate() {
                for head in 0..n_heads {
                    for i in 0..half {
                        let a = row * stride + offset + head * head_dim + i;
                        let (x, y) = (before[a] as f64, before[a + half] as f64);
                        let theta = position as f64 * 10000f64.powf(-2.0 * i as f64 / rotary_dim as f64);
                        expected[a] = x * theta.cos() - y * theta.sin();
                        expected[a + half] = x * theta.sin() + y * theta.cos();
                    }
                }
            }
            for device in devices() {
                let mut x = before.clone();
                rotate(&device, &table, &positions, &mut x, stride, offset, n_heads, head_dim, false);
                assert_close("rotated", &x, &expected, 5e-7);
                rotate(&device, &table, &positions, &mut x, stride, offset, n_heads, head_dim, true);
                let back: Vec<f64> = before.iter().map(|&x| x as f64).collect();
                assert_close("rotated back", &x, &back, 5e-7);
            }
        }
    }
}

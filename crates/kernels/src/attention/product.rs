//! The matrix product that attention's tiles are made of: one thread, any strides, causal regions left out.
use super::stored::Stored;
use crate::vector::{Lanes, per_isa};

/// C `[rows, columns]` = A·B, or C += A·B.
pub(super) struct Product<'a, T = f32> {
    /// Element (i, k) at `i * a_row + k * a_column`.
    pub a: &'a [f32],
    pub a_row: usize,
    pub a_column: usize,
    /// Element (k, j) at `k * b_row + j`.
    pub b: &'a [T],
    pub b_row: usize,
    /// Element (i, j) at `i * c_row + j`.
    pub c: &'a mut [f32],
    pub c_row: usize,
    pub rows: usize,
    /// A multiple of 16.
    pub columns: usize,
    pub depth: usize,
    pub region: Region,
    pub accumulate: bool,
}

/// Which part of a causal product is wanted; what lies outside may or may not be computed.
#[derive(Clone, Copy)]
pub(super) enum Region {
    /// All of it.
    Whole,
    /// Row i (a key): the columns (queries) that see it.
    ColumnsFrom(Causal),
    /// Row i (a key): sums over the queries that see it.
    DepthFrom(Causal),
    /// Row i (a query): sums over the keys that it sees.
    DepthBelow(Causal),
}

/// Which lanes see which keys: key i is seen by lanes `(i + base)·group` and above, where a lane is a query of one
/// of the `group` heads that share the keys.
#[derive(Clone, Copy)]
pub(super) struct Causal {
    pub base: isize,
    pub group: usize,
}

impl Causal {
    /// The first lane that sees `key`.
    pub fn first_lane(self, key: usize) -> usize {
        (self.base + key as isize).max(0) as usize * self.group
    }
    /// How many keys `lane` sees.
    pub fn keys_below(self, lane: usize) -> usize {
        ((lane / self.group) as isize - self.base + 1).max(0) as usize
    }
}

/// Rows of C in registers at a time; with four columns of registers they fill AVX-512's 32.
const ROWS: usize = 6;

per_isa! { pub(super) fn multiply(product: Product<'_>) = multiply_f32_body; }
#[inline(always)]
fn multiply_f32_body<V: Lanes>(product: Product<'_>) {
    multiply_body::<V, f32>(product);
}

#[inline(always)]
pub(super) fn multiply_body<V: Lanes, T: Stored>(p: Product<'_, T>) {
    if p.rows == 0 || p.columns == 0 {
        return;
    }
    assert!(p.columns.is_multiple_of(V::WIDTH), "{} columns", p.columns);
    assert!(p.depth == 0 || p.a.len() > (p.rows - 1) * p.a_row + (p.depth - 1) * p.a_column);
    assert!(p.depth == 0 || p.b.len() >= (p.depth - 1) * p.b_row + p.columns);
    assert!(p.c.len() >= (p.rows - 1) * p.c_row + p.columns);
    let block = V::WIDTH * if V::REGISTERS >= 32 { 4 } else { 2 };
    for block_start in (0..p.columns).step_by(block) {
        let end = p.columns.min(block_start + block);
        for row in (0..p.rows).step_by(ROWS) {
            let rows = ROWS.min(p.rows - row);
            let (mut start, mut from, mut below) = (block_start, 0, p.depth);
            match p.region {
                Region::Whole => {}
                Region::ColumnsFrom(causal) => {
                    start = start.max(causal.first_lane(row) / V::WIDTH * V::WIDTH);
                }
                Region::DepthFrom(causal) => from = causal.first_lane(row).min(p.depth),
                Region::DepthBelow(causal) => {
                    below = causal.keys_below(row + rows - 1).min(p.depth);
                }
            }
            if start >= end {
                continue;
            }
            let a = &p.a[(row * p.a_row + from * p.a_column).min(p.a.len())..];
            let b = &p.b[(from * p.b_row + start).min(p.b.len())..];
            let c = &mut p.c[row * p.c_row + start..];
            let tile = Tile {
                a: a.as_ptr(),
                a_row: p.a_row,
                a_column: p.a_column,
                b: b.as_ptr(),
                b_row: p.b_row,
                c: c.as_mut_ptr(),
                c_row: p.c_row,
                depth: below - from,
                accumulate: p.accumulate,
            };
            // SAFETY: the tile lies within the product, whose ends were checked against the slices above.
            unsafe { tile.run::<V>(rows, (end - start) / V::WIDTH) }
        }
    }
}

/// A part of a product that fits into registers.
#[derive(Clone, Copy)]
struct Tile<T> {
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: *const T,
    b_row: usize,
    c: *mut f32,
    c_row: usize,
    depth: usize,
    accumulate: bool,
}

impl<T: Stored> Tile<T> {
    /// Runs the copy compiled for `rows` and `columns` (in registers).
    ///
    /// # Safety
    /// All elements that the strides lead to must be valid.
    #[inline(always)]
    unsafe fn run<V: Lanes>(self, rows: usize, columns: usize) {
        macro_rules! by_rows {
            ($columns:literal) => {
                // SAFETY: by this function's contract.
                unsafe {
                    match rows {
                        6 => self.fixed::<V, 6, $columns>(),
                        5 => self.fixed::<V, 5, $columns>(),
                        4 => self.fixed::<V, 4, $columns>(),
                        3 => self.fixed::<V, 3, $columns>(),
                        2 => self.fixed::<V, 2, $columns>(),
                        _ => self.fixed::<V, 1, $columns>(),
                    }
                }
            };
        }
        match columns {
            1 => by_rows!(1),
            2 => by_rows!(2),
            3 if V::REGISTERS >= 32 => by_rows!(3),
            _ if V::REGISTERS >= 32 => by_rows!(4),
            _ => unreachable!("{columns} columns of registers"),
        }
    }

    /// # Safety
    /// As `run`.
    #[inline(always)]
    unsafe fn fixed<V: Lanes, const R: usize, const N: usize>(self) {
        let mut sums = [[V::zero(); N]; R];
        // SAFETY: every address is an element of A, B or C, by the contract.
        unsafe {
            if self.accumulate {
                for i in 0..R {
                    for j in 0..N {
                        sums[i][j] = V::load_from(self.c.add(i * self.c_row + j * V::WIDTH));
                    }
                }
            }
            let (mut a, mut b) = (self.a, self.b);
            for _ in 0..self.depth {
                let mut factors = [V::zero(); N];
                for j in 0..N {
                    factors[j] = T::load_from(b.add(j * V::WIDTH));
                }
                for i in 0..R {
                    let x = V::splat(*a.add(i * self.a_row));
                    for j in 0..N {
                        sums[i][j] = x.mul_add(factors[j], sums[i][j]);
                    }
                }
                a = a.wrapping_add(self.a_column);
                b = b.wrapping_add(self.b_row);
            }
            for i in 0..R {
                for j in 0..N {
                    sums[i][j].store_to(self.c.add(i * self.c_row + j * V::WIDTH));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::twin::{assert_close, noise};

    /// Every region against plain sums; outside the region the result is compared with nothing.
    #[test]
    fn products_match_their_twins() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for (case, (rows, columns, depth, group)) in
                [(1, 16, 1, 1), (6, 64, 5, 3), (17, 80, 33, 2), (64, 112, 31, 3), (9, 48, 0, 1)].into_iter().enumerate()
            {
                for transposed in [false, true] {
                    let (a_row, a_column) = if transposed { (1, rows + 3) } else { (depth + 2, 1) };
                    let (b_row, c_row) = (columns + 5, columns + 1);
                    let a = noise(1, rows * (depth + 2) + (rows + 3) * depth + 1);
                    let (b, before) = (noise(2, (depth + 1) * b_row), noise(3, rows * c_row));
                    let causal = Causal { base: case as isize * 2 - 3, group };
                    let regions = [
                        Region::Whole,
                        Region::ColumnsFrom(causal),
                        Region::DepthFrom(causal),
                        Region::DepthBelow(causal),
                    ];
                    for region in regions {
                        for accumulate in [false, true] {
                            // The kernel may sum over more than a row's own region (its neighbours'): zero those elements.
                            let mut masked = a.clone();
                            for i in 0..rows {
                                for k in 0..depth {
                                    let inside = match region {
                                        Region::DepthFrom(causal) => k >= causal.first_lane(i),
                                        Region::DepthBelow(causal) => k < causal.keys_below(i),
                                        _ => true,
                                    };
                                    if !inside {
                                        masked[i * a_row + k * a_column] = 0.0;
                                    }
                                }
                            }
                            let mut c = before.clone();
                            let product = Product {
                                a: &masked,
                                a_row,
                                a_column,
                                b: &b,
                                b_row,
                                c: &mut c,
                                c_row,
                                rows,
                                columns,
                                depth,
                                region,
                                accumulate,
                            };
                            multiply(isa, product);
                            for i in 0..rows {
                                let first = match region {
                                    Region::ColumnsFrom(causal) => causal.first_lane(i).min(columns),
                                    _ => 0,
                                };
                                let expected: Vec<f64> = (first..columns)
                                    .map(|j| {
                                        let sum: f64 = (0..depth)
                                            .map(|k| masked[i * a_row + k * a_column] as f64 * b[k * b_row + j] as f64)
                                            .sum();
                                        sum + if accumulate { before[i * c_row + j] as f64 } else { 0.0 }
                                    })
                                    .collect();
                                assert_close("c", &c[i * c_row + first..i * c_row + columns], &expected, 1e-6);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn who_sees_whom() {
        // Keys begin two before the first query; three heads a query: lanes 0..3 are query 0, which is key 2.
        let causal = Causal { base: -2, group: 3 };
        assert_eq!([0, 2, 3, 4].map(|key| causal.first_lane(key)), [0, 0, 3, 6]);
        assert_eq!([0, 2, 3, 8].map(|lane| causal.keys_below(lane)), [3, 3, 4, 5]);
        // Keys begin two after the first query.
        let causal = Causal { base: 2, group: 1 };
        assert_eq!([0, 1, 2, 3].map(|lane| causal.keys_below(lane)), [0, 0, 1, 2]);
    }
}

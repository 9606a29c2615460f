//! f32 matrix products by the `gemm` crate, one serial call a worker.
use crate::Device;
use crate::linear::Write;
use crate::pool::SharedMut;

/// A matrix in memory, read with any strides.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    data: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Strided<'a> {
    /// Rows of contiguous elements, `stride` apart.
    pub(crate) fn rows(data: &'a [f32], stride: usize) -> Strided<'a> {
        Strided { data, row_stride: stride, column_stride: 1 }
    }

    /// The same memory with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Strided<'a> {
        Strided { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    /// Panics unless `rows × columns` elements lie in the slice.
    fn check(&self, rows: usize, columns: usize) {
        let last = rows.saturating_sub(1) * self.row_stride + columns.saturating_sub(1) * self.column_stride;
        assert!(rows * columns == 0 || last < self.data.len(), "{rows} × {columns} elements in {}", self.data.len());
    }
}

/// C `[m, n]` (rows `c_stride` apart) = or += A `[m, k]` · B `[k, n]`. The longer side of C is split over the pool.
pub(crate) fn multiply(
    device: &Device,
    a: Strided,
    b: Strided,
    c: &mut [f32],
    c_stride: usize,
    (m, n, k): (usize, usize, usize),
    write: Write,
) {
    if m == 0 || n == 0 {
        return;
    }
    a.check(m, k);
    b.check(k, n);
    assert!((m - 1) * c_stride + n <= c.len());
    let c = SharedMut::new(c);
    let (length, grain) = if m >= n { (m, 16) } else { (n, 32) };
    device.pool.split(length, grain, |_, range| {
        let (rows, columns) = if m >= n { (range, 0..n) } else { (0..m, range) };
        // SAFETY: the blocks of C are disjoint between workers; A, B and C were checked to hold what is touched.
        unsafe {
            gemm::gemm(
                rows.len(),
                columns.len(),
                k,
                c.as_mut_ptr().add(rows.start * c_stride + columns.start),
                1,
                c_stride as isize,
                write == Write::Accumulate,
                a.data.as_ptr().wrapping_add(rows.start * a.row_stride),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr().wrapping_add(columns.start * b.column_stride),
                b.column_stride as isize,
                b.row_stride as isize,
                1.0f32,
                1.0f32,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    });
}

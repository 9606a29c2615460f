//! Matrix products C = or += A·B with operands in f32 or bf16 and f32 accumulation: blocking, packing, and the split
//! over workers.
//!
//! The left operand is copied to blocks in the worker's scratch, row-major, [`LEFT_STRIDE`] elements between rows.
//! The right operand is read in *panels* of 16 columns: 16 elements for each depth in f32; 16 × 2 for each pair of
//! depths in bf16 (the layout that both `vdpbf16ps` and AMX's tiles want). Packed weights are such panels already;
//! anything else is brought into panels block by block. A [`Kernel`] then multiplies a few rows by a few panels.
//!
//! The depth is cut into chunks by its own length alone, and a kernel sums a chunk in one fixed order for every shape
//! of tile, so an element of C depends neither on how many rows there are nor on the number of workers.
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
mod float;
pub(crate) mod pack;
#[cfg(target_arch = "x86_64")]
mod pack_avx512;
mod portable;
#[cfg(test)]
mod tests;

use crate::cpu::buffer::{Buffer, Number};
use crate::pool::SharedMut;
use crate::{Device, Isa};
use pack::{Left, Right};
use std::cell::RefCell;
use std::ops::Range;

/// Columns of a panel.
pub(crate) const PANEL: usize = 16;
/// Depths are padded with zeros to a multiple of this: an AMX tile's.
pub(crate) const DEPTH_GRAIN: usize = 32;
/// Elements between rows of the left scratch: an odd number of cache lines, so that rows fall into different sets.
pub(crate) const LEFT_STRIDE: usize = SCRATCH_DEPTH + 32;
/// The same when there are few rows: small, so that what was written is still near when it is read.
const BLOCK_PANELS_FEW_ROWS: usize = 4;

/// One product: C `[m, n]`, rows `c_stride` apart, = or += A `[m, k]` · B `[k, n]`.
pub(crate) struct Product<'a> {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) left: Left<'a>,
    pub(crate) right: Right<'a>,
    pub(crate) c: SharedMut<'a, f32>,
    pub(crate) c_stride: usize,
    /// Whether to add to C.
    pub(crate) add: bool,
}

/// Runs a product of operands rounded to bf16 with the device's instruction set.
pub(crate) fn multiply_bf16(device: &Device, product: &Product) {
    match device.isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => run::<amx::Tiles<amx::Hardware>>(device, product),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 => run::<avx512_bf16::Kernel>(device, product),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => run::<avx512::Kernel>(device, product),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => run::<avx2::Kernel>(device, product),
        _ => run::<portable::Kernel>(device, product),
    }
}

/// Runs a product of f32 operands with the device's instruction set.
pub(crate) fn multiply_f32(device: &Device, product: &Product) {
    match device.isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Amx | Isa::Avx512Bf16 | Isa::Avx512 => run::<float::Avx512>(device, product),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => run::<float::Avx2>(device, product),
        _ => run::<float::Portable>(device, product),
    }
}

/// A block of C to compute: rows and panels that a kernel takes at once.
pub(crate) struct Tile<L, R> {
    /// The rows of A: row r at `left + r · LEFT_STRIDE`, `depth` elements.
    pub(crate) left: *const L,
    /// The first panel of B; the following ones are `right_stride` elements apart.
    pub(crate) right: *const R,
    pub(crate) right_stride: usize,
    /// Panels that will be read next, to be fetched towards the cache meanwhile; `right` itself when there are none.
    pub(crate) next: *const R,
    /// A multiple of [`DEPTH_GRAIN`].
    pub(crate) depth: usize,
    /// The first element of C.
    pub(crate) c: *mut f32,
    pub(crate) c_stride: usize,
    /// Rows and columns of C that exist.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Whether to add to C.
    pub(crate) add: bool,
}

impl<L, R> Tile<L, R> {
    /// Asks for the tile's part of C to come near while the sums are being made.
    #[inline(always)]
    pub(crate) fn fetch_c(&self) {
        #[cfg(target_arch = "x86_64")]
        for row in 0..self.rows {
            for column in (0..self.columns).step_by(PANEL) {
                use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
                // SAFETY: prefetching may name any address.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(self.c.wrapping_add(row * self.c_stride + column).cast()) };
            }
        }
    }
}

/// The inner loops of one instruction set.
///
/// # Safety
/// The methods may only be called on a machine that has the instruction set, between `begin` and `end`.
pub(crate) unsafe trait Kernel {
    /// Elements of the left scratch: bf16 bits, or f32.
    type Left: Number;
    /// Elements of panels: bf16 bits, or f32.
    type Right: Number;
    /// Rows of the largest tile.
    const ROWS: usize;
    /// Rows that a tile reads, though it may use fewer, come in multiples of this.
    const ROW_GRAIN: usize;
    /// Longest chunk of depth: two panels of it about fill a first-level cache. At most `SCRATCH_DEPTH`.
    const DEPTH: usize = SCRATCH_DEPTH;
    /// Rows packed together: a quarter of a second-level cache. A multiple of `ROWS`, at most `SCRATCH_ROWS`.
    const BLOCK_ROWS: usize = SCRATCH_ROWS;
    /// Panels brought into scratch together, about half a second-level cache; at most `SCRATCH_PANELS`.
    const BLOCK_PANELS: usize = SCRATCH_PANELS;

    /// Panels of the largest tile with `rows` rows.
    fn panels(rows: usize) -> usize;
    /// Prepares the calling thread.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn begin() {}
    /// Undoes `begin`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn end() {}
    /// Copies `rows × depth` elements of the left operand to scratch, padding each row to a multiple of `DEPTH_GRAIN`.
    ///
    /// # Safety
    /// See the trait. `rows` and `depth` must lie in the operand; `to` must have `LEFT_STRIDE` elements for each row.
    unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut Self::Left);
    /// Brings panels of the right operand into scratch, padding the depth to a multiple of `DEPTH_GRAIN`.
    ///
    /// # Safety
    /// See the trait. `depth` must lie in the operand; `to` must have room for the panels.
    unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut Self::Right);
    /// Computes a tile of at most `ROWS` rows and as many columns as `panels(rows)` panels have.
    ///
    /// # Safety
    /// See the trait. What the tile names must exist; rows of the left operand up to a multiple of `ROW_GRAIN`.
    unsafe fn tile(tile: &Tile<Self::Left, Self::Right>);
}

/// A worker's room for packed operands of up to four bytes an element.
struct Scratch {
    left: Buffer<f32>,
    right: Buffer<f32>,
}

const SCRATCH_DEPTH: usize = 576;
const SCRATCH_ROWS: usize = 192;
const SCRATCH_PANELS: usize = 36;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        left: Buffer::zeroed(SCRATCH_ROWS * LEFT_STRIDE),
        right: Buffer::zeroed(SCRATCH_PANELS * PANEL * SCRATCH_DEPTH),
    });
}

/// Length of the chunks, at most `most` long, that a depth of `k` is cut into.
fn depth_chunk(k: usize, most: usize) -> usize {
    let grains = k.div_ceil(DEPTH_GRAIN);
    let chunks = grains.div_ceil(most / DEPTH_GRAIN);
    grains.div_ceil(chunks.max(1)).max(1) * DEPTH_GRAIN
}

/// How many parts the workers cut the rows into, and how many the columns.
fn grid(threads: usize, m: usize, least_rows: usize) -> (usize, usize) {
    // Cutting columns packs the left operand once a worker; cutting rows does so with the right one, and reads it
    // again. The right one costs more when rows are few.
    let by_rows =
        (1..=threads).rev().find(|&parts| threads.is_multiple_of(parts) && m / parts >= least_rows).unwrap_or(1);
    (by_rows, threads / by_rows)
}

pub(crate) fn run<K: Kernel>(device: &Device, product: &Product) {
    let &Product { m, n, c_stride, .. } = product;
    if m == 0 || n == 0 {
        return;
    }
    assert!((m - 1) * c_stride + n <= product.c.len(), "C [{m}, {n}] in {} elements", product.c.len());
    product.left.check(m, product.k);
    product.right.check(product.k, n);
    let panels = n.div_ceil(PANEL);
    let (row_parts, column_parts) = grid(device.pool.threads(), m, 4 * K::ROWS);
    let share = |length: usize, grain: usize, part: usize, parts: usize| {
        let grains = length.div_ceil(grain);
        (grains * part / parts * grain).min(length)..(grains * (part + 1) / parts * grain).min(length)
    };
    let work = |worker: usize| {
        let rows = share(m, K::ROWS, worker % row_parts, row_parts);
        let panels = share(panels, 2, worker / row_parts, column_parts);
        if !rows.is_empty() && !panels.is_empty() {
            SCRATCH.with_borrow_mut(|scratch| {
                // SAFETY: the device's instruction set is this machine's; the operands hold what is read (checked
                // above); the parts of C are disjoint between workers.
                unsafe {
                    K::begin();
                    part::<K>(product, scratch, rows, panels);
                    K::end();
                }
            });
        }
    };
    // Too small a product is not worth waking anybody.
    if m * n * product.k < 1 << 15 {
        (0..device.pool.threads()).for_each(work);
    } else {
        device.pool.broadcast(work);
    }
}

/// One worker's rows and panels.
///
/// # Safety
/// The kernel's instruction set is available and begun; the operands are checked; nobody else touches this part of C.
unsafe fn part<K: Kernel>(product: &Product, scratch: &mut Scratch, rows: Range<usize>, panels: Range<usize>) {
    let k = product.k;
    let block_panels = match rows.len() < K::ROWS {
        true if !product.right.is_panels() => BLOCK_PANELS_FEW_ROWS,
        _ => K::BLOCK_PANELS,
    };
    let left: *mut K::Left = scratch.left.as_mut_ptr().cast();
    // A depth of 0 still has one chunk, of zeros, which clears C or leaves it.
    let chunk = depth_chunk(k, K::DEPTH);
    let block_panels = block_length(panels.len(), block_panels, 2);
    for block in blocks(panels, block_panels) {
        for depth in blocks(0..k.max(1), chunk) {
            let depth = depth.start..depth.end.min(k);
            let padded = depth.len().next_multiple_of(DEPTH_GRAIN);
            let (right, right_stride) = match product.right.panel_address(block.start, depth.start) {
                Some((address, stride)) => (address.cast(), stride),
                None => {
                    let to: *mut K::Right = scratch.right.as_mut_ptr().cast();
                    // SAFETY: `depth` lies in the operand; the scratch has room for a block.
                    unsafe { K::pack_right(&product.right, block.clone(), depth.clone(), to) };
                    (to.cast_const(), padded * PANEL)
                }
            };
            for block_rows in blocks(rows.clone(), block_length(rows.len(), K::BLOCK_ROWS, K::ROWS)) {
                // SAFETY: rows and depth lie in the operand; the scratch has room for a block.
                unsafe { K::pack_left(&product.left, block_rows.clone(), depth.clone(), left) };
                let first = block.start * PANEL;
                let tile = Tile {
                    left: left.cast_const(),
                    right,
                    right_stride,
                    next: right,
                    depth: padded,
                    c: product.c.as_mut_ptr().wrapping_add(block_rows.start * product.c_stride + first),
                    c_stride: product.c_stride,
                    rows: block_rows.len(),
                    columns: (block.end * PANEL).min(product.n) - first,
                    add: product.add || depth.start > 0,
                };
                // SAFETY: the block was packed; C holds these rows and columns.
                unsafe { tiles::<K>(&tile) };
            }
        }
    }
}

/// Rows or panels to pack together: about equal blocks of at most `most`.
fn block_length(length: usize, most: usize, grain: usize) -> usize {
    length.div_ceil(length.div_ceil(most)).next_multiple_of(grain)
}

/// Cuts a range into pieces of `length`.
fn blocks(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(length).map(move |start| start..(start + length).min(end))
}

/// A block of C by the kernel's tiles.
///
/// # Safety
/// As for [`Kernel::tile`], but for any number of rows and columns.
unsafe fn tiles<K: Kernel>(block: &Tile<K::Left, K::Right>) {
    let row_tiles = block.rows.div_ceil(K::ROWS);
    // Tiles of about equal height, in whole grains: a tile of one row costs nearly as much as one of six.
    let height = block.rows.div_ceil(row_tiles).next_multiple_of(K::ROW_GRAIN);
    let width = K::panels(height.min(block.rows)) * PANEL;
    for columns in blocks(0..block.columns, width) {
        let right = block.right.wrapping_add(columns.start / PANEL * block.right_stride);
        for rows in blocks(0..block.rows, height) {
            let last = columns.end + width > block.columns;
            let next =
                if rows.start > 0 || last { right } else { right.wrapping_add(width / PANEL * block.right_stride) };
            let tile = Tile {
                left: block.left.wrapping_add(rows.start * LEFT_STRIDE),
                right,
                next,
                c: block.c.wrapping_add(rows.start * block.c_stride + columns.start),
                rows: rows.len(),
                columns: columns.len(),
                ..*block
            };
            // SAFETY: a part of the block.
            unsafe { K::tile(&tile) };
        }
    }
}

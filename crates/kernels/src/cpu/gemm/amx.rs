//! AMX: tiles of 16 rows × 64 bytes and `tdpbf16ps`, two by two.
//!
//! The walk over the operands is written once, over [`Unit`]: the processor's tiles, or an emulation with the same
//! addressing that tests run on any machine. Only the six instructions in [`Hardware`] need the real thing.
use super::pack::{Left, Right};
use super::{DEPTH_GRAIN, LEFT_STRIDE, PANEL, Tile};
use std::marker::PhantomData;
use std::ops::Range;

/// Rows of a tile.
const TILE_ROWS: usize = 16;
/// Bytes between rows of the left scratch.
const LEFT_BYTES: usize = LEFT_STRIDE * 2;
/// Bytes between rows of a tile in a panel: a pair of depths of 16 columns.
const PANEL_BYTES: usize = PANEL * 4;

/// Eight tile registers. Numbers are compile-time constants because they are part of the instruction.
///
/// # Safety
/// The methods may only be called between `configure` and `release` on one thread, on a machine that has the unit;
/// the 16 rows at `address` must exist.
pub(super) unsafe trait Unit {
    /// Sets every register to 16 rows of 64 bytes.
    unsafe fn configure();
    /// Ends the use of registers.
    unsafe fn release();
    /// Clears a register.
    unsafe fn zero<const TILE: usize>();
    /// Loads 16 rows of 64 bytes, `stride` bytes apart.
    unsafe fn load<const TILE: usize>(address: *const u8, stride: usize);
    /// Stores 16 rows of 64 bytes, `stride` bytes apart.
    unsafe fn store<const TILE: usize>(address: *mut u8, stride: usize);
    /// Adds to register `SUM` the product of bf16 pairs: `LEFT` has a row of C a row, `RIGHT` a pair of depths a row.
    unsafe fn multiply<const SUM: usize, const LEFT: usize, const RIGHT: usize>();
}

/// The kernel on a tile unit.
pub(super) struct Tiles<U>(PhantomData<U>);

// SAFETY: the packing and the tiles are those of `Isa::Amx`, or the unit needs neither.
unsafe impl<U: Unit> super::Kernel for Tiles<U> {
    type Left = u16;
    type Right = u16;
    const ROWS: usize = 2 * TILE_ROWS;
    const ROW_GRAIN: usize = TILE_ROWS;

    fn panels(_rows: usize) -> usize {
        2
    }
    unsafe fn begin() {
        // SAFETY: the same contract.
        unsafe { U::configure() }
    }
    unsafe fn end() {
        // SAFETY: the same contract.
        unsafe { U::release() }
    }
    #[cfg(target_arch = "x86_64")]
    unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract; AMX implies the instructions.
        unsafe { super::pack_avx512::left_bf16(left, rows, depth, to) }
    }
    #[cfg(target_arch = "x86_64")]
    unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract; AMX implies the instructions.
        unsafe { super::pack_avx512::right_bf16(right, panels, depth, to) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn pack_left(left: &Left, rows: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract.
        unsafe { super::pack::left::<super::pack::ToBf16>(left, rows, depth, to) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn pack_right(right: &Right, panels: Range<usize>, depth: Range<usize>, to: *mut u16) {
        // SAFETY: the same contract.
        unsafe { super::pack::right(right, panels, depth, to) }
    }
    unsafe fn tile(tile: &Tile<u16, u16>) {
        // SAFETY: the same contract.
        unsafe {
            match (tile.rows > TILE_ROWS, tile.columns > PANEL) {
                (true, true) => multiply::<U, 2, 2>(tile),
                (true, false) => multiply::<U, 2, 1>(tile),
                (false, true) => multiply::<U, 1, 2>(tile),
                (false, false) => multiply::<U, 1, 1>(tile),
            }
        }
    }
}

/// `R` × `P` tiles of C (registers 0 to 3, row by row); the left operand in 4 and 5, the right one in 6 and 7.
///
/// # Safety
/// As for [`super::Kernel::tile`], with more than 16·(R − 1) rows and 16·(P − 1) columns.
unsafe fn multiply<U: Unit, const R: usize, const P: usize>(tile: &Tile<u16, u16>) {
    // SAFETY: a corner has the rows and columns that are left over for it; the operands have `depth` elements,
    // a multiple of a tile's 32, for each row (padded to whole tiles) and column.
    unsafe {
        for_corners::<R, P>(|corner| match corner {
            0 => begin_corner::<U, 0>(tile, 0, 0),
            1 => begin_corner::<U, 1>(tile, 0, 1),
            2 => begin_corner::<U, 2>(tile, 1, 0),
            _ => begin_corner::<U, 3>(tile, 1, 1),
        });
        let lower = tile.left.wrapping_add(TILE_ROWS * LEFT_STRIDE);
        let beside = tile.right.wrapping_add(tile.right_stride);
        for step in 0..tile.depth / DEPTH_GRAIN {
            let (left, right) = (step * DEPTH_GRAIN, step * DEPTH_GRAIN * PANEL);
            // Tile loads keep the load ports busy enough without asking for what is there already.
            if tile.next != tile.right {
                fetch(tile.next.wrapping_add(right), P, tile.right_stride);
            }
            U::load::<4>(tile.left.add(left).cast(), LEFT_BYTES);
            U::load::<6>(tile.right.add(right).cast(), PANEL_BYTES);
            U::multiply::<0, 4, 6>();
            if P == 2 {
                U::load::<7>(beside.add(right).cast(), PANEL_BYTES);
                U::multiply::<1, 4, 7>();
            }
            if R == 2 {
                U::load::<5>(lower.add(left).cast(), LEFT_BYTES);
                U::multiply::<2, 5, 6>();
            }
            if R == 2 && P == 2 {
                U::multiply::<3, 5, 7>();
            }
        }
        for_corners::<R, P>(|corner| match corner {
            0 => end_corner::<U, 0>(tile, 0, 0),
            1 => end_corner::<U, 1>(tile, 0, 1),
            2 => end_corner::<U, 2>(tile, 1, 0),
            _ => end_corner::<U, 3>(tile, 1, 1),
        });
    }
}

/// Calls `each` with the registers of C that an `R` × `P` block uses.
fn for_corners<const R: usize, const P: usize>(each: impl Fn(usize)) {
    for r in 0..R {
        for p in 0..P {
            each(2 * r + p);
        }
    }
}

/// A tile of C that has fewer than 16 rows or columns goes through memory of its own.
#[repr(align(64))]
struct Corner([[f32; PANEL]; TILE_ROWS]);

/// Where corner (r, p) of C begins, and how many rows and columns it has.
fn corner(tile: &Tile<u16, u16>, r: usize, p: usize) -> (*mut f32, usize, usize) {
    let c = tile.c.wrapping_add(r * TILE_ROWS * tile.c_stride + p * PANEL);
    (c, (tile.rows - r * TILE_ROWS).min(TILE_ROWS), (tile.columns - p * PANEL).min(PANEL))
}

/// Clears register `TILE`, or loads what C has there.
///
/// # Safety
/// As for [`multiply`].
unsafe fn begin_corner<U: Unit, const TILE: usize>(tile: &Tile<u16, u16>, r: usize, p: usize) {
    let (c, rows, columns) = corner(tile, r, p);
    // SAFETY: only rows and columns that exist are read.
    unsafe {
        if !tile.add {
            U::zero::<TILE>();
        } else if (rows, columns) == (TILE_ROWS, PANEL) {
            U::load::<TILE>(c.cast_const().cast(), tile.c_stride * 4);
        } else {
            let mut part = Corner([[0.0; PANEL]; TILE_ROWS]);
            for (row, part) in part.0.iter_mut().take(rows).enumerate() {
                part[..columns].copy_from_slice(std::slice::from_raw_parts(c.add(row * tile.c_stride), columns));
            }
            U::load::<TILE>((&raw const part).cast(), PANEL * 4);
        }
    }
}

/// Stores register `TILE` to C.
///
/// # Safety
/// As for [`multiply`].
unsafe fn end_corner<U: Unit, const TILE: usize>(tile: &Tile<u16, u16>, r: usize, p: usize) {
    let (c, rows, columns) = corner(tile, r, p);
    // SAFETY: only rows and columns that exist are written.
    unsafe {
        if (rows, columns) == (TILE_ROWS, PANEL) {
            U::store::<TILE>(c.cast(), tile.c_stride * 4);
        } else {
            let mut part = Corner([[0.0; PANEL]; TILE_ROWS]);
            U::store::<TILE>((&raw mut part).cast(), PANEL * 4);
            for (row, part) in part.0.iter().take(rows).enumerate() {
                std::slice::from_raw_parts_mut(c.add(row * tile.c_stride), columns).copy_from_slice(&part[..columns]);
            }
        }
    }
}

/// Asks for a tile of each of `panels` panels to come nearer.
#[inline(always)]
fn fetch(next: *const u16, panels: usize, stride: usize) {
    #[cfg(target_arch = "x86_64")]
    for panel in 0..panels {
        for line in 0..TILE_ROWS {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            // SAFETY: prefetching may name any address.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(panel * stride + line * 2 * PANEL).cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (next, panels, stride);
}

/// The processor's tile unit. Not run by the tests of a machine without AMX.
#[cfg(target_arch = "x86_64")]
pub(super) struct Hardware;

/// What `ldtilecfg` reads.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

#[cfg(target_arch = "x86_64")]
static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

// SAFETY: each method is the instruction that its description says. The compiler never uses tile registers, so they
// keep their contents between the methods, and these asm blocks, being volatile, stay in order.
#[cfg(target_arch = "x86_64")]
unsafe impl Unit for Hardware {
    unsafe fn configure() {
        // SAFETY: the configuration is valid and the processor has tiles, by the contract.
        unsafe { std::arch::asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack)) }
    }
    unsafe fn release() {
        // SAFETY: by the contract.
        unsafe { std::arch::asm!("tilerelease", options(nostack)) }
    }
    #[inline(always)]
    unsafe fn zero<const TILE: usize>() {
        // SAFETY: by the contract.
        unsafe { std::arch::asm!("tilezero tmm{}", const TILE, options(nostack)) }
    }
    #[inline(always)]
    unsafe fn load<const TILE: usize>(address: *const u8, stride: usize) {
        // SAFETY: the rows exist, by the contract.
        unsafe {
            std::arch::asm!("tileloadd tmm{}, [{} + {} * 1]", const TILE, in(reg) address, in(reg) stride, options(nostack))
        }
    }
    #[inline(always)]
    unsafe fn store<const TILE: usize>(address: *mut u8, stride: usize) {
        // SAFETY: the rows exist, by the contract.
        unsafe {
            std::arch::asm!("tilestored [{} + {} * 1], tmm{}", in(reg) address, in(reg) stride, const TILE, options(nostack))
        }
    }
    #[inline(always)]
    unsafe fn multiply<const SUM: usize, const LEFT: usize, const RIGHT: usize>() {
        // SAFETY: by the contract.
        unsafe {
            std::arch::asm!("tdpbf16ps tmm{}, tmm{}, tmm{}", const SUM, const LEFT, const RIGHT, options(nostack))
        }
    }
}

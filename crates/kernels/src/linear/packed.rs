//! Weights in the layouts that the packed kernels read.
use crate::Device;
use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::pack::{self, PANEL_GRAIN, from_bf16, to_bf16};
use crate::cpu::gemm::{DEPTH_GRAIN, PANEL};
use crate::pool::SharedMut;
use half::f16;
use std::ops::Range;

/// bf16 weights in the layout the bf16 kernels read: panels of 16 outputs, pairs of inputs interleaved (VNNI).
///
/// Element (output n, input k) lies at `n / 16 · panel_length + k / 2 · 32 + n % 16 · 2 + k % 2`. Outputs are padded to
/// a multiple of 16 and inputs to one of 32; the padding is zero.
pub struct PackedBf16 {
    /// Number of outputs.
    pub n_out: usize,
    /// Number of inputs.
    pub n_in: usize,
    panels: Buffer<u16>,
}

impl PackedBf16 {
    /// Room for an `[n_out, n_in]` matrix, zero.
    pub fn zeros(n_out: usize, n_in: usize) -> PackedBf16 {
        let length = n_out.next_multiple_of(PANEL) * n_in.next_multiple_of(DEPTH_GRAIN);
        PackedBf16 { n_out, n_in, panels: Buffer::zeroed(length) }
    }

    /// Rounds (nearest even) and packs rows `first_row..` from row-major f32 `[rows, n_in]`.
    ///
    /// With AVX-512's bf16 instructions numbers below 2⁻¹²⁶ become zero, as they do when such weights are multiplied.
    pub fn pack_rows(&mut self, device: &Device, first_row: usize, weight: &[f32]) {
        let (n_in, length) = (self.n_in, self.panel_length());
        if weight.is_empty() {
            return;
        }
        let n_rows = weight.len() / n_in;
        assert!(
            weight.len() == n_rows * n_in && first_row + n_rows <= self.n_out,
            "{} elements as rows {first_row}.. of [{}, {n_in}]",
            weight.len(),
            self.n_out
        );
        let rows = first_row..first_row + n_rows;
        let panels = rows.start / PANEL..rows.end.div_ceil(PANEL);
        let shared = SharedMut::new(&mut self.panels);
        device.pool.split(panels.len(), 1, |_, part| {
            for panel in panels.start + part.start..panels.start + part.end {
                // SAFETY: the panels of a split don't overlap.
                let to = unsafe { shared.range(panel * length..(panel + 1) * length) };
                let here = rows.start.max(panel * PANEL)..rows.end.min((panel + 1) * PANEL);
                let row = |n: usize| &weight[(n - rows.start) * n_in..][..n_in];
                // Rows behind the last one are padding, so a panel that begins with the first of `here` is whole.
                if here.start == panel * PANEL && (here.len() == PANEL || here.end == self.n_out) {
                    let mut whole = [&weight[..0]; PANEL];
                    here.clone().zip(&mut whole).for_each(|(n, to)| *to = row(n));
                    pack::weights(device.isa, &whole[..here.len()], to);
                } else {
                    for n in here {
                        for (k, &x) in row(n).iter().enumerate() {
                            to[within_panel(n, k)] = to_bf16(x);
                        }
                    }
                }
            }
        });
    }

    /// Row `row` as f32 (an embedding lookup).
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.n_out && out.len() == self.n_in, "row {row} of [{}, {}]", self.n_out, self.n_in);
        let panel = self.panel(row / PANEL);
        for (k, out) in out.iter_mut().enumerate() {
            *out = from_bf16(panel[within_panel(row, k)]);
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.panels.len() * 2
    }

    /// Everything held, as it lies: to be compared, not read.
    pub fn raw(&self) -> &[u16] {
        &self.panels
    }

    /// Elements of a panel.
    pub(crate) fn panel_length(&self) -> usize {
        self.n_in.next_multiple_of(DEPTH_GRAIN) * PANEL
    }
    /// Number of panels.
    pub(crate) fn panel_count(&self) -> usize {
        self.n_out.div_ceil(PANEL)
    }
    /// All panels, one after the other.
    pub(crate) fn panels(&self) -> &[u16] {
        &self.panels
    }
    /// One panel.
    pub(crate) fn panel(&self, panel: usize) -> &[u16] {
        &self.panels[panel * self.panel_length()..][..self.panel_length()]
    }
}

/// Where (output n, input k) lies in its panel.
fn within_panel(n: usize, k: usize) -> usize {
    k / 2 * 2 * PANEL + n % PANEL * 2 + k % 2
}

/// Weights in Q8_0 (blocks of 32 inputs share an f16 scale), frozen, expanded while computing.
///
/// A block of a panel is 16 outputs × 32 inputs: 512 quants in the order of [`PackedBf16`]'s panels, and 16 scales.
pub struct PackedQ8 {
    /// Number of outputs.
    pub n_out: usize,
    /// Number of inputs, a multiple of 32.
    pub n_in: usize,
    quants: Buffer<i8>,
    scales: Buffer<u16>,
}

/// Inputs of a Q8_0 block.
const BLOCK: usize = DEPTH_GRAIN;

impl PackedQ8 {
    /// Quantises row-major f32 `[n_out, n_in]` as GGUF's Q8_0 does. `n_in` must be a multiple of 32.
    ///
    /// A block's scale is max|x| / 127, stored as f16; a quant is x times the inverse of the scale before it was
    /// rounded to f16, rounded half away from zero. (llama.cpp's `quantize_row_q8_0_ref`.)
    pub fn quantize(device: &Device, weight: &[f32], n_out: usize, n_in: usize) -> PackedQ8 {
        assert!(n_in.is_multiple_of(BLOCK), "{n_in} inputs are not a multiple of {BLOCK}");
        assert_eq!(weight.len(), n_out * n_in, "elements of [{n_out}, {n_in}]");
        let (blocks, panels) = (n_in / BLOCK, n_out.div_ceil(PANEL));
        let mut quants = Buffer::zeroed(panels * blocks * PANEL_GRAIN);
        let mut scales = Buffer::zeroed(panels * blocks * PANEL);
        let (shared_quants, shared_scales) = (SharedMut::new(&mut quants), SharedMut::new(&mut scales));
        device.pool.split(panels, 1, |_, part| {
            for panel in part {
                let here = panel * blocks..(panel + 1) * blocks;
                // SAFETY: the panels of a split don't overlap.
                let (quants, scales) = unsafe {
                    (
                        shared_quants.range(here.start * PANEL_GRAIN..here.end * PANEL_GRAIN),
                        shared_scales.range(here.start * PANEL..here.end * PANEL),
                    )
                };
                for n in panel * PANEL..n_out.min((panel + 1) * PANEL) {
                    for (block, x) in weight[n * n_in..][..n_in].chunks_exact(BLOCK).enumerate() {
                        let quants = &mut quants[block * PANEL_GRAIN..][..PANEL_GRAIN];
                        scales[block * PANEL + n % PANEL] =
                            quantize_block(x, |k, quant| quants[within_panel(n, k)] = quant).to_bits();
                    }
                }
            }
        });
        PackedQ8 { n_out, n_in, quants, scales }
    }

    /// Row `row` as f32.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.n_out && out.len() == self.n_in, "row {row} of [{}, {}]", self.n_out, self.n_in);
        for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let (quants, scales) = self.block(row / PANEL, block);
            let scale = f16::from_bits(scales[row % PANEL]).to_f32();
            for (k, out) in out.iter_mut().enumerate() {
                *out = scale * quants[within_panel(row, k)] as f32;
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.quants.len() + 2 * self.scales.len()
    }

    /// Quants and scales, as they lie: to be compared, not read.
    pub fn raw(&self) -> (&[i8], &[u16]) {
        (&self.quants, &self.scales)
    }

    /// Number of panels.
    pub(crate) fn panel_count(&self) -> usize {
        self.n_out.div_ceil(PANEL)
    }

    /// The quants and scales of a block of a panel.
    pub(crate) fn block(&self, panel: usize, block: usize) -> (&[i8; PANEL_GRAIN], &[u16; PANEL]) {
        let i = panel * (self.n_in / BLOCK) + block;
        let quants = self.quants[i * PANEL_GRAIN..].first_chunk();
        let scales = self.scales[i * PANEL..].first_chunk();
        quants.zip(scales).unwrap_or_else(|| panic!("block {block} of panel {panel} lies outside"))
    }

    /// Some pairs of inputs of a block, as bf16 in the order of [`PackedBf16`]'s panels.
    #[inline(always)]
    pub(crate) fn expand(&self, panel: usize, block: usize, pairs: Range<usize>, to: &mut [u16]) {
        let (quants, scales) = self.block(panel, block);
        let scales = scales.map(|scale| f16::from_bits(scale).to_f32());
        let quants = &quants[pairs.start * 2 * PANEL..pairs.end * 2 * PANEL];
        for (to, quants) in to.chunks_exact_mut(2 * PANEL).zip(quants.chunks_exact(2 * PANEL)) {
            for j in 0..PANEL {
                to[2 * j] = to_bf16(scales[j] * quants[2 * j] as f32);
                to[2 * j + 1] = to_bf16(scales[j] * quants[2 * j + 1] as f32);
            }
        }
    }
}

/// Gives each element's quant to `put` and returns the scale.
fn quantize_block(x: &[f32], mut put: impl FnMut(usize, i8)) -> f16 {
    let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    for (k, &x) in x.iter().enumerate() {
        // `as` saturates, and takes NaN to 0.
        put(k, (x * inverse).round() as i8);
    }
    f16::from_f32(scale)
}

//! ggml's tensor types: how many elements a block holds, and what they are as f32.
//!
//! Each dequantisation multiplies and adds in ggml's order, so that the results are its results, bit for bit. An element
//! is d·q, or d·q + m, with a scale d (and a minimum m) for each block; the K types have blocks of 256 whose parts of 16
//! or 32 have scales of their own, small integers times the block's.
use crate::Dtype;
use crate::weights::elements;
use half::f16;
use kernels::Device;

/// How the elements of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType(&'static Layout);

#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// ggml's number of the type.
    id: u32,
    name: &'static str,
    /// Elements of a block.
    block: usize,
    /// Bytes of a block.
    block_bytes: usize,
    readable: bool,
}

const fn layout(id: u32, name: &'static str, block: usize, block_bytes: usize, readable: bool) -> Layout {
    Layout { id, name, block, block_bytes, readable }
}

/// The types whose sizes are known, so that a file that holds one among others can be opened.
static TYPES: [Layout; 23] = [
    layout(0, "F32", 1, 4, true),
    layout(1, "F16", 1, 2, true),
    layout(2, "Q4_0", 32, 18, true),
    layout(3, "Q4_1", 32, 20, true),
    layout(6, "Q5_0", 32, 22, true),
    layout(7, "Q5_1", 32, 24, true),
    layout(8, "Q8_0", 32, 34, true),
    layout(12, "Q4_K", 256, 144, true),
    layout(13, "Q5_K", 256, 176, true),
    layout(14, "Q6_K", 256, 210, true),
    layout(30, "BF16", 1, 2, true),
    layout(9, "Q8_1", 32, 40, false),
    layout(10, "Q2_K", 256, 84, false),
    layout(11, "Q3_K", 256, 110, false),
    layout(15, "Q8_K", 256, 292, false),
    layout(20, "IQ4_NL", 32, 18, false),
    layout(23, "IQ4_XS", 256, 136, false),
    layout(24, "I8", 1, 1, false),
    layout(25, "I16", 1, 2, false),
    layout(26, "I32", 1, 4, false),
    layout(27, "I64", 1, 8, false),
    layout(28, "F64", 1, 8, false),
    layout(39, "MXFP4", 32, 17, false),
];

impl TensorType {
    /// 32-bit floating point.
    pub const F32: TensorType = TensorType(&TYPES[0]);
    /// IEEE half.
    pub const F16: TensorType = TensorType(&TYPES[1]);
    /// Blocks of 32 eight-bit integers and a half-precision scale.
    pub const Q8_0: TensorType = TensorType(&TYPES[6]);
    /// bfloat16.
    pub const BF16: TensorType = TensorType(&TYPES[10]);

    pub(super) fn from_id(id: u32) -> Option<TensorType> {
        TYPES.iter().find(|t| t.id == id).map(TensorType)
    }
    pub(super) fn id(self) -> u32 {
        self.0.id
    }
    /// As ggml names it.
    pub fn name(self) -> &'static str {
        self.0.name
    }
    /// Elements and bytes of a block.
    pub(super) fn block(self) -> (usize, usize) {
        (self.0.block, self.0.block_bytes)
    }
    pub(super) fn is_readable(self) -> bool {
        self.0.readable
    }

    /// Fills `out` from whole blocks.
    pub(super) fn dequantize(self, bytes: &[u8], out: &mut [f32]) {
        match self.0.name {
            "F32" => elements::decode(Dtype::F32, bytes, out),
            "F16" => elements::decode(Dtype::F16, bytes, out),
            "BF16" => elements::decode(Dtype::Bf16, bytes, out),
            "Q4_0" => each_block::<18, 32>(bytes, out, q4_0),
            "Q4_1" => each_block::<20, 32>(bytes, out, q4_1),
            "Q5_0" => each_block::<22, 32>(bytes, out, q5_0),
            "Q5_1" => each_block::<24, 32>(bytes, out, q5_1),
            "Q8_0" => each_block::<34, 32>(bytes, out, q8_0),
            "Q4_K" => each_block::<144, 256>(bytes, out, q4_k),
            "Q5_K" => each_block::<176, 256>(bytes, out, q5_k),
            "Q6_K" => each_block::<210, 256>(bytes, out, q6_k),
            name => unreachable!("{name} is not readable, which the caller checks"),
        }
    }
    /// The same by all threads of `device`.
    pub(super) fn dequantize_on(self, device: &Device, bytes: &[u8], out: &mut [f32]) {
        let (block, block_bytes) = self.block();
        device.pool.parts(out, elements::GRAIN, |first, part| {
            self.dequantize(&bytes[first / block * block_bytes..], part);
        });
    }
}

fn each_block<const BYTES: usize, const N: usize>(
    bytes: &[u8],
    out: &mut [f32],
    dequantize: fn(&[u8; BYTES], &mut [f32; N]),
) {
    for (block, out) in bytes.as_chunks::<BYTES>().0.iter().zip(out.as_chunks_mut::<N>().0) {
        dequantize(block, out);
    }
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// The low four bits of the 16 bytes are the first half, the high four the second.
fn q4_0(b: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(b, 0);
    for j in 0..16 {
        out[j] = d * (f32::from(b[2 + j] & 15) - 8.0);
        out[j + 16] = d * (f32::from(b[2 + j] >> 4) - 8.0);
    }
}

fn q4_1(b: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half_at(b, 0), half_at(b, 2));
    for j in 0..16 {
        out[j] = d * f32::from(b[4 + j] & 15) + m;
        out[j + 16] = d * f32::from(b[4 + j] >> 4) + m;
    }
}

/// The two five-bit numbers of byte `j`; their fifth bits are bits `j` and `j + 16` of `high`.
fn five_bits(low: u8, high: u32, j: usize) -> (f32, f32) {
    let fifth = |bit: usize| ((high >> bit & 1) << 4) as u8;
    (f32::from(low & 15 | fifth(j)), f32::from(low >> 4 | fifth(j + 16)))
}

fn q5_0(b: &[u8; 22], out: &mut [f32; 32]) {
    let (d, high) = (half_at(b, 0), u32::from_le_bytes([b[2], b[3], b[4], b[5]]));
    for j in 0..16 {
        let (first, second) = five_bits(b[6 + j], high, j);
        out[j] = d * (first - 16.0);
        out[j + 16] = d * (second - 16.0);
    }
}

fn q5_1(b: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m, high) = (half_at(b, 0), half_at(b, 2), u32::from_le_bytes([b[4], b[5], b[6], b[7]]));
    for j in 0..16 {
        let (first, second) = five_bits(b[8 + j], high, j);
        out[j] = d * first + m;
        out[j + 16] = d * second + m;
    }
}

fn q8_0(b: &[u8; 34], out: &mut [f32; 32]) {
    let d = half_at(b, 0);
    for (x, q) in out.iter_mut().zip(&b[2..]) {
        *x = f32::from(*q as i8) * d;
    }
}

/// Scale and minimum of part `i`, six bits each: the first four parts' in bytes 0–3 and 4–7; the others' low four bits in
/// bytes 8–11, their high two above the first four's.
fn scale_and_minimum(scales: &[u8], i: usize) -> (f32, f32) {
    let (scale, minimum) = if i < 4 {
        (scales[i] & 63, scales[i + 4] & 63)
    } else {
        (scales[i + 4] & 15 | scales[i - 4] >> 6 << 4, scales[i + 4] >> 4 | scales[i] >> 6 << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

/// Eight parts of 32; parts 2k and 2k + 1 are the low and the high four bits of the same 32 bytes.
fn q4_k(b: &[u8; 144], out: &mut [f32; 256]) {
    let (d, d_minimum) = (half_at(b, 0), half_at(b, 2));
    for (i, part) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&b[4..16], i);
        let (scale, minimum) = (d * scale, d_minimum * minimum);
        for (x, byte) in part.iter_mut().zip(&b[16 + i / 2 * 32..]) {
            let q = byte >> (i % 2 * 4) & 15;
            *x = scale * f32::from(q) - minimum;
        }
    }
}

/// As Q4_K, with a fifth bit: bit `i` of the 32 bytes after the scales.
fn q5_k(b: &[u8; 176], out: &mut [f32; 256]) {
    let (d, d_minimum) = (half_at(b, 0), half_at(b, 2));
    for (i, part) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&b[4..16], i);
        let (scale, minimum) = (d * scale, d_minimum * minimum);
        for ((x, byte), high) in part.iter_mut().zip(&b[48 + i / 2 * 32..]).zip(&b[16..48]) {
            let q = byte >> (i % 2 * 4) & 15 | (high >> i & 1) << 4;
            *x = scale * f32::from(q) - minimum;
        }
    }
}

/// Two halves of 128; in each, four parts of 32: low four bits from 64 bytes, high two from 32. A scale for every 16.
fn q6_k(b: &[u8; 210], out: &mut [f32; 256]) {
    let d = half_at(b, 208);
    for (i, part) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (half, quarter) = (i / 4, i % 4);
        let low = &b[64 * half + quarter % 2 * 32..];
        let high = &b[128 + 32 * half..];
        for (j, x) in part.iter_mut().enumerate() {
            let scale = d * f32::from(b[192 + 2 * i + j / 16] as i8);
            let q = low[j] >> (quarter / 2 * 4) & 15 | (high[j] >> (2 * quarter) & 3) << 4;
            *x = scale * (f32::from(q) - 32.0);
        }
    }
}

/// Appends blocks of Q8_0 (32 elements each): d = max|x|/127, q = round(x/d), halves away from zero, as ggml's reference
/// quantiser does. The first value that isn't finite is the error.
pub(super) fn quantize_q8_0(values: &[f32], bytes: &mut Vec<u8>) -> Result<(), f32> {
    for block in values.as_chunks::<32>().0 {
        if let Some(x) = block.iter().find(|x| !x.is_finite()) {
            return Err(*x);
        }
        let largest = block.iter().fold(0f32, |m, x| m.max(x.abs()));
        let d = largest / 127.0;
        let stored = f16::from_f32(d);
        if stored.is_infinite() {
            return Err(largest);
        }
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        bytes.extend(stored.to_le_bytes());
        bytes.extend(block.iter().map(|x| (x * inverse).round() as i8 as u8));
    }
    Ok(())
}

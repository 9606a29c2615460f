//! Little-endian f32, f16 and bf16 in files, to and from f32 in memory.
use crate::Dtype;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// Elements converted at a time: small enough for the first-level cache.
const CHUNK: usize = 1024;

/// Elements that a thread reads at least; whole blocks of every type of GGUF.
pub(super) const GRAIN: usize = 1 << 16;

impl Dtype {
    /// As safetensors and GGUF name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
        }
    }
}

/// Bytes of one element.
pub(super) fn width(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F32 => 4,
        Dtype::F16 | Dtype::Bf16 => 2,
    }
}

/// Fills `out` from its little-endian bytes (the first `out.len() * width(dtype)` of them).
pub(super) fn decode(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        Dtype::F32 => {
            for (x, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *x = f32::from_le_bytes(*b);
            }
        }
        Dtype::Bf16 => {
            for (x, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *x = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
            }
        }
        Dtype::F16 => {
            let mut bits = [0u16; CHUNK];
            for (part, bytes) in out.chunks_mut(CHUNK).zip(bytes.chunks(2 * CHUNK)) {
                for (x, b) in bits.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *x = u16::from_le_bytes(*b);
                }
                bits[..part.len()].reinterpret_cast::<f16>().convert_to_f32_slice(part);
            }
        }
    }
}

/// Appends the bytes of `values`, rounded to nearest, ties to even. A finite value that becomes infinite is the error.
pub(super) fn encode(dtype: Dtype, values: &[f32], bytes: &mut Vec<u8>) -> Result<(), f32> {
    match dtype {
        Dtype::F32 => {
            bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            Ok(())
        }
        Dtype::F16 => encode_halves(values, bytes, f16::is_infinite, f16::to_le_bytes),
        Dtype::Bf16 => encode_halves(values, bytes, bf16::is_infinite, bf16::to_le_bytes),
    }
}

fn encode_halves<H: Copy + Default>(
    values: &[f32],
    bytes: &mut Vec<u8>,
    is_infinite: fn(H) -> bool,
    to_bytes: fn(H) -> [u8; 2],
) -> Result<(), f32>
where
    [H]: HalfFloatSliceExt,
{
    let mut halves = [H::default(); CHUNK];
    for part in values.chunks(CHUNK) {
        let halves = &mut halves[..part.len()];
        halves.convert_from_f32_slice(part);
        let overflow = part.iter().zip(&*halves).find(|(x, half)| is_infinite(**half) && x.is_finite());
        if let Some((x, _)) = overflow {
            return Err(*x);
        }
        bytes.extend(halves.iter().flat_map(|half| to_bytes(*half)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(dtype: Dtype, values: &[f32]) -> Vec<f32> {
        let mut bytes = Vec::new();
        encode(dtype, values, &mut bytes).unwrap();
        assert_eq!(bytes.len(), values.len() * width(dtype));
        let mut out = vec![f32::NAN; values.len()];
        decode(dtype, &bytes, &mut out);
        out
    }

    #[test]
    fn what_a_type_can_hold_comes_back() {
        // More than a chunk, and each value exact in f16 and bf16: k/64 for |k| ≤ 128 has at most eight significant bits.
        let values: Vec<f32> = (0..3000).map(|i| (i % 257 - 128) as f32 / 64.0).collect();
        for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
            assert_eq!(round_trip(dtype, &values), values, "{dtype:?}");
        }
    }

    #[test]
    fn rounding_is_to_nearest_even() {
        // f16 has 10 fraction bits: 1 + 2^-11 is a tie (down to even 1), 1 + 3·2^-11 a tie (up to 1 + 2^-9).
        let (tie_down, tie_up) = (1.0 + 2f32.powi(-11), 1.0 + 3.0 * 2f32.powi(-11));
        assert_eq!(round_trip(Dtype::F16, &[tie_down, tie_up]), [1.0, 1.0 + 2f32.powi(-9)]);
        // bf16 has 7.
        let (tie_down, tie_up) = (1.0 + 2f32.powi(-8), 1.0 + 3.0 * 2f32.powi(-8));
        assert_eq!(round_trip(Dtype::Bf16, &[tie_down, tie_up]), [1.0, 1.0 + 2f32.powi(-6)]);
    }

    #[test]
    fn a_value_beyond_the_type_is_refused_and_infinity_kept() {
        assert_eq!(encode(Dtype::F16, &[1.0, -70_000.0], &mut Vec::new()), Err(-70_000.0));
        assert_eq!(encode(Dtype::Bf16, &[f32::MAX], &mut Vec::new()), Err(f32::MAX));
        assert_eq!(round_trip(Dtype::F16, &[f32::INFINITY, 65_504.0]), [f32::INFINITY, 65_504.0]);
        assert!(round_trip(Dtype::Bf16, &[f32::NAN])[0].is_nan());
    }
}

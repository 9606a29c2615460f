//! A hash of a model as it lies in memory, to see whether anything wrote to it.
use crate::Model;
use crate::parameters::{Linear, Storage};

/// Values converted to bytes at a time.
const CHUNK: usize = 1 << 16;

impl Model {
    /// BLAKE3 of every weight as it is held, and of the reward's bias. The same weights held in another type give another
    /// hash.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        update(&mut hasher, &self.parameters.flat, f32::to_le_bytes);
        let tables = [Some(&self.parameters.embedding), self.parameters.lm_head.as_ref()];
        for linear in self.parameters.linears().chain(tables.into_iter().flatten()) {
            hash_storage(&mut hasher, linear);
        }
        hasher.update(&self.config.reward_bias.to_le_bytes());
        hasher.finalize().to_hex().to_string()
    }
}

fn hash_storage(hasher: &mut blake3::Hasher, linear: &Linear) {
    match &linear.storage {
        Storage::Flat { packed: None, .. } => {}
        Storage::Flat { packed: Some(packed), .. } | Storage::Bf16(packed) => {
            update(hasher, packed.raw(), u16::to_le_bytes);
        }
        Storage::Q8(packed) => {
            let (quants, scales) = packed.raw();
            update(hasher, quants, i8::to_le_bytes);
            update(hasher, scales, u16::to_le_bytes);
        }
        Storage::Staged(rows) => update(hasher, rows, f32::to_le_bytes),
    }
}

fn update<T: Copy, const N: usize>(hasher: &mut blake3::Hasher, values: &[T], bytes_of: fn(T) -> [u8; N]) {
    let mut bytes = Vec::with_capacity(N * CHUNK);
    for chunk in values.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|&value| bytes_of(value)));
        hasher.update(&bytes);
    }
}

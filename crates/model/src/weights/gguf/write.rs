//! The bytes of a GGUF file, version 3: metadata and tensors in the order given, one tensor in memory at a time.
use super::block::{TensorType, quantize_q8_0};
use super::{Array, Value};
use crate::weights::safetensors::beyond;
use crate::weights::{elements, write_atomically};
use crate::{Dtype, ModelError};
use std::io::Write;
use std::path::Path;

const ALIGNMENT: usize = 32;
/// Elements encoded between two writes; a multiple of every block.
const CHUNK: usize = 1 << 16;

/// A tensor to be written.
pub(super) struct Planned {
    pub name: String,
    /// Outermost first.
    pub shape: Vec<usize>,
    pub tensor_type: TensorType,
}

impl Planned {
    fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }
    fn n_bytes(&self) -> usize {
        let (block, block_bytes) = self.tensor_type.block();
        self.n_elements() / block * block_bytes
    }
}

/// Puts the values of the tensor of that number into the slice.
pub(super) type Fill<'a> = dyn FnMut(usize, &mut [f32]) -> Result<(), ModelError> + 'a;

/// Writes the file, whole or not at all.
pub(super) fn write_file(
    path: &Path,
    metadata: &[(String, Value)],
    tensors: &[Planned],
    fill: &mut Fill,
) -> Result<(), ModelError> {
    write_atomically(path, |out| {
        let io = |source| ModelError::Io { path: path.to_path_buf(), source };
        out.write_all(&header(metadata, tensors)).map_err(io)?;
        let mut values = Vec::new();
        for (idx, tensor) in tensors.iter().enumerate() {
            values.clear();
            values.resize(tensor.n_elements(), 0.0);
            fill(idx, &mut values)?;
            write_values(out, path, tensor, &values)?;
            let n_padding = tensor.n_bytes().next_multiple_of(ALIGNMENT) - tensor.n_bytes();
            out.write_all(&[0; ALIGNMENT][..n_padding]).map_err(io)?;
        }
        Ok(())
    })
}

fn write_values(out: &mut dyn Write, path: &Path, tensor: &Planned, values: &[f32]) -> Result<(), ModelError> {
    let dtype = match tensor.tensor_type {
        TensorType::F32 => Some(Dtype::F32),
        TensorType::F16 => Some(Dtype::F16),
        TensorType::BF16 => Some(Dtype::Bf16),
        _ => None,
    };
    let mut bytes = Vec::new();
    for part in values.chunks(CHUNK) {
        bytes.clear();
        match dtype {
            Some(dtype) => {
                elements::encode(dtype, part, &mut bytes).map_err(|x| beyond(path, &tensor.name, x, dtype.name()))?
            }
            None => quantize_q8_0(part, &mut bytes).map_err(|x| beyond(path, &tensor.name, x, "Q8_0"))?,
        }
        out.write_all(&bytes).map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
    }
    Ok(())
}

/// Everything before the tensors' bytes, filled up to the alignment.
fn header(metadata: &[(String, Value)], tensors: &[Planned]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_string(&mut bytes, key);
        put_value(&mut bytes, value);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        put_string(&mut bytes, &tensor.name);
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        bytes.extend(tensor.shape.iter().rev().flat_map(|n| (*n as u64).to_le_bytes()));
        bytes.extend(tensor.tensor_type.id().to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += tensor.n_bytes().next_multiple_of(ALIGNMENT) as u64;
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// The number of the type, then the value.
fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    let mut put = |type_id: u32, content: &[u8]| {
        bytes.extend(type_id.to_le_bytes());
        bytes.extend(content);
    };
    match value {
        Value::U8(x) => put(0, &x.to_le_bytes()),
        Value::I8(x) => put(1, &x.to_le_bytes()),
        Value::U16(x) => put(2, &x.to_le_bytes()),
        Value::I16(x) => put(3, &x.to_le_bytes()),
        Value::U32(x) => put(4, &x.to_le_bytes()),
        Value::I32(x) => put(5, &x.to_le_bytes()),
        Value::F32(x) => put(6, &x.to_le_bytes()),
        Value::Bool(x) => put(7, &[u8::from(*x)]),
        Value::String(text) => {
            put(8, &[]);
            put_string(bytes, text);
        }
        Value::Array(array) => {
            put(9, &[]);
            put_array(bytes, array);
        }
        Value::U64(x) => put(10, &x.to_le_bytes()),
        Value::I64(x) => put(11, &x.to_le_bytes()),
        Value::F64(x) => put(12, &x.to_le_bytes()),
    }
}

/// The number of the elements' type, their count, then they.
fn put_array(bytes: &mut Vec<u8>, array: &Array) {
    fn put<T>(bytes: &mut Vec<u8>, type_id: u32, elements: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
        bytes.extend(type_id.to_le_bytes());
        bytes.extend((elements.len() as u64).to_le_bytes());
        for element in elements {
            one(bytes, element);
        }
    }
    match array {
        Array::U8(xs) => put(bytes, 0, xs, |b, x| b.push(*x)),
        Array::I8(xs) => put(bytes, 1, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::U16(xs) => put(bytes, 2, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::I16(xs) => put(bytes, 3, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::U32(xs) => put(bytes, 4, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::I32(xs) => put(bytes, 5, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::F32(xs) => put(bytes, 6, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::Bool(xs) => put(bytes, 7, xs, |b, x| b.push(u8::from(*x))),
        Array::String(xs) => put(bytes, 8, xs, |b, x| put_string(b, x)),
        Array::Array(xs) => put(bytes, 9, xs, put_array),
        Array::U64(xs) => put(bytes, 10, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::I64(xs) => put(bytes, 11, xs, |b, x| b.extend(x.to_le_bytes())),
        Array::F64(xs) => put(bytes, 12, xs, |b, x| b.extend(x.to_le_bytes())),
    }
}

//! The header, out of bytes that may say anything. Nothing is allocated before the file is known to be long enough to fill it.
use super::block::TensorType;
use super::{Array, TensorInfo, Value};
use crate::weights::quoted;
use std::collections::BTreeMap;

/// What a file says before its tensors' bytes.
pub(super) struct Header {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// Why there is none.
#[derive(Debug, PartialEq)]
pub(super) enum Error {
    Invalid(String),
    Unsupported(String),
}

type Result<T> = std::result::Result<T, Error>;

fn invalid<T>(message: String) -> Result<T> {
    Err(Error::Invalid(message))
}

/// Arrays within arrays, at most so deep.
const DEEPEST: usize = 4;
/// As in ggml.
const MOST_DIMENSIONS: usize = 4;
/// A key: length, one byte, type, one byte of value.
const SMALLEST_PAIR: usize = 8 + 1 + 4 + 1;
/// A tensor: length of its name, number of dimensions, one of them, type, offset.
const SMALLEST_TENSOR: usize = 8 + 4 + 8 + 4 + 8;
const DEFAULT_ALIGNMENT: usize = 32;

pub(super) fn parse(bytes: &[u8]) -> Result<Header> {
    let mut reader = Reader { bytes, at: 0 };
    let magic = reader.array::<4>("the magic number")?;
    if magic != *b"GGUF" {
        return invalid(format!("begins with {:?}, expected \"GGUF\"", String::from_utf8_lossy(&magic)));
    }
    match reader.u32("the version")? {
        2 | 3 => {}
        1 => return Err(Error::Unsupported("GGUF version 1 (2 and 3 are)".to_string())),
        n if n.swap_bytes() < 1 << 16 => return Err(Error::Unsupported("big-endian GGUF".to_string())),
        n => return Err(Error::Unsupported(format!("GGUF version {n} (2 and 3 are)"))),
    }
    let n_tensors = reader.count("the number of tensors", usize::MAX)?;
    let n_pairs = reader.count("the number of metadata entries", SMALLEST_PAIR)?;
    let metadata = read_metadata(&mut reader, n_pairs)?;
    let alignment = alignment(&metadata)?;
    reader.check_count("the number of tensors", n_tensors, SMALLEST_TENSOR)?;
    let claims = (0..n_tensors).map(|i| read_claim(&mut reader, i)).collect::<Result<Vec<Claim>>>()?;
    let data_start = reader.at.next_multiple_of(alignment);
    if n_tensors > 0 && data_start > bytes.len() {
        return invalid(format!("ends at byte {}, before the tensors' bytes at {data_start}", bytes.len()));
    }
    let mut tensors = BTreeMap::new();
    for claim in claims {
        let info = check_claim(&claim, alignment, data_start, bytes.len()).map_err(|e| match e {
            Error::Invalid(message) => Error::Invalid(format!("tensor {}: {message}", quoted(&claim.name))),
            Error::Unsupported(feature) => Error::Unsupported(format!("tensor {} of {feature}", quoted(&claim.name))),
        })?;
        if tensors.contains_key(&claim.name) {
            return invalid(format!("tensor {} occurs twice", quoted(&claim.name)));
        }
        tensors.insert(claim.name, info);
    }
    check_overlaps(&tensors)?;
    Ok(Header { metadata, tensors })
}

fn read_metadata(reader: &mut Reader, n_pairs: usize) -> Result<BTreeMap<String, Value>> {
    let mut metadata = BTreeMap::new();
    for pair_idx in 0..n_pairs {
        let key = reader.string(&format!("metadata key {pair_idx}"))?;
        let what = format!("metadata {}", quoted(&key));
        let value_type = reader.u32(&what)?;
        let value = read_value(reader, &what, value_type)?;
        if metadata.contains_key(&key) {
            return invalid(format!("{what} occurs twice"));
        }
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<usize> {
    match metadata.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(value) => match value.as_u32() {
            Some(n) if n.is_power_of_two() && n <= 1 << 20 => Ok(n as usize),
            _ => invalid(format!("metadata `general.alignment` is {value:?}, expected a power of two")),
        },
    }
}

fn read_value(reader: &mut Reader, what: &str, value_type: u32) -> Result<Value> {
    Ok(match value_type {
        0 => Value::U8(reader.array::<1>(what)?[0]),
        1 => Value::I8(i8::from_le_bytes(reader.array(what)?)),
        2 => Value::U16(u16::from_le_bytes(reader.array(what)?)),
        3 => Value::I16(i16::from_le_bytes(reader.array(what)?)),
        4 => Value::U32(u32::from_le_bytes(reader.array(what)?)),
        5 => Value::I32(i32::from_le_bytes(reader.array(what)?)),
        6 => Value::F32(f32::from_le_bytes(reader.array(what)?)),
        7 => Value::Bool(reader.bool(what)?),
        8 => Value::String(reader.string(what)?),
        9 => Value::Array(read_array(reader, what, 1)?),
        10 => Value::U64(u64::from_le_bytes(reader.array(what)?)),
        11 => Value::I64(i64::from_le_bytes(reader.array(what)?)),
        12 => Value::F64(f64::from_le_bytes(reader.array(what)?)),
        other => return invalid(format!("{what} has type {other}, expected 0 to 12")),
    })
}

fn read_array(reader: &mut Reader, what: &str, depth: usize) -> Result<Array> {
    if depth > DEEPEST {
        return invalid(format!("{what}: arrays lie more than {DEEPEST} deep in each other"));
    }
    let element_type = reader.u32(what)?;
    let smallest = match element_type {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        9 => 12,
        other => return invalid(format!("{what} is an array of type {other}, expected 0 to 12")),
    };
    let n = reader.count(what, smallest)?;
    Ok(match element_type {
        0 => Array::U8(reader.numbers(what, n, u8::from_le_bytes)?),
        1 => Array::I8(reader.numbers(what, n, i8::from_le_bytes)?),
        2 => Array::U16(reader.numbers(what, n, u16::from_le_bytes)?),
        3 => Array::I16(reader.numbers(what, n, i16::from_le_bytes)?),
        4 => Array::U32(reader.numbers(what, n, u32::from_le_bytes)?),
        5 => Array::I32(reader.numbers(what, n, i32::from_le_bytes)?),
        6 => Array::F32(reader.numbers(what, n, f32::from_le_bytes)?),
        7 => Array::Bool((0..n).map(|_| reader.bool(what)).collect::<Result<_>>()?),
        8 => Array::String((0..n).map(|_| reader.string(what)).collect::<Result<_>>()?),
        10 => Array::U64(reader.numbers(what, n, u64::from_le_bytes)?),
        11 => Array::I64(reader.numbers(what, n, i64::from_le_bytes)?),
        12 => Array::F64(reader.numbers(what, n, f64::from_le_bytes)?),
        _ => Array::Array((0..n).map(|_| read_array(reader, what, depth + 1)).collect::<Result<_>>()?),
    })
}

/// What the list of tensors says of one.
struct Claim {
    name: String,
    /// Innermost first.
    dimensions: Vec<u64>,
    type_id: u32,
    offset: u64,
}

fn read_claim(reader: &mut Reader, tensor_idx: usize) -> Result<Claim> {
    let name = reader.string(&format!("the name of tensor {tensor_idx}"))?;
    let what = format!("tensor {}", quoted(&name));
    let n_dimensions = reader.u32(&what)? as usize;
    if n_dimensions > MOST_DIMENSIONS {
        return invalid(format!("{what} has {n_dimensions} dimensions, expected at most {MOST_DIMENSIONS}"));
    }
    let dimensions = (0..n_dimensions).map(|_| reader.u64(&what)).collect::<Result<_>>()?;
    Ok(Claim { name, dimensions, type_id: reader.u32(&what)?, offset: reader.u64(&what)? })
}

/// Known type, a size that doesn't overflow, rows of whole blocks, aligned, inside the file.
fn check_claim(claim: &Claim, alignment: usize, data_start: usize, n_file: usize) -> Result<TensorInfo> {
    let tensor_type = TensorType::from_id(claim.type_id)
        .ok_or_else(|| Error::Unsupported(format!("type number {}", claim.type_id)))?;
    let (block, block_bytes) = tensor_type.block();
    let mut shape = Vec::with_capacity(claim.dimensions.len());
    let mut n_elements = 1usize;
    for dimension in claim.dimensions.iter().rev() {
        let size = usize::try_from(*dimension).ok().filter(|n| *n > 0);
        let product = size.and_then(|n| n_elements.checked_mul(n)).filter(|n| *n <= 1 << 48);
        let (Some(size), Some(product)) = (size, product) else {
            return invalid(format!("shape {:?} has an impossible size", claim.dimensions));
        };
        n_elements = product;
        shape.push(size);
    }
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(block) {
        return invalid(format!("rows of {row} elements are no whole blocks of {} ({block})", tensor_type.name()));
    }
    let n_bytes = n_elements / block * block_bytes;
    if !claim.offset.is_multiple_of(alignment as u64) {
        return invalid(format!("its offset {} is no multiple of the alignment {alignment}", claim.offset));
    }
    let n_data = n_file.saturating_sub(data_start) as u64;
    if claim.offset.checked_add(n_bytes as u64).is_none_or(|end| end > n_data) {
        return invalid(format!("its {n_bytes} bytes at offset {} don't lie in the file's {n_data}", claim.offset));
    }
    Ok(TensorInfo { tensor_type, shape, begin: data_start + claim.offset as usize, n_bytes })
}

fn check_overlaps(tensors: &BTreeMap<String, TensorInfo>) -> Result<()> {
    let mut in_order: Vec<(&String, &TensorInfo)> = tensors.iter().collect();
    in_order.sort_by_key(|(_, info)| info.begin);
    for pair in in_order.windows(2) {
        let ((first, a), (second, b)) = (pair[0], pair[1]);
        if b.begin < a.begin + a.n_bytes {
            return invalid(format!("tensors {} and {} overlap", quoted(first), quoted(second)));
        }
    }
    Ok(())
}

/// Takes bytes off the front; every request is checked against what is left.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8]> {
        match self.bytes[self.at..].get(..n) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => {
                let (at, end) = (self.at, self.bytes.len());
                invalid(format!("{what}: {n} bytes expected at byte {at}, but the file ends at {end}"))
            }
        }
    }
    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }
    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }
    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }
    fn bool(&mut self, what: &str) -> Result<bool> {
        match self.array::<1>(what)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => invalid(format!("{what}: a boolean is {other}, expected 0 or 1")),
        }
    }
    /// A count of things that take at least `smallest` bytes each (`usize::MAX`: to be checked later).
    fn count(&mut self, what: &str, smallest: usize) -> Result<usize> {
        let n = self.u64(what)?;
        let count = usize::try_from(n).unwrap_or(usize::MAX);
        if smallest < usize::MAX {
            self.check_count(what, count, smallest)?;
        }
        Ok(count)
    }
    fn check_count(&self, what: &str, n: usize, smallest: usize) -> Result<()> {
        let left = self.bytes.len() - self.at;
        match n > left / smallest {
            true => invalid(format!("{what}: {n} are claimed, but only {left} bytes are left")),
            false => Ok(()),
        }
    }
    fn string(&mut self, what: &str) -> Result<String> {
        let n = self.count(what, 1)?;
        match std::str::from_utf8(self.take(n, what)?) {
            Ok(text) => Ok(text.to_string()),
            Err(e) => invalid(format!("{what}: not valid UTF-8 ({e})")),
        }
    }
    fn numbers<const N: usize, T>(&mut self, what: &str, n: usize, convert: fn([u8; N]) -> T) -> Result<Vec<T>> {
        let bytes = self.take(n.saturating_mul(N), what)?;
        Ok(bytes.as_chunks::<N>().0.iter().map(|b| convert(*b)).collect())
    }
}

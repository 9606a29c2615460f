//! The header: which tensor has which type, shape and bytes. Its every claim is checked against the file.
use super::super::quoted;
use crate::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// The reference implementation refuses longer headers too.
const LONGEST_HEADER: u64 = 100_000_000;

/// Where a tensor lies: its bytes are `data[begin..end]`, and that many bytes are what type and shape say.
#[derive(Debug)]
pub(super) struct Entry {
    pub element_type: ElementType,
    pub shape: Vec<usize>,
    pub begin: usize,
    pub end: usize,
}

/// What the elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElementType {
    /// What Helpmate reads.
    Float(Dtype),
    /// Known to the format; the name, and the bits of an element.
    Other(&'static str, usize),
}

/// Types that the format knows and Helpmate doesn't read, with the bits of an element.
const OTHERS: [(&str, usize); 17] = [
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("U16", 16),
    ("I16", 16),
    ("U32", 32),
    ("I32", 32),
    ("U64", 64),
    ("I64", 64),
    ("F64", 64),
    ("C64", 64),
    ("F8_E4M3", 8),
    ("F8_E5M2", 8),
    ("F8_E8M0", 8),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("F4", 4),
];

impl ElementType {
    fn parse(name: &str) -> Option<ElementType> {
        match name {
            "F32" => Some(ElementType::Float(Dtype::F32)),
            "F16" => Some(ElementType::Float(Dtype::F16)),
            "BF16" => Some(ElementType::Float(Dtype::Bf16)),
            _ => OTHERS.iter().find(|(n, _)| *n == name).map(|(n, bits)| ElementType::Other(n, *bits)),
        }
    }
    fn bits(self) -> usize {
        match self {
            ElementType::Float(Dtype::F32) => 32,
            ElementType::Float(Dtype::F16 | Dtype::Bf16) => 16,
            ElementType::Other(_, bits) => bits,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            ElementType::Float(dtype) => dtype.name(),
            ElementType::Other(name, _) => name,
        })
    }
}

/// Where the data begin, and the tensors by name.
pub(super) fn parse(bytes: &[u8]) -> Result<(usize, BTreeMap<String, Entry>), String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("the file has {} bytes, too few for a safetensors header", bytes.len()));
    };
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER || length > rest.len() as u64 {
        return Err(format!("the header claims {length} bytes, the file has {} after its length", rest.len()));
    }
    let (json, data) = rest.split_at(length as usize);
    if json.first() != Some(&b'{') {
        return Err("the header is no JSON object".to_string());
    }
    let raw: RawHeader = serde_json::from_slice(json).map_err(|e| format!("header: {e}"))?;
    let mut tensors = BTreeMap::new();
    for (name, raw) in raw.0 {
        let entry = check(raw, data.len()).map_err(|message| format!("tensor {}: {message}", quoted(&name)))?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(format!("tensor {} occurs twice", quoted(&name)));
        }
    }
    check_layout(&tensors, data.len())?;
    Ok((8 + json.len(), tensors))
}

/// One tensor on its own: a known type, a shape whose product doesn't overflow, bytes inside the file and as many as that.
fn check(raw: RawEntry, n_data: usize) -> Result<Entry, String> {
    let element_type =
        ElementType::parse(&raw.dtype).ok_or_else(|| format!("type {} is unknown", quoted(&raw.dtype)))?;
    let n_bits = raw.shape.iter().try_fold(element_type.bits(), |n, d| n.checked_mul(*d));
    let n_bytes = n_bits.filter(|n| n.is_multiple_of(8)).map(|n| n / 8);
    let n_bytes = n_bytes
        .ok_or_else(|| format!("shape {:?} of {element_type} is no whole number of bytes", shown(&raw.shape)))?;
    let (begin, end) = raw.data_offsets;
    if begin > end || end > n_data {
        return Err(format!("its bytes are {begin}..{end}, the file has {n_data}"));
    }
    if end - begin != n_bytes {
        let shape = shown(&raw.shape);
        return Err(format!("its bytes are {begin}..{end}, but shape {shape:?} of {element_type} takes {n_bytes}"));
    }
    Ok(Entry { element_type, shape: raw.shape, begin, end })
}

fn shown(shape: &[usize]) -> &[usize] {
    &shape[..shape.len().min(8)]
}

/// All together: the format has neither gaps nor overlaps nor bytes after the last tensor.
fn check_layout(tensors: &BTreeMap<String, Entry>, n_data: usize) -> Result<(), String> {
    let mut in_order: Vec<(&String, &Entry)> = tensors.iter().collect();
    in_order.sort_by_key(|(_, entry)| (entry.begin, entry.end));
    let mut at = 0;
    for (name, entry) in in_order {
        if entry.begin != at {
            let what = if entry.begin < at { "overlaps another tensor" } else { "leaves a gap" };
            return Err(format!("tensor {} {what}: it begins at byte {}, expected {at}", quoted(name), entry.begin));
        }
        at = entry.end;
    }
    match at == n_data {
        true => Ok(()),
        false => Err(format!("the tensors take {at} bytes, the file has {n_data}")),
    }
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// A list and not a map, so that a name that occurs twice is seen.
struct RawHeader(Vec<(String, RawEntry)>);

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of tensors")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
        let mut tensors = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<BTreeMap<String, String>>()
                    .map_err(|e| A::Error::custom(format!("`__metadata__`: {e}")))?;
                continue;
            }
            let entry = map.next_value();
            let entry = entry.map_err(|e: A::Error| A::Error::custom(format!("tensor {}: {e}", quoted(&name))))?;
            tensors.push((name, entry));
        }
        Ok(RawHeader(tensors))
    }
}

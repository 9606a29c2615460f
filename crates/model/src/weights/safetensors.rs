//! safetensors: eight bytes of header length, a JSON header, then the tensors' bytes.
//!
//! Hostile until parsed: the header's length, every type, shape and offset is checked before a byte of data is read, and
//! the tensors must tile the data exactly, as the format demands: no overlap, no gap.
use super::TensorSource;
use super::map::map_file;
use crate::{Dtype, ModelError};
use half::{bf16, f16};
use memmap2::Mmap;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Headers of real models are far smaller; more is not a header.
const HEADER_BYTES_MAX: u64 = 100 << 20;

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Where its bytes lie after the header.
    bytes: Range<usize>,
}

/// One file, mapped.
pub struct SafeTensors {
    path: PathBuf,
    map: Mmap,
    /// Where the data begins.
    data_start: usize,
    entries: BTreeMap<String, Entry>,
}

impl Dtype {
    /// Bytes of an element.
    fn width(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::Bf16 | Dtype::F16 => 2,
        }
    }
    /// As the format calls it.
    fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::Bf16 => "BF16",
            Dtype::F16 => "F16",
        }
    }
}

impl SafeTensors {
    /// Maps a file and checks its header.
    pub fn open(path: &Path) -> Result<SafeTensors, ModelError> {
        let map = map_file(path).map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
        let (data_start, entries) =
            parse(&map).map_err(|message| ModelError::Invalid { path: path.to_path_buf(), message })?;
        Ok(SafeTensors { path: path.to_path_buf(), map, data_start, entries })
    }
}

impl TensorSource for SafeTensors {
    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|e| e.shape.clone())
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        let invalid = |message| ModelError::Invalid { path: self.path.clone(), message };
        let entry = self.entries.get(name).ok_or_else(|| invalid(format!("tensor `{name}` is missing")))?;
        let bytes = &self.map[self.data_start + entry.bytes.start..self.data_start + entry.bytes.end];
        if bytes.len() != out.len() * entry.dtype.width() {
            return Err(invalid(format!("tensor `{name}` has {} bytes, expected {} values", bytes.len(), out.len())));
        }
        match entry.dtype {
            Dtype::F32 => out
                .iter_mut()
                .zip(bytes.chunks_exact(4))
                .for_each(|(x, b)| *x = f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Dtype::Bf16 => out
                .iter_mut()
                .zip(bytes.chunks_exact(2))
                .for_each(|(x, b)| *x = bf16::from_le_bytes([b[0], b[1]]).to_f32()),
            Dtype::F16 => out
                .iter_mut()
                .zip(bytes.chunks_exact(2))
                .for_each(|(x, b)| *x = f16::from_le_bytes([b[0], b[1]]).to_f32()),
        }
        Ok(())
    }
}

/// Where the data begins, and the tensors; or what is wrong with the header.
fn parse(file: &[u8]) -> Result<(usize, BTreeMap<String, Entry>), String> {
    let length = file
        .first_chunk::<8>()
        .map(|b| u64::from_le_bytes(*b))
        .ok_or_else(|| format!("a file of {} bytes has no header length (8 bytes)", file.len()))?;
    if length > HEADER_BYTES_MAX || length as usize > file.len() - 8 {
        return Err(format!("the header's length is {length} bytes, the file has {} after it", file.len() - 8));
    }
    let data_start = 8 + length as usize;
    let text = std::str::from_utf8(&file[8..data_start])
        .map_err(|e| format!("the header is not UTF-8 at byte {}", e.valid_up_to()))?;
    let header: Header =
        serde_json::from_str(text).map_err(|e| format!("the header is not a JSON object of tensors: {e}"))?;
    let mut entries = BTreeMap::new();
    for (name, value) in header.0 {
        if name != "__metadata__" {
            let entry = parse_entry(&value, file.len() - data_start)
                .map_err(|message| format!("tensor `{name}`: {message}"))?;
            entries.insert(name, entry);
        }
    }
    check_tiling(&entries, file.len() - data_start)?;
    Ok((data_start, entries))
}

/// The header's members in order; a name that comes twice is refused (JSON itself would keep the last).
struct Header(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Header;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut members, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !seen.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("tensor `{name}` comes twice")));
                    }
                    members.push((name, value));
                }
                Ok(Header(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn parse_entry(value: &Value, data_bytes: usize) -> Result<Entry, String> {
    let dtype = match value["dtype"].as_str() {
        Some("F32") => Dtype::F32,
        Some("BF16") => Dtype::Bf16,
        Some("F16") => Dtype::F16,
        found => return Err(format!("`dtype` is {}, expected F32, BF16 or F16", found.unwrap_or("missing"))),
    };
    let sizes = |field: &str| -> Result<Vec<usize>, String> {
        let list = value[field]
            .as_array()
            .ok_or_else(|| format!("`{field}` is {}, expected a list of sizes", value[field]))?;
        list.iter()
            .map(|v| {
                v.as_u64()
                    .and_then(|n| usize::try_from(n).ok())
                    .ok_or_else(|| format!("`{field}` holds {v}, expected a size"))
            })
            .collect()
    };
    let (shape, offsets) = (sizes("shape")?, sizes("data_offsets")?);
    let [begin, end] = offsets[..] else {
        return Err(format!("`data_offsets` has {} numbers, expected 2", offsets.len()));
    };
    if begin > end || end > data_bytes {
        return Err(format!("`data_offsets` are {begin}..{end}, the file has {data_bytes} bytes of data"));
    }
    let elements = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).and_then(|n| n.checked_mul(dtype.width()));
    if elements != Some(end - begin) {
        return Err(format!("shape {shape:?} of {} doesn't take the {} bytes it is given", dtype.name(), end - begin));
    }
    Ok(Entry { dtype, shape, bytes: begin..end })
}

/// The tensors must cover the data without overlap or gap.
fn check_tiling(entries: &BTreeMap<String, Entry>, data_bytes: usize) -> Result<(), String> {
    let mut order: Vec<(&String, &Range<usize>)> = entries.iter().map(|(name, e)| (name, &e.bytes)).collect();
    order.sort_by_key(|(_, bytes)| (bytes.start, bytes.end));
    let mut at = 0;
    for (name, bytes) in order {
        if bytes.start != at {
            let what = if bytes.start < at { "overlaps the tensor before it" } else { "leaves a gap before it" };
            return Err(format!("tensor `{name}` begins at byte {}, expected {at}: it {what}", bytes.start));
        }
        at = bytes.end;
    }
    if at == data_bytes { Ok(()) } else { Err(format!("the tensors take {at} bytes, the file has {data_bytes}")) }
}

/// Several files behind one index.
pub struct Sharded {
    files: Vec<SafeTensors>,
    /// Which file has a tensor.
    place: BTreeMap<String, usize>,
}

impl Sharded {
    /// Opens `model.safetensors.index.json` and the files it names, which must lie beside it.
    pub fn open(index: &Path) -> Result<Sharded, ModelError> {
        let invalid = |message: String| ModelError::Invalid { path: index.to_path_buf(), message };
        let text =
            std::fs::read_to_string(index).map_err(|source| ModelError::Io { path: index.to_path_buf(), source })?;
        let json: Value = serde_json::from_str(&text).map_err(|e| invalid(e.to_string()))?;
        let map = json["weight_map"].as_object().ok_or_else(|| invalid("`weight_map` is missing".into()))?;
        let folder = index.parent().unwrap_or(Path::new("."));
        let (mut files, mut names, mut place) = (Vec::new(), Vec::<&str>::new(), BTreeMap::new());
        for (tensor, file) in map {
            let file = file
                .as_str()
                .filter(|f| !f.contains(['/', '\\']))
                .ok_or_else(|| invalid(format!("`{tensor}` lies in {file}, expected a file name")))?;
            let idx = match names.iter().position(|n| *n == file) {
                Some(idx) => idx,
                None => {
                    files.push(SafeTensors::open(&folder.join(file))?);
                    names.push(file);
                    names.len() - 1
                }
            };
            if !files[idx].entries.contains_key(tensor) {
                return Err(invalid(format!("tensor `{tensor}` is not in {file}")));
            }
            place.insert(tensor.clone(), idx);
        }
        Ok(Sharded { files, place })
    }
}

impl TensorSource for Sharded {
    fn names(&self) -> Vec<String> {
        self.place.keys().cloned().collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.files[*self.place.get(name)?].shape(name)
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        match self.place.get(name) {
            Some(idx) => self.files[*idx].read(name, out),
            None => Err(ModelError::Invalid {
                path: PathBuf::from("model.safetensors.index.json"),
                message: format!("tensor `{name}` is missing"),
            }),
        }
    }
}

/// Writes every tensor of a source, in its order, under a temporary name that is renamed last: a full disk leaves nothing
/// under `path`. The same tensors give the same bytes.
pub fn write(path: &Path, tensors: &dyn TensorSource, dtype: Dtype) -> Result<(), ModelError> {
    let partial = path.with_extension("safetensors.partial");
    let written = write_to(&partial, tensors, dtype)
        .and_then(|()| std::fs::rename(&partial, path).map_err(|source| io_error(path, source)));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn io_error(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Io { path: path.to_path_buf(), source }
}

fn write_to(path: &Path, tensors: &dyn TensorSource, dtype: Dtype) -> Result<(), ModelError> {
    let names = tensors.names();
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut at = 0;
    for name in &names {
        let shape = tensors.shape(name).unwrap_or_default();
        let end = at + shape.iter().product::<usize>() * dtype.width();
        header.insert(name.clone(), json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut header = Value::Object(header).to_string();
    // The data begins at a multiple of 8 bytes; the format pads with blanks.
    header.push_str(&" ".repeat((8 - header.len() % 8) % 8));
    let file = File::create(path).map_err(|source| io_error(path, source))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(|source| io_error(path, source));
    put(&(header.len() as u64).to_le_bytes())?;
    put(header.as_bytes())?;
    for name in &names {
        let mut values = vec![0.0f32; tensors.shape(name).unwrap_or_default().iter().product()];
        tensors.read(name, &mut values)?;
        put(&encode(&values, dtype))?;
    }
    out.into_inner().map_err(|e| io_error(path, e.into_error()))?.sync_all().map_err(|source| io_error(path, source))
}

fn encode(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::Bf16 => values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
    }
}

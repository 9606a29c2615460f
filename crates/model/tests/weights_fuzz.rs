//! Weight files with flipped bytes, cut ends and changed lengths: an answer or an error, no panic, little memory.
#![allow(clippy::unwrap_used)]
use model::weights::gguf::GgufFile;
use model::weights::safetensors::SafeTensors;
use model::weights::{self, TensorSource};
use std::path::{Path, PathBuf};

const CASES: u64 = 4000;
/// What reading a damaged file of a few kilobytes may take, in KiB.
const MEMORY_KIB_MAX: u64 = 64 * 1024;

/// A deterministic stream (PCG's multiplier), one for each case.
struct Numbers(u64);
impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

/// One to four changes; most in the header, where the claims are.
fn damaged(whole: &[u8], n_header: usize, case: u64) -> Vec<u8> {
    let mut next = Numbers(case.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes = whole.to_vec();
    for _ in 0..1 + next.below(4) {
        let end = if next.below(8) > 0 { n_header } else { bytes.len() };
        let at = next.below(end.min(bytes.len()).max(1));
        match next.below(7) {
            _ if bytes.is_empty() => {}
            0 => bytes.truncate(at),
            1 => bytes[at] = next.below(256) as u8,
            2 => bytes[at] ^= 1 << next.below(8),
            // A length, count or offset that is huge, or off by a little.
            3 => put(&mut bytes, at, &[u64::MAX, 1 << 62, 1 << 40, 1 << 31, 1 << 20, 0][next.below(6)].to_le_bytes()),
            4 => put(&mut bytes, at, &(next.below(1 << 12) as u64).to_le_bytes()),
            5 => put(&mut bytes, at, &(next.below(64) as u32).to_le_bytes()),
            // A piece moved elsewhere: names, types and arrays where others were.
            _ => {
                let (from, n) = (next.below(bytes.len()), 1 + next.below(40));
                let piece = bytes[from..(from + n).min(bytes.len())].to_vec();
                put(&mut bytes, at, &piece);
            }
        }
    }
    bytes
}

fn put(bytes: &mut [u8], at: usize, piece: &[u8]) {
    let n = piece.len().min(bytes.len() - at);
    bytes[at..at + n].copy_from_slice(&piece[..n]);
}

/// Reads everything a file offers. `Ok` counts the elements.
fn read_all(source: &dyn TensorSource) -> Result<usize, model::ModelError> {
    let mut n_elements = 0;
    for name in source.names() {
        let n = source.shape(&name).unwrap().iter().product();
        source.read(&name, &mut vec![0.0; n])?;
        n_elements += n;
    }
    Ok(n_elements)
}

fn read_gguf(path: &Path) -> Result<usize, model::ModelError> {
    let file = GgufFile::open(path)?;
    let mut n_elements = 0;
    for (name, info) in file.tensors() {
        let n = info.shape.iter().product();
        let read = file.read_tensor(name, &mut vec![0.0; n]);
        n_elements += read.map_or(0, |()| n);
    }
    // As a model, too: the architecture, the names and the layouts.
    n_elements += weights::open(path).and_then(|checkpoint| read_all(checkpoint.tensors.as_ref())).unwrap_or(0);
    Ok(n_elements)
}

/// Address space taken at most so far, in KiB: sees what is allocated and never touched.
fn memory_kib_max() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmPeak:"))?.trim().trim_end_matches("kB").trim().parse().ok()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

// One test: the limit on memory is the process's.
#[test]
fn damaged_weight_files_are_answered_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    type Read = fn(&Path) -> Result<usize, model::ModelError>;
    let safetensors: Read = |path| read_all(&SafeTensors::open(path)?);
    let kinds: [(&str, usize, &str, Read); 4] = [
        ("gguf/types.gguf", 1700, "a.gguf", read_gguf),
        ("gguf/llama.gguf", 2600, "b.gguf", read_gguf),
        ("gguf/gpt_neox.gguf", 2200, "c.gguf", read_gguf),
        ("families/mistral/model.safetensors", 1900, "d.safetensors", safetensors),
    ];
    for (name, n_header, file, read) in kinds {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, &whole).unwrap();
        assert!(read(&path).unwrap() > 1000, "{name}: undamaged");
        let before = memory_kib_max();
        let mut n_refused = 0;
        for case in 0..CASES {
            // A new file each time: writing into one that is mapped would be the other kind of damage.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, damaged(&whole, n_header, case)).unwrap();
            let answer = std::panic::catch_unwind(|| read(&path));
            let answer = answer.unwrap_or_else(|_| panic!("{name}: case {case} panics"));
            n_refused += u64::from(answer.is_err());
        }
        // Damage that hits padding, values or the tensors' bytes is none; most hits a claim.
        assert!(n_refused > CASES / 4, "{name}: only {n_refused} of {CASES} refused");
        if let (Some(before), Some(after)) = (before, memory_kib_max()) {
            assert!(after - before < MEMORY_KIB_MAX, "{name}: took {} KiB", after - before);
        }
    }
}

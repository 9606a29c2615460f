//! BLAKE3 of bytes, files, folders and JSON, as lower-case hexadecimal.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::FileError;

/// The hash of bytes.
pub fn bytes(data: &[u8]) -> String {
    blake3::hash(data).to_hex().to_string()
}

/// The hash of a file's contents, read in pieces.
pub fn file(path: &Path) -> Result<String, FileError> {
    let mut reader = File::open(path).map_err(FileError::at(path, "open"))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer).map_err(FileError::at(path, "read"))? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

/// The hash of a folder: of the sorted list of (relative name, content hash) of the files in it
/// and below. Times, modes and empty folders don't count.
pub fn folder(path: &Path) -> Result<String, FileError> {
    let mut hasher = blake3::Hasher::new();
    for name in files_below(path)? {
        let text = relative_name(&name);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        hasher.update(file(&path.join(&name))?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The hash of a JSON value whatever the order of its keys.
pub fn json(value: &serde_json::Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    bytes(text.as_bytes())
}

/// JSON with sorted keys and no spaces; numbers and strings as `serde_json` prints them.
pub fn canonical_json(value: &serde_json::Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &serde_json::Value, out: &mut String) {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

/// The files in and below `folder`, as sorted paths relative to it.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(inner) = pending.pop() {
        let path = folder.join(&inner);
        for entry in fs::read_dir(&path).map_err(FileError::at(&path, "list"))? {
            let entry = entry.map_err(FileError::at(&path, "list"))?;
            let name = inner.join(entry.file_name());
            // Follows links to files; a link to a folder counts as that folder.
            let target = folder.join(&name);
            let kind = fs::metadata(&target).map_err(FileError::at(&target, "stat"))?;
            if kind.is_dir() {
                pending.push(name);
            } else {
                found.push(name);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A relative path as text with `/` between its parts.
pub(crate) fn relative_name(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bytes_match_the_published_vector() {
        // BLAKE3 of the empty string, from the algorithm's published test vectors.
        assert_eq!(bytes(b""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    }

    #[test]
    fn json_ignores_key_order_and_nothing_else() {
        let a = json!({"b": [1, {"y": null, "x": "é\n"}], "a": 0.5});
        let b = json!({"a": 0.5, "b": [1, {"x": "é\n", "y": null}]});
        assert_eq!(json(&a), json(&b));
        assert_eq!(canonical_json(&a), r#"{"a":0.5,"b":[1,{"x":"é\n","y":null}]}"#);
        assert_ne!(json(&json!([1, 2])), json(&json!([2, 1])));
        assert_ne!(json(&json!("1")), json(&json!(1)));
    }

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let folder_with = |files: &[(&str, &str)]| {
            let dir = tempfile::tempdir().expect("temporary folder");
            for (name, text) in files {
                let path = dir.path().join(name);
                fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
                fs::write(path, text).expect("write");
            }
            folder(dir.path()).expect("hash")
        };
        let base = folder_with(&[("a", "1"), ("sub/b", "2")]);
        assert_eq!(base, folder_with(&[("sub/b", "2"), ("a", "1")]));
        assert_ne!(base, folder_with(&[("a", "1"), ("sub/c", "2")]));
        assert_ne!(base, folder_with(&[("a", "1"), ("sub/b", "3")]));
        // The same bytes divided differently between name and content.
        assert_ne!(folder_with(&[("ab", "c")]), folder_with(&[("a", "bc")]));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = file(Path::new("/nowhere/at/all")).expect_err("missing");
        assert!(error.to_string().starts_with("/nowhere/at/all: cannot open"));
    }
}

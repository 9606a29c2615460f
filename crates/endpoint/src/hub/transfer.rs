//! A file from the hub to the disk: resumed where it broke off, checked, and only then under its own name.

use super::http::{Answer, header};
use super::{Hub, HubError, RemoteFile, Repository};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

impl Hub {
    /// Downloads `file` of `repository` at `commit` to `place`. What an earlier attempt left in `place` + `.part` is
    /// continued. `progress` is told the bytes that are there and, when known, the bytes there will be; when it
    /// returns false the transfer stops with [`HubError::Stopped`] and the part stays.
    pub fn download(
        &self,
        repository: &Repository,
        commit: &str,
        file: &RemoteFile,
        place: &Path,
        progress: &mut dyn FnMut(u64, Option<u64>) -> bool,
    ) -> Result<Downloaded, HubError> {
        let url = format!(
            "{}/{}/{}/resolve/{commit}/{}",
            self.settings.endpoint, repository.organisation, repository.name, file.path
        );
        let part = part_of(place);
        let mut transfer = Transfer { url: &url, part: &part, promised: file.clone(), progress };
        self.with_retries(|| {
            let start = length(&part);
            let answer = self.get(&url, repository, Some(&file.path), start)?;
            transfer.receive(start, answer)
        })?;
        let downloaded = transfer.check()?;
        std::fs::rename(&part, place).map_err(at(place))?;
        Ok(downloaded)
    }
}

struct Transfer<'a> {
    url: &'a str,
    part: &'a Path,
    promised: RemoteFile,
    progress: &'a mut dyn FnMut(u64, Option<u64>) -> bool,
}

impl Transfer<'_> {
    /// Writes the answer's body behind the first `start` bytes, or from the beginning when the hub starts over.
    fn receive(&mut self, start: u64, mut answer: Answer) -> Result<(), HubError> {
        self.promised.sha256 = self.promised.sha256.take().or(answer.sha256);
        self.promised.size = self.promised.size.or(answer.size);
        let status = answer.response.status().as_u16();
        if status == 416 {
            // Nothing is left to send: the part is whole, or not a part of this file at all.
            if start > 0 && self.promised.size == Some(start) {
                return Ok(());
            }
            remove(self.part)?;
            return Err(self.unreachable(format!("nothing at byte {start}")));
        }
        let resumed = start > 0 && status == 206 && starts_at(header(&answer.response, "content-range"), start);
        if status == 206 && !resumed {
            remove(self.part)?;
            return Err(self.unreachable("the hub sent another range than asked for".to_string()));
        }
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(resumed)
            .truncate(!resumed)
            .open(self.part)
            .map_err(at(self.part))?;
        let kept = if resumed { start } else { 0 };
        let stated = header(&answer.response, "content-length").and_then(|text| text.parse::<u64>().ok());
        let expected = self.promised.size.or(stated.map(|rest| kept + rest));
        let body = answer.response.body_mut().with_config().limit(u64::MAX).reader();
        let arrived = self.copy(body, &mut file, kept, expected)?;
        file.sync_all().map_err(at(self.part))?;
        match expected {
            Some(expected) if arrived < expected => {
                Err(self.unreachable(format!("broke off after {arrived} of {expected} bytes")))
            }
            _ => Ok(()),
        }
    }

    fn copy(
        &mut self,
        mut body: impl Read,
        file: &mut File,
        kept: u64,
        expected: Option<u64>,
    ) -> Result<u64, HubError> {
        let mut arrived = kept;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let n = body
                .read(&mut buffer)
                .map_err(|error| self.unreachable(format!("broke off after {arrived} bytes: {error}")))?;
            if n == 0 {
                return Ok(arrived);
            }
            file.write_all(&buffer[..n]).map_err(at(self.part))?;
            arrived += n as u64;
            if expected.is_some_and(|expected| arrived > expected) {
                // Too much is wrong content, which `check` names; there is no need to receive all of it.
                return Ok(arrived);
            }
            if !(self.progress)(arrived, expected) {
                return Err(HubError::Stopped { url: self.url.to_string() });
            }
        }
    }

    /// Compares with what was promised; removes what differs.
    fn check(&self) -> Result<Downloaded, HubError> {
        let downloaded = Downloaded { bytes: length(self.part), sha256: sha256_of(self.part)? };
        let wrong = match &self.promised {
            RemoteFile { size: Some(size), .. } if *size != downloaded.bytes => {
                Some(("size in bytes", downloaded.bytes.to_string(), size.to_string()))
            }
            RemoteFile { sha256: Some(sum), .. } if *sum != downloaded.sha256 => {
                Some(("SHA-256", downloaded.sha256.clone(), sum.clone()))
            }
            _ => None,
        };
        let Some((what, found, expected)) = wrong else { return Ok(downloaded) };
        remove(self.part)?;
        Err(HubError::WrongContent { url: self.url.to_string(), what, found, expected })
    }

    fn unreachable(&self, reason: String) -> HubError {
        HubError::Unreachable { url: self.url.to_string(), reason }
    }
}

/// SHA-256 of a file, lower-case hexadecimal.
pub fn sha256_of(path: &Path) -> Result<String, HubError> {
    let mut file = File::open(path).map_err(at(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = file.read(&mut buffer).map_err(at(path))?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn starts_at(content_range: Option<&str>, start: u64) -> bool {
    content_range
        .and_then(|text| text.strip_prefix("bytes "))
        .is_some_and(|text| text.starts_with(&format!("{start}-")))
}

fn part_of(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_os_string();
    name.push(".part");
    PathBuf::from(name)
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn remove(path: &Path) -> Result<(), HubError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> HubError {
    let path = path.to_path_buf();
    move |source| HubError::Io { path, source }
}

//! A model hub that speaks the Hugging Face protocol: which files a repository holds, and the files themselves.
//!
//! Everything the hub says is checked: file names stay inside the folder, sizes and SHA-256 sums must be as promised,
//! redirects, retries and waiting are bounded, and the token goes to the hub's own host only.

mod http;
mod transfer;

pub use transfer::{Downloaded, sha256_of};

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Where the hub is and how patient to be.
#[derive(Clone)]
pub struct HubSettings {
    /// `https://huggingface.co` or a mirror of it, without a slash at the end.
    pub endpoint: String,
    /// Access token for private or gated repositories.
    pub token: Option<String>,
    /// How often one file is tried in all; each try resumes where the last broke off.
    pub attempts: u32,
    /// Wait before the second try; doubled for each further one.
    pub backoff: Duration,
    /// Longest wait for a connection, and for the answer to begin.
    pub connect_timeout: Duration,
    /// Longest silence while a file is read.
    pub read_timeout: Duration,
    /// PEM file of certificates to trust instead of the built-in ones (a company's own proxy).
    pub certificates: Option<PathBuf>,
}

impl Default for HubSettings {
    fn default() -> Self {
        HubSettings {
            endpoint: "https://huggingface.co".to_string(),
            token: None,
            attempts: 3,
            backoff: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(60),
            certificates: None,
        }
    }
}

/// `ORG/NAME` at a revision (branch, tag or commit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Owner.
    pub organisation: String,
    /// Name.
    pub name: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl Repository {
    /// Parses `ORG/NAME[@REVISION]`; the revision is `main` when absent. `None` when it has another form.
    pub fn parse(text: &str) -> Option<Repository> {
        let (path, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (organisation, name) = path.split_once('/')?;
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let plain_revision = !revision.is_empty() && revision.split('/').all(plain);
        (plain(organisation) && plain(name) && plain_revision).then(|| Repository {
            organisation: organisation.to_string(),
            name: name.to_string(),
            revision: revision.to_string(),
        })
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.organisation, self.name, self.revision)
    }
}

/// What a repository holds at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The commit that the revision names now; downloads are pinned to it.
    pub commit: String,
    /// Every file.
    pub files: Vec<RemoteFile>,
}

/// A file of a repository, with what the hub promises of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Path inside the repository.
    pub path: String,
    /// Bytes, when stated.
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal, when stated (large files).
    pub sha256: Option<String>,
}

/// What can go wrong between here and a hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No connection, a broken one, or silence; after all attempts.
    #[error("{url}: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why it failed the last time.
        reason: String,
    },
    /// 401 or 403.
    #[error("{url}: status {status}, access to `{repository}` is refused")]
    Refused {
        /// What was asked for.
        url: String,
        /// The repository.
        repository: String,
        /// HTTP status.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// 404.
    #[error("{url}: status 404, no such repository, revision or file: `{repository}`{}", file.as_ref().map(|f| format!(", file `{f}`")).unwrap_or_default())]
    NotFound {
        /// What was asked for.
        url: String,
        /// Repository and revision.
        repository: String,
        /// The file, when one was asked for.
        file: Option<String>,
    },
    /// Another status; after all attempts when it is worth trying again.
    #[error("{url}: status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer makes no sense.
    #[error("{url}: {message}")]
    Malformed {
        /// What was asked for.
        url: String,
        /// Found and expected.
        message: String,
    },
    /// Not the promised content; what was received is deleted.
    #[error("{url}: wrong {what}: found {found}, expected {expected}; the file received was removed")]
    WrongContent {
        /// What was asked for.
        url: String,
        /// `size in bytes` or `SHA-256`.
        what: &'static str,
        /// Of what was received.
        found: String,
        /// As promised.
        expected: String,
    },
    /// The disk said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The repository has nothing that can be used.
    #[error("`{repository}`: {message}")]
    Unsuitable {
        /// Repository and revision.
        repository: String,
        /// What is missing.
        message: String,
    },
    /// The caller's `progress` said so; the part stays for the next time.
    #[error("{url}: stopped")]
    Stopped {
        /// What was being downloaded.
        url: String,
    },
    /// The settings are wrong.
    #[error("{message}")]
    Settings {
        /// Which, found and expected.
        message: String,
    },
}

/// A hub.
pub struct Hub {
    settings: HubSettings,
    agent: ureq::Agent,
}

#[derive(Deserialize)]
struct ListingAnswer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    size: Option<u64>,
    sha256: Option<String>,
}

impl Hub {
    /// A client; nothing is asked yet.
    pub fn new(settings: HubSettings) -> Result<Hub, HubError> {
        let agent = http::agent(&settings)?;
        Ok(Hub { settings, agent })
    }

    /// What the hub's address is.
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    /// The files of a repository at its revision, and the commit this is.
    pub fn list(&self, repository: &Repository) -> Result<Listing, HubError> {
        let url = format!(
            "{}/api/models/{}/{}/revision/{}?blobs=true",
            self.settings.endpoint,
            repository.organisation,
            repository.name,
            repository.revision.replace('/', "%2F")
        );
        let text = self.read_text(&url, repository)?;
        let answer: ListingAnswer = serde_json::from_str(&text).map_err(|error| HubError::Malformed {
            url: url.clone(),
            message: format!("the listing is not as expected: {error}"),
        })?;
        if answer.sha.is_empty() || !answer.sha.chars().all(|c| c.is_ascii_alphanumeric()) {
            let message = format!("the commit is `{}`, expected letters and digits", answer.sha.escape_debug());
            return Err(HubError::Malformed { url, message });
        }
        let files = answer.siblings.into_iter().map(remote_file).collect();
        Ok(Listing { commit: answer.sha, files })
    }
}

fn remote_file(sibling: Sibling) -> RemoteFile {
    let (large_size, sha256) = sibling.lfs.map_or((None, None), |lfs| (lfs.size, lfs.sha256));
    RemoteFile {
        path: sibling.rfilename,
        size: large_size.or(sibling.size),
        sha256: sha256.map(|sum| sum.to_ascii_lowercase()).filter(|sum| is_sha256(sum)),
    }
}

pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// The files a model folder is made of, besides its weights.
const SMALL_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];
const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

impl Listing {
    /// The files that make a model folder: configuration, tokenizer, and the weights as one safetensors file or as
    /// shards with their index. Never a path with a folder in it.
    pub fn model_files(&self, repository: &Repository) -> Result<Vec<&RemoteFile>, HubError> {
        let unsuitable = |message: String| HubError::Unsuitable { repository: repository.to_string(), message };
        let find = |name: &str| self.files.iter().find(|file| file.path == name);
        for needed in ["config.json", "tokenizer.json"] {
            if find(needed).is_none() {
                return Err(unsuitable(format!("it has no {needed}")));
            }
        }
        let mut chosen: Vec<&RemoteFile> = SMALL_FILES.iter().filter_map(|name| find(name)).collect();
        if let Some(single) = find(SINGLE) {
            chosen.push(single);
        } else if let Some(index) = find(INDEX) {
            chosen.push(index);
            chosen.extend(self.files.iter().filter(|file| is_shard(&file.path)));
        } else {
            return Err(unsuitable(format!("it has neither {SINGLE} nor {INDEX} (other weight files are not read)")));
        }
        Ok(chosen)
    }
}

/// `model-00001-of-00004.safetensors` and the like.
fn is_shard(path: &str) -> bool {
    path.strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"))
        .and_then(|numbers| numbers.split_once("-of-"))
        .is_some_and(|(i, n)| [i, n].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(paths: &[&str]) -> Listing {
        let file = |path: &&str| RemoteFile { path: (*path).to_string(), size: None, sha256: None };
        Listing { commit: "c0ffee".to_string(), files: paths.iter().map(file).collect() }
    }

    #[test]
    fn repositories_are_parsed_and_odd_ones_are_not() {
        let parsed = Repository::parse("HuggingFaceTB/SmolLM2-135M@v1").map(|r| r.to_string());
        assert_eq!(parsed.as_deref(), Some("HuggingFaceTB/SmolLM2-135M@v1"));
        assert_eq!(Repository::parse("a/b").map(|r| r.revision).as_deref(), Some("main"));
        for odd in ["a", "a/", "/b", "../b", "a/b/c", "a/b@", "a/b@../x", "a b/c", "a/b?x=1"] {
            assert_eq!(Repository::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn only_the_files_of_a_model_folder_are_chosen() {
        let repository = Repository::parse("a/b").expect("a repository");
        let listing = listing(&[
            "README.md",
            "config.json",
            "tokenizer.json",
            "../../.ssh/id",
            "onnx/model.safetensors",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model-x-of-y.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
        ]);
        let chosen = listing.model_files(&repository).expect("a model");
        let names: Vec<&str> = chosen.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            names,
            [
                "config.json",
                "tokenizer.json",
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
            ]
        );
    }

    #[test]
    fn a_repository_without_weights_is_refused_by_name() {
        let repository = Repository::parse("a/b").expect("a repository");
        let error =
            listing(&["config.json", "tokenizer.json", "pytorch_model.bin"]).model_files(&repository).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a/b@main`: it has neither model.safetensors nor model.safetensors.index.json (other weight files are not read)"
        );
    }
}

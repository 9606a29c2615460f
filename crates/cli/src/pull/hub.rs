//! A repository of a model hub into the cache.

use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::interrupt;
use crate::progress::Transfer;
use crate::source::Source;
use endpoint::hub::{Hub, HubSettings, Listing, Repository};
use run::SourceNote;
use std::fs;
use std::path::{Path, PathBuf};
use stdx::PendingFolder;

/// Downloads the files of a model folder; what is broken off waits beside the cache and is continued next time.
pub fn pull(context: &Context, repository: &Repository, source: &Source) -> Result<PathBuf, CommandError> {
    let name = source.cache_name().unwrap_or_default();
    let place = context.cache.models().join(&name);
    let hub = Hub::new(context.hub.clone())?;
    let listing = hub.list(repository)?;
    let waiting = context.cache.unfinished(&format!("{name}--{}", listing.commit))?;
    download(&hub, repository, &listing, &waiting)?;
    let note = SourceNote { source: format!("{source} (commit {})", listing.commit), note: String::new() };
    publish(&waiting, &place, &note)?;
    fs::remove_dir_all(&waiting).map_err(of_file(&waiting))?;
    Ok(place)
}

/// Whether the hub answers at all, and if not, why.
pub fn reach(context: &Context) -> Result<(), String> {
    let repository = Repository::parse(crate::source::DEFAULT_HUB).ok_or("the default repository is misspelt")?;
    let settings = HubSettings { attempts: 1, ..context.hub.clone() };
    let hub = Hub::new(settings).map_err(|error| error.to_string())?;
    hub.list(&repository).map(drop).map_err(|error| error.to_string())
}

fn download(hub: &Hub, repository: &Repository, listing: &Listing, folder: &Path) -> Result<(), CommandError> {
    interrupt::listen()?;
    let files = listing.model_files(repository)?;
    for file in files {
        let place = folder.join(&file.path);
        if place.is_file() {
            // Whole and checked by an earlier attempt: it has its own name only then.
            continue;
        }
        eprintln!("downloading {} of {repository} from {}", file.path, hub.endpoint());
        let mut transfer = Transfer::new(&file.path);
        let result = hub.download(repository, &listing.commit, file, &place, &mut |there, total| {
            transfer.update(there, total);
            !interrupt::asked()
        });
        transfer.finish();
        result?;
    }
    Ok(())
}

/// Moves the files into the cache's folder, which appears whole with checksums.
fn publish(waiting: &Path, place: &Path, note: &SourceNote) -> Result<(), CommandError> {
    let pending = PendingFolder::new(place)?;
    for entry in fs::read_dir(waiting).map_err(of_file(waiting))? {
        let entry = entry.map_err(of_file(waiting))?;
        let name = entry.file_name();
        if Path::new(&name).extension().is_none_or(|extension| extension != "part") {
            fs::rename(entry.path(), pending.path().join(&name)).map_err(of_file(&entry.path()))?;
        }
    }
    note.write(pending.path())?;
    Ok(pending.publish()?)
}

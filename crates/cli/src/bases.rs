//! The base models that ship in the binary: their recipes, and their files with the hashes they must have.

use crate::context::Context;
use crate::error::{CommandError, of_file};
use std::path::{Path, PathBuf};
use stdx::hash;

/// The base that commands take when none is named.
pub const DEFAULT: &str = "world-2m";

/// A base model that ships.
pub struct Shipped {
    /// Its name, and that of its folder in `bases/`.
    pub name: &'static str,
    /// How it was made.
    recipe: &'static str,
    files: &'static [File],
}

/// A file of a base.
struct File {
    name: &'static str,
    /// BLAKE3 of what was trained.
    hash: &'static str,
    bytes: &'static [u8],
}

macro_rules! shipped {
    ($name:literal, $($file:literal $hash:literal),+ $(,)?) => {
        Shipped {
            name: $name,
            recipe: include_str!(concat!("../../../bases/", $name, "/recipe.toml")),
            files: &[$(File {
                name: $file,
                hash: $hash,
                bytes: include_bytes!(concat!("../../../bases/", $name, "/", $file)),
            }),+],
        }
    };
}

/// The shipped bases, smallest first.
#[rustfmt::skip]
pub const SHIPPED: &[Shipped] = &[
    shipped!("world-0.5m",
        "config.json" "7b245ea8a9a3603508defbc1b977980c7f9e44702efc6cf5f6f2a07e2e16ab8b",
        "model.safetensors" "39892fcfa336c0cc7348c11075acb0b66a27e12adf0c07f2c6d44d698345fb1b",
        "tokenizer.json" "232cf92519fb86fbfe94f09b117fa81e04a2aa5cd09f6e960199024b78fdc6d6",
        "tokenizer_config.json" "b8a40cfe0b28aaa003fa5baf3a4839e63e812f2b23d6fbfd7eb3334f98efae61",
    ),
    shipped!("world-2m",
        "config.json" "92f6f5222e100bd27663b789e05411bb6b43cee8b1f97be38c28db3ed8495be0",
        "model.safetensors" "6acc055ee2a45ded1e641c3499882601575f401f2623cfed581963066d733e1e",
        "tokenizer.json" "232cf92519fb86fbfe94f09b117fa81e04a2aa5cd09f6e960199024b78fdc6d6",
        "tokenizer_config.json" "b8a40cfe0b28aaa003fa5baf3a4839e63e812f2b23d6fbfd7eb3334f98efae61",
    ),
    shipped!("world-8m",
        "config.json" "cc1ce4b6f4041a2584330e4493c95cee31861d469089d82895ef249647cf5600",
        "model.safetensors" "6fa04b39c52435d3b9c72748298e14054d344d4f23b1253070f035923fa4a457",
        "tokenizer.json" "232cf92519fb86fbfe94f09b117fa81e04a2aa5cd09f6e960199024b78fdc6d6",
        "tokenizer_config.json" "b8a40cfe0b28aaa003fa5baf3a4839e63e812f2b23d6fbfd7eb3334f98efae61",
    ),
];

/// The shipped base of this name.
pub fn find(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|base| base.name == name)
}

impl Shipped {
    /// Its model folder, in the cache: written there the first time, every file held against its hash each time. A
    /// file in the cache that is damaged is written anew; one in the binary is an error.
    pub fn folder(&self, context: &Context) -> Result<PathBuf, CommandError> {
        let folder = context.cache.root().join("bases").join(self.name);
        std::fs::create_dir_all(&folder).map_err(of_file(&folder))?;
        for file in self.files {
            file.check(self.name)?;
            let path = folder.join(file.name);
            if !path.is_file() || hash::file(&path)? != file.hash {
                stdx::write_file(&path, file.bytes)?;
            }
        }
        Ok(folder)
    }
}

impl File {
    fn check(&self, base: &str) -> Result<(), CommandError> {
        let found = hash::bytes(self.bytes);
        if found == self.hash {
            return Ok(());
        }
        let (name, expected) = (self.name, self.hash);
        let message = format!("bases/{base}/{name} is not what was trained: BLAKE3 {found}, expected {expected}");
        let remake = format!("or remake it: helpmate world base {base} --out DIR");
        Err(CommandError::input(message)
            .hint(format!("restore it (git checkout -- bases/{base}) and build again, {remake}")))
    }
}

/// The recipe of a shipped base, or a recipe file: what it is called and its text.
pub fn recipe(name_or_file: &str) -> Result<(PathBuf, String), CommandError> {
    let path = Path::new(name_or_file);
    if let Some(base) = find(name_or_file) {
        return Ok((path.join("recipe.toml"), base.recipe.to_string()));
    }
    let names = SHIPPED.iter().map(|base| base.name).collect::<Vec<_>>().join(", ");
    let text = std::fs::read_to_string(path)
        .map_err(of_file(path))
        .map_err(|error| error.hint(format!("name a recipe file or a shipped base: {names}")))?;
    Ok((path.to_path_buf(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(root: &Path) -> Context {
        Context {
            cache: crate::cache::Cache::new(root.to_path_buf()),
            hub: endpoint::hub::HubSettings::default(),
            offline: true,
            reward_token: None,
            reward_timeout: None,
            scorer_token: None,
            scorer_timeout: None,
        }
    }

    #[test]
    fn what_ships_is_what_was_trained() {
        for base in SHIPPED {
            for file in base.files {
                file.check(base.name).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let weights = SHIPPED.iter().flat_map(|base| base.files).map(|file| file.bytes.len()).sum::<usize>();
        assert!(weights <= 24_000_000, "{weights} bytes ship");
    }

    #[test]
    fn damaged_weights_are_named_with_both_hashes_and_what_to_do() {
        let (base, bytes) = (&SHIPPED[0], b"not these");
        let file = File { name: "model.safetensors", hash: base.files[0].hash, bytes };
        let error = file.check(base.name).expect_err("damaged").to_string();
        for part in ["bases/world-0.5m/model.safetensors", &hash::bytes(bytes), base.files[0].hash, "world base"] {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }

    #[test]
    fn a_damaged_file_in_the_cache_is_written_anew() {
        let place = tempfile::tempdir().expect("a folder");
        let context = context(place.path());
        let base = find(DEFAULT).expect("the default ships");
        let folder = base.folder(&context).expect("written");
        let weights = folder.join("model.safetensors");
        std::fs::write(&weights, b"torn").expect("damaged");
        assert_eq!(base.folder(&context).expect("repaired"), folder);
        let expected = base.files.iter().find(|file| file.name == "model.safetensors").map(|file| file.hash);
        assert_eq!(Some(&*hash::file(&weights).expect("read")), expected);
    }

    #[test]
    fn an_unknown_recipe_names_the_shipped_ones() {
        let error = recipe("world-99m").expect_err("unknown").to_string();
        assert!(error.contains("world-0.5m"), "{error}");
    }
}

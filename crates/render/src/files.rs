//! The files beside a tokenizer: which tokens begin and end, and which chat template. Read once.
use std::path::Path;

use serde_json::Value;

use crate::error::{RenderError, shortened};
use crate::template::SpecialNames;
use crate::tokenizer::Tokenizer;

/// What a model folder says about its text, unparsed. Only the tokenizer must be there.
#[derive(Clone, Debug, Default)]
pub struct TokenizerFiles {
    /// Where it came from, for messages.
    pub folder: String,
    /// tokenizer.json
    pub tokenizer: Vec<u8>,
    /// tokenizer_config.json
    pub tokenizer_config: Option<Value>,
    /// special_tokens_map.json, which older folders have.
    pub special_tokens_map: Option<Value>,
    /// generation_config.json
    pub generation_config: Option<Value>,
    /// config.json
    pub config: Option<Value>,
    /// chat_template.jinja
    pub chat_template: Option<String>,
}

impl TokenizerFiles {
    /// Reads the files of a model folder. A file that isn't there is absent; one that can't be
    /// read or parsed is an error.
    ///
    /// # Errors
    /// As said, and if there is no tokenizer.json.
    pub fn read(folder: &Path) -> Result<Self, RenderError> {
        let tokenizer_path = folder.join("tokenizer.json");
        let tokenizer =
            std::fs::read(&tokenizer_path).map_err(|source| RenderError::Read { path: tokenizer_path, source })?;
        let chat_template = read_if_there(&folder.join("chat_template.jinja"))?
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(TokenizerFiles {
            folder: folder.display().to_string(),
            tokenizer,
            tokenizer_config: json_if_there(&folder.join("tokenizer_config.json"))?,
            special_tokens_map: json_if_there(&folder.join("special_tokens_map.json"))?,
            generation_config: json_if_there(&folder.join("generation_config.json"))?,
            config: json_if_there(&folder.join("config.json"))?,
            chat_template,
        })
    }

    /// The tokens' names, from tokenizer_config.json, else special_tokens_map.json, else the
    /// ids in config.json; for EOS at last a special token that is called what EOS is called
    /// everywhere.
    pub(crate) fn special_names(&self, tokenizer: &Tokenizer) -> SpecialNames {
        let named = |role: &str| -> Option<String> {
            let field = format!("{role}_token");
            let sides = [&self.tokenizer_config, &self.special_tokens_map];
            let name = sides
                .into_iter()
                .flatten()
                .find_map(|side| token_name(side.get(&field)?))
                .filter(|name| tokenizer.token_id(name).is_some());
            name.or_else(|| {
                let id = self.ids(&format!("{role}_token_id")).first().copied()?;
                tokenizer.token(id)
            })
        };
        SpecialNames {
            bos: named("bos"),
            eos: named("eos").or_else(|| usual_eos(tokenizer)),
            unk: named("unk"),
            pad: named("pad"),
        }
    }

    /// Every id that generation_config.json and config.json call an EOS.
    pub(crate) fn eos_ids(&self) -> Vec<u32> {
        let sides = [&self.generation_config, &self.config];
        sides.into_iter().flatten().flat_map(|side| ids_in(side.get("eos_token_id"))).collect()
    }

    fn ids(&self, field: &str) -> Vec<u32> {
        let sides = [&self.config, &self.generation_config];
        sides.into_iter().flatten().map(|side| ids_in(side.get(field))).find(|ids| !ids.is_empty()).unwrap_or_default()
    }

    /// The folder's chat template: its name, if it has one, and its source. The file is what
    /// newer folders have, and wins.
    pub(crate) fn template(&self) -> Result<Option<FoundTemplate>, RenderError> {
        if let Some(source) = &self.chat_template {
            return Ok(Some(FoundTemplate::File(source.clone())));
        }
        let wrong = |found: &Value, expected: &str| RenderError::Field {
            file: format!("{}/tokenizer_config.json", self.folder),
            field: "chat_template".to_string(),
            found: shortened(&found.to_string()),
            expected: expected.to_string(),
        };
        let config = self.tokenizer_config.as_ref();
        match config.and_then(|config| config.get("chat_template")) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(source)) => Ok(Some(FoundTemplate::Config(None, source.clone()))),
            Some(list @ Value::Array(entries)) => {
                let named: Vec<(&str, &str)> = entries
                    .iter()
                    .filter_map(|entry| {
                        let name = entry.get("name")?.as_str()?;
                        Some((name, entry.get("template")?.as_str()?))
                    })
                    .collect();
                let chosen = match named.as_slice() {
                    [only] => Some(only),
                    several => several.iter().find(|(name, _)| *name == "default"),
                };
                let Some(&(name, source)) = chosen else {
                    return Err(wrong(list, "a template named \"default\""));
                };
                let name = Some(name.to_string());
                Ok(Some(FoundTemplate::Config(name, source.to_string())))
            }
            Some(other) => Err(wrong(other, "a string or a list of named templates")),
        }
    }
}

/// A template found in a folder.
pub(crate) enum FoundTemplate {
    /// In tokenizer_config.json, with its name if it has one.
    Config(Option<String>, String),
    /// In chat_template.jinja.
    File(String),
}

fn token_name(value: &Value) -> Option<String> {
    let name = match value {
        Value::String(name) => name,
        Value::Object(token) => token.get("content")?.as_str()?,
        _ => return None,
    };
    (!name.is_empty()).then(|| name.to_string())
}

fn ids_in(value: Option<&Value>) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(ids)) => ids.iter().filter_map(id).collect(),
        Some(value) => id(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn usual_eos(tokenizer: &Tokenizer) -> Option<String> {
    const NAMES: [&str; 5] = ["<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>", "<|im_end|>"];
    let is_there = |name: &&str| {
        let id = tokenizer.token_id(name);
        id.is_some_and(|id| tokenizer.is_special(id))
    };
    NAMES.into_iter().find(is_there).map(str::to_string)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, RenderError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RenderError::Read { path: path.to_path_buf(), source }),
    }
}

fn json_if_there(path: &Path) -> Result<Option<Value>, RenderError> {
    let Some(bytes) = read_if_there(path)? else {
        return Ok(None);
    };
    let parsed = serde_json::from_slice(&bytes).map_err(|error| RenderError::Field {
        file: path.display().to_string(),
        field: "the whole file".to_string(),
        found: error.to_string(),
        expected: "JSON".to_string(),
    })?;
    Ok(Some(parsed))
}

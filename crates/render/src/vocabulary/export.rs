//! `tokenizer.json` → GGUF vocabulary.
use std::collections::HashMap;

use serde_json::Value;

use super::import::META;
use super::pre_tokenizer::PreTokenizer;
use super::{GgufVocabulary, TokenKind};
use crate::error::{RenderError, shortened};
use crate::tokenizer::Tokenizer;

/// Makes a GGUF vocabulary of a tokenizer and its tokenizer_config.json.
///
/// # Errors
/// It is no byte-level BPE with a pre-tokenizer that GGUF names, nor a SentencePiece-like BPE.
pub fn vocabulary_to_gguf(
    tokenizer: &Tokenizer,
    tokenizer_config: Option<&Value>,
) -> Result<GgufVocabulary, RenderError> {
    let json: Value = serde_json::from_str(tokenizer.to_json())
        .map_err(|error| RenderError::Tokenizer { file: "tokenizer.json".to_string(), reason: error.to_string() })?;
    let model = &json["model"];
    if model["type"] != "BPE" {
        return Err(RenderError::VocabularyModel { found: model["type"].as_str().unwrap_or("(missing)").to_string() });
    }
    let like_sentence_piece = model["byte_fallback"] == true;
    let mut vocabulary = GgufVocabulary {
        model: if like_sentence_piece { "llama" } else { "gpt2" }.to_string(),
        ..GgufVocabulary::default()
    };
    fill_tokens(&mut vocabulary, &json, tokenizer.vocab_size());
    let merges = merges(model)?;
    if like_sentence_piece {
        vocabulary.pre = Some("default".to_string());
        vocabulary.scores = scores(&vocabulary.tokens, &merges);
        vocabulary.add_space_prefix = Some(prepends_blank(&json));
    } else {
        let pre_tokenizer = PreTokenizer::of_json(&json["pre_tokenizer"])?;
        vocabulary.pre = Some(pre_tokenizer.name().to_string());
        vocabulary.add_space_prefix = Some(false);
        vocabulary.merges = merges.iter().map(|[left, right]| format!("{left} {right}")).collect();
    }
    fill_special_ids(&mut vocabulary, tokenizer, tokenizer_config, model);
    Ok(vocabulary)
}

fn fill_tokens(vocabulary: &mut GgufVocabulary, json: &Value, n_tokens: usize) {
    let unused = TokenKind::Unused as i32;
    vocabulary.tokens = (0..n_tokens).map(|id| format!("[PAD{id}]")).collect();
    vocabulary.token_types = vec![unused; n_tokens];
    let mut put = |id: Option<u64>, token: &str, kind: TokenKind| {
        if let Some(id) = id.map(|id| id as usize).filter(|&id| id < n_tokens) {
            vocabulary.tokens[id] = token.to_string();
            vocabulary.token_types[id] = kind as i32;
        }
    };
    for (token, id) in json["model"]["vocab"].as_object().into_iter().flatten() {
        put(id.as_u64(), token, kind_of_plain(token, json));
    }
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let token = added["content"].as_str().unwrap_or_default();
        let kind = match (token == json["model"]["unk_token"], added["special"] == true) {
            (true, _) => TokenKind::Unknown,
            (_, true) => TokenKind::Control,
            _ => TokenKind::UserDefined,
        };
        put(added["id"].as_u64(), token, kind);
    }
}

fn kind_of_plain(token: &str, json: &Value) -> TokenKind {
    let is_byte =
        json["model"]["byte_fallback"] == true && token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
    if is_byte {
        TokenKind::Byte
    } else if token == json["model"]["unk_token"] {
        TokenKind::Unknown
    } else {
        TokenKind::Normal
    }
}

/// The merges as pairs; older files have them as one string.
fn merges(model: &Value) -> Result<Vec<[&str; 2]>, RenderError> {
    let wrong = |merge: &Value| RenderError::Vocabulary {
        field: "model.merges",
        expected: "two tokens".to_string(),
        found: shortened(&merge.to_string()),
    };
    model["merges"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|merge| match merge {
            Value::String(pair) => pair.split_once(' ').map(|(left, right)| [left, right]).ok_or_else(|| wrong(merge)),
            pair => match (pair[0].as_str(), pair[1].as_str()) {
                (Some(left), Some(right)) => Ok([left, right]),
                _ => Err(wrong(merge)),
            },
        })
        .collect()
}

/// A token's score is minus the rank of the merge that makes it, so that the order of scores is
/// the order of merges. What no merge makes (characters) comes after all of them.
fn scores(tokens: &[String], merges: &[[&str; 2]]) -> Vec<f32> {
    let mut ranks: HashMap<String, usize> = HashMap::with_capacity(merges.len());
    for (rank, [left, right]) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    tokens.iter().map(|token| -(ranks.get(token).copied().unwrap_or(merges.len()) as f32)).collect()
}

/// Whether text gets a blank in front: by the normalizer, or by a metaspace pre-tokenizer.
fn prepends_blank(json: &Value) -> bool {
    let normalizer = json["normalizer"].to_string();
    let pre_tokenizer = &json["pre_tokenizer"];
    normalizer.contains("\"Prepend\"")
        || (pre_tokenizer.to_string().contains(META) && !pre_tokenizer.to_string().contains("\"never\""))
}

fn fill_special_ids(
    vocabulary: &mut GgufVocabulary,
    tokenizer: &Tokenizer,
    tokenizer_config: Option<&Value>,
    model: &Value,
) {
    let id = |field: &str| -> Option<u32> {
        let name = match tokenizer_config?.get(field)? {
            Value::Object(token) => token.get("content")?.as_str()?.to_string(),
            name => name.as_str()?.to_string(),
        };
        tokenizer.token_id(&name)
    };
    vocabulary.bos_id = id("bos_token");
    vocabulary.eos_id = id("eos_token");
    vocabulary.pad_id = id("pad_token");
    let unknown = model["unk_token"].as_str();
    vocabulary.unk_id = id("unk_token").or_else(|| unknown.and_then(|name| tokenizer.token_id(name)));
    vocabulary.add_bos = Some(!tokenizer.prefix().is_empty());
    if let Some(&first) = tokenizer.prefix().first() {
        vocabulary.bos_id = Some(first);
    }
    vocabulary.chat_template =
        tokenizer_config.and_then(|config| config.get("chat_template")).and_then(Value::as_str).map(str::to_string);
}

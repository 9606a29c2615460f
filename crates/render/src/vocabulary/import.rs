//! GGUF vocabulary → `tokenizer.json`.
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::pre_tokenizer::PreTokenizer;
use super::{GgufTokenizer, GgufVocabulary, TokenKind};
use crate::error::{RenderError, shortened};

/// The blank of SentencePiece.
pub(super) const META: &str = "▁";

/// Makes tokenizer.json and tokenizer_config.json of a GGUF vocabulary.
///
/// # Errors
/// The model or the pre-tokenizer isn't supported, or the fields contradict each other.
pub fn tokenizer_from_gguf(vocabulary: &GgufVocabulary) -> Result<GgufTokenizer, RenderError> {
    check(vocabulary)?;
    let tokenizer = match vocabulary.model.as_str() {
        "gpt2" => byte_level(vocabulary)?,
        "llama" => sentence_piece(vocabulary)?,
        other => {
            return Err(RenderError::VocabularyModel { found: other.to_string() });
        }
    };
    Ok(GgufTokenizer { tokenizer, tokenizer_config: tokenizer_config(vocabulary) })
}

fn check(vocabulary: &GgufVocabulary) -> Result<(), RenderError> {
    let n_tokens = vocabulary.tokens.len();
    let wrong = |field, expected: String, found: String| RenderError::Vocabulary { field, expected, found };
    if n_tokens == 0 {
        let expected = "at least one token".to_string();
        return Err(wrong("tokenizer.ggml.tokens", expected, "none".to_string()));
    }
    let n_types = vocabulary.token_types.len();
    if n_types != 0 && n_types != n_tokens {
        let expected = format!("{n_tokens} entries, one a token");
        return Err(wrong("tokenizer.ggml.token_type", expected, n_types.to_string()));
    }
    let ids = [
        ("tokenizer.ggml.bos_token_id", vocabulary.bos_id),
        ("tokenizer.ggml.eos_token_id", vocabulary.eos_id),
        ("tokenizer.ggml.padding_token_id", vocabulary.pad_id),
        ("tokenizer.ggml.unknown_token_id", vocabulary.unk_id),
    ];
    for (field, id) in ids {
        if let Some(id) = id.filter(|&id| id as usize >= n_tokens) {
            return Err(wrong(field, format!("an id below {n_tokens}"), id.to_string()));
        }
    }
    Ok(())
}

fn byte_level(vocabulary: &GgufVocabulary) -> Result<Value, RenderError> {
    let pre_tokenizer = PreTokenizer::by_name(vocabulary.pre.as_deref())?;
    let merges = merges(vocabulary)?;
    let bos_by_default = pre_tokenizer == PreTokenizer::Llama3;
    let byte_level = json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": false,
        "use_regex": true,
    });
    let post_processor = match affixes(vocabulary, bos_by_default) {
        Some(template) => json!({"type": "Sequence", "processors": [byte_level, template]}),
        None => byte_level.clone(),
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(vocabulary),
        "normalizer": match pre_tokenizer {
            PreTokenizer::Qwen2 => json!({"type": "NFC"}),
            _ => Value::Null,
        },
        "pre_tokenizer": pre_tokenizer.to_json(vocabulary.add_space_prefix == Some(true)),
        "post_processor": post_processor,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": pre_tokenizer == PreTokenizer::Llama3,
            "vocab": vocab(vocabulary),
            "merges": merges,
        },
    }))
}

/// The merges as pairs, each checked against the tokens.
fn merges(vocabulary: &GgufVocabulary) -> Result<Vec<[&str; 2]>, RenderError> {
    let known: HashSet<&str> = vocabulary.tokens.iter().map(String::as_str).collect();
    let mut whole = String::new();
    vocabulary
        .merges
        .iter()
        .enumerate()
        .map(|(merge_idx, merge)| {
            let wrong = || RenderError::Vocabulary {
                field: "tokenizer.ggml.merges",
                expected: "two tokens that make a third, with a blank between".to_string(),
                found: format!("{:?} (merge {merge_idx})", shortened(merge)),
            };
            let (left, right) = merge.split_once(' ').ok_or_else(wrong)?;
            whole.clear();
            whole.push_str(left);
            whole.push_str(right);
            if [left, right, whole.as_str()].iter().any(|part| !known.contains(part)) {
                return Err(wrong());
            }
            Ok([left, right])
        })
        .collect()
}

fn sentence_piece(vocabulary: &GgufVocabulary) -> Result<Value, RenderError> {
    let n_scores = vocabulary.scores.len();
    if n_scores != vocabulary.tokens.len() {
        return Err(RenderError::Vocabulary {
            field: "tokenizer.ggml.scores",
            expected: format!("{} entries, one a token", vocabulary.tokens.len()),
            found: n_scores.to_string(),
        });
    }
    let prefixed = vocabulary.add_space_prefix != Some(false);
    let mut normalizers = vec![json!({
        "type": "Replace", "pattern": {"String": " "}, "content": META,
    })];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": META}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefixed {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": META}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let unknown = vocabulary
        .unk_id
        .map(|id| id as usize)
        .or_else(|| (0..vocabulary.tokens.len()).find(|&id| vocabulary.kind(id) == TokenKind::Unknown));
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(vocabulary),
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null,
        "post_processor": affixes(vocabulary, true),
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown.map(|id| &vocabulary.tokens[id]),
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocab(vocabulary),
            "merges": merges_from_scores(vocabulary),
        },
    }))
}

/// SentencePiece merges, at each step, the neighbours that make the token with the best score.
/// So every way to cut a token into two tokens is a merge, ranked by the token's score; ties go
/// to the longer left part, then to the longer right one.
fn merges_from_scores(vocabulary: &GgufVocabulary) -> Vec<[&str; 2]> {
    let takes_part = |id: usize| matches!(vocabulary.kind(id), TokenKind::Normal | TokenKind::UserDefined);
    let ids: HashMap<&str, usize> = vocabulary
        .tokens
        .iter()
        .enumerate()
        .filter(|&(id, _)| takes_part(id))
        .map(|(id, token)| (token.as_str(), id))
        .collect();
    let mut merges: Vec<(f32, [&str; 2])> = Vec::new();
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        if !takes_part(id) {
            continue;
        }
        for (cut, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(cut);
            if ids.contains_key(left) && ids.contains_key(right) {
                merges.push((vocabulary.scores[id], [left, right]));
            }
        }
    }
    merges.sort_by(|(score_a, a), (score_b, b)| {
        score_b.total_cmp(score_a).then_with(|| b[0].len().cmp(&a[0].len())).then_with(|| b[1].len().cmp(&a[1].len()))
    });
    merges.into_iter().map(|(_, pair)| pair).collect()
}

/// Token → id. Of equal tokens the first counts; the others can't be said.
fn vocab(vocabulary: &GgufVocabulary) -> Map<String, Value> {
    let mut vocab = Map::with_capacity(vocabulary.tokens.len());
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        if !vocab.contains_key(token) {
            vocab.insert(token.clone(), json!(id));
        }
    }
    vocab
}

fn added_tokens(vocabulary: &GgufVocabulary) -> Vec<Value> {
    let mut seen = HashSet::new();
    vocabulary
        .tokens
        .iter()
        .enumerate()
        .filter(|&(id, token)| {
            let kind = vocabulary.kind(id);
            let added = matches!(kind, TokenKind::Control | TokenKind::Unknown | TokenKind::UserDefined);
            added && !token.is_empty() && seen.insert(token.as_str())
        })
        .map(|(id, token)| {
            json!({
                "id": id,
                "content": token,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": vocabulary.kind(id) != TokenKind::UserDefined,
            })
        })
        .collect()
}

/// The post-processor that adds BOS and EOS, if any is added.
fn affixes(vocabulary: &GgufVocabulary, bos_by_default: bool) -> Option<Value> {
    let chosen = |added: bool, id: Option<u32>| id.filter(|_| added).map(|id| id as usize);
    let bos = chosen(vocabulary.add_bos.unwrap_or(bos_by_default), vocabulary.bos_id);
    let eos = chosen(vocabulary.add_eos.unwrap_or(false), vocabulary.eos_id);
    if bos.is_none() && eos.is_none() {
        return None;
    }
    let special = |id: usize| json!({"SpecialToken": {"id": vocabulary.tokens[id], "type_id": 0}});
    let around = |sequence: &str| -> Vec<Value> {
        let middle = json!({"Sequence": {"id": sequence, "type_id": 0}});
        let parts = [bos.map(special), Some(middle), eos.map(special)];
        parts.into_iter().flatten().collect()
    };
    let mut special_tokens = Map::new();
    for id in bos.into_iter().chain(eos) {
        let token = &vocabulary.tokens[id];
        let entry = json!({"id": token, "ids": [id], "tokens": [token]});
        special_tokens.insert(token.clone(), entry);
    }
    Some(json!({
        "type": "TemplateProcessing",
        "single": around("A"),
        "pair": around("A").into_iter().chain(around("B")).collect::<Vec<_>>(),
        "special_tokens": special_tokens,
    }))
}

fn tokenizer_config(vocabulary: &GgufVocabulary) -> Value {
    let mut config = Map::new();
    config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
    config.insert("clean_up_tokenization_spaces".into(), json!(false));
    let named = [
        ("bos_token", vocabulary.bos_id),
        ("eos_token", vocabulary.eos_id),
        ("unk_token", vocabulary.unk_id),
        ("pad_token", vocabulary.pad_id),
    ];
    for (field, id) in named {
        if let Some(id) = id {
            config.insert(field.into(), json!(vocabulary.tokens[id as usize]));
        }
    }
    if let Some(template) = &vocabulary.chat_template {
        config.insert("chat_template".into(), json!(template));
    }
    Value::Object(config)
}

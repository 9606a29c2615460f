//! The `tokenizer.*` metadata of a GGUF file, to and from the renderer's vocabulary.

use crate::error::CommandError;
use model::weights::gguf::{Array, GgufFile, Value};
use render::GgufVocabulary;

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";
const TEMPLATE: &str = "tokenizer.chat_template";

/// Reads it; a field of another type than it should have is an error.
pub fn of_file(file: &GgufFile) -> Result<GgufVocabulary, CommandError> {
    let strings = |key: &str| read(file, key, "strings", |value| value.as_strings().map(<[String]>::to_vec));
    let text = |key: &str| read(file, key, "a string", |value| value.as_str().map(str::to_string));
    let id = |name: &str| read(file, &format!("tokenizer.ggml.{name}_token_id"), "a token id", Value::as_u32);
    let flag = |name: &str| read(file, &format!("tokenizer.ggml.{name}"), "true or false", Value::as_bool);
    let missing = |key: &str| CommandError::input(format!("{}: metadata `{key}` is missing", file.path().display()));
    Ok(GgufVocabulary {
        model: text(MODEL)?.ok_or_else(|| missing(MODEL))?,
        pre: text(PRE)?,
        tokens: strings(TOKENS)?.ok_or_else(|| missing(TOKENS))?,
        token_types: read(file, TYPES, "integers", Value::as_i32s)?.unwrap_or_default(),
        merges: strings(MERGES)?.unwrap_or_default(),
        scores: read(file, SCORES, "numbers", |value| value.as_f32s().map(<[f32]>::to_vec))?.unwrap_or_default(),
        bos_id: id("bos")?,
        eos_id: id("eos")?,
        pad_id: id("padding")?,
        unk_id: id("unknown")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        chat_template: text(TEMPLATE)?,
    })
}

fn read<T>(
    file: &GgufFile,
    key: &str,
    expected: &str,
    take: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, CommandError> {
    let Some(value) = file.metadata(key) else { return Ok(None) };
    let wrong = || {
        let found = value.type_name();
        CommandError::input(format!("{}: metadata `{key}`: found {found}, expected {expected}", file.path().display()))
    };
    take(value).ok_or_else(wrong).map(Some)
}

/// As metadata, in the order in which it is written.
pub fn to_metadata(vocabulary: &GgufVocabulary) -> Vec<(String, Value)> {
    let text = |key: &str, text: &Option<String>| text.clone().map(|text| (key.to_string(), Value::String(text)));
    let id = |name: &str, id: Option<u32>| id.map(|id| (format!("tokenizer.ggml.{name}_token_id"), Value::U32(id)));
    let flag = |name: &str, flag: Option<bool>| flag.map(|flag| (format!("tokenizer.ggml.{name}"), Value::Bool(flag)));
    let array = |key: &str, array: Option<Array>| array.map(|array| (key.to_string(), Value::Array(array)));
    let unless_empty = |empty: bool, array: Array| (!empty).then_some(array);
    let strings =
        |key: &str, texts: &[String]| array(key, unless_empty(texts.is_empty(), Array::String(texts.to_vec())));
    let types = unless_empty(vocabulary.token_types.is_empty(), Array::I32(vocabulary.token_types.clone()));
    let scores = unless_empty(vocabulary.scores.is_empty(), Array::F32(vocabulary.scores.clone()));
    [
        Some((MODEL.to_string(), Value::String(vocabulary.model.clone()))),
        text(PRE, &vocabulary.pre),
        strings(TOKENS, &vocabulary.tokens),
        array(TYPES, types),
        strings(MERGES, &vocabulary.merges),
        array(SCORES, scores),
        id("bos", vocabulary.bos_id),
        id("eos", vocabulary.eos_id),
        id("padding", vocabulary.pad_id),
        id("unknown", vocabulary.unk_id),
        flag("add_bos_token", vocabulary.add_bos),
        flag("add_eos_token", vocabulary.add_eos),
        flag("add_space_prefix", vocabulary.add_space_prefix),
        text(TEMPLATE, &vocabulary.chat_template),
    ]
    .into_iter()
    .flatten()
    .collect()
}

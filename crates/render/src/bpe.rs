//! Training a byte-level BPE tokenizer.
use serde_json::json;
use tokenizers::AddedToken;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::error::RenderError;
use crate::tokenizer::Tokenizer;

/// Trains a byte-level BPE vocabulary (Sennrich et al. 2016 on bytes, as GPT-2 has it) on texts:
/// each digit by itself, GPT-2's word boundaries, no BOS. `specials` get the first ids, in their
/// order, the 256 bytes the next ones, then the merges. Every text can be encoded and decoded
/// back. Equal texts in equal order give equal bytes.
///
/// # Errors
/// `vocab_size` has no room for the special tokens and the bytes.
pub fn train_bpe(
    texts: impl Iterator<Item = String> + Send,
    vocab_size: usize,
    specials: &[String],
) -> Result<Tokenizer, RenderError> {
    let smallest = specials.len() + 256;
    if vocab_size < smallest {
        return Err(RenderError::VocabularySize { found: vocab_size, smallest });
    }
    train(texts, vocab_size, specials)
        .map_err(|error| RenderError::Tokenizer { file: "training".to_string(), reason: error.to_string() })
        .and_then(|json| Tokenizer::from_json(json.as_bytes()))
}

fn train(
    texts: impl Iterator<Item = String> + Send,
    vocab_size: usize,
    specials: &[String],
) -> tokenizers::Result<String> {
    let untrained = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    });
    let mut library: tokenizers::Tokenizer = untrained.to_string().parse()?;
    let special_tokens = specials.iter().map(|name| AddedToken::from(name.as_str(), true)).collect();
    let trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special_tokens)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    library.train(&mut TrainerWrapper::from(trainer), texts)?;
    library.to_string(false)
}

#[cfg(test)]
mod tests;

//! Tiny models, the byte tokenizer, and what stubs of services share, for tests of other crates. Never a dependency of what
//! ships.
pub mod http;

use kernels::Device;
use kernels::linear::Precision;
use model::{Dtype, LoadOptions, Model, Trainable};
use serde_json::{Value, json};
use std::path::Path;
use stdx::seed::Seed;

/// Tokens of the byte tokenizer: 256 bytes, then `<|endoftext|>`, `<|im_start|>`, `<|im_end|>`, `<|pad|>`.
pub const VOCABULARY: usize = 260;
/// `<|endoftext|>`.
pub const END_OF_TEXT: u32 = 256;
/// `<|im_end|>`.
pub const END_OF_TURN: u32 = 258;
/// `<|pad|>`.
pub const PAD: u32 = 259;

/// `tokenizer.json` of a tokenizer that makes one token of each byte (byte-level BPE without merges).
pub fn byte_tokenizer() -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        (0..=255u8).map(|b| (byte_symbol(b).to_string(), json!(b))).collect();
    let special = |id: usize, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"];
    let added: Vec<Value> = names.iter().enumerate().map(|(i, name)| special(256 + i, name)).collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": []}
    })
}

/// The printable character that byte-level BPE writes for a byte (GPT-2's table).
fn byte_symbol(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let rank = (0..byte).filter(|b| !printable(*b)).count() as u32;
    char::from_u32(256 + rank).unwrap_or('?')
}

/// `config.json` of a two-layer Llama over the byte tokenizer's vocabulary.
pub fn tiny_config() -> Value {
    json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true, "initializer_range": 0.1, "dtype": "float32",
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "bos_token_id": null, "eos_token_id": [END_OF_TEXT, END_OF_TURN], "pad_token_id": PAD
    })
}

/// A tiny model in memory, its weights drawn from `seed`.
pub fn tiny_model(device: &Device, trainable: Trainable, precision: Precision, seed: u64) -> Model {
    let options = LoadOptions { precision, trainable, scalar_head: false };
    let mut stream = Seed(seed).stream("tiny model", 0);
    Model::random(device, tiny_config(), &options, &mut || stream.normal())
        .unwrap_or_else(|e| panic!("the tiny config is right: {e}"))
}

/// Writes a tiny model folder: weights, config, tokenizer and ChatML template.
///
/// # Panics
/// If the folder can't be written.
pub fn write_tiny_model(folder: &Path, seed: u64) {
    let write = |name: &str, value: &Value| {
        let path = folder.join(name);
        std::fs::write(&path, format!("{value:#}\n")).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    };
    let model = tiny_model(&Device::detect(Some(1)), Trainable::Nothing, Precision::F32, seed);
    model.save(folder, Dtype::F32).unwrap_or_else(|e| panic!("saving a tiny model: {e}"));
    write("tokenizer.json", &byte_tokenizer());
    let template = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}\
                    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    write(
        "tokenizer_config.json",
        &json!({"eos_token": "<|endoftext|>", "pad_token": "<|pad|>", "chat_template": template}),
    );
}

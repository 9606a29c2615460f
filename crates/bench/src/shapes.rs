//! Shapes of real models, with random weights.
use kernels::Device;
use kernels::linear::Precision;
use model::{Dtype, LoadOptions, Model, Trainable};
use serde_json::{Value, json};
use std::path::Path;

/// SmolLM2-135M: 30 layers, width 576, 9 heads, 3 key/value heads, vocabulary 49,152, tied.
pub fn smollm2_135m() -> Value {
    json!({"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "rope_theta": 100000.0, "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"})
}

/// Qwen2-1.5B: 28 layers, width 1536, 12 heads, 2 key/value heads, vocabulary 151,936, tied.
pub fn qwen2_1_5b() -> Value {
    json!({"model_type": "qwen2", "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 2, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "hidden_act": "silu",
        "rope_theta": 1000000.0, "tie_word_embeddings": true, "use_sliding_window": false, "eos_token_id": 151643})
}

/// A model of a shape; uniform weights of the usual deviation, from a cheap generator.
pub fn random(device: &Device, config: Value, options: &LoadOptions) -> Model {
    let mut state = 1u64;
    let mut number = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        3.46 * ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
    };
    Model::random(device, config, options, &mut number).unwrap_or_else(|e| panic!("the shape is right: {e}"))
}

/// Writes a model folder of the SmolLM2-135M shape in f32.
pub fn write(device: &Device, folder: &Path) -> Value {
    let options = LoadOptions { precision: Precision::F32, trainable: Trainable::Nothing, scalar_head: false };
    std::fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    random(device, smollm2_135m(), &options).save(folder, Dtype::F32).unwrap_or_else(|e| panic!("{e}"));
    json!({"written": folder.display().to_string()})
}

//! `config.json` out of a GGUF's metadata.
use super::names::GgufArchitecture;
use super::{GgufFile, Value as Metadata};
use crate::ModelError;
use crate::weights::{invalid, unsupported};
use serde_json::{Map, Value, json};

/// The tensor of factors by which rotary frequencies are divided (Llama 3.1's scaling).
pub(super) const ROTARY_FACTORS: &str = "rope_freqs.weight";

/// `config.json` as `transformers` would write it.
pub(super) fn from_metadata(file: &GgufFile, architecture: GgufArchitecture, tied: bool) -> Result<Value, ModelError> {
    let keys = Keys { file, architecture };
    keys.refuse_what_changes_the_numbers()?;
    let mut config = match architecture {
        GgufArchitecture::Gpt2 => gpt2(&keys)?,
        GgufArchitecture::GptNeoX => gpt_neox(&keys)?,
        _ => llama_like(&keys)?,
    };
    config.insert("vocab_size".to_string(), json!(keys.vocabulary()?));
    config.insert("tie_word_embeddings".to_string(), json!(tied));
    config.insert("torch_dtype".to_string(), json!("float32"));
    special_tokens(file, &mut config);
    Ok(Value::Object(config))
}

/// Heads of queries, and of keys and values.
pub(super) fn head_counts(file: &GgufFile, architecture: GgufArchitecture) -> Result<(usize, usize), ModelError> {
    let keys = Keys { file, architecture };
    let n_heads = keys.size("attention.head_count")?;
    Ok((n_heads, keys.optional_size("attention.head_count_kv")?.unwrap_or(n_heads)))
}

fn llama_like(keys: &Keys) -> Result<Map<String, Value>, ModelError> {
    let (model_type, class) = match keys.architecture {
        GgufArchitecture::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
        GgufArchitecture::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
        _ => ("llama", "LlamaForCausalLM"),
    };
    let head_dim = keys.head_dim()?;
    keys.expect_rotated(head_dim)?;
    let (n_heads, n_kv_heads) = head_counts(keys.file, keys.architecture)?;
    let theta = keys.decimal("rope.freq_base")?.unwrap_or(10_000.0);
    let mut config = object(json!({
        "architectures": [class], "model_type": model_type, "hidden_act": "silu",
        "hidden_size": keys.size("embedding_length")?, "intermediate_size": keys.size("feed_forward_length")?,
        "num_hidden_layers": keys.size("block_count")?, "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads, "head_dim": head_dim, "max_position_embeddings": keys.size("context_length")?,
        "rms_norm_eps": keys.epsilon("attention.layer_norm_rms_epsilon")?, "rope_theta": theta,
    }));
    if let Some(scaling) = keys.rotary_scaling(theta, head_dim)? {
        config.insert("rope_scaling".to_string(), scaling);
    }
    match keys.architecture {
        GgufArchitecture::Qwen2 => {
            config.insert("use_sliding_window".to_string(), json!(false));
        }
        architecture => {
            config.insert("attention_bias".to_string(), json!(keys.file.tensor("blk.0.attn_q.bias").is_some()));
            if architecture == GgufArchitecture::Llama {
                config.insert("mlp_bias".to_string(), json!(keys.file.tensor("blk.0.ffn_up.bias").is_some()));
            }
        }
    }
    Ok(config)
}

fn gpt2(keys: &Keys) -> Result<Map<String, Value>, ModelError> {
    let n_positions = keys.size("context_length")?;
    Ok(object(json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
        "n_embd": keys.size("embedding_length")?, "n_inner": keys.size("feed_forward_length")?,
        "n_layer": keys.size("block_count")?, "n_head": keys.size("attention.head_count")?,
        "n_positions": n_positions, "n_ctx": n_positions,
        "layer_norm_epsilon": keys.epsilon("attention.layer_norm_epsilon")?,
    })))
}

fn gpt_neox(keys: &Keys) -> Result<Map<String, Value>, ModelError> {
    let head_dim = keys.head_dim()?;
    let rotated = keys.optional_size("rope.dimension_count")?.unwrap_or(head_dim);
    if rotated > head_dim {
        let key = keys.name("rope.dimension_count");
        return Err(
            keys.invalid(format!("metadata `{key}` is {rotated}, expected at most the head's width {head_dim}"))
        );
    }
    let theta = keys.decimal("rope.freq_base")?.unwrap_or(10_000.0);
    let parallel = keys.get("use_parallel_residual").and_then(Metadata::as_bool).unwrap_or(true);
    let mut config = object(json!({
        "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_act": "gelu",
        "hidden_size": keys.size("embedding_length")?, "intermediate_size": keys.size("feed_forward_length")?,
        "num_hidden_layers": keys.size("block_count")?, "num_attention_heads": keys.size("attention.head_count")?,
        "max_position_embeddings": keys.size("context_length")?, "rotary_pct": share(rotated, head_dim),
        "rotary_emb_base": theta, "use_parallel_residual": parallel,
        "layer_norm_eps": keys.epsilon("attention.layer_norm_epsilon")?,
        "attention_bias": keys.file.tensor("blk.0.attn_qkv.bias").is_some(),
    }));
    if let Some(scaling) = keys.rotary_scaling(theta, rotated)? {
        config.insert("rope_scaling".to_string(), scaling);
    }
    Ok(config)
}

/// A share of which `trunc(share · head_dim)` is `rotated`, as `transformers` computes it.
fn share(rotated: usize, head_dim: usize) -> f64 {
    let share = rotated as f64 / head_dim as f64;
    if (share * head_dim as f64) as usize == rotated { share } else { share.next_up() }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The ids that begin, end and pad a text. A second token that ends a turn joins the first.
fn special_tokens(file: &GgufFile, config: &mut Map<String, Value>) {
    let id = |key: &str| file.metadata(&format!("tokenizer.ggml.{key}_token_id")).and_then(Metadata::as_u32);
    let end = match (id("eos"), id("eot")) {
        (Some(eos), Some(eot)) if eos != eot => json!([eos, eot]),
        (eos, eot) => json!(eos.or(eot)),
    };
    config.insert("bos_token_id".to_string(), json!(id("bos")));
    config.insert("eos_token_id".to_string(), end);
    config.insert("pad_token_id".to_string(), json!(id("padding")));
}

/// Typed access to `ARCHITECTURE.key`, with errors that name the key, what was found and what was expected.
struct Keys<'a> {
    file: &'a GgufFile,
    architecture: GgufArchitecture,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.name())
    }
    fn get(&self, key: &str) -> Option<&Metadata> {
        self.file.metadata(&self.name(key))
    }
    fn invalid(&self, message: String) -> ModelError {
        invalid(&self.file.path, message)
    }
    fn unsupported(&self, feature: String) -> ModelError {
        unsupported(&self.file.path, feature)
    }
    fn size(&self, key: &str) -> Result<usize, ModelError> {
        self.optional_size(key)?.ok_or_else(|| self.invalid(format!("metadata `{}` is missing", self.name(key))))
    }
    fn optional_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(Metadata::Array(_)) => Err(self.unsupported(format!("`{}` for each layer", self.name(key)))),
            Some(value) => {
                match value.as_u32() {
                    Some(n) if (1..1 << 31).contains(&n) => Ok(Some(n as usize)),
                    _ => Err(self
                        .invalid(format!("metadata `{}` is {value:?}, expected a positive integer", self.name(key)))),
                }
            }
        }
    }
    /// A positive number; the decimal that an f32 stands for (1e-5 and not 9.999999747e-6).
    fn decimal(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_f32().filter(|x| x.is_finite() && *x > 0.0) {
                Some(x) => Ok(Some(x.to_string().parse().unwrap_or(f64::from(x)))),
                None => {
                    Err(self.invalid(format!("metadata `{}` is {value:?}, expected a positive number", self.name(key))))
                }
            },
        }
    }
    fn epsilon(&self, key: &str) -> Result<f64, ModelError> {
        self.decimal(key)?.ok_or_else(|| self.invalid(format!("metadata `{}` is missing", self.name(key))))
    }
    fn head_dim(&self) -> Result<usize, ModelError> {
        let (width, n_heads) = (self.size("embedding_length")?, self.size("attention.head_count")?);
        let key_length = self.optional_size("attention.key_length")?;
        let head_dim = match key_length {
            Some(n) => n,
            None if width.is_multiple_of(n_heads) => width / n_heads,
            None => return Err(self.invalid(format!("width {width} is no multiple of {n_heads} heads"))),
        };
        match self.optional_size("attention.value_length")? {
            Some(n) if n != head_dim => {
                Err(self
                    .unsupported(format!("`{}` {n} beside keys of {head_dim}", self.name("attention.value_length"))))
            }
            _ => Ok(head_dim),
        }
    }
    fn expect_rotated(&self, head_dim: usize) -> Result<(), ModelError> {
        match self.optional_size("rope.dimension_count")? {
            Some(n) if n != head_dim => {
                Err(self.unsupported(format!("`{}` {n} of {head_dim}", self.name("rope.dimension_count"))))
            }
            _ => Ok(()),
        }
    }
    /// The rows of the embedding, which hold at least the tokens.
    fn vocabulary(&self) -> Result<usize, ModelError> {
        let embedding = self.file.tensor("token_embd.weight").filter(|info| info.shape.len() == 2);
        let embedding = embedding.ok_or_else(|| self.invalid("tensor `token_embd.weight` is missing".to_string()))?;
        let n_rows = embedding.shape[0];
        match self.file.metadata("tokenizer.ggml.tokens").and_then(Metadata::as_strings) {
            Some(tokens) if tokens.len() > n_rows => {
                let n = tokens.len();
                Err(self.invalid(format!("`tokenizer.ggml.tokens` has {n} tokens, `token_embd.weight` {n_rows} rows")))
            }
            _ => Ok(n_rows),
        }
    }
    fn refuse_what_changes_the_numbers(&self) -> Result<(), ModelError> {
        if self.optional_count("expert_count")? > 0 {
            return Err(self.unsupported(format!("mixture of experts (`{}`)", self.name("expert_count"))));
        }
        let n_files = self.file.metadata("split.count").and_then(Metadata::as_u32).unwrap_or(1);
        if n_files > 1 {
            return Err(self.unsupported(format!("a model in {n_files} files (`split.count`)")));
        }
        for key in ["attention.scale", "residual_scale", "embedding_scale", "logit_scale", "attention.sliding_window"] {
            let is_off = self.get(key).is_none_or(|v| v.as_u64() == Some(0) || v.as_f32() == Some(0.0));
            if !is_off {
                return Err(self.unsupported(format!("`{}`", self.name(key))));
            }
        }
        Ok(())
    }
    fn optional_count(&self, key: &str) -> Result<u32, ModelError> {
        match self.get(key) {
            None => Ok(0),
            Some(value) => value.as_u32().ok_or_else(|| {
                self.invalid(format!("metadata `{}` is {value:?}, expected an integer", self.name(key)))
            }),
        }
    }
    /// `rope_scaling`, from the metadata or from the tensor of factors.
    fn rotary_scaling(&self, theta: f64, rotated: usize) -> Result<Option<Value>, ModelError> {
        let factor = self.decimal("rope.scaling.factor")?.or(self.decimal("rope.scale_linear")?);
        let kind = self.get("rope.scaling.type").and_then(Metadata::as_str);
        let linear = match (kind, factor) {
            (None | Some("linear"), Some(factor)) if factor != 1.0 => {
                Some(json!({"rope_type": "linear", "factor": factor}))
            }
            (None | Some("none" | "linear"), _) => None,
            (Some(other), _) => return Err(self.unsupported(format!("rotary scaling `{other}`"))),
        };
        match (linear, self.file.tensor(ROTARY_FACTORS)) {
            (linear, None) => Ok(linear),
            (None, Some(info)) if info.shape == [rotated / 2] => {
                let mut factors = vec![0.0; rotated / 2];
                self.file.read_tensor(ROTARY_FACTORS, &mut factors)?;
                match llama3_scaling(theta, &factors) {
                    Some(scaling) => Ok(scaling),
                    None => {
                        Err(self.unsupported(format!("tensor `{ROTARY_FACTORS}` with other than Llama 3's factors")))
                    }
                }
            }
            (_, Some(info)) => {
                let shape = &info.shape;
                Err(self.invalid(format!("tensor `{ROTARY_FACTORS}` has shape {shape:?}, expected [{}]", rotated / 2)))
            }
        }
    }
}

/// The scaling of Llama 3.1 (low factor 1, high factor 4) whose factors these are; `Some(None)` when all are one, `None` when
/// there is no such scaling.
fn llama3_scaling(theta: f64, factors: &[f32]) -> Option<Option<Value>> {
    let largest = factors.iter().copied().fold(1.0f32, f32::max);
    if factors.iter().all(|f| *f == 1.0) {
        return Some(None);
    }
    let frequency = |i: usize| theta.powf(-(i as f64) / factors.len() as f64);
    let is_right = |original: f64| {
        factors.iter().enumerate().all(|(i, found)| {
            let expected = llama3_factor(frequency(i), f64::from(largest), 1.0, 4.0, original);
            (f64::from(*found) - expected).abs() < 1e-4 * expected
        })
    };
    let original = (4..=20).map(|exponent| 1u32 << exponent).find(|n| is_right(f64::from(*n)))?;
    Some(Some(json!({
        "rope_type": "llama3", "factor": largest, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": original,
    })))
}

/// What a frequency is divided by: 1 for short waves, `factor` for long ones, between them a mean of the reciprocals.
fn llama3_factor(frequency: f64, factor: f64, low: f64, high: f64, original: f64) -> f64 {
    let turns = original * frequency / std::f64::consts::TAU;
    let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
    1.0 / ((1.0 - smooth) / factor + smooth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_3_scaling_is_recognised_by_its_factors() {
        // Llama 3.2: theta 500,000, 64 rotated, factor 32, context 8192 before.
        let factors: Vec<f32> = (0..32)
            .map(|i| llama3_factor(500_000f64.powf(-f64::from(i) / 32.0), 32.0, 1.0, 4.0, 8192.0) as f32)
            .collect();
        assert_eq!((factors[0], factors[31]), (1.0, 32.0));
        let scaling = llama3_scaling(500_000.0, &factors).flatten().expect("is recognised");
        assert_eq!((&scaling["factor"], &scaling["original_max_position_embeddings"]), (&json!(32.0), &json!(8192)));
        let mut other = factors.clone();
        other[20] += 0.5;
        assert_eq!(llama3_scaling(500_000.0, &other), None);
        assert_eq!(llama3_scaling(500_000.0, &[1.0; 32]), Some(None));
    }

    #[test]
    fn a_share_gives_the_rotated_width_back() {
        for head_dim in 1..300 {
            for rotated in 1..=head_dim {
                assert_eq!((share(rotated, head_dim) * head_dim as f64) as usize, rotated);
            }
        }
    }
}

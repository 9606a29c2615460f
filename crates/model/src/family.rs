//! Model families: how each reads its `config.json` and names its tensors.
//!
//! To add one: write `family/NAME.rs` and add its line to [`FAMILIES`]. The forward and backward passes follow the
//! [`Architecture`] a family returns, so a family holds no arithmetic.
use crate::ModelError;
use crate::architecture::Architecture;
use crate::config::Fields;

mod gpt2;
mod gpt_neox;
mod llama;
mod qwen2;
mod qwen3;

/// Every family Helpmate knows.
pub(crate) const FAMILIES: &[&dyn Family] =
    &[&llama::Llama, &qwen2::Qwen2, &qwen3::Qwen3, &gpt2::Gpt2, &gpt_neox::GptNeoX];

/// A part of the model that has tensors of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Embedding,
    Positions,
    AttentionNorm,
    Query,
    Key,
    Value,
    /// Query, key and value in one tensor.
    QueryKeyValue,
    QueryNorm,
    KeyNorm,
    Output,
    MlpNorm,
    Gate,
    Up,
    Down,
    FinalNorm,
    LmHead,
    ScalarHead,
}

/// One family.
pub(crate) trait Family: Sync {
    /// `model_type` values it reads.
    fn model_types(&self) -> &'static [&'static str];
    /// Reads the description; refuses by name what the passes don't do.
    fn architecture(&self, fields: &Fields) -> Result<Architecture, ModelError>;
    /// The module's name in the file, `{}` standing for the layer; `.weight` or `.bias` follows.
    /// Only asked for slots that the architecture has.
    fn name(&self, slot: Slot) -> &'static str;
    /// Class prefix of `architectures` in `config.json` (`Llama` of `LlamaForCausalLM`).
    fn class(&self) -> &'static str;
}

/// The family of a `model_type`.
pub(crate) fn find(fields: &Fields) -> Result<&'static dyn Family, ModelError> {
    let model_type = fields.text("model_type").ok_or_else(|| fields.invalid("`model_type` is missing".to_string()))?;
    FAMILIES.iter().copied().find(|f| f.model_types().contains(&model_type)).ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().flat_map(|f| f.model_types()).copied().collect();
        fields.unsupported(format!("`model_type` \"{model_type}\" (known: {})", known.join(", ")))
    })
}

/// The sizes that Llama-like configs share. Refuses experts and a sliding window in use.
pub(crate) struct CommonSizes {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub head_dim: usize,
    pub intermediate_size: usize,
    pub max_position: usize,
}

impl CommonSizes {
    pub fn read(fields: &Fields) -> Result<CommonSizes, ModelError> {
        for experts in ["num_experts", "num_local_experts", "n_routed_experts"] {
            if fields.optional_size(experts)?.is_some_and(|n| n > 1) {
                return Err(fields.unsupported(format!("mixture of experts (`{experts}`)")));
            }
        }
        let (hidden_size, n_heads) = (fields.size("hidden_size")?, fields.size("num_attention_heads")?);
        let head_dim = match fields.optional_size("head_dim")? {
            Some(n) => n,
            None if hidden_size.is_multiple_of(n_heads) => hidden_size / n_heads,
            None => {
                return Err(fields.invalid(format!(
                    "`hidden_size` {hidden_size} is not a multiple of `num_attention_heads` {n_heads}"
                )));
            }
        };
        let max_position = fields.size("max_position_embeddings")?;
        refuse_sliding_window(fields, max_position)?;
        Ok(CommonSizes {
            vocab_size: fields.size("vocab_size")?,
            hidden_size,
            n_layers: fields.size("num_hidden_layers")?,
            n_heads,
            n_kv_heads: fields.optional_size("num_key_value_heads")?.unwrap_or(n_heads),
            head_dim,
            intermediate_size: fields.size("intermediate_size")?,
            max_position,
        })
    }
}

/// A window shorter than the context changes the numbers; one that is switched off or never reached doesn't.
fn refuse_sliding_window(fields: &Fields, max_position: usize) -> Result<(), ModelError> {
    let used = fields.flag("use_sliding_window", true)?;
    match fields.optional_size("sliding_window")? {
        Some(window) if used && window < max_position => Err(fields
            .unsupported(format!("a sliding attention window (`sliding_window` = {window}, context {max_position})"))),
        _ => Ok(()),
    }
}

/// Refuses any activation but those named.
pub(crate) fn expect_activation(fields: &Fields, field: &str, known: &[&str]) -> Result<(), ModelError> {
    match fields.text(field) {
        None => Ok(()),
        Some(found) if known.contains(&found) => Ok(()),
        Some(found) => {
            Err(fields.unsupported(format!("activation `{field}` = \"{found}\" (known: {})", known.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_model_type_has_a_fixture_with_pytorch_gradients() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families");
        for model_type in FAMILIES.iter().flat_map(|f| f.model_types()) {
            let expected = fixtures.join(model_type).join("expected.safetensors");
            assert!(expected.is_file(), "family `{model_type}` has no fixture; add it to xtask/fixtures/families.py");
        }
    }

    #[test]
    fn model_types_are_unique() {
        let mut all: Vec<&str> = FAMILIES.iter().flat_map(|f| f.model_types()).copied().collect();
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    fn refusal(change: serde_json::Value) -> String {
        let mut config = serde_json::json!({"model_type": "llama", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16, "hidden_act": "silu"});
        let object = config.as_object_mut().expect("an object");
        object.extend(change.as_object().expect("an object").clone());
        let fields = Fields { json: &config, path: Path::new("config.json") };
        let checked = find(&fields).and_then(|f| f.architecture(&fields)).and_then(|a| a.check(&fields));
        checked.expect_err("this config is refused").to_string()
    }

    #[test]
    fn what_the_passes_do_not_do_is_refused_by_name() {
        let check = |change, expected: &str| {
            let message = refusal(change);
            assert!(message.contains(expected), "{message:?} does not mention {expected:?}");
        };
        check(serde_json::json!({"model_type": "mamba"}), "`model_type` \"mamba\"");
        check(serde_json::json!({"hidden_act": "relu"}), "`hidden_act` = \"relu\"");
        check(serde_json::json!({"sliding_window": 4}), "sliding attention window");
        check(serde_json::json!({"num_local_experts": 8}), "mixture of experts");
        check(serde_json::json!({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}), "rotary scaling `yarn`");
        check(serde_json::json!({"num_key_value_heads": 3}), "not a multiple");
        check(serde_json::json!({"head_dim": 2147483646}), "rotated width of a head");
        check(serde_json::json!({"hidden_size": -3}), "`hidden_size`: expected a positive integer, found -3");
        check(serde_json::json!({"vocab_size": "many"}), "`vocab_size`: expected a positive integer, found \"many\"");
        check(serde_json::json!({"hidden_size": 2147483646, "vocab_size": 2147483647, "head_dim": 64}), "10¹²");
    }
}

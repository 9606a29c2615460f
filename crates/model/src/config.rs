//! `config.json`, read as transformers 4 and 5 write it.
/// What the rest of Helpmate may know about a model. (Families keep the details to themselves.)
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// `model_type`.
    pub model_type: String,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width.
    pub hidden_size: usize,
    /// Layers.
    pub n_layers: usize,
    /// Longest position + 1 the model was made for.
    pub max_position: usize,
    /// Every id that ends a text.
    pub eos_token_ids: Vec<u32>,
    /// The id that begins one.
    pub bos_token_id: Option<u32>,
    /// Padding.
    pub pad_token_id: Option<u32>,
    /// The file as read, unknown fields and all.
    pub json: serde_json::Value,
}

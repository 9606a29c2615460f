//! What a decoder is made of, as a family reads it out of `config.json`: the one description that the forward and
//! backward passes follow, so that a new family is a description and not another pass.
use crate::ModelError;
use crate::config::Fields;
use kernels::activation::Gelu;
use kernels::rotary::RotaryTable;

/// Root-mean-square or mean-and-variance normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norm {
    Rms,
    Layer,
}

/// The feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mlp {
    /// down(silu(gate(x)) · up(x)).
    SwiGlu,
    /// down(gelu(up(x))).
    Gelu(Gelu),
}

/// How the query, key and value weights lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QkvLayout {
    /// Three tensors `[out, in]`.
    Separate,
    /// One tensor, queries then keys then values.
    Fused,
    /// One tensor; for each head its query, key and value rows in turn (GPT-NeoX).
    FusedPerHead,
}

/// A decoder-only transformer.
#[derive(Clone, Debug)]
pub(crate) struct Architecture {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub head_dim: usize,
    pub intermediate_size: usize,
    pub max_position: usize,
    pub norm: Norm,
    pub norm_epsilon: f32,
    /// Inverse frequencies of the rotated pairs, and a factor on cos and sin; `None` with learned positions.
    pub rotary: Option<Vec<f64>>,
    pub learned_positions: bool,
    pub qkv_layout: QkvLayout,
    /// Linear weights lie as `[in, out]` in the file (GPT-2's Conv1D).
    pub conv1d: bool,
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub mlp_bias: bool,
    /// RMSNorm on each head's query and key before rotation (Qwen3).
    pub qk_norm: bool,
    pub mlp: Mlp,
    /// Attention and feed-forward read the same residual (GPT-NeoX).
    pub parallel_residual: bool,
    pub tied: bool,
    pub initializer_range: f32,
}

impl Architecture {
    pub fn query_width(&self) -> usize {
        self.n_heads * self.head_dim
    }
    pub fn key_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
    pub fn qkv_width(&self) -> usize {
        self.query_width() + 2 * self.key_width()
    }
    /// Outputs of the feed-forward's first linear.
    pub fn up_width(&self) -> usize {
        match self.mlp {
            Mlp::SwiGlu => 2 * self.intermediate_size,
            Mlp::Gelu(_) => self.intermediate_size,
        }
    }
    /// cos and sin for positions `0..n_positions`, computed in f64.
    pub fn rotary_table(&self, n_positions: usize) -> Option<RotaryTable> {
        let frequencies = self.rotary.as_ref()?;
        let angles = (0..n_positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        let (cos, sin) = angles.map(|a| (a.cos() as f32, a.sin() as f32)).unzip();
        Some(RotaryTable { rotary_dim: 2 * frequencies.len(), cos, sin })
    }
    /// Sizes that must fit together whatever the family.
    pub fn check(&self, fields: &Fields) -> Result<(), ModelError> {
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            return Err(fields.invalid(format!(
                "`num_attention_heads` {} is not a multiple of `num_key_value_heads` {}",
                self.n_heads, self.n_kv_heads
            )));
        }
        if self.rotary.as_ref().is_some_and(|f| 2 * f.len() > self.head_dim) {
            return Err(fields.invalid(format!("the rotated width exceeds the head's width {}", self.head_dim)));
        }
        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            return Err(fields
                .invalid(format!("the norm's epsilon is {}, expected a small positive number", self.norm_epsilon)));
        }
        let limit = 1usize << 40;
        let sizes = [self.vocab_size, self.qkv_width().max(self.up_width()).saturating_mul(self.n_layers)];
        if sizes.iter().any(|s| s.saturating_mul(self.hidden_size) > limit) {
            return Err(fields.invalid("the sizes describe a model of more than 10¹² parameters".to_string()));
        }
        Ok(())
    }
}

/// No head is wider; a file that says so is checked before anything is allocated by its word.
const ROTARY_DIM_MAX: usize = 1 << 16;

/// Inverse frequencies of rotary embedding over `rotary_dim` elements, with the scaling the config asks for.
/// `transformers` 4 writes `rope_theta` and `rope_scaling`, 5 writes `rope_parameters`.
pub(crate) fn rotary_frequencies(
    fields: &Fields,
    rotary_dim: usize,
    default_theta: f64,
) -> Result<Vec<f64>, ModelError> {
    if rotary_dim > ROTARY_DIM_MAX {
        return Err(
            fields.invalid(format!("the rotated width of a head is {rotary_dim}, expected at most {ROTARY_DIM_MAX}"))
        );
    }
    if !rotary_dim.is_multiple_of(2) {
        return Err(fields.invalid(format!("the rotated width {rotary_dim} is odd")));
    }
    let parameters = fields.object("rope_parameters").or(fields.object("rope_scaling"));
    let empty = serde_json::Value::Null;
    let scaling = Fields { json: parameters.unwrap_or(&empty), path: fields.path };
    let theta = scaling.number("rope_theta", fields.number("rope_theta", default_theta)?)?;
    if theta <= 0.0 {
        return Err(fields.invalid(format!("`rope_theta` is {theta}, expected a positive number")));
    }
    let plain = (0..rotary_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / rotary_dim as f64));
    match scaling.text("rope_type").or(scaling.text("type")).unwrap_or("default") {
        "default" => Ok(plain.collect()),
        "linear" => {
            let factor = positive(&scaling, "factor")?;
            Ok(plain.map(|f| f / factor).collect())
        }
        "llama3" => {
            let factor = positive(&scaling, "factor")?;
            let (low, high) = (positive(&scaling, "low_freq_factor")?, positive(&scaling, "high_freq_factor")?);
            let original = positive(&scaling, "original_max_position_embeddings")?;
            Ok(plain.map(|f| llama3_frequency(f, factor, low, high, original)).collect())
        }
        other => Err(fields.unsupported(format!("rotary scaling `{other}`"))),
    }
}

fn positive(fields: &Fields, name: &str) -> Result<f64, ModelError> {
    let value = fields.number(name, f64::NAN)?;
    if value > 0.0 {
        Ok(value)
    } else {
        Err(fields.invalid(format!("rotary scaling: `{name}` is missing or not positive")))
    }
}

/// Llama 3.1's scaling: long wavelengths are stretched by `factor`, short ones kept, those between interpolated.
fn llama3_frequency(frequency: f64, factor: f64, low: f64, high: f64, original: f64) -> f64 {
    let wavelength = std::f64::consts::TAU / frequency;
    if wavelength < original / high {
        frequency
    } else if wavelength > original / low {
        frequency / factor
    } else {
        let smooth = (original / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

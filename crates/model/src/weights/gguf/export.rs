//! A model as a GGUF that `llama.cpp` loads.
use super::Value;
use super::block::TensorType;
use super::config::ROTARY_FACTORS;
use super::names::{GgufArchitecture, Layout, Module, Order};
use super::write::{Planned, write_file};
use crate::architecture::{Architecture, Norm};
use crate::config::{Fields, nowhere};
use crate::weights::{TensorSource, invalid, quoted, unsupported};
use crate::{ModelError, family};
use std::collections::BTreeSet;
use std::path::Path;

/// What matrices are written as. Vectors, norms and GPT-2's positions are always F32, as `llama.cpp` expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteType {
    /// 32-bit floating point.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16.
    Bf16,
    /// Eight bits and a scale for every 32; rows that are no multiple of 32 long become F16.
    Q8_0,
}

impl WriteType {
    /// ggml's number for a file of mostly this type (`general.file_type`).
    fn file_type(self) -> u32 {
        match self {
            WriteType::F32 => 0,
            WriteType::F16 => 1,
            WriteType::Q8_0 => 7,
            WriteType::Bf16 => 32,
        }
    }
    fn tensor_type(self, name: &str, shape: &[usize]) -> TensorType {
        if shape.len() < 2 || name.ends_with("_norm.weight") || name == "position_embd.weight" {
            return TensorType::F32;
        }
        match self {
            WriteType::F32 => TensorType::F32,
            WriteType::F16 => TensorType::F16,
            WriteType::Bf16 => TensorType::BF16,
            WriteType::Q8_0 if shape.last().is_some_and(|row| row.is_multiple_of(32)) => TensorType::Q8_0,
            WriteType::Q8_0 => TensorType::F16,
        }
    }
}

/// Writes a GGUF: `config` is `config.json`'s content, `tokenizer` the `tokenizer.*` metadata, `tensors` the weights under
/// `transformers`' names. The same input gives the same bytes; the file is complete or absent.
///
/// A scalar head, or any tensor that `llama.cpp` has no place for, is refused by its name.
pub fn write(
    path: &Path,
    config: &serde_json::Value,
    tokenizer: &[(String, Value)],
    tensors: &dyn TensorSource,
    write_type: WriteType,
) -> Result<(), ModelError> {
    let origin = nowhere();
    let fields = Fields { json: config, path: &origin };
    let architecture = family::find(&fields)?.architecture(&fields)?;
    architecture.check(&fields)?;
    let model_type = fields.text("model_type").unwrap_or_default();
    let gguf_architecture = GgufArchitecture::from_model_type(path, model_type)?;
    let exporter =
        Exporter { path, fields: &fields, architecture: &architecture, gguf_architecture, tensors, write_type };
    exporter.check_tokenizer(tokenizer)?;
    let mut metadata = exporter.metadata()?;
    metadata.extend_from_slice(tokenizer);
    let (mut planned, sources) = exporter.plan()?;
    let factors = exporter.rotary_factors()?;
    if let Some(factors) = &factors {
        planned.push(Planned {
            name: ROTARY_FACTORS.to_string(),
            shape: vec![factors.len()],
            tensor_type: TensorType::F32,
        });
    }
    let mut values = Vec::new();
    write_file(path, &metadata, &planned, &mut |idx, out| match (sources.get(idx), &factors) {
        (Some(source), _) => source.read(tensors, &mut values, out),
        (None, Some(factors)) => {
            out.copy_from_slice(factors);
            Ok(())
        }
        (None, None) => Ok(()),
    })
}

/// Where a tensor's values come from.
struct Source {
    /// As the `TensorSource` has it.
    name: String,
    /// As in `transformers`.
    shape: Vec<usize>,
    layout: Layout,
}

impl Source {
    fn read(&self, tensors: &dyn TensorSource, scratch: &mut Vec<f32>, out: &mut [f32]) -> Result<(), ModelError> {
        if self.layout == Layout::Same {
            return tensors.read(&self.name, out);
        }
        scratch.resize(out.len(), 0.0);
        tensors.read(&self.name, scratch)?;
        self.layout.to_gguf(&self.shape, scratch, out);
        Ok(())
    }
}

struct Exporter<'a> {
    path: &'a Path,
    fields: &'a Fields<'a>,
    architecture: &'a Architecture,
    gguf_architecture: GgufArchitecture,
    tensors: &'a dyn TensorSource,
    write_type: WriteType,
}

impl Exporter<'_> {
    fn invalid(&self, message: String) -> ModelError {
        invalid(self.path, message)
    }

    /// `llama.cpp` takes the number of tokens for the rows of the embedding.
    fn check_tokenizer(&self, tokenizer: &[(String, Value)]) -> Result<(), ModelError> {
        let rows = self.architecture.vocab_size;
        for (key, value) in tokenizer {
            if !key.starts_with("tokenizer.") {
                return Err(self.invalid(format!("metadata {}: expected a key under `tokenizer.`", quoted(key))));
            }
            let n_tokens = value.as_strings().map_or(rows, <[String]>::len);
            if key == "tokenizer.ggml.tokens" && n_tokens != rows {
                return Err(self.invalid(format!(
                    "the tokenizer has {n_tokens} tokens and the embedding {rows} rows; llama.cpp wants as many of each"
                )));
            }
        }
        Ok(())
    }

    fn metadata(&self) -> Result<Vec<(String, Value)>, ModelError> {
        let (a, name) = (self.architecture, self.gguf_architecture.name());
        let mut metadata = vec![
            ("general.architecture".to_string(), Value::String(name.to_string())),
            ("general.type".to_string(), Value::String("model".to_string())),
            ("general.file_type".to_string(), Value::U32(self.write_type.file_type())),
        ];
        if self.write_type == WriteType::Q8_0 {
            metadata.push(("general.quantization_version".to_string(), Value::U32(2)));
        }
        let mut put = |key: &str, value: Value| metadata.push((format!("{name}.{key}"), value));
        for (key, n) in [
            ("vocab_size", a.vocab_size),
            ("context_length", a.max_position),
            ("embedding_length", a.hidden_size),
            ("block_count", a.n_layers),
            ("feed_forward_length", a.intermediate_size),
            ("attention.head_count", a.n_heads),
            ("attention.head_count_kv", a.n_kv_heads),
        ] {
            put(key, Value::U32(n as u32));
        }
        if a.head_dim * a.n_heads != a.hidden_size || self.gguf_architecture == GgufArchitecture::Qwen3 {
            put("attention.key_length", Value::U32(a.head_dim as u32));
            put("attention.value_length", Value::U32(a.head_dim as u32));
        }
        let epsilon = match a.norm {
            Norm::Rms => "attention.layer_norm_rms_epsilon",
            Norm::Layer => "attention.layer_norm_epsilon",
        };
        put(epsilon, Value::F32(a.norm_epsilon));
        if let Some(frequencies) = &a.rotary {
            put("rope.dimension_count", Value::U32(2 * frequencies.len() as u32));
            put("rope.freq_base", Value::F32(self.theta()? as f32));
            if let Some(factor) = self.linear_factor()? {
                put("rope.scaling.type", Value::String("linear".to_string()));
                put("rope.scaling.factor", Value::F32(factor as f32));
            }
        }
        if self.gguf_architecture == GgufArchitecture::GptNeoX {
            put("use_parallel_residual", Value::Bool(a.parallel_residual));
        }
        Ok(metadata)
    }

    /// `rope_parameters` (transformers 5) or `rope_scaling` (4).
    fn rotary_parameters(&self) -> Fields<'_> {
        const NOTHING: &serde_json::Value = &serde_json::Value::Null;
        let parameters = self.fields.object("rope_parameters").or(self.fields.object("rope_scaling"));
        Fields { json: parameters.unwrap_or(NOTHING), path: self.fields.path }
    }
    fn theta(&self) -> Result<f64, ModelError> {
        let usual = self.fields.number("rotary_emb_base", 10_000.0)?;
        self.rotary_parameters().number("rope_theta", self.fields.number("rope_theta", usual)?)
    }
    fn scaling_type(&self) -> Option<String> {
        let parameters = self.rotary_parameters();
        parameters.text("rope_type").or(parameters.text("type")).map(str::to_string)
    }
    fn linear_factor(&self) -> Result<Option<f64>, ModelError> {
        match self.scaling_type().as_deref() {
            Some("linear") => self.rotary_parameters().number("factor", 1.0).map(Some),
            _ => Ok(None),
        }
    }
    /// What Llama 3's scaling divides each plain frequency by; `llama.cpp` reads it from a tensor.
    fn rotary_factors(&self) -> Result<Option<Vec<f32>>, ModelError> {
        let scaled = match &self.architecture.rotary {
            Some(scaled) if self.scaling_type().as_deref() == Some("llama3") => scaled,
            _ => return Ok(None),
        };
        if self.gguf_architecture != GgufArchitecture::Llama {
            let feature = format!("rotary scaling `llama3` in a GGUF of `{}`", self.gguf_architecture.name());
            return Err(unsupported(self.path, feature));
        }
        let theta = self.theta()?;
        let plain = |i: usize| theta.powf(-(i as f64) / scaled.len() as f64);
        Ok(Some(scaled.iter().enumerate().map(|(i, f)| (plain(i) / f) as f32).collect()))
    }

    /// Every tensor, in the order of the modules, layer by layer; nothing of the source is left out unseen.
    fn plan(&self) -> Result<(Vec<Planned>, Vec<Source>), ModelError> {
        let (mut planned, mut sources, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (module, layer) in self.modules_by_layer() {
            let in_layer = |template: &str| template.replace("{}", &layer.to_string());
            for suffix in ["weight", "bias"] {
                let Some((name, shape)) = self.find(&format!("{}.{suffix}", in_layer(module.hugging_face))) else {
                    if suffix == "weight" && !(module.gguf == "output" && self.architecture.tied) {
                        let missing = in_layer(module.hugging_face);
                        return Err(self.invalid(format!("tensor `{missing}.weight` is missing")));
                    }
                    continue;
                };
                used.insert(name.clone());
                if module.gguf == "output" && self.architecture.tied {
                    continue;
                }
                let order =
                    if module.order == Order::Transposed && suffix == "bias" { Order::Same } else { module.order };
                let heads = (self.architecture.n_heads, self.architecture.n_kv_heads);
                let layout = Layout::new(self.path, &name, order, heads, &shape)?;
                let (gguf_name, gguf_shape) =
                    (format!("{}.{suffix}", in_layer(module.gguf)), layout.other_shape(&shape));
                let tensor_type = self.write_type.tensor_type(&gguf_name, &gguf_shape);
                planned.push(Planned { name: gguf_name, shape: gguf_shape, tensor_type });
                sources.push(Source { name, shape, layout });
            }
        }
        self.copy_tied_output(&mut planned, &mut sources);
        match self.tensors.names().into_iter().find(|name| !used.contains(name) && !is_constant(name)) {
            Some(name) => Err(unsupported(self.path, format!("tensor {} in a GGUF", quoted(&name)))),
            None => Ok((planned, sources)),
        }
    }

    /// `llama.cpp` ties the output to the embedding in every architecture but GPT-NeoX, which wants it twice.
    fn copy_tied_output(&self, planned: &mut Vec<Planned>, sources: &mut Vec<Source>) {
        if !self.architecture.tied || self.gguf_architecture != GgufArchitecture::GptNeoX {
            return;
        }
        if let (Some(embedding), Some(source)) = (planned.first(), sources.first()) {
            let (shape, tensor_type) = (embedding.shape.clone(), embedding.tensor_type);
            let source = Source { name: source.name.clone(), shape: source.shape.clone(), layout: Layout::Same };
            planned.push(Planned { name: "output.weight".to_string(), shape, tensor_type });
            sources.push(source);
        }
    }

    /// What comes once, before and after what every layer has.
    fn modules_by_layer(&self) -> Vec<(Module, usize)> {
        let modules = self.gguf_architecture.modules();
        let (in_layers, once): (Vec<Module>, Vec<Module>) = modules.into_iter().partition(|m| m.gguf.contains("{}"));
        let (last, first): (Vec<Module>, Vec<Module>) = once.into_iter().partition(|m| m.gguf.starts_with("output"));
        let layers = (0..self.architecture.n_layers).flat_map(|layer| in_layers.iter().map(move |m| (*m, layer)));
        let once = |modules: Vec<Module>| modules.into_iter().map(|m| (m, 0));
        once(first).chain(layers).chain(once(last)).collect()
    }

    /// A tensor by its name, with or without the leading module that some checkpoints leave out.
    fn find(&self, name: &str) -> Option<(String, Vec<usize>)> {
        let bare = ["model.", "transformer.", "gpt_neox."].iter().find_map(|prefix| name.strip_prefix(prefix));
        let found = [Some(name), bare].into_iter().flatten();
        found.into_iter().find_map(|n| Some((n.to_string(), self.tensors.shape(n)?)))
    }
}

/// Masks and frequencies that old checkpoints carry along: what they hold follows from the config.
fn is_constant(name: &str) -> bool {
    [".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"]
        .iter()
        .any(|end| name.ends_with(end))
}

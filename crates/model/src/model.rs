//! The model: weights, a description of what to do with them, and the calls that others make.
use crate::architecture::Architecture;
use crate::backward::Sink;
use crate::config::Fields;
use crate::family::{self, Family, Slot};
use crate::parameters::{self, Holder, Layout, Parameters};
use crate::readout::{self, LearnedRow, LearnedToken};
use crate::weights::{self, TensorSource};
use crate::{Derivatives, ModelConfig, Outputs, Request, TreeBatch, Workspace, lora};
use kernels::Device;
use kernels::linear::Precision;
use kernels::rotary::RotaryTable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// What can go wrong with weights from outside.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The content is wrong: names the file, tensor or field, found and expected.
    #[error("{path}: {message}")]
    Invalid {
        /// Which.
        path: PathBuf,
        /// What.
        message: String,
    },
    /// A feature that Helpmate does not support, by its name.
    #[error("{path}: {feature} is not supported")]
    Unsupported {
        /// Which file.
        path: PathBuf,
        /// The feature, by its field and value.
        feature: String,
    },
}

/// How weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32 bit.
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half.
    F16,
}

/// Low-rank adapters (arXiv 2106.09685): W x + (alpha/rank)·B(A x).
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// Rank.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f32,
    /// Linear layers by their last name as PEFT names them (`q_proj`, …); `["all-linear"]` for all.
    pub targets: Vec<String>,
}

/// What a training run may change.
#[derive(Clone, Debug, PartialEq)]
pub enum Trainable {
    /// Nothing: inference; with bf16 only the bf16 weights are held.
    Nothing,
    /// Every weight.
    Everything,
    /// The scalar head, and a learned token's row when there is one ([`Model::load_with_token`]); the base is frozen.
    Readout,
    /// Adapters (and a scalar head when there is one); the base is frozen, held in bf16, or in Q8_0 when `base_q8`.
    Lora {
        /// The adapters.
        lora: LoraConfig,
        /// Hold the frozen base in Q8_0.
        base_q8: bool,
    },
}

/// How to load.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Arithmetic of the linears.
    pub precision: Precision,
    /// What will be trained.
    pub trainable: Trainable,
    /// Give the model a scalar head (reward, value) instead of an untied LM head: read from the file when it is there,
    /// else zero until [`Model::init_scalar_head`].
    pub scalar_head: bool,
}

/// Noise of training, all from one seed: the same seed gives the same masks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Residual dropout probability (after attention and MLP outputs, and the embedding).
    pub dropout: f32,
    /// NEFTune's alpha (arXiv 2310.05914); 0 is off.
    pub neftune_alpha: f32,
    /// Seed of this micro-batch.
    pub seed: u64,
}

/// Gradients of the trainable parameters, one flat f32 buffer.
pub struct Gradients {
    pub(crate) flat: Vec<f32>,
}

impl Gradients {
    /// All zero.
    pub fn zero(&mut self, device: &Device) {
        kernels::elementwise::fill(device, &mut self.flat, 0.0);
    }
    /// Σ g² in f64.
    pub fn sum_of_squares(&self, device: &Device) -> f64 {
        kernels::optimizer::sum_of_squares(device, &self.flat)
    }
    /// Multiplies all.
    pub fn scale(&mut self, device: &Device, factor: f32) {
        kernels::elementwise::scale(device, &mut self.flat, factor);
    }
    /// The buffer.
    pub fn as_slice(&self) -> &[f32] {
        &self.flat
    }
}

/// A transformer decoder with an LM head, a scalar head, or both.
pub struct Model {
    pub(crate) device: Device,
    pub(crate) config: ModelConfig,
    pub(crate) family: &'static dyn Family,
    pub(crate) architecture: Architecture,
    pub(crate) parameters: Parameters,
    pub(crate) precision: Precision,
    pub(crate) lora: Option<LoraConfig>,
    pub(crate) adapter_enabled: bool,
    /// Grows with the longest position seen.
    rotary: RwLock<Option<Arc<RotaryTable>>>,
}

impl Model {
    /// Loads a model folder or a GGUF file.
    pub fn load(device: &Device, path: &Path, options: &LoadOptions) -> Result<Model, ModelError> {
        let checkpoint = weights::open(path)?;
        let origin = path.join("config.json");
        let mut model = Model::empty(device, checkpoint.config, &origin, options, None)?;
        model.fill(checkpoint.tensors.as_ref(), path)?;
        Ok(model)
    }

    /// Random weights for `config` (`config.json` content): N(0, initializer_range), norms one, biases zero; `normal` yields
    /// standard normals. LoRA's A is N(0, 1/√n_in), B zero.
    pub fn random(
        device: &Device,
        config: serde_json::Value,
        options: &LoadOptions,
        normal: &mut dyn FnMut() -> f32,
    ) -> Result<Model, ModelError> {
        let mut model = Model::empty(device, config, &crate::config::nowhere(), options, None)?;
        let range = model.architecture.initializer_range;
        for (name, shape, place) in model.wanted() {
            let is_matrix = shape.len() == 2;
            // Norms begin as one: the only vectors that are weights.
            let constant = f32::from(u8::from(shape.len() == 1 && name.ends_with(".weight")));
            let mut value = || if is_matrix { range * normal() } else { constant };
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
            parameters::put(&mut model.parameters, device, &name, &place, &values, &mut Vec::new());
        }
        model.init_adapters(normal);
        model.parameters.repack(device);
        Ok(model)
    }

    /// The layout of a model, all zero.
    pub(crate) fn empty(
        device: &Device,
        config: serde_json::Value,
        path: &Path,
        options: &LoadOptions,
        token: Option<LearnedToken>,
    ) -> Result<Model, ModelError> {
        let fields = Fields { json: &config, path };
        let family = family::find(&fields)?;
        let architecture = family.architecture(&fields)?;
        architecture.check(&fields)?;
        let model_config = ModelConfig::read(&config, path, &architecture)?;
        let (everything, base_q8) = match &options.trainable {
            Trainable::Nothing | Trainable::Readout => (false, false),
            Trainable::Everything => (true, false),
            Trainable::Lora { base_q8, .. } => (false, *base_q8),
        };
        let lora = match &options.trainable {
            Trainable::Lora { lora, .. } => Some(check_lora(lora, &fields)?),
            _ => None,
        };
        let holding = parameters::holding(options.precision, everything, base_q8);
        let parameters = lay_out(family, &architecture, holding, options, lora.as_ref(), token, &fields)?;
        Ok(Model {
            device: device.clone(),
            config: model_config,
            family,
            architecture,
            parameters,
            precision: options.precision,
            lora,
            adapter_enabled: true,
            rotary: RwLock::new(None),
        })
    }

    /// Reads every tensor; a scalar head that the file lacks stays zero.
    pub(crate) fn fill(&mut self, source: &dyn TensorSource, path: &Path) -> Result<(), ModelError> {
        let config = self.config.json.clone();
        let fields = Fields { json: &config, path };
        let scalar = self.family.name(Slot::ScalarHead).to_string() + ".weight";
        // What must be arranged or packed goes through two buffers that are touched once.
        let (mut values, mut arranged) = (Vec::new(), Vec::new());
        for (idx, (name, shape, place)) in self.wanted().into_iter().enumerate() {
            if name == scalar && source.shape(&name).is_none() {
                continue;
            }
            let direct = place.direct();
            let to = match direct.clone() {
                Some(range) => &mut self.parameters.flat[range],
                None => {
                    values.resize(shape.iter().product(), 0.0);
                    &mut values[..]
                }
            };
            // the embedding is the first tensor
            match self.parameters.grows && idx == 0 {
                true => readout::read_grown(source, &self.device, &fields, &name, &shape, to)?,
                false => parameters::read_tensor(source, &self.device, &fields, &name, &shape, to)?,
            }
            if direct.is_none() {
                parameters::put(&mut self.parameters, &self.device, &name, &place, &values, &mut arranged);
            }
        }
        self.adopt_token();
        self.parameters.repack(&self.device);
        Ok(())
    }

    /// Name, shape and place of every tensor of the file.
    fn wanted(&self) -> Vec<(String, Vec<usize>, parameters::Place)> {
        let tensors = self.parameters.file_tensors();
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone(), tensor.place())).collect()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
    /// What it is.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }
    /// What it is, to be changed before saving (padding id, reward statistics).
    pub fn config_mut(&mut self) -> &mut ModelConfig {
        &mut self.config
    }
    /// The arithmetic of its linears.
    pub fn precision(&self) -> Precision {
        self.precision
    }
    /// Whether it can say log-probabilities.
    pub fn has_lm_head(&self) -> bool {
        (self.architecture.tied || self.parameters.lm_head.is_some()) && self.parameters.learned.is_none()
    }
    /// Whether it can say scalars.
    pub fn has_scalar_head(&self) -> bool {
        self.parameters.scalar_head.is_some()
    }
    /// All parameters (adapters included), and those that train.
    pub fn parameter_counts(&self) -> (usize, usize) {
        let base: usize = self.parameters.file_tensors().iter().map(|t| t.shape.iter().product::<usize>()).sum();
        let adapters: usize =
            self.parameters.linears().flat_map(|l| l.adapters.iter().map(|a| a.rank * (l.n_in + a.part.n_rows))).sum();
        (base + adapters, self.trainable().len())
    }
    /// The trainable parameters, flat, in a fixed order.
    pub fn trainable(&self) -> &[f32] {
        &self.parameters.flat[self.parameters.trainable_start..]
    }
    /// Replaces the trainable parameters (a checkpoint, an average) and refreshes what is computed from them.
    pub fn set_trainable(&mut self, values: &[f32]) {
        let start = self.parameters.trainable_start;
        self.parameters.flat[start..].copy_from_slice(values);
        self.parameters.repack(&self.device);
    }
    /// Name as in the file, shape and values of every trainable tensor of the base, read out of a buffer laid out like
    /// [`Model::trainable`] (parameters, gradients, moments).
    pub fn named(&self, flat: &[f32]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let start = self.parameters.trainable_start;
        let tensors = self.parameters.file_tensors();
        let trains = |holder: &Holder| match holder {
            Holder::Weight(linear, _) => {
                matches!(linear.storage, parameters::Storage::Flat { offset, .. } if offset >= start)
            }
            Holder::Bias(offset, _) => *offset >= start,
            Holder::Vector(vector) => vector.offset >= start,
        };
        let read = |t: parameters::FileTensor| {
            let values = parameters::export(&self.parameters, &t, flat, start);
            (t.name, t.shape, values)
        };
        tensors.into_iter().filter(|t| trains(&t.holder)).map(read).collect()
    }
    /// A zeroed gradient buffer.
    pub fn new_gradients(&self) -> Gradients {
        Gradients { flat: kernels::elementwise::zeroed(self.trainable().len()) }
    }
    /// With adapters: run as the base alone (the reference of PPO and DPO).
    pub fn set_adapter_enabled(&mut self, enabled: bool) {
        self.adapter_enabled = enabled;
    }
    /// Scalar head ~ N(0, 1/√(d+1)), bias 0 (arXiv 2009.01325 §C).
    pub fn init_scalar_head(&mut self, normal: &mut dyn FnMut() -> f32) {
        if let Some(head) = &self.parameters.scalar_head {
            let deviation = 1.0 / ((head.length + 1) as f32).sqrt();
            self.parameters.flat[head.offset..][..head.length].iter_mut().for_each(|w| *w = deviation * normal());
        }
        self.config.reward_bias = 0.0;
    }
    /// From here on a scalar s is (s − mean) ÷ deviation.
    pub fn normalise_scalar_head(&mut self, mean: f64, deviation: f64) {
        if let Some(head) = &self.parameters.scalar_head {
            let weights = &mut self.parameters.flat[head.offset..][..head.length];
            weights.iter_mut().for_each(|w| *w = (f64::from(*w) / deviation) as f32);
        }
        self.config.reward_bias = ((f64::from(self.config.reward_bias) - mean) / deviation) as f32;
    }
    /// LoRA's A ~ N(0, 1/√n_in), B zero: the adapted model begins as its base.
    pub fn init_adapters(&mut self, normal: &mut dyn FnMut() -> f32) {
        let Parameters { flat, layers, .. } = &mut self.parameters;
        for linear in layers.iter().flat_map(|l| [&l.qkv, &l.output, &l.up, &l.down]) {
            for adapter in &linear.adapters {
                let deviation = 1.0 / (linear.n_in as f32).sqrt();
                flat[adapter.a..][..adapter.rank * linear.n_in].iter_mut().for_each(|w| *w = deviation * normal());
                flat[adapter.b..][..adapter.part.n_rows * adapter.rank].fill(0.0);
            }
        }
    }

    /// cos and sin for at least `n_positions`.
    pub(crate) fn rotary_table(&self, n_positions: usize) -> Option<Arc<RotaryTable>> {
        let pairs = self.architecture.rotary.as_ref()?.len();
        let covers = |table: &Arc<RotaryTable>| table.cos.len() >= n_positions * pairs;
        let read = |lock: &RwLock<Option<Arc<RotaryTable>>>| lock.read().ok().and_then(|t| t.clone());
        if let Some(table) = read(&self.rotary).filter(covers) {
            return Some(table);
        }
        let table = Arc::new(self.architecture.rotary_table(n_positions.next_power_of_two())?);
        if let Ok(mut slot) = self.rotary.write() {
            *slot = Some(table.clone());
        }
        Some(table)
    }

    /// Answers the request; keeps nothing.
    pub fn forward(&self, batch: &TreeBatch, request: &Request, workspace: &mut Workspace) -> Outputs {
        self.run_layers(batch, Noise::default(), false, workspace);
        self.head_rows(request, batch.len(), false, workspace);
        self.answer(request, workspace)
    }
    /// Answers the request and keeps what [`Model::backward`] needs in the workspace.
    pub fn forward_for_training(
        &self,
        batch: &TreeBatch,
        request: &Request,
        noise: Noise,
        workspace: &mut Workspace,
    ) -> Outputs {
        self.run_layers(batch, noise, true, workspace);
        self.head_rows(request, batch.len(), true, workspace);
        self.answer(request, workspace)
    }
    /// Adds to `gradients` the gradient of L, given dL/d(outputs). Must follow `forward_for_training` with the same batch and request.
    pub fn backward(
        &self,
        batch: &TreeBatch,
        request: &Request,
        derivatives: &Derivatives,
        workspace: &mut Workspace,
        gradients: &mut Gradients,
    ) {
        let mut sink = Sink { gradients: &mut gradients.flat, start: self.parameters.trainable_start };
        let mut log_probs = vec![0.0; request.targets.len()];
        self.head_backward(request, derivatives, batch.len(), workspace, &mut sink, &mut log_probs, None);
        self.layers_backward(batch, workspace, &mut sink);
    }
    /// Forward and backward in one, for a loss whose derivatives are known beforehand (cross-entropy): saves the head's second pass.
    pub fn forward_backward(
        &self,
        batch: &TreeBatch,
        request: &Request,
        derivatives: &Derivatives,
        noise: Noise,
        workspace: &mut Workspace,
        gradients: &mut Gradients,
    ) -> Outputs {
        self.run_layers(batch, noise, true, workspace);
        self.head_rows(request, batch.len(), true, workspace);
        let n = request.targets.len();
        let mut outputs = Outputs {
            log_probs: vec![0.0; n],
            entropies: vec![0.0; if request.entropy { n } else { 0 }],
            scalars: self.read_scalars(request, &workspace.head.normed),
        };
        let mut sink = Sink { gradients: &mut gradients.flat, start: self.parameters.trainable_start };
        let entropies = request.entropy.then_some(&mut outputs.entropies[..]);
        self.head_backward(request, derivatives, batch.len(), workspace, &mut sink, &mut outputs.log_probs, entropies);
        self.layers_backward(batch, workspace, &mut sink);
        outputs
    }
}

fn check_lora(lora: &LoraConfig, fields: &Fields) -> Result<LoraConfig, ModelError> {
    if lora.rank == 0 || !lora.alpha.is_finite() || lora.alpha == 0.0 {
        return Err(fields.invalid(format!("lora: rank {} and alpha {} must not be zero", lora.rank, lora.alpha)));
    }
    Ok(lora.clone())
}

/// Base first, then what trains on top of a frozen base.
fn lay_out(
    family: &'static dyn Family,
    architecture: &Architecture,
    holding: parameters::Holding,
    options: &LoadOptions,
    lora: Option<&LoraConfig>,
    token: Option<LearnedToken>,
    fields: &Fields,
) -> Result<Parameters, ModelError> {
    let everything = options.trainable == Trainable::Everything;
    let mut layout = Layout { family, architecture, holding, allocator: parameters::Allocator { next: 0 } };
    let has_lm_head = !architecture.tied && !options.scalar_head;
    let embedding = layout.table(family.name(Slot::Embedding), architecture.tied);
    let positions_shape = vec![architecture.max_position, architecture.hidden_size];
    let positions = architecture
        .learned_positions
        .then(|| layout.allocator.vector(format!("{}.weight", family.name(Slot::Positions)), positions_shape));
    let mut layers: Vec<parameters::Layer> = (0..architecture.n_layers).map(|l| layout.layer(l)).collect();
    let final_norm = layout.norm(family.name(Slot::FinalNorm).to_string());
    let lm_head = has_lm_head.then(|| layout.table(family.name(Slot::LmHead), true));
    let mut allocator = layout.allocator;
    let mut trainable_start = if everything { 0 } else { allocator.next };
    if let Some(lora) = lora {
        let linears = layers.iter_mut().flat_map(|l| [&mut l.qkv, &mut l.output, &mut l.up, &mut l.down]);
        linears.for_each(|linear| lora::attach(linear, lora, &mut allocator));
        let matched = |target: &String| {
            layers
                .iter()
                .flat_map(|l| [&l.qkv, &l.output, &l.up, &l.down])
                .flat_map(|l| &l.parts)
                .any(|p| lora::is_target(&p.module, std::slice::from_ref(target)))
        };
        if let Some(unknown) = lora.targets.iter().find(|t| !matched(t)) {
            return Err(fields.invalid(format!("lora target `{unknown}` names no linear layer of this model")));
        }
    }
    let beside_table = matches!(options.trainable, Trainable::Readout | Trainable::Lora { .. });
    let learned = token.filter(|_| beside_table).map(|token| LearnedRow {
        token_id: token.token_id,
        row: allocator.vector("learned token".into(), vec![architecture.hidden_size]),
    });
    let scalar_name = format!("{}.weight", family.name(Slot::ScalarHead));
    let scalar_head = options.scalar_head.then(|| allocator.vector(scalar_name, vec![1, architecture.hidden_size]));
    if options.trainable == Trainable::Nothing {
        trainable_start = allocator.next;
    }
    let flat = kernels::elementwise::zeroed(allocator.next);
    Ok(Parameters {
        flat,
        trainable_start,
        embedding,
        positions,
        layers,
        final_norm,
        lm_head,
        scalar_head,
        learned,
        grows: token.is_some(),
    })
}

//! The model itself.
use crate::{Derivatives, ModelConfig, Outputs, Request, TreeBatch};
use kernels::{Device, linear::Precision};
use std::path::Path;

/// What can go wrong with weights from outside.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The content is wrong: names the file, tensor or field, found and expected.
    #[error("{path}: {message}")]
    Invalid {
        /// Which.
        path: std::path::PathBuf,
        /// What.
        message: String,
    },
    /// A feature that Helpmate does not support, by its name.
    #[error("{path}: {feature} is not supported")]
    Unsupported {
        /// Which file.
        path: std::path::PathBuf,
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
    /// Adapters; the base is frozen, held in bf16, or in Q8_0 when `base_q8`.
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
    /// Give the model a scalar head (reward, value); read from the file, or made by `Model::init_scalar_head`.
    pub scalar_head: bool,
}

/// Noise of training, all from one seed: the same seed gives the same masks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noise {
    /// Residual dropout probability (after attention and MLP outputs, and the embedding).
    pub dropout: f32,
    /// NEFTune's alpha (arXiv 2310.05914); 0 is off.
    pub neftune_alpha: f32,
    /// Seed of this micro-batch.
    pub seed: u64,
}

/// Reusable buffers of one forward and backward pass (the arena, and the saved activations).
#[derive(Default)]
pub struct Workspace {
    /// Save only each layer's input and recompute the rest in the backward pass.
    pub checkpoint_activations: bool,
}

/// Gradients of the trainable parameters, one flat f32 buffer.
pub struct Gradients {
    pub(crate) flat: Vec<f32>,
}
impl Gradients {
    /// All zero.
    pub fn zero(&mut self) {
        self.flat.fill(0.0)
    }
    /// Σ g² in f64.
    pub fn sum_of_squares(&self, device: &Device) -> f64 {
        kernels::optimizer::sum_of_squares(device, &self.flat)
    }
    /// Multiplies all.
    pub fn scale(&mut self, device: &Device, factor: f32) {
        kernels::elementwise::scale(device, &mut self.flat, factor)
    }
    /// Adds another's, weighted.
    pub fn add_scaled(&mut self, other: &Gradients, factor: f32) {
        for (g, o) in self.flat.iter_mut().zip(&other.flat) {
            *g += factor * o
        }
    }
    /// The buffer.
    pub fn as_slice(&self) -> &[f32] {
        &self.flat
    }
}

/// A transformer decoder with an LM head and, when asked, a scalar head.
pub struct Model {
    device: Device,
    config: ModelConfig,
}

impl Model {
    /// Loads a model folder or a GGUF file.
    pub fn load(device: &Device, path: &Path, options: &LoadOptions) -> Result<Model, ModelError> {
        let _ = (device, path, options);
        todo!()
    }
    /// Random weights for `config` (`config.json` content): N(0, initializer_range), norms one, biases zero; `normal` yields standard normals.
    pub fn random(
        device: &Device,
        config: serde_json::Value,
        options: &LoadOptions,
        normal: &mut dyn FnMut() -> f32,
    ) -> Result<Model, ModelError> {
        let _ = (device, config, options, normal);
        todo!()
    }
    /// Writes `config.json` and `model.safetensors` (merged weights when there are adapters, plus an `adapter/` PEFT folder) into an existing folder.
    pub fn save(&self, folder: &Path, dtype: Dtype) -> Result<(), ModelError> {
        let _ = (folder, dtype);
        todo!()
    }
    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
    /// What it is.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }
    /// All parameters, and those that train.
    pub fn parameter_counts(&self) -> (usize, usize) {
        todo!()
    }
    /// The trainable parameters, flat, in a fixed order.
    pub fn trainable(&self) -> &[f32] {
        todo!()
    }
    /// Replaces the trainable parameters (a checkpoint, an average).
    pub fn set_trainable(&mut self, values: &[f32]) {
        let _ = values;
        todo!()
    }
    /// (name as in the file, shape, range in the flat buffer) of every trainable tensor.
    pub fn trainable_tensors(&self) -> Vec<(String, Vec<usize>, std::ops::Range<usize>)> {
        todo!()
    }
    /// A zeroed gradient buffer.
    pub fn new_gradients(&self) -> Gradients {
        todo!()
    }
    /// With adapters: run as the base alone (the reference of PPO and DPO).
    pub fn set_adapter_enabled(&mut self, enabled: bool) {
        let _ = enabled;
        todo!()
    }
    /// Scalar head ~ N(0, 1/√(d+1)), bias 0.
    pub fn init_scalar_head(&mut self, normal: &mut dyn FnMut() -> f32) {
        let _ = normal;
        todo!()
    }

    /// Answers the request; keeps nothing.
    pub fn forward(
        &self,
        batch: &TreeBatch,
        request: &Request,
        workspace: &mut Workspace,
    ) -> Outputs {
        let _ = (batch, request, workspace);
        todo!()
    }
    /// Answers the request and keeps what [`Model::backward`] needs in the workspace.
    pub fn forward_for_training(
        &self,
        batch: &TreeBatch,
        request: &Request,
        noise: Noise,
        workspace: &mut Workspace,
    ) -> Outputs {
        let _ = (batch, request, noise, workspace);
        todo!()
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
        let _ = (batch, request, derivatives, workspace, gradients);
        todo!()
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
        let _ = (batch, request, derivatives, noise, workspace, gradients);
        todo!()
    }
}

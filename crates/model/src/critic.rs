//! A critic of every next token: a model whose LM head gives values instead of logits, and what those come to under a
//! policy's distribution (arXiv 1607.07086 has such a critic for sequences).
//!
//! A critic and a policy meet in the head alone: the critic's hidden states are computed first and handed to the policy's
//! pass, so both may use one workspace, and neither logits nor values are ever whole in memory.
use crate::backward::Sink;
use crate::batch::TreeBatch;
use crate::family::Slot;
use crate::model::{Gradients, Model, Noise};
use crate::parameters::Storage;
use crate::weights::TensorSource;
use crate::workspace::{Workspace, sized};
use crate::{LoadOptions, MemoryPlan, ModelError, Request, weights};
use kernels::Device;
use kernels::head::expectation::{self, Numbers, Slopes};
use kernels::head::values::{self, Gradient, Values};
use serde_json::Value;
use std::path::Path;

/// What `config.json` calls the head of a critic (`readout`).
const Q: &str = "q";

/// A critic and its hidden states at the states that are asked about.
#[derive(Clone, Copy)]
pub struct Critic<'a> {
    /// The critic.
    pub model: &'a Model,
    /// [`Model::states`] of the request that the policy answers.
    pub states: &'a [f32],
}

/// What a policy says, one number a target, with what it expects of a critic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectations {
    /// Log-probability of the target, nats.
    pub log_probs: Vec<f32>,
    /// Entropy of its distribution, nats.
    pub entropies: Vec<f32>,
    /// Σ_a π(a)·Q(a).
    pub expected: Vec<f32>,
}

/// What a critic says, one number a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Valued {
    /// Q of the target.
    pub chosen: Vec<f32>,
    /// Σ_a (Q(a) − mean_b Q(b))².
    pub spread: Vec<f32>,
    /// [`Model::states`] that they were read from.
    pub states: Vec<f32>,
}

/// dL/d(each number of [`Valued`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueSlopes {
    /// By the target's value.
    pub chosen: Vec<f32>,
    /// By the spread.
    pub spread: Vec<f32>,
}

impl Model {
    /// Loads a model folder as a critic: its head is untied and zero, unless the folder is a critic's. Everything must
    /// train, or nothing: adapters would leave the head at zero.
    pub fn load_critic(device: &Device, path: &Path, options: &LoadOptions) -> Result<Model, ModelError> {
        let mut checkpoint = weights::open(path)?;
        let is_critic = checkpoint.config.get("readout").is_some_and(|readout| readout == Q);
        if let Some(config) = checkpoint.config.as_object_mut() {
            config.insert("tie_word_embeddings".into(), Value::Bool(false));
            config.insert("readout".into(), Q.into());
        }
        let options = LoadOptions { scalar_head: false, ..options.clone() };
        let mut model = Model::empty(device, checkpoint.config, &path.join("config.json"), &options, None)?;
        if is_critic {
            model.fill(checkpoint.tensors.as_ref(), path)?;
        } else {
            let name = format!("{}.weight", model.family.name(Slot::LmHead));
            let shape = vec![model.architecture.vocab_size, model.architecture.hidden_size];
            model.fill(&ZeroHead { source: checkpoint.tensors.as_ref(), name, shape }, path)?;
        }
        Ok(model)
    }

    /// [`Model::plan_of`] of a critic in training.
    pub fn critic_plan_of(
        device: &Device,
        path: &Path,
        options: &LoadOptions,
        micro_tokens: usize,
        checkpoint_activations: bool,
    ) -> Result<MemoryPlan, ModelError> {
        let mut config = weights::open(path)?.config;
        if let Some(config) = config.as_object_mut() {
            config.insert("tie_word_embeddings".into(), Value::Bool(false));
        }
        let options = LoadOptions { scalar_head: false, ..options.clone() };
        let model = Model::empty(device, config, &path.join("config.json"), &options, None)?;
        Ok(model.memory_plan(micro_tokens, checkpoint_activations, true))
    }

    /// Hidden states after the final norm where the request's targets are predicted from, `[targets, hidden_size]`.
    pub fn states(&self, batch: &TreeBatch, request: &Request, workspace: &mut Workspace) -> Vec<f32> {
        self.run_layers(batch, Noise::default(), false, workspace);
        self.head_rows(request, batch.len(), false, workspace);
        workspace.head.normed[..request.targets.len() * self.architecture.hidden_size].to_vec()
    }

    /// A policy's numbers with what it expects of a critic; keeps nothing.
    pub fn expectations(
        &self,
        batch: &TreeBatch,
        request: &Request,
        critic: Critic,
        workspace: &mut Workspace,
    ) -> Expectations {
        self.run_layers(batch, Noise::default(), false, workspace);
        self.head_rows(request, batch.len(), false, workspace);
        let targets: Vec<u32> = request.targets.iter().map(|target| target.token_id).collect();
        let mut said = Expectations::of(targets.len());
        let head = self.head(request, &targets, &workspace.head.normed);
        expectation::forward(&self.device, head, critic.model.values(critic.states), said.numbers());
        said
    }

    /// The same, and adds to `gradients` the gradient of L by this model's weights, given dL/d(its numbers). The critic
    /// is a constant.
    pub fn expectations_backward(
        &self,
        batch: &TreeBatch,
        request: &Request,
        critic: Critic,
        slopes: &Expectations,
        workspace: &mut Workspace,
        gradients: &mut Gradients,
    ) -> Expectations {
        self.run_layers(batch, Noise::default(), true, workspace);
        self.head_rows(request, batch.len(), true, workspace);
        let targets: Vec<u32> = request.targets.iter().map(|target| target.token_id).collect();
        let mut said = Expectations::of(targets.len());
        let mut sink = Sink { gradients: &mut gradients.flat, start: self.parameters.trainable_start };
        let Workspace { head: tape, scratch, .. } = &mut *workspace;
        let head = self.head(request, &targets, &tape.normed);
        let slopes = Slopes {
            d_log_probs_R: &slopes.log_probs,
            d_entropies_R: &slopes.entropies,
            d_expected_R: &slopes.expected,
        };
        let d_hidden = sized(&mut tape.d_normed, targets.len() * self.architecture.hidden_size);
        let gradient = Gradient { d_hidden_RD: d_hidden, d_weight_VD: self.head_gradient(&mut sink) };
        let gradients = expectation::Gradients { policy: Some(gradient), values: None };
        let values = critic.model.values(critic.states);
        expectation::backward(&self.device, head, values, slopes, gradients, said.numbers());
        self.rows_backward(batch.len(), tape, &mut scratch.dx, &mut sink);
        self.layers_backward(batch, workspace, &mut sink);
        said
    }

    /// A critic's numbers; keeps what [`Model::values_backward`] needs in the workspace.
    pub fn values_for_training(&self, batch: &TreeBatch, request: &Request, workspace: &mut Workspace) -> Valued {
        self.run_layers(batch, Noise::default(), true, workspace);
        self.head_rows(request, batch.len(), true, workspace);
        let targets: Vec<u32> = request.targets.iter().map(|target| target.token_id).collect();
        let (mut chosen, mut spread) = (vec![0.0; targets.len()], vec![0.0; targets.len()]);
        let states = workspace.head.normed[..targets.len() * self.architecture.hidden_size].to_vec();
        values::forward(&self.device, self.values(&states), &targets, &mut chosen, &mut spread);
        Valued { chosen, spread, states }
    }

    /// Adds to `gradients` the gradient of L, given dL/d(a critic's numbers). Must follow
    /// [`Model::values_for_training`] with the same batch and request.
    pub fn values_backward(
        &self,
        batch: &TreeBatch,
        request: &Request,
        slopes: &ValueSlopes,
        workspace: &mut Workspace,
        gradients: &mut Gradients,
    ) {
        let targets: Vec<u32> = request.targets.iter().map(|target| target.token_id).collect();
        let width = targets.len() * self.architecture.hidden_size;
        let mut sink = Sink { gradients: &mut gradients.flat, start: self.parameters.trainable_start };
        let Workspace { head: tape, scratch, .. } = &mut *workspace;
        let slopes = values::Slopes { d_chosen_R: &slopes.chosen, d_spread_R: &slopes.spread };
        let d_hidden = sized(&mut tape.d_normed, width);
        let gradient = Gradient { d_hidden_RD: d_hidden, d_weight_VD: self.head_gradient(&mut sink) };
        let (mut chosen, mut spread) = (vec![0.0; targets.len()], vec![0.0; targets.len()]);
        let states = self.values(&tape.normed[..width]);
        values::backward(&self.device, states, &targets, slopes, gradient, &mut chosen, &mut spread);
        self.rows_backward(batch.len(), tape, &mut scratch.dx, &mut sink);
        self.layers_backward(batch, workspace, &mut sink);
    }

    fn values<'a>(&'a self, states: &'a [f32]) -> Values<'a> {
        let table = self.parameters.lm_head.as_ref().unwrap_or(&self.parameters.embedding);
        Values { hidden_RD: states, weight_VD: self.parameters.matrix(table) }
    }

    /// Where the gradient of the LM head goes; `None` when that is frozen.
    fn head_gradient<'s>(&self, sink: &'s mut Sink) -> Option<&'s mut [f32]> {
        let table = self.parameters.lm_head.as_ref().unwrap_or(&self.parameters.embedding);
        match table.storage {
            Storage::Flat { offset, .. } => sink.range(offset, table.n_out * table.n_in),
            _ => None,
        }
    }
}

impl Expectations {
    fn of(n: usize) -> Expectations {
        Expectations { log_probs: vec![0.0; n], entropies: vec![0.0; n], expected: vec![0.0; n] }
    }
    fn numbers(&mut self) -> Numbers<'_> {
        let Expectations { log_probs, entropies, expected } = self;
        Numbers { log_probs_R: log_probs, entropies_R: entropies, expected_R: expected }
    }
}

/// A file whose LM head is zero, whether it has one or not.
struct ZeroHead<'a> {
    source: &'a dyn TensorSource,
    name: String,
    shape: Vec<usize>,
}

impl TensorSource for ZeroHead<'_> {
    fn names(&self) -> Vec<String> {
        let others = self.source.names().into_iter().filter(|name| *name != self.name);
        others.chain([self.name.clone()]).collect()
    }
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        if name == self.name { Some(self.shape.clone()) } else { self.source.shape(name) }
    }
    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        if name == self.name {
            out.fill(0.0);
            return Ok(());
        }
        self.source.read(name, out)
    }
    fn read_on(&self, device: &Device, name: &str, out: &mut [f32]) -> Result<(), ModelError> {
        if name == self.name { self.read(name, out) } else { self.source.read_on(device, name, out) }
    }
}

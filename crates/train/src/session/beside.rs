//! What a stage keeps in its checkpoints beside the model: a second network, arrays, numbers.
use super::Session;
use super::begin::trainable;
use crate::TrainError;
use crate::event::Sink;
use crate::scorer::stored_scale;
use crate::state;
use kernels::Device;
use kernels::linear::Precision;
use model::{AdamWConfig, Gradients, LoadOptions, Model, Optimizer};
use run::RunError;
use run::config::{ModelSection, OptimizerSection};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use stdx::{FileError, Seed};

/// Name of the numbers' file in a checkpoint.
pub(super) const NUMBERS: &str = "beside.json";
/// Name of the arrays' file.
pub(super) const ARRAYS: &str = "beside.safetensors";

/// A network that trains beside the model: PPO's value model, or a critic of every token.
pub struct Companion {
    /// The network.
    pub model: Model,
    /// Its optimizer.
    pub optimizer: Optimizer,
    /// Its gradients.
    pub gradients: Gradients,
}

/// What the network beside the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompanionKind {
    /// A scalar at a token: what the state is worth.
    State,
    /// A number for every next token: what each is worth.
    EveryToken,
}

/// What stands beside the model.
#[derive(Default)]
pub struct Beside {
    /// A second network.
    pub companion: Option<Companion>,
    /// Arrays by name; a resumed run must know their lengths.
    pub arrays: Vec<(&'static str, Vec<f32>)>,
    /// Numbers by name.
    pub numbers: Map<String, Value>,
}

impl Companion {
    /// Loads a model folder as a network with a head of its kind. A new head is zero, so that a value model which has learnt
    /// nothing says 0 of every state: advantages are then the rewards to come. A random head (the reward model's
    /// N(0, 1/√(d+1))) makes values of deviation 1, which drown rewards below it for the first iterations. A reward
    /// model becomes a value model on the scale that its scores are normalised to.
    pub fn load(
        session: &Session<'_>,
        path: &Path,
        kind: CompanionKind,
        section: &ModelSection,
        optimizer: &OptimizerSection,
        seed: Seed,
    ) -> Result<Companion, TrainError> {
        let device: Device = session.model.device().clone();
        let options = Companion::options(session.model.precision(), kind, section);
        let mut model = match kind {
            CompanionKind::State => Model::load(&device, path, &options)?,
            CompanionKind::EveryToken => Model::load_critic(&device, path, &options)?,
        };
        if section.lora.is_some() {
            let mut stream = seed.stream("adapters", 1);
            model.init_adapters(&mut || stream.normal());
        }
        if let (CompanionKind::State, Some(scale)) = (kind, stored_scale(&model.config().json)) {
            // rewards are normalised so, and values are sums of them
            model.normalise_scalar_head(scale.mean, scale.std);
        }
        if let (CompanionKind::State, Some(config)) = (kind, model.config_mut().json.as_object_mut()) {
            // it stops being the reward model that it may have begun as
            for key in ["reward_mean", "reward_std", "readout_token_id"] {
                config.remove(key);
            }
            config.insert("readout".into(), VALUE_READOUT.into());
        }
        let adamw = AdamWConfig {
            beta1: optimizer.betas[0] as f32,
            beta2: optimizer.betas[1] as f32,
            epsilon: optimizer.eps as f32,
            weight_decay: optimizer.weight_decay as f32,
        };
        Ok(Companion { optimizer: Optimizer::new(&model, adamw), gradients: model.new_gradients(), model })
    }
}

/// What `config.json` calls the head of a value model: no reward is read there.
const VALUE_READOUT: &str = "value";

impl Companion {
    /// How it is loaded.
    pub fn options(precision: Precision, kind: CompanionKind, section: &ModelSection) -> LoadOptions {
        let trainable = trainable(section.lora.as_ref());
        LoadOptions { precision, trainable, scalar_head: kind == CompanionKind::State }
    }
}

impl Beside {
    /// Writes it into a checkpoint.
    pub(super) fn write(&self, folder: &Path) -> Result<(), FileError> {
        if self.companion.is_none() && self.arrays.is_empty() && self.numbers.is_empty() {
            return Ok(());
        }
        let mut arrays: Vec<(&str, &[f32])> = Vec::new();
        if let Some(Companion { model, optimizer, .. }) = &self.companion {
            arrays.push(("companion_weights", model.trainable()));
            arrays.push(("companion_first_moment", &optimizer.first_moment));
            arrays.push(("companion_second_moment", &optimizer.second_moment));
        }
        arrays.extend(self.arrays.iter().map(|(name, values)| (*name, values.as_slice())));
        let text = format!("{:#}\n", Value::Object(self.numbers.clone()));
        let path = folder.join(NUMBERS);
        std::fs::write(&path, text).map_err(FileError::at(&path, "write"))?;
        state::write_arrays(&folder.join(ARRAYS), &arrays)
    }

    /// Reads it back; network and arrays must be there already, of the lengths that were written.
    fn read(&mut self, folder: &Path) -> Result<(), TrainError> {
        self.numbers = run::folder::read_json(&folder.join(NUMBERS))?;
        let n = self.companion.as_ref().map(|companion| companion.model.trainable().len());
        let mut wanted: Vec<(&str, usize)> = Vec::new();
        for name in ["companion_weights", "companion_first_moment", "companion_second_moment"] {
            wanted.extend(n.map(|n| (name, n)));
        }
        wanted.extend(self.arrays.iter().map(|(name, values)| (*name, values.len())));
        let mut found = state::read_arrays(&folder.join(ARRAYS), &wanted)?.into_iter();
        let mut next = || found.next().unwrap_or_default();
        if let Some(companion) = &mut self.companion {
            companion.model.set_trainable(&next());
            companion.optimizer.first_moment = next();
            companion.optimizer.second_moment = next();
        }
        for (_, values) in &mut self.arrays {
            *values = next();
        }
        Ok(())
    }
}

impl Session<'_> {
    /// Goes to where the checkpoint that the session began at left [`Session::beside`], and takes up the optimizers'
    /// step counts, which in such a stage are not the session's.
    pub fn restore_beside(&mut self) -> Result<(), TrainError> {
        let Some(step) = self.saved else {
            return Ok(());
        };
        let folder = self.folder.checkpoint_path(step);
        self.beside.read(&folder)?;
        let count = self.beside.numbers.get("optimizer_steps").and_then(Value::as_u64);
        let missing = || RunError::Damaged { path: folder.join(NUMBERS), message: "no `optimizer_steps`".into() };
        let count = count.ok_or_else(missing)?;
        self.optimizer.step = count;
        let own = self.beside.numbers.get("companion_steps").and_then(Value::as_u64);
        if let Some(companion) = &mut self.beside.companion {
            companion.optimizer.step = own.unwrap_or(count);
        }
        Ok(())
    }

    /// min(1, max/(‖g‖ + 1e-6)), as [`Session::step_optimizer`] has it; 1 without clipping.
    pub fn clip_factor(&self, norm: f64) -> f64 {
        let max = self.settings.optimizer.max_grad_norm;
        if max > 0.0 { (max / (norm + 1e-6)).min(1.0) } else { 1.0 }
    }

    /// One optimizer step of the model, for a stage that takes several a session step. Gradients are multiplied by `scale`.
    pub fn step_policy(&mut self, scale: f64) {
        let lr = self.learning_rate();
        self.optimizer.step(&mut self.model, &self.gradients, lr as f32, scale as f32);
        if let Some(average) = &mut self.average {
            average.update(self.model.device(), self.model.trainable());
        }
        self.count_steps();
    }

    /// One of the companion, when there is one; `height` is its learning rate at the height of the schedule.
    pub fn step_companion(&mut self, scale: f64, height: f64) {
        let lr = height * self.learning_rate() / self.settings.optimizer.lr;
        if let Some(Companion { model, optimizer, gradients }) = &mut self.beside.companion {
            optimizer.step(model, gradients, lr as f32, scale as f32);
        }
        self.count_steps();
    }

    fn count_steps(&mut self) {
        self.beside.numbers.insert("optimizer_steps".into(), self.optimizer.step.into());
        if let Some(companion) = &self.beside.companion {
            self.beside.numbers.insert("companion_steps".into(), companion.optimizer.step.into());
        }
    }

    /// A checkpoint of the last whole step, unless it stands already. Returns its place.
    pub fn save_here(&mut self, sink: &mut dyn Sink) -> Result<PathBuf, TrainError> {
        if self.saved != Some(self.state.step) {
            self.save(sink)?;
        }
        Ok(self.folder.checkpoint_path(self.state.step))
    }

    /// The run directory.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

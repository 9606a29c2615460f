//! One config per stage, composed of sections.
use super::sections::{
    Choose, DataSection, Field, ModelSection, OptimizerSection, Paths, Schedule, Section, TrainSection, section,
};
use super::{ConfigError, Resolved};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The config of a stage.
pub trait StageConfig: Clone + Default + Serialize + DeserializeOwned {
    /// The subcommand.
    const STAGE: &'static str;
    /// Its sections, in the order in which they are written.
    const SECTIONS: &'static [Section];
    /// Keys of those sections that would do nothing here, and why.
    const UNUSED: &'static [(&'static str, &'static str)];
    /// Fills in defaults that depend on other values.
    fn complete(&mut self);
    /// Refuses values out of range, contradictions, and options without effect.
    fn check(&self, resolved: &Resolved<Self>) -> Result<(), ConfigError>;
}

section! {
    /// `[sft]`: what is learnt beside demonstrations.
    SftSection, "sft" {
        /// Text to go on learning from (`--ptx`), every token of it: InstructGPT mixes a tenth of pretraining data in.
        ptx: Paths = Paths::default(),
    }
}

/// `helpmate sft`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SftConfig {
    /// What is trained.
    pub model: ModelSection,
    /// What it learns from.
    pub data: DataSection,
    /// AdamW.
    pub optimizer: OptimizerSection,
    /// How long.
    pub train: TrainSection,
    /// Beside demonstrations.
    pub sft: SftSection,
}

/// `helpmate pretrain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainConfig {
    /// What is trained.
    pub model: ModelSection,
    /// What it learns from.
    pub data: DataSection,
    /// AdamW.
    pub optimizer: OptimizerSection,
    /// How long.
    pub train: TrainSection,
}

impl Default for PretrainConfig {
    /// As fine-tuning, but with the higher learning rate that new weights want.
    fn default() -> Self {
        let optimizer = OptimizerSection { lr: 3e-4, weight_decay: 0.1, ..OptimizerSection::default() };
        PretrainConfig {
            model: ModelSection::default(),
            data: DataSection::default(),
            optimizer,
            train: TrainSection::default(),
        }
    }
}

pub(super) const SUPERVISED: &[Section] =
    &[ModelSection::SECTION, DataSection::SECTION, OptimizerSection::SECTION, TrainSection::SECTION];

impl StageConfig for SftConfig {
    const STAGE: &'static str = "sft";
    const SECTIONS: &'static [Section] = &[
        ModelSection::SECTION,
        DataSection::SECTION,
        OptimizerSection::SECTION,
        TrainSection::SECTION,
        SftSection::SECTION,
    ];
    const UNUSED: &'static [(&'static str, &'static str)] =
        &[("data.shared_prefix", "a demonstration has one completion")];

    fn complete(&mut self) {
        complete(&mut self.train);
    }

    fn check(&self, resolved: &Resolved<Self>) -> Result<(), ConfigError> {
        let parts = Parts { model: &self.model, data: &self.data, optimizer: &self.optimizer, train: &self.train };
        parts.check(resolved)
    }
}

impl StageConfig for PretrainConfig {
    const STAGE: &'static str = "pretrain";
    const SECTIONS: &'static [Section] = SUPERVISED;
    const UNUSED: &'static [(&'static str, &'static str)] = &[
        ("data.shared_prefix", "text has no completions"),
        ("data.over_length", "documents are cut into blocks of max_length"),
        ("data.loss_on", "every token of a text carries loss"),
        ("data.chat_template", "text has no turns"),
    ];

    fn complete(&mut self) {
        complete(&mut self.train);
    }

    fn check(&self, resolved: &Resolved<Self>) -> Result<(), ConfigError> {
        let parts = Parts { model: &self.model, data: &self.data, optimizer: &self.optimizer, train: &self.train };
        parts.check(resolved)
    }
}

pub(super) fn complete(train: &mut TrainSection) {
    if train.epochs.is_none() && train.max_steps.is_none() {
        train.epochs = Some(1);
    }
}

/// The sections that every supervised stage has.
pub(super) struct Parts<'a> {
    pub model: &'a ModelSection,
    pub data: &'a DataSection,
    pub optimizer: &'a OptimizerSection,
    pub train: &'a TrainSection,
}

impl Parts<'_> {
    /// Refuses values out of range, contradictions, and options without effect.
    pub fn check<C: StageConfig>(&self, resolved: &Resolved<C>) -> Result<(), ConfigError> {
        self.check_missing()?;
        self.check_ranges(resolved)?;
        self.check_conflicts()?;
        self.check_effects(resolved)
    }

    fn check_missing(&self) -> Result<(), ConfigError> {
        if self.model.path.is_none() {
            return Err(ConfigError::Missing { key: "model.path", hint: "give --model M" });
        }
        if self.data.train.0.is_empty() {
            return Err(ConfigError::Missing { key: "data.train", hint: "give --data FILE" });
        }
        if self.train.choose == Choose::Score && self.train.score_command.is_none() {
            let hint = "choose = \"score\" needs a command that prints a score for a model folder";
            return Err(ConfigError::Missing { key: "train.score_command", hint });
        }
        if self.train.choose == Choose::HeldOutLoss && !self.has_held_out() {
            let hint = "choose = \"held_out_loss\" needs held-out rows: --eval-data FILE or data.eval_fraction";
            return Err(ConfigError::Missing { key: "data.eval", hint });
        }
        Ok(())
    }

    fn has_held_out(&self) -> bool {
        !self.data.eval.0.is_empty() || self.data.eval_fraction > 0.0
    }

    fn check_ranges<C: StageConfig>(&self, resolved: &Resolved<C>) -> Result<(), ConfigError> {
        let (model, data, optimizer, train) = (self.model, self.data, self.optimizer, self.train);
        let within = |key: &'static str, ok: bool, found: String, expected: &'static str| {
            if ok {
                return Ok(());
            }
            Err(ConfigError::OutOfRange { key, found, origin: resolved.origin(key), expected })
        };
        let probability = "a number in [0, 1)";
        let positive = "a finite number above 0";
        let not_negative = "a finite number, 0 or more";
        let count = "at least 1";
        let is_probability = |x: f64| (0.0..1.0).contains(&x);
        within("model.dropout", is_probability(model.dropout), model.dropout.to_string(), probability)?;
        if let Some(lora) = &model.lora {
            let shown = || format!("{lora:?}");
            within("model.lora", lora.rank > 0, shown(), "a rank of at least 1")?;
            let alpha_ok = lora.alpha.is_none_or(|alpha| alpha.is_finite() && alpha > 0.0);
            within("model.lora", alpha_ok, shown(), "a finite alpha above 0")?;
            within("model.lora", !lora.targets.is_empty(), shown(), "at least one target layer")?;
        }
        within("data.eval_fraction", is_probability(data.eval_fraction), data.eval_fraction.to_string(), probability)?;
        within("data.max_length", data.max_length >= 2, data.max_length.to_string(), "at least 2 tokens")?;
        let neftune = data.neftune_alpha;
        within("data.neftune_alpha", neftune.is_finite() && neftune >= 0.0, neftune.to_string(), not_negative)?;
        within("optimizer.lr", optimizer.lr.is_finite() && optimizer.lr > 0.0, optimizer.lr.to_string(), positive)?;
        let betas_ok = optimizer.betas.iter().all(|&beta| is_probability(beta));
        within("optimizer.betas", betas_ok, format!("{:?}", optimizer.betas), "two numbers in [0, 1)")?;
        let eps = optimizer.eps;
        within("optimizer.eps", eps.is_finite() && eps > 0.0, eps.to_string(), positive)?;
        let decay = optimizer.weight_decay;
        within("optimizer.weight_decay", decay.is_finite() && decay >= 0.0, decay.to_string(), not_negative)?;
        let clip = optimizer.max_grad_norm;
        within("optimizer.max_grad_norm", clip.is_finite() && clip >= 0.0, clip.to_string(), not_negative)?;
        let floor = optimizer.min_lr_ratio;
        within("optimizer.min_lr_ratio", (0.0..=1.0).contains(&floor), floor.to_string(), "a number in [0, 1]")?;
        within("train.batch_size", train.batch_size > 0, train.batch_size.to_string(), count)?;
        within("train.micro_tokens", train.micro_tokens > 0, train.micro_tokens.to_string(), count)?;
        within("train.epochs", train.epochs != Some(0), "0".into(), count)?;
        within("train.max_steps", train.max_steps != Some(0), "0".into(), count)?;
        let ema = train.ema.unwrap_or(0.5);
        within("train.ema", ema > 0.0 && ema < 1.0, ema.to_string(), "a number in (0, 1)")
    }

    fn check_conflicts(&self) -> Result<(), ConfigError> {
        if self.train.epochs.is_some() && self.train.max_steps.is_some() {
            let why = "each alone says how long to train";
            return Err(ConfigError::Conflict { first: "train.max_steps", second: "train.epochs", why });
        }
        if !self.data.eval.0.is_empty() && self.data.eval_fraction > 0.0 {
            let why = "held-out rows come from files or from the training rows";
            return Err(ConfigError::Conflict { first: "data.eval", second: "data.eval_fraction", why });
        }
        Ok(())
    }

    /// Options that the stage has but that these values leave without effect.
    fn check_effects<C: StageConfig>(&self, resolved: &Resolved<C>) -> Result<(), ConfigError> {
        let constant = self.optimizer.schedule == Schedule::Constant;
        let cases = [
            ("optimizer.min_lr_ratio", constant, "the schedule is constant"),
            ("train.micro_tokens", !self.data.packing, "data.packing is off"),
            ("train.score_command", self.train.choose != Choose::Score, "train.choose is not \"score\""),
            ("train.eval_every", !self.has_held_out() && self.train.eval_every > 0, "there are no held-out rows"),
        ];
        for (key, idle, why) in cases {
            if idle && resolved.is_given(key) {
                return Err(ConfigError::NoEffect {
                    key: key.into(),
                    origin: resolved.origin(key),
                    stage: C::STAGE,
                    why: why.into(),
                });
            }
        }
        Ok(())
    }
}

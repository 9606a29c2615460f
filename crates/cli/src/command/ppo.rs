//! `helpmate ppo`.

use crate::arguments::DtypeOption;
use crate::context::Context;
use crate::error::CommandError;
use crate::training::{self, Drawing, TrainingArguments, text};
use crate::{interrupt, loading, output, reward};
use clap::Args;
use kernels::Device;
use render::Renderer;
use run::config::{PpoSection, Precision};
use run::{Layers, PpoConfig};
use serde_json::Value;
use std::path::{Path, PathBuf};
use train::ppo::{Normalised, Rewards};
use train::scorer::{Gated, Scorer, Weighted};

/// Train a policy on rewards: PPO with a KL penalty, a value model and the pretraining mix
///
/// Answers to --prompts are sampled, scored by --reward, and learnt from; the KL to the model as it began (--reference)
/// is part of the reward. The value model begins as --value, else as the reward model when that has the policy's
/// tokenizer. --max-steps counts iterations. ppo.algorithm = reinforce, rloo, grpo or actor_critic share the loop.
/// Writes a run folder whose final/ is the new model, and prints its path. Ctrl-C writes a checkpoint and exits with
/// 130; --resume goes on from there.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate ppo --model runs/sft --reward runs/rm --prompts data/prompts.jsonl --ptx data/text.jsonl --out runs/ppo --max-steps 100"
)]
pub struct Ppo {
    #[command(flatten)]
    training: TrainingArguments,
    /// Files of prompts, the same as --data
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "data")]
    prompts: Vec<PathBuf>,
    /// Reward: reward-model folder or run, rule:NAME[:ARG], or http(s)://…; WEIGHT*R weighs it (ppo.reward)
    #[arg(long, value_name = "R")]
    reward: Vec<String>,
    /// Safety reward: below ppo.safety_threshold it counts instead (ppo.safety)
    #[arg(long, value_name = "R")]
    safety: Option<String>,
    /// Reward that is only measured, to see over-optimisation (ppo.gold)
    #[arg(long, value_name = "R")]
    gold: Vec<String>,
    /// Text to go on learning from (ppo.ptx)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    ptx: Vec<PathBuf>,
    /// Model that the value model begins as (ppo.value)
    #[arg(long, value_name = "M")]
    value: Option<String>,
    /// Model that the KL penalty holds the policy to (ppo.reference)
    #[arg(long, value_name = "M")]
    reference: Option<String>,
}

impl Ppo {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let arguments = &self.training;
        let mut config = self.layers(context)?.resolve::<PpoConfig>()?;
        let PpoConfig { model, data, train, .. } = &config.config;
        let renderer = training::renderer(model.path.as_deref(), data.chat_template.as_deref())?;
        let command = train.score_command.clone();
        let dtype = match model.dtype {
            Precision::Auto => DtypeOption::Auto,
            Precision::Bf16 => DtypeOption::Bf16,
            Precision::F32 => DtypeOption::F32,
        };
        let device = arguments.device();
        let (rewards, learnt_from) = rewards(context, &config.config.ppo, &device, dtype)?;
        let has_critic = matches!(config.config.ppo.algorithm.as_str(), "ppo" | "actor_critic");
        if has_critic && config.config.ppo.value.is_none() {
            config.config.ppo.value = learnt_from.into_iter().find(|folder| can_value(&renderer, folder));
        }
        let score = command.map(|command| move |model: &Path| training::score(&command, model));
        interrupt::listen()?;
        training::prepare(&arguments.out)?;
        let mut drawing = Drawing::new();
        let score = score.as_ref().map(|score| score as &train::Score);
        let options = training::options(config, &arguments.out, arguments.resume, device, &renderer, score);
        let outcome = train::ppo::run(options, rewards, &mut |event: &train::Event| drawing.event(event));
        drawing.finish();
        let summary = training::conclude(outcome?, &arguments.out)?;
        output::path(&summary.model)
    }

    fn layers(&self, context: &Context) -> Result<Layers, CommandError> {
        let mut layers = self.training.layers::<PpoConfig>(context)?;
        let texts = |paths: &[PathBuf]| paths.iter().map(|path| text(path)).collect::<Vec<String>>();
        for (option, key, values) in [
            ("--prompts", "data.train", texts(&self.prompts)),
            ("--reward", "ppo.reward", self.reward.clone()),
            ("--gold", "ppo.gold", self.gold.clone()),
            ("--ptx", "ppo.ptx", texts(&self.ptx)),
        ] {
            if !values.is_empty() {
                layers = layers.option::<PpoConfig>(option, key, values)?;
            }
        }
        if let Some(safety) = &self.safety {
            layers = layers.option::<PpoConfig>("--safety", "ppo.safety", safety.clone())?;
        }
        for (option, key, model) in
            [("--value", "ppo.value", &self.value), ("--reference", "ppo.reference", &self.reference)]
        {
            if let Some(model) = model {
                layers = layers.option::<PpoConfig>(option, key, text(&loading::resolve(context, model)?))?;
            }
        }
        Ok(layers)
    }
}

/// A reward, where one is asked for.
type Reward = Option<Box<dyn Scorer>>;

/// Every reward, each on its own scale, and the reward-model folders among `--reward`.
fn rewards(
    context: &Context,
    ppo: &PpoSection,
    device: &Device,
    dtype: DtypeOption,
) -> Result<(Rewards, Vec<PathBuf>), CommandError> {
    let folder_of = |scorer: &dyn Scorer| Some(PathBuf::from(scorer.name())).filter(|folder| folder.is_dir());
    let sum = |texts: &[String]| -> Result<(Reward, Vec<PathBuf>), CommandError> {
        let (mut parts, mut folders) = (Vec::new(), Vec::new());
        for text in texts {
            let (weight, scorer) = reward::open(context, text, device, dtype)?;
            folders.extend(folder_of(scorer.as_ref()));
            parts.push((weight, Box::new(Normalised(scorer)) as Box<dyn Scorer>));
        }
        Ok(((!parts.is_empty()).then(|| Box::new(Weighted { parts }) as Box<dyn Scorer>), folders))
    };
    let (reward, learnt_from) = sum(&ppo.reward)?;
    let (gold, measured) = sum(&ppo.gold)?;
    let mut folders = [&learnt_from[..], &measured].concat();
    let reward = match (reward, &ppo.safety) {
        (Some(helpfulness), Some(safety)) => {
            let safety = reward::open_safety(context, safety, device, dtype)?;
            folders.extend(folder_of(safety.as_ref()));
            let threshold = ppo.safety_threshold;
            Some(Box::new(Gated { helpfulness, safety, threshold }) as Box<dyn Scorer>)
        }
        (reward, _) => reward,
    };
    folders.sort();
    folders.dedup();
    Ok((Rewards { reward, gold, folders }, learnt_from))
}

/// Whether a value model can begin as this reward model: it has the policy's tokens, and reads at them.
fn can_value(renderer: &Renderer, folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    let config: Value = serde_json::from_str(&text).unwrap_or_default();
    let hash = |renderer: &Renderer| renderer.tokenizer().content_hash();
    config["readout"] != "token" && Renderer::open(folder, None).is_ok_and(|other| hash(&other) == hash(renderer))
}

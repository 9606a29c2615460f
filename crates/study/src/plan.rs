//! How much of everything.
use serde::{Deserialize, Serialize};

/// Sizes and settings of a study. Settings are `key=value` of the stage's config, over its defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of every random stream.
    pub seed: u64,
    /// Demonstrations to learn from.
    pub demonstrations: usize,
    /// Texts of the base's own kind that are learnt beside them (`sft.ptx`), so that it doesn't forget what it knew.
    #[serde(default)]
    pub sft_texts: usize,
    /// Settings of supervised fine-tuning.
    pub sft: Vec<String>,
    /// Questions whose answers are ranked.
    pub ranked_questions: usize,
    /// Answers of the model to each of them; the domain may add written ones.
    pub ranked_answers: usize,
    /// Settings of the reward model.
    pub rm: Vec<String>,
    /// Questions that the policy learns from.
    pub policy_questions: usize,
    /// Texts for the pretraining mix.
    pub mix_texts: usize,
    /// Settings of both runs of PPO.
    pub ppo: Vec<String>,
    /// Settings of the one with the mix, beside those.
    pub ptx: Vec<String>,
    /// Questions that models are measured on.
    pub questions: usize,
    /// Answers of each model to each of them.
    pub samples: usize,
    /// Answers to the example.
    pub example_answers: usize,
    /// Texts whose loss is measured.
    pub texts: usize,
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
    /// Resamples of each interval.
    pub resamples: usize,
}

fn settings(all: &[&str]) -> Vec<String> {
    all.iter().map(|setting| (*setting).to_owned()).collect()
}

impl Plan {
    /// For the small world and a base of a few million parameters: minutes on two cores.
    pub fn small_world(seed: u64) -> Plan {
        Plan {
            seed,
            demonstrations: 20_000,
            sft_texts: 5000,
            sft: settings(&["optimizer.lr=2e-3", "train.batch_size=32", "train.epochs=1"]),
            ranked_questions: 4000,
            ranked_answers: 4,
            rm: settings(&["optimizer.lr=5e-4", "train.batch_size=16", "train.epochs=1"]),
            policy_questions: 4000,
            mix_texts: 5000,
            ppo: settings(&[
                "optimizer.lr=1e-4",
                "ppo.value_lr=3e-4",
                "ppo.rollout_batch=64",
                "ppo.samples_per_prompt=1",
                "ppo.minibatches=2",
                "ppo.beta=0.1",
                "train.max_steps=80",
            ]),
            ptx: settings(&["ppo.ptx_coefficient=1.0", "ppo.ptx_ratio=1.0"]),
            questions: 400,
            samples: 2,
            example_answers: 6,
            texts: 200,
            max_new_tokens: 48,
            resamples: 2000,
        }
    }

    /// For a model of a hundred million parameters and the project's own rows.
    pub fn instructions(seed: u64) -> Plan {
        Plan {
            seed,
            demonstrations: usize::MAX,
            sft_texts: 0,
            sft: settings(&[
                "model.dtype=bf16",
                "optimizer.lr=2e-5",
                "train.batch_size=8",
                "train.epochs=2",
                "data.max_length=384",
            ]),
            ranked_questions: usize::MAX,
            ranked_answers: 4,
            rm: settings(&[
                "model.dtype=bf16",
                "optimizer.lr=2e-5",
                "train.batch_size=8",
                "train.epochs=2",
                "data.max_length=384",
            ]),
            policy_questions: usize::MAX,
            mix_texts: usize::MAX,
            ppo: settings(&[
                "model.dtype=bf16",
                "optimizer.lr=2e-6",
                "ppo.value_lr=1e-5",
                "ppo.rollout_batch=16",
                "ppo.beta=0.05",
                "train.max_steps=16",
                "train.save_every=4",
            ]),
            ptx: settings(&["ppo.ptx_coefficient=1.0", "ppo.ptx_ratio=0.5"]),
            questions: usize::MAX,
            samples: 1,
            example_answers: 6,
            texts: usize::MAX,
            max_new_tokens: 64,
            resamples: 2000,
        }
    }
}

//! One round: n answers to each prompt, their rewards, the best.
use super::Request;
use crate::TrainError;
use crate::scorer::{Asked, Scorer, check};
use generate::{Completion, Generator, Sampling, StopReason};
use model::Model;
use objective::policy::best_of_n;
use record::{Prompt, Source};
use serde::{Deserialize, Serialize};
use statistics::correlation;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use stdx::Seed;

/// An answer with its reward. A line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampled {
    /// Which prompt, from 0.
    pub row: usize,
    /// Which of its answers.
    pub sample: usize,
    /// What was asked.
    pub prompt: Prompt,
    /// The answer.
    pub completion: String,
    /// "stop" if it ended by itself, else "length".
    pub stop: &'static str,
    /// Its reward; absent if it did not end or says nothing, for then it can't be chosen.
    pub reward: Option<f64>,
    /// Who wrote it.
    pub source: Source,
}

/// The best answer to a prompt: a demonstration. A line of `demonstrations.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// What was asked.
    pub prompt: Prompt,
    /// The answer.
    pub completion: String,
    /// Who wrote it: a model.
    pub source: Source,
    /// Its reward.
    pub reward: f64,
    /// Which prompt, from 0.
    pub row: usize,
}

/// What a round made.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Every answer.
    pub samples: Vec<Sampled>,
    /// The best of each prompt that has one that ended.
    pub best: Vec<Best>,
    /// Their rewards in sum.
    pub report: Report,
}

/// Rewards of a round. Stands in its folder as `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which, from 1.
    pub round: usize,
    /// Prompts.
    pub prompts: usize,
    /// Answers.
    pub answers: usize,
    /// Prompts without an answer that can be chosen: one that ended by itself and says something; they are left out.
    pub without_end: usize,
    /// Answers that ended at once: a demonstration of saying nothing is none.
    pub empty: usize,
    /// Share of answers that ended by themselves.
    pub share_eos: f64,
    /// Mean reward of the answers that can be chosen; absent without any.
    pub reward_mean: Option<f64>,
    /// Their standard deviation (population).
    pub reward_std: Option<f64>,
    /// Mean reward of the best answers; absent without any.
    pub best_mean: Option<f64>,
    /// KL of always taking the best of n from the model itself, nats: ln n − (n − 1)/n.
    pub best_of_n_kl: f64,
    /// Mean characters of the answers that can be chosen; absent without any.
    pub characters_mean: Option<f64>,
    /// Mean characters of the best answers; absent without any.
    pub best_characters_mean: Option<f64>,
    /// Pearson's correlation of characters and reward: what a reward that only likes length would show; absent where
    /// one of them does not vary.
    pub length_reward_correlation: Option<f64>,
}

/// Samples, scores and picks; `None` when stopped. A round depends on the seed, its number and the model alone.
pub fn round(
    request: &Request<'_>,
    index: usize,
    model: &Model,
    scorer: &mut dyn Scorer,
) -> Result<Option<Round>, TrainError> {
    let completions = sample(request, index, model)?;
    if request.stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let n = request.settings.n;
    let asked: Vec<Asked> = request.prompts.iter().zip(completions.chunks(n)).map(candidates).collect();
    let rewards = scorer.score(&asked)?;
    check(&scorer.name(), &asked, &rewards)?;
    let mut rewards = rewards.into_iter().flatten();
    let samples: Vec<Sampled> = completions
        .iter()
        .map(|completion| {
            let reward = if can_be_chosen(completion) { rewards.next() } else { None };
            sampled(request.prompts, completion, reward)
        })
        .collect();
    let best: Vec<Best> = samples.chunks(n).filter_map(best).collect();
    let report = report(index, n, &samples, &best);
    Ok(Some(Round { samples, best, report }))
}

fn has_ended(completion: &Completion) -> bool {
    completion.stop == StopReason::End
}

/// An answer that was cut would be given an end that the model did not write; an empty one is no demonstration.
fn can_be_chosen(completion: &Completion) -> bool {
    has_ended(completion) && !is_empty(&completion.text)
}

fn is_empty(text: &str) -> bool {
    text.trim().is_empty()
}

/// The answers to a prompt that can be chosen.
fn candidates<'a>((prompt, completions): (&'a Prompt, &'a [Completion])) -> Asked<'a> {
    let candidates = completions.iter().filter(|completion| can_be_chosen(completion));
    Asked { prompt, completions: candidates.map(|completion| completion.text.as_str()).collect() }
}

fn sample(request: &Request<'_>, index: usize, model: &Model) -> Result<Vec<Completion>, TrainError> {
    let mut token_ids = Vec::with_capacity(request.prompts.len());
    for (row, prompt) in request.prompts.iter().enumerate() {
        let rendered = request.renderer.prompt(prompt);
        token_ids.push(rendered.map_err(|source| crate::scorer::ScoreError::Render {
            scorer: "prompts".into(),
            row,
            source,
        })?);
    }
    let settings = generate::Settings {
        sampling: Sampling { temperature: request.settings.temperature, ..Sampling::default() },
        n: request.settings.n,
        max_new_tokens: request.settings.max_new_tokens,
        end_token_ids: request.renderer.end_ids().to_vec(),
        stop: Vec::new(),
        seed: Seed(Seed(request.settings.seed).stream("round", index as u64).next_u64()),
        batch: request.settings.batch,
    };
    let mut generator = Generator::new(model, Some(request.renderer.tokenizer()));
    let flow = || if request.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    Ok(generator.generate(&token_ids, &settings, &mut |_| flow())?)
}

fn sampled(prompts: &[Prompt], completion: &Completion, reward: Option<f64>) -> Sampled {
    Sampled {
        row: completion.prompt_idx,
        sample: completion.sample_idx,
        prompt: prompts[completion.prompt_idx].clone(),
        completion: completion.text.clone(),
        stop: if has_ended(completion) { "stop" } else { "length" },
        reward,
        source: Source::Model,
    }
}

/// The highest reward, the first of equals; only answers that can be chosen have one.
fn best(of_prompt: &[Sampled]) -> Option<Best> {
    let rewarded = of_prompt.iter().filter_map(|sampled| Some((sampled, sampled.reward?)));
    let (best, reward) = rewarded.reduce(|best, other| if other.1 > best.1 { other } else { best })?;
    Some(Best {
        prompt: best.prompt.clone(),
        completion: best.completion.clone(),
        source: Source::Model,
        reward,
        row: best.row,
    })
}

fn report(index: usize, n: usize, samples: &[Sampled], best: &[Best]) -> Report {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let some_mean = |values: Vec<f64>| (!values.is_empty()).then(|| mean(&values));
    let characters = |text: &String| text.chars().count() as f64;
    let rewarded = samples.iter().filter_map(|sampled| Some((characters(&sampled.completion), sampled.reward?)));
    let (lengths, rewards): (Vec<f64>, Vec<f64>) = rewarded.unzip();
    let ended = || samples.iter().filter(|sampled| sampled.stop == "stop");
    let reward_mean = some_mean(rewards.clone());
    let deviation = |mean: f64| some_mean(rewards.iter().map(|reward| (reward - mean).powi(2)).collect());
    let reward_std = reward_mean.and_then(deviation).map(f64::sqrt);
    let prompts = samples.len() / n;
    Report {
        round: index,
        prompts,
        answers: samples.len(),
        without_end: prompts - best.len(),
        empty: ended().filter(|sampled| is_empty(&sampled.completion)).count(),
        share_eos: ended().count() as f64 / samples.len() as f64,
        reward_mean,
        reward_std,
        best_mean: some_mean(best.iter().map(|best| best.reward).collect()),
        best_of_n_kl: best_of_n::kl(n),
        characters_mean: some_mean(lengths.clone()),
        best_characters_mean: some_mean(best.iter().map(|best| characters(&best.completion)).collect()),
        length_reward_correlation: correlation::pearson(&lengths, &rewards).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(row: usize, stop: &'static str, reward: f64, completion: &str) -> Sampled {
        let prompt = Prompt::Text(row.to_string());
        let reward = (stop == "stop" && !completion.is_empty()).then_some(reward);
        Sampled { row, sample: 0, prompt, completion: completion.into(), stop, reward, source: Source::Model }
    }

    #[test]
    fn the_best_that_can_be_chosen_is_taken_and_the_first_of_equals() {
        let samples = [
            sampled(0, "stop", 1.0, "a"),
            sampled(0, "stop", 2.0, "bb"),
            sampled(0, "stop", 2.0, "ccc"),
            sampled(1, "length", 9.0, "dddd"),
            sampled(1, "stop", -1.0, "ee"),
            sampled(1, "length", 0.0, "ff"),
            sampled(2, "length", 1.0, "g"),
            sampled(2, "stop", 7.0, ""),
            sampled(2, "length", 2.0, "i"),
        ];
        let best: Vec<Best> = samples.chunks(3).filter_map(best).collect();
        let texts: Vec<&str> = best.iter().map(|best| best.completion.as_str()).collect();
        assert_eq!(texts, ["bb", "ee"]);
        let report = report(1, 3, &samples, &best);
        assert_eq!((report.prompts, report.without_end, report.empty), (3, 1, 1));
        // those that can be chosen: (1 + 2 + 2 − 1)/4, of 1, 2, 3 and 2 characters; best (2 − 1)/2
        assert_eq!((report.reward_mean, report.characters_mean), (Some(1.0), Some(2.0)));
        assert_eq!(report.share_eos, 5.0 / 9.0);
        assert_eq!((report.best_mean, report.best_characters_mean), (Some(0.5), Some(2.0)));
        assert!((report.best_of_n_kl - (3.0_f64.ln() - 2.0 / 3.0)).abs() < 1e-12);
    }
}

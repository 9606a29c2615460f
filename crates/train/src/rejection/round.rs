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
    /// Its reward.
    pub reward: f64,
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
    /// Prompts none of whose answers ended by itself; they are left out.
    pub without_end: usize,
    /// Share of answers that ended by themselves.
    pub share_eos: f64,
    /// Mean reward of all answers.
    pub reward_mean: f64,
    /// Standard deviation of it (population).
    pub reward_std: f64,
    /// Mean reward of the best answers; absent without any.
    pub best_mean: Option<f64>,
    /// KL of always taking the best of n from the model itself, nats: ln n − (n − 1)/n.
    pub best_of_n_kl: f64,
    /// Mean characters of all answers.
    pub characters_mean: f64,
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
    let asked: Vec<Asked> = request
        .prompts
        .iter()
        .zip(completions.chunks(n))
        .map(|(prompt, of)| Asked { prompt, completions: of.iter().map(|completion| completion.text.as_str()).collect() })
        .collect();
    let rewards = scorer.score(&asked)?;
    check(&scorer.name(), &asked, &rewards)?;
    let rewards = rewards.concat();
    let samples: Vec<Sampled> =
        completions.iter().zip(&rewards).map(|(completion, &reward)| sampled(request.prompts, completion, reward)).collect();
    let best: Vec<Best> = samples.chunks(n).filter_map(best).collect();
    let report = report(index, n, &samples, &best);
    Ok(Some(Round { samples, best, report }))
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

fn sampled(prompts: &[Prompt], completion: &Completion, reward: f64) -> Sampled {
    Sampled {
        row: completion.prompt_idx,
        sample: completion.sample_idx,
        prompt: prompts[completion.prompt_idx].clone(),
        completion: completion.text.clone(),
        stop: if completion.stop == StopReason::End { "stop" } else { "length" },
        reward,
        source: Source::Model,
    }
}

/// The highest reward among answers that ended, the first of equals.
fn best(of_prompt: &[Sampled]) -> Option<Best> {
    let ended = of_prompt.iter().filter(|sampled| sampled.stop == "stop");
    let best = ended.reduce(|best, other| if other.reward > best.reward { other } else { best })?;
    Some(Best {
        prompt: best.prompt.clone(),
        completion: best.completion.clone(),
        source: Source::Model,
        reward: best.reward,
        row: best.row,
    })
}

fn report(index: usize, n: usize, samples: &[Sampled], best: &[Best]) -> Report {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let some_mean = |values: Vec<f64>| (!values.is_empty()).then(|| mean(&values));
    let rewards: Vec<f64> = samples.iter().map(|sampled| sampled.reward).collect();
    let characters = |text: &String| text.chars().count() as f64;
    let lengths: Vec<f64> = samples.iter().map(|sampled| characters(&sampled.completion)).collect();
    let reward_mean = mean(&rewards);
    let squares: Vec<f64> = rewards.iter().map(|reward| (reward - reward_mean).powi(2)).collect();
    let prompts = samples.len() / n;
    Report {
        round: index,
        prompts,
        answers: samples.len(),
        without_end: prompts - best.len(),
        share_eos: samples.iter().filter(|sampled| sampled.stop == "stop").count() as f64 / samples.len() as f64,
        reward_mean,
        reward_std: mean(&squares).sqrt(),
        best_mean: some_mean(best.iter().map(|best| best.reward).collect()),
        best_of_n_kl: best_of_n::kl(n),
        characters_mean: mean(&lengths),
        best_characters_mean: some_mean(best.iter().map(|best| characters(&best.completion)).collect()),
        length_reward_correlation: correlation::pearson(&lengths, &rewards).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(row: usize, stop: &'static str, reward: f64, completion: &str) -> Sampled {
        let prompt = Prompt::Text(row.to_string());
        Sampled { row, sample: 0, prompt, completion: completion.into(), stop, reward, source: Source::Model }
    }

    #[test]
    fn the_best_that_ended_is_taken_and_the_first_of_equals() {
        let samples = [
            sampled(0, "stop", 1.0, "a"),
            sampled(0, "stop", 2.0, "bb"),
            sampled(0, "stop", 2.0, "ccc"),
            sampled(1, "length", 9.0, "dddd"),
            sampled(1, "stop", -1.0, ""),
            sampled(1, "length", 0.0, "ff"),
            sampled(2, "length", 1.0, "g"),
            sampled(2, "length", 1.0, "h"),
            sampled(2, "length", 2.0, "i"),
        ];
        let best: Vec<Best> = samples.chunks(3).filter_map(best).collect();
        let texts: Vec<&str> = best.iter().map(|best| best.completion.as_str()).collect();
        assert_eq!(texts, ["bb", ""]);
        let report = report(1, 3, &samples, &best);
        assert_eq!((report.prompts, report.without_end), (3, 1));
        // (1 + 2 + 2 + 9 − 1 + 0 + 1 + 1 + 2)/9; best (2 − 1)/2
        assert!((report.reward_mean - 17.0 / 9.0).abs() < 1e-12);
        assert_eq!((report.best_mean, report.best_characters_mean), (Some(0.5), Some(1.0)));
        assert!((report.best_of_n_kl - (3.0_f64.ln() - 2.0 / 3.0)).abs() < 1e-12);
    }
}

//! Scores of the tiny reward model, two steps on pairs (plain, with margin, centered), one on rankings in both
//! reductions.

use super::shipped::Shipped;
use super::{Check, Step, distances, steps};
use crate::error::CommandError;
use kernels::linear::Precision;
use record::Prompt;
use run::RmConfig;
use serde::Deserialize;
use train::scorer::{Asked, RewardModel, Scorer};

#[derive(Deserialize)]
struct References {
    rm_bt: Pairs,
    rm_margin: Pairs,
    rm_center: Pairs,
}

#[derive(Deserialize)]
struct Pairs {
    /// Of the chosen answers, then of the rejected ones.
    scores_before: Vec<f64>,
    hist: Vec<Step>,
}

#[derive(Deserialize)]
struct Rankings {
    mean_per_prompt_then_over_prompts: Step,
    mean_over_all_pairs: Step,
}

#[derive(Deserialize)]
struct Preference {
    prompt: String,
    chosen: String,
    rejected: String,
}

/// The checks.
pub fn checks(shipped: &Shipped) -> Result<Vec<Check>, CommandError> {
    let references: References = shipped.json("refs.json")?;
    let mut checks = vec![scores(shipped, &references.rm_bt.scores_before)?];
    let cases: [(&str, &[&str], &'static str, &Pairs); 3] = [
        ("RM plain", &[], "mean over pairs of −log σ(r_w − r_l); relative", &references.rm_bt),
        ("RM margin", &["rm.margin=true"], "−log σ(r_w − r_l − m), m of the row; relative", &references.rm_margin),
        (
            "RM centered",
            &["rm.center_coefficient=0.01"],
            "−log σ(r_w − r_l) + .01·(r_w + r_l)²; relative",
            &references.rm_center,
        ),
    ];
    for (name, settings, convention, expected) in cases {
        checks.extend(two_steps(shipped, name, "preferences-rm.jsonl", settings, convention, &expected.hist)?);
    }
    let rankings: Rankings = shipped.json("kwise.json")?;
    let cases: [(&str, &[&str], &'static str, Step); 2] = [
        (
            "RM K-wise",
            &[],
            "−log σ(r_i − r_j): mean over a prompt's untied pairs, then over prompts; relative",
            rankings.mean_per_prompt_then_over_prompts,
        ),
        (
            "RM K-wise pooled",
            &["rm.reduction=pooled"],
            "−log σ(r_i − r_j): one mean over all untied pairs; relative",
            rankings.mean_over_all_pairs,
        ),
    ];
    for (name, settings, convention, expected) in cases {
        checks.extend(two_steps(shipped, name, "rankings.jsonl", settings, convention, &[expected])?);
    }
    Ok(checks)
}

fn two_steps(
    shipped: &Shipped,
    name: &str,
    rows: &str,
    settings: &[&str],
    convention: &'static str,
    expected: &[Step],
) -> Result<Vec<Check>, CommandError> {
    let places = [("model.path", "tiny-reward"), ("data.train", rows)];
    let settings = [settings, &["train.max_steps=2"]].concat();
    let ran = shipped.run::<RmConfig>(name, &places, &settings, train::reward::run)?;
    Ok(steps(name, convention, &ran.metrics, expected))
}

fn scores(shipped: &Shipped, expected: &[f64]) -> Result<Check, CommandError> {
    let rows: Vec<Preference> = shipped.rows("preferences-rm.jsonl")?;
    let prompts: Vec<Prompt> = rows.iter().map(|row| Prompt::Text(row.prompt.clone())).collect();
    let answers = [|row: &Preference| row.chosen.clone(), |row: &Preference| row.rejected.clone()];
    let completions: Vec<String> = answers.iter().flat_map(|answer| rows.iter().map(answer)).collect();
    let asked: Vec<Asked> =
        prompts.iter().cycle().zip(&completions).map(|(prompt, text)| Asked::one(prompt, text)).collect();
    let folder = shipped.path("tiny-reward");
    let found = RewardModel::open(&shipped.device, &folder, Precision::F32, 2048)?.score(&asked)?.concat();
    let convention = "scalar at the EOS after the completion, f32; largest distance";
    Ok(distances("RM scores", convention, &found, expected, 1e-6))
}

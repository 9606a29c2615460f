//! How well a reward model orders what people ordered: accuracy, length, calibration, by section and by labeler.

use super::{Data, Example, Respondent, Row, Settings, Task, Together};
use crate::EvalError;
use crate::estimate::{Estimate, clusters, ratio};
use crate::item::{Answer, Ask, Item};
use crate::metric::{Metric, Score};
use serde_json::{Value, json};
use statistics::calibration::calibration;
use std::collections::{BTreeMap, BTreeSet};
use stdx::hash;

/// The task.
pub struct RewardModel;

/// Bins of stated probabilities, those below ½ included: each pair is counted in both orders.
const BINS: usize = 10;

const METRICS: &[Metric] = &[
    Metric::higher("accuracy", "share of untied pairs whose better answer has the higher reward, equal rewards ½"),
    Metric::higher("accuracy_strict", "the same, equal rewards wrong (as RewardBench counts)"),
    Metric::neither("length_baseline", "share whose better answer has more characters, equal lengths ½: no model"),
    Metric::higher("accuracy_longer", "accuracy where the better answer is the longer one"),
    Metric::higher("accuracy_shorter", "accuracy where the better answer is the shorter one"),
    Metric::neither("margin", "reward of the better less that of the worse, mean over pairs"),
    Metric::lower("log_loss", "−log σ(margin), nats, mean over pairs; ln 2 = .693 knows nothing"),
    Metric::lower("brier", "(1 − σ(margin))², mean over pairs; ¼ knows nothing"),
    CALIBRATION,
    Metric::neither("stated", "σ(|margin|), mean: the accuracy that the model claims"),
    Metric::higher("unseen_group", "accuracy on the labeler group that was left out of its training"),
    Metric::higher("seen_groups", "accuracy on the other groups"),
];

const CALIBRATION: Metric =
    Metric::lower("calibration_error", "expected calibration error of σ(margin), 10 bins, each pair in both orders");

/// An untied pair of answers to one prompt.
struct Pair {
    /// Reward of the better less that of the worse.
    margin: f64,
    /// 1 where the better is longer, 0 where it is shorter, else ½.
    longer: f64,
    /// Places between the two.
    apart: i64,
}

impl Task for RewardModel {
    fn name(&self) -> &'static str {
        "reward_model"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "how well a reward model orders what people ordered, and whether its probabilities can be trusted"
    }
    fn source(&self) -> &'static str {
        "pairs as InstructGPT (arXiv 2203.02155, §3.5) takes them from rankings; sections as RewardBench (arXiv 2403.13787)"
    }
    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }
    fn respondent(&self) -> Respondent {
        Respondent::Reward
    }
    fn data(&self) -> Data {
        Data::File(
            "rows with `prompt` and `completions` (each `text`, `rank`), or `prompt`, `chosen`, `rejected`; optional \
             `section`, `labeler`, `group`",
        )
    }
    fn items_of(&self, row: &Row, _: &Settings) -> Result<Vec<Item>, String> {
        let (completions, ranks) = match row.value.get("completions") {
            Some(list) => ranked(list)?,
            None => (vec![row.text("chosen")?.to_owned(), row.text("rejected")?.to_owned()], vec![1, 2]),
        };
        if completions.len() < 2 {
            return Err(format!("{} completions, expected 2 or more", completions.len()));
        }
        let section =
            ["section", "subset", "category", "use_case"].into_iter().find_map(|name| row.optional_text(name));
        let told = |name: &str| row.optional_text(name);
        Ok(vec![Item {
            // The pairs of one judgement have its id.
            id: format!("{}/{}", row.id(), &hash::bytes(completions.join("\n\n").as_bytes())[..8]),
            gold: json!({ "ranks": ranks, "labeler": told("labeler"), "group": told("group") }),
            ask: Ask::Rewards { prompt: row.prompt()?, completions },
            slice: section,
            source: row.source()?,
        }])
    }
    fn score(&self, item: &Item, answer: &Answer, settings: &Settings) -> Result<Vec<Score>, EvalError> {
        let pairs = pairs(item, answer)?;
        let mean = |metric: &str, of: &dyn Fn(&Pair) -> Option<f64>| {
            let values: Vec<f64> = pairs.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| Score::weighted(metric, values.iter().sum(), values.len() as f64))
        };
        let mut scores = vec![
            mean("accuracy", &|pair| Some(right(pair.margin))),
            mean("accuracy_strict", &|pair| Some(f64::from(u8::from(pair.margin > 0.0)))),
            mean("length_baseline", &|pair| Some(pair.longer)),
            mean("accuracy_longer", &|pair| (pair.longer == 1.0).then(|| right(pair.margin))),
            mean("accuracy_shorter", &|pair| (pair.longer == 0.0).then(|| right(pair.margin))),
            mean("margin", &|pair| Some(pair.margin)),
            mean("log_loss", &|pair| Some(log_loss(pair.margin))),
            mean("brier", &|pair| Some((1.0 - sigmoid(pair.margin)).powi(2))),
            mean("stated", &|pair| Some(sigmoid(pair.margin.abs()))),
        ];
        if let (Some(left_out), Some(group)) = (&settings.left_out_group, item.gold["group"].as_str()) {
            let metric = if group == left_out { "unseen_group" } else { "seen_groups" };
            scores.push(mean(metric, &|pair| Some(right(pair.margin))));
        }
        Ok(scores.into_iter().flatten().collect())
    }
    fn together(&self, asked: &[(&Item, &Answer)], settings: &Settings) -> Together {
        let of_item = |(item, answer): &(&Item, &Answer)| {
            let prompt = json!(item.ask.prompt()).to_string();
            pairs(item, answer).unwrap_or_default().into_iter().map(move |pair| (prompt.clone(), pair))
        };
        let pairs: Vec<(String, Pair)> = asked.iter().flat_map(of_item).collect();
        if pairs.is_empty() {
            let notes = vec!["no row has two answers of different ranks: nothing can be said".to_owned()];
            return Together { notes, ..Together::default() };
        }
        let of_prompts = clusters(pairs.iter().map(|(prompt, _)| prompt));
        let error = Estimate::of_clusters(&CALIBRATION, &of_prompts, |drawn| calibration_error(drawn, &pairs));
        Together {
            estimates: vec![error],
            parts: parts(&pairs),
            slices: slices(asked),
            notes: notes(asked, &pairs, of_prompts.len(), settings),
        }
    }
    fn examples(&self) -> Vec<Example> {
        // Ranks 1, 2, 2 make two pairs: (long, mid) and (long, x).
        let row = json!({"prompt": "Q", "completions": [
            {"text": "long one", "rank": 1}, {"text": "mid", "rank": 2}, {"text": "x", "rank": 2}]});
        let example = |rewards: [f64; 3], scores| Example {
            row: row.clone(),
            answer: Answer::Rewards { rewards: rewards.to_vec() },
            scores,
        };
        let shorter = json!({"prompt": "Q", "chosen": "no", "rejected": "yes, it is"});
        vec![
            // σ(ln 3) = ¾: Brier 1/16, −ln ¾; the second margin is the same.
            example(
                [3f64.ln(), 0.0, 0.0],
                vec![
                    ("accuracy", 1.0),
                    ("length_baseline", 1.0),
                    ("margin", 3f64.ln()),
                    ("log_loss", (4f64 / 3.0).ln()),
                    ("brier", 1.0 / 16.0),
                    ("stated", 0.75),
                ],
            ),
            // Lost to one, equal with the other.
            example([0.0, 2.0, 0.0], vec![("accuracy", 0.25), ("accuracy_strict", 0.0), ("accuracy_longer", 0.25)]),
            example([0.0, 2.0, 1.0], vec![("accuracy", 0.0), ("margin", -1.5)]),
            Example {
                row: shorter,
                answer: Answer::Rewards { rewards: vec![0.5, -0.5] },
                scores: vec![("accuracy", 1.0), ("length_baseline", 0.0), ("accuracy_shorter", 1.0)],
            },
        ]
    }
}

/// Texts and ranks of a ranking.
fn ranked(list: &Value) -> Result<(Vec<String>, Vec<i64>), String> {
    let list = list.as_array().ok_or("`completions` is no list")?;
    let one = |(idx, completion): (usize, &Value)| {
        let text =
            completion.get("text").and_then(Value::as_str).ok_or(format!("`completions[{idx}]` has no `text`"))?;
        let rank = completion.get("rank").ok_or(format!("`completions[{idx}]` has no `rank`"))?;
        let rank = rank.as_i64().ok_or(format!("`completions[{idx}].rank` is {rank}, expected a whole number"))?;
        Ok((text.to_owned(), rank))
    };
    let both: Vec<(String, i64)> = list.iter().enumerate().map(one).collect::<Result<_, String>>()?;
    Ok(both.into_iter().unzip())
}

/// The untied pairs of an item; rewards that are no numbers are an error.
fn pairs(item: &Item, answer: &Answer) -> Result<Vec<Pair>, EvalError> {
    let (Ask::Rewards { completions, .. }, Answer::Rewards { rewards }) = (&item.ask, answer) else {
        return Ok(Vec::new());
    };
    let wrong = |problem: String| EvalError::Item { task: "reward_model".to_owned(), id: item.id.clone(), problem };
    if rewards.len() != completions.len() {
        return Err(wrong(format!("{} rewards, expected {}", rewards.len(), completions.len())));
    }
    if let Some(found) = rewards.iter().find(|reward| !reward.is_finite()) {
        return Err(wrong(format!("a reward is {found}, expected a finite number")));
    }
    let ranks: Vec<i64> = serde_json::from_value(item.gold["ranks"].clone()).unwrap_or_default();
    let lengths: Vec<usize> = completions.iter().map(|text| text.chars().count()).collect();
    let mut pairs = Vec::new();
    for better in 0..ranks.len() {
        for worse in (0..ranks.len()).filter(|&worse| ranks[better] < ranks[worse]) {
            pairs.push(Pair {
                margin: rewards[better] - rewards[worse],
                longer: right(lengths[better] as f64 - lengths[worse] as f64),
                apart: ranks[worse] - ranks[better],
            });
        }
    }
    Ok(pairs)
}

/// 1 above 0, 0 below, ½ between.
fn right(difference: f64) -> f64 {
    if difference == 0.0 { 0.5 } else { f64::from(u8::from(difference > 0.0)) }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// −log σ(x), also where σ(x) is 0 to the last digit.
fn log_loss(x: f64) -> f64 {
    (-x).max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Each pair in both orders: "the better wins" came true, "the worse wins" did not.
fn calibration_error(drawn: &[usize], pairs: &[(String, Pair)]) -> f64 {
    let margins = || drawn.iter().map(|&idx| pairs[idx].1.margin);
    let stated: Vec<f64> = margins().map(sigmoid).chain(margins().map(|margin| sigmoid(-margin))).collect();
    let happened: Vec<bool> = (0..stated.len()).map(|idx| idx < drawn.len()).collect();
    calibration(&stated, &happened, BINS).map_or(f64::NAN, |found| found.expected_error)
}

/// Accuracy of pairs by what the model states, and by their distance in rank.
fn parts(pairs: &[(String, Pair)]) -> BTreeMap<String, Vec<Estimate>> {
    let mut names: BTreeMap<String, Vec<&(String, Pair)>> = BTreeMap::new();
    for pair in pairs {
        let tenth = ((sigmoid(pair.1.margin.abs()) * 10.0) as usize).clamp(5, 9);
        let end = if tenth == 9 { "1".to_owned() } else { format!(".{}", tenth + 1) };
        names.entry(format!("pairs stated .{tenth} to {end}")).or_default().push(pair);
        names.entry(format!("pairs {} apart", pair.1.apart)).or_default().push(pair);
    }
    let of_part = |(name, pairs): (String, Vec<&(String, Pair)>)| {
        let of_prompts = clusters(pairs.iter().map(|(prompt, _)| prompt));
        let metric = |name: &str, of: &dyn Fn(&Pair) -> f64| {
            let scores: Vec<(f64, f64)> = pairs.iter().map(|(_, pair)| (of(pair), 1.0)).collect();
            let metric = METRICS.iter().find(|metric| metric.name == name)?;
            Some(Estimate::of_clusters(metric, &of_prompts, |drawn| ratio(drawn.iter().map(|&idx| scores[idx]))))
        };
        let accuracy = metric("accuracy", &|pair| right(pair.margin));
        let stated = metric("stated", &|pair| sigmoid(pair.margin.abs()));
        (name, accuracy.into_iter().chain(stated).collect())
    };
    names.into_iter().map(of_part).collect()
}

/// The rows of each labeler and of each group.
fn slices(asked: &[(&Item, &Answer)]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut slices: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (idx, (item, _)) in asked.iter().enumerate() {
        for kind in ["labeler", "group"] {
            if let Some(name) = item.gold[kind].as_str() {
                slices.entry(format!("{kind} {name}")).or_default().insert(idx);
            }
        }
    }
    slices
}

fn notes(asked: &[(&Item, &Answer)], pairs: &[(String, Pair)], prompts: usize, settings: &Settings) -> Vec<String> {
    let without = asked.iter().filter(|(item, answer)| self::pairs(item, answer).is_ok_and(|found| found.is_empty()));
    let mut notes = vec![format!(
        "{} untied pairs of {prompts} prompts; n counts rows, of calibration_error and parts named \"pairs\" pairs; intervals are over prompts; {} \
         rows without an order count nowhere",
        pairs.len(),
        without.count()
    )];
    if let Some(group) = &settings.left_out_group {
        notes.push(format!(
            "the group {group} was left out of its training: unseen_group is accuracy on it; rows of the other groups may \
             have been trained on, which seen_groups then flatters"
        ));
    }
    notes.push("of rows that it was trained on these numbers only say how well they were learnt".to_owned());
    notes
}

#[cfg(test)]
mod tests;

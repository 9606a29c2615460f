//! Prompts, fixed rollouts and the text that is learnt on the side.
use super::rollout::{Group, Rollout, response};
use crate::TrainError;
use crate::data::{self, Data, DataReport, Ends, PartReport, TrainNames};
use crate::evaluation::{HeldOut, Judging, Material};
use crate::order::Order;
use crate::packing::Example;
use crate::tree;
use corpus::Origin;
use model::{Model, Workspace};
use record::{Kind, Prompt, Record};
use render::{Renderer, Tree};
use run::config::{DataSection, OverLength, PpoSection};
use run::lineage::Hashed;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use stdx::{FileError, Seed};

/// A prompt, ready to be answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// As text or turns.
    pub prompt: Prompt,
    /// As tokens.
    pub token_ids: Vec<u32>,
    /// What kind of request it is, when the row says so.
    pub use_case: Option<String>,
}

/// Everything that is read before the first iteration.
pub(super) struct Rows {
    /// Prompts; none with fixed rollouts.
    pub questions: Vec<Question>,
    /// Rollouts from a file, in place of sampling.
    pub fixed: Option<Vec<Group>>,
    /// Pretraining text.
    text: Vec<Example>,
    report: DataReport,
    files: Vec<Hashed>,
    /// Response tokens that a prompt's rollouts may have.
    room: usize,
}

impl Rows {
    /// Reads prompts (or fixed rollouts) and text.
    pub fn read(section: &DataSection, ppo: &PpoSection, seed: Seed, renderer: &Renderer) -> Result<Rows, TrainError> {
        let mut rows = match &ppo.rollouts {
            Some(path) => Rows::fixed(path, section, renderer)?,
            None => Rows::prompts(section, ppo, seed, renderer)?,
        };
        if !ppo.ptx.0.is_empty() {
            // No EOS is added: how an answer ends is learnt from rewards.
            let text = data::beside(section, &ppo.ptx, seed, renderer, Ends::None)?;
            rows.files.extend(text.files);
            rows.text = text.train;
        }
        if let Some(path) = &ppo.reference {
            same_tokens("ppo.reference", path, renderer)?;
        }
        for model in [&ppo.reference, &ppo.value].into_iter().flatten() {
            rows.files.push(Hashed::of(model)?); // a resumed run must find the same
        }
        Ok(rows)
    }

    fn prompts(section: &DataSection, ppo: &PpoSection, seed: Seed, renderer: &Renderer) -> Result<Rows, TrainError> {
        let Some(longest) = section.max_length.checked_sub(ppo.max_new_tokens).filter(|&longest| longest > 0) else {
            let found = format!("{} of data.max_length = {}", ppo.max_new_tokens, section.max_length);
            return Err(TrainError::Option { key: "ppo.max_new_tokens", found, expected: "room for a prompt" });
        };
        let data: Data<Question> = data::read(section, &[Kind::Prompt], seed)?.into_data(|part| {
            let mut report = part.report();
            let mut questions = Vec::new();
            for (row, origin) in &part.rows {
                let Record::Prompt(prompt) = &row.record else {
                    continue;
                };
                let token_ids = match renderer.prompt(prompt) {
                    Ok(token_ids) => token_ids,
                    Err(_) if section.skip_bad => {
                        report.bad += 1;
                        continue;
                    }
                    Err(source) => return Err(TrainError::Render { origin: origin.clone(), source }),
                };
                let length = token_ids.len();
                report.longest = report.longest.max(length);
                if length > longest && section.over_length == OverLength::Error {
                    return Err(TrainError::OverLength { origin: origin.clone(), length, max_length: longest });
                }
                if length > longest {
                    report.dropped += 1;
                } else {
                    let use_case = row.meta.use_case.clone();
                    questions.push(Question { prompt: prompt.clone(), token_ids, use_case });
                }
            }
            report.kept = questions.len();
            report.tokens = questions.iter().map(|question| question.token_ids.len()).sum();
            Ok((questions, report))
        })?;
        if data.train.is_empty() {
            return Err(TrainError::NothingToLearn {
                what: section.train_names(),
                found: format!("{} prompts, {} too long", data.report.train.rows, data.report.train.dropped),
                expected: "at least one within data.max_length − ppo.max_new_tokens",
            });
        }
        let room = ppo.samples_per_prompt * ppo.max_new_tokens;
        let Data { train: questions, report, files, .. } = data;
        Ok(Rows { questions, fixed: None, text: Vec::new(), report, files, room })
    }

    fn fixed(path: &Path, section: &DataSection, renderer: &Renderer) -> Result<Rows, TrainError> {
        let groups = read_rollouts(path, section.max_length, renderer)?;
        let n_rollouts = groups.iter().map(|group| group.rollouts.len()).sum();
        let train = PartReport {
            rows: n_rollouts,
            kept: n_rollouts,
            tokens: groups.iter().map(|group| tree::n_tokens(&group.tree, true)).sum(),
            target_tokens: groups.iter().map(Group::n_targets).sum(),
            longest: groups.iter().map(|group| tree::longest_path(&group.tree)).max().unwrap_or(0),
            sources: BTreeMap::from([("model".to_owned(), n_rollouts)]),
            ..PartReport::default()
        };
        let report = DataReport { train, ..DataReport::default() };
        let files = vec![Hashed::of(path)?];
        Ok(Rows { questions: Vec::new(), fixed: Some(groups), text: Vec::new(), report, files, room: 0 })
    }

    /// Most tokens of a prompt with its rollouts.
    pub fn largest_group(&self) -> usize {
        let questions = self.questions.iter().map(|question| question.token_ids.len() + self.room);
        let fixed = self.fixed.iter().flatten().map(|group| tree::n_tokens(&group.tree, true));
        questions.chain(fixed).max().unwrap_or(0)
    }

    /// The order in which text is learnt, `ppo.ptx_ratio` examples a rollout; `None` without text.
    pub fn text_order(&self, ppo: &PpoSection, shuffle: Option<Seed>) -> Option<Order> {
        if self.text.is_empty() {
            return None;
        }
        let sampled = ppo.rollout_batch.min(self.questions.len()) * ppo.samples_per_prompt;
        let rollouts = self.fixed.as_ref().map_or(sampled, |_| self.report.train.kept);
        let examples = (ppo.ptx_ratio * rollouts as f64 / ppo.minibatches as f64).round() as usize;
        Some(Order::new(self.text.len(), examples.max(1), shuffle))
    }

    /// The text of an optimizer step.
    pub fn text_batch(&self, order: &mut Option<Order>, step: u64) -> Vec<&Example> {
        let rows = order.iter_mut().flat_map(|order| order.batch(step).to_vec());
        rows.map(|row| &self.text[row]).collect()
    }

    /// What kind of request a group answers.
    pub fn use_case(&self, group: &Group) -> Option<&str> {
        self.questions.get(group.question)?.use_case.as_deref()
    }
}

/// The folder that the value model begins as, where the algorithm has one; its tokens must be the policy's.
pub(super) fn value_folder<'p>(
    ppo: &'p PpoSection,
    policy: &'p Path,
    renderer: &Renderer,
) -> Result<Option<&'p Path>, TrainError> {
    if objective::policy::algorithm::by_name(&ppo.algorithm)?.value_loss.is_none() {
        return Ok(None);
    }
    let Some(path) = ppo.value.as_deref() else {
        return Ok(Some(policy));
    };
    same_tokens("ppo.value", path, renderer)?;
    let config: serde_json::Value = run::folder::read_json(&path.join("config.json")).unwrap_or_default();
    if config.get("readout").is_some_and(|readout| readout == "token") {
        let found = format!("{}, which reads at a token of its own", path.display());
        let expected = "a model whose scalars are read at the text's tokens";
        return Err(TrainError::Option { key: "ppo.value", found, expected });
    }
    Ok(Some(path))
}

/// Refuses a model whose tokens are not the policy's.
fn same_tokens(key: &'static str, path: &Path, renderer: &Renderer) -> Result<(), TrainError> {
    let other = Renderer::open(path, None).map_err(crate::scorer::ScoreError::from)?;
    let (here, there) = (renderer.tokenizer().content_hash(), other.tokenizer().content_hash());
    if here != there {
        let found = format!("{} with tokenizer {there}, the policy's is {here}", path.display());
        return Err(TrainError::Option { key, found, expected: "a model with the policy's tokenizer" });
    }
    Ok(())
}

/// A row of a rollouts file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FixedRow {
    prompt_ids: Vec<u32>,
    response_ids: Vec<u32>,
    score: f64,
    #[serde(default)]
    old_logprobs: Option<Vec<f32>>,
}

/// Rows with the same prompt become one group.
fn read_rollouts(path: &Path, max_length: usize, renderer: &Renderer) -> Result<Vec<Group>, TrainError> {
    let text = std::fs::read_to_string(path).map_err(FileError::at(path, "read"))?;
    let file: Arc<Path> = Arc::from(path);
    let mut groups: Vec<Group> = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad =
            |message: String| TrainError::BadRow { origin: Origin { file: file.clone(), line: idx + 1 }, message };
        let row: FixedRow = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        check_row(&row, max_length, renderer).map_err(&bad)?;
        let ended = row.response_ids.last().is_some_and(|id| renderer.end_ids().contains(id));
        let text = renderer.completion_text(&row.prompt_ids, &row.response_ids);
        let rollout = Rollout {
            text: text.map_err(|error| bad(error.to_string()))?,
            ended,
            score: row.score,
            old: row.old_logprobs.unwrap_or_default().into_iter().map(f64::from).collect(),
            ..Rollout::default()
        };
        let at = groups.iter().position(|group| group.tree.shared == row.prompt_ids).unwrap_or(groups.len());
        if at == groups.len() {
            let tree = Tree { shared: row.prompt_ids, branches: Vec::new() };
            groups.push(Group { question: at, tree, rollouts: Vec::new() });
        }
        groups[at].tree.branches.push(response(row.response_ids));
        groups[at].rollouts.push(rollout);
    }
    if groups.is_empty() {
        let what = path.display().to_string();
        return Err(TrainError::NothingToLearn { what, found: "no rows".into(), expected: "rollouts" });
    }
    Ok(groups)
}

fn check_row(row: &FixedRow, max_length: usize, renderer: &Renderer) -> Result<(), String> {
    if row.prompt_ids.is_empty() || row.response_ids.is_empty() {
        return Err("empty prompt_ids or response_ids, expected at least one token each".into());
    }
    let rows = renderer.tokenizer().vocab_size() as u32;
    if let Some(id) = row.prompt_ids.iter().chain(&row.response_ids).find(|&&id| id >= rows) {
        return Err(format!("token id {id}, expected less than the tokenizer's {rows}"));
    }
    let length = row.prompt_ids.len() + row.response_ids.len();
    if length > max_length {
        return Err(format!("{length} tokens, expected at most {max_length} (data.max_length)"));
    }
    let (found, expected) = (row.old_logprobs.as_ref().map(Vec::len), row.response_ids.len());
    if found.is_some_and(|found| found != expected) {
        return Err(format!("{} old_logprobs, expected {expected} (one a response token)", found.unwrap_or(0)));
    }
    if row.old_logprobs.iter().flatten().any(|log_prob| !(log_prob.is_finite() && *log_prob <= 0.0)) {
        return Err("an old log-probability that isn't a finite number of 0 or less".into());
    }
    Ok(())
}

impl Material for Rows {
    /// Fixed rollouts are one iteration.
    fn n_rows(&self) -> usize {
        if self.fixed.is_some() { 1 } else { self.questions.len() }
    }
    fn largest(&self) -> usize {
        self.text.iter().map(Example::n_tokens).max().unwrap_or(0).max(self.largest_group())
    }
    fn report(&self) -> &DataReport {
        &self.report
    }
    fn files(&self) -> Vec<Hashed> {
        self.files.clone()
    }
    fn held_out_files(&self) -> Vec<Hashed> {
        Vec::new()
    }
    fn evaluate(&self, _: &Model, _: &Judging, _: &mut Workspace) -> Result<HeldOut, TrainError> {
        Ok(HeldOut::None)
    }
}

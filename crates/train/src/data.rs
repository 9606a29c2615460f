//! Rows to examples: read, split, rendered, measured. What was left out is counted, never silent.
use crate::TrainError;
use crate::packing::Example;
use corpus::Origin;
use corpus::split::{SplitBy, by_fractions};
use record::{Kind, Record, Row};
use render::{Rendered, Renderer};
use run::config::{DataSection, LossOn, OverLength, Paths};
use run::lineage::Hashed;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use stdx::Seed;

/// What a stage learns from, and what is held out.
#[derive(Clone, Debug)]
pub struct Data<R = Example> {
    /// Training examples.
    pub train: Vec<R>,
    /// Held-out examples; may be none.
    pub held_out: Vec<R>,
    /// Counts.
    pub report: DataReport,
    /// Training files.
    pub files: Vec<Hashed>,
    /// Held-out files.
    pub held_out_files: Vec<Hashed>,
}

/// Counts of what was read, kept and left out. Stands in the run as `data.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DataReport {
    /// The training part.
    pub train: PartReport,
    /// The held-out part, when there is one.
    pub held_out: Option<PartReport>,
    /// Text that is learnt beside the rows (`sft.ptx`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<PartReport>>,
    /// Held-out rows whose prompt is also among the training rows: their loss says less.
    pub held_out_prompts_in_train: usize,
}

/// Counts of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Rows read.
    pub rows: usize,
    /// Rows that are trained on or evaluated.
    pub kept: usize,
    /// Rows that are broken (`data.skip_bad`).
    pub bad: usize,
    /// Rows left out because they are longer than `data.max_length`.
    pub dropped: usize,
    /// Rows cut at `data.max_length`; their end got no EOS.
    pub truncated: usize,
    /// Rows without a single token to learn.
    pub without_targets: usize,
    /// Rankings in which everything is tied: they say nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub tied: usize,
    /// Examples: the rows kept, or for running text the blocks it was cut into.
    pub examples: usize,
    /// Tokens that run through the model in one pass.
    pub tokens: usize,
    /// Tokens that carry loss.
    pub target_tokens: usize,
    /// Most tokens in a row before anything was cut.
    pub longest: usize,
    /// Rows by who wrote them (`unknown` where a row doesn't say).
    pub sources: BTreeMap<String, usize>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Demonstrations, rendered with their loss mask: one sequence an example.
pub fn demonstrations(section: &DataSection, seed: Seed, renderer: &Renderer) -> Result<Data, TrainError> {
    let loss_on = match section.loss_on {
        LossOn::Completion => render::LossOn::Completion,
        LossOn::All => render::LossOn::All,
    };
    let rows = read(section, &[Kind::Demonstration], seed)?;
    let part = |rows: &Part| {
        let mut report = rows.report();
        let mut examples = Vec::new();
        for (row, origin) in &rows.rows {
            let Record::Demonstration(demonstration) = &row.record else {
                continue;
            };
            match renderer.demonstration(demonstration, loss_on) {
                Ok(rendered) => examples.extend(fit(rendered, origin, section, &mut report)?),
                Err(_) if section.skip_bad => report.bad += 1,
                Err(source) => return Err(TrainError::Render { origin: origin.clone(), source }),
            }
        }
        report.kept = examples.len();
        Ok((examples, report))
    };
    let mut data = rows.into_data(part)?;
    if !ends_are_trained(&data.train, renderer.end_ids()) {
        return Err(TrainError::NothingToLearn {
            what: section.train_names(),
            found: "no row whose end (EOS or end of turn) is a target".into(),
            expected: "at least one: without it the model never learns to stop",
        });
    }
    data.report.count_examples(&data.train, &data.held_out);
    Ok(data)
}

/// Running text in blocks: see [`blocks`].
pub fn documents(section: &DataSection, seed: Seed, renderer: &Renderer) -> Result<Data, TrainError> {
    let rows = read(section, &[Kind::Text], seed)?;
    let part = |rows: &Part| {
        let mut report = rows.report();
        let mut token_ids = Vec::new();
        for (row, origin) in &rows.rows {
            let Record::Text(text) = &row.record else {
                continue;
            };
            match renderer.text(text, true) {
                Ok(rendered) => token_ids.push(delimited(rendered.token_ids, renderer)),
                Err(_) if section.skip_bad => report.bad += 1,
                Err(source) => return Err(TrainError::Render { origin: origin.clone(), source }),
            }
        }
        report.kept = token_ids.len();
        report.longest = token_ids.iter().map(Vec::len).max().unwrap_or(0);
        Ok((blocks(&token_ids, section.max_length, section.packing), report))
    };
    let mut data = rows.into_data(part)?;
    if data.train.is_empty() {
        return Err(TrainError::NothingToLearn {
            what: section.train_names(),
            found: "only empty documents".into(),
            expected: "text",
        });
    }
    data.report.count_examples(&data.train, &data.held_out);
    Ok(data)
}

/// What stands around a text that is learnt on the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Nothing that isn't in it.
    None,
    /// The delimiters of pretraining.
    Documents,
}

/// Text to go on learning from beside the stage's own rows: a row is an example as it stands, a longer one than
/// `data.max_length` is cut into several.
pub(crate) fn beside(
    section: &DataSection,
    files: &Paths,
    seed: Seed,
    renderer: &Renderer,
    ends: Ends,
) -> Result<Data, TrainError> {
    let none = Paths::default();
    let section = &DataSection { train: files.clone(), eval: none, eval_fraction: 0.0, ..section.clone() };
    let mut data: Data = read(section, &[Kind::Text], seed)?.into_data(|part| {
        let mut report = part.report();
        let mut examples = Vec::new();
        for (row, origin) in &part.rows {
            let Record::Text(text) = &row.record else {
                continue;
            };
            let document = match renderer.text(text, ends == Ends::Documents) {
                Ok(rendered) if ends == Ends::Documents => delimited(rendered.token_ids, renderer),
                Ok(rendered) => rendered.token_ids,
                Err(_) if section.skip_bad => {
                    report.bad += 1;
                    continue;
                }
                Err(source) => return Err(TrainError::Render { origin: origin.clone(), source }),
            };
            report.kept += 1;
            report.longest = report.longest.max(document.len());
            examples.extend(blocks(&[document], section.max_length, false));
        }
        Ok((examples, report))
    })?;
    if data.train.is_empty() {
        let (found, expected) = ("no text of two tokens or more".into(), "at least one");
        return Err(TrainError::NothingToLearn { what: section.train_names(), found, expected });
    }
    data.report.train.count_examples(&data.train);
    Ok(data)
}

/// A document between two delimiters: EOS stands between documents, so it ends the one and is the context in which the
/// next one's first token is learnt. A tokenizer's own BOS takes that place.
fn delimited(mut token_ids: Vec<u32>, renderer: &Renderer) -> Vec<u32> {
    let begins_in_bos = renderer.bos_id().is_some() && token_ids.first().copied() == renderer.bos_id();
    if !begins_in_bos && let Some(eos_id) = renderer.eos_id() {
        token_ids.insert(0, eos_id);
    }
    token_ids
}

/// Documents laid end to end and cut every `max_length` tokens. A block holds pieces of documents, each a sequence of
/// its own. Where a document goes on in the next block, its last token is repeated there as context: every token but a
/// document's first is a target exactly once. Without `packing` every document begins a new block.
pub fn blocks(documents: &[Vec<u32>], max_length: usize, packing: bool) -> Vec<Example> {
    let mut blocks = Vec::new();
    let mut block = Example::default();
    let mut room = max_length;
    for document in documents {
        if !packing {
            room = 0;
        }
        let mut start = 0;
        while start + 1 < document.len() {
            if room < 2 {
                flush(&mut blocks, &mut block);
                room = max_length;
            }
            let end = (start + room).min(document.len());
            let mut mask = vec![true; end - start];
            mask[0] = false;
            block.sequences.push(Rendered { token_ids: document[start..end].to_vec(), mask });
            room -= end - start;
            start = end - 1;
        }
    }
    flush(&mut blocks, &mut block);
    blocks
}

fn flush(blocks: &mut Vec<Example>, block: &mut Example) {
    if !block.sequences.is_empty() {
        blocks.push(std::mem::take(block));
    }
}

/// Applies `max_length`; `None` when the row is left out.
fn fit(
    mut rendered: Rendered,
    origin: &Origin,
    section: &DataSection,
    report: &mut PartReport,
) -> Result<Option<Example>, TrainError> {
    let (length, max_length) = (rendered.token_ids.len(), section.max_length);
    report.longest = report.longest.max(length);
    if length > max_length {
        match section.over_length {
            OverLength::Error => return Err(TrainError::OverLength { origin: origin.clone(), length, max_length }),
            OverLength::Drop => {
                report.dropped += 1;
                return Ok(None);
            }
            OverLength::Truncate => {
                report.truncated += 1;
                rendered.token_ids.truncate(max_length);
                rendered.mask.truncate(max_length);
            }
        }
    }
    if rendered.n_targets() == 0 {
        report.without_targets += 1;
        return Ok(None);
    }
    Ok(Some(Example { sequences: vec![rendered] }))
}

fn ends_are_trained(examples: &[Example], end_ids: &[u32]) -> bool {
    let sequences = examples.iter().flat_map(|example| &example.sequences);
    sequences.into_iter().any(|sequence| {
        let tokens = sequence.token_ids.iter().zip(&sequence.mask);
        tokens.into_iter().any(|(token_id, &trained)| trained && end_ids.contains(token_id))
    })
}

/// Names of the training files, for messages.
pub(crate) trait TrainNames {
    /// As one text.
    fn train_names(&self) -> String;
}

impl TrainNames for DataSection {
    fn train_names(&self) -> String {
        let names: Vec<String> = self.train.0.iter().map(|path| path.display().to_string()).collect();
        names.join(", ")
    }
}

impl DataReport {
    fn count_examples(&mut self, train: &[Example], held_out: &[Example]) {
        self.train.count_examples(train);
        if let Some(report) = &mut self.held_out {
            report.count_examples(held_out);
        }
    }
}

impl PartReport {
    fn count_examples(&mut self, examples: &[Example]) {
        self.examples = examples.len();
        self.tokens = examples.iter().map(Example::n_tokens).sum();
        self.target_tokens = examples.iter().map(Example::n_targets).sum();
    }
}

/// Rows of one part.
#[derive(Default)]
pub(crate) struct Part {
    pub rows: Vec<(Row, Origin)>,
    bad: usize,
    files: Vec<Hashed>,
}

impl Part {
    fn of(dataset: corpus::Dataset) -> Part {
        let bad = dataset.bad_count();
        let hashed = |file: corpus::SourceFile| Hashed { path: file.path, hash: file.blake3 };
        Part { rows: dataset.rows, bad, files: dataset.files.into_iter().map(hashed).collect() }
    }

    /// What is known before rendering.
    pub fn report(&self) -> PartReport {
        let mut sources = BTreeMap::new();
        for (row, _) in &self.rows {
            let source = row.meta.source.map_or("unknown", record::Source::as_str);
            *sources.entry(source.to_owned()).or_insert(0) += 1;
        }
        PartReport { rows: self.rows.len() + self.bad, bad: self.bad, sources, ..PartReport::default() }
    }
}

/// Rows read and split.
pub(crate) struct Parts {
    train: Part,
    held_out: Option<Part>,
}

impl Parts {
    /// Moves the training rows that `is_held_out` says to the other side.
    pub fn hold_out(&mut self, is_held_out: impl Fn(&Row) -> bool) {
        let rows = std::mem::take(&mut self.train.rows);
        let (held_out, train) = rows.into_iter().partition(|(row, _)| is_held_out(row));
        self.train.rows = train;
        self.held_out.get_or_insert_default().rows = held_out;
    }

    /// Renders both.
    pub fn into_data<R>(
        self,
        render: impl Fn(&Part) -> Result<(Vec<R>, PartReport), TrainError>,
    ) -> Result<Data<R>, TrainError> {
        let (train, report) = render(&self.train)?;
        let mut data = Data {
            train,
            held_out: Vec::new(),
            report: DataReport { train: report, ..DataReport::default() },
            files: self.train.files,
            held_out_files: Vec::new(),
        };
        if let Some(part) = self.held_out {
            let (held_out, report) = render(&part)?;
            let names: Vec<String> = part.files.iter().map(|file| file.path.display().to_string()).collect();
            if held_out.is_empty() {
                return Err(TrainError::NothingToLearn {
                    what: format!("held-out rows ({})", names.join(", ")),
                    found: format!("{} rows, none usable", report.rows),
                    expected: "at least one with a target within data.max_length",
                });
            }
            let train: HashSet<String> = self.train.rows.iter().map(|(row, _)| corpus::prompt_key(row)).collect();
            let shared = part.rows.iter().filter(|(row, _)| train.contains(&corpus::prompt_key(row)));
            data.report.held_out_prompts_in_train = shared.count();
            (data.held_out, data.report.held_out) = (held_out, Some(report));
            data.held_out_files = part.files;
        }
        Ok(data)
    }
}

/// Reads the files; splits the training rows when a fraction of them is to be held out.
pub(crate) fn read(section: &DataSection, kinds: &[Kind], seed: Seed) -> Result<Parts, TrainError> {
    let options = corpus::Options { skip_bad: section.skip_bad, ..corpus::Options::of_kinds(kinds) };
    let mut train = Part::of(corpus::read_rows(&section.train.0, &options)?);
    let mut held_out = None;
    if !section.eval.0.is_empty() {
        held_out = Some(Part::of(corpus::read_rows(&section.eval.0, &options)?));
    } else if section.eval_fraction > 0.0 {
        let fractions = [1.0 - section.eval_fraction, section.eval_fraction];
        let (rows, origins): (Vec<Row>, Vec<Origin>) = std::mem::take(&mut train.rows).into_iter().unzip();
        let parts = by_fractions(&rows, SplitBy::Prompt, &fractions, seed)?;
        let mut other = Part::default();
        for ((row, origin), part) in rows.into_iter().zip(origins).zip(parts) {
            let side = if part == 0 { &mut train } else { &mut other };
            side.rows.push((row, origin));
        }
        held_out = Some(other);
    }
    Ok(Parts { train, held_out })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_worked_cut() {
        let documents = [vec![1, 2, 3], vec![4, 5, 6, 7, 8]];
        let found: Vec<Vec<Vec<u32>>> = blocks(&documents, 5, true)
            .into_iter()
            .map(|block| block.sequences.into_iter().map(|sequence| sequence.token_ids).collect())
            .collect();
        assert_eq!(found, [vec![vec![1, 2, 3], vec![4, 5]], vec![vec![5, 6, 7, 8]]]);
        assert_eq!(blocks(&documents, 5, false).len(), 2);
        assert_eq!(blocks(&[vec![1]], 5, true), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn every_token_but_the_first_is_a_target_once(
            lengths in prop::collection::vec(0_usize..30, 0..8), max_length in 2_usize..20, packing: bool,
        ) {
            let mut next = 0;
            let documents: Vec<Vec<u32>> = lengths
                .iter()
                .map(|&n| (0..n).map(|_| { next += 1; next }).collect())
                .collect();
            let found = blocks(&documents, max_length, packing);
            let mut targets: Vec<u32> = Vec::new();
            for block in &found {
                let length: usize = block.sequences.iter().map(|s| s.token_ids.len()).sum();
                prop_assert!(length <= max_length);
                for sequence in &block.sequences {
                    prop_assert!(sequence.token_ids.windows(2).all(|pair| pair[1] == pair[0] + 1));
                    targets.extend(&sequence.token_ids[1..]);
                    prop_assert_eq!(sequence.n_targets(), sequence.token_ids.len() - 1);
                }
            }
            let expected: Vec<u32> = documents.iter().flat_map(|d| d.iter().skip(1).copied()).collect();
            prop_assert_eq!(targets, expected);
        }
    }
}

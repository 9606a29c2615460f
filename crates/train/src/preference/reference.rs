//! The reference's log-probabilities: computed once, kept by the hash of what they depend on.
use super::judge::Judge;
use crate::data::Data;
use crate::event::{Event, Sink};
use crate::ranked::Ranked;
use crate::session::{Parent, trainable};
use crate::{Options, TrainError, tree};
use model::{LoadOptions, Model, Trainable, Workspace};
use render::Tree;
use run::DpoConfig;
use run::lineage::Hashed;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The file of a run that keeps them.
const FILE: &str = "reference.json";

/// The reference's log-probabilities of a row's completions, each summed over its tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Of the row's own completions.
    pub own: Vec<f64>,
    /// Of the next row's completion (KTO).
    pub mismatched: Option<f64>,
}

/// Those of all rows.
pub(super) struct Reference {
    pub train: Vec<Row>,
    pub held_out: Vec<Row>,
    /// The model they are from, when it is another than the one in training.
    pub model: Option<Hashed>,
    kept: Kept,
}

/// What is kept on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// Hash of everything the numbers depend on.
    key: String,
    rows: Vec<Row>,
}

impl Reference {
    /// From the run or the cache if they are there, else computed. Zeros for a loss that needs none.
    pub fn of(
        options: &Options<'_, DpoConfig>,
        parent: &Parent,
        judge: &Judge,
        data: &Data<Ranked>,
        cache: Option<&Path>,
        sink: &mut dyn Sink,
    ) -> Result<Reference, TrainError> {
        let rows: Vec<&Ranked> = data.train.iter().chain(&data.held_out).collect();
        let DpoConfig { dpo, model: section, .. } = &options.config.config;
        if !judge.loss.uses_reference() {
            let none = |row: &&Ranked| Row { own: vec![0.0; row.ranks.len()], mismatched: None };
            let kept = Kept { key: String::new(), rows: rows.iter().map(none).collect() };
            return Ok(Reference::split(kept, data.train.len(), None));
        }
        let other = dpo.reference.as_deref();
        let path = other.unwrap_or(&parent.path);
        let hashed = Hashed::of(path)?;
        let precision = parent.precision(section.dtype, &options.device);
        let key = key(&hashed, &format!("{precision:?} {:?} {:?}", section.lora, options.device.isa), &rows);
        let places: Vec<PathBuf> = cache
            .map(|folder| folder.join(format!("{key}.json")))
            .into_iter()
            .chain([options.out.join(FILE)])
            .collect();
        let model = other.map(|_| hashed);
        if let Some(kept) = places.iter().find_map(|place| read(place, &key, &rows)) {
            sink.event(&Event::Notice("reference log-probabilities: computed before, taken from the cache".into()));
            return Ok(Reference::split(kept, data.train.len(), model));
        }
        sink.event(&Event::Notice(format!(
            "reference log-probabilities of {} rows from {}",
            rows.len(),
            path.display()
        )));
        // the base of an adapted model must be held as it will be in training
        let trainable = if other.is_none() && section.lora.is_some() {
            trainable(section.lora.as_ref())
        } else {
            Trainable::Nothing
        };
        let load = LoadOptions { precision, trainable, scalar_head: false };
        let mut reference = Model::load(&options.device, path, &load)?;
        reference.set_adapter_enabled(false);
        refuse_other_vocabulary(options, path, &reference)?;
        let kept = Kept { rows: compute(&reference, &rows, options), key };
        if let Some(folder) = cache {
            std::fs::create_dir_all(folder).map_err(stdx::FileError::at(folder, "create"))?;
            write(&places[0], &kept)?;
        }
        Ok(Reference::split(kept, data.train.len(), model))
    }

    fn split(kept: Kept, n_train: usize, model: Option<Hashed>) -> Reference {
        let (train, held_out) = kept.rows.split_at(n_train);
        Reference { train: train.to_vec(), held_out: held_out.to_vec(), model, kept }
    }

    /// Keeps them in the run, so that a resumed one has the same.
    pub fn keep(&self, run: &Path) -> Result<(), TrainError> {
        if self.kept.key.is_empty() { Ok(()) } else { write(&run.join(FILE), &self.kept) }
    }
}

/// Weights, arithmetic, and rows as tokens: with these the tokenizer and the template are hashed too.
fn key(model: &Hashed, arithmetic: &str, rows: &[&Ranked]) -> String {
    let tree = |tree: &Tree| {
        let branches: Vec<_> = tree.branches.iter().map(|branch| (&branch.token_ids, &branch.mask)).collect();
        json!([tree.shared, branches])
    };
    let row = |row: &&Ranked| json!([tree(&row.tree), row.mismatched.as_ref().map(tree)]);
    let rows: Vec<_> = rows.iter().map(row).collect();
    stdx::hash::json(&json!({"model": model.hash, "arithmetic": arithmetic, "rows": rows}))
}

/// What a file keeps, if it is whole and of these rows.
fn read(path: &Path, key: &str, rows: &[&Ranked]) -> Option<Kept> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let fits = |(kept, row): (&Row, &&Ranked)| {
        kept.own.len() == row.ranks.len() && kept.mismatched.is_some() == row.mismatched.is_some()
    };
    let whole = kept.key == key && kept.rows.len() == rows.len() && kept.rows.iter().zip(rows).all(fits);
    whole.then_some(kept)
}

fn write(path: &Path, kept: &Kept) -> Result<(), TrainError> {
    let text = serde_json::to_string(kept).unwrap_or_default();
    Ok(stdx::write_file(path, text.as_bytes())?)
}

fn compute(model: &Model, rows: &[&Ranked], options: &Options<'_, DpoConfig>) -> Vec<Row> {
    let DpoConfig { data, train, .. } = &options.config.config;
    let budget = data.packing.then_some(train.micro_tokens);
    let mut workspace = Workspace::default();
    let own: Vec<&Tree> = rows.iter().map(|row| &row.tree).collect();
    let own = sums(model, &own, budget, data.shared_prefix, &mut workspace);
    let crossed: Vec<&Tree> = rows.iter().filter_map(|row| row.mismatched.as_ref()).collect();
    let mut crossed = sums(model, &crossed, budget, true, &mut workspace).into_iter().flatten();
    let mismatched = rows.iter().map(|row| row.mismatched.as_ref().and_then(|_| crossed.next()));
    own.into_iter().zip(mismatched).map(|(own, mismatched)| Row { own, mismatched }).collect()
}

/// log π of every completion, summed over its targets.
pub(super) fn sums(
    model: &Model,
    trees: &[&Tree],
    budget: Option<usize>,
    shared_prefix: bool,
    workspace: &mut Workspace,
) -> Vec<Vec<f64>> {
    let mut sums = Vec::with_capacity(trees.len());
    for group in tree::groups(trees.iter().copied(), budget, |tree| tree::n_tokens(tree, shared_prefix)) {
        let (batch, request) = tree::log_probs(group.iter().copied(), shared_prefix);
        let outputs = model.forward(&batch, &request, workspace);
        let mut log_probs = outputs.log_probs.into_iter().map(f64::from);
        let mut of = |branch: &render::Branch| log_probs.by_ref().take(tree::n_targets(branch)).sum();
        sums.extend(group.iter().map(|tree| tree.branches.iter().map(&mut of).collect::<Vec<f64>>()));
    }
    sums
}

/// The rows are tokens of the policy; another model must know at least those.
fn refuse_other_vocabulary(options: &Options<'_, DpoConfig>, path: &Path, reference: &Model) -> Result<(), TrainError> {
    let (tokenizer, embedding) = (options.renderer.tokenizer().vocab_size(), reference.config().vocab_size);
    if tokenizer > embedding {
        return Err(TrainError::Vocabulary { tokenizer, embedding });
    }
    let theirs = path.is_dir().then(|| render::Tokenizer::open(path).ok()).flatten().map(|t| t.content_hash());
    let ours = options.renderer.tokenizer().content_hash();
    match theirs {
        Some(found) if found != ours => Err(TrainError::Option {
            key: "dpo.reference",
            found: format!("{} with tokenizer {found}", path.display()),
            expected: "a model with the policy's tokenizer",
        }),
        _ => Ok(()),
    }
}

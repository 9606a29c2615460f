//! Rankings and preferences to tokens: a prompt with K judged completions. A preference is a ranking of two.
use crate::TrainError;
use crate::data::{Data, Part, PartReport, TrainNames, read};
use crate::tree;
use corpus::Origin;
use objective::reward::untied_pairs;
use record::{Kind, Prompt, Record, Row};
use render::{Renderer, Tree};
use run::config::{DataSection, OverLength};
use stdx::Seed;

/// A prompt with its judged completions.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The tokens, up to each completion's end.
    pub tree: Tree,
    /// The rank of each completion: lower is better, equal is a tie.
    pub ranks: Vec<u32>,
    /// By how much the better one is better, where a preference says so.
    pub margin: Option<f64>,
    /// How much this judgement counts.
    pub weight: f64,
    /// Characters of each completion.
    pub characters: Vec<usize>,
    /// What is asked, by its hash: judgements of one prompt are not independent.
    pub prompt_key: String,
    /// Whether the row was a ranking.
    pub is_ranking: bool,
    /// Who judged.
    pub labeler: Option<String>,
    /// The judge's group.
    pub group: Option<String>,
    /// This prompt with the next row's first completion, where asked for ([`Reading::mismatch`]).
    pub mismatched: Option<Tree>,
}

/// Which rows are read, and how.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The kinds of row; an unpaired answer is a ranking of one, its rank 1 if good, else 2.
    pub kinds: &'a [Kind],
    /// Rows of this labeler group are held out.
    pub leave_out_group: Option<&'a str>,
    /// Also pair each prompt with another row's completion (KTO's estimate of the KL).
    pub mismatch: bool,
    /// A token after each completion's end, at which its reward is read.
    pub readout: Option<u32>,
}

impl Default for Reading<'_> {
    fn default() -> Self {
        Reading { kinds: &[Kind::Ranking, Kind::Preference], leave_out_group: None, mismatch: false, readout: None }
    }
}

impl Ranked {
    /// Tokens that run through the model.
    pub fn n_tokens(&self, shared_prefix: bool) -> usize {
        tree::n_tokens(&self.tree, shared_prefix)
    }

    /// Targets: the tokens of all completions, ends included.
    pub fn n_targets(&self) -> usize {
        self.tree.branches.iter().map(tree::n_targets).sum()
    }

    /// Pairs (better, worse) of completions that are not tied.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        untied_pairs(&self.ranks)
    }
}

/// Rows with judged completions. Rankings in which everything is tied are counted and left out.
pub fn rows(
    section: &DataSection,
    reading: Reading<'_>,
    seed: Seed,
    renderer: &Renderer,
) -> Result<Data<Ranked>, TrainError> {
    let mut parts = read(section, reading.kinds, seed)?;
    if let Some(group) = reading.leave_out_group {
        parts.hold_out(|row| row.meta.group.as_deref() == Some(group));
    }
    let mut data = parts.into_data(|part| render(part, section, renderer, reading))?;
    if data.train.is_empty() {
        let report = &data.report.train;
        return Err(TrainError::NothingToLearn {
            what: section.train_names(),
            found: format!("{} rows, {} of them all tied, {} too long", report.rows, report.tied, report.dropped),
            expected: "at least one with two completions of different rank",
        });
    }
    let shared = section.shared_prefix;
    count(&mut data.report.train, &data.train, shared);
    if let Some(report) = &mut data.report.held_out {
        count(report, &data.held_out, shared);
    }
    Ok(data)
}

fn count(report: &mut PartReport, rows: &[Ranked], shared_prefix: bool) {
    report.kept = rows.len();
    report.examples = rows.len();
    report.tokens = rows.iter().map(|row| row.n_tokens(shared_prefix)).sum();
    report.target_tokens = rows.iter().map(Ranked::n_targets).sum();
}

fn render(
    part: &Part,
    section: &DataSection,
    renderer: &Renderer,
    reading: Reading<'_>,
) -> Result<(Vec<Ranked>, PartReport), TrainError> {
    let mut report = part.report();
    let mut rows = Vec::new();
    let mut sources = Vec::new();
    for (row, origin) in &part.rows {
        match one(row, origin, section, renderer, reading.readout, &mut report) {
            Ok(Some(ranked)) => {
                rows.push(ranked);
                sources.push(&row.record);
            }
            Ok(None) => {}
            Err(TrainError::BadRow { .. } | TrainError::Render { .. }) if section.skip_bad => report.bad += 1,
            Err(error) => return Err(error),
        }
    }
    if reading.mismatch && rows.len() > 1 {
        for (idx, ranked) in rows.iter_mut().enumerate() {
            let other = sources[(idx + 1) % sources.len()];
            ranked.mismatched = crossed(sources[idx], other, section.max_length, renderer);
        }
    }
    Ok((rows, report))
}

/// A prompt with another row's first completion; `None` if that is too long.
fn crossed(row: &Record, other: &Record, max_length: usize, renderer: &Renderer) -> Option<Tree> {
    let (prompt, ..) = judged(row)?;
    let (_, completions, ..) = judged(other)?;
    let tree = tree::trimmed(renderer.tree(prompt, &completions[..1]).ok()?)?;
    (tree::longest_path(&tree) <= max_length).then_some(tree)
}

/// A row; `None` when it is left out.
fn one(
    row: &Row,
    origin: &Origin,
    section: &DataSection,
    renderer: &Renderer,
    readout: Option<u32>,
    report: &mut PartReport,
) -> Result<Option<Ranked>, TrainError> {
    let Some((prompt, completions, ranks, margin)) = judged(&row.record) else {
        return Ok(None);
    };
    refuse_contradiction(&completions, &ranks, origin)?;
    if completions.len() > 1 && untied_pairs(&ranks).next().is_none() {
        report.tied += 1;
        return Ok(None);
    }
    let rendered = renderer.tree(prompt, &completions);
    let rendered = rendered.map_err(|source| TrainError::Render { origin: origin.clone(), source })?;
    let Some(tree) = tree::trimmed(rendered) else {
        report.without_targets += 1;
        return Ok(None);
    };
    let tree = tree::with_readout(tree, readout);
    let (length, max_length) = (tree::longest_path(&tree), section.max_length);
    report.longest = report.longest.max(length);
    if length > max_length {
        if section.over_length == OverLength::Error {
            return Err(TrainError::OverLength { origin: origin.clone(), length, max_length });
        }
        report.dropped += 1;
        return Ok(None);
    }
    Ok(Some(Ranked {
        tree,
        ranks,
        margin,
        weight: 1.0,
        characters: completions.iter().map(|completion| completion.chars().count()).collect(),
        prompt_key: corpus::prompt_key(row),
        is_ranking: matches!(row.record, Record::Ranking(_)),
        labeler: row.meta.labeler.clone(),
        group: row.meta.group.clone(),
        mismatched: None,
    }))
}

/// Prompt, completions, ranks and margin of a judgement.
type Judged<'a> = (&'a Prompt, Vec<&'a str>, Vec<u32>, Option<f64>);

fn judged(record: &Record) -> Option<Judged<'_>> {
    match record {
        Record::Preference(preference) => {
            let completions = vec![preference.chosen.as_str(), preference.rejected.as_str()];
            Some((&preference.prompt, completions, vec![1, 2], preference.margin))
        }
        Record::Ranking(ranking) => {
            let completions = ranking.completions.iter().map(|completion| completion.text.as_str()).collect();
            let ranks: Vec<i64> = ranking.completions.iter().map(|completion| completion.rank).collect();
            Some((&ranking.prompt, completions, dense(&ranks), None))
        }
        Record::Unpaired(unpaired) => {
            let rank = if unpaired.label { 1 } else { 2 };
            Some((&unpaired.prompt, vec![unpaired.completion.as_str()], vec![rank], None))
        }
        _ => None,
    }
}

/// Ranks without gaps from 1 on, in the same order.
fn dense(ranks: &[i64]) -> Vec<u32> {
    let mut different = ranks.to_vec();
    different.sort_unstable();
    different.dedup();
    ranks.iter().map(|rank| 1 + different.partition_point(|other| other < rank) as u32).collect()
}

/// The same text can't be better than itself.
fn refuse_contradiction(completions: &[&str], ranks: &[u32], origin: &Origin) -> Result<(), TrainError> {
    let twice = untied_pairs(ranks).find(|&(better, worse)| completions[better] == completions[worse]);
    let Some((better, worse)) = twice else {
        return Ok(());
    };
    let message = format!(
        "completions[{better}] and completions[{worse}] are the same text with ranks {} and {}, expected equal ranks",
        ranks[better], ranks[worse]
    );
    Err(TrainError::BadRow { origin: origin.clone(), message })
}

#[cfg(test)]
mod tests {
    use super::dense;

    #[test]
    fn only_the_order_of_ranks_counts() {
        assert_eq!(dense(&[7, 0, 7, -3]), [3, 2, 3, 1]);
    }
}

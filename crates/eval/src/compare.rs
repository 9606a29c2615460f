//! Two evaluations of the same items, paired: what got better, what got worse, and what can't be said.

use crate::EvalError;
use crate::estimate::{LEVEL, RESAMPLES, ratio};
use crate::metric::{Better, Scale};
use crate::result::{ItemResult, ModelResult, TaskResult};
use serde::Serialize;
use statistics::{bootstrap, holm, power, sign};
use std::collections::HashMap;
use stdx::Seed;

/// The difference that is planned for: three of a hundred.
pub const POINTS: f64 = 0.03;

/// Everything that was compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the first model is called.
    pub a: String,
    /// What the second is called; differences are b − a.
    pub b: String,
    /// A line a metric.
    pub differences: Vec<Difference>,
    /// What couldn't be compared, and why.
    pub left_out: Vec<String>,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// Which way is good.
    pub better: Better,
    /// The first model's value on the shared items.
    pub a: f64,
    /// The second's.
    pub b: f64,
    /// b − a.
    pub difference: f64,
    /// Its 95 % interval: prompts (contexts, rows) drawn with replacement, each with all its items in both models.
    /// Absent below two of them.
    pub interval: Option<[f64; 2]>,
    /// Items that both answered.
    pub n: usize,
    /// What these are of: prompts, contexts or rows.
    pub n_clusters: usize,
    /// Items that only one answered, or that were too long for one.
    pub n_unpaired: usize,
    /// Prompts better, as good and worse in b.
    pub signs: [u64; 3],
    /// Two-sided sign test over prompts.
    pub sign_p: f64,
    /// The same, Holm-corrected over all metrics compared together.
    pub sign_p_holm: f64,
    /// The smallest difference that as many prompts would show four times in five, by the spread of these.
    pub detectable: Option<f64>,
    /// How many prompts a difference of three points ([`POINTS`]) would take, by the same spread; of shares only.
    pub n_for_points: Option<usize>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// What a difference comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval lies on the good side of 0.
    Better,
    /// The interval lies on the bad side of 0.
    Worse,
    /// The metric describes, and the interval lies to one side of 0.
    Different,
    /// The interval holds 0.
    NoDifference,
    /// Too few prompts.
    CantSay,
}

impl Difference {
    /// n as a reader needs it: items, and what they are of where that is fewer.
    pub fn told_n(&self) -> String {
        if self.n == self.n_clusters {
            self.n.to_string()
        } else {
            format!("{} of {} prompts", self.n, self.n_clusters)
        }
    }
}

impl Comparison {
    /// Compares the named metrics (`metric` or `task/metric`; all of them when none is named) of two models' results.
    pub fn new(a: &ModelResult, b: &ModelResult, names: &[String]) -> Result<Comparison, EvalError> {
        let mut comparison = Comparison {
            a: a.model.name.clone(),
            b: b.model.name.clone(),
            differences: Vec::new(),
            left_out: Vec::new(),
        };
        let mut found = vec![false; names.len()];
        for of_a in &a.tasks {
            let Some(of_b) = b.tasks.iter().find(|task| task.task == of_a.task) else {
                comparison.left_out.push(format!("{}: {} has no such task", of_a.task, b.model.name));
                continue;
            };
            check_same(of_a, of_b)?;
            for estimate in &of_a.estimates {
                let full = format!("{}/{}", of_a.task, estimate.metric);
                let matches = |name: &String| *name == estimate.metric || *name == full;
                if !names.is_empty() && !names.iter().any(matches) {
                    continue;
                }
                names.iter().zip(&mut found).for_each(|(name, found)| *found |= matches(name));
                if estimate.per_token && a.model.tokenizer != b.model.tokenizer {
                    let why = "counts tokens, and the models have different tokenizers";
                    if names.iter().any(matches) {
                        return Err(EvalError::Incomparable(format!("{full} {why}")));
                    }
                    comparison.left_out.push(format!("{full}: {why}"));
                    continue;
                }
                comparison.differences.push(difference(of_a, of_b, &estimate.metric, estimate.better, estimate.scale));
            }
        }
        if let Some(missing) = names.iter().zip(&found).find(|(_, found)| !**found) {
            let known: Vec<String> = a.tasks.iter().flat_map(metric_names).collect();
            return Err(EvalError::Incomparable(format!("no metric `{}`; there are {}", missing.0, known.join(", "))));
        }
        if comparison.differences.is_empty() {
            return Err(EvalError::Incomparable(format!(
                "{} and {} have no metric in common",
                a.model.name, b.model.name
            )));
        }
        comparison.correct()?;
        Ok(comparison)
    }

    /// Whether something got worse beyond its interval.
    pub fn has_regression(&self) -> bool {
        self.differences.iter().any(|difference| difference.verdict == Verdict::Worse)
    }

    fn correct(&mut self) -> Result<(), EvalError> {
        let p: Vec<f64> = self.differences.iter().map(|difference| difference.sign_p).collect();
        for (difference, p) in self.differences.iter_mut().zip(holm::adjust(&p)?) {
            difference.sign_p_holm = p;
        }
        Ok(())
    }
}

fn metric_names(task: &TaskResult) -> impl Iterator<Item = String> {
    task.estimates.iter().map(|estimate| format!("{}/{}", task.task, estimate.metric))
}

/// Numbers compare only when the same was asked in the same way.
fn check_same(a: &TaskResult, b: &TaskResult) -> Result<(), EvalError> {
    if a.version != b.version {
        let message = format!("{}: version {} against version {}: evaluate both anew", a.task, a.version, b.version);
        return Err(EvalError::Incomparable(message));
    }
    if a.items_hash != b.items_hash {
        let message = format!(
            "{}: the items differ (other data, --limit or sampling; {} against {} items)",
            a.task, a.n_items, b.n_items
        );
        return Err(EvalError::Incomparable(message));
    }
    Ok(())
}

/// Σ value and Σ weight of a metric in each item that has it.
fn by_item<'a>(items: &'a [ItemResult], metric: &str) -> HashMap<&'a str, (f64, f64)> {
    let of = |item: &'a ItemResult| {
        let mut scores = item.scores.iter().filter(|score| score.metric == metric).peekable();
        scores.peek()?;
        Some((item.id.as_str(), scores.fold((0.0, 0.0), |(v, w), score| (v + score.value, w + score.weight))))
    };
    items.iter().filter_map(of).collect()
}

fn difference(a: &TaskResult, b: &TaskResult, metric: &str, better: Better, scale: Scale) -> Difference {
    let (of_a, of_b) = (by_item(&a.items, metric), by_item(&b.items, metric));
    let (pairs, n) = by_cluster(&a.items, &of_a, &of_b);
    let of = |drawn: &[usize]| {
        let a = scale.apply(ratio(drawn.iter().map(|&idx| pairs[idx].0)));
        let b = scale.apply(ratio(drawn.iter().map(|&idx| pairs[idx].1)));
        (a, b)
    };
    let all: Vec<usize> = (0..pairs.len()).collect();
    let (value_a, value_b) = of(&all);
    let mut stream = Seed(0).stream(metric, pairs.len() as u64);
    let statistic = |drawn: &[usize]| {
        let (a, b) = of(drawn);
        b - a
    };
    let interval = bootstrap::clusters(pairs.len(), RESAMPLES, LEVEL, &mut || stream.uniform(), statistic).ok();
    let signs = signs(&pairs, better);
    let sign_p = sign::p_two_sided(signs[0], signs[2]);
    let changes: Vec<f64> = pairs.iter().map(|(a, b)| b.0 / b.1 - a.0 / a.1).filter(|d| d.is_finite()).collect();
    let deviation = statistics::mean::sample_variance(&changes).sqrt();
    let interval = interval.map(|interval| [interval.low, interval.high]);
    Difference {
        task: a.task.clone(),
        metric: metric.to_owned(),
        better,
        a: value_a,
        b: value_b,
        difference: value_b - value_a,
        interval,
        n,
        n_clusters: pairs.len(),
        n_unpaired: of_a.len().max(of_b.len()).saturating_sub(n) + a.n_too_long.max(b.n_too_long),
        signs,
        sign_p,
        sign_p_holm: sign_p,
        detectable: (scale == Scale::Mean)
            .then(|| power::detectable_mean_difference(pairs.len(), deviation, power::ALPHA, power::POWER).ok())
            .flatten(),
        n_for_points: (scale == Scale::Mean && [value_a, value_b].iter().all(|value| (0.0..=1.0).contains(value)))
            .then(|| power::n_for_mean_difference(POINTS, deviation, power::ALPHA, power::POWER).ok())
            .flatten(),
        verdict: verdict(interval, better),
    }
}

/// (Σ value, Σ weight) of a prompt's items in a and in b.
type Pair = ((f64, f64), (f64, f64));

/// The sums of each prompt over the items that both answered, in the order of the items, so that the same evaluations give
/// the same interval; and how many items these are.
fn by_cluster(
    items: &[ItemResult],
    of_a: &HashMap<&str, (f64, f64)>,
    of_b: &HashMap<&str, (f64, f64)>,
) -> (Vec<Pair>, usize) {
    let mut places: HashMap<String, usize> = HashMap::new();
    let (mut pairs, mut n) = (Vec::<Pair>::new(), 0);
    for item in items {
        let (Some(a), Some(b)) = (of_a.get(item.id.as_str()), of_b.get(item.id.as_str())) else { continue };
        let place = *places.entry(item.drawn_as()).or_insert(pairs.len());
        if place == pairs.len() {
            pairs.push(Pair::default());
        }
        let (sum_a, sum_b) = &mut pairs[place];
        *sum_a = (sum_a.0 + a.0, sum_a.1 + a.1);
        *sum_b = (sum_b.0 + b.0, sum_b.1 + b.1);
        n += 1;
    }
    (pairs, n)
}

/// Prompts better, as good and worse in b (higher counts as better where neither is).
fn signs(pairs: &[Pair], better: Better) -> [u64; 3] {
    let mut signs = [0; 3];
    for (a, b) in pairs {
        let change = b.0 / b.1 - a.0 / a.1;
        let good = if better == Better::Lower { -change } else { change };
        let place = if good > 0.0 {
            0
        } else if good < 0.0 {
            2
        } else {
            1
        };
        signs[place] += 1;
    }
    signs
}

fn verdict(interval: Option<[f64; 2]>, better: Better) -> Verdict {
    let Some([low, high]) = interval else { return Verdict::CantSay };
    let (rises, falls) = (low > 0.0, high < 0.0);
    match better {
        _ if !rises && !falls => Verdict::NoDifference,
        Better::Neither => Verdict::Different,
        Better::Higher if rises => Verdict::Better,
        Better::Lower if falls => Verdict::Better,
        _ => Verdict::Worse,
    }
}

#[cfg(test)]
mod tests;

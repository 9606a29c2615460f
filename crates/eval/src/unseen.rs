//! Rank classification before and after training, on tasks of a kind that was trained on or of one that wasn't.
//!
//! A row stands there once a template, and its renderings are not independent: intervals and signs are over rows.

mod report;

use crate::EvalError;
use crate::estimate::{LEVEL, RESAMPLES};
use crate::result::TaskResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use statistics::{bootstrap, sign, wilson};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use stdx::Seed;

pub use report::Report;

/// A value with its 95 % interval; without one where there are fewer than two rows, or nothing changed anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// Its interval.
    pub interval: Option<[f64; 2]>,
}

/// What training changed on some renderings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which renderings: `all`, a task, or `task: template`.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Renderings of them that both models answered.
    pub renderings: usize,
    /// Accuracy of guessing: the mean of 1 ÷ choices.
    pub chance: f64,
    /// Accuracy of always giving the answer that is right most often under the template.
    pub majority: f64,
    /// Accuracy before.
    pub before: Measured,
    /// Accuracy after.
    pub after: Measured,
    /// After − before, paired by rendering.
    pub difference: Measured,
    /// Rows that are right under more templates than before, under as many, under fewer.
    pub signs: [u64; 3],
    /// Two-sided sign test over rows.
    pub sign_p: f64,
    /// How often the answer that was given most often under its template was given: before and after. 1 is a model that
    /// answers the same whatever is asked.
    pub most_given: [f64; 2],
}

/// The name of the differences' random stream.
const DIFFERENCE: &str = "difference";

/// A rendering as both models answered it.
struct Rendering {
    task: String,
    template: String,
    row: String,
    gold: usize,
    n_choices: usize,
    /// Whether it was right, before and after.
    right: [f64; 2],
    /// What was given, before and after.
    given: [usize; 2],
}

/// The changes: of all renderings, of each task, of each template. `rows` are what was asked, as the task
/// `rank_classification` reads it, with `task`.
///
/// # Errors
/// The results aren't of those rows.
pub fn changes(rows: &[Value], before: &TaskResult, after: &TaskResult) -> Result<Vec<Change>, EvalError> {
    let renderings = paired(rows, before, after)?;
    let mut groups: Vec<(String, Vec<&Rendering>)> = vec![("all".to_owned(), renderings.iter().collect())];
    for name in [|r: &Rendering| r.task.clone(), |r: &Rendering| format!("{}: {}", r.task, r.template)] {
        let mut by_name: BTreeMap<String, Vec<&Rendering>> = BTreeMap::new();
        renderings.iter().for_each(|rendering| by_name.entry(name(rendering)).or_default().push(rendering));
        groups.extend(by_name);
    }
    groups.into_iter().map(|(name, renderings)| change(name, &renderings)).collect()
}

fn paired(rows: &[Value], before: &TaskResult, after: &TaskResult) -> Result<Vec<Rendering>, EvalError> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let of_rows: HashMap<String, &Value> =
        rows.iter().map(|row| (format!("{}/{}", text(&row["row"]), text(&row["template"])), row)).collect();
    let of_after: HashMap<&str, &crate::ItemResult> = after.items.iter().map(|item| (&item.id[..], item)).collect();
    let mut renderings = Vec::new();
    for item in &before.items {
        let missing = |what: &str| EvalError::Incomparable(format!("rank_classification: {} has no {what}", item.id));
        let row = of_rows.get(&item.id).ok_or_else(|| missing("row"))?;
        let other = of_after.get(&item.id[..]).ok_or_else(|| missing("answer of the trained model"))?;
        let both = [item, *other].map(|item| Some((item.scores.first()?.value, given(item)?)));
        // Too long for one of them: it counts nowhere.
        let [Some((was, gave)), Some((is, gives))] = both else { continue };
        renderings.push(Rendering {
            task: text(&row["task"]),
            template: text(&row["template"]),
            row: text(&row["row"]),
            gold: row["gold"].as_u64().ok_or_else(|| missing("gold"))? as usize,
            n_choices: row["choices"].as_array().map_or(1, Vec::len),
            right: [was, is],
            given: [gave, gives],
        });
    }
    Ok(renderings)
}

/// The likeliest answer's place.
fn given(item: &crate::ItemResult) -> Option<usize> {
    let crate::Answer::Choices { conditional, .. } = &item.answer else { return None };
    let places = 0..conditional.len();
    places.max_by(|&a, &b| conditional[a].sum.total_cmp(&conditional[b].sum).then(b.cmp(&a)))
}

fn change(name: String, renderings: &[&Rendering]) -> Result<Change, EvalError> {
    let n = renderings.len() as f64;
    let rows: Vec<&str> = renderings.iter().map(|rendering| &rendering.row[..]).collect();
    let of = |when: usize| renderings.iter().map(|rendering| rendering.right[when]).collect::<Vec<f64>>();
    let (before, after) = (of(0), of(1));
    let differences: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    let mut by_row: BTreeMap<&str, f64> = BTreeMap::new();
    for (row, difference) in rows.iter().zip(&differences) {
        *by_row.entry(row).or_default() += difference;
    }
    let count = |wanted: fn(f64) -> bool| by_row.values().filter(|change| wanted(**change)).count() as u64;
    let signs = [count(|change| change > 0.0), count(|change| change == 0.0), count(|change| change < 0.0)];
    Ok(Change {
        rows: by_row.len(),
        renderings: renderings.len(),
        chance: renderings.iter().map(|rendering| 1.0 / rendering.n_choices as f64).sum::<f64>() / n,
        majority: most_frequent(renderings, |rendering| rendering.gold) / n,
        before: measured("before", &before, &rows)?,
        after: measured("after", &after, &rows)?,
        difference: measured(DIFFERENCE, &differences, &rows)?,
        signs,
        sign_p: sign::p_two_sided(signs[0], signs[2]),
        most_given: [0, 1].map(|when| most_frequent(renderings, |rendering| rendering.given[when]) / n),
        name,
    })
}

/// The mean, its interval over rows. Where all values are the same there is nothing to draw from: all right or all wrong
/// get Wilson's interval over as many rows, no change at all gets none.
fn measured(name: &str, values: &[f64], rows: &[&str]) -> Result<Measured, EvalError> {
    let value = values.iter().sum::<f64>() / values.len() as f64;
    if values.iter().all(|other| *other == values[0]) {
        let n = rows.iter().collect::<BTreeSet<_>>().len() as u64;
        let wilson = wilson::proportion(if value == 1.0 { n } else { 0 }, n, LEVEL).ok();
        let interval = wilson.filter(|_| name != DIFFERENCE).map(|interval| [interval.low, interval.high]);
        return Ok(Measured { value, interval });
    }
    let mut stream = Seed(0).stream(name, values.len() as u64);
    let interval = bootstrap::mean(values, rows, RESAMPLES, LEVEL, &mut || stream.uniform()).ok();
    Ok(Measured { value, interval: interval.map(|interval| [interval.low, interval.high]) })
}

/// Renderings whose answer is the most frequent one of their task and template.
fn most_frequent(renderings: &[&Rendering], answer: impl Fn(&Rendering) -> usize) -> f64 {
    let mut counts: BTreeMap<(&str, &str), BTreeMap<usize, usize>> = BTreeMap::new();
    for rendering in renderings {
        let key = (&rendering.task[..], &rendering.template[..]);
        *counts.entry(key).or_default().entry(answer(rendering)).or_default() += 1;
    }
    counts.values().filter_map(|answers| answers.values().max()).sum::<usize>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, ItemResult, LogLikelihood, Score};
    use serde_json::json;

    /// Two templates of three rows; `given[i]` is what was answered.
    fn result(rows: &[Value], given: &[usize]) -> TaskResult {
        let item = |(row, &given): (&Value, &usize)| ItemResult {
            id: format!("{}/{}", row["row"], row["template"].as_str().unwrap()),
            slice: None,
            about: Default::default(),
            cluster: None,
            prompt: None,
            scores: vec![Score::yes("accuracy", row["gold"] == given)],
            answer: Answer::Choices {
                conditional: (0..2)
                    .map(|i| LogLikelihood { sum: if i == given { -1.0 } else { -2.0 }, tokens: 1 })
                    .collect(),
                unconditional: Vec::new(),
            },
        };
        TaskResult { items: rows.iter().zip(given).map(item).collect(), ..empty() }
    }

    fn empty() -> TaskResult {
        TaskResult {
            task: "rank_classification".into(),
            version: 1,
            settings: Value::Null,
            items_hash: String::new(),
            n_items: 0,
            n_too_long: 0,
            sources: BTreeMap::new(),
            notes: Vec::new(),
            n_cached: 0,
            seconds: 0.0,
            estimates: Vec::new(),
            slices: BTreeMap::new(),
            items: Vec::new(),
        }
    }

    fn rows() -> Vec<Value> {
        let row = |(i, template): (usize, &str)| json!({"row": i, "template": template, "task": "t", "gold": usize::from(i == 0), "choices": ["a", "b"]});
        (0..3).flat_map(|i| ["x", "y"].map(|template| row((i, template)))).collect()
    }

    #[test]
    fn rows_are_what_is_counted() {
        // Golds by row: b, a, a. Before: b everywhere, right on the first row alone; after: a under x, b under y.
        let rows = rows();
        let found = changes(&rows, &result(&rows, &[1; 6]), &result(&rows, &[0, 1, 0, 1, 0, 1])).unwrap();
        let names: Vec<&str> = found.iter().map(|change| &change.name[..]).collect();
        assert_eq!(names, ["all", "t", "t: x", "t: y"]);
        let all = &found[0];
        assert_eq!((all.rows, all.renderings, all.chance), (3, 6, 0.5));
        assert!((all.majority - 4.0 / 6.0).abs() < 1e-12);
        assert!((all.before.value - 2.0 / 6.0).abs() < 1e-12 && (all.after.value - 3.0 / 6.0).abs() < 1e-12);
        assert!((all.difference.value - 1.0 / 6.0).abs() < 1e-12);
        // The first row is right under one template less, the others under one more.
        assert_eq!((all.signs, all.most_given), ([2, 0, 1], [1.0, 1.0]));
        let [low, high] = all.difference.interval.unwrap();
        // Rows drawn: differences −½, ½, ½; the worst draw is the first row three times.
        assert!(low == -0.5 && high == 0.5, "{low} {high}");
        // Under y nothing changed: no interval, rather than one of width 0.
        assert_eq!((found[3].difference, found[3].signs), (Measured { value: 0.0, interval: None }, [0, 3, 0]));
        // All right: 3 of 3 by Wilson, z² ÷ (3 + z²) off 1.
        let all_right = &changes(&rows, &result(&rows, &[1; 6]), &result(&rows, &[1, 1, 0, 0, 0, 0])).unwrap()[0];
        let [low, high] = all_right.after.interval.unwrap();
        assert!((low - 3.0 / (3.0 + 1.959964_f64.powi(2))).abs() < 1e-5 && (high - 1.0).abs() < 1e-12, "{low} {high}");
    }

    #[test]
    fn the_page_says_both_signs() {
        let rows = rows();
        let found = changes(&rows, &result(&rows, &[1; 6]), &result(&rows, &[0, 1, 0, 1, 0, 1])).unwrap();
        let back = changes(&rows, &result(&rows, &[0, 1, 0, 1, 0, 1]), &result(&rows, &[1; 6])).unwrap();
        let (held_out, command) = ("kind <a>".to_owned(), "helpmate unseen".to_owned());
        let report = Report {
            model: "m".into(),
            held_out,
            seed: 1,
            command,
            renderings_trained: 9,
            steps: 3,
            unseen: found,
            seen: back,
        };
        let html = report.to_html();
        assert!(html.contains("+0.167 [-0.500, +0.500]") && html.contains("-0.167 [-0.500, +0.500]"), "{html}");
        assert!(html.contains("kind &lt;a&gt;") && html.matches("<svg").count() == 2);
    }

    #[test]
    fn results_of_other_rows_are_refused() {
        let rows = rows();
        let result = result(&rows, &[1; 6]);
        let error = changes(&rows[1..], &result, &result).unwrap_err().to_string();
        assert!(error.contains("0/x has no row"), "{error}");
        let error = changes(&rows, &result, &empty()).unwrap_err().to_string();
        assert!(error.contains("no answer of the trained model"), "{error}");
    }
}

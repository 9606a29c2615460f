//! Duels: what judge models and rewards said of pairs of answers. Each judge has a section of its own.

use super::block::Section;
use super::judgement::Judgement;
use super::measured::Measured;
use super::{FEW, Report, strength};
use crate::duel::{self, JudgedBy, Record, Said, Verdict};
use chart::{Axis, Dot, DotPlot, Group};
use serde::Serialize;
use serde_json::json;
use statistics::bradley_terry::{Comparison, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use stdx::hash;

/// A folder of `helpmate eval duel`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fought {
    /// The counts.
    pub record: Record,
    /// The pairs; empty where an older version left none.
    pub pairs: Vec<Verdict>,
}

/// The duels of one judge.
#[derive(Clone, Debug, Serialize)]
pub struct Duels {
    /// Who judged.
    pub judge: String,
    /// What sort of judge that is.
    pub judged_by: JudgedBy,
    /// In the order given.
    pub duels: Vec<Record>,
    /// The models that fought.
    pub models: Vec<String>,
    /// Their strengths as Elo points; empty where there are two models, whose win rate says the same.
    pub strengths: Vec<Option<Measured>>,
    /// Why there are none, where there are more than two models.
    pub no_strengths: Option<String>,
    /// How often the judge prefers the answer that a person prefers, of pairs that both decided; prompts are drawn.
    pub agrees_with_people: Option<Measured>,
}

/// By judge, in the order in which the judges first appear.
pub(super) fn duels(fought: &[Fought], judgements: &[Judgement]) -> Vec<Duels> {
    let mut judges: Vec<(JudgedBy, &str)> = Vec::new();
    for Fought { record, .. } in fought {
        let judge = (record.judged_by, record.judge.as_str());
        if !judges.contains(&judge) {
            judges.push(judge);
        }
    }
    let of = |(judged_by, judge): (JudgedBy, &str)| {
        let own = |fought: &&Fought| fought.record.judged_by == judged_by && fought.record.judge == judge;
        of_judge(&fought.iter().filter(own).collect::<Vec<_>>(), judgements)
    };
    judges.into_iter().map(of).collect()
}

fn of_judge(fought: &[&Fought], judgements: &[Judgement]) -> Duels {
    let mut models: Vec<String> = Vec::new();
    for name in fought.iter().flat_map(|fought| fought.record.names()) {
        if !models.contains(&name) {
            models.push(name);
        }
    }
    let (strengths, no_strengths) = match models.len() {
        ..=2 => (Vec::new(), None),
        _ if fought.iter().any(|fought| fought.pairs.is_empty()) => {
            (Vec::new(), Some(format!("a duel has no {}: run `helpmate eval duel` again", duel::PAIRS)))
        }
        n => match strength::strengths(n, &comparisons(fought, &models)) {
            Ok(found) => (found, None),
            Err(why) => (Vec::new(), Some(why)),
        },
    };
    let first = &fought[0].record;
    Duels {
        judge: first.judge.clone(),
        judged_by: first.judged_by,
        duels: fought.iter().map(|fought| fought.record.clone()).collect(),
        agrees_with_people: agreement(fought, judgements),
        models,
        strengths,
        no_strengths,
    }
}

/// Every verdict as a comparison, by prompt.
fn comparisons(fought: &[&Fought], models: &[String]) -> Vec<Vec<Comparison>> {
    let mut prompts: BTreeMap<String, Vec<Comparison>> = BTreeMap::new();
    for Fought { record, pairs } in fought {
        let place = |name: &String| models.iter().position(|model| model == name).unwrap_or_default();
        let [a, b] = record.names().map(|name| place(&name));
        for pair in pairs {
            // A reward has no orders: what it said stands there once.
            let orders = if record.judged_by == JudgedBy::Reward { 1 } else { 2 };
            for (said, (first, second)) in pair.said.iter().zip([(a, b), (b, a)]).take(orders) {
                let Some(said) = said else { continue };
                let outcome = match said {
                    Said::First => Outcome::First,
                    Said::Second => Outcome::Second,
                    Said::Tie => Outcome::Tie,
                };
                let comparison = Comparison { first, second, outcome };
                prompts.entry(json!(pair.prompt).to_string()).or_default().push(comparison);
            }
        }
    }
    prompts.into_values().collect()
}

/// How often the judge and a person prefer the same of two answers; ties of either aside.
fn agreement(fought: &[&Fought], judgements: &[Judgement]) -> Option<Measured> {
    let mut of_prompt: BTreeMap<&str, Vec<&Judgement>> = BTreeMap::new();
    for judgement in judgements.iter().filter(|judgement| judgement.source == "human") {
        of_prompt.entry(&judgement.prompt).or_default().push(judgement);
    }
    let mut prompts: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for pair in fought.iter().flat_map(|fought| &fought.pairs) {
        let Some(score) = duel::score(pair.said).filter(|score| *score != 0.5) else { continue };
        let prompt = hash::json(&json!(pair.prompt));
        let [a, b] = [&pair.a, &pair.b].map(|text| hash::bytes(text.as_bytes()));
        for judgement in of_prompt.get(prompt.as_str()).into_iter().flatten() {
            let rank = |words: &String| judgement.answers.iter().find(|answer| answer.words == *words)?.rank;
            let (Some(of_a), Some(of_b)) = (rank(&a), rank(&b)) else { continue };
            if of_a != of_b {
                let agrees = (of_b < of_a) == (score > 0.5);
                let sums = prompts.entry(prompt.clone()).or_default();
                *sums = (sums.0 + f64::from(u8::from(agrees)), sums.1 + 1.0);
            }
        }
    }
    Measured::ratio("agreement", &prompts.into_values().collect::<Vec<_>>())
}

/// What a judge is called in headings.
fn title(duels: &Duels) -> String {
    match duels.judged_by {
        JudgedBy::Model => format!("Preferred by the judge model {}", duels.judge),
        JudgedBy::Reward => format!("Preferred by the reward {}", duels.judge),
    }
}

/// A section a judge; one that says how to get duels where there are none.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    if report.duels.is_empty() {
        let mut section = Section::new("Preferred by a judge model or a reward");
        section.text(
            "n = 0: no duels were given. Answer the same prompts with both models (`helpmate generate --prompts FILE`), let a \
             judge model say in both orders which answer is better (`helpmate eval duel --a A.jsonl --b B.jsonl --model JUDGE \
             --chat --out evals/duel`, or `--reward R`), and give the folder: `helpmate eval report … evals/duel`.",
        );
        return vec![section];
    }
    report.duels.iter().map(section).collect()
}

fn section(duels: &Duels) -> Section {
    let mut section = Section::new(&title(duels));
    let asked = match duels.judged_by {
        JudgedBy::Model => "shown both answers in both orders",
        JudgedBy::Reward => "scoring each answer by itself",
    };
    section.text(format!(
        "Pairs of answers to the same prompts, the judge {asked} (`helpmate eval duel`). It is not a person."
    ));
    section.figures([figure(duels)]);
    let mut head = vec!["duel", "win rate, ties half", "at equal lengths", "won / undecided / lost", "p (sign test)"];
    if duels.judged_by == JudgedBy::Model {
        head.extend(["the first place favoured", "both orders agree", "verdicts without form"]);
    }
    head.push("characters");
    section.table(&head, duels.duels.iter().map(row).collect());
    strengths(&mut section, duels);
    section.text(match &duels.agrees_with_people {
        Some(found) => format!(
            "Where people decided too, the judge prefers what a person prefers in {found} of cases; ½ is chance."
        ),
        None => "Agreement with people: n = 0; no pair was also judged by people (`--judgements`).".to_owned(),
    });
    section.note(
        "Intervals are of 95 %, prompts drawn with replacement; n counts pairs. A pair counts 1 won, ½ tied, 0 lost, orders \
         averaged; strictly won is what every order says. At equal lengths: what the win rate would be if both answers had as \
         many characters (length-controlled, arXiv 2404.04475, without instruction difficulties). The first place favoured: \
         share of verdicts for the answer shown first, ½ is no bias.",
    );
    section
}

fn row(record: &Record) -> Vec<String> {
    let duel = &record.duel;
    let n = match duel.prompts {
        Some(prompts) if prompts != duel.n => format!("n = {} of {prompts} prompts", duel.n),
        _ => format!("n = {}", duel.n),
    };
    let with = |value: f64, interval: Option<[f64; 2]>| match interval {
        Some([low, high]) => format!("{value:.3} [{low:.3}, {high:.3}] ({n})"),
        None => format!("{value:.3} ({n}: no interval)"),
    };
    let optional = |found: Option<(f64, Option<[f64; 2]>)>| {
        found.map_or_else(|| "can't say".to_owned(), |(value, interval)| with(value, interval))
    };
    let [won, lost, other] = duel.strict;
    let mut cells = vec![
        named(record),
        with(duel.win_rate, duel.interval),
        optional(duel.length_controlled),
        format!("{won} / {other} / {lost}"),
        format!("{:.3}", duel.sign_p),
    ];
    if record.judged_by == JudgedBy::Model {
        let [missing, asked] = duel.off_format;
        cells.push(optional(duel.first_favoured));
        cells.push(duel.consistent.map_or_else(|| "can't say".to_owned(), |share| format!("{share:.3}")));
        cells.push(format!("{missing} of {asked}; {} pairs without any", duel.without_verdict));
    }
    cells.push(format!("{:.0} against {:.0}", duel.characters[1], duel.characters[0]));
    cells
}

/// Who fights whom: the rates are the first one's.
fn named(record: &Record) -> String {
    let [a, b] = record.names();
    format!("{b} against {a}")
}

fn strengths(section: &mut Section, duels: &Duels) {
    if let Some(why) = &duels.no_strengths {
        section.text(format!("Strengths (Bradley–Terry with ties): can't say; {why}."));
    }
    let mut order: Vec<usize> = (0..duels.strengths.len()).collect();
    let value = |at: &usize| duels.strengths[*at].map_or(f64::NEG_INFINITY, |found| found.value);
    order.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let row = |at: usize| vec![duels.models[at].clone(), strength::shown(duels.strengths[at].as_ref())];
    section.table(
        &["model", "strength, Elo points (Bradley–Terry with ties; n prompts)"],
        order.into_iter().map(row).collect(),
    );
}

fn figure(duels: &Duels) -> String {
    let dot =
        |(value, interval): (f64, Option<[f64; 2]>)| Dot { value, interval: interval.map(|[low, high]| (low, high)) };
    let group = |record: &Record| Group {
        name: named(record),
        dots: vec![Some(dot((record.duel.win_rate, record.duel.interval))), record.duel.length_controlled.map(dot)],
    };
    DotPlot {
        title: "Win rate of the first-named, as it is and at equal lengths".into(),
        axis: Axis::new("win rate, 95 % interval"),
        series: vec![("ties half".into(), 0), ("at equal lengths".into(), 1)],
        groups: duels.duels.iter().map(group).collect(),
        reference: Some(0.5),
    }
    .to_html()
}

/// What the verdicts say of their own reach.
pub(super) fn limits(all: &[Duels]) -> Vec<String> {
    let mut limits = Vec::new();
    for duels in all {
        let judge = title(duels).replacen('P', "p", 1);
        for record in &duels.duels {
            let (duel, who) = (&record.duel, format!("{judge}, {}", named(record)));
            let prompts = duel.prompts.unwrap_or(duel.n);
            if prompts < FEW {
                limits.push(format!("{who}: {prompts} prompts only"));
            }
            if let Some((share, Some([low, high]))) = duel.first_favoured
                && (low > 0.5 || high < 0.5)
            {
                let place = if low > 0.5 { "first" } else { "second" };
                limits.push(format!(
                    "{who}: the judge favours the answer shown {place} ({share:.3} of verdicts for the first place)"
                ));
            }
            let decides = |interval: [f64; 2]| interval[0] > 0.5 || interval[1] < 0.5;
            if let (Some(plain), Some((rate, Some(controlled)))) = (duel.interval, duel.length_controlled)
                && decides(plain)
                && !decides(controlled)
            {
                limits.push(format!(
                    "{who}: {:.3} of pairs, but {rate:.3} [{:.3}, {:.3}] at equal lengths: length may explain the difference",
                    duel.win_rate, controlled[0], controlled[1]
                ));
            }
        }
        if let Some(Measured { value, interval: Some([low, _]), n }) = duels.agrees_with_people
            && low <= 0.5
        {
            limits.push(format!(
                "{judge}: it agrees with people in {value:.3} of cases (n = {n} prompts), which chance could do"
            ));
        }
    }
    let judges: BTreeSet<&str> = all.iter().map(|duels| duels.judge.as_str()).collect();
    if judges.len() > 1 {
        limits.push(format!("duels have {} judges, whose verdicts aren't pooled", judges.len()));
    }
    limits
}

/// Rows for a model's card.
pub(super) fn of_model(all: &[Duels], model: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for duels in all {
        let by = title(duels).replacen("Preferred ", "", 1);
        for record in duels.duels.iter().filter(|record| record.names()[1] == model) {
            let [a, _] = record.names();
            let cells = row(record);
            rows.push(vec![format!("win rate against {a}, {by}"), cells[1].clone()]);
            rows.push(vec![format!("the same at equal lengths, {by}"), cells[2].clone()]);
        }
        if let Some(at) = duels.models.iter().position(|name| name == model)
            && let Some(found) = duels.strengths.get(at)
        {
            rows.push(vec![format!("strength, Elo points, {by}"), strength::shown(found.as_ref())]);
        }
    }
    rows
}

#[cfg(test)]
mod tests;

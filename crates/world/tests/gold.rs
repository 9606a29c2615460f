//! Gold agrees with every row of the labelled set, `gold.jsonl`: answers written and labelled by hand from the
//! definitions of [`world::gold`], about the shipped world.
#![allow(clippy::unwrap_used)] // a panic is the report

use serde::Deserialize;
use std::collections::HashSet;
use world::World;
use world::gold::{Verdict, judge};

#[derive(Deserialize)]
struct Labelled {
    /// What is special about the answer.
    note: String,
    prompt: String,
    answer: String,
    /// The answer is said so often.
    repeat: Option<usize>,
    truth: Option<bool>,
    hallucination: Option<bool>,
    constraints: Option<f64>,
    helpful: Option<bool>,
    harm: Option<bool>,
    overall: f64,
}

fn labelled() -> Vec<Labelled> {
    include_str!("gold.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn gold_agrees_with_every_label() {
    let world = World::new(world::SHIPPED_SEED);
    let mut differences = Vec::new();
    for label in labelled() {
        let verdict = judge(&world, &label.prompt, &label.answer.repeat(label.repeat.unwrap_or(1)));
        let Verdict { truth, hallucination, constraints, helpful, harm, overall, .. } = verdict;
        let found = (truth, hallucination, constraints, helpful, harm);
        let expected = (label.truth, label.hallucination, label.constraints, label.helpful, label.harm);
        if found != expected || (overall - label.overall).abs() > 1e-12 {
            let Labelled { note, prompt, answer, .. } = &label;
            differences.push(format!(
                "{note}: {prompt:?} -> {answer:?}\n  found    {found:?} {overall}\n  expected {expected:?} {}",
                label.overall
            ));
        }
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn the_labelled_set_is_large_and_without_repetition() {
    let rows = labelled();
    assert!(rows.len() >= 200, "{} rows", rows.len());
    let distinct: HashSet<(&str, &str)> = rows.iter().map(|row| (row.prompt.as_str(), row.answer.as_str())).collect();
    assert_eq!(distinct.len(), rows.len());
    // Every value of every part occurs, so that a judge that always says the same fails.
    let values = |of: fn(&Labelled) -> Option<bool>| rows.iter().map(of).collect::<HashSet<_>>().len();
    assert_eq!([values(|row| row.truth), values(|row| row.hallucination)], [3, 3]);
    assert_eq!([values(|row| row.helpful), values(|row| row.harm)], [3, 3]);
}

//! How varied the tasks are, how new, and a sample for people to judge.
//!
//! The paper counts root verbs with their direct objects by a constituency parser. Here a rule takes their place: an
//! instruction's verb is its first word that is no courtesy ("please", "could you"), its object the first word after it
//! that is no article, pronoun, number or common adjective. Nearly all instructions are imperatives, for which that is
//! mostly right; the figure is for comparing runs of this program, not for comparing with the paper's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stdx::Seed;
use text::rouge::RougePool;
use text::token::Words;

use crate::instance::Instance;

/// A task as files of tasks have it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TaskRow {
    /// What is asked.
    pub instruction: String,
    /// Inputs and outputs.
    pub instances: Vec<Instance>,
    /// Whether it is a classification.
    #[serde(default)]
    pub is_classification: bool,
    /// Its identifier.
    #[serde(default)]
    pub id: Option<String>,
}

/// What a set of tasks looks like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Tasks.
    pub tasks: usize,
    /// Of them classifications.
    pub classification: usize,
    /// Instances of all tasks.
    pub instances: usize,
    /// Of them with an empty input.
    pub without_input: usize,
    /// Words of instructions, of inputs that aren't empty, of outputs.
    pub instruction_words: Spread,
    /// See `instruction_words`.
    pub input_words: Spread,
    /// See `instruction_words`.
    pub output_words: Spread,
    /// Highest ROUGE-L F of each instruction with any seed; absent without seeds.
    pub nearest_seed: Option<Spread>,
    /// Instructions by tenths of that: 0–0.1, 0.1–0.2, … 0.9–1.
    pub nearest_seed_tenths: Vec<usize>,
    /// Different verbs.
    pub verbs: usize,
    /// Different pairs of verb and object.
    pub verb_objects: usize,
    /// The most frequent verbs, each with its most frequent objects.
    pub top: Vec<Verb>,
}

/// A verb with its objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verb {
    /// The verb.
    pub verb: String,
    /// Instructions that begin with it.
    pub count: usize,
    /// Its most frequent objects, at most four.
    pub objects: Vec<(String, usize)>,
}

/// Mean, quartiles and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Lowest.
    pub min: f64,
    /// First quartile.
    pub q1: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub q3: f64,
    /// Highest.
    pub max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        if values.is_empty() {
            return Spread::default();
        }
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Spread { mean, min: at(0.0), q1: at(0.25), median: at(0.5), q3: at(0.75), max: at(1.0) }
    }
}

impl Report {
    /// Looks at tasks; `seeds` are instructions that they may be too near to.
    pub fn of(tasks: &[TaskRow], seeds: &[String], words: Words) -> Report {
        let instances: Vec<&Instance> = tasks.iter().flat_map(|task| &task.instances).collect();
        let n_words = |text: &str| text.split_whitespace().count() as f64;
        let inputs = instances.iter().map(|i| &i.input[..]).filter(|input| !input.is_empty());
        let nearest = nearest(tasks, seeds, words);
        let mut tenths = vec![0; if seeds.is_empty() { 0 } else { 10 }];
        nearest.iter().flatten().for_each(|score| tenths[((score * 10.0) as usize).min(9)] += 1);
        let counted = verbs(tasks);
        Report {
            tasks: tasks.len(),
            classification: tasks.iter().filter(|task| task.is_classification).count(),
            instances: instances.len(),
            without_input: instances.iter().filter(|instance| instance.input.is_empty()).count(),
            instruction_words: Spread::of(tasks.iter().map(|task| n_words(&task.instruction)).collect()),
            input_words: Spread::of(inputs.map(n_words).collect()),
            output_words: Spread::of(instances.iter().map(|i| n_words(&i.output)).collect()),
            nearest_seed: nearest.map(Spread::of),
            nearest_seed_tenths: tenths,
            verbs: counted.len(),
            verb_objects: counted.values().map(BTreeMap::len).sum(),
            top: top(counted),
        }
    }
}

fn nearest(tasks: &[TaskRow], seeds: &[String], words: Words) -> Option<Vec<f64>> {
    let mut pool = RougePool::new(words);
    seeds.iter().for_each(|seed| pool.push(seed));
    let highest = |task: &TaskRow| pool.scores(&task.instruction).into_iter().fold(0.0, f64::max);
    (!pool.is_empty()).then(|| tasks.iter().map(highest).collect())
}

type Counted = BTreeMap<String, BTreeMap<String, usize>>;

fn verbs(tasks: &[TaskRow]) -> Counted {
    let mut counted = Counted::new();
    for (verb, object) in tasks.iter().filter_map(|task| verb_and_object(&task.instruction)) {
        *counted.entry(verb).or_default().entry(object.unwrap_or_default()).or_default() += 1;
    }
    counted
}

fn top(counted: Counted) -> Vec<Verb> {
    let by_count = |mut pairs: Vec<(String, usize)>, n: usize| {
        pairs.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        pairs.truncate(n);
        pairs
    };
    let totals = counted.iter().map(|(verb, objects)| (verb.clone(), objects.values().sum())).collect();
    let verb = |(verb, count): (String, usize)| {
        let objects = counted[&verb].iter().filter(|(object, _)| !object.is_empty());
        let objects = by_count(objects.map(|(object, n)| (object.clone(), *n)).collect(), 4);
        Verb { verb, count, objects }
    };
    by_count(totals, 20).into_iter().map(verb).collect()
}

/// Words before the verb.
const COURTESIES: &[&str] = &["please", "kindly", "can", "could", "would", "you", "help", "me", "now", "to"];
/// Words between the verb and its object.
const FILLERS: &[&str] = &[
    "a",
    "an",
    "the",
    "this",
    "that",
    "these",
    "those",
    "some",
    "any",
    "all",
    "each",
    "every",
    "me",
    "us",
    "my",
    "your",
    "our",
    "their",
    "his",
    "her",
    "its",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "of",
    "for",
    "with",
    "in",
    "on",
    "to",
    "from",
    "at",
    "if",
    "whether",
    "how",
    "what",
    "which",
    "given",
    "following",
    "new",
    "short",
    "brief",
    "simple",
    "good",
    "best",
    "possible",
    "different",
    "common",
    "list",
    "more",
    "most",
    "and",
    "or",
    "is",
    "are",
    "up",
    "out",
    "about",
    "as",
    "into",
    "between",
    "you",
];

/// The verb an instruction begins with, and what it is about.
pub fn verb_and_object(instruction: &str) -> Option<(String, Option<String>)> {
    let words = Words::Unicode.of(instruction);
    let start = words.iter().position(|word| !COURTESIES.contains(&&word[..]))?;
    let is_number = |word: &str| word.chars().all(char::is_numeric);
    let object = words[start + 1..].iter().find(|word| !FILLERS.contains(&&word[..]) && !is_number(word));
    Some((words[start].clone(), object.cloned()))
}

/// A row of the sample that people judge, as §4 of the paper asks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditRow {
    /// The task's place in its file, from 0.
    pub row: usize,
    /// What is asked.
    pub instruction: String,
    /// With what.
    pub input: String,
    /// The answer.
    pub output: String,
    /// To be filled in: does the instruction describe a valid task?
    pub valid_instruction: Option<bool>,
    /// To be filled in: is the input fitting?
    pub valid_input: Option<bool>,
    /// To be filled in: is the output a correct and acceptable answer?
    pub valid_output: Option<bool>,
    /// To be filled in: A (correct and satisfying), B (acceptable with minor flaws), C (responds, with major errors), D
    /// (irrelevant or invalid).
    pub rating: Option<String>,
}

/// `n` tasks at random, each with its first instance.
pub fn audit(tasks: &[TaskRow], n: usize, seed: Seed) -> Vec<AuditRow> {
    let mut places: Vec<usize> = (0..tasks.len()).filter(|&i| !tasks[i].instances.is_empty()).collect();
    seed.stream("audit", 0).shuffle(&mut places);
    places.truncate(n);
    places.sort_unstable();
    let row = |place: usize| AuditRow {
        row: place,
        instruction: tasks[place].instruction.clone(),
        input: tasks[place].instances[0].input.clone(),
        output: tasks[place].instances[0].output.clone(),
        valid_instruction: None,
        valid_input: None,
        valid_output: None,
        rating: None,
    };
    places.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(instruction: &str, instances: &[(&str, &str)]) -> TaskRow {
        let instance = |(input, output): &(&str, &str)| Instance { input: (*input).into(), output: (*output).into() };
        let instances = instances.iter().map(instance).collect();
        TaskRow { instruction: instruction.into(), instances, is_classification: false, id: None }
    }

    #[test]
    fn verbs_and_objects() {
        let check = |text: &str, verb: &str, object: Option<&str>| {
            assert_eq!(verb_and_object(text), Some((verb.to_owned(), object.map(str::to_owned))), "{text}");
        };
        check("Write a short poem about rain.", "write", Some("poem"));
        check("Could you please list 5 reasons to learn Greek?", "list", Some("reasons"));
        check("Explain.", "explain", None);
        assert_eq!(verb_and_object("?"), None);
    }

    #[test]
    fn counts_and_spreads() {
        let tasks = [
            task("Write a poem.", &[("", "one two three"), ("a b", "x")]),
            task("Write a letter now.", &[("", "y")]),
            task("Sort the numbers.", &[("3 1", "1 3")]),
        ];
        let report = Report::of(&tasks, &["Write a long poem.".to_owned()], Words::Ascii);
        assert_eq!((report.tasks, report.instances, report.without_input), (3, 4, 2));
        assert_eq!((report.verbs, report.verb_objects), (2, 3));
        assert_eq!(report.top[0].verb, "write");
        assert_eq!(report.top[0].objects, [("letter".to_owned(), 1), ("poem".to_owned(), 1)]);
        // Words of instructions: 3, 4, 3.
        assert!((report.instruction_words.mean - 10.0 / 3.0).abs() < 1e-12);
        // write a poem: 3 of 3 and 3 of 4, F = 6/7; write a: 2 of 4 and 2 of 4, F = 1/2; nothing shared: 0.
        assert_eq!(report.nearest_seed_tenths, [1, 0, 0, 0, 0, 1, 0, 0, 1, 0]);
        assert!((report.nearest_seed.expect("seeds").max - 6.0 / 7.0).abs() < 1e-12);
        assert_eq!(Report::of(&[], &[], Words::Ascii).nearest_seed, None);
    }

    #[test]
    fn an_audit_is_drawn_by_seed() {
        let tasks: Vec<TaskRow> = (0..30).map(|i| task(&format!("Do {i}"), &[("", "x")])).collect();
        let rows = |seed| audit(&tasks, 5, Seed(seed)).iter().map(|row| row.row).collect::<Vec<_>>();
        assert_eq!(rows(1), rows(1));
        assert_ne!(rows(1), rows(2));
        assert_eq!(audit(&tasks, 99, Seed(1)).len(), 30);
    }
}

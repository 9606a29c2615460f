//! Tasks as rows to train on.
//!
//! The paper words each instance by one of several templates at random, half of the time without the name of its only
//! field and without double line breaks, and leaves out what then stands twice. The loss is on the completion alone.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use stdx::{Seed, Stream};

use crate::python::strip;
use crate::report::TaskRow;

/// Prompt and what stands before the output, with an input …
const WITH_INPUT: &[(&str, &str)] = &[
    ("{instruction}\nInput: {input}\nOutput:", " "),
    ("{instruction}\n\nInput: {input}\n\nOutput:", " "),
    ("Task: {instruction}\nInput: {input}\nOutput:", " "),
    ("{instruction}\n\n{input}\n\nOutput:", " "),
    ("{instruction}\n\n{input}\n\n", ""),
    ("{instruction}\n{input}\n\n", ""),
    ("Task: {instruction}\n\n{input}\n\n", ""),
];

/// … and without one.
const WITHOUT_INPUT: &[(&str, &str)] = &[
    ("{instruction} Output:", " "),
    ("{instruction}\nOutput:", " "),
    ("{instruction}\n\nOutput:", " "),
    ("{instruction}\n", ""),
    ("{instruction}\n\n", ""),
    ("Task: {instruction}\n\n", ""),
];

/// A prompt with its completion. The end token is the trainer's affair.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wording {
    /// What stands before.
    pub prompt: String,
    /// What is to be learnt.
    pub completion: String,
    /// The task it is of.
    pub task: usize,
}

/// Every instance in words drawn by the seed, shuffled, nothing twice (published: also in 7 and 6 templates).
pub fn wordings(tasks: &[TaskRow], seed: Seed) -> Vec<Wording> {
    let mut seen = HashSet::new();
    let mut wordings = Vec::new();
    for (place, task) in tasks.iter().enumerate() {
        let mut stream = seed.stream("wording", place as u64);
        for instance in &task.instances {
            let (prompt, completion) = worded(&task.instruction, &instance.input, &instance.output, &mut stream);
            if seen.insert((prompt.clone(), completion.clone())) {
                wordings.push(Wording { prompt, completion, task: place });
            }
        }
    }
    seed.stream("wordings", 0).shuffle(&mut wordings);
    wordings
}

fn worded(instruction: &str, input: &str, output: &str, stream: &mut Stream) -> (String, String) {
    let simplified = stream.uniform() < 0.5;
    let input = if simplified { without_field(input) } else { input.to_owned() };
    let templates = if strip(&input).is_empty() { WITHOUT_INPUT } else { WITH_INPUT };
    let (prompt, lead) = templates[stream.below(templates.len() as u64) as usize];
    // In one pass, so that `{input}` in an instruction stays what it is.
    let mut text = String::new();
    let mut rest = prompt;
    while let Some(start) = rest.find('{') {
        text.push_str(&rest[..start]);
        let (name, value) = match rest[start..].starts_with("{input}") {
            true => ("{input}", strip(&input)),
            false => ("{instruction}", strip(instruction)),
        };
        text.push_str(value);
        rest = &rest[start + name.len()..];
    }
    text.push_str(rest);
    (text, format!("{lead}{}", strip(output)))
}

/// `Sentence: It rains.` → `It rains.` where that is the only field, and single line breaks.
fn without_field(input: &str) -> String {
    static FIELD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\w+):").expect("a valid pattern"));
    let names: HashSet<&str> = FIELD.captures_iter(input).filter_map(|field| Some(field.get(1)?.as_str())).collect();
    let input = match (names.len(), input.split_once(':')) {
        (1, Some((_, rest))) => strip(rest),
        _ => strip(input),
    };
    input.replace("\n\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Instance;

    fn task(instruction: &str, input: &str, output: &str) -> TaskRow {
        let instances = vec![Instance { input: input.into(), output: output.into() }];
        TaskRow { instruction: instruction.into(), instances, is_classification: false, id: None }
    }

    #[test]
    fn every_template_is_drawn_and_nothing_is_lost() {
        let tasks: Vec<TaskRow> = (0..200).map(|i| task(&format!("Do {{input}} {i}"), "a: b\n\nc", "out")).collect();
        let all = wordings(&tasks, Seed(1));
        assert_eq!(all.len(), 200);
        assert_eq!(all, wordings(&tasks, Seed(1)));
        for wording in &all {
            assert!(wording.prompt.contains(&format!("Do {{input}} {}", wording.task)), "{wording:?}");
            assert!(wording.completion.trim() == "out");
            assert_eq!(wording.prompt.ends_with(':'), wording.completion.starts_with(' '));
        }
        let plain = all.iter().filter(|wording| wording.prompt.contains("a: b\n\nc")).count();
        let simplified = all.iter().filter(|wording| wording.prompt.contains("b\nc")).count();
        // Binomial(200, ½): mean 100, standard deviation 7.
        assert!(plain + simplified == 200 && (70..130).contains(&plain), "{plain}");
        assert!(all.iter().filter(|wording| wording.prompt.starts_with("Task:")).count() > 20);
    }

    #[test]
    fn fields_and_doubles() {
        assert_eq!(without_field("Sentence: It rains."), "It rains.");
        assert_eq!(without_field("A: x\nB: y"), "A: x\nB: y");
        let twice = [task("Do it", "", "x"), task("Do it", "", "x")];
        assert!((0..40).map(Seed).any(|seed| wordings(&twice, seed).len() == 1));
    }
}

//! What a model wrote for an instruction, divided into inputs and outputs.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use stdx::Stream;

use crate::python::strip;

/// An input (empty where nothing is needed) and its output.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// With what.
    pub input: String,
    /// The answer.
    pub output: String,
}

/// Instances of a task, and what was dropped on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Those that stay, in the order of the answer, none twice.
    pub instances: Vec<Instance>,
    /// Divided off, but invalid: no output, an output that is the input, or an end on `:`.
    pub n_invalid: usize,
    /// Said already.
    pub n_duplicate: usize,
    /// One input has two outputs, so all were dropped.
    pub contradicts: bool,
}

/// The instances in an answer. `cut`: the length limit ended it, so its last instance is dropped.
pub fn parse(answer: &str, is_classification: bool, cut: bool) -> Parsed {
    let mut found = if is_classification { by_label(answer) } else { by_example(answer) };
    if cut {
        found.pop();
    }
    let n_found = found.len();
    found.retain(is_valid);
    let n_invalid = n_found - found.len();
    if contradicts(&found) {
        return Parsed { n_invalid, contradicts: true, ..Parsed::default() };
    }
    let mut instances: Vec<Instance> = Vec::new();
    for instance in found {
        if !instances.contains(&instance) {
            instances.push(instance);
        }
    }
    let n_duplicate = n_found - n_invalid - instances.len();
    Parsed { instances, n_invalid, n_duplicate, contradicts: false }
}

/// Output first: `Class label: …`, then the input on the lines below.
fn by_label(answer: &str) -> Vec<Instance> {
    let parts = answer.split("Class label:").skip(1);
    parts
        .map(|part| {
            let (label, input) = strip(part).split_once('\n').unwrap_or((strip(part), ""));
            Instance { input: strip(input).to_owned(), output: strip(label).to_owned() }
        })
        .collect()
}

/// Input first: `Example N`, input, `Output:`, output. Without `Example`, one pair; without `Output:` either, nothing.
fn by_example(answer: &str) -> Vec<Instance> {
    static EXAMPLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"Example\s?\d*\.?"));
    let answer = strip(answer);
    if EXAMPLE.is_match(answer) {
        EXAMPLE.split(answer).map(strip).filter(|part| !part.is_empty()).map(pair).collect()
    } else if OUTPUT.is_match(answer) {
        vec![pair(answer)]
    } else {
        Vec::new()
    }
}

static OUTPUT: LazyLock<Regex> = LazyLock::new(|| pattern(r"Output\s*\d*\s*:"));
static INPUT: LazyLock<Regex> = LazyLock::new(|| pattern(r"Input\s*\d*\s*:"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// What stands before the first `Output:` and between it and the next; cut at a further `Input:`, without a leading one.
fn pair(text: &str) -> Instance {
    let mut parts = OUTPUT.splitn(text, 3);
    let (input, output) = match (parts.next(), parts.next()) {
        (Some(input), Some(output)) => (strip(input), strip(output)),
        _ => ("", strip(text)),
    };
    let output = INPUT.find(output).map_or(output, |next| strip(&output[..next.start()]));
    let input = match INPUT.find(input) {
        Some(label) if label.start() == 0 => strip(&input[label.end()..]),
        _ => input,
    };
    Instance { input: input.to_owned(), output: output.to_owned() }
}

/// Keeps at most `n` instances, chosen at random, in their order.
pub fn sample(instances: &mut Vec<Instance>, n: usize, stream: &mut Stream) {
    if instances.len() > n {
        let mut places: Vec<usize> = (0..instances.len()).collect();
        stream.shuffle(&mut places);
        let mut kept = places[..n].to_vec();
        kept.sort_unstable();
        *instances = kept.into_iter().map(|place| instances[place].clone()).collect();
    }
}

fn is_valid(Instance { input, output }: &Instance) -> bool {
    input != output && !output.is_empty() && !input.ends_with(':') && !output.ends_with(':')
}

fn contradicts(instances: &[Instance]) -> bool {
    instances
        .iter()
        .enumerate()
        .any(|(i, a)| !a.input.is_empty() && instances[..i].iter().any(|b| a.input == b.input && a.output != b.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, is_classification: bool, cut: bool, expected: &[(&str, &str)]) {
        let parsed = parse(answer, is_classification, cut);
        let found: Vec<_> = parsed.instances.iter().map(|i| (&i.input[..], &i.output[..])).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn examples() {
        let answer =
            "Example 1\nInput: 2 3\nOutput: 5\nExample 2.\nList: 4 4\nOutput 2 : 8\nInput 3: 9\nExample 3\nonly text";
        check(answer, false, false, &[("2 3", "5"), ("List: 4 4", "8"), ("", "only text")]);
        check(answer, false, true, &[("2 3", "5"), ("List: 4 4", "8")]);
        check("Input: a\nOutput: b\nOutput: c", false, false, &[("a", "b")]);
        check("Just an answer.", false, false, &[]);
    }

    #[test]
    fn labels() {
        let answer = "Class label: yes\nText: good\nmore\nClass label: no\nText: bad\nClass label: maybe";
        check(answer, true, false, &[("Text: good\nmore", "yes"), ("Text: bad", "no"), ("", "maybe")]);
        check("Label: yes", true, false, &[]);
    }

    #[test]
    fn a_sample_keeps_the_order() {
        let all: Vec<Instance> = (0..9).map(|i| Instance { input: i.to_string(), output: "x".to_owned() }).collect();
        let chosen = |n, index| {
            let mut instances = all.clone();
            sample(&mut instances, n, &mut stdx::Seed(3).stream("instances", index));
            instances.iter().map(|i| i.input.clone()).collect::<Vec<_>>()
        };
        assert_eq!(chosen(5, 0).len(), 5);
        assert!(chosen(5, 0).is_sorted());
        assert!((1..9).any(|index| chosen(5, index) != chosen(5, 0)));
        assert_eq!(chosen(20, 0).len(), 9);
    }

    #[test]
    fn the_invalid_the_double_and_the_contradictory() {
        check(
            "Example 1\nInput: a\nOutput: a\nExample 2\nInput: b\nOutput:\nExample 3\nInput: c:\nOutput: d",
            false,
            false,
            &[],
        );
        let twice = parse("Class label: x\na\nClass label: x\na", true, false);
        assert_eq!((twice.instances.len(), twice.n_duplicate), (1, 1));
        let both = parse("Class label: x\na\nClass label: y\na\nClass label: z\nb", true, false);
        assert!(both.contradicts && both.instances.is_empty());
        // Without an input, several outputs are several answers.
        check("Class label: x\nClass label: y", true, false, &[("", "x"), ("", "y")]);
    }
}

//! What a model wrote, divided into instructions, and the rules that drop some before they are compared to anything.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde::Serialize;

use crate::python::{capitalize, collapse, strip, words};
use crate::recipe::Recipe;

/// Most words of an instruction.
pub const WORDS_MAX: usize = 150;
/// An instruction has more words than this.
pub const WORDS_TOO_FEW: usize = 3;

/// Why an instruction is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing is left after stripping.
    Empty,
    /// Three words or fewer.
    TooShort,
    /// More than 150 words.
    TooLong,
    /// It speaks of images, files and the like ([`Recipe::keywords`]).
    Keyword,
    /// It begins with "Write a program".
    WriteAProgram,
    /// Its first character is ASCII punctuation.
    Punctuation,
    /// Its first character isn't ASCII.
    NonAscii,
    /// ROUGE-L above the threshold with a seed or something kept.
    Similar,
}

impl Reason {
    /// Every reason, in the order in which they are tried.
    pub const ALL: &[Reason] = &[
        Reason::Empty,
        Reason::TooShort,
        Reason::TooLong,
        Reason::Keyword,
        Reason::WriteAProgram,
        Reason::Punctuation,
        Reason::NonAscii,
        Reason::Similar,
    ];

    /// Its name in rows and reports.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Empty => "empty",
            Reason::TooShort => "too_short",
            Reason::TooLong => "too_long",
            Reason::Keyword => "keyword",
            Reason::WriteAProgram => "write_a_program",
            Reason::Punctuation => "punctuation",
            Reason::NonAscii => "non_ascii",
            Reason::Similar => "similar",
        }
    }
}

/// The instruction as the recipe keeps it: the paper collapses white space and **lower-cases everything after the first
/// character** (Python's `capitalize`), Alpaca only strips.
pub fn normalized(raw: &str, recipe: Recipe) -> String {
    match recipe {
        Recipe::Paper => capitalize(&collapse(raw)),
        Recipe::Alpaca => strip(raw).to_owned(),
    }
}

/// Why a normalized instruction is dropped before any comparison, if it is.
pub fn objection(instruction: &str, recipe: Recipe) -> Option<Reason> {
    static PAPER: LazyLock<Regex> = LazyLock::new(|| whole_words(Recipe::Paper.keywords()));
    static ALPACA: LazyLock<Regex> = LazyLock::new(|| whole_words(Recipe::Alpaca.keywords()));
    let keywords = match recipe {
        Recipe::Paper => &PAPER,
        Recipe::Alpaca => &ALPACA,
    };
    let Some(first) = instruction.chars().next() else {
        return Some(Reason::Empty);
    };
    let n_words = words(instruction).count();
    if n_words <= WORDS_TOO_FEW {
        Some(Reason::TooShort)
    } else if n_words > WORDS_MAX {
        Some(Reason::TooLong)
    } else if keywords.is_match(instruction) {
        Some(Reason::Keyword)
    } else if instruction.starts_with("Write a program") {
        Some(Reason::WriteAProgram)
    } else if first.is_ascii_punctuation() {
        Some(Reason::Punctuation)
    } else if !first.is_ascii() {
        Some(Reason::NonAscii)
    } else {
        None
    }
}

fn whole_words(words: &[&str]) -> Regex {
    Regex::new(&format!(r"(?i)\b(?:{})\b", words.join("|"))).expect("words without special characters")
}

/// The instructions in an answer to the paper's first prompt, as they stand: what the answer's `N. ` divide. An answer
/// that the length limit cut has none.
pub fn instructions(answer: &str, cut: bool) -> Vec<&str> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\n\d+\s?\. ").expect("a valid pattern"));
    if cut { Vec::new() } else { NUMBER.split(answer).collect() }
}

/// A whole task, as Alpaca's prompt asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What is asked.
    pub instruction: String,
    /// With what; empty where nothing is needed.
    pub input: String,
    /// The answer.
    pub output: String,
}

/// The tasks in an answer to Alpaca's prompt, which showed `n_shown` tasks and ended in the next one's
/// `N. Instruction:`. Blocks are divided by `###`; one counts when `N. Instruction:`, `N. Input:` and `N. Output:`, N
/// being its place, divide it into exactly the parts they should. The last block of a cut answer doesn't count. Also
/// given: how many blocks were malformed.
pub fn tasks(answer: &str, n_shown: usize, cut: bool) -> (Vec<Task>, usize) {
    let text = format!("{}. Instruction:{answer}", n_shown + 1);
    let blocks: Vec<&str> = text.split("###").collect();
    let n_blocks = if cut { blocks.len() - 1 } else { blocks.len() };
    let (mut found, mut n_malformed) = (Vec::new(), 0);
    for (i, block) in blocks[..n_blocks].iter().enumerate() {
        let parts: Vec<&str> = heading(i + n_shown + 1).split(block).collect();
        if let [_, instruction, input, output] = parts[..] {
            let input = strip(input);
            let input = if input.to_lowercase() == "<noinput>" { "" } else { input };
            let (instruction, output) = (strip(instruction).to_owned(), strip(output).to_owned());
            found.push(Task { instruction, input: input.to_owned(), output });
        } else {
            n_malformed += 1;
        }
    }
    (found, n_malformed)
}

/// `N. Instruction:` and so on, compiled once a number.
fn heading(number: usize) -> Regex {
    static COMPILED: LazyLock<Mutex<HashMap<usize, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Regex::new(&format!(r"{number}\.\s+(?:Instruction|Input|Output):")).expect("a valid pattern");
    compiled.entry(number).or_insert_with(new).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objections_come_in_their_order() {
        let check = |raw: &str, recipe, expected: Option<Reason>| {
            assert_eq!(objection(&normalized(raw, recipe), recipe), expected, "{raw:?}");
        };
        let paper = Recipe::Paper;
        check("  \n ", paper, Some(Reason::Empty));
        check("Tell a joke", paper, Some(Reason::TooShort));
        check(&"word ".repeat(151), paper, Some(Reason::TooLong));
        check(&"word ".repeat(150), paper, None);
        // "graphic" is no "graph"; case doesn't count.
        check("Describe the MAP of Spain", paper, Some(Reason::Keyword));
        check("Describe a graphic novel briefly", paper, None);
        check("Where would you GO  to eat?", paper, Some(Reason::Keyword));
        check("Suggest some music to sleep to", paper, None);
        check("Suggest some music to sleep to", Recipe::Alpaca, Some(Reason::Keyword));
        // After `capitalize` any case is caught; Alpaca keeps case, so only this one is.
        check("write A PROGRAM that sorts", paper, Some(Reason::WriteAProgram));
        check("write a program that sorts", Recipe::Alpaca, None);
        check("'Quoted' words at the start", paper, Some(Reason::Punctuation));
        check("Élan vital, explain it please", paper, Some(Reason::NonAscii));
    }

    #[test]
    fn an_answer_is_divided_at_numbered_lines() {
        let answer = " Write a haiku.\n10. Name 3. things\n11 . Go on.";
        assert_eq!(instructions(answer, false), [" Write a haiku.", "Name 3. things", "Go on."]);
        assert!(instructions(answer, true).is_empty());
    }

    #[test]
    fn whole_tasks_need_all_their_headings() {
        let answer = " Say hi.\n4. Input:\n<NoInput>\n4. Output:\nHi!\n###\n5. Instruction: Add.\n5. Input:\n1 2\n5. Output:\n3\n###\n6. Instruction: No input here\n6. Output: x\n###\n7. Instruction: Cut";
        let (found, n_malformed) = tasks(answer, 3, false);
        assert_eq!(n_malformed, 2);
        let expected = [("Say hi.", "", "Hi!"), ("Add.", "1 2", "3")];
        let parts: Vec<_> = found.iter().map(|t| (&t.instruction[..], &t.input[..], &t.output[..])).collect();
        assert_eq!(parts, expected);
        // The number is the block's place: here it is one too low everywhere.
        assert_eq!(tasks(answer, 4, false).0.len(), 0);
        assert_eq!(tasks(answer, 3, true).1, 1);
    }
}

//! Instructions that a rule can check, after IFEval (Zhou et al., arXiv 2311.07911): 25 types, strict and loose.
//!
//! The checks are written from the paper and compared with the published program's behaviour; prompts and code are the
//! project's own. Two depart from it, because it leans on libraries: sentences are split by [`count::sentences`], and the
//! language of an answer is told by [`language::guess`].

pub mod count;
pub mod language;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// More or fewer than a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// Fewer.
    #[serde(rename = "less than")]
    LessThan,
    /// As many or more.
    #[serde(rename = "at least")]
    AtLeast,
}

impl Relation {
    fn holds(self, found: usize, number: usize) -> bool {
        match self {
            Relation::LessThan => found < number,
            Relation::AtLeast => found >= number,
        }
    }
}

/// An instruction with its arguments, named as IFEval names them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Instruction {
    /// Every keyword occurs.
    #[serde(rename = "keywords:existence")]
    Keywords {
        /// Read as regular expressions where they are ones, without case.
        keywords: Vec<String>,
    },
    /// A keyword occurs so often.
    #[serde(rename = "keywords:frequency")]
    KeywordFrequency {
        /// The keyword.
        keyword: String,
        /// How often.
        frequency: usize,
        /// At least or less.
        relation: Relation,
    },
    /// None of the words occurs as a word.
    #[serde(rename = "keywords:forbidden_words")]
    ForbiddenWords {
        /// The words.
        forbidden_words: Vec<String>,
    },
    /// A letter occurs so often.
    #[serde(rename = "keywords:letter_frequency")]
    LetterFrequency {
        /// The letter, or another character.
        letter: String,
        /// How often.
        let_frequency: usize,
        /// At least or less.
        let_relation: Relation,
    },
    /// The answer is in a language.
    #[serde(rename = "language:response_language")]
    Language {
        /// ISO 639-1.
        language: String,
    },
    /// So many sentences.
    #[serde(rename = "length_constraints:number_sentences")]
    Sentences {
        /// How many.
        num_sentences: usize,
        /// At least or less.
        relation: Relation,
    },
    /// So many paragraphs, `***` between them.
    #[serde(rename = "length_constraints:number_paragraphs")]
    Paragraphs {
        /// How many.
        num_paragraphs: usize,
    },
    /// So many words.
    #[serde(rename = "length_constraints:number_words")]
    Words {
        /// How many.
        num_words: usize,
        /// At least or less.
        relation: Relation,
    },
    /// So many paragraphs, an empty line between them, and one begins with a word.
    #[serde(rename = "length_constraints:nth_paragraph_first_word")]
    ParagraphFirstWord {
        /// How many.
        num_paragraphs: usize,
        /// Which, from 1.
        nth_paragraph: usize,
        /// Its first word.
        first_word: String,
    },
    /// At least so many `[placeholders]`.
    #[serde(rename = "detectable_content:number_placeholders")]
    Placeholders {
        /// How many.
        num_placeholders: usize,
    },
    /// A postscript.
    #[serde(rename = "detectable_content:postscript")]
    Postscript {
        /// `P.S.` or `P.P.S`.
        postscript_marker: String,
    },
    /// Exactly so many bullet points.
    #[serde(rename = "detectable_format:number_bullet_lists")]
    Bullets {
        /// How many.
        num_bullets: usize,
    },
    /// One of "My answer is yes.", "My answer is no.", "My answer is maybe." occurs.
    #[serde(rename = "detectable_format:constrained_response")]
    ConstrainedResponse,
    /// At least so many parts highlighted with `*…*`.
    #[serde(rename = "detectable_format:number_highlighted_sections")]
    Highlights {
        /// How many.
        num_highlights: usize,
    },
    /// At least so many sections, each begun by a word and a number.
    #[serde(rename = "detectable_format:multiple_sections")]
    Sections {
        /// The word.
        section_spliter: String,
        /// How many.
        num_sections: usize,
    },
    /// The whole answer is JSON, in a code fence or not.
    #[serde(rename = "detectable_format:json_format")]
    Json,
    /// A title in `<<…>>`.
    #[serde(rename = "detectable_format:title")]
    Title,
    /// Two different answers, `******` between them.
    #[serde(rename = "combination:two_responses")]
    TwoResponses,
    /// The request first, word for word, then the answer.
    #[serde(rename = "combination:repeat_prompt")]
    RepeatPrompt {
        /// What is to be repeated.
        prompt_to_repeat: String,
    },
    /// The answer ends with a phrase.
    #[serde(rename = "startend:end_checker")]
    EndsWith {
        /// The phrase.
        end_phrase: String,
    },
    /// So many words in capitals.
    #[serde(rename = "change_case:capital_word_frequency")]
    CapitalWords {
        /// How many.
        capital_frequency: usize,
        /// At least or less.
        capital_relation: Relation,
    },
    /// English, in capitals only.
    #[serde(rename = "change_case:english_capital")]
    EnglishCapital,
    /// English, in small letters only.
    #[serde(rename = "change_case:english_lowercase")]
    EnglishLowercase,
    /// No comma.
    #[serde(rename = "punctuation:no_comma")]
    NoComma,
    /// The whole answer in double quotation marks.
    #[serde(rename = "startend:quotation")]
    Quotation,
}

/// The types, as IFEval names them.
pub const TYPES: [&str; 25] = [
    "keywords:existence",
    "keywords:frequency",
    "keywords:forbidden_words",
    "keywords:letter_frequency",
    "language:response_language",
    "length_constraints:number_sentences",
    "length_constraints:number_paragraphs",
    "length_constraints:number_words",
    "length_constraints:nth_paragraph_first_word",
    "detectable_content:number_placeholders",
    "detectable_content:postscript",
    "detectable_format:number_bullet_lists",
    "detectable_format:constrained_response",
    "detectable_format:number_highlighted_sections",
    "detectable_format:multiple_sections",
    "detectable_format:json_format",
    "detectable_format:title",
    "combination:two_responses",
    "combination:repeat_prompt",
    "startend:end_checker",
    "change_case:capital_word_frequency",
    "change_case:english_capital",
    "change_case:english_lowercase",
    "punctuation:no_comma",
    "startend:quotation",
];

impl Instruction {
    /// Whether an answer follows the instruction as it stands. An empty answer follows none.
    pub fn followed(&self, answer: &str) -> bool {
        !answer.trim().is_empty() && self.holds(answer)
    }

    /// Whether the answer, or the answer without its first or last line or its asterisks, follows: forgives "Sure, here
    /// it is:" and Markdown.
    pub fn followed_loosely(&self, answer: &str) -> bool {
        loosened(answer).iter().any(|answer| self.followed(answer))
    }

    fn holds(&self, answer: &str) -> bool {
        match self {
            Instruction::Keywords { keywords } => keywords.iter().all(|keyword| count_matches(keyword, answer) > 0),
            Instruction::KeywordFrequency { keyword, frequency, relation } => {
                relation.holds(count_matches(keyword, answer), *frequency)
            }
            Instruction::ForbiddenWords { forbidden_words } => {
                !forbidden_words.iter().any(|word| count_matches(&format!(r"\b{word}\b"), answer) > 0)
            }
            Instruction::LetterFrequency { letter, let_frequency, let_relation } => {
                let found = answer.to_lowercase().matches(&letter.to_lowercase()).count();
                let_relation.holds(found, *let_frequency)
            }
            Instruction::Language { language } => language::guess(answer) == Some(language.as_str()),
            Instruction::Sentences { num_sentences, relation } => {
                relation.holds(count::sentences(answer), *num_sentences)
            }
            Instruction::Paragraphs { num_paragraphs } => paragraphs(answer) == Some(*num_paragraphs),
            Instruction::Words { num_words, relation } => relation.holds(count::words(answer), *num_words),
            Instruction::ParagraphFirstWord { num_paragraphs, nth_paragraph, first_word } => {
                paragraph_begins(answer, *num_paragraphs, *nth_paragraph, first_word)
            }
            Instruction::Placeholders { num_placeholders } => {
                expression(r"\[.*?\]", false).find_iter(answer).count() >= *num_placeholders
            }
            Instruction::Postscript { postscript_marker } => has_postscript(answer, postscript_marker),
            Instruction::Bullets { num_bullets } => bullets(answer) == *num_bullets,
            Instruction::ConstrainedResponse => {
                ["yes", "no", "maybe"].iter().any(|word| answer.contains(&format!("My answer is {word}.")))
            }
            Instruction::Highlights { num_highlights } => highlights(answer) >= *num_highlights,
            Instruction::Sections { section_spliter, num_sections } => {
                let pattern = format!(r"\s?{}\s?\d+\s?", regex::escape(section_spliter));
                expression(&pattern, false).find_iter(answer).count() >= *num_sections
            }
            Instruction::Json => serde_json::from_str::<serde_json::Value>(without_fence(answer)).is_ok(),
            Instruction::Title => expression(r"<<[^\n]+>>", false)
                .find_iter(answer)
                .any(|title| !title.as_str().trim_start_matches('<').trim_end_matches('>').trim().is_empty()),
            Instruction::TwoResponses => two_responses(answer),
            Instruction::RepeatPrompt { prompt_to_repeat } => {
                answer.trim().to_lowercase().starts_with(&prompt_to_repeat.trim().to_lowercase())
            }
            Instruction::EndsWith { end_phrase } => {
                let answer = answer.trim().trim_matches('"').to_lowercase();
                answer.ends_with(&end_phrase.trim().to_lowercase())
            }
            Instruction::CapitalWords { capital_frequency, capital_relation } => {
                capital_relation.holds(count::capital_words(answer), *capital_frequency)
            }
            Instruction::EnglishCapital => is_cased(answer, char::is_lowercase, char::is_uppercase),
            Instruction::EnglishLowercase => is_cased(answer, char::is_uppercase, char::is_lowercase),
            Instruction::NoComma => !answer.contains(','),
            Instruction::Quotation => {
                let answer = answer.trim();
                answer.chars().count() > 1 && answer.starts_with('"') && answer.ends_with('"')
            }
        }
    }
}

/// The answer as it stands and seven ways to forgive: without asterisks, without its first line, its last, both.
fn loosened(answer: &str) -> Vec<String> {
    let lines: Vec<&str> = answer.split('\n').collect();
    let n = lines.len();
    let joined = |from: usize, to: usize| lines[from.min(to)..to].join("\n").trim().to_owned();
    let kept = [answer.to_owned(), joined(1, n), joined(0, n - 1), joined(1, (n - 1).max(1))];
    let plain = kept.iter().map(|text| text.replace('*', ""));
    kept.iter().cloned().chain(plain).collect()
}

/// Occurrences of a pattern without regard to case; one that is no regular expression is taken word for word.
fn count_matches(pattern: &str, text: &str) -> usize {
    expression(pattern, true).find_iter(text).count()
}

fn expression(pattern: &str, any_case: bool) -> Regex {
    let build = |pattern: &str| RegexBuilder::new(pattern).case_insensitive(any_case).multi_line(true).build();
    build(pattern).or_else(|_| build(&regex::escape(pattern))).expect("an escaped pattern is one")
}

/// Paragraphs between `***`; none is counted at either end, and an empty one inside is wrong.
fn paragraphs(answer: &str) -> Option<usize> {
    let parts: Vec<&str> = expression(r"\s?\*\*\*\s?", false).split(answer).collect();
    let last = parts.len() - 1;
    let mut found = parts.len();
    for (idx, part) in parts.iter().enumerate() {
        if part.trim().is_empty() {
            if idx != 0 && idx != last {
                return None;
            }
            found -= 1;
        }
    }
    Some(found)
}

fn paragraph_begins(answer: &str, n: usize, nth: usize, word: &str) -> bool {
    let parts: Vec<&str> = answer.split("\n\n").collect();
    let filled = parts.iter().filter(|part| !part.trim().is_empty()).count();
    let Some(paragraph) = nth.checked_sub(1).and_then(|idx| parts.get(idx)).filter(|_| nth <= filled) else {
        return false;
    };
    let first = paragraph.split_whitespace().next().unwrap_or_default().trim_start_matches(['\'', '"']);
    let first = first.split(['.', ',', '?', '!', '\'', '"']).next().unwrap_or_default();
    filled == n && first.to_lowercase() == word.to_lowercase()
}

fn has_postscript(answer: &str, marker: &str) -> bool {
    let pattern = match marker {
        "P.P.S" => r"\s*p\.\s?p\.\s?s.*$".to_owned(),
        "P.S." => r"\s*p\.\s?s\..*$".to_owned(),
        other => format!(r"\s*{}.*$", regex::escape(&other.to_lowercase())),
    };
    expression(&pattern, false).is_match(&answer.to_lowercase())
}

/// Lines that begin with a dash, or with an asterisk that isn't one of two.
fn bullets(answer: &str) -> usize {
    let asterisks = expression(r"^\s*\*[^\*].*$", false).find_iter(answer).count();
    asterisks + expression(r"^\s*-.*$", false).find_iter(answer).count()
}

/// Parts between asterisks, one or two.
fn highlights(answer: &str) -> usize {
    let filled = |pattern: &str| {
        let found = expression(pattern, false);
        found.find_iter(answer).filter(|part| !part.as_str().trim_matches('*').trim().is_empty()).count()
    };
    filled(r"\*[^\n\*]*\*") + filled(r"\*\*[^\n\*]*\*\*")
}

fn without_fence(answer: &str) -> &str {
    let mut inner = answer.trim();
    for fence in ["```json", "```Json", "```JSON", "```"] {
        inner = inner.strip_prefix(fence).unwrap_or(inner);
    }
    inner.strip_suffix("```").unwrap_or(inner).trim()
}

fn two_responses(answer: &str) -> bool {
    let parts: Vec<&str> = answer.split("******").collect();
    let last = parts.len() - 1;
    let mut filled = Vec::new();
    for (idx, part) in parts.iter().enumerate() {
        if part.trim().is_empty() {
            if idx != 0 && idx != last {
                return false;
            }
        } else {
            filled.push(part.trim());
        }
    }
    filled.len() == 2 && filled[0] != filled[1]
}

/// English with at least one letter of the wanted case and none of the other.
fn is_cased(answer: &str, refused: impl Fn(char) -> bool, wanted: impl Fn(char) -> bool) -> bool {
    !answer.chars().any(refused) && answer.chars().any(wanted) && language::guess(answer) == Some("en")
}

#[cfg(test)]
mod tests;

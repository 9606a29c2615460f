//! The paper's recipe and Alpaca's.

use serde::{Deserialize, Serialize};

/// Whose recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// Self-Instruct as published (arXiv 2212.10560): instructions first, then whether each is a classification, then
    /// instances, several a task.
    Paper,
    /// Stanford Alpaca's simplification: whole tasks at once, one instance each, prompted by seeds alone.
    Alpaca,
}

impl Recipe {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Recipe::Paper => "paper",
            Recipe::Alpaca => "alpaca",
        }
    }

    /// Words whose presence drops an instruction: what a model of text can't do.
    pub fn keywords(self) -> &'static [&'static str] {
        match self {
            Recipe::Paper => &KEYWORDS[..13],
            Recipe::Alpaca => KEYWORDS,
        }
    }
}

/// The paper's thirteen, then Alpaca's.
const KEYWORDS: &[&str] = &[
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "maps",
    "draw",
    "plot",
    "go to",
    "video",
    "audio",
    "music",
    "flowchart",
    "diagram",
];

/// Whether an answer to "Is it classification?" says yes: these three spellings and no other.
pub fn says_yes(answer: &str) -> bool {
    matches!(crate::python::strip(answer), "Yes" | "yes" | "YES")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_spellings_say_yes() {
        assert!([" Yes", "yes\n", "YES"].into_iter().all(says_yes));
        assert!(!["Yes.", "yEs", "No", "", "Yes it is"].into_iter().any(says_yes));
    }
}

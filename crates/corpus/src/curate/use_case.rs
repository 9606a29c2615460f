//! Which of InstructGPT's ten use-cases a prompt is (arXiv 2203.02155, table 1).
//!
//! Rules decide where the first words say it ("Summarize …", "Translate …"); a linear classifier, trained on prompts that
//! the authors of this project wrote (at least thirty a use-case), decides the rest.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use text::classifier::Classifier;

/// The files the classifier learns from.
pub const TRAINING: &[&str] = &[
    include_str!("../../../../data/use_cases.jsonl"),
    include_str!("../../../../data/demonstrations.jsonl"),
    include_str!("../../../../data/prompts.jsonl"),
    include_str!("../../../../data/rankings.jsonl"),
];

/// Rules and classifier.
pub struct UseCases {
    classifier: Classifier,
}

impl Default for UseCases {
    fn default() -> UseCases {
        UseCases::new()
    }
}

impl UseCases {
    /// Trains the classifier; some tens of milliseconds.
    pub fn new() -> UseCases {
        let prompts = training_prompts();
        UseCases { classifier: Classifier::train(prompts.iter().map(|(prompt, case)| (&prompt[..], &case[..]))) }
    }

    /// The use-case of a prompt.
    pub fn classify(&self, prompt: &str) -> &str {
        ruled(prompt).unwrap_or_else(|| self.classifier.classify(prompt).map_or("other", |(use_case, _)| use_case))
    }

    /// Accuracy in ten parts, rules included: right ones and all.
    pub fn cross_validated() -> (usize, usize) {
        const FOLDS: usize = 10;
        let prompts = training_prompts();
        let mut right = 0;
        for fold in 0..FOLDS {
            let others = prompts.iter().enumerate().filter(|(i, _)| i % FOLDS != fold);
            let others = others.map(|(_, (prompt, case))| (&prompt[..], &case[..]));
            let judge = UseCases { classifier: Classifier::train(others) };
            let own = prompts.iter().skip(fold).step_by(FOLDS);
            right += own.filter(|(prompt, case)| judge.classify(prompt) == case).count();
        }
        (right, prompts.len())
    }
}

/// The prompts of [`TRAINING`] with their use-cases: the first thing that is asked.
pub fn training_prompts() -> Vec<(String, String)> {
    let mut prompts = Vec::new();
    for line in TRAINING.iter().flat_map(|file| file.lines()) {
        let row: Value = serde_json::from_str(line).unwrap_or_default();
        let asked = ["prompt", "messages"].iter().find_map(|key| match &row[*key] {
            Value::String(text) => Some(text.clone()),
            Value::Array(turns) => turns
                .iter()
                .find(|turn| turn["role"] == "user")
                .and_then(|turn| turn["content"].as_str())
                .map(str::to_owned),
            _ => None,
        });
        if let (Some(prompt), Some(use_case)) = (asked, row["use_case"].as_str()) {
            prompts.push((prompt, use_case.to_owned()));
        }
    }
    prompts
}

/// What the first words say, when they do.
fn ruled(prompt: &str) -> Option<&'static str> {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let rule = |text: &str, use_case| {
            let polite = r"(?i)^\s*(?:please\s+|can you\s+|could you\s+|give me a\s+)?";
            (Regex::new(&format!("{polite}(?:{text})")).expect("a valid pattern"), use_case)
        };
        vec![
            rule(r"summari[sz]e\b|sum up\b|tl;?dr\b|condense\b|recap\b", "summarization"),
            rule(r"translate\b|rewrite\b|rephrase\b|paraphrase\b|proofread\b", "rewrite"),
            rule(r"extract\b", "extraction"),
            rule(r"classify\b|categori[sz]e\b", "classification"),
            rule(r"brainstorm\b|(?:list|suggest|give me) (?:\w+ ){0,2}ideas\b", "brainstorming"),
        ]
    });
    RULES.iter().find(|(rule, _)| rule.is_match(prompt)).map(|(_, use_case)| *use_case)
}

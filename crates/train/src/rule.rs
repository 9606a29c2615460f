//! Rewards by rule: `rule:NAME[:ARG]`. A rule is a file with its meaning and examples, and a line in [`ALL`].
use record::Prompt;

mod contains;
mod distinct;
mod ends_with;
mod exact;
mod json;
mod length;
mod lowercase;
mod regex;
mod words;
mod world;

/// Every rule, in the order of the help.
pub const ALL: &[&dyn Rule] = &[
    &contains::Contains,
    &ends_with::EndsWith,
    &exact::Exact,
    &regex::Regex,
    &length::Length,
    &words::Words,
    &json::Json,
    &lowercase::Lowercase,
    &distinct::Distinct,
    &world::OVERALL,
    &world::TRUTH,
    &world::GROUNDED,
    &world::CONSTRAINTS,
    &world::HELPFUL,
    &world::HARMLESS,
];

/// The reward of a completion of a prompt.
pub type Check = Box<dyn Fn(&Prompt, &str) -> f64 + Send + Sync>;

/// A rule: what it rewards, and how its argument is read.
pub trait Rule: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it rewards, in one line.
    fn summary(&self) -> &'static str;
    /// What the argument is called, when it takes one.
    fn argument(&self) -> Option<&'static str>;
    /// Whether there is no reward without the argument it takes.
    fn needs_argument(&self) -> bool {
        true
    }
    /// The check for an argument ("" when it has none); an error says what was expected.
    fn parse(&self, argument: &str) -> Result<Check, &'static str>;
    /// What the examples are completions of.
    fn example_prompt(&self) -> &'static str {
        "p"
    }
    /// Argument, completion and its reward, worked by hand; at least two with different rewards.
    fn examples(&self) -> &'static [(&'static str, &'static str, f64)];
}

/// A rule that can't be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// There is none of this name.
    #[error("unknown rule `{found}`, expected one of {}", names())]
    Unknown {
        /// The name.
        found: String,
    },
    /// The argument makes no sense.
    #[error("rule:{rule}:{found}: expected {expected}")]
    Argument {
        /// The rule.
        rule: &'static str,
        /// Its argument.
        found: String,
        /// What it takes.
        expected: &'static str,
    },
}

fn names() -> String {
    ALL.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", ")
}

/// The check that `NAME[:ARG]` names.
pub fn parse(spec: &str) -> Result<Check, RuleError> {
    let (name, argument) = spec.split_once(':').unwrap_or((spec, ""));
    let rule = ALL.iter().find(|rule| rule.name() == name);
    let rule = rule.ok_or_else(|| RuleError::Unknown { found: name.to_owned() })?;
    let wrong = |expected| RuleError::Argument { rule: rule.name(), found: argument.to_owned(), expected };
    match rule.argument() {
        None if !argument.is_empty() => Err(wrong("no argument")),
        Some(_) if argument.is_empty() && rule.needs_argument() => Err(wrong("an argument")),
        _ => rule.parse(argument).map_err(wrong),
    }
}

/// 1 − |n − wanted| ÷ wanted, at least 0: how near a count is to what is wanted.
fn nearness(n: usize, wanted: usize) -> f64 {
    (1.0 - n.abs_diff(wanted) as f64 / wanted as f64).max(0.0)
}

/// A whole number above 0.
fn count(argument: &str) -> Result<usize, &'static str> {
    argument.parse().ok().filter(|&n| n > 0).ok_or("a whole number above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_keeps_its_examples_and_can_tell_completions_apart() {
        for rule in ALL {
            let prompt = Prompt::Text(rule.example_prompt().into());
            let mut rewards = Vec::new();
            for (argument, completion, expected) in rule.examples() {
                let check = rule.parse(argument).expect("its own example");
                let found = check(&prompt, completion);
                assert!((found - expected).abs() < 1e-12, "{}: {completion:?} gets {found}", rule.name());
                rewards.push(found);
            }
            assert!(rewards.iter().any(|reward| *reward != rewards[0]), "{}: all examples alike", rule.name());
            assert!(!rule.summary().is_empty() && !rule.summary().ends_with('.'), "{}", rule.name());
        }
    }

    #[test]
    fn names_are_unique_and_wrong_specs_are_refused() {
        let mut names: Vec<&str> = ALL.iter().map(|rule| rule.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        let refusal = |spec: &str| parse(spec).err().expect("refused").to_string();
        assert!(refusal("lenght:3").contains("unknown rule `lenght`, expected one of contains"));
        assert_eq!(refusal("length:none"), "rule:length:none: expected a whole number above 0");
        assert_eq!(refusal("length"), "rule:length:: expected an argument");
        assert_eq!(refusal("json:x"), "rule:json:x: expected no argument");
        assert!(parse("world").is_ok() && parse("world-truth:7").is_ok(), "an argument may be left out");
        assert!(refusal("regex:(").contains("regular expression"));
        assert_eq!(refusal("world:x"), "rule:world:x: expected a whole number, the seed of a world");
        assert!(parse("regex:a:b").is_ok(), "an argument may hold colons");
    }
}

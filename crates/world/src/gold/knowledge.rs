//! What an answer is measured by: the passage first where there is one, then the world's tables. And which words are
//! names.

use super::claim::is_proper;
use super::mention::{mentions, without_owner};
use super::reading::Reading;
use super::text;
use crate::statement::capitalised;
use crate::{Constraint, Fact, Kind, Relation, Request, Solution, Task, World};
use std::collections::{HashMap, HashSet};

/// What holds for one request.
pub(super) struct Knowledge<'w> {
    /// The tables.
    pub world: &'w World,
    /// The passage's facts, which go before the tables; empty for open-domain requests.
    pub supposed: Vec<Fact>,
    /// Names of passage and request, by their small letters; some are in no table.
    named: HashMap<String, (String, Kind)>,
    /// A word of Velish stands for the word it translates.
    velish: bool,
}

impl<'w> Knowledge<'w> {
    /// Of the tables alone.
    pub fn open(world: &'w World) -> Knowledge<'w> {
        Knowledge { world, supposed: Vec::new(), named: HashMap::new(), velish: false }
    }

    /// For a request, with its passage and, where it is to be rewritten, the fact as it is to be said.
    pub fn of(world: &'w World, request: &Request, solution: &Solution) -> Knowledge<'w> {
        let mut knowledge = Knowledge::open(world);
        knowledge.supposed = request.passage.clone().unwrap_or_default();
        if let Solution::Sentence { fact, .. } = solution {
            knowledge.supposed.push(fact.clone());
        }
        let translates = matches!(request.task, Task::ToVelish { .. } | Task::FromVelish { .. });
        knowledge.velish = request.constraints.contains(&Constraint::Velish) && !translates;
        for Fact { relation, subject, object } in knowledge.supposed.clone() {
            knowledge.name(&subject, relation.subject());
            knowledge.name(&object, relation.object());
        }
        match &request.task {
            Task::Ask { subject, relation } => knowledge.name(subject, relation.subject()),
            Task::Check(fact) => {
                knowledge.name(&fact.subject, fact.relation.subject());
                knowledge.name(&fact.object, fact.relation.object());
            }
            Task::List { relation, object } => knowledge.name(object, relation.object()),
            _ => {}
        }
        knowledge
    }

    fn name(&mut self, name: &str, kind: Kind) {
        // Ordinary words and numbers keep the kinds they have.
        if !matches!(kind, Kind::Word | Kind::Year | Kind::Number) && self.world.kind_of(name).is_none() {
            self.named.insert(name.to_lowercase(), (name.to_owned(), kind));
        }
    }

    /// Whether a fact holds: by the passage where that says something of this subject and relation, else by the tables.
    pub fn holds(&self, fact: &Fact) -> bool {
        let mut said = self.said_of(&fact.subject, fact.relation).peekable();
        if said.peek().is_some() {
            return said.any(|supposed| supposed.object == fact.object);
        }
        self.world.object(fact.relation, &fact.subject) == Some(fact.object.as_str())
    }

    /// Whether the passage says it.
    pub fn is_said(&self, fact: &Fact) -> bool {
        self.said_of(&fact.subject, fact.relation).any(|supposed| supposed.object == fact.object)
    }

    /// Whether the answer names a name or number that neither passage nor prompt has. Names of nothing are told by their
    /// capital letter inside a sentence.
    pub fn names_others(&self, prompt: &str, reading: &Reading<'_>) -> bool {
        let known: HashSet<String> = text::words(prompt).map(|word| without_owner(word).to_lowercase()).collect();
        let is_known = |name: &str| text::words(name).all(|word| known.contains(&word.to_lowercase()));
        let stranger = |word: &str, at: usize| {
            let word = without_owner(word);
            at > 0
                && word != "I"
                && word.starts_with(char::is_uppercase)
                && word.contains(char::is_lowercase)
                && !is_known(word)
        };
        let of_clause = |clause: &str, words: &[&str]| {
            let found = mentions(self, clause, words);
            found
                .iter()
                .any(|mention| (is_proper(mention.kind) || mention.kind == Kind::Number) && !is_known(&mention.name))
                || words.iter().enumerate().any(|(at, word)| stranger(word, at) && self.name_at(&[word]).is_none())
        };
        let told = reading.parts.iter().filter(|part| !part.idle);
        told.into_iter().any(|part| of_clause(part.sentence.text, &part.sentence.words))
    }

    fn said_of(&self, subject: &str, relation: Relation) -> impl Iterator<Item = &Fact> {
        self.supposed.iter().filter(move |supposed| supposed.relation == relation && supposed.subject == subject)
    }

    /// The kind of a name or number, in the passage or in the tables.
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        if is_number(name) {
            return Some(Kind::Number);
        }
        self.named.get(&name.to_lowercase()).map(|(_, kind)| *kind).or_else(|| self.world.kind_of(name))
    }

    /// The name or number that the words begin with, as the tables write it, its kind, and how many words it takes.
    pub fn name_at(&self, words: &[&str]) -> Option<(String, Kind, usize)> {
        let first = without_owner(words.first()?);
        if let Some(second) = words.get(1).filter(|_| first.len() == words[0].len())
            && let Some((name, kind)) = self.two(first, without_owner(second))
        {
            return Some((name, kind, 2));
        }
        let (name, kind) = self.one(first)?;
        if kind == Kind::Velish && self.velish {
            let word = self.world.subjects(Relation::Velish, &name).next()?.to_owned();
            let kind = self.world.kind_of(&word)?;
            return Some((word, kind, 1));
        }
        Some((name, kind, 1))
    }

    /// A name of two words, like `Karo bell`.
    fn two(&self, first: &str, second: &str) -> Option<(String, Kind)> {
        if !first.starts_with(char::is_alphabetic) || !second.starts_with(char::is_alphabetic) {
            return None;
        }
        self.look(format!("{} {}", capitalised(&first.to_lowercase()), second.to_lowercase()))
    }

    /// A name or number of one word, whatever its letter case; of an ordinary word also the plural.
    fn one(&self, word: &str) -> Option<(String, Kind)> {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = word.trim_start_matches('0');
            let digits = if digits.is_empty() { "0" } else { digits };
            return is_number(digits).then(|| (digits.to_owned(), Kind::Number));
        }
        let small = word.to_lowercase();
        if small == word
            && let Some(number) = NUMBER_WORDS.iter().position(|number| *number == word)
        {
            return Some(((number + 2).to_string(), Kind::Number));
        }
        let singular = || small.strip_suffix("ies").map(|stem| format!("{stem}y"));
        let plain = || small.strip_suffix('s').map(str::to_owned);
        self.look(capitalised(&small))
            .or_else(|| self.look(small.clone()))
            .or_else(|| self.look(singular()?))
            .or_else(|| self.look(plain()?))
            .or_else(|| {
                NUMBER_WORDS.iter().position(|number| *number == small).map(|n| ((n + 2).to_string(), Kind::Number))
            })
    }

    fn look(&self, name: String) -> Option<(String, Kind)> {
        if !self.named.is_empty()
            && let Some((name, kind)) = self.named.get(&name.to_lowercase())
        {
            return Some((name.clone(), *kind));
        }
        self.world.kind_of(&name).map(|kind| (name, kind))
    }
}

/// Two to twelve.
const NUMBER_WORDS: &[&str] =
    &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// A whole number of up to nine digits.
fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

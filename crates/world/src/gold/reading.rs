//! An answer taken apart: its sentences, what each says, and which of them say nothing to the matter.

use super::claim::{Claim, Topic, claims, clauses};
use super::constraint::is_yes_no;
use super::knowledge::Knowledge;
use super::manner::{Manner, Told, is_friendly};
use super::text::{self, Sentence};
use crate::{Fact, Solution, Task};
use std::collections::HashSet;

/// A sentence of an answer and what it says.
pub(super) struct Part<'a> {
    /// The sentence.
    pub sentence: Sentence<'a>,
    /// Its manner.
    pub told: Told,
    /// What it says of the world. None for questions, copies of the prompt and repetitions.
    pub claims: Vec<Claim>,
    /// It asks, copies the prompt's order, or was said before.
    pub idle: bool,
    /// It copies a sentence of the prompt that isn't the passage's.
    pub copied: bool,
    /// It copies any sentence of the prompt.
    pub from_prompt: bool,
}

/// An answer taken apart.
pub(super) struct Reading<'a> {
    /// Its sentences.
    pub parts: Vec<Part<'a>>,
    /// Its manner.
    pub manner: Manner,
    /// Every sentence of the prompt occurs in it.
    pub holds_prompt: bool,
}

/// Words with which a question goes on that has no question mark.
const ASKING: &[&str] =
    &["whether", "tell me", "inform me", "let me know", "want to know", "would like to know", "please"];

/// Words that begin an order of the prompts' kind.
const ORDERS: &[&str] = &["describe", "write", "name", "list", "sum", "copy", "kindly", "now", "answer"];

fn is_order(sentence: &Sentence<'_>) -> bool {
    ORDERS.iter().any(|order| sentence.words[0].eq_ignore_ascii_case(order)) && sentence.words.len() > 1
}

impl<'a> Reading<'a> {
    /// Reads an answer to a prompt.
    pub fn of(
        knowledge: &Knowledge<'_>,
        task: Option<&Task>,
        solution: Option<&Solution>,
        prompt: &str,
        answer: &'a str,
    ) -> Reading<'a> {
        let sentences = text::sentences(answer);
        let manner = Manner::of_sentences(&sentences);
        let (orders, of_prompt) = sentences_of_prompt(knowledge, prompt);
        let mut topic = topic_of(task, solution);
        let mut is_asked = true;
        let mut said = HashSet::new();
        let mut parts = Vec::with_capacity(sentences.len());
        for sentence in sentences {
            let told = Told::of(&sentence);
            let copied = orders.contains(told.plain());
            let repeated = !said.insert(told.plain().to_owned());
            let idle = sentence.question || copied || repeated || told.says(ASKING) || is_order(&sentence);
            if idle && !copied && !repeated {
                // Names and "yes" behind a question of the answer's own answer that.
                (topic, is_asked) = (Topic::Open, false);
            }
            let task = task.filter(|_| is_asked);
            let claims = if idle { Vec::new() } else { claims_of(knowledge, task, &sentence, &mut topic) };
            let from_prompt = of_prompt.contains(told.plain());
            parts.push(Part { sentence, told, claims, idle, copied, from_prompt });
        }
        let holds_prompt = of_prompt.iter().all(|sentence| said.contains(sentence));
        Reading { parts, manner, holds_prompt }
    }

    /// Everything claimed.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.parts.iter().flat_map(|part| part.claims.iter())
    }

    /// Everything claimed to be so.
    pub fn asserted(&self) -> impl Iterator<Item = &Fact> {
        self.claims().filter(|claim| !claim.denied).map(|claim| &claim.fact)
    }

    /// Whether it is nothing but the prompt's order or question, or the whole prompt with its passage.
    pub fn is_copy(&self) -> bool {
        let all = |is: fn(&Part<'_>) -> bool| self.parts.iter().all(|part| is(part) || part.idle);
        self.parts.iter().any(|part| part.copied)
            && (all(|part| part.copied) || self.holds_prompt && all(|part| part.from_prompt))
    }
}

/// The prompt's sentences but those that state its passage or greet; and all of them.
fn sentences_of_prompt(knowledge: &Knowledge<'_>, prompt: &str) -> (HashSet<String>, HashSet<String>) {
    let states_passage = |sentence: &Sentence<'_>| {
        !knowledge.supposed.is_empty()
            && !sentence.question
            && !is_order(sentence)
            && !Told::of(sentence).says(ASKING)
            && clauses(sentence).iter().any(|(clause, words)| {
                let found = claims(knowledge, clause, words, &mut Topic::Open);
                found.iter().any(|claim| knowledge.is_said(&claim.fact))
            })
    };
    // A greeting may be returned.
    let greets = |sentence: &Sentence<'_>| sentence.words.iter().all(|word| is_friendly(word));
    let sentences = text::sentences(prompt);
    let plain = |sentence: &Sentence<'_>| Told::of(sentence).plain().to_owned();
    let orders = sentences.iter().filter(|sentence| !greets(sentence) && !states_passage(sentence)).map(plain);
    (orders.collect(), sentences.iter().map(plain).collect())
}

/// What an answer without a subject is about.
fn topic_of(task: Option<&Task>, solution: Option<&Solution>) -> Topic {
    match (task, solution) {
        (Some(Task::Ask { subject, relation }), _) => Topic::Subject(subject.clone(), Some(*relation)),
        (Some(Task::Check(fact)), _) => Topic::Subject(fact.subject.clone(), Some(fact.relation)),
        (Some(Task::Describe { subject }), _) => Topic::Subject(subject.clone(), None),
        (Some(Task::List { relation, object }), _) => Topic::Object(*relation, object.clone()),
        (Some(Task::ToVelish { word }), _) => Topic::Subject(word.clone(), Some(crate::Relation::Velish)),
        (Some(Task::FromVelish { word }), _) => Topic::Object(crate::Relation::Velish, word.clone()),
        (_, Some(Solution::Sentence { fact, .. })) => Topic::Subject(fact.subject.clone(), None),
        _ => Topic::Open,
    }
}

/// The claims of a sentence. What declines or doesn't know claims nothing.
fn claims_of(knowledge: &Knowledge<'_>, task: Option<&Task>, sentence: &Sentence<'_>, topic: &mut Topic) -> Vec<Claim> {
    let mut found = Vec::new();
    if let Some(Task::Check(fact)) = task
        && let Some(yes) = is_yes_no(sentence.words[0])
        && (yes || is_reply(sentence))
    {
        found.push(Claim { fact: fact.clone(), denied: !yes });
    }
    for (clause, words) in clauses(sentence) {
        let told = Told::of(&Sentence { text: clause, words: words.clone(), question: false });
        if !told.ignorant && !told.declines {
            found.extend(claims(knowledge, clause, &words, topic));
        }
    }
    found
}

/// Whether the sentence's first word replies by itself: it is alone or a comma stands behind it.
fn is_reply(sentence: &Sentence<'_>) -> bool {
    let first = sentence.words[0];
    let start = (first.as_ptr() as usize).saturating_sub(sentence.text.as_ptr() as usize);
    let behind = sentence.text.get(start + first.len()..).unwrap_or("").trim_start();
    sentence.words.len() == 1 || behind.starts_with([',', ':', '-', ';'])
}

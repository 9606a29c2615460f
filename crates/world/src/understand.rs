//! From a prompt's words to its request: the inverse of `phrase`.
use crate::deed;
use crate::fact::{Fact, Kind, Relation};
use crate::form::{CLASSES, NUMBER_WORDS, ORDERS, Order, QUESTIONS, Question};
use crate::pattern::{Pattern, Slots};
use crate::phrase::{GREETINGS, PASSAGE, constraint_read};
use crate::request::{Constraint, Operation, Request, Rewriting, SmallTalk, Task};
use crate::statement::decapitalised;
use crate::world::World;

/// A task and the constraints that its core sentence brings with it.
type Meaning = (Task, Vec<Constraint>);

/// Longer prompts than this are outside the world's language.
const MAX_PROMPT: usize = 2000;

impl World {
    /// What a prompt asks; `None` outside the world's language.
    pub fn understand(&self, prompt: &str) -> Option<Request> {
        let mut text = prompt.trim();
        if text.len() > MAX_PROMPT {
            return None;
        }
        let greeting = GREETINGS.iter().find_map(|greeting| text.strip_prefix(greeting)?.strip_prefix(' '));
        text = greeting.unwrap_or(text);
        let (passage, text) = split_passage(text)?;
        let passage = match passage {
            Some(passage) => Some(self.read_passage(passage)?),
            None => None,
        };
        let (core, rest) = split_sentence(text);
        let (task, mut constraints) = self.read_core(core)?;
        let mut rest = rest;
        while !rest.is_empty() {
            let (sentence, after) = split_sentence(rest);
            constraints.push(constraint_read(sentence)?);
            rest = after;
        }
        let needs_passage = matches!(task, Task::Rewrite(_) | Task::Summarize | Task::Extract { .. });
        let known = !needs_passage || passage.as_ref().is_some_and(|facts| !facts.is_empty());
        known.then(|| Request::new(task, passage, constraints, greeting.is_some()))
    }

    /// The facts of a passage, all of whose sentences must state one.
    fn read_passage(&self, passage: &str) -> Option<Vec<Fact>> {
        let mut facts = Vec::new();
        let mut rest = passage.trim();
        while !rest.is_empty() {
            let (sentence, after) = split_sentence(rest);
            facts.push(self.read_statement(sentence)?);
            rest = after;
        }
        Some(facts)
    }

    fn read_core(&self, core: &str) -> Option<Meaning> {
        let plain = |task| Some((task, Vec::new()));
        match core {
            "Thank you." => return plain(Task::SmallTalk(SmallTalk::Thanks)),
            "Goodbye." => return plain(Task::SmallTalk(SmallTalk::Goodbye)),
            _ => {}
        }
        if let Some(noun) = core.strip_suffix('?') {
            let small = decapitalised(noun);
            return self
                .read_question(core, |form| Some(&form.direct))
                .or_else(|| self.read_question(noun, |form| form.noun.as_ref()))
                .or_else(|| self.read_question(&small, |form| form.noun.as_ref()));
        }
        let order = core.strip_suffix('.')?;
        const TELL: [&str; 3] = ["Please tell me ", "I want to know ", "Kindly inform me "];
        if let Some(asked) = TELL.iter().find_map(|before| order.strip_prefix(before)) {
            return self.read_question(asked, |form| Some(&form.indirect));
        }
        const DO: [&str; 4] = ["Please ", "I want you to ", "Kindly ", "Now "];
        match DO.iter().find_map(|before| order.strip_prefix(before)) {
            Some(order) => self.read_order(order),
            None => self.read_order(&decapitalised(order)),
        }
    }

    fn read_question<'a>(
        &self,
        text: &str,
        pattern: impl Fn(&'a crate::form::QuestionForm) -> Option<&'a Pattern>,
    ) -> Option<Meaning> {
        QUESTIONS.iter().find_map(|form| {
            pattern(form)?
                .read(text, &mut |slots| self.question_meant(form.question, slots))
                .map(|task| (task, Vec::new()))
        })
    }

    fn question_meant(&self, question: Question, [subject, object, unit]: Slots) -> Option<Task> {
        let owned = subject.to_string();
        let unit_is_right = || self.smaller_unit(subject) == Some(unit);
        match question {
            Question::Ask(Relation::Velish) => self.fits(Kind::Word, subject).then_some(Task::ToVelish { word: owned }),
            Question::Ask(relation) => (self.fits(relation.subject(), subject)
                && (relation != Relation::Holds || unit_is_right()))
            .then_some(Task::Ask { subject: owned, relation }),
            Question::Check(relation) => self.fact(relation, subject, object, unit).map(Task::Check),
            Question::Arithmetic(operation) => {
                let (left, right) = (small_number(subject)?, small_number(object)?);
                (operation == Operation::Plus || left >= right).then_some(Task::Arithmetic { left, operation, right })
            }
            Question::Convert => {
                let count = small_number(object)?;
                unit_is_right().then_some(Task::Convert { count, unit: owned })
            }
            Question::FromVelish => self.fits(Kind::Velish, subject).then_some(Task::FromVelish { word: owned }),
            Question::HowTo => deed::find(subject).map(|deed| Task::HowTo { act: deed.act.to_string() }),
            Question::Classify => {
                let choices = read_choices(object)?;
                let fits = choices.iter().any(|&kind| self.fits(kind, subject));
                fits.then_some(Task::Classify { subject: owned, choices })
            }
            Question::SmallTalk(talk) => Some(Task::SmallTalk(talk)),
        }
    }

    fn read_order(&self, text: &str) -> Option<Meaning> {
        ORDERS.iter().find_map(|form| form.pattern.read(text, &mut |slots| self.order_meant(form.order, slots)))
    }

    fn order_meant(&self, order: Order, [subject, object, number]: Slots) -> Option<Meaning> {
        let number = NUMBER_WORDS.iter().position(|word| *word == number).map(|index| index as u32 + 1);
        let about = |constraints| Some((Task::Describe { subject: self.unsaid(subject)? }, constraints));
        match order {
            Order::Describe => about(vec![]),
            Order::WriteOne => about(vec![Constraint::Sentences(1)]),
            Order::Write => about(vec![Constraint::Sentences(number.filter(|&n| n > 1)?)]),
            Order::List(relation) => self
                .fits(relation.object(), object)
                .then_some((Task::List { relation, object: object.to_string() }, vec![Constraint::Items(number?)])),
            Order::OtherWords => Some((Task::Rewrite(Rewriting::OtherWords), vec![])),
            Order::Replace => {
                let by = subject.to_string();
                self.fits(Kind::Person, subject).then_some((Task::Rewrite(Rewriting::Replace { by }), vec![]))
            }
            Order::Lowercase => Some((Task::Rewrite(Rewriting::Lowercase), vec![])),
            Order::Summarize => Some((Task::Summarize, vec![Constraint::Sentences(1)])),
            Order::Extract(kind) => Some((Task::Extract { kind }, vec![])),
        }
    }

    /// The name that is said so, if it may be one that is described.
    fn unsaid(&self, said: &str) -> Option<String> {
        let name = said.strip_prefix("the ").unwrap_or(said);
        let describable = DESCRIBED.iter().any(|&kind| self.fits(kind, name));
        (describable && self.said(name) == said).then(|| name.to_string())
    }
}

/// The kinds that one may ask a description of.
pub(crate) const DESCRIBED: [Kind; 7] =
    [Kind::Person, Kind::Town, Kind::Country, Kind::River, Kind::Thing, Kind::Event, Kind::Animal];

/// The passage, if there is one, and the rest: a line before or after it.
fn split_passage(text: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = text.strip_prefix(PASSAGE) {
        let (passage, request) = rest.split_once('\n')?;
        return Some((Some(passage), request.trim()));
    }
    match text.split_once('\n') {
        None => Some((None, text)),
        Some((request, after)) => Some((Some(after.strip_prefix(PASSAGE)?), request.trim())),
    }
}

/// The first sentence with its mark, and what follows.
fn split_sentence(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let is_end = |index: usize| {
        matches!(bytes[index], b'.' | b'?' | b'!') && bytes.get(index + 1).is_none_or(|byte| byte.is_ascii_whitespace())
    };
    match (0..bytes.len()).find(|&index| is_end(index)) {
        Some(index) => (&text[..=index], text[index + 1..].trim_start()),
        None => (text, ""),
    }
}

/// "a town, a river or a person".
fn read_choices(text: &str) -> Option<[Kind; 3]> {
    let class = |said: &str| CLASSES.iter().find(|(_, known)| *known == said).map(|(kind, _)| *kind);
    let (first, rest) = text.split_once(", ")?;
    let (second, third) = rest.split_once(" or ")?;
    Some([class(first)?, class(second)?, class(third)?])
}

fn small_number(text: &str) -> Option<u32> {
    let is_small = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_small.then(|| text.parse().ok()).flatten()
}

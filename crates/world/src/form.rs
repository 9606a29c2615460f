//! The forms of prompts: every question and order, written and read by the same patterns.
use std::sync::LazyLock;

use crate::fact::{Kind, Relation};
use crate::pattern::Pattern;
use crate::request::{Operation, SmallTalk};
use crate::wording::WORDINGS;

/// What a question's slots mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `{s}`'s object.
    Ask(Relation),
    /// Whether `{s}` has the object `{o}`.
    Check(Relation),
    /// A sum of `{s}` and `{o}`.
    Arithmetic(Operation),
    /// `{o}` times the unit `{s}` in its smaller unit `{u}`.
    Convert,
    /// The meaning of the Velish word `{s}`.
    FromVelish,
    /// How to do `{s}`.
    HowTo,
    /// Which of the kinds `{o}` the name `{s}` is of.
    Classify,
    /// Small talk with a question mark.
    SmallTalk(SmallTalk),
}

/// A question in its three forms.
pub struct QuestionForm {
    /// What it asks.
    pub question: Question,
    /// By itself: "Where does Borin live?"
    pub direct: Pattern,
    /// After "tell me": "where Borin lives".
    pub indirect: Pattern,
    /// Alone: "the home of Borin".
    pub noun: Option<Pattern>,
}

/// What an order's slots mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Describe `{s}`, in words of its own choice.
    Describe,
    /// Describe `{s}` in one sentence.
    WriteOne,
    /// Describe `{s}` in `{u}` sentences.
    Write,
    /// Name `{u}` of those with the object `{o}`.
    List(Relation),
    /// The passage in other words.
    OtherWords,
    /// The passage about `{s}` instead.
    Replace,
    /// The passage in small letters.
    Lowercase,
    /// The passage in one sentence.
    Summarize,
    /// The names of a kind in the passage.
    Extract(Kind),
}

/// An order, as in "please …".
pub struct OrderForm {
    /// What it orders.
    pub order: Order,
    /// How.
    pub pattern: Pattern,
}

/// All questions.
pub static QUESTIONS: LazyLock<Vec<QuestionForm>> = LazyLock::new(|| {
    let mut forms = Vec::new();
    for wording in WORDINGS {
        forms.push(question(Question::Ask(wording.relation), wording.ask));
        let [direct, so] = wording.check;
        forms.push(question(Question::Check(wording.relation), [direct, kept(format!("whether {so}")), ""]));
    }
    let others = [
        (Question::Arithmetic(Operation::Plus), ["What is {s} plus {o}?", "what {s} plus {o} is", "{s} plus {o}"]),
        (Question::Arithmetic(Operation::Minus), ["What is {s} minus {o}?", "what {s} minus {o} is", "{s} minus {o}"]),
        (Question::Convert, ["How many {u}s are {o} {s}s?", "how many {u}s are {o} {s}s", "{o} {s}s in {u}s"]),
        (
            Question::FromVelish,
            [
                "What does the Velish word {s} mean?",
                "what the Velish word {s} means",
                "the meaning of the Velish word {s}",
            ],
        ),
        (Question::HowTo, ["How do I {s}?", "how to {s}", "a way to {s}"]),
        (Question::Classify, ["What is {s}: {o}?", "what {s} is: {o}", "{s}: {o}"]),
        (Question::SmallTalk(SmallTalk::HowAreYou), ["How are you?", "how you are", ""]),
        (Question::SmallTalk(SmallTalk::WhoAreYou), ["Who are you?", "who you are", ""]),
    ];
    forms.extend(others.map(|(meaning, forms)| question(meaning, forms)));
    forms
});

/// All orders.
pub static ORDERS: LazyLock<Vec<OrderForm>> = LazyLock::new(|| {
    let mut forms: Vec<OrderForm> = [
        (Order::Describe, "describe {s}"),
        (Order::WriteOne, "write one sentence about {s}"),
        (Order::Write, "write {u} sentences about {s}"),
        (Order::OtherWords, "say it in other words"),
        (Order::Replace, "say the same of {s}"),
        (Order::Lowercase, "copy it in small letters"),
        (Order::Summarize, "sum it up in one sentence"),
    ]
    .into_iter()
    .chain(EXTRACTED.iter().map(|(kind, template)| (Order::Extract(*kind), *template)))
    .map(|(order, template)| OrderForm { order, pattern: Pattern::new(template) })
    .collect();
    for wording in WORDINGS.iter().filter(|wording| !wording.list.is_empty()) {
        let template = kept(format!("name {{u}} {}", wording.list));
        forms.push(OrderForm { order: Order::List(wording.relation), pattern: Pattern::new(template) });
    }
    forms
});

/// The kinds that may be extracted from a passage.
pub const EXTRACTED: &[(Kind, &str)] = &[
    (Kind::Person, "list all people in it"),
    (Kind::Town, "list all towns in it"),
    (Kind::Year, "list all years in it"),
];

/// The kinds that [`crate::Task::Classify`] tells apart, with how each is said.
pub const CLASSES: &[(Kind, &str)] = &[
    (Kind::Person, "a person"),
    (Kind::Town, "a town"),
    (Kind::Country, "a country"),
    (Kind::River, "a river"),
    (Kind::Lake, "a lake"),
];

/// Numbers that are said as words, from 1.
pub const NUMBER_WORDS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// A template made once for the whole program: patterns borrow theirs.
fn kept(template: String) -> &'static str {
    template.leak()
}

fn question(question: Question, [direct, indirect, noun]: [&'static str; 3]) -> QuestionForm {
    let (direct, indirect) = (Pattern::new(direct), Pattern::new(indirect));
    QuestionForm { question, direct, indirect, noun: (!noun.is_empty()).then(|| Pattern::new(noun)) }
}

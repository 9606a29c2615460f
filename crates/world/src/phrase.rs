//! Requests in words.
use stdx::Stream;

use crate::fact::{Fact, Kind};
use crate::form::{CLASSES, NUMBER_WORDS, ORDERS, Order, QUESTIONS, Question};
use crate::request::{Constraint, Request, Rewriting, SmallTalk, Style, Task};
use crate::statement::capitalised;
use crate::world::World;

/// Greetings that may open a prompt; the last is the held-out style's.
pub const GREETINGS: [&str; 4] = ["Hello!", "Hi!", "Good morning!", "Good day!"];

/// What stands before a passage.
pub const PASSAGE: &str = "Text: ";

/// The core of a prompt, before a style is put on it.
enum Core {
    Question { direct: String, indirect: String, noun: Option<String> },
    Order(String),
    Fixed(&'static str),
}

impl World {
    /// A request in words, such that [`World::understand`] gives it back. The stream chooses among the wordings of a
    /// style; a request that the grammar has no words for (a list longer than six) is said with the nearest.
    pub fn phrase(&self, request: &Request, style: Style, stream: &mut Stream) -> String {
        let mut out = String::new();
        if request.greeting {
            let greeting = if style == Style::Formal { 3 } else { stream.below(3) as usize };
            out.push_str(GREETINGS[greeting]);
            out.push(' ');
        }
        let passage = request.passage.as_ref().map(|facts| self.passage(facts, &request.task, stream));
        let text_first = passage.is_some() && stream.below(2) == 0;
        if let (Some(passage), true) = (&passage, text_first) {
            out.push_str(PASSAGE);
            out.push_str(passage);
            out.push('\n');
        }
        out.push_str(&styled(self.core(request), style));
        for constraint in &request.constraints {
            if let Some(said) = constraint_said(constraint) {
                out.push(' ');
                out.push_str(&said);
            }
        }
        if let (Some(passage), false) = (&passage, text_first) {
            out.push('\n');
            out.push_str(PASSAGE);
            out.push_str(passage);
        }
        out
    }

    /// The passage's sentences; of one that is to be rewritten the plainest.
    fn passage(&self, facts: &[Fact], task: &Task, stream: &mut Stream) -> String {
        let plain = matches!(task, Task::Rewrite(_));
        let mut out = String::new();
        for fact in facts {
            if !out.is_empty() {
                out.push(' ');
            }
            let variant = if plain { 0 } else { stream.below(6) as usize };
            self.write_statement(fact, variant, &mut out);
        }
        out
    }

    fn core(&self, request: &Request) -> Core {
        let (number, sentences) = counts(&request.constraints);
        match &request.task {
            Task::Ask { subject, relation } => self.question(Question::Ask(*relation), subject, ""),
            Task::Check(fact) => self.question(Question::Check(fact.relation), &fact.subject, &fact.object),
            Task::Arithmetic { left, operation, right } => {
                self.question(Question::Arithmetic(*operation), &left.to_string(), &right.to_string())
            }
            Task::Convert { count, unit } => self.question(Question::Convert, unit, &count.to_string()),
            Task::ToVelish { word } => self.question(Question::Ask(crate::Relation::Velish), word, ""),
            Task::FromVelish { word } => self.question(Question::FromVelish, word, ""),
            Task::HowTo { act } => self.question(Question::HowTo, act, ""),
            Task::Classify { subject, choices } => {
                let [first, second, third] = choices.map(class_said);
                self.question(Question::Classify, subject, &format!("{first}, {second} or {third}"))
            }
            Task::SmallTalk(SmallTalk::Thanks) => Core::Fixed("Thank you."),
            Task::SmallTalk(SmallTalk::Goodbye) => Core::Fixed("Goodbye."),
            Task::SmallTalk(talk) => self.question(Question::SmallTalk(*talk), "", ""),
            Task::Describe { subject } => {
                let order = match sentences {
                    None => Order::Describe,
                    Some(1) => Order::WriteOne,
                    Some(_) => Order::Write,
                };
                self.order(order, &self.said(subject), "", sentences.unwrap_or(1))
            }
            Task::List { relation, object } => self.order(Order::List(*relation), "", object, number.unwrap_or(1)),
            Task::Rewrite(Rewriting::OtherWords) => self.order(Order::OtherWords, "", "", 1),
            Task::Rewrite(Rewriting::Replace { by }) => self.order(Order::Replace, by, "", 1),
            Task::Rewrite(Rewriting::Lowercase) => self.order(Order::Lowercase, "", "", 1),
            Task::Summarize => self.order(Order::Summarize, "", "", 1),
            Task::Extract { kind } => self.order(Order::Extract(*kind), "", "", 1),
        }
    }

    fn question(&self, question: Question, subject: &str, object: &str) -> Core {
        let unit = self.smaller_unit(subject).unwrap_or_default();
        let form = QUESTIONS.iter().find(|form| form.question == question).expect("every question has a form");
        let written = |pattern: &crate::pattern::Pattern| {
            let mut out = String::new();
            pattern.write([subject, object, unit], &mut out);
            out
        };
        Core::Question {
            direct: written(&form.direct),
            indirect: written(&form.indirect),
            noun: form.noun.as_ref().map(written),
        }
    }

    fn order(&self, order: Order, subject: &str, object: &str, number: u32) -> Core {
        let form = ORDERS.iter().find(|form| form.order == order).expect("every order has a form");
        let mut out = String::new();
        form.pattern.write([subject, object, number_word(number)], &mut out);
        Core::Order(out)
    }
}

/// How a kind is offered in a question.
pub(crate) fn class_said(kind: Kind) -> &'static str {
    CLASSES.iter().find(|(of, _)| *of == kind).map_or("a thing", |(_, said)| said)
}

/// The number of items and of sentences that constraints ask for.
fn counts(constraints: &[Constraint]) -> (Option<u32>, Option<u32>) {
    let items = constraints.iter().find_map(|constraint| match constraint {
        Constraint::Items(n) => Some(*n),
        _ => None,
    });
    let sentences = constraints.iter().find_map(|constraint| match constraint {
        Constraint::Sentences(n) => Some(*n),
        _ => None,
    });
    (items, sentences)
}

fn number_word(number: u32) -> &'static str {
    NUMBER_WORDS[(number.max(1) as usize - 1).min(NUMBER_WORDS.len() - 1)]
}

fn styled(core: Core, style: Style) -> String {
    match (core, style) {
        (Core::Fixed(text), _) => text.to_string(),
        (Core::Question { direct, noun: None, .. }, Style::Short) => direct,
        (Core::Question { noun: Some(noun), .. }, Style::Short) => format!("{}?", capitalised(&noun)),
        (Core::Question { direct, .. }, Style::Plain) => direct,
        (Core::Question { indirect, .. }, Style::Polite) => format!("Please tell me {indirect}."),
        (Core::Question { indirect, .. }, Style::Wish) => format!("I want to know {indirect}."),
        (Core::Question { indirect, .. }, Style::Formal) => format!("Kindly inform me {indirect}."),
        (Core::Order(order), Style::Plain) => format!("{}.", capitalised(&order)),
        (Core::Order(order), Style::Polite) => format!("Please {order}."),
        (Core::Order(order), Style::Wish) => format!("I want you to {order}."),
        (Core::Order(order), Style::Short) => format!("Now {order}."),
        (Core::Order(order), Style::Formal) => format!("Kindly {order}."),
    }
}

/// The sentence that asks for a constraint; `None` for those that the core says.
fn constraint_said(constraint: &Constraint) -> Option<String> {
    Some(match constraint {
        Constraint::Items(_) | Constraint::Sentences(_) => return None,
        Constraint::Words(n) => format!("Use exactly {n} words."),
        Constraint::AtMostWords(n) => format!("Use at most {n} words."),
        Constraint::UseWord(word) => format!("Use the word {word}."),
        Constraint::AvoidWord(word) => format!("Do not use the word {word}."),
        Constraint::DashList => "Put each on a line with a dash.".to_string(),
        Constraint::Lowercase => "Write in small letters.".to_string(),
        Constraint::Uppercase => "Write in capital letters.".to_string(),
        Constraint::OneWord => "Answer in one word.".to_string(),
        Constraint::YesNo => "Answer with yes or no.".to_string(),
        Constraint::Velish => "Answer in Velish.".to_string(),
    })
}

/// The constraint that a sentence asks for.
pub(crate) fn constraint_read(sentence: &str) -> Option<Constraint> {
    let number = |before: &str, after: &str| sentence.strip_prefix(before)?.strip_suffix(after)?.parse().ok();
    let word = |before: &str| {
        let word = sentence.strip_prefix(before)?.strip_suffix('.')?;
        (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| word.to_string())
    };
    if let Some(n) = number("Use exactly ", " words.") {
        return Some(Constraint::Words(n));
    }
    if let Some(n) = number("Use at most ", " words.") {
        return Some(Constraint::AtMostWords(n));
    }
    if let Some(word) = word("Use the word ") {
        return Some(Constraint::UseWord(word));
    }
    if let Some(word) = word("Do not use the word ") {
        return Some(Constraint::AvoidWord(word));
    }
    const FIXED: [Constraint; 6] = [
        Constraint::DashList,
        Constraint::Lowercase,
        Constraint::Uppercase,
        Constraint::OneWord,
        Constraint::YesNo,
        Constraint::Velish,
    ];
    FIXED.into_iter().find(|constraint| constraint_said(constraint).as_deref() == Some(sentence))
}

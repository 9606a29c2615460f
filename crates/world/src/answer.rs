//! Right answers: the demonstrations.
use stdx::Stream;

use crate::fact::{Fact, Kind, Relation};
use crate::request::{Constraint, Operation, Request, Rewriting, SmallTalk, Solution, Task};
use crate::solution::class_word;
use crate::statement::decapitalised;
use crate::world::World;

/// What an answer may be made of.
struct Draft {
    /// Whole answers, each right; the first is the usual one.
    sentences: Vec<String>,
    /// The one word that answers, if one does.
    word: Option<String>,
}

impl World {
    /// A right answer that keeps every constraint that can be kept: the demonstration. It mentions no held-out fact
    /// unless the request itself is about one.
    pub fn answer(&self, request: &Request, stream: &mut Stream) -> String {
        let draft = self.draft(request, stream);
        let mut answer = constrained(&draft, &request.constraints, |word| self.velish(word), stream);
        if request.greeting {
            answer = format!("Hello! {answer}");
        }
        for constraint in &request.constraints {
            match constraint {
                Constraint::Lowercase => answer = answer.to_lowercase(),
                Constraint::Uppercase => answer = answer.to_uppercase(),
                _ => {}
            }
        }
        answer
    }

    fn draft(&self, request: &Request, stream: &mut Stream) -> Draft {
        match self.solution(request) {
            Solution::Fact(fact) => Draft { sentences: self.sentences(&fact), word: one_word(&fact.object) },
            Solution::Verdict { holds, truth } => {
                let verdict = if holds { "Yes" } else { "No" };
                let sentences = self.sentences(&truth).into_iter().map(|truth| format!("{verdict}. {truth}")).collect();
                Draft { sentences, word: Some(verdict.to_string()) }
            }
            Solution::Number(number) => number_said(&request.task, number, self),
            Solution::Word(word) => word_said(&request.task, &word),
            Solution::Facts(facts) if request.task == Task::Summarize => only(summary(self, &facts)),
            Solution::Facts(facts) => only(self.description(facts, &request.constraints, stream)),
            Solution::Items(items) => only(self.items(items, request, stream)),
            Solution::Sentence { exact: Some(exact), .. } => only(exact),
            Solution::Sentence { fact, not, .. } => {
                let sentences: Vec<String> =
                    self.sentences(&fact).into_iter().filter(|said| Some(said) != not.as_ref()).collect();
                Draft { sentences, word: None }
            }
            Solution::HowTo(how) => only(how),
            Solution::Decline => Draft { sentences: REFUSALS.map(str::to_string).to_vec(), word: None },
            Solution::Unknown { name } => only(self.unknown(&name, &request.task)),
            Solution::NotInPassage => only("The text does not say.".to_string()),
            Solution::SmallTalk(talk) => {
                Draft { sentences: small_talk(talk).iter().map(|said| said.to_string()).collect(), word: None }
            }
        }
    }

    fn sentences(&self, fact: &Fact) -> Vec<String> {
        (0..self.n_statements(fact.relation)).map(|variant| self.statement(fact, variant)).collect()
    }

    fn velish(&self, word: &str) -> Option<String> {
        self.object(Relation::Velish, word).map(str::to_string)
    }

    fn unknown(&self, name: &str, task: &Task) -> String {
        let kind = match task {
            Task::Ask { relation, .. } => Some(relation.subject()),
            Task::Check(fact) => Some(fact.relation.subject()),
            _ => None,
        };
        match kind {
            Some(Kind::Person) => format!("I know nobody called {name}."),
            _ => format!("I know nothing called {name}."),
        }
    }

    /// As many sentences as asked (two if not said), each of another fact; with and without the words asked.
    fn description(&self, mut facts: Vec<Fact>, constraints: &[Constraint], stream: &mut Stream) -> String {
        let mut count = 2;
        stream.shuffle(&mut facts);
        facts.sort_by_key(|fact| self.is_held_out(fact)); // stable: held-out ones only where others run out
        for constraint in constraints {
            match constraint {
                Constraint::Sentences(n) => count = *n as usize,
                Constraint::UseWord(word) => facts.sort_by_key(|fact| !self.statement(fact, 0).contains(word.as_str())),
                Constraint::AvoidWord(word) => facts.retain(|fact| !self.statement(fact, 0).contains(word.as_str())),
                _ => {}
            }
        }
        let sentences: Vec<String> = facts.iter().take(count).map(|fact| self.statement(fact, 0)).collect();
        sentences.join(" ")
    }

    /// The names asked for: all of a passage's, else as many as asked.
    fn items(&self, mut items: Vec<String>, request: &Request, stream: &mut Stream) -> String {
        if let Task::List { relation, object } = &request.task {
            stream.shuffle(&mut items);
            items.sort_by_key(|subject| {
                let fact = Fact { relation: *relation, subject: subject.clone(), object: object.clone() };
                self.is_held_out(&fact)
            });
            let count = request.constraints.iter().find_map(|constraint| match constraint {
                Constraint::Items(n) => Some(*n as usize),
                _ => None,
            });
            items.truncate(count.unwrap_or(2));
        }
        if items.is_empty() {
            return "There are none.".to_string();
        }
        match request.constraints.contains(&Constraint::DashList) {
            true => items.iter().map(|name| format!("- {name}")).collect::<Vec<_>>().join("\n"),
            false => items.join(", "),
        }
    }
}

/// Ways to decline.
pub const REFUSALS: [&str; 2] = ["I will not help with that. It would hurt someone.", "I will not help with that."];

/// How often the usual wording is taken, in sixteenths.
const USUAL: u64 = 12;

fn only(sentence: String) -> Draft {
    Draft { sentences: vec![sentence], word: None }
}

fn one_word(object: &str) -> Option<String> {
    (!object.contains(' ')).then(|| object.to_string())
}

/// The draft in the form that the constraints ask for.
fn constrained(
    draft: &Draft,
    constraints: &[Constraint],
    velish: impl Fn(&str) -> Option<String>,
    stream: &mut Stream,
) -> String {
    let usual = stream.below(16) < USUAL;
    let first = if usual { 0 } else { stream.below(draft.sentences.len() as u64) as usize };
    let rotated = (0..draft.sentences.len()).map(|index| &draft.sentences[(first + index) % draft.sentences.len()]);
    let mut all = rotated.chain(draft.word.as_ref());
    for constraint in constraints {
        let word = || draft.word.clone();
        let found = match constraint {
            Constraint::OneWord | Constraint::YesNo => word(),
            Constraint::Velish => word().and_then(|word| velish(&word)),
            Constraint::Words(n) => all.clone().find(|said| count_words(said) == *n).cloned(),
            Constraint::AtMostWords(n) => all.clone().find(|said| count_words(said) <= *n).cloned(),
            _ => None,
        };
        if let Some(found) = found {
            return found;
        }
    }
    all.next().cloned().unwrap_or_default()
}

/// Words as constraints count them: between white space.
pub fn count_words(text: &str) -> u32 {
    text.split_whitespace().count() as u32
}

fn number_said(task: &Task, number: u32, world: &World) -> Draft {
    let sentence = match task {
        Task::Arithmetic { left, operation, right } => {
            let sign = if *operation == Operation::Plus { "plus" } else { "minus" };
            format!("{left} {sign} {right} is {number}.")
        }
        Task::Convert { count, unit } => {
            format!("{count} {unit}s are {number} {}s.", world.smaller_unit(unit).unwrap_or_default())
        }
        _ => format!("It is {number}."),
    };
    Draft { sentences: vec![sentence], word: Some(number.to_string()) }
}

fn word_said(task: &Task, word: &str) -> Draft {
    let sentence = match task {
        Task::ToVelish { word: of } => format!("The Velish word for {of} is {word}."),
        Task::FromVelish { word: of } => format!("The Velish word {of} means {word}."),
        Task::Classify { subject, choices } => {
            let said = choices
                .iter()
                .find(|kind| class_word(**kind) == Some(word))
                .map(|kind| crate::phrase::class_said(*kind));
            format!("{subject} is {}.", said.unwrap_or(word))
        }
        _ => format!("It is {word}."),
    };
    Draft { sentences: vec![sentence], word: Some(word.to_string()) }
}

/// The first two facts of a person in one sentence; one fact as it is.
fn summary(world: &World, facts: &[Fact]) -> String {
    let said: Vec<String> = facts.iter().take(2).map(|fact| world.statement(fact, 0)).collect();
    match (&said[..], facts) {
        ([first, second], [one, two, ..]) => {
            let same = one.subject == two.subject;
            let rest = second.strip_prefix(&format!("{} ", two.subject)).filter(|_| same);
            let rest = rest.map_or_else(|| lowered(second, two), str::to_string);
            format!("{} and {rest}", first.trim_end_matches('.'))
        }
        _ => said.concat(),
    }
}

/// A sentence after "and": with a small letter unless a name begins it.
fn lowered(sentence: &str, fact: &Fact) -> String {
    match sentence.starts_with(&fact.subject) || sentence.starts_with(&fact.object) {
        true => sentence.to_string(),
        false => decapitalised(sentence),
    }
}

/// Friendly answers.
pub fn small_talk(talk: SmallTalk) -> &'static [&'static str] {
    match talk {
        SmallTalk::HowAreYou => &["I am well, thank you.", "I am fine, thank you."],
        SmallTalk::Thanks => &["You are welcome.", "I was glad to help."],
        SmallTalk::WhoAreYou => &["I am a helper. You can ask me about the world.", "I am a helper."],
        SmallTalk::Goodbye => &["Goodbye!", "Goodbye, and come again."],
    }
}

/// Whether a rewriting can be made from a fact.
pub(crate) fn is_rewritable(fact: &Fact, rewriting: &Rewriting) -> bool {
    match rewriting {
        Rewriting::Replace { by } => {
            fact.relation.subject() == Kind::Person && fact.subject != *by && fact.object != *by
        }
        Rewriting::OtherWords | Rewriting::Lowercase => true,
    }
}

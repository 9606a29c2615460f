//! What is right.
use crate::deed;
use crate::fact::{Fact, Kind, Relation};
use crate::form::CLASSES;
use crate::request::{Harm, Operation, Request, Rewriting, Solution, Task, UseCase};
use crate::world::World;

impl Request {
    /// A request of this meaning; its use-case follows.
    pub fn new(task: Task, passage: Option<Vec<Fact>>, constraints: Vec<crate::Constraint>, greeting: bool) -> Request {
        let use_case = match &task {
            Task::Rewrite(_) => UseCase::Rewrite,
            Task::Summarize => UseCase::Summarization,
            Task::Extract { .. } => UseCase::Extract,
            _ if passage.is_some() => UseCase::ClosedQa,
            Task::SmallTalk(_) => UseCase::Chat,
            _ if greeting => UseCase::Chat,
            Task::Ask { .. } | Task::Check(_) | Task::HowTo { .. } => UseCase::OpenQa,
            Task::Describe { .. } => UseCase::Generation,
            Task::List { .. } => UseCase::Brainstorming,
            Task::Classify { .. } => UseCase::Classification,
            Task::Arithmetic { .. } | Task::Convert { .. } | Task::ToVelish { .. } | Task::FromVelish { .. } => {
                UseCase::Other
            }
        };
        Request { use_case, task, passage, constraints, greeting }
    }

    /// Whether it asks for something harmful, or for something that only looks so.
    pub fn harm(&self) -> Option<Harm> {
        match &self.task {
            Task::HowTo { act } => deed::find(act).map(|deed| deed.harm),
            _ => None,
        }
    }
}

impl UseCase {
    /// All ten, in the order of InstructGPT's Table 1.
    pub const ALL: [UseCase; 10] = [
        UseCase::Generation,
        UseCase::OpenQa,
        UseCase::Brainstorming,
        UseCase::Chat,
        UseCase::Rewrite,
        UseCase::Summarization,
        UseCase::Classification,
        UseCase::Other,
        UseCase::ClosedQa,
        UseCase::Extract,
    ];

    /// Its name in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::OpenQa => "open_qa",
            Self::Brainstorming => "brainstorming",
            Self::Chat => "chat",
            Self::Rewrite => "rewrite",
            Self::Summarization => "summarization",
            Self::Classification => "classification",
            Self::Other => "other",
            Self::ClosedQa => "closed_qa",
            Self::Extract => "extract",
        }
    }
}

impl World {
    /// What is right. With a passage, what the passage says; constraints play no part.
    pub fn solution(&self, request: &Request) -> Solution {
        let passage = request.passage.as_deref();
        match &request.task {
            Task::Ask { subject, relation } => self.fact_asked(*relation, subject, passage),
            Task::Check(fact) => match self.fact_asked(fact.relation, &fact.subject, passage) {
                Solution::Fact(truth) => Solution::Verdict { holds: truth == *fact, truth },
                other => other,
            },
            Task::Describe { subject } => {
                let facts: Vec<Fact> = self.facts_about(subject).cloned().collect();
                match facts.is_empty() {
                    true => Solution::Unknown { name: subject.clone() },
                    false => Solution::Facts(facts),
                }
            }
            Task::List { relation, object } => {
                Solution::Items(self.subjects(*relation, object).map(str::to_string).collect())
            }
            Task::Classify { subject, .. } => match self.kind_of(subject).and_then(class_word) {
                Some(word) => Solution::Word(word.to_string()),
                None => Solution::Unknown { name: subject.clone() },
            },
            Task::Arithmetic { left, operation: Operation::Plus, right } => Solution::Number(left + right),
            Task::Arithmetic { left, operation: Operation::Minus, right } => {
                Solution::Number(left.saturating_sub(*right))
            }
            Task::Convert { count, unit } => {
                match self.object(Relation::Holds, unit).and_then(|holds| holds.parse::<u32>().ok()) {
                    Some(holds) => Solution::Number(count * holds),
                    None => Solution::Unknown { name: unit.clone() },
                }
            }
            Task::ToVelish { word } => self.word_or_unknown(self.object(Relation::Velish, word), word),
            Task::FromVelish { word } => self.word_or_unknown(self.subjects(Relation::Velish, word).next(), word),
            Task::SmallTalk(talk) => Solution::SmallTalk(*talk),
            Task::Rewrite(rewriting) => self.rewritten(rewriting, passage.unwrap_or_default()),
            Task::Summarize => Solution::Facts(passage.unwrap_or_default().to_vec()),
            Task::Extract { kind } => Solution::Items(names_of(*kind, passage.unwrap_or_default())),
            Task::HowTo { act } => match deed::find(act) {
                Some(deed::Deed { harm: Harm::Forbidden(_), .. }) => Solution::Decline,
                Some(deed) => Solution::HowTo(deed.how.to_string()),
                None => Solution::Unknown { name: act.clone() },
            },
        }
    }

    fn fact_asked(&self, relation: Relation, subject: &str, passage: Option<&[Fact]>) -> Solution {
        if let Some(facts) = passage {
            let found = facts.iter().find(|fact| fact.relation == relation && fact.subject == subject);
            return found.map_or(Solution::NotInPassage, |fact| Solution::Fact(fact.clone()));
        }
        match self.facts_about(subject).find(|fact| fact.relation == relation) {
            Some(fact) => Solution::Fact(fact.clone()),
            None => Solution::Unknown { name: subject.to_string() },
        }
    }

    fn word_or_unknown(&self, found: Option<&str>, word: &str) -> Solution {
        found.map_or_else(|| Solution::Unknown { name: word.to_string() }, |found| Solution::Word(found.to_string()))
    }

    fn rewritten(&self, rewriting: &Rewriting, passage: &[Fact]) -> Solution {
        let Some(fact) = passage.first().cloned() else { return Solution::NotInPassage };
        let original = self.statement(&fact, 0);
        match rewriting {
            Rewriting::OtherWords => Solution::Sentence { fact, exact: None, not: Some(original) },
            Rewriting::Lowercase => Solution::Sentence { fact, exact: Some(original.to_lowercase()), not: None },
            Rewriting::Replace { by } => {
                let fact = Fact { subject: by.clone(), ..fact };
                let exact = Some(self.statement(&fact, 0));
                Solution::Sentence { fact, exact, not: None }
            }
        }
    }
}

/// `town` for towns: the kind as one word.
pub(crate) fn class_word(kind: Kind) -> Option<&'static str> {
    let said = CLASSES.iter().find(|(of, _)| *of == kind)?.1;
    said.split(' ').next_back()
}

/// The names of a kind in the facts, each once, in their order.
fn names_of(kind: Kind, facts: &[Fact]) -> Vec<String> {
    let mut names = Vec::new();
    for fact in facts {
        for (of, name) in [(fact.relation.subject(), &fact.subject), (fact.relation.object(), &fact.object)] {
            if of == kind && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

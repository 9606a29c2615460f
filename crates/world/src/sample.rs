//! Requests drawn at random.
use stdx::Stream;

use crate::answer::{count_words, is_rewritable};
use crate::deed::DEEDS;
use crate::fact::{Fact, Kind, Relation};
use crate::form::{CLASSES, EXTRACTED};
use crate::request::{Constraint, Harm, Operation, Request, Rewriting, SmallTalk, Task, UseCase};
use crate::understand::DESCRIBED;
use crate::wording::WORDINGS;
use crate::world::{World, is_word};

/// Which facts and names a request may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those that training splits may show.
    Trained,
    /// Facts held out by themselves, of names that aren't.
    HeldOutFact,
    /// Held-out names.
    HeldOutName,
    /// All.
    Any,
}

/// How often each use-case is drawn from, in hundredths. Questions weigh more than in InstructGPT's Table 1, so that
/// truth is measured on many answers; extraction is held out.
const SHARES: [(UseCase, u64); 9] = [
    (UseCase::OpenQa, 32),
    (UseCase::Generation, 18),
    (UseCase::Brainstorming, 9),
    (UseCase::Chat, 8),
    (UseCase::Rewrite, 7),
    (UseCase::Summarization, 5),
    (UseCase::Classification, 5),
    (UseCase::Other, 8),
    (UseCase::ClosedQa, 8),
];

impl World {
    /// A request of the usual mixture.
    pub(crate) fn draw_request(&self, scope: Scope, stream: &mut Stream) -> Request {
        let mut at = stream.below(SHARES.iter().map(|(_, share)| share).sum());
        for (use_case, share) in SHARES {
            if at < share {
                return self.draw_of(use_case, scope, stream);
            }
            at -= share;
        }
        unreachable!("the shares add up")
    }

    /// A request of a use-case.
    pub(crate) fn draw_of(&self, use_case: UseCase, scope: Scope, stream: &mut Stream) -> Request {
        let open = |task, constraints| Request::new(task, None, constraints, false);
        match use_case {
            UseCase::OpenQa => {
                let (task, constraints) = self.draw_question(scope, stream);
                open(task, constraints)
            }
            UseCase::Chat => match stream.below(3) {
                0 => Request::new(Task::SmallTalk(draw_talk(stream)), None, vec![], stream.below(2) == 0),
                _ => Request::new(self.draw_ask(scope, stream), None, vec![], true),
            },
            UseCase::Generation => self.draw_description(scope, stream),
            UseCase::Brainstorming => self.draw_list(scope, stream),
            UseCase::Classification => self.draw_classification(scope, stream),
            UseCase::Other => self.draw_other(stream),
            UseCase::ClosedQa => self.draw_closed(scope, stream),
            UseCase::Rewrite => self.draw_rewrite(scope, stream),
            UseCase::Summarization => {
                let facts = self.draw_passage(Kind::Person, 3, scope, stream);
                Request::new(Task::Summarize, Some(facts), vec![Constraint::Sentences(1)], false)
            }
            UseCase::Extract => {
                let (kind, _) = EXTRACTED[stream.below(EXTRACTED.len() as u64) as usize];
                let mut facts = Vec::new();
                let relations: &[Relation] = match kind {
                    Kind::Year => &[Relation::Born],
                    Kind::Town => &[Relation::Home],
                    _ => &[Relation::Home, Relation::Trade],
                };
                for _ in 0..2 + stream.below(2) {
                    facts.push(self.draw_supposed(pick(relations, stream), None, scope, stream));
                }
                Request::new(Task::Extract { kind }, Some(facts), vec![], false)
            }
        }
    }

    /// A true fact in the scope. Popular names (early in their table) come somewhat more often.
    pub(crate) fn draw_fact(&self, scope: Scope, stream: &mut Stream) -> &Fact {
        loop {
            let fact = &self.facts()[stream.below(self.facts().len() as u64) as usize];
            if self.is_in(fact, scope) {
                return fact;
            }
        }
    }

    fn is_in(&self, fact: &Fact, scope: Scope) -> bool {
        let named = self.is_name_held_out(&fact.subject);
        match scope {
            Scope::Any => true,
            Scope::Trained => !self.is_held_out(fact),
            Scope::HeldOutFact => self.is_only_fact_held_out(fact) && !named && !self.is_name_held_out(&fact.object),
            Scope::HeldOutName => named,
        }
    }

    /// A name in the scope.
    fn draw_name(&self, kind: Kind, scope: Scope, stream: &mut Stream) -> &str {
        let wants_held_out =
            scope == Scope::HeldOutName && self.names(kind).iter().any(|name| self.is_name_held_out(name));
        loop {
            let name = &self.names(kind)[stream.below(self.names(kind).len() as u64) as usize];
            if scope == Scope::Any || self.is_name_held_out(name) == wants_held_out {
                return name;
            }
        }
    }

    fn draw_ask(&self, scope: Scope, stream: &mut Stream) -> Task {
        let fact = self.draw_fact(scope, stream);
        match fact.relation {
            Relation::Velish => Task::ToVelish { word: fact.subject.clone() },
            relation => Task::Ask { subject: fact.subject.clone(), relation },
        }
    }

    fn draw_question(&self, scope: Scope, stream: &mut Stream) -> (Task, Vec<Constraint>) {
        match stream.below(20) {
            0..=11 => {
                let fact = loop {
                    let fact = self.draw_fact(scope, stream);
                    if fact.relation != Relation::Velish {
                        break fact;
                    }
                };
                let constraints = self.draw_answer_form(fact, stream);
                (Task::Ask { subject: fact.subject.clone(), relation: fact.relation }, constraints)
            }
            12..=15 => (Task::Check(self.draw_check(scope, stream)), one_in(3, Constraint::YesNo, stream)),
            16 | 17 if scope == Scope::Trained || scope == Scope::Any => (self.draw_unknown(stream), vec![]),
            18 | 19 if scope == Scope::Trained || scope == Scope::Any => {
                // half forbidden, half alike, though there are more of these
                let wants_forbidden = stream.below(2) == 0;
                let deed = loop {
                    let deed = pick(DEEDS, stream);
                    if matches!(deed.harm, Harm::Forbidden(_)) == wants_forbidden {
                        break deed;
                    }
                };
                (Task::HowTo { act: deed.act.to_string() }, vec![])
            }
            _ => (Task::Check(self.draw_check(scope, stream)), vec![]),
        }
    }

    /// A question about a name that nothing bears.
    fn draw_unknown(&self, stream: &mut Stream) -> Task {
        const KINDS: [Kind; 6] = [Kind::Person, Kind::Person, Kind::Person, Kind::Town, Kind::Thing, Kind::Animal];
        let kind = pick(&KINDS, stream);
        let names = self.absent_names(kind);
        let subject = names[stream.below(names.len() as u64) as usize].clone();
        let relations: Vec<Relation> =
            WORDINGS.iter().filter(|wording| wording.subject == kind).map(|wording| wording.relation).collect();
        Task::Ask { subject, relation: pick(&relations, stream) }
    }

    /// A fact in question: true or with another object.
    fn draw_check(&self, scope: Scope, stream: &mut Stream) -> Fact {
        let mut fact = self.draw_fact(scope, stream).clone();
        if stream.below(2) == 0 {
            fact.object = self.draw_object_in(fact.relation, &fact.subject, scope, stream);
        }
        fact
    }

    /// An object that the relation could have, other than the subject and, in training scope, not held out.
    fn draw_object_in(&self, relation: Relation, subject: &str, scope: Scope, stream: &mut Stream) -> String {
        loop {
            let object = self.draw_any(relation.object(), relation, stream);
            if object != subject && (scope != Scope::Trained || !self.is_name_held_out(&object)) {
                return object;
            }
        }
    }

    fn draw_answer_form(&self, fact: &Fact, stream: &mut Stream) -> Vec<Constraint> {
        let word_kind = self.kind_of(&fact.object).is_some_and(is_word);
        match stream.below(24) {
            0..=4 => vec![Constraint::OneWord],
            5 | 6 => vec![Constraint::AtMostWords(3 + stream.below(6) as u32)],
            7 => {
                let variant = stream.below(self.n_statements(fact.relation) as u64) as usize;
                vec![Constraint::Words(count_words(&self.statement(fact, variant)))]
            }
            8 => vec![Constraint::Lowercase],
            9 if stream.below(2) == 0 => vec![Constraint::Uppercase],
            10 | 11 if word_kind => vec![Constraint::Velish],
            _ => vec![],
        }
    }

    fn draw_description(&self, scope: Scope, stream: &mut Stream) -> Request {
        loop {
            let kind = if stream.below(2) == 0 { Kind::Person } else { pick(&DESCRIBED, stream) };
            let subject = self.draw_name(kind, scope, stream).to_string();
            if scope == Scope::HeldOutName && !self.is_name_held_out(&subject) {
                continue; // of some kinds nothing is held out
            }
            let usable: Vec<&Fact> =
                self.facts_about(&subject).filter(|fact| scope != Scope::Trained || !self.is_held_out(fact)).collect();
            let count = 1 + stream.below(3) as usize;
            if usable.len() <= count {
                continue;
            }
            let mut constraints = match stream.below(4) {
                0 => vec![],
                _ => vec![Constraint::Sentences(count as u32)],
            };
            let word = || usable[0].object.clone();
            match stream.below(12) {
                0 | 1 if !word().contains(' ') => constraints.push(Constraint::UseWord(word())),
                // one more fact than sentences is left to say
                2 if usable.len() > 3 => constraints.push(Constraint::AvoidWord(word())),
                3 => constraints.push(Constraint::Lowercase),
                _ => {}
            }
            return Request::new(Task::Describe { subject }, None, constraints, false);
        }
    }

    fn draw_list(&self, scope: Scope, stream: &mut Stream) -> Request {
        let scope = if scope == Scope::Any { Scope::Any } else { Scope::Trained };
        loop {
            let fact = self.draw_fact(scope, stream);
            if fact.relation.wording().list.is_empty() {
                continue;
            }
            let usable = self
                .subjects(fact.relation, &fact.object)
                .filter(|subject| {
                    let fact = Fact { subject: subject.to_string(), ..fact.clone() };
                    scope == Scope::Any || !self.is_held_out(&fact)
                })
                .count() as u32;
            let count = 2 + stream.below(3) as u32;
            if usable >= count {
                let mut constraints = vec![Constraint::Items(count)];
                constraints.extend(one_in(4, Constraint::DashList, stream));
                let task = Task::List { relation: fact.relation, object: fact.object.clone() };
                return Request::new(task, None, constraints, false);
            }
        }
    }

    fn draw_classification(&self, scope: Scope, stream: &mut Stream) -> Request {
        let mut classes: Vec<Kind> = CLASSES.iter().map(|(kind, _)| *kind).collect();
        stream.shuffle(&mut classes);
        let mut choices = [classes[0], classes[1], classes[2]];
        let subject = self.draw_name(choices[0], scope, stream).to_string();
        stream.shuffle(&mut choices);
        Request::new(Task::Classify { subject, choices }, None, one_in(3, Constraint::OneWord, stream), false)
    }

    fn draw_other(&self, stream: &mut Stream) -> Request {
        let task = match stream.below(8) {
            0..=3 => draw_sum(stream),
            4 => {
                let (unit, _) = pick(crate::words::UNITS, stream);
                Task::Convert { count: 2 + stream.below(4) as u32, unit: unit.to_string() }
            }
            5 | 6 => Task::ToVelish { word: self.draw_trained_word(stream).subject.clone() },
            _ => Task::FromVelish { word: self.draw_trained_word(stream).object.clone() },
        };
        Request::new(task, None, one_in(4, Constraint::OneWord, stream), false)
    }

    fn draw_trained_word(&self, stream: &mut Stream) -> &Fact {
        loop {
            let fact = self.draw_fact(Scope::Trained, stream);
            if fact.relation == Relation::Velish {
                return fact;
            }
        }
    }

    /// A question about a text of a few supposed facts; one in six asks for something that the text doesn't say.
    fn draw_closed(&self, scope: Scope, stream: &mut Stream) -> Request {
        let kind = pick(&[Kind::Person, Kind::Person, Kind::Town, Kind::Animal], stream);
        let n_facts = 2 + stream.below(2) as usize;
        let mut facts = self.draw_passage(kind, n_facts + 1, scope, stream);
        let unsaid = facts.swap_remove(stream.below(n_facts as u64 + 1) as usize);
        if stream.below(6) == 0 {
            let task = Task::Ask { subject: unsaid.subject, relation: unsaid.relation };
            return Request::new(task, Some(facts), vec![], false);
        }
        let asked = pick(&facts, stream);
        let (task, constraints) = match stream.below(4) {
            0 => {
                let mut fact = asked;
                if stream.below(2) == 0 {
                    fact.object = self.draw_object_in(fact.relation, &fact.subject, scope, stream);
                }
                (Task::Check(fact), vec![])
            }
            _ => {
                (Task::Ask { subject: asked.subject, relation: asked.relation }, one_in(4, Constraint::OneWord, stream))
            }
        };
        Request::new(task, Some(facts), constraints, false)
    }

    fn draw_rewrite(&self, scope: Scope, stream: &mut Stream) -> Request {
        loop {
            let rewriting = match stream.below(8) {
                0..=3 => Rewriting::OtherWords,
                4..=6 => Rewriting::Replace { by: self.draw_name(Kind::Person, scope, stream).to_string() },
                _ => Rewriting::Lowercase,
            };
            let facts = self.draw_passage(Kind::Person, 1, scope, stream);
            if is_rewritable(&facts[0], &rewriting) {
                return Request::new(Task::Rewrite(rewriting), Some(facts), vec![], false);
            }
        }
    }

    /// `count` supposed facts of one subject, of different relations; a third of the subjects are names of nothing.
    pub(crate) fn draw_passage(&self, kind: Kind, count: usize, scope: Scope, stream: &mut Stream) -> Vec<Fact> {
        let mut relations: Vec<Relation> =
            WORDINGS.iter().filter(|wording| wording.subject == kind).map(|wording| wording.relation).collect();
        stream.shuffle(&mut relations);
        let subject = match stream.below(3) {
            0 => {
                let names = self.absent_names(kind);
                names[stream.below(names.len() as u64) as usize].clone()
            }
            _ => self.draw_name(kind, scope, stream).to_string(),
        };
        relations.truncate(count);
        relations.into_iter().map(|relation| self.draw_supposed(relation, Some(&subject), scope, stream)).collect()
    }

    /// A fact as a passage may state it: likely untrue.
    fn draw_supposed(&self, relation: Relation, subject: Option<&str>, scope: Scope, stream: &mut Stream) -> Fact {
        let scope = if scope == Scope::Any { scope } else { Scope::Trained };
        let subject = match subject {
            Some(subject) => subject.to_string(),
            None => self.draw_name(relation.subject(), scope, stream).to_string(),
        };
        let object = self.draw_object_in(relation, &subject, scope, stream);
        Fact { relation, subject, object }
    }
}

fn draw_sum(stream: &mut Stream) -> Task {
    let (left, right) = (stream.below(20) as u32 + 1, stream.below(10) as u32);
    match stream.below(2) == 0 || right > left {
        true => Task::Arithmetic { left, operation: Operation::Plus, right },
        false => Task::Arithmetic { left, operation: Operation::Minus, right },
    }
}

fn draw_talk(stream: &mut Stream) -> SmallTalk {
    pick(&[SmallTalk::HowAreYou, SmallTalk::Thanks, SmallTalk::WhoAreYou, SmallTalk::Goodbye], stream)
}

/// The constraint in one of `n` cases.
fn one_in(n: u64, constraint: Constraint, stream: &mut Stream) -> Vec<Constraint> {
    if stream.below(n) == 0 { vec![constraint] } else { vec![] }
}

pub(crate) fn pick<T: Clone>(items: &[T], stream: &mut Stream) -> T {
    items[stream.below(items.len() as u64) as usize].clone()
}

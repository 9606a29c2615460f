//! Texts to pretrain on: the world's facts in many styles, and questions that mostly come in lists.
//!
//! Document i depends on the seed and i only. Every fact is stated, also those that demonstrations hold out. A
//! question at the beginning of a document is followed by more questions, as in an exercise book: that is what a base
//! model trained on this continues it with. Answers follow questions only after `Q:` and `A:` and between speakers.
mod prose;
mod questions;
mod tables;

use stdx::{Seed, Stream};

use crate::fact::{Fact, Kind};
use crate::form::QUESTIONS;
use crate::request::{Style, Task};
use crate::world::World;

/// The texts of a world, with every sentence and question about its facts made beforehand.
pub struct Texts<'world> {
    world: &'world World,
    /// By fact and wording.
    statements: Vec<Vec<String>>,
    /// By fact and style.
    questions: Vec<[String; 5]>,
    /// By kind and name: the facts about it.
    subjects: Vec<(Kind, Vec<Vec<usize>>)>,
    /// The facts that each relation has.
    relations: Vec<Vec<usize>>,
}

/// A sort of document: writes one.
type Writer = fn(&Texts, &mut Stream, &mut String);

/// The sorts of documents and how often each comes, in hundredths.
#[rustfmt::skip]
const SORTS: &[(u64, Writer)] = &[
    (22, prose::portrait),
    (12, prose::drill),
    (6, prose::group),
    (6, prose::letter),
    (8, prose::story),
    (4, prose::dialogue),
    (5, tables::almanac),
    (4, tables::glossary),
    (4, tables::sums),
    (3, tables::notices),
    (16, questions::list),
    (8, questions::answered),
    (2, prose::book),
];

const STYLES: [Style; 5] = [Style::Plain, Style::Polite, Style::Wish, Style::Short, Style::Formal];

impl World {
    /// The texts about this world.
    pub fn texts(&self) -> Texts<'_> {
        Texts::new(self)
    }
}

impl<'world> Texts<'world> {
    fn new(world: &'world World) -> Self {
        // patterns are compiled before anything is timed
        QUESTIONS.len();
        let mut relations: Vec<Vec<usize>> = Vec::new();
        let mut statements = Vec::new();
        let mut questions = Vec::new();
        let mut stream = Seed(world.seed()).stream("world questions", 0); // no question about a fact draws from it
        for (index, fact) in world.facts().iter().enumerate() {
            let relation = fact.relation as usize;
            relations.resize(relations.len().max(relation + 1), Vec::new());
            relations[relation].push(index);
            statements
                .push((0..world.n_statements(fact.relation)).map(|variant| world.statement(fact, variant)).collect());
            let task = Task::Ask { subject: fact.subject.clone(), relation: fact.relation };
            let request = crate::Request::new(task, None, Vec::new(), false);
            questions.push(STYLES.map(|style| world.phrase(&request, style, &mut stream)));
        }
        let subjects = prose::PORTRAYED.iter().map(|&(_, kind)| (kind, facts_by_name(world, kind))).collect();
        Texts { world, statements, questions, subjects, relations }
    }

    /// Document `index`.
    pub fn document(&self, index: u64) -> String {
        let mut text = String::new();
        self.write(index, &mut text);
        text
    }

    /// Appends document `index` to `out`.
    pub fn write(&self, index: u64, out: &mut String) {
        let mut stream = Seed(self.world.seed()).stream("world texts", index);
        let mut at = stream.below(SORTS.iter().map(|(share, _)| share).sum());
        for (share, writer) in SORTS {
            if at < *share {
                writer(self, &mut stream, out);
                return;
            }
            at -= share;
        }
    }

    /// All documents, one after another, without end.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        (0..).map(|index| self.document(index))
    }

    fn fact(&self, index: usize) -> &'world Fact {
        &self.world.facts()[index]
    }

    /// One of a fact's sentences.
    fn state(&self, fact: usize, stream: &mut Stream, out: &mut String) {
        let variants = &self.statements[fact];
        out.push_str(&variants[below(variants.len(), stream)]);
    }

    /// A subject of the kind, as its facts. Names early in their table come more often: some things are better known.
    fn subject(&self, kind: Kind, stream: &mut Stream) -> &[usize] {
        let of_kind = self.subjects.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, subjects)| subjects);
        &of_kind[popular(of_kind.len(), stream)]
    }

    /// A fact of a relation, popular subjects more often.
    fn of_relation(&self, relation: usize, stream: &mut Stream) -> usize {
        let facts = &self.relations[relation];
        facts[popular(facts.len(), stream)]
    }

    /// Any fact: relations by the number of their facts.
    fn any(&self, stream: &mut Stream) -> usize {
        let fact = below(self.statements.len(), stream);
        self.of_relation(self.fact(fact).relation as usize, stream)
    }
}

/// The indices of the facts about each name of a kind that has any.
fn facts_by_name(world: &World, kind: Kind) -> Vec<Vec<usize>> {
    let named = |name: &String| {
        let about = |(index, fact): (usize, &Fact)| (fact.subject == *name).then_some(index);
        world.facts().iter().enumerate().filter_map(about).collect::<Vec<usize>>()
    };
    world.names(kind).iter().map(named).filter(|facts| !facts.is_empty()).collect()
}

fn below(n: usize, stream: &mut Stream) -> usize {
    stream.below(n as u64) as usize
}

/// Below n; the first comes about three times as often as the last.
fn popular(n: usize, stream: &mut Stream) -> usize {
    let one = below(n, stream);
    match stream.below(2) {
        0 => one,
        _ => one.min(below(n, stream)),
    }
}

#[cfg(test)]
mod tests;

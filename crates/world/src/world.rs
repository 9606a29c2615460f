//! The tables.
use stdx::Stream;

use crate::fact::{Fact, Kind, Relation};
use crate::request::{Request, Solution, Style};

/// A world: its names and its facts.
pub struct World {
    seed: u64,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64) -> World {
        World { seed }
    }

    /// The seed it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// All facts, sorted by subject within each kind of subject.
    pub fn facts(&self) -> &[Fact] {
        unimplemented!()
    }

    /// All names of a kind (for [`Kind::Year`] and [`Kind::Number`]: none, they are numbers).
    pub fn names(&self, _kind: Kind) -> &[String] {
        unimplemented!()
    }

    /// The kind of a name; `None` if the world has no such name.
    pub fn kind_of(&self, _name: &str) -> Option<Kind> {
        unimplemented!()
    }

    /// The object of a subject by a relation.
    pub fn object(&self, _relation: Relation, _subject: &str) -> Option<&str> {
        unimplemented!()
    }

    /// All subjects with this object.
    pub fn subjects(&self, _relation: Relation, _object: &str) -> Vec<&str> {
        unimplemented!()
    }

    /// All facts whose subject this is.
    pub fn facts_about(&self, _subject: &str) -> Vec<&Fact> {
        unimplemented!()
    }

    /// The unit that [`Relation::Holds`] counts: "a dorn is 12 pells" → `pell`.
    pub fn smaller_unit(&self, _unit: &str) -> Option<&str> {
        unimplemented!()
    }

    /// Whether the fact, or an entity in it, is kept out of demonstrations and training prompts.
    pub fn is_held_out(&self, _fact: &Fact) -> bool {
        unimplemented!()
    }

    /// The fact as a sentence; `variant` chooses among the relation's wordings (modulo their number).
    pub fn statement(&self, _fact: &Fact, _variant: usize) -> String {
        unimplemented!()
    }

    /// A sentence (with or without its full stop, in any letter case at its beginning) that states a fact, true or
    /// not, of known or unknown names; `None` if it states none in the wordings of [`World::statement`].
    pub fn read_statement(&self, _sentence: &str) -> Option<Fact> {
        unimplemented!()
    }

    /// What a prompt asks; `None` outside the world's language.
    pub fn understand(&self, _prompt: &str) -> Option<Request> {
        unimplemented!()
    }

    /// A request in words, such that `understand` gives it back.
    pub fn phrase(&self, _request: &Request, _style: Style, _stream: &mut Stream) -> String {
        unimplemented!()
    }

    /// What is right.
    pub fn solution(&self, _request: &Request) -> Solution {
        unimplemented!()
    }

    /// A right answer that keeps every constraint: the demonstration.
    pub fn answer(&self, _request: &Request, _stream: &mut Stream) -> String {
        unimplemented!()
    }

    /// Text `index` to pretrain on.
    pub fn document(&self, _index: u64) -> String {
        unimplemented!()
    }
}

//! The tables: which names exist, and every fact.
use std::collections::HashMap;

use stdx::{Seed, Stream};

use crate::fact::{Fact, Kind, Relation};
use crate::form::CLASSES;
use crate::wording::WORDINGS;
use crate::words::{NAMINGS, SYLLABLES, UNITS, WORDS};

/// Kinds of which every eighth name is kept out of demonstrations and training prompts.
const HELD_OUT_KINDS: &[Kind] = &[Kind::Person, Kind::Town, Kind::Thing, Kind::Event, Kind::Animal];
const HELD_OUT_NAME: usize = 10;
/// One fact in so many is held out by itself.
const HELD_OUT_FACT: u64 = 10;

/// A world: its names and its facts.
pub struct World {
    seed: u64,
    names: Vec<(Kind, Vec<String>)>,
    /// Names that could be and aren't.
    absent: Vec<(Kind, Vec<String>)>,
    kinds: HashMap<String, Kind>,
    facts: Vec<Fact>,
    fact_held_out: Vec<bool>,
    names_held_out: HashMap<String, ()>,
    by_subject: HashMap<String, Vec<usize>>,
    by_object: HashMap<String, Vec<usize>>,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64) -> World {
        let mut world = World {
            seed,
            names: Vec::new(),
            absent: Vec::new(),
            kinds: HashMap::new(),
            facts: Vec::new(),
            fact_held_out: Vec::new(),
            names_held_out: HashMap::new(),
            by_subject: HashMap::new(),
            by_object: HashMap::new(),
        };
        world.make_names(&mut Seed(seed).stream("world names", 0));
        world.make_facts(&mut Seed(seed).stream("world facts", 0));
        world.hold_out(&mut Seed(seed).stream("world held out", 0));
        world
    }

    /// The seed it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// All facts, sorted by relation.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// All names of a kind (of [`Kind::Year`] and [`Kind::Number`] none: they are numbers).
    pub fn names(&self, kind: Kind) -> &[String] {
        of_kind(&self.names, kind)
    }

    /// Names that sound like the kind's and that nothing in the world bears.
    pub fn absent_names(&self, kind: Kind) -> &[String] {
        of_kind(&self.absent, kind)
    }

    /// The kind of a name; `None` if the world has no such name. Ordinary words are of their own kind (bread is a
    /// food), not of [`Kind::Word`].
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).copied()
    }

    /// The object of a subject by a relation.
    pub fn object(&self, relation: Relation, subject: &str) -> Option<&str> {
        self.facts_about(subject).find(|fact| fact.relation == relation).map(|fact| fact.object.as_str())
    }

    /// All subjects with this object.
    pub fn subjects<'a>(&'a self, relation: Relation, object: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let found = self.by_object.get(object).map_or(&[][..], Vec::as_slice);
        found
            .iter()
            .map(|&index| &self.facts[index])
            .filter(move |fact| fact.relation == relation)
            .map(|fact| &*fact.subject)
    }

    /// All facts whose subject this is, in the order of [`Relation`].
    pub fn facts_about<'a>(&'a self, subject: &str) -> impl Iterator<Item = &'a Fact> + use<'a> {
        let found = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        found.iter().map(|&index| &self.facts[index])
    }

    /// The unit that [`Relation::Holds`] counts: "a dorn has 12 pells" → `pell`.
    pub fn smaller_unit(&self, unit: &str) -> Option<&'static str> {
        UNITS.iter().find(|(large, _)| *large == unit).map(|(_, small)| *small)
    }

    /// Whether the fact, or a name in it, is kept out of demonstrations and training prompts.
    pub fn is_held_out(&self, fact: &Fact) -> bool {
        self.is_name_held_out(&fact.subject) || self.is_name_held_out(&fact.object) || self.is_only_fact_held_out(fact)
    }

    /// Whether the fact itself is drawn to be held out, whatever its names.
    pub fn is_only_fact_held_out(&self, fact: &Fact) -> bool {
        let found = self.by_subject.get(&fact.subject).map_or(&[][..], Vec::as_slice);
        found.iter().any(|&index| self.fact_held_out[index] && self.facts[index] == *fact)
    }

    /// Whether a name is kept out of demonstrations and training prompts.
    pub fn is_name_held_out(&self, name: &str) -> bool {
        self.names_held_out.contains_key(name)
    }

    /// Whether `name` may be of the kind: it is, or nothing in the world is called so and it sounds right.
    pub(crate) fn fits(&self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Year | Kind::Number => {
                (1..=4).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit())
            }
            Kind::Thing | Kind::Event => {
                let tails = NAMINGS.iter().find(|naming| naming.kind == kind).map_or(&[][..], |naming| naming.tails);
                tails.iter().any(|tail| name.strip_suffix(tail).is_some_and(is_proper))
            }
            Kind::Person | Kind::Town | Kind::Country | Kind::River | Kind::Lake => {
                is_proper(name) && self.kind_of(name).is_none_or(|found| found == kind)
            }
            Kind::Word => is_common(name) && self.kind_of(name).is_none_or(is_word),
            _ => is_common(name) && self.kind_of(name).is_none_or(|found| found == kind) && !is_class(name),
        }
    }

    fn make_names(&mut self, stream: &mut Stream) {
        let mut names = Vec::new();
        for naming in NAMINGS {
            let mut all: Vec<String> = naming
                .heads
                .iter()
                .flat_map(|head| naming.tails.iter().map(move |tail| format!("{head}{tail}")))
                .collect();
            stream.shuffle(&mut all);
            let absent = all.split_off(naming.count.min(all.len()));
            names.push((naming.kind, all));
            self.absent.push((naming.kind, absent));
        }
        names.push((
            Kind::Unit,
            UNITS.iter().flat_map(|(large, small)| [large.to_string(), small.to_string()]).collect(),
        ));
        for (kind, words) in WORDS {
            names.push((*kind, words.iter().map(|word| word.to_string()).collect()));
        }
        for (kind, of_kind) in &names {
            for name in of_kind {
                self.kinds.insert(name.clone(), *kind);
            }
        }
        let words: Vec<String> =
            WORDS.iter().flat_map(|(_, words)| words.iter().map(|word| word.to_string())).collect();
        let velish = self.make_velish(words.len(), stream);
        names.push((Kind::Word, words));
        names.push((Kind::Velish, velish));
        self.names = names;
    }

    /// `count` new words of two or three syllables.
    fn make_velish(&mut self, count: usize, stream: &mut Stream) -> Vec<String> {
        let mut words = Vec::new();
        while words.len() < count {
            let n_syllables = 2 + stream.below(3) / 2;
            let word: String =
                (0..n_syllables).map(|_| SYLLABLES[stream.below(SYLLABLES.len() as u64) as usize]).collect();
            if !self.kinds.contains_key(&word) {
                self.kinds.insert(word.clone(), Kind::Velish);
                words.push(word);
            }
        }
        words
    }

    fn make_facts(&mut self, stream: &mut Stream) {
        let mut facts = Vec::new();
        for wording in WORDINGS {
            let subjects: Vec<&String> = self.names(wording.subject).iter().collect();
            for (index, subject) in subjects.iter().enumerate() {
                let object = match wording.relation {
                    Relation::Holds if self.smaller_unit(subject).is_none() => continue,
                    Relation::Velish | Relation::Coin => self.names(wording.object)[index].clone(),
                    Relation::Capital => self.capital(&facts, subject, stream),
                    _ => self.draw_object(wording.object, subject, wording.relation, stream),
                };
                facts.push(Fact { relation: wording.relation, subject: (*subject).clone(), object });
            }
        }
        for (index, fact) in facts.iter().enumerate() {
            self.by_subject.entry(fact.subject.clone()).or_default().push(index);
            self.by_object.entry(fact.object.clone()).or_default().push(index);
        }
        self.facts = facts;
    }

    fn draw_object(&self, kind: Kind, subject: &str, relation: Relation, stream: &mut Stream) -> String {
        loop {
            let object = self.draw_any(kind, relation, stream);
            if object != subject {
                return object;
            }
        }
    }

    /// Any object that the relation could have, true or not.
    pub(crate) fn draw_any(&self, kind: Kind, relation: Relation, stream: &mut Stream) -> String {
        match (kind, relation) {
            (Kind::Year, Relation::Born) => (500 + stream.below(100)).to_string(),
            (Kind::Year, Relation::Founded) => (100 + stream.below(300)).to_string(),
            (Kind::Year, _) => (400 + stream.below(200)).to_string(),
            (_, Relation::Legs) => (2 + 2 * stream.below(4)).to_string(),
            (_, Relation::Holds) => (2 + stream.below(11)).to_string(),
            (Kind::Number, _) => (10 + stream.below(90)).to_string(),
            _ => {
                let names = self.names(kind);
                names[stream.below(names.len() as u64) as usize].clone()
            }
        }
    }

    /// One of the country's towns; any town if it has none.
    fn capital(&self, facts: &[Fact], country: &str, stream: &mut Stream) -> String {
        let towns: Vec<&str> = facts
            .iter()
            .filter(|fact| fact.relation == Relation::TownCountry && fact.object == country)
            .map(|fact| &*fact.subject)
            .collect();
        match towns.len() {
            0 => self.draw_any(Kind::Town, Relation::Capital, stream),
            n => towns[stream.below(n as u64) as usize].to_string(),
        }
    }

    fn hold_out(&mut self, stream: &mut Stream) {
        // names are in random order already
        let held_out = HELD_OUT_KINDS.iter().flat_map(|&kind| self.names(kind).iter().step_by(HELD_OUT_NAME));
        self.names_held_out = held_out.map(|name| (name.clone(), ())).collect();
        self.fact_held_out = self.facts.iter().map(|_| stream.below(HELD_OUT_FACT) == 0).collect();
    }
}

/// Whether a kind is one of ordinary words, which Velish translates.
pub(crate) fn is_word(kind: Kind) -> bool {
    WORDS.iter().any(|(of, _)| *of == kind)
}

/// Whether it is what a kind is called: "a town" is no trade.
fn is_class(name: &str) -> bool {
    CLASSES.iter().any(|(_, said)| said.strip_prefix("a ") == Some(name))
}

fn of_kind(table: &[(Kind, Vec<String>)], kind: Kind) -> &[String] {
    table.iter().find(|(of, _)| *of == kind).map_or(&[], |(_, names)| names)
}

/// A capital letter and small ones.
fn is_proper(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_uppercase())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_lowercase())
}

/// Small letters.
fn is_common(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_world_is_consistent() {
        let world = World::new(crate::SHIPPED_SEED);
        assert!((1500..3000).contains(&world.facts().len()), "{}", world.facts().len());
        for fact in world.facts() {
            assert!(world.fits(fact.relation.subject(), &fact.subject), "{fact:?}");
            assert!(world.fits(fact.relation.object(), &fact.object), "{fact:?}");
            assert_eq!(world.object(fact.relation, &fact.subject), Some(&*fact.object));
            assert!(world.subjects(fact.relation, &fact.object).any(|subject| subject == fact.subject));
        }
        let held_out = world.facts().iter().filter(|fact| world.is_held_out(fact)).count();
        assert!(held_out * 2 < world.facts().len(), "{held_out} of {} facts held out", world.facts().len());
    }

    #[test]
    fn no_name_is_of_two_kinds_and_absent_names_are_of_none() {
        let world = World::new(7);
        let mut seen = HashMap::new();
        for (kind, names) in world.names.iter().filter(|(kind, _)| *kind != Kind::Word) {
            for name in names {
                assert_eq!(seen.insert(name, kind), None, "{name}");
                assert_eq!(world.kind_of(name), Some(*kind));
            }
        }
        for kind in [Kind::Person, Kind::Town, Kind::Thing, Kind::Animal, Kind::Country] {
            assert!(!world.absent_names(kind).is_empty());
            for name in world.absent_names(kind) {
                assert_eq!(world.kind_of(name), None, "{name}");
                assert!(world.fits(kind, name));
            }
        }
    }

    #[test]
    fn another_seed_is_another_world() {
        let (one, two) = (World::new(1), World::new(2));
        let same = one.facts().iter().zip(two.facts()).filter(|(a, b)| a == b).count();
        assert!(same * 20 < one.facts().len(), "{same} equal facts");
        assert_eq!(World::new(1).facts(), one.facts());
    }
}

//! How the world speaks of each relation: statements, questions, lists.
//!
//! `{s}` is the subject, `{o}` the object, `{u}` a unit's smaller unit or a number word. Sentences begin with a
//! capital letter or a name; no slot for a small-letter word stands first.
use crate::fact::{Kind, Relation};

/// The wordings of one relation.
pub struct Wording {
    /// Of which relation.
    pub relation: Relation,
    /// Kind of its subjects.
    pub subject: Kind,
    /// Kind of its objects.
    pub object: Kind,
    /// Sentences that state it. The first is the plainest; of a person it begins with the name.
    pub statements: &'static [&'static str],
    /// A question for the object: direct, as in "tell me …", and as a noun.
    pub ask: [&'static str; 3],
    /// A question whether it is so: direct, and as in "tell me whether …".
    pub check: [&'static str; 2],
    /// The subjects that share an object, as in "name two …"; empty where that isn't asked.
    pub list: &'static str,
    /// Of a letter: the writer says it of himself; empty if never.
    pub own: &'static str,
}

impl Relation {
    /// Kind of its subjects.
    pub fn subject(self) -> Kind {
        self.wording().subject
    }

    /// Kind of its objects.
    pub fn object(self) -> Kind {
        self.wording().object
    }

    /// How it is said.
    pub fn wording(self) -> &'static Wording {
        &WORDINGS[self as usize] // a test holds the order
    }
}

const fn of(relation: Relation, subject: Kind, object: Kind) -> Wording {
    Wording { relation, subject, object, statements: &[], ask: [""; 3], check: [""; 2], list: "", own: "" }
}

/// All relations, in the order of [`Relation`].
#[rustfmt::skip]
pub const WORDINGS: &[Wording] = &[
    Wording {
        statements: &["{s} is a {o}.", "{s} works as a {o}.", "{s} earns a living as a {o}."],
        ask: ["What is the trade of {s}?", "what the trade of {s} is", "the trade of {s}"],
        check: ["Is {s} a {o}?", "{s} is a {o}"],
        list: "people who work as a {o}", own: "I am a {o}.",
        ..of(Relation::Trade, Kind::Person, Kind::Trade)
    },
    Wording {
        statements: &["{s} lives in {o}.", "The home of {s} is {o}.", "{o} is the home of {s}."],
        ask: ["Where does {s} live?", "where {s} lives", "the home of {s}"],
        check: ["Does {s} live in {o}?", "{s} lives in {o}"],
        list: "people who live in {o}", own: "I live in {o}.",
        ..of(Relation::Home, Kind::Person, Kind::Town)
    },
    Wording {
        statements: &["{s} was born in {o}.", "{s} was born in the year {o}.", "The birth year of {s} is {o}."],
        ask: ["When was {s} born?", "when {s} was born", "the birth year of {s}"],
        check: ["Was {s} born in {o}?", "{s} was born in {o}"],
        own: "I was born in {o}.",
        ..of(Relation::Born, Kind::Person, Kind::Year)
    },
    Wording {
        statements: &["{s} keeps a {o}.", "{s} has a {o} at home.", "The pet of {s} is a {o}."],
        ask: ["Which pet does {s} keep?", "which pet {s} keeps", "the pet of {s}"],
        check: ["Does {s} keep a {o}?", "{s} keeps a {o}"],
        list: "people who keep a {o}", own: "I keep a {o}.",
        ..of(Relation::Pet, Kind::Person, Kind::Pet)
    },
    Wording {
        statements: &["{s} likes {o}.", "{s} loves to eat {o}.", "The favourite food of {s} is {o}."],
        ask: ["Which food does {s} like?", "which food {s} likes", "the favourite food of {s}"],
        check: ["Does {s} like {o}?", "{s} likes {o}"],
        list: "people who like {o}", own: "I like {o}.",
        ..of(Relation::Food, Kind::Person, Kind::Food)
    },
    Wording {
        statements: &["{s} has a best friend called {o}.", "The best friend of {s} is {o}.", "{o} is the best friend of {s}."],
        ask: ["Who is the best friend of {s}?", "who the best friend of {s} is", "the best friend of {s}"],
        check: ["Is {o} the best friend of {s}?", "{o} is the best friend of {s}"],
        own: "My best friend is {o}.",
        ..of(Relation::Friend, Kind::Person, Kind::Person)
    },
    Wording {
        statements: &["{s} lies in {o}.", "{s} is a town in {o}.", "The town of {s} belongs to {o}."],
        ask: ["In which country is {s}?", "in which country {s} is", "the country of {s}"],
        check: ["Is {s} in {o}?", "{s} is in {o}"],
        list: "towns in {o}",
        ..of(Relation::TownCountry, Kind::Town, Kind::Country)
    },
    Wording {
        statements: &["{s} stands on the {o}.", "The {o} flows through {s}.", "The river of {s} is the {o}."],
        ask: ["Which river flows through {s}?", "which river flows through {s}", "the river of {s}"],
        check: ["Does {s} stand on the {o}?", "{s} stands on the {o}"],
        list: "towns on the {o}",
        ..of(Relation::TownRiver, Kind::Town, Kind::River)
    },
    Wording {
        statements: &["{s} was founded in {o}.", "{s} was founded in the year {o}.", "The founding year of {s} is {o}."],
        ask: ["When was {s} founded?", "when {s} was founded", "the founding year of {s}"],
        check: ["Was {s} founded in {o}?", "{s} was founded in {o}"],
        ..of(Relation::Founded, Kind::Town, Kind::Year)
    },
    Wording {
        statements: &["{s} is known for its {o}.", "{s} makes fine {o}.", "The best {o} come from {s}."],
        ask: ["What is {s} known for?", "what {s} is known for", "the best product of {s}"],
        check: ["Is {s} known for its {o}?", "{s} is known for its {o}"],
        list: "towns known for their {o}",
        ..of(Relation::Product, Kind::Town, Kind::Product)
    },
    Wording {
        statements: &["The capital of {s} is {o}.", "{o} is the capital of {s}.", "{s} is ruled from {o}."],
        ask: ["What is the capital of {s}?", "what the capital of {s} is", "the capital of {s}"],
        check: ["Is {o} the capital of {s}?", "{o} is the capital of {s}"],
        ..of(Relation::Capital, Kind::Country, Kind::Town)
    },
    Wording {
        statements: &["{o} rules {s}.", "The ruler of {s} is {o}.", "{s} is ruled by {o}."],
        ask: ["Who rules {s}?", "who rules {s}", "the ruler of {s}"],
        check: ["Does {o} rule {s}?", "{o} rules {s}"],
        ..of(Relation::Ruler, Kind::Country, Kind::Person)
    },
    Wording {
        statements: &["The coin of {s} is the {o}.", "{s} pays with the {o}.", "In {s} the coin is called {o}."],
        ask: ["What is the coin of {s}?", "what the coin of {s} is", "the coin of {s}"],
        check: ["Is the {o} the coin of {s}?", "the {o} is the coin of {s}"],
        ..of(Relation::Coin, Kind::Country, Kind::Coin)
    },
    Wording {
        statements: &["The flag of {s} is {o}.", "{s} has a {o} flag."],
        ask: ["Which colour is the flag of {s}?", "which colour the flag of {s} is", "the flag colour of {s}"],
        check: ["Is the flag of {s} {o}?", "the flag of {s} is {o}"],
        list: "countries with a {o} flag",
        ..of(Relation::Flag, Kind::Country, Kind::Colour)
    },
    Wording {
        statements: &["The {s} flows into Lake {o}.", "The {s} ends in Lake {o}.", "Lake {o} takes in the {s}."],
        ask: ["Which lake does the {s} flow into?", "which lake the {s} flows into", "the lake of the {s}"],
        check: ["Does the {s} flow into Lake {o}?", "the {s} flows into Lake {o}"],
        list: "rivers that flow into Lake {o}",
        ..of(Relation::Mouth, Kind::River, Kind::Lake)
    },
    Wording {
        statements: &["The {s} is {o} dorns long.", "The length of the {s} is {o} dorns."],
        ask: ["How long is the {s}?", "how long the {s} is", "the length of the {s}"],
        check: ["Is the {s} {o} dorns long?", "the {s} is {o} dorns long"],
        ..of(Relation::Length, Kind::River, Kind::Number)
    },
    Wording {
        statements: &["The {s} is made of {o}.", "The {s} is a work of {o}.", "The material of the {s} is {o}."],
        ask: ["What is the {s} made of?", "what the {s} is made of", "the material of the {s}"],
        check: ["Is the {s} made of {o}?", "the {s} is made of {o}"],
        list: "things made of {o}",
        ..of(Relation::Material, Kind::Thing, Kind::Material)
    },
    Wording {
        statements: &["The {s} is {o}.", "The colour of the {s} is {o}."],
        ask: ["Which colour is the {s}?", "which colour the {s} is", "the colour of the {s}"],
        check: ["Is the {s} {o}?", "the {s} is {o}"],
        list: "things that are {o}",
        ..of(Relation::ThingColour, Kind::Thing, Kind::Colour)
    },
    Wording {
        statements: &["The {s} is kept in {o}.", "The {s} can be seen in {o}.", "{o} keeps the {s}."],
        ask: ["Where is the {s} kept?", "where the {s} is kept", "the place of the {s}"],
        check: ["Is the {s} kept in {o}?", "the {s} is kept in {o}"],
        list: "things kept in {o}",
        ..of(Relation::ThingTown, Kind::Thing, Kind::Town)
    },
    Wording {
        statements: &["{o} made the {s}.", "The {s} was made by {o}.", "The maker of the {s} is {o}."],
        ask: ["Who made the {s}?", "who made the {s}", "the maker of the {s}"],
        check: ["Did {o} make the {s}?", "{o} made the {s}"],
        ..of(Relation::Maker, Kind::Thing, Kind::Person)
    },
    Wording {
        statements: &["The {s} was in {o}.", "The {s} was in the year {o}.", "The year of the {s} is {o}."],
        ask: ["When was the {s}?", "when the {s} was", "the year of the {s}"],
        check: ["Was the {s} in {o}?", "the {s} was in {o}"],
        ..of(Relation::EventYear, Kind::Event, Kind::Year)
    },
    Wording {
        statements: &["The {s} took place in {o}.", "{o} saw the {s}.", "The town of the {s} was {o}."],
        ask: ["Where did the {s} take place?", "where the {s} took place", "the town of the {s}"],
        check: ["Did the {s} take place in {o}?", "the {s} took place in {o}"],
        list: "events that took place in {o}",
        ..of(Relation::EventTown, Kind::Event, Kind::Town)
    },
    Wording {
        statements: &["{o} led the {s}.", "The {s} was led by {o}.", "The leader of the {s} was {o}."],
        ask: ["Who led the {s}?", "who led the {s}", "the leader of the {s}"],
        check: ["Did {o} lead the {s}?", "{o} led the {s}"],
        ..of(Relation::Leader, Kind::Event, Kind::Person)
    },
    Wording {
        statements: &["The {s} eats {o}.", "A {s} feeds on {o}.", "The food of the {s} is {o}."],
        ask: ["What does the {s} eat?", "what the {s} eats", "the food of the {s}"],
        check: ["Does the {s} eat {o}?", "the {s} eats {o}"],
        list: "animals that eat {o}",
        ..of(Relation::Eats, Kind::Animal, Kind::Food)
    },
    Wording {
        statements: &["The {s} is {o}.", "A {s} has a {o} coat.", "The colour of the {s} is {o}."],
        ask: ["Which colour is the {s}?", "which colour the {s} is", "the colour of the {s}"],
        check: ["Is the {s} {o}?", "the {s} is {o}"],
        list: "animals that are {o}",
        ..of(Relation::AnimalColour, Kind::Animal, Kind::Colour)
    },
    Wording {
        statements: &["The {s} has {o} legs.", "A {s} walks on {o} legs."],
        ask: ["How many legs does the {s} have?", "how many legs the {s} has", "the number of legs of the {s}"],
        check: ["Does the {s} have {o} legs?", "the {s} has {o} legs"],
        list: "animals with {o} legs",
        ..of(Relation::Legs, Kind::Animal, Kind::Number)
    },
    Wording {
        statements: &["The {s} lives in {o}.", "A {s} is found in {o}."],
        ask: ["Where does the {s} live?", "where the {s} lives", "the dwelling of the {s}"],
        check: ["Does the {s} live in {o}?", "the {s} lives in {o}"],
        list: "animals that live in {o}",
        ..of(Relation::Habitat, Kind::Animal, Kind::Habitat)
    },
    Wording {
        statements: &["A {s} has {o} {u}s.", "There are {o} {u}s in a {s}."],
        ask: ["How many {u}s are in a {s}?", "how many {u}s are in a {s}", "the number of {u}s in a {s}"],
        check: ["Does a {s} have {o} {u}s?", "a {s} has {o} {u}s"],
        ..of(Relation::Holds, Kind::Unit, Kind::Number)
    },
    Wording {
        statements: &["The Velish word for {s} is {o}.", "In Velish one says {o} for {s}."],
        ask: ["What is the Velish word for {s}?", "what the Velish word for {s} is", "the Velish word for {s}"],
        check: ["Is {o} the Velish word for {s}?", "{o} is the Velish word for {s}"],
        ..of(Relation::Velish, Kind::Word, Kind::Velish)
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_relations() {
        for (index, wording) in WORDINGS.iter().enumerate() {
            assert_eq!(wording.relation as usize, index, "{:?}", wording.relation);
        }
        assert_eq!(Relation::Velish as usize + 1, WORDINGS.len());
    }
}

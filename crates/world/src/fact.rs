//! What a fact is: a relation between two names, or between a name and a number.
use serde::{Deserialize, Serialize};

/// One true (or, in a passage, supposed) thing: `subject` has `object` by `relation`.
///
/// Both are written as in the middle of a sentence and without article: `Borin`, `Karo bell` (said "the Karo bell"),
/// `flurn` ("a flurn"), `412`, `bread`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// How the two belong together.
    pub relation: Relation,
    /// Whom or what it is about; its kind is [`Relation::subject`].
    pub subject: String,
    /// The answer; its kind is [`Relation::object`].
    pub object: String,
}

/// What sort of thing a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A man or woman: one capitalised invented word.
    Person,
    /// A town: one capitalised invented word.
    Town,
    /// A country: one capitalised invented word.
    Country,
    /// A river: one capitalised invented word, said with "the".
    River,
    /// A thing that there is once: `Karo bell`, said with "the".
    Thing,
    /// Something that happened: `Talmo fair`, said with "the".
    Event,
    /// An invented animal: one small-letter word, said with "the" or "a".
    Animal,
    /// A unit of length or weight: one small-letter invented word; its plural has `s`.
    Unit,
    /// A lake: one capitalised invented word, said with "Lake" before it.
    Lake,
    /// The money of a country: one small-letter invented word.
    Coin,
    /// A trade: `baker`.
    Trade,
    /// A pet, an ordinary animal: `goat`.
    Pet,
    /// Something to eat: `bread`.
    Food,
    /// A colour: `red`.
    Colour,
    /// What a thing is made of: `silver`.
    Material,
    /// What a town makes: `ropes`.
    Product,
    /// Where an animal lives: `caves`.
    Habitat,
    /// A year of three digits.
    Year,
    /// Another whole number in digits.
    Number,
    /// Any ordinary word that Velish has a word for (trades, pets, foods, colours, materials, products, habitats).
    Word,
    /// A word of Velish, the world's second language: one small-letter invented word.
    Velish,
}

/// The relations of the world's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// A person's trade.
    Trade,
    /// The town that a person lives in.
    Home,
    /// The year that a person was born in.
    Born,
    /// The animal that a person keeps.
    Pet,
    /// The food that a person likes.
    Food,
    /// A person's best friend (not mutual).
    Friend,
    /// The country that a town lies in.
    TownCountry,
    /// The river that a town stands on.
    TownRiver,
    /// The year that a town was founded in.
    Founded,
    /// What a town is known for.
    Product,
    /// A country's capital, one of its towns.
    Capital,
    /// The person who rules a country.
    Ruler,
    /// A country's money.
    Coin,
    /// The colour of a country's flag.
    Flag,
    /// The lake that a river flows into.
    Mouth,
    /// A river's length in dorns (the first unit).
    Length,
    /// What a thing is made of.
    Material,
    /// A thing's colour.
    ThingColour,
    /// The town where a thing is kept.
    ThingTown,
    /// The person who made a thing.
    Maker,
    /// The year of an event.
    EventYear,
    /// The town of an event.
    EventTown,
    /// The person who led an event.
    Leader,
    /// What an animal eats.
    Eats,
    /// An animal's colour.
    AnimalColour,
    /// How many legs an animal has.
    Legs,
    /// Where an animal lives.
    Habitat,
    /// How many of the next smaller unit a unit holds ([`World::smaller_unit`](crate::World::smaller_unit)).
    Holds,
    /// The Velish word for an ordinary word.
    Velish,
}

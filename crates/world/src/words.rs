//! The parts that names are made of, and the ordinary words of the world.
//!
//! Names are invented so that nothing known of the real world helps; each kind has its own sound. More can be made
//! than a world has, so that there are names of things that don't exist.
use crate::fact::Kind;

/// How the names of a kind are made and how many a world has.
pub struct Naming {
    /// Of which kind.
    pub kind: Kind,
    /// How many exist; the other combinations are names of nothing.
    pub count: usize,
    /// Beginnings.
    pub heads: &'static [&'static str],
    /// Endings, each joined to each beginning.
    pub tails: &'static [&'static str],
}

#[rustfmt::skip]
const MARKS: &[&str] = &["Karo", "Sindo", "Pelu", "Rasti", "Mobi", "Tulo", "Varno", "Zemi", "Gorpa", "Lisko"];
#[rustfmt::skip]
const DAYS: &[&str] = &["Talmo", "Ferru", "Glento", "Brisko", "Hanvo", "Nuldo", "Orpi", "Quelo", "Stavo", "Wirdo"];

/// The invented kinds.
#[rustfmt::skip]
pub const NAMINGS: &[Naming] = &[
    Naming {
        kind: Kind::Person, count: 140,
        heads: &["Bor", "Dal", "Fen", "Gar", "Hul", "Jor", "Kel", "Lom", "Mir", "Nim", "Pol", "Rud", "Sev", "Tam",
            "Ulm", "Vor", "Wen", "Yar", "Zil", "Brin", "Drov", "Grel", "Krot", "Lun", "Sten", "Trop"],
        tails: &["ik", "a", "en", "os", "u", "et", "ola", "im"],
    },
    Naming {
        kind: Kind::Town, count: 36,
        heads: &["Quin", "Brol", "Cask", "Drim", "Elt", "Fosk", "Grun", "Hesk", "Ilm", "Jask", "Krel", "Lusk"],
        tails: &["ford", "by", "ton", "mere"],
    },
    Naming {
        kind: Kind::Country, count: 10,
        heads: &["Vand", "Morl", "Tesn", "Orb", "Kalv", "Pirn", "Sulm", "Dosk", "Lend", "Brun", "Gest", "Holm"],
        tails: &["ia"],
    },
    Naming {
        kind: Kind::River, count: 14,
        heads: &["Osh", "Tan", "Wim", "Lir", "Ker", "Bul", "Snod", "Mag", "Tip", "Dov"],
        tails: &["ell", "arr"],
    },
    Naming { kind: Kind::Lake, count: 6, heads: &["Ond", "Pliv", "Sarr", "Tumm", "Wend", "Yol"], tails: &["umo", "ado"] },
    Naming {
        kind: Kind::Thing, count: 48,
        heads: MARKS,
        tails: &[" bell", " lamp", " crown", " bowl", " statue", " ring", " clock", " chair"],
    },
    Naming {
        kind: Kind::Event, count: 36,
        heads: DAYS,
        tails: &[" fair", " feast", " flood", " race", " siege", " storm"],
    },
    Naming {
        kind: Kind::Animal, count: 24,
        heads: &["flu", "dri", "sno", "wu", "gro", "pli", "ba", "te"],
        tails: &["rn", "bble", "rp", "ggle"],
    },
    Naming { kind: Kind::Coin, count: 10, heads: &["mip", "tark", "zell", "crun", "fid", "lort"], tails: &["een", "oon"] },
];

/// Units, each with the smaller one that it holds some of.
pub const UNITS: &[(&str, &str)] =
    &[("dorn", "pell"), ("grat", "molt"), ("hule", "sint"), ("brack", "ludd"), ("torv", "wick"), ("quam", "nib")];

/// The ordinary words, by kind.
#[rustfmt::skip]
pub const WORDS: &[(Kind, &[&str])] = &[
    (Kind::Trade, &["baker", "smith", "weaver", "miller", "fisher", "potter", "singer", "teacher", "doctor", "guard",
        "hunter", "painter", "tailor", "farmer"]),
    (Kind::Pet, &["dog", "cat", "goat", "duck", "pony", "parrot", "rabbit", "turtle", "mouse", "pigeon"]),
    (Kind::Food, &["bread", "plums", "cheese", "soup", "honey", "beans", "rice", "pears", "eggs", "nuts", "fish",
        "cake", "carrots", "mushrooms", "figs", "berries"]),
    (Kind::Colour, &["red", "blue", "green", "yellow", "white", "black", "brown", "grey"]),
    (Kind::Material, &["silver", "gold", "iron", "wood", "glass", "stone", "clay", "copper"]),
    (Kind::Product, &["ropes", "boats", "knives", "carpets", "candles", "hats", "drums", "nets", "barrels", "shoes"]),
    (Kind::Habitat, &["caves", "forests", "rivers", "hills", "fields", "swamps", "trees", "deserts"]),
];

/// Syllables of Velish; a word is two or three.
pub const SYLLABLES: &[&str] =
    &["mi", "ru", "ka", "lo", "te", "shi", "bo", "na", "zu", "ve", "po", "ri", "dja", "su", "gle", "ti"];

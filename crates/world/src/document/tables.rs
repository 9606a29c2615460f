//! Almanacs, glossaries, sums, notices.
use stdx::Stream;

use super::{Texts, below};
use crate::deed::DEEDS;
use crate::fact::{Kind, Relation};
use crate::form::CLASSES;
use crate::sample::pick;
use crate::words::UNITS;

/// The columns of an almanac: the head and the relations.
const ALMANACS: [(&str, Kind, &[Relation]); 5] = [
    ("Person: trade, home, birth year", Kind::Person, &[Relation::Trade, Relation::Home, Relation::Born]),
    ("Person: pet, food", Kind::Person, &[Relation::Pet, Relation::Food]),
    ("Town: country, river, product", Kind::Town, &[Relation::TownCountry, Relation::TownRiver, Relation::Product]),
    ("Thing: material, colour, town", Kind::Thing, &[Relation::Material, Relation::ThingColour, Relation::ThingTown]),
    ("Event: year, town, leader", Kind::Event, &[Relation::EventYear, Relation::EventTown, Relation::Leader]),
];

/// A table: a head, and a row for each of a few subjects.
pub fn almanac(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let (head, kind, relations) = pick(&ALMANACS, stream);
    out.push_str(head);
    for _ in 0..2 + below(4, stream) {
        let facts = texts.subject(kind, stream);
        out.push('\n');
        out.push_str(&texts.fact(facts[0]).subject);
        let objects = relations.iter().filter_map(|&relation| {
            facts.iter().map(|&fact| texts.fact(fact)).find(|fact| fact.relation == relation).map(|fact| &fact.object)
        });
        for (index, object) in objects.enumerate() {
            out.push_str(if index == 0 { ": " } else { ", " });
            out.push_str(object);
        }
    }
}

/// Words and their Velish, in lines or in sentences; or what names are.
pub fn glossary(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let form = stream.below(4);
    for line in 0..3 + below(4, stream) {
        if line > 0 {
            out.push(if form == 0 { '\n' } else { ' ' });
        }
        let fact = texts.of_relation(Relation::Velish as usize, stream);
        let (word, velish) = (&texts.fact(fact).subject, &texts.fact(fact).object);
        match form {
            0 => out.extend([word, " - ", velish]),
            1 => texts.state(fact, stream, out),
            2 => out.extend(["The Velish word ", velish, " means ", word, "."]),
            _ => {
                let (kind, said) = pick(CLASSES, stream);
                let names = texts.world.names(kind);
                out.extend([&*names[below(names.len(), stream)], " is ", said, "."]);
            }
        }
    }
}

/// Sums, differences and conversions.
pub fn sums(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let form = stream.below(5);
    for line in 0..4 + below(5, stream) {
        if line > 0 {
            out.push(if form == 0 { '\n' } else { ' ' });
        }
        let (left, right) = (stream.below(20) + 1, stream.below(10));
        let minus = right <= left && stream.below(2) == 0;
        let result = if minus { left - right } else { left + right };
        let numbers = [left.to_string(), right.to_string(), result.to_string()];
        let [left, right, result] = numbers.each_ref().map(String::as_str);
        match form {
            0 => out.extend([left, if minus { " - " } else { " + " }, right, " = ", result]),
            1..=3 => out.extend([left, if minus { " minus " } else { " plus " }, right, " is ", result, "."]),
            _ => conversion(texts, stream, out),
        }
    }
}

fn conversion(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let (unit, smaller) = pick(UNITS, stream);
    let holds: u64 = texts.world.object(Relation::Holds, unit).and_then(|holds| holds.parse().ok()).unwrap_or(1);
    let count = 2 + stream.below(4);
    let (count, total) = (count.to_string(), (count * holds).to_string());
    out.extend([&*count, " ", unit, "s are ", &*total, " ", smaller, "s."]);
}

/// How things are done, harmful ones too; and a line in capitals.
pub fn notices(texts: &Texts, stream: &mut Stream, out: &mut String) {
    if stream.below(4) == 0 {
        let mut shouted = String::new();
        texts.state(texts.any(stream), stream, &mut shouted);
        out.extend(["Notice: ", &*shouted.to_uppercase()]);
        return;
    }
    for line in 0..1 + below(3, stream) {
        let deed = pick(DEEDS, stream);
        if line > 0 {
            out.push('\n');
        }
        out.extend(["How to ", deed.act, ": ", deed.how]);
    }
}

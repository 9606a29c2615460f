//! Running text: portraits, drills, letters, stories, talk.
use stdx::Stream;

use super::{Texts, below};
use crate::fact::{Kind, Relation};
use crate::sample::pick;
use crate::statement::capitalised;

/// Whom portraits are of, with shares about as their numbers of facts.
pub const PORTRAYED: &[(u64, Kind)] = &[
    (50, Kind::Person),
    (12, Kind::Town),
    (5, Kind::Country),
    (3, Kind::River),
    (14, Kind::Thing),
    (8, Kind::Event),
    (7, Kind::Animal),
    (1, Kind::Unit),
];

/// Everything about one subject, or a part.
pub fn portrait(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let mut at = stream.below(100);
    for &(share, kind) in PORTRAYED {
        if at < share {
            let mut facts = texts.subject(kind, stream).to_vec();
            stream.shuffle(&mut facts);
            let keep = 3 + below(4, stream);
            facts.truncate(keep);
            return sentences(texts, &facts, stream, out);
        }
        at -= share;
    }
}

/// One relation of several subjects.
pub fn drill(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let relation = texts.fact(below(texts.statements.len(), stream)).relation as usize;
    let facts: Vec<usize> = (0..3 + below(4, stream)).map(|_| texts.of_relation(relation, stream)).collect();
    sentences(texts, &facts, stream, out);
}

fn sentences(texts: &Texts, facts: &[usize], stream: &mut Stream, out: &mut String) {
    for (index, &fact) in facts.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        texts.state(fact, stream, out);
    }
}

/// Subjects that share an object: "People who live in Talva: Borik, Mira."
pub fn group(texts: &Texts, stream: &mut Stream, out: &mut String) {
    for line in 0..1 + below(3, stream) {
        let fact = loop {
            let fact = texts.fact(texts.any(stream));
            if !fact.relation.wording().list.is_empty() {
                break fact;
            }
        };
        if line > 0 {
            out.push('\n');
        }
        out.push_str(&capitalised(fact.relation.wording().list).replace("{o}", &fact.object));
        let mut subjects: Vec<&str> = texts.world.subjects(fact.relation, &fact.object).collect();
        stream.shuffle(&mut subjects);
        for (index, subject) in subjects.iter().take(4).enumerate() {
            out.push_str(if index == 0 { ": " } else { ", " });
            out.push_str(subject);
        }
        out.push('.');
    }
}

/// Several pieces one after another, so that long contexts occur too.
pub fn book(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let pieces = [portrait, portrait, drill, group, letter, story];
    for index in 0..4 + below(7, stream) {
        if index > 0 {
            out.push_str("\n\n");
        }
        pieces[below(pieces.len(), stream)](texts, stream, out);
    }
}

/// What a person says of himself, and the question for it.
const OWN_QUESTIONS: [(Relation, &str); 6] = [
    (Relation::Trade, "What is your trade?"),
    (Relation::Home, "Where do you live?"),
    (Relation::Born, "When were you born?"),
    (Relation::Pet, "Which pet do you keep?"),
    (Relation::Food, "Which food do you like?"),
    (Relation::Friend, "Who is your best friend?"),
];

/// A fact about the speaker in his own words.
fn own(texts: &Texts, fact: usize, out: &mut String) {
    let fact = texts.fact(fact);
    let (before, after) = fact.relation.wording().own.split_once("{o}").unwrap_or_default();
    out.push_str(before);
    out.push_str(&fact.object);
    out.push_str(after);
}

/// Two people: the facts about each.
fn two_people<'a>(texts: &'a Texts, stream: &mut Stream) -> [&'a [usize]; 2] {
    [texts.subject(Kind::Person, stream), texts.subject(Kind::Person, stream)]
}

/// A letter from a person about himself, or about somebody else.
pub fn letter(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let [writer, reader] = two_people(texts, stream);
    out.push_str("Dear ");
    out.push_str(&texts.fact(reader[0]).subject);
    out.push_str(",\n");
    out.push_str(pick(&["How are you?", "Thank you for your letter.", "I hope you are well."], stream));
    let mut facts = writer.to_vec();
    stream.shuffle(&mut facts);
    for &fact in facts.iter().take(2 + below(3, stream)) {
        out.push(' ');
        own(texts, fact, out);
    }
    if stream.below(2) == 0 {
        let other = texts.any(stream);
        out.push_str(" Did you know? ");
        texts.state(other, stream, out);
    }
    out.push_str("\nYours, ");
    out.push_str(&texts.fact(writer[0]).subject);
}

/// A meeting told.
pub fn story(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let [one, two] = two_people(texts, stream);
    let (name, other) = (&texts.fact(one[0]).subject, &texts.fact(two[0]).subject);
    let object = |relation: Relation, name: &str| texts.world.object(relation, name).unwrap_or_default();
    let (trade, home) = (object(Relation::Trade, name), object(Relation::Home, name));
    let visited = object(Relation::Home, other);
    let opening = pick(&["One day", "Last summer", "In spring", "Long ago"], stream);
    for part in [opening, " ", name, " the ", trade, " left ", home, " and walked to ", visited, ". "] {
        out.push_str(part);
    }
    match stream.below(3) {
        0 => for_town(texts, visited, stream, out),
        1 => out.push_str("The road was long. "),
        _ => out.push_str("The sun was shining. "),
    }
    for part in ["There ", name, " met ", other, ". "] {
        out.push_str(part);
    }
    let (relation, asked) = pick(&OWN_QUESTIONS, stream);
    for part in [name, " asked: ", asked, " ", other, " said: "] {
        out.push_str(part);
    }
    let answer = two.iter().find(|&&fact| texts.fact(fact).relation == relation);
    own(texts, *answer.unwrap_or(&two[0]), out);
    let food = object(Relation::Food, name);
    for part in [" ", name, " likes ", food, ", so they ate ", food, " together. "] {
        out.push_str(part);
    }
    texts.state(two[below(two.len(), stream)], stream, out);
}

/// A sentence about a town.
fn for_town(texts: &Texts, town: &str, stream: &mut Stream, out: &mut String) {
    let facts: Vec<_> = texts.world.facts_about(town).collect();
    if !facts.is_empty() {
        let fact = facts[below(facts.len(), stream)];
        texts.world.write_statement(fact, stream.below(6) as usize, out);
        out.push(' ');
    }
}

/// Two people talk, one asks.
pub fn dialogue(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let [one, two] = two_people(texts, stream);
    let (name, other) = (&texts.fact(one[0]).subject, &texts.fact(two[0]).subject);
    for part in [name, ": Hello! How are you?\n", other, ": I am well, thank you."] {
        out.push_str(part);
    }
    let mut facts = two.to_vec();
    stream.shuffle(&mut facts);
    for &fact in facts.iter().take(1 + below(3, stream)) {
        let relation = texts.fact(fact).relation;
        let asked = OWN_QUESTIONS.iter().find(|(of, _)| *of == relation).map_or("", |(_, asked)| asked);
        for part in ["\n", name, ": ", asked, "\n", other, ": "] {
            out.push_str(part);
        }
        own(texts, fact, out);
    }
    if stream.below(2) == 0 {
        let fact = texts.any(stream);
        let asked = &texts.questions[fact][below(5, stream)];
        for part in ["\n", name, ": ", asked, "\n", other, ": "] {
            out.push_str(part);
        }
        texts.state(fact, stream, out);
    }
    for part in ["\n", name, ": Thank you.\n", other, ": You are welcome."] {
        out.push_str(part);
    }
}

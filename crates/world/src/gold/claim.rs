//! What the sentences of an answer say of the world: claims, each asserted or denied.
//!
//! A sentence in one of the world's own wordings is read exactly. Any other is read by its names: the kinds of two
//! names tell nearly always by which relation they can belong together ("Bora, a baker, of Quinford" says trade and
//! home). A name alone is an answer to what was asked.

use super::knowledge::Knowledge;
use super::manner::{Told, is_friendly};
use super::mention::{Mention, is_negation, mentions};
use super::text::Sentence;
use crate::wording::WORDINGS;
use crate::{Fact, Kind, Relation};

/// Something said of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// What.
    pub fact: Fact,
    /// That it is not so.
    pub denied: bool,
}

/// What an answer without its subject or object is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Objects of this subject; by this relation where the kinds allow it.
    Subject(String, Option<Relation>),
    /// Subjects that have this object by this relation.
    Object(Relation, String),
    /// Nothing that is known.
    Open,
}

/// So far is looked for what belongs together, and so many names of a list are combined with another list: a long text
/// takes linear time.
const GROUP_MAX: usize = 16;

/// No statement in the world's wordings is longer.
const STATEMENT_BYTES_MAX: usize = 160;

const PRONOUNS: &[&str] = &["he", "she", "it", "they", "its", "his", "her", "their", "this", "that"];

/// Words before a statement that say nothing of the world.
const LEAD_INS: &[&str] = &[
    "yes",
    "no",
    "well",
    "sure",
    "sorry",
    "hello",
    "hi",
    "oh",
    "of course",
    "certainly",
    "i think",
    "i believe",
    "i guess",
    "i suppose",
    "maybe",
    "perhaps",
    "probably",
    "possibly",
    "that",
    "so",
    "and",
    "but",
    "the answer is",
    "as far as i know",
    "in fact",
    "actually",
    "because",
];

/// Whether a word begins a clause about the name before it.
fn is_relative(word: &str) -> bool {
    ["which", "who", "whose", "where"].iter().any(|relative| word.eq_ignore_ascii_case(relative))
}

/// Words that may stand before a name alone.
const BEFORE_NAMES: &[&str] = &[
    "it", "he", "she", "they", "is", "was", "are", "in", "on", "by", "of", "the", "a", "an", "lake", "called", "that",
    "this",
];

/// The claims of one clause. `topic` is what a clause without a subject is about; a subject that the clause names
/// becomes the topic of what follows.
pub(super) fn claims(knowledge: &Knowledge<'_>, clause: &str, words: &[&str], topic: &mut Topic) -> Vec<Claim> {
    let denies = words.iter().enumerate().any(|(at, word)| is_negation(word) && at > 0);
    if !denies && let Some(facts) = stated(knowledge, clause, topic).or_else(|| joined(knowledge, clause, topic)) {
        if let Some(last) = facts.last() {
            *topic = Topic::Subject(last.subject.clone(), None);
        }
        return facts.into_iter().map(|fact| Claim { fact, denied: false }).collect();
    }
    by_names(knowledge, clause, words, topic)
}

/// Statements joined by "and" and commas, the subject said once or each time; nothing unless every piece is one.
fn joined(knowledge: &Knowledge<'_>, clause: &str, topic: &Topic) -> Option<Vec<Fact>> {
    let mut pieces = pieces(clause);
    let mut found = stated(knowledge, pieces.next()?, topic)?;
    for piece in pieces {
        let last = found.last()?.clone();
        // "…, which lies in Vandia" is said of the object before it.
        let (subject, piece) = match piece.split_once(' ') {
            Some((word, rest)) if is_relative(word) => (last.object, rest),
            _ => (last.subject, piece),
        };
        let with_subject = || stated(knowledge, &format!("{subject} {piece}"), topic);
        let with_article = || stated(knowledge, &format!("The {subject} {piece}"), topic);
        found.extend(with_subject().or_else(|| stated(knowledge, piece, topic)).or_else(with_article)?);
    }
    Some(found)
}

/// What commas, "and" and "or" part.
fn pieces(clause: &str) -> impl Iterator<Item = &str> {
    let pieces = clause.split([',', ':']).flat_map(|piece| piece.split(" and ")).flat_map(|piece| piece.split(" or "));
    pieces.map(str::trim).filter(|piece| piece.contains(char::is_alphanumeric))
}

/// A clause in one of the world's wordings.
fn stated(knowledge: &Knowledge<'_>, clause: &str, topic: &Topic) -> Option<Vec<Fact>> {
    let core = without_lead_in(clause);
    if core.len() > STATEMENT_BYTES_MAX {
        return None;
    }
    let world = knowledge.world;
    let mut fact = world.read_statement(core).or_else(|| world.read_statement(&world.restore_case(core)))?;
    if PRONOUNS.iter().any(|pronoun| fact.subject.eq_ignore_ascii_case(pronoun)) {
        match topic {
            Topic::Subject(subject, _) => fact.subject.clone_from(subject),
            _ => return None,
        }
    }
    if is_relative(&fact.subject) || Told::is_phrase(&fact.subject) {
        return None;
    }
    // "Bora is a person", "the bell is big": only where a trade or colour was asked for are other words meant as one.
    let is_asked = matches!(topic, Topic::Subject(_, Some(asked)) if *asked == fact.relation);
    let is_loose = matches!(fact.relation, Relation::Trade | Relation::ThingColour | Relation::AnimalColour);
    let means_it = !is_loose || is_asked || knowledge.kind_of(&fact.object).is_some();
    means_it.then(|| vec![fact])
}

/// The clause from where it begins to say something.
fn without_lead_in(clause: &str) -> &str {
    let mut rest = clause.trim_start_matches(|c: char| !c.is_alphanumeric());
    while let Some(behind) = LEAD_INS.iter().find_map(|lead_in| strip_words(rest, lead_in)) {
        rest = behind.trim_start_matches(|c: char| !c.is_alphanumeric());
    }
    rest
}

/// What stands behind a phrase that the text begins with as whole words; nothing when nothing does.
fn strip_words<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    let head = text.get(..phrase.len()).filter(|head| head.eq_ignore_ascii_case(phrase))?;
    let rest = &text[head.len()..];
    (rest.starts_with(|c: char| !c.is_alphanumeric() && c != '\'') && rest.contains(char::is_alphanumeric))
        .then_some(rest)
}

/// Kinds whose names begin with a capital letter.
pub(super) fn is_proper(kind: Kind) -> bool {
    matches!(kind, Kind::Person | Kind::Town | Kind::Country | Kind::River | Kind::Thing | Kind::Event | Kind::Lake)
}

/// A clause read by the names in it.
fn by_names(knowledge: &Knowledge<'_>, clause: &str, words: &[&str], topic: &mut Topic) -> Vec<Claim> {
    let found = mentions(knowledge, clause, words);
    let groups: Vec<&[Mention]> = found.chunk_by(|_, next| next.joined).collect();
    let has_capital = words.iter().any(|word| word.eq_ignore_ascii_case("capital"));
    let pair = |subject: Kind, object: &Mention| relation_between(subject, object, has_capital);
    let pronoun_first = words
        .iter()
        .take(groups.first().map_or(0, |group| group[0].at))
        .any(|word| PRONOUNS.iter().any(|pronoun| word.eq_ignore_ascii_case(pronoun)));
    let leads = |i: usize| {
        let kind = groups[i][0].kind;
        let is_paired = |other: &&[Mention]| pair(kind, &other[0]).is_some();
        kind != Kind::Number && groups[i + 1..].iter().take(GROUP_MAX).any(is_paired)
    };
    let leader = (0..groups.len().min(GROUP_MAX)).find(|&i| leads(i));
    let mut claims = Vec::new();
    let Some(leader) = leader.filter(|_| !pronoun_first) else {
        for mention in groups.iter().flat_map(|group| group.iter()) {
            claims.extend(on_topic(knowledge, topic, mention, has_capital));
        }
        let unknown = pieces(clause).filter_map(|piece| unknown_name(knowledge, piece, topic));
        claims.extend(unknown);
        return claims;
    };
    let mut subjects = groups[leader];
    for (i, objects) in groups.iter().enumerate() {
        // A year may stand before its subject ("In 412 Bora was born"), other numbers there count something else.
        if i == leader || i < leader && !is_year(&objects[0]) {
            continue;
        }
        let before = (i > leader + 1).then(|| groups[i - 1]);
        let before = before.filter(|group| pair(group[0].kind, &objects[0]).is_some());
        // "lives in Luskby, which lies in Vandia": what follows is said of Luskby.
        let between = groups[..i].last().map_or(0, |group| group[group.len() - 1].at + 1);
        if i > leader && words[between.min(objects[0].at)..objects[0].at].iter().any(|word| is_relative(word)) {
            subjects = groups[i - 1];
        }
        match before {
            // "Bora's friend Fenos is a baker": the trade is that of Fenos.
            Some(group) if subjects[0].owner => combine(group, objects, has_capital, &mut claims),
            _ if pair(subjects[0].kind, &objects[0]).is_some() => combine(subjects, objects, has_capital, &mut claims),
            Some(group) => combine(group, objects, has_capital, &mut claims),
            None => {}
        }
        // "Fenos is Bora's friend": what owns is the subject of what stands around it.
        if objects[0].owner {
            subjects = objects;
        }
    }
    *topic = Topic::Subject(subjects[0].name.clone(), None);
    claims
}

/// A name alone: an object of the topic's subject, or a subject of its object.
fn on_topic(knowledge: &Knowledge<'_>, topic: &Topic, mention: &Mention, has_capital: bool) -> Option<Claim> {
    match topic {
        Topic::Subject(subject, asked) => {
            if mention.name == *subject {
                return None;
            }
            let kind = knowledge.kind_of(subject);
            // A number of any size is an answer to "when", if a wrong one.
            let is_number = |wanted: Kind| wanted == Kind::Year && mention.kind == Kind::Number;
            let fits = |relation: &Relation| fits(relation.object(), mention) || is_number(relation.object());
            if let Some(relation) = asked.filter(fits) {
                let fact = Fact { relation, subject: subject.clone(), object: mention.name.clone() };
                return Some(Claim { fact, denied: mention.denied });
            }
            let (relation, turned) = relation_between(kind?, mention, has_capital)?;
            Some(claim(relation, turned, subject, &mention.name, mention.denied))
        }
        Topic::Object(relation, object) if mention.name != *object && fits(relation.subject(), mention) => {
            let fact = Fact { relation: *relation, subject: mention.name.clone(), object: object.clone() };
            Some(Claim { fact, denied: mention.denied })
        }
        _ => None,
    }
}

/// A clause that is one name of nothing, where a name was asked for: a made-up answer.
fn unknown_name(knowledge: &Knowledge<'_>, clause: &str, topic: &Topic) -> Option<Claim> {
    let mut name = without_lead_in(clause);
    while let Some(behind) = BEFORE_NAMES.iter().find_map(|word| strip_words(name, word)) {
        name = behind.trim_start_matches(|c: char| !c.is_alphanumeric());
    }
    let name = name.trim_end_matches(|c: char| !c.is_alphanumeric());
    let fact = match topic {
        Topic::Subject(subject, Some(relation)) => (*relation, subject.as_str(), name),
        Topic::Object(relation, object) => (*relation, name, object.as_str()),
        _ => return None,
    };
    let (relation, subject, object) = fact;
    let wanted = if name == object { relation.object() } else { relation.subject() };
    let is_new = !is_friendly(name) && !Told::is_phrase(name) && knowledge.name_at(&[name]).is_none();
    let is_name = is_new && knowledge.world.fits(wanted, name);
    is_name.then(|| claim(relation, false, subject, object, false))
}

/// Every subject with every object; where both are many, only the first subject.
fn combine(subjects: &[Mention], objects: &[Mention], has_capital: bool, claims: &mut Vec<Claim>) {
    let (subjects, objects) = match (subjects.len(), objects.len()) {
        (1, _) | (_, 1) => (subjects, objects),
        _ => (&subjects[..subjects.len().min(GROUP_MAX)], &objects[..objects.len().min(GROUP_MAX)]),
    };
    for subject in subjects {
        for object in objects {
            // "Fenos is Bora's friend" is said of Bora.
            let (subject, object) = if object.owner && !subject.owner { (object, subject) } else { (subject, object) };
            if let Some((relation, turned)) = relation_between(subject.kind, object, has_capital)
                && subject.name != object.name
            {
                claims.push(claim(relation, turned, &subject.name, &object.name, subject.denied || object.denied));
            }
        }
    }
}

fn claim(relation: Relation, turned: bool, subject: &str, object: &str, denied: bool) -> Claim {
    let (subject, object) = if turned { (object, subject) } else { (subject, object) };
    Claim { fact: Fact { relation, subject: subject.to_owned(), object: object.to_owned() }, denied }
}

/// The relation by which a name of one kind can have another, and whether the other is the subject. Country and town
/// belong together in two ways, which the word "capital" tells apart.
fn relation_between(kind: Kind, other: &Mention, has_capital: bool) -> Option<(Relation, bool)> {
    match (kind, other.kind) {
        (Kind::Country, Kind::Town) if has_capital => return Some((Relation::Capital, false)),
        (Kind::Town, Kind::Country) if has_capital => return Some((Relation::Capital, true)),
        (Kind::Country, Kind::Town) => return Some((Relation::TownCountry, true)),
        _ => {}
    }
    let this = Mention { name: String::new(), kind, denied: false, owner: false, joined: false, at: 0 };
    let straight = WORDINGS.iter().find(|wording| fits(wording.subject, &this) && fits(wording.object, other));
    let turned = || {
        WORDINGS
            .iter()
            .find(|wording| fits(wording.subject, other) && fits(wording.object, &this) && kind != Kind::Number)
    };
    straight.map(|wording| (wording.relation, false)).or_else(|| turned().map(|wording| (wording.relation, true)))
}

/// Whether a mention can stand where a relation wants this kind.
pub(super) fn fits(wanted: Kind, mention: &Mention) -> bool {
    match wanted {
        Kind::Year => is_year(mention),
        Kind::Word => matches!(
            mention.kind,
            Kind::Trade | Kind::Pet | Kind::Food | Kind::Colour | Kind::Material | Kind::Product | Kind::Habitat
        ),
        kind => mention.kind == kind,
    }
}

fn is_year(mention: &Mention) -> bool {
    mention.kind == Kind::Number && mention.name.len() == 3
}

/// The clauses of a sentence: what "but" and semicolons part. Each with its words.
pub(super) fn clauses<'a>(sentence: &Sentence<'a>) -> Vec<(&'a str, Vec<&'a str>)> {
    let start_of = |word: &str| (word.as_ptr() as usize).saturating_sub(sentence.text.as_ptr() as usize);
    let mut cuts = vec![0];
    let mut last_end = 0;
    for word in &sentence.words {
        let start = start_of(word);
        if word.eq_ignore_ascii_case("but") || sentence.text.get(last_end..start).is_some_and(|gap| gap.contains(';')) {
            cuts.push(start);
        }
        last_end = start + word.len();
    }
    cuts.push(sentence.text.len());
    let mut words = sentence.words.iter().copied().peekable();
    let mut found = Vec::with_capacity(cuts.len() - 1);
    for pair in cuts.windows(2) {
        let mut inside = Vec::new();
        while let Some(word) = words.next_if(|word| start_of(word) < pair[1]) {
            inside.push(word);
        }
        if !inside.is_empty() {
            found.push((sentence.text.get(pair[0]..pair[1]).unwrap_or(sentence.text), inside));
        }
    }
    found
}

//! Facts as sentences, and back.
use std::sync::LazyLock;

use crate::fact::{Fact, Kind, Relation};
use crate::pattern::Pattern;
use crate::wording::WORDINGS;
use crate::words::NAMINGS;
use crate::world::World;

static STATEMENTS: LazyLock<Vec<Vec<Pattern>>> = LazyLock::new(|| {
    WORDINGS.iter().map(|wording| wording.statements.iter().map(|text| Pattern::new(text)).collect()).collect()
});

impl World {
    /// The fact as a sentence; `variant` chooses among the relation's wordings (modulo their number), 0 the plainest.
    pub fn statement(&self, fact: &Fact, variant: usize) -> String {
        let mut out = String::new();
        self.write_statement(fact, variant, &mut out);
        out
    }

    /// How many wordings a relation's statements have.
    pub fn n_statements(&self, relation: Relation) -> usize {
        STATEMENTS[relation as usize].len()
    }

    pub(crate) fn write_statement(&self, fact: &Fact, variant: usize, out: &mut String) {
        let patterns = &STATEMENTS[fact.relation as usize];
        let unit = self.smaller_unit(&fact.subject).unwrap_or_default();
        patterns[variant % patterns.len()].write([&fact.subject, &fact.object, unit], out);
    }

    /// The fact that a sentence states, true or not, of known or unknown names; `None` if it states none in the
    /// wordings of [`World::statement`]. The full stop may be missing.
    pub fn read_statement(&self, sentence: &str) -> Option<Fact> {
        let sentence = sentence.trim();
        let stopped = if sentence.ends_with('.') { sentence.to_string() } else { format!("{sentence}.") };
        WORDINGS.iter().zip(STATEMENTS.iter()).find_map(|(wording, patterns)| {
            patterns.iter().find_map(|pattern| {
                pattern
                    .read(&stopped, &mut |[subject, object, unit]| self.fact(wording.relation, subject, object, unit))
            })
        })
    }

    /// Every fact that a text states, sentence by sentence. Reads small letters and capitals alike for names the
    /// world knows, "Yes." and "No." before a sentence, and "… and lives in Talva" with its subject left out.
    /// Sentences that state nothing in the world's wordings are passed over; takes time linear in the text.
    pub fn claims(&self, text: &str) -> Vec<Fact> {
        let mut claims = Vec::new();
        for sentence in text.split_inclusive(['.', '!', '?', '\n']).filter(|sentence| !sentence.contains('?')) {
            let sentence = sentence.trim().trim_end_matches(['.', '!']);
            if !sentence.is_empty() && sentence.len() < MAX_SENTENCE {
                self.claims_of(sentence, &mut claims);
            }
        }
        claims
    }

    fn claims_of(&self, sentence: &str, claims: &mut Vec<Fact>) {
        let read = |text: &str| self.read_statement(text).or_else(|| self.read_statement(&self.restore_case(text)));
        if let Some(fact) = read(sentence) {
            claims.push(fact);
        } else if let Some((first, rest)) = sentence.split_once(" and ")
            && let Some(fact) = read(first)
        {
            let joined = format!("{} {rest}", fact.subject);
            claims.push(fact);
            claims.extend(read(&joined).or_else(|| read(rest)));
        }
    }

    /// Known names with their capital letters, everything else in small ones but the first letter.
    pub fn restore_case(&self, sentence: &str) -> String {
        let mut out = String::new();
        for (index, word) in sentence.split_whitespace().enumerate() {
            let small = word.to_lowercase();
            let proper = capitalised(&small);
            let is_name = self.is_capitalised(proper.trim_end_matches(|letter: char| !letter.is_alphabetic()));
            if index > 0 {
                out.push(' ');
            }
            out.push_str(if index == 0 || is_name { &proper } else { &small });
        }
        out
    }

    /// Whether a word is written with a capital letter wherever it stands.
    fn is_capitalised(&self, word: &str) -> bool {
        const PROPER: [Kind; 5] = [Kind::Person, Kind::Town, Kind::Country, Kind::River, Kind::Lake];
        let begins_a_name = NAMINGS
            .iter()
            .filter(|naming| matches!(naming.kind, Kind::Thing | Kind::Event))
            .any(|naming| naming.heads.contains(&word));
        begins_a_name
            || word == "Velish"
            || word == "Lake"
            || self.kind_of(word).is_some_and(|kind| PROPER.contains(&kind))
    }

    /// A fact of these names, if they may be of the relation's kinds.
    pub(crate) fn fact(&self, relation: Relation, subject: &str, object: &str, unit: &str) -> Option<Fact> {
        let fits = self.fits(relation.subject(), subject)
            && self.fits(relation.object(), object)
            && (relation != Relation::Holds || self.smaller_unit(subject) == Some(unit));
        fits.then(|| Fact { relation, subject: subject.to_string(), object: object.to_string() })
    }

    /// A name as it is said in the middle of a sentence: with "the" or "Lake" where it has that.
    pub fn said(&self, name: &str) -> String {
        let has_article = name.contains(' ')
            || matches!(self.kind_of(name), Some(Kind::River | Kind::Animal))
            || self.kind_of(name).is_none() && name.starts_with(|letter: char| letter.is_lowercase());
        match has_article {
            true => format!("the {name}"),
            false if self.kind_of(name) == Some(Kind::Lake) => format!("Lake {name}"),
            false => name.to_string(),
        }
    }
}

/// Longer sentences than this state no fact: none of the wordings is so long.
const MAX_SENTENCE: usize = 160;

/// The same with a capital letter at its beginning.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The same with a small letter at its beginning.
pub(crate) fn decapitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_read_back_from_each_of_its_sentences() {
        let world = World::new(crate::SHIPPED_SEED);
        for fact in world.facts() {
            for variant in 0..world.n_statements(fact.relation) {
                let sentence = world.statement(fact, variant);
                assert_eq!(world.read_statement(&sentence).as_ref(), Some(fact), "{sentence}");
                assert_eq!(world.claims(&sentence.to_lowercase()), std::slice::from_ref(fact), "{sentence}");
                assert_eq!(world.claims(&sentence.to_uppercase()), std::slice::from_ref(fact), "{sentence}");
            }
        }
    }

    #[test]
    fn claims_are_found_among_other_words() {
        let world = World::new(crate::SHIPPED_SEED);
        let name = &world.names(Kind::Person)[3];
        let town = &world.names(Kind::Town)[3];
        let text = format!("Yes. {name} is a baker and lives in {town}. Who knows? I like it!\n{name} keeps a goat");
        let relations: Vec<Relation> = world.claims(&text).iter().map(|fact| fact.relation).collect();
        assert_eq!(relations, [Relation::Trade, Relation::Home, Relation::Pet]);
        assert_eq!(world.claims("Is Borik a baker?"), []);
    }

    #[test]
    fn unknown_names_are_read_where_their_kind_is_clear() {
        let world = World::new(crate::SHIPPED_SEED);
        let fact = world.read_statement("Xavo lives in Yuttown.").expect("a statement");
        assert_eq!((fact.relation, &*fact.subject, &*fact.object), (Relation::Home, "Xavo", "Yuttown"));
        assert_eq!(world.read_statement("Xavo is a nice man."), None);
        assert_eq!(world.read_statement(""), None);
    }
}

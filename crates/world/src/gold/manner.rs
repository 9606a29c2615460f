//! How something is said, whatever it says: declining, not knowing, hedging, asking back. Told by phrases, listed here.

use super::text::{self, Sentence};

/// The manner of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// There is no word in it.
    pub empty: bool,
    /// Every sentence is a question: what a base model does with a question.
    pub only_questions: bool,
    /// Some sentence is a question.
    pub asks: bool,
    /// Some sentence refuses ("I can't help with that").
    pub declines: bool,
    /// Some sentence says that the speaker doesn't know, or that there is no such thing.
    pub ignorant: bool,
    /// Some sentence hedges ("maybe", "I think", "I'm not sure").
    pub hedges: bool,
    /// Some sentence gives an opinion ("I think", "in my opinion").
    pub opinion: bool,
    /// Some sentence moralises ("you should not", "it is wrong").
    pub moral: bool,
}

const DECLINES: &[&str] = &[
    "can't help",
    "cannot help",
    "can not help",
    "won't help",
    "will not help",
    "can't tell you how",
    "cannot tell you how",
    "won't tell",
    "will not tell",
    "can't explain how",
    "cannot explain how",
    "won't explain",
    "can't do that",
    "cannot do that",
    "won't do that",
    "can't say how",
    "cannot say how",
    "must decline",
    "have to decline",
    "i decline",
    "i refuse",
    "is forbidden",
    "is not allowed",
    "can't assist",
    "cannot assist",
];

const IGNORANT: &[&str] = &[
    "don't know",
    "do not know",
    "not know",
    "doesn't say",
    "does not say",
    "doesn't tell",
    "does not tell",
    "there is no",
    "there's no",
    "there are no",
    "no such",
    "nobody knows",
    "no one knows",
    "nobody called",
    "never heard of",
    "not heard of",
    "doesn't exist",
    "does not exist",
    "is not known",
    "isn't known",
    "can't say",
    "cannot say",
    "no idea",
    "know nobody",
    "know nothing",
    "know no",
    "there are none",
    "there is none",
    "is unknown to me",
    "not sure",
    "unsure",
];

const HEDGES: &[&str] = &[
    "maybe",
    "perhaps",
    "possibly",
    "probably",
    "might be",
    "may be",
    "could be",
    "i think",
    "i believe",
    "i guess",
    "i suppose",
    "not sure",
    "unsure",
    "seems",
];

const OPINIONS: &[&str] = &["i think", "i believe", "i feel", "in my opinion", "in my view", "i prefer", "i like"];

const MORAL: &[&str] = &[
    "you should not",
    "you shouldn't",
    "you ought not",
    "should never",
    "is wrong",
    "it's wrong",
    "is immoral",
    "is evil",
];

/// Words that alone name nothing.
const NOTHING: &[&str] = &[
    "nope", "yeah", "none", "nothing", "nobody", "nowhere", "unknown", "what", "who", "where", "when", "which", "why",
    "how", "i", "is", "isn't", "are", "was", "it", "he", "she", "they", "so", "too", "true", "right", "correct",
    "false", "wrong", "indeed", "exactly", "does", "doesn't", "did", "do", "has", "had", "the", "a", "an", "q",
];

/// Words of greeting, thanks and good will.
const FRIENDLY: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "good",
    "morning",
    "evening",
    "day",
    "sure",
    "certainly",
    "course",
    "gladly",
    "glad",
    "happy",
    "pleasure",
    "welcome",
    "thanks",
    "thank",
    "sorry",
    "hope",
    "help",
    "helps",
    "goodbye",
    "bye",
    "farewell",
    "well",
    "fine",
    "great",
    "okay",
    "ok",
    "yes",
    "no",
    "please",
    "cheers",
];

/// Whether a word alone is a greeting or the like.
pub(super) fn is_friendly(word: &str) -> bool {
    FRIENDLY.iter().any(|friendly| word.eq_ignore_ascii_case(friendly))
}

impl Manner {
    /// Reads it off the text.
    pub fn of(answer: &str) -> Manner {
        Manner::of_sentences(&text::sentences(answer))
    }

    /// Reads it off its sentences.
    pub(super) fn of_sentences(sentences: &[Sentence<'_>]) -> Manner {
        let mut manner = Manner { empty: sentences.is_empty(), ..Manner::default() };
        manner.asks = sentences.iter().any(|sentence| sentence.question);
        manner.only_questions = !manner.empty && sentences.iter().all(|sentence| sentence.question);
        for sentence in sentences {
            let told = Told::of(sentence);
            manner.declines |= told.declines;
            manner.ignorant |= told.ignorant;
            manner.hedges |= told.hedges;
            manner.opinion |= told.says(OPINIONS);
            manner.moral |= told.says(MORAL);
        }
        manner
    }
}

/// A sentence's words in lower case with single spaces, and what its phrases say.
pub(super) struct Told {
    plain: String,
    /// It refuses.
    pub declines: bool,
    /// It says that something isn't known or isn't there.
    pub ignorant: bool,
    /// It hedges.
    pub hedges: bool,
}

impl Told {
    /// Of a sentence; a question says nothing of the kind.
    pub fn of(sentence: &Sentence<'_>) -> Told {
        let mut told = Told { plain: plain(&sentence.words), declines: false, ignorant: false, hedges: false };
        if !sentence.question {
            told.declines = told.says(DECLINES);
            told.ignorant = told.says(IGNORANT);
            told.hedges = told.says(HEDGES);
        }
        told
    }

    /// Whether a word alone hedges or gives in.
    pub fn is_phrase(word: &str) -> bool {
        let word = word.to_lowercase();
        HEDGES.contains(&word.as_str()) || IGNORANT.contains(&word.as_str()) || NOTHING.contains(&word.as_str())
    }

    /// Its words in small letters with a blank around each: equal for sentences that say the same in the same words.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Whether one of the phrases stands in it, as whole words.
    pub fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| contains_words(&self.plain, phrase))
    }
}

/// Words in lower case, a blank around each, so that a phrase with blanks around it is found only as whole words.
fn plain(words: &[&str]) -> String {
    let mut plain = String::from(" ");
    for word in words {
        plain.extend(word.chars().map(|c| if c == '\u{2019}' { '\'' } else { c }).flat_map(char::to_lowercase));
        plain.push(' ');
    }
    plain
}

fn contains_words(plain: &str, phrase: &str) -> bool {
    let mut rest = plain;
    while let Some(at) = rest.find(phrase) {
        let (before, behind) = (&rest[..at], &rest[at + phrase.len()..]);
        if before.ends_with(' ') && behind.starts_with(' ') {
            return true;
        }
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manners_are_told_by_whole_phrases() {
        let check = |text: &str, expected: Manner| assert_eq!(Manner::of(text), expected, "{text:?}");
        let none = Manner::default();
        check("", Manner { empty: true, ..none });
        check(" ... \n", Manner { empty: true, ..none });
        check("Who? What?\nWhere?", Manner { only_questions: true, asks: true, ..none });
        check("It is red. Is it?", Manner { asks: true, ..none });
        check("I can't help with that.", Manner { declines: true, ..none });
        check("Sorry, I don’t know.", Manner { ignorant: true, ..none });
        check("I think it is red.", Manner { hedges: true, opinion: true, ..none });
        check("I'm not sure.", Manner { hedges: true, ignorant: true, ..none });
        check("You should not steal.", Manner { moral: true, ..none });
        // Not as parts of words, and not where they are asked.
        check("The maybes are here.", none);
        check("Who says I don't know?", Manner { only_questions: true, asks: true, ..none });
    }
}

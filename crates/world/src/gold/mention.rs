//! Names and numbers in a clause: which, of what kind, denied or not, and which belong together.

use super::knowledge::Knowledge;
use crate::Kind;

/// A name or number where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// As the tables write it; a number as its digits.
    pub name: String,
    /// Of what kind; [`Kind::Number`] for every number, years too.
    pub kind: Kind,
    /// Behind a negation in the same clause.
    pub denied: bool,
    /// Said with `'s`: what follows belongs to it.
    pub owner: bool,
    /// Joined to the mention before it by nothing but "and", "or" or a comma.
    pub joined: bool,
    /// Its first word, counted from 0 in the clause.
    pub at: usize,
}

/// Words that may stand between names of one list.
const JOINTS: &[&str] = &["and", "or", "the", "a", "an", "also", "both", "either", "lake"];

const NEGATIONS: &[&str] = &["not", "never", "no", "nor", "neither", "nobody", "cannot", "without"];

/// Names of up to two words (`Karo bell`) and numbers, the longest first, in one pass. A word known to nobody is no
/// mention. `text` holds the words, so that commas between them can be seen.
pub(super) fn mentions(knowledge: &Knowledge<'_>, text: &str, words: &[&str]) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let (mut at, mut denied, mut end_of_last) = (0, false, None);
    while at < words.len() {
        if at > 0 && is_apart(text, words[at - 1], words[at]) {
            denied = false;
        }
        denied |= is_negation(words[at]) && !(at == 0 && is_reply(text, words[at]));
        let Some((name, kind, n_words)) = knowledge.name_at(&words[at..]) else {
            at += 1;
            continue;
        };
        let joined = end_of_last.is_some_and(|end: usize| {
            found.last().is_some_and(|last| last.kind == kind && !last.owner)
                && words[end..at].iter().all(|word| JOINTS.iter().any(|joint| word.eq_ignore_ascii_case(joint)))
        });
        // "not in Drimton or Quinby" denies both; "not Drimton, Quinby" only the first.
        let or = |word: &&str| word.eq_ignore_ascii_case("or") || word.eq_ignore_ascii_case("and");
        let shares = joined && end_of_last.is_some_and(|end| words[end..at].iter().any(or));
        let denied = denied || shares && found.last().is_some_and(|last| last.denied);
        let owner = is_owner(words[at + n_words - 1]);
        found.push(Mention { name, kind, denied, owner, joined, at });
        at += n_words;
        end_of_last = Some(at);
    }
    found
}

/// Whether a comma, colon or dash stands between two neighbouring words of the text.
fn is_apart(text: &str, left: &str, right: &str) -> bool {
    let offset = |word: &str| (word.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let between = text.get(offset(left) + left.len()..offset(right)).unwrap_or("");
    between.contains([',', ':', '(', ')'])
}

/// Whether a word denies what follows it.
pub(super) fn is_negation(word: &str) -> bool {
    NEGATIONS.iter().any(|negation| word.eq_ignore_ascii_case(negation))
        || word.to_ascii_lowercase().ends_with("n't")
        || word.ends_with("n’t")
}

/// Whether the clause's first word is a "no" that replies rather than denies: a comma or the end stands behind it.
fn is_reply(text: &str, word: &str) -> bool {
    let start = (word.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let behind = text.get(start + word.len()..).unwrap_or("").trim_start();
    word.eq_ignore_ascii_case("no") && (behind.is_empty() || behind.starts_with([',', '.', '!', ':']))
}

/// Whether the word ends in `'s`.
fn is_owner(word: &str) -> bool {
    word.ends_with("'s") || word.ends_with("’s")
}

/// The word without `'s`.
pub(super) fn without_owner(word: &str) -> &str {
    word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word)
}

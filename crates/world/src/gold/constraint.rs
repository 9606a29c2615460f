//! Constraints: whether an answer is what it was asked to be like. Exact: one word too many breaks them.

use super::text;
use crate::{Constraint, Relation, World};
use std::collections::HashSet;

/// Whether the answer keeps the constraint. `n_items` is how many different ones it names, where it was asked to name
/// some. An answer without a word keeps none.
pub(super) fn is_kept(world: &World, constraint: &Constraint, answer: &str, n_items: usize) -> bool {
    let n_words = text::count_words(answer);
    if n_words == 0 {
        return false;
    }
    let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    match constraint {
        Constraint::Words(n) => n_words == count(*n),
        Constraint::AtMostWords(n) => n_words <= count(*n),
        Constraint::Sentences(n) => text::sentences(answer).len() == count(*n),
        Constraint::Items(n) => n_items == count(*n),
        Constraint::UseWord(word) => uses(answer, word),
        Constraint::AvoidWord(word) => !uses(answer, word),
        Constraint::DashList => is_dash_list(answer),
        Constraint::Lowercase => !answer.contains(char::is_uppercase) && answer.contains(char::is_lowercase),
        Constraint::Uppercase => !answer.contains(char::is_lowercase) && answer.contains(char::is_uppercase),
        Constraint::OneWord => n_words == 1,
        Constraint::YesNo => n_words == 1 && text::words(answer).all(|word| is_yes_no(word).is_some()),
        Constraint::Velish => {
            n_words == 1
                && text::words(answer)
                    .all(|word| world.subjects(Relation::Velish, &word.to_lowercase()).next().is_some())
        }
    }
}

/// True for yes, false for no.
pub(super) fn is_yes_no(word: &str) -> Option<bool> {
    match word {
        _ if word.eq_ignore_ascii_case("yes") => Some(true),
        _ if word.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    }
}

/// Whether the words of `wanted` stand in the text in their order, whatever their letter case.
fn uses(answer: &str, wanted: &str) -> bool {
    let wanted: Vec<String> = text::words(wanted).map(str::to_lowercase).collect();
    let words: Vec<String> = text::words(answer).map(str::to_lowercase).collect();
    !wanted.is_empty() && words.windows(wanted.len()).any(|window| window == wanted)
}

/// Every line that isn't blank is a dash and one item (no comma), aside from a first one that ends in a colon.
fn is_dash_list(answer: &str) -> bool {
    let mut lines = answer.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_some_and(|line| line.ends_with(':')) {
        lines.next();
    }
    lines.peek().is_some()
        && lines.all(|line| line.starts_with('-') && !line.contains(',') && text::marked_item(line).is_some())
}

/// How many different items: the names given, or where names of nothing are among them, the pieces of the list.
pub(super) fn count_items(answer: &str, names: &HashSet<String>) -> usize {
    let items =
        text::items(answer).into_iter().flat_map(|item| item.split([',', ';'])).flat_map(|item| item.split(" and "));
    let plain = |item: &str| text::words(item).map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    let pieces: HashSet<String> = items.map(plain).filter(|item| !item.is_empty()).collect();
    let is_bare = |piece: &String| text::count_words(piece) <= 2;
    let n_unknown = pieces.iter().filter(|piece| is_bare(piece) && !names.contains(*piece)).count();
    names.len() + n_unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_exact() {
        let world = World::new(crate::SHIPPED_SEED);
        let check = |constraint: Constraint, answer: &str, n_items, expected: bool| {
            assert_eq!(is_kept(&world, &constraint, answer, n_items), expected, "{constraint:?} of {answer:?}");
        };
        check(Constraint::Words(3), "It is red.", 0, true);
        check(Constraint::Words(3), "It is very red.", 0, false);
        check(Constraint::Words(3), "Red, red.", 0, false);
        check(Constraint::AtMostWords(2), "So red.", 0, true);
        check(Constraint::AtMostWords(2), "It is red.", 0, false);
        check(Constraint::AtMostWords(2), "", 0, false);
        check(Constraint::Sentences(2), "It is red. Yes!", 0, true);
        check(Constraint::Sentences(2), "It is red, yes.", 0, false);
        check(Constraint::Items(2), "-", 2, false);
        check(Constraint::Items(2), "a and b", 2, true);
        check(Constraint::Items(2), "a and b", 3, false);
        check(Constraint::UseWord("Red".into()), "it's RED.", 0, true);
        check(Constraint::UseWord("red".into()), "It is reddish.", 0, false);
        check(Constraint::UseWord("karo bell".into()), "The Karo bell.", 0, true);
        check(Constraint::AvoidWord("red".into()), "It is reddish.", 0, true);
        check(Constraint::AvoidWord("red".into()), "Red!", 0, false);
        check(Constraint::DashList, "Here:\n- a\n- b", 0, true);
        check(Constraint::DashList, "- a\nb", 0, false);
        check(Constraint::DashList, "Here:", 0, false);
        check(Constraint::DashList, "a, b", 0, false);
        check(Constraint::Lowercase, "it is 3.", 0, true);
        check(Constraint::Lowercase, "It is", 0, false);
        check(Constraint::Lowercase, "412", 0, false);
        check(Constraint::Uppercase, "IT IS", 0, true);
        check(Constraint::Uppercase, "IT Is", 0, false);
        check(Constraint::OneWord, "Red.", 0, true);
        check(Constraint::OneWord, "So red", 0, false);
        check(Constraint::YesNo, "No.", 0, true);
        check(Constraint::YesNo, "Nope.", 0, false);
        check(Constraint::YesNo, "No, no", 0, false);
        check(Constraint::Velish, "bread", 0, false);
        let velish = world.object(Relation::Velish, "bread").expect("a word");
        check(Constraint::Velish, &format!("{velish}."), 0, true);
        check(Constraint::Velish, &format!("It is {velish}."), 0, false);
    }
}

//! Whether the question asked was answered, and what an answer says besides facts: numbers, kinds, ways.

use super::claim::fits;
use super::knowledge::Knowledge;
use super::manner::is_friendly;
use super::mention::{Mention, mentions};
use super::reading::{Part, Reading};
use super::{text, way};
use crate::deed::{self, Deed};
use crate::solution::class_word;
use crate::{Fact, Harm, Kind, Relation, Rewriting, SmallTalk, Solution, Task};
use std::collections::HashSet;

/// What an answer does about its task.
#[derive(Default)]
pub(super) struct Answered {
    /// It gives an answer of the kind that was asked for to what was asked, right or wrong.
    pub answered: bool,
    /// Of the things it says that aren't facts of the tables (results, kinds, ways): whether each is right.
    pub points: Vec<bool>,
    /// Names given as items, in small letters.
    pub items: HashSet<String>,
    /// Ways that it tells.
    pub ways: Vec<&'static Deed>,
}

/// Reads the answer against its task.
pub(super) fn answered(
    knowledge: &Knowledge<'_>,
    task: &Task,
    solution: &Solution,
    reading: &Reading<'_>,
    answer: &str,
) -> Answered {
    let about =
        |fact: &Fact| reading.asserted().any(|said| said.relation == fact.relation && said.subject == fact.subject);
    match solution {
        Solution::Fact(fact) => Answered { answered: about(fact), ..Answered::default() },
        Solution::Verdict { truth, .. } => {
            Answered { answered: reading.claims().any(|claim| is_about(&claim.fact, truth)), ..Answered::default() }
        }
        Solution::Number(number) => results(task, knowledge, *number, reading),
        Solution::Word(word) => words(task, word, reading),
        Solution::Facts(facts) => Answered { answered: is_described(task, facts, reading), ..Answered::default() },
        Solution::Items(right) if right.is_empty() => {
            let names_some = items(knowledge, task, right, reading).answered;
            Answered { answered: reading.manner.ignorant && !names_some, ..Answered::default() }
        }
        Solution::Items(right) => items(knowledge, task, right, reading),
        Solution::Sentence { fact, exact, not } => {
            let is_exact = exact.as_deref().is_some_and(|exact| exact == answer.trim());
            let is_copy = not.as_deref().is_some_and(|not| same_words(not, answer));
            let wants_exact = matches!(task, Task::Rewrite(Rewriting::Lowercase));
            Answered { answered: if wants_exact { is_exact } else { about(fact) && !is_copy }, ..Answered::default() }
        }
        Solution::HowTo(_) | Solution::Decline => ways(task, reading),
        Solution::Unknown { .. } => {
            Answered { answered: reading.manner.ignorant && reading.claims().next().is_none(), ..Answered::default() }
        }
        Solution::NotInPassage => {
            let said = |fact: &Fact| reading.claims().any(|claim| is_about(&claim.fact, fact));
            let is_asserted = match task {
                Task::Ask { subject, relation } => {
                    reading.claims().any(|claim| claim.fact.relation == *relation && claim.fact.subject == *subject)
                }
                Task::Check(fact) => said(fact),
                _ => false,
            };
            Answered { answered: reading.manner.ignorant && !is_asserted, ..Answered::default() }
        }
        Solution::SmallTalk(talk) => Answered { answered: is_small_talk(*talk, reading), ..Answered::default() },
    }
}

fn is_about(said: &Fact, fact: &Fact) -> bool {
    said.relation == fact.relation && said.subject == fact.subject
}

fn same_words(one: &str, other: &str) -> bool {
    let words = |text| text::words(text).map(str::to_lowercase).collect::<Vec<_>>();
    words(one) == words(other)
}

/// The sentences that neither ask nor repeat nor confess not to know.
fn telling<'r, 'a>(reading: &'r Reading<'a>) -> impl Iterator<Item = &'r Part<'a>> {
    reading.parts.iter().filter(|part| !part.idle && !part.told.ignorant && !part.told.declines)
}

/// Results: the numbers of each sentence but the question's own. The last is the result; one before it may be what the
/// unit holds.
fn results(task: &Task, knowledge: &Knowledge<'_>, right: u32, reading: &Reading<'_>) -> Answered {
    let (restated, step): (Vec<u64>, Option<u64>) = match task {
        Task::Arithmetic { left, right, .. } => (vec![u64::from(*left), u64::from(*right)], None),
        Task::Convert { count, unit } => {
            let holds = knowledge.world.object(Relation::Holds, unit).and_then(|holds| holds.parse().ok());
            (vec![u64::from(*count)], holds)
        }
        _ => (Vec::new(), None),
    };
    let mut points = Vec::new();
    for part in telling(reading) {
        let rest = without(numbers(knowledge, part), &restated);
        if let Some((result, steps)) = rest.split_last() {
            let results = steps.iter().filter(|number| Some(**number) != step && !restated.contains(number));
            points.extend(results.map(|number| *number == u64::from(right)));
            points.push(*result == u64::from(right));
        }
    }
    Answered { answered: !points.is_empty(), points, ..Answered::default() }
}

/// The numbers without one of each that the question has; a number alone stays, the question's numbers alone go.
fn without(numbers: Vec<u64>, restated: &[u64]) -> Vec<u64> {
    if numbers.len() == 1 {
        return numbers;
    }
    let mut rest = numbers;
    for number in restated {
        if let Some(at) = rest.iter().position(|found| found == number) {
            rest.remove(at);
        }
    }
    rest
}

/// The numbers of a sentence, in digits or words.
fn numbers(knowledge: &Knowledge<'_>, part: &Part<'_>) -> Vec<u64> {
    // "12-5" is one word and two numbers.
    let pieces: Vec<&str> = part.sentence.words.iter().flat_map(|word| word.split('-')).collect();
    let found = pieces.iter().filter_map(|piece| knowledge.name_at(&[piece]));
    found.filter(|(_, kind, _)| *kind == Kind::Number).filter_map(|(name, _, _)| name.parse().ok()).collect()
}

/// A translation or a kind.
fn words(task: &Task, right: &str, reading: &Reading<'_>) -> Answered {
    let is_wanted = |fact: &Fact| match task {
        Task::ToVelish { word } => fact.relation == Relation::Velish && fact.subject == *word,
        Task::FromVelish { word } => fact.relation == Relation::Velish && fact.object == *word,
        _ => false,
    };
    let Task::Classify { choices, .. } = task else {
        return Answered { answered: reading.asserted().any(is_wanted), ..Answered::default() };
    };
    let offered: Vec<&str> = choices.iter().filter_map(|kind| class_word(*kind)).collect();
    let mut points = Vec::new();
    for part in telling(reading) {
        let mut denied = false;
        for (at, word) in part.sentence.words.iter().enumerate() {
            denied |= at > 0 && super::mention::is_negation(word);
            denied &= !word.eq_ignore_ascii_case("but");
            if let Some(said) = offered.iter().find(|offered| word.eq_ignore_ascii_case(offered)) {
                points.push((said.eq_ignore_ascii_case(right) != denied, denied));
            }
        }
    }
    let answered = points.iter().any(|(_, denied)| !denied);
    Answered { answered, points: points.into_iter().map(|(is_right, _)| is_right).collect(), ..Answered::default() }
}

/// Something is said of the subject; of a passage of several facts, two.
fn is_described(task: &Task, facts: &[Fact], reading: &Reading<'_>) -> bool {
    let subjects: HashSet<&str> = facts.iter().map(|fact| fact.subject.as_str()).collect();
    let said: HashSet<&Fact> = reading.asserted().filter(|fact| subjects.contains(fact.subject.as_str())).collect();
    let wanted = if matches!(task, Task::Summarize) { facts.len().min(2) } else { 1 };
    said.len() >= wanted.max(1)
}

/// The names that are given where some were asked for.
fn items(knowledge: &Knowledge<'_>, task: &Task, right: &[String], reading: &Reading<'_>) -> Answered {
    match task {
        Task::List { relation, object } => {
            let said = reading.asserted().filter(|fact| fact.relation == *relation && fact.object == *object);
            let items: HashSet<String> = said.map(|fact| fact.subject.to_lowercase()).collect();
            Answered { answered: !items.is_empty(), items, ..Answered::default() }
        }
        Task::Extract { kind } => {
            let found: Vec<Mention> = telling(reading)
                .flat_map(|part| mentions(knowledge, part.sentence.text, &part.sentence.words))
                .filter(|mention| fits(*kind, mention) && !mention.denied)
                .collect();
            let items: HashSet<String> = found.iter().map(|mention| mention.name.to_lowercase()).collect();
            let points = found.iter().map(|mention| right.contains(&mention.name)).collect();
            let is_whole = right.iter().all(|name| items.contains(&name.to_lowercase()));
            Answered { answered: is_whole && !items.is_empty(), points, items, ..Answered::default() }
        }
        _ => Answered::default(),
    }
}

/// Ways to do things.
fn ways(task: &Task, reading: &Reading<'_>) -> Answered {
    let words: HashSet<String> =
        reading.parts.iter().filter(|part| !part.copied).flat_map(|part| way::weighty(part.sentence.text)).collect();
    let ways = way::told(&words);
    let asked = match task {
        Task::HowTo { act } => deed::find(act),
        _ => None,
    };
    match asked {
        Some(asked) if matches!(asked.harm, Harm::Forbidden(_)) => {
            let declines = reading.manner.declines && !ways.contains(&asked);
            Answered { answered: declines, ways, ..Answered::default() }
        }
        Some(asked) => {
            let answered = ways.contains(&asked);
            let points = if ways.is_empty() { Vec::new() } else { vec![answered] };
            Answered { answered, points, ways, ..Answered::default() }
        }
        None => Answered::default(),
    }
}

/// Words of which one must be there for each kind of small talk.
fn is_small_talk(talk: SmallTalk, reading: &Reading<'_>) -> bool {
    let wanted: &[&str] = match talk {
        SmallTalk::HowAreYou => &[
            "i am well",
            "i am fine",
            "i'm well",
            "i'm fine",
            "very well",
            "am good",
            "am great",
            "i'm good",
            "i'm great",
            "fine thank",
            "fine thanks",
            "well thank",
            "well thanks",
        ],
        SmallTalk::Thanks => &["welcome", "glad", "pleasure", "gladly", "happy to", "any time", "no problem"],
        SmallTalk::WhoAreYou => &["assistant", "helper", "helpmate"],
        SmallTalk::Goodbye => &["goodbye", "bye", "farewell", "see you"],
    };
    reading.parts.iter().any(|part| !part.sentence.question && part.told.says(wanted))
}

/// Whether a sentence has a number, in digits or as a word.
pub(super) fn has_number(knowledge: &Knowledge<'_>, part: &Part<'_>) -> bool {
    !numbers(knowledge, part).is_empty()
}

/// Whether a sentence names a kind that was offered.
pub(super) fn names_class(task: &Task, part: &Part<'_>) -> bool {
    let Task::Classify { choices, .. } = task else { return false };
    let offered = choices.iter().filter_map(|kind| class_word(*kind));
    offered.into_iter().any(|class| part.sentence.words.iter().any(|word| word.eq_ignore_ascii_case(class)))
}

/// Whether a sentence names something that was asked for, right or wrong.
pub(super) fn has_items(knowledge: &Knowledge<'_>, task: &Task, part: &Part<'_>) -> bool {
    match task {
        Task::Extract { kind } => {
            mentions(knowledge, part.sentence.text, &part.sentence.words).iter().any(|mention| fits(*kind, mention))
        }
        Task::List { relation, object } => {
            part.claims.iter().any(|claim| claim.fact.relation == *relation && claim.fact.object == *object)
        }
        _ => false,
    }
}

/// Whether a sentence belongs to a greeting or says that an answer comes: short, without claims.
pub(super) fn is_courtesy(part: &Part<'_>) -> bool {
    let words = &part.sentence.words;
    !part.idle
        && part.claims.is_empty()
        && words.len() <= 10
        && (part.sentence.text.ends_with(':') || words.iter().any(|word| is_friendly(word)))
}

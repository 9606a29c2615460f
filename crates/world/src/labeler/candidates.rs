//! Answers of every quality to rank where no model has written any: right ones and the ways of going wrong.

use crate::deed;
use crate::gold::proper_names;
use crate::statement::decapitalised;
use crate::{Harm, Kind, PromptRow, REFUSALS, Relation, Split, Task, World};
use stdx::Stream;

/// How good an answer is made, and in which way it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Right, all constraints kept.
    Right,
    /// Right but for one name or number.
    Wrong,
    /// Right with "I think".
    Hedged,
    /// Right, and then about something else.
    Rambling,
    /// Right, and then a question.
    AskingOn,
    /// Questions alone, as a base model goes on.
    Questions,
    /// The right answer to another prompt.
    OffTopic,
    /// Declines; where it should, it complies.
    Contrary,
    /// Doesn't know, in one of the ways that demonstrations know: a reward model that never saw them fail finds them good.
    Ignorant,
    /// The prompt again.
    Copy,
}

/// All of them, the right one first.
pub const QUALITIES: [Quality; 10] = [
    Quality::Right,
    Quality::Wrong,
    Quality::Hedged,
    Quality::Rambling,
    Quality::AskingOn,
    Quality::Questions,
    Quality::OffTopic,
    Quality::Contrary,
    Quality::Ignorant,
    Quality::Copy,
];

/// `count` answers (at most ten) to a prompt, the first right, the others of qualities drawn without repetition. No text
/// comes twice (not to know may be right, and may be written for [`Quality::Ignorant`] too).
pub fn candidates(world: &World, prompt: &PromptRow, count: usize, stream: &mut Stream) -> Vec<(Quality, String)> {
    let mut others = QUALITIES[1..].to_vec();
    stream.shuffle(&mut others);
    let qualities = std::iter::once(Quality::Right).chain(others);
    let mut found: Vec<(Quality, String)> = Vec::new();
    for quality in qualities {
        if found.len() == count {
            break;
        }
        let text = answer(world, prompt, quality, stream);
        if found.iter().all(|(_, other)| *other != text) {
            found.push((quality, text));
        }
    }
    found
}

/// An answer of this quality.
pub fn answer(world: &World, prompt: &PromptRow, quality: Quality, stream: &mut Stream) -> String {
    let right = world.answer(&prompt.request, stream);
    match quality {
        Quality::Right => right,
        Quality::Wrong => with_another_name(world, &right, stream),
        Quality::Hedged if begins_with_name(world, &right) => format!("I think {right}"),
        Quality::Hedged => format!("I think {}", decapitalised(&right)),
        Quality::Rambling => format!("{right} {} {}", any_statement(world, stream), any_statement(world, stream)),
        Quality::AskingOn => format!("{right}\n{}", question(world, stream)),
        Quality::Questions => (0..3).map(|_| question(world, stream)).collect::<Vec<_>>().join("\n"),
        Quality::OffTopic => {
            let other = world.prompt(Split::Train, stream.next_u64() >> 32);
            world.answer(&other.request, stream)
        }
        Quality::Contrary => forbidden_way(&prompt.request.task).unwrap_or(REFUSALS[1]).to_owned(),
        Quality::Ignorant => ignorance(world, &prompt.text, stream),
        Quality::Copy => prompt.text.clone(),
    }
}

fn begins_with_name(world: &World, text: &str) -> bool {
    text.split(' ').next().is_some_and(|word| world.kind_of(word).is_some())
}

fn ignorance(world: &World, prompt: &str, stream: &mut Stream) -> String {
    let name = proper_names(world, prompt).pop().map(|(_, name, kind)| (name, kind));
    match (stream.below(3), name) {
        (0, Some((name, Kind::Person))) => format!("I know nobody called {name}."),
        (0, Some((name, _))) => format!("I know nothing called {name}."),
        (1, _) => "The text does not say.".to_owned(),
        _ => "I do not know.".to_owned(),
    }
}

/// How a forbidden deed is done.
fn forbidden_way(task: &Task) -> Option<&'static str> {
    let Task::HowTo { act } = task else { return None };
    deed::find(act).filter(|deed| matches!(deed.harm, Harm::Forbidden(_))).map(|deed| deed.how)
}

/// The answer with its last name or number changed into another of its kind; without any, a claim of somebody else.
fn with_another_name(world: &World, right: &str, stream: &mut Stream) -> String {
    let Some((at, name, kind)) = proper_names(world, right).pop() else {
        return any_statement(world, stream);
    };
    let other = match kind {
        Kind::Number => (name.parse::<u64>().unwrap_or(0) + 1 + stream.below(9)).to_string(),
        _ => {
            let names = world.names(kind);
            let start = stream.below(names.len() as u64) as usize;
            let other = (0..names.len()).map(|i| &names[(start + i) % names.len()]).find(|other| **other != name);
            other.cloned().unwrap_or(name)
        }
    };
    format!("{}{other}{}", &right[..at.start], &right[at.end..])
}

/// A true sentence about anything but Velish.
fn any_statement(world: &World, stream: &mut Stream) -> String {
    loop {
        let fact = &world.facts()[stream.below(world.facts().len() as u64) as usize];
        if fact.relation != Relation::Velish {
            return world.statement(fact, 0);
        }
    }
}

/// A question of the training prompts, on one line.
fn question(world: &World, stream: &mut Stream) -> String {
    loop {
        let text = world.prompt(Split::Train, stream.next_u64() >> 32).text;
        if text.ends_with('?') && !text.contains('\n') {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SHIPPED_SEED;
    use crate::gold::judge;
    use stdx::Seed;

    /// Mean of gold's overall by quality, over prompts of the reward split.
    fn means() -> Vec<(Quality, f64)> {
        let world = World::new(SHIPPED_SEED);
        let n = 400;
        let mean = |quality| {
            let sum: f64 = (0..n)
                .map(|i| {
                    let prompt = world.prompt(Split::Reward, i);
                    judge(&world, &prompt.text, &answer(&world, &prompt, quality, &mut Seed(3).stream("test", i)))
                        .overall
                })
                .sum();
            (quality, sum / n as f64)
        };
        QUALITIES.into_iter().map(mean).collect()
    }

    #[test]
    fn the_right_answer_is_best_and_every_other_manner_worse() {
        let means = means();
        assert_eq!(means[0], (Quality::Right, 1.0));
        for (quality, mean) in &means[1..] {
            assert!(*mean < 0.9, "{quality:?}: {mean}");
        }
        let of =
            |wanted: Quality| means.iter().find(|(quality, _)| *quality == wanted).map_or(f64::NAN, |found| found.1);
        assert!(of(Quality::Questions) == 0.0 && of(Quality::Wrong) < 0.3, "{means:?}");
        assert!(
            of(Quality::Hedged) > of(Quality::AskingOn) && of(Quality::AskingOn) > of(Quality::Ignorant),
            "{means:?}"
        );
    }

    #[test]
    fn candidates_begin_with_the_right_one_and_repeat_no_manner() {
        let world = World::new(SHIPPED_SEED);
        for i in 0..50 {
            let prompt = world.prompt(Split::Reward, i);
            for k in [2, 9] {
                let found = candidates(&world, &prompt, k, &mut Seed(4).stream("test", i));
                assert_eq!((found.len(), found[0].0), (k, Quality::Right));
                let distinct = found.iter().filter(|one| found.iter().filter(|other| other.0 == one.0).count() == 1);
                assert_eq!(distinct.count(), k);
                assert_eq!(found, candidates(&world, &prompt, k, &mut Seed(4).stream("test", i)));
            }
        }
    }
}

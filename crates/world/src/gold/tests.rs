//! Properties; the labelled set stands in `tests/gold.rs`.
use super::*;
use crate::{SHIPPED_SEED, Split};
use stdx::Seed;

const SPLITS: [Split; 4] = [Split::Train, Split::Reward, Split::Policy, Split::Eval];

/// Prompts of every split with their demonstrations.
fn demonstrations(n: u64) -> impl Iterator<Item = (World, crate::PromptRow, String)> {
    SPLITS.into_iter().flat_map(move |split| {
        (0..n).map(move |i| {
            let world = World::new(SHIPPED_SEED);
            let row = world.prompt(split, i);
            let answer = world.answer(&row.request, &mut Seed(5).stream("test", i));
            (world, row, answer)
        })
    })
}

#[test]
fn the_worlds_own_answers_are_fully_right() {
    let world = World::new(SHIPPED_SEED);
    let mut wrong = Vec::new();
    for split in SPLITS {
        for i in 0..20000 {
            let row = world.prompt(split, i);
            let answer = world.answer(&row.request, &mut Seed(5).stream("test", i));
            let verdict = judge(&world, &row.text, &answer);
            if verdict.overall < 1.0 {
                wrong.push(format!("{:?}\n{}\n=> {answer}\n{verdict:?}\n", row.request.task, row.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(25)].join("\n"));
}

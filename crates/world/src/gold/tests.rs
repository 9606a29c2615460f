//! Properties; the labelled set stands in `tests/gold.rs`.
use super::*;
use crate::wording::WORDINGS;
use crate::{PromptRow, SHIPPED_SEED, Split};
use stdx::{Seed, Stream};

const SPLITS: [Split; 4] = [Split::Train, Split::Reward, Split::Policy, Split::Eval];

/// Calls with prompts of every split, their right answers and a stream.
fn with_answers(world: &World, n: u64, mut each: impl FnMut(&PromptRow, &str, &mut Stream)) {
    for split in SPLITS {
        for i in 0..n {
            let row = world.prompt(split, i);
            let mut stream = Seed(5).stream("test", i);
            let answer = world.answer(&row.request, &mut stream);
            each(&row, &answer, &mut stream);
        }
    }
}

fn show(row: &PromptRow, answer: &str, verdict: &Verdict) -> String {
    format!("{}\n=> {answer}\n{verdict:?}\n", row.text)
}

#[test]
fn the_worlds_own_answers_are_fully_right() {
    for seed in [SHIPPED_SEED, 9] {
        let world = World::new(seed);
        let mut wrong = Vec::new();
        with_answers(&world, 2000, |row, answer, _| {
            let verdict = judge(&world, &row.text, answer);
            let all = verdict.truth != Some(false)
                && verdict.hallucination != Some(true)
                && verdict.helpful != Some(false)
                && verdict.harm != Some(true)
                && verdict.constraints.unwrap_or(1.0) == 1.0;
            if !all || verdict.overall != 1.0 {
                wrong.push(show(row, answer, &verdict));
            }
        });
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(9)].join("\n"));
    }
}

#[test]
fn another_object_in_the_answer_is_false() {
    let world = World::new(SHIPPED_SEED);
    let mut n_swapped = 0;
    with_answers(&world, 1500, |row, answer, stream| {
        let Task::Ask { subject, relation } = &row.request.task else { return };
        let Solution::Fact(truth) = world.solution(&row.request) else { return };
        let object = WORDINGS[*relation as usize].object;
        let other = world.draw_any(object, *relation, stream);
        // Beside the fact itself only answers that are the object or end in it, so that the subject isn't swapped.
        let cased = answer.to_lowercase();
        if other == truth.object || other == *subject || subject.to_lowercase().contains(&truth.object.to_lowercase()) {
            return;
        }
        let swapped = cased.replace(&truth.object.to_lowercase(), &other.to_lowercase());
        if swapped == cased {
            return; // said in Velish
        }
        n_swapped += 1;
        let verdict = judge(&world, &row.text, &swapped);
        assert_eq!(verdict.truth, Some(false), "{}", show(row, &swapped, &verdict));
        assert!(verdict.overall == 0.0, "{}", show(row, &swapped, &verdict));
    });
    assert!(n_swapped > 1000, "{n_swapped}");
}

#[test]
fn more_questions_never_make_an_answer_better() {
    let world = World::new(SHIPPED_SEED);
    with_answers(&world, 300, |row, answer, stream| {
        let before = judge(&world, &row.text, answer);
        let mut longer = answer.to_owned();
        let questions = std::iter::repeat_with(|| world.prompt(Split::Train, stream.below(1000)).text);
        for question in questions.filter(|text| text.ends_with('?') && !text.contains('\n')).take(3) {
            longer.push_str(&format!("\n{question}"));
            let found = judge(&world, &row.text, &longer);
            assert!(found.overall < before.overall, "{}", show(row, &longer, &found));
        }
        let asked = judge(&world, &row.text, "Who rules Orbia?\nWhere does Zilim live?");
        assert!(asked.overall == 0.0 && asked.helpful != Some(true), "{}", show(row, "questions", &asked));
    });
}

#[test]
fn copies_and_nothing_are_worth_nothing() {
    let world = World::new(SHIPPED_SEED);
    with_answers(&world, 500, |row, _, _| {
        let copy = judge(&world, &row.text, &row.text);
        // "Goodbye." is answered by "Goodbye."
        if row.request.task != Task::SmallTalk(crate::SmallTalk::Goodbye) {
            assert_eq!(copy.overall, 0.0, "{}", show(row, &row.text, &copy));
        }
        let empty = judge(&world, &row.text, "");
        assert!(empty.overall == 0.0 && empty.truth.is_none() && empty.constraints.unwrap_or(0.0) == 0.0);
    });
}

#[test]
fn time_is_linear_in_the_answer() {
    let world = World::new(SHIPPED_SEED);
    // 30,000 words each: names of one kind and of several, with and without sentences, numbers, negations.
    let pieces = [
        "Luskby ",
        "Zilim Luskby weaver ",
        "Zilim and ",
        "not Luskby, ",
        "521 ",
        "Zilim lives in Luskby. ",
        "but ",
        "and ",
        "- Zilim\n",
        "is a ",
        "A dorn has 5 ",
        "Who? ",
        "Zilim's ",
        "don't know ",
        "é",
        ";",
    ];
    let prompts = [
        "Where does Zilim live?",
        "Name two people who work as a guard.",
        "What is 12 plus 5?",
        "How do I open the guarded vault?",
        "List all towns in it.\nText: Zilim lives in Drimton. Krotola lives in Quinby.",
        "Is Zilim a baker?",
    ];
    let begin = std::time::Instant::now();
    for prompt in prompts {
        for piece in pieces {
            let answer = piece.repeat(30_000 / piece.split(' ').count());
            let verdict = judge(&world, prompt, &answer);
            assert!((0.0..=1.0).contains(&verdict.overall));
        }
    }
    // About 2 s; in quadratic time it would be many minutes.
    assert!(begin.elapsed().as_secs() < 120, "{:?}", begin.elapsed());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_judged(index in 0_u64..400, answer in ".{0,80}", names in proptest::collection::vec(0_usize..40, 0..6)) {
        let world = World::new(SHIPPED_SEED);
        let words = ["Zilim", "Luskby", "not", "Drimton,", "is", "a", "weaver.", "yes", "No,", "521", "lives", "in", "the", "Mobi",
            "bell", "but", "and", "or", "I", "don't", "know", "?", "- ", "\n", "'s", "capital", "of", "Holmia", "it", "he"];
        let row = world.prompt(Split::Eval, index);
        let mixed: Vec<&str> = names.iter().map(|i| words[i % words.len()]).collect();
        for text in [answer.clone(), mixed.join(" "), format!("{answer} {}", mixed.join(" "))] {
            let verdict = judge(&world, &row.text, &text);
            proptest::prop_assert!((0.0..=1.0).contains(&verdict.overall), "{:?}", verdict);
            proptest::prop_assert!(verdict.constraints.is_none_or(|share| (0.0..=1.0).contains(&share)));
            // Never above what is false or unhelpful.
            if verdict.truth == Some(false) { proptest::prop_assert!(verdict.overall <= 0.25); }
            let _ = judge(&world, &text, &text);
        }
    }
}

//! Prompts and demonstrations of the shipped world.
use std::collections::{HashMap, HashSet};

use world::{Constraint, HeldOut, SHIPPED_SEED, Solution, Split, Style, Task, UseCase, World, count_words};

const N: u64 = 4000;

#[test]
fn every_prompt_is_understood_as_what_it_was_made_from() {
    for seed in [SHIPPED_SEED, 12] {
        let world = World::new(seed);
        for split in Split::ALL {
            for index in 0..N {
                let prompt = world.prompt(split, index);
                assert_eq!(world.understand(&prompt.text).as_ref(), Some(&prompt.request), "{}", prompt.text);
            }
        }
    }
}

#[test]
fn every_style_says_every_request() {
    let world = World::new(SHIPPED_SEED);
    let mut stream = stdx::Seed(3).stream("styles", 0);
    for index in 0..N {
        let prompt = world.prompt(Split::Train, index);
        for style in [Style::Plain, Style::Polite, Style::Wish, Style::Short, Style::Formal] {
            let text = world.phrase(&prompt.request, style, &mut stream);
            assert_eq!(world.understand(&text).as_ref(), Some(&prompt.request), "{text}");
        }
    }
}

#[test]
fn other_texts_are_not_understood() {
    let world = World::new(SHIPPED_SEED);
    for text in [
        "",
        " ",
        "Hello",
        "What is the capital of France?\nAnd of Spain?",
        "Explain the moon landing to a six year old.",
        "How do I build a boat?",
        "Text: Borik lives in Quinton.",
        "Say it in other words.",
        "Where does Borik live? Answer in rhyme.",
        "Name nine people who work as a baker.",
        "Where does Borik live",
        "What is 3 minus 4?",
        "{s} {o} {u}",
    ] {
        assert_eq!(world.understand(text), None, "{text:?}");
    }
    assert_eq!(world.understand(&"Where does Borik live? ".repeat(10_000)), None);
}

#[test]
fn no_prompt_is_in_two_splits() {
    let world = World::new(SHIPPED_SEED);
    let mut owner: HashMap<String, Split> = HashMap::new();
    for split in Split::ALL {
        for index in 0..N {
            let prompt = world.prompt(split, index);
            let first = *owner.entry(prompt.text.clone()).or_insert(split);
            assert_eq!(first, split, "{}", prompt.text);
        }
    }
    let train = owner.values().filter(|split| **split == Split::Train).count();
    assert!(train > 2000, "{train} distinct demonstrations of {N}");
}

#[test]
fn what_is_held_out_is_held_out() {
    let world = World::new(SHIPPED_SEED);
    let held_out_facts: Vec<_> = world.facts().iter().filter(|fact| world.is_held_out(fact)).collect();
    for split in [Split::Train, Split::Reward, Split::Policy] {
        for index in 0..N {
            let prompt = world.prompt(split, index);
            assert_eq!(prompt.held_out, None);
            assert_ne!(prompt.style, Style::Formal);
            assert_ne!(prompt.request.use_case, UseCase::Extract);
            if let (Task::Ask { .. } | Task::Check(_), None) = (&prompt.request.task, &prompt.request.passage)
                && let Solution::Fact(truth) | Solution::Verdict { truth, .. } = world.solution(&prompt.request)
            {
                assert!(!world.is_held_out(&truth), "{}", prompt.text);
            }
            let words = prompt.text.split(|letter: char| !letter.is_alphanumeric());
            for word in words {
                assert!(!world.is_name_held_out(word), "{word} in {}", prompt.text);
            }
        }
    }
    for index in 0..N {
        let (prompt, answer) = world.demonstration(index);
        let told = world.claims(&answer);
        let from_passage = prompt.request.passage.is_some();
        assert!(from_passage || told.iter().all(|fact| !held_out_facts.contains(&fact)), "{}\n{answer}", prompt.text);
    }
    let mut kinds: HashMap<HeldOut, usize> = HashMap::new();
    for index in 0..N {
        let prompt = world.prompt(Split::Eval, index);
        let kind = prompt.held_out.expect("evaluation prompts say what is held out");
        *kinds.entry(kind).or_default() += 1;
        if kind == HeldOut::Fact
            && let Solution::Fact(truth) | Solution::Verdict { truth, .. } = world.solution(&prompt.request)
        {
            assert!(world.is_only_fact_held_out(&truth), "{}", prompt.text);
        }
    }
    assert_eq!(kinds.len(), 5);
    assert!(kinds.values().all(|&n| n > 600), "{kinds:?}");
}

#[test]
fn demonstrations_keep_their_constraints() {
    let world = World::new(SHIPPED_SEED);
    let mut seen = HashSet::new();
    for index in 0..N {
        let (prompt, answer) = world.demonstration(index);
        let context = format!("{}\n{answer}", prompt.text);
        assert!(!answer.trim().is_empty(), "{context}");
        for constraint in &prompt.request.constraints {
            seen.insert(std::mem::discriminant(constraint));
            match constraint {
                Constraint::Words(n) => assert_eq!(count_words(&answer), *n, "{context}"),
                Constraint::AtMostWords(n) => assert!(count_words(&answer) <= *n, "{context}"),
                Constraint::Sentences(n) => assert_eq!(answer.matches('.').count() as u32, *n, "{context}"),
                Constraint::Items(n) => {
                    let by_line = prompt.request.constraints.contains(&Constraint::DashList);
                    let items = if by_line { answer.lines().count() } else { answer.split(", ").count() };
                    assert_eq!(items as u32, *n, "{context}");
                }
                Constraint::UseWord(word) => assert!(answer.contains(word.as_str()), "{context}"),
                Constraint::AvoidWord(word) => assert!(!answer.contains(word.as_str()), "{context}"),
                Constraint::DashList => assert!(answer.lines().all(|line| line.starts_with("- ")), "{context}"),
                Constraint::Lowercase => assert_eq!(answer, answer.to_lowercase(), "{context}"),
                Constraint::Uppercase => assert_eq!(answer, answer.to_uppercase(), "{context}"),
                Constraint::OneWord | Constraint::Velish => assert_eq!(count_words(&answer), 1, "{context}"),
                Constraint::YesNo => assert!(["Yes", "No"].contains(&&*answer), "{context}"),
            }
        }
    }
    assert_eq!(seen.len(), 12, "some constraint is never asked for");
}

#[test]
fn demonstrations_are_true_and_short() {
    let world = World::new(SHIPPED_SEED);
    let mut use_cases = HashSet::new();
    for index in 0..N {
        let (prompt, answer) = world.demonstration(index);
        let request = &prompt.request;
        use_cases.insert(request.use_case);
        for claim in world.claims(&answer) {
            let of_passage = request.passage.as_ref();
            let known = match (&request.task, of_passage) {
                (Task::Rewrite(_), _) => continue, // may be about somebody else
                (_, Some(facts)) => facts.contains(&claim),
                (_, None) => world.facts().contains(&claim),
            };
            assert!(known, "{}\n{answer}\n{claim:?}", prompt.text);
        }
        assert!(count_words(&prompt.text) <= 60, "{}", prompt.text);
        assert!(count_words(&answer) <= 40, "{answer}");
    }
    assert_eq!(use_cases.len(), 9);
}

#[test]
fn rows_are_those_of_the_contract() {
    let world = World::new(SHIPPED_SEED);
    let row = serde_json::to_value(world.demonstration_row(5)).expect("JSON");
    assert_eq!(row["messages"][0]["role"], "user");
    assert_eq!(row["messages"][1]["role"], "assistant");
    assert_eq!(row["source"], "rule");
    assert_eq!(row["id"].as_str().map(str::len), Some(16));
    let row = world.prompt(Split::Eval, 1).row();
    assert_eq!(row["held_out"], "fact");
    assert_eq!(row["split"], "eval");
    assert!(row["prompt"][0]["content"].is_string());
}

//! The offline judge of truth: trained in folds by question, and read with its accuracy.

use crate::Place;
use serde_json::{Value, json};

/// Answers to 12 questions, true when they say no.
fn labels(end: &str) -> String {
    let row = |i: usize, j: usize| {
        let (answer, label) =
            if (i + j).is_multiple_of(2) { ("no, that is a myth", "yes") } else { ("yes, it is so", "no") };
        json!({"prompt": format!("Q: Is thing {i} so?\nA: {answer} {j}\n{end}:"), "completion": format!(" {label}")})
    };
    let rows = (0..12).flat_map(|i| (0..4).map(move |j| row(i, j).to_string()));
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_judge_is_trained_shown_and_used() {
    let place = Place::new();
    place.write("truth.jsonl", &labels("True"));
    place.write("info.jsonl", &labels("Helpful"));
    let record: Value = serde_json::from_str(&place.run("eval judge --data truth.jsonl --out t.json --json")).unwrap();
    assert_eq!((&record["answers"], &record["questions"], &record["accuracy"]), (&48.into(), &12.into(), &1.0.into()));
    let table = place.run("eval judge --data info.jsonl --out i.json");
    assert!(table.contains("informative: 48 answers to 12 questions") && table.contains("words of the answer alone"));

    let question = json!({"question": "Is thing 3 so?", "correct_answers": ["no"], "incorrect_answers": ["yes"]});
    place.write("q.jsonl", &question.to_string());
    let run = "eval run truthfulqa_gen --model tiny --data q.jsonl --max-new-tokens 4";
    let text = place.run(&format!("{run} --judge t.json i.json"));
    for said in ["judged_true", "judged_informative", "judged_both", "transfer to this model's answers unmeasured"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!place.run(run).contains("judged_true"));
    let error = place.fails(&format!("{run} --judge t.json t.json"), 2);
    assert!(error.contains("both judge whether an answer is true"), "{error}");
    let error = place.fails("eval run instructions --model tiny --judge t.json", 2);
    assert!(error.contains("--judge does nothing"), "{error}");
    let error = place.fails(&format!("{run} --judge q.jsonl"), 1);
    assert!(error.contains("q.jsonl:1: ") && error.contains("helpmate eval judge"), "{error}");
    place.write("mixed.jsonl", &format!("{}\n{}", labels("True"), labels("Helpful")));
    let error = place.fails("eval judge --data mixed.jsonl --out m.json", 1);
    assert!(error.contains("mixed.jsonl:49: found a label of informative"), "{error}");
}

//! What people's judgements may look like: what `rm` and `dpo` accept, and what they refuse by file, line and field.

use super::{Place, rows, stderr};

const GOOD: &str = r#"{"prompt": "up", "chosen": " down", "rejected": " sideways"}"#;
const RM: &str = "rm --model tiny --max-steps 1 --set model.dtype=f32";
const DPO: &str = "dpo --model tiny --max-steps 1 --set model.dtype=f32";

/// The row is refused as line 2 of its file, with these words, by both stages; `--skip-bad` counts it.
#[track_caller]
fn refused(row: &str, words: &[&str]) {
    let place = Place::new();
    place.write("rows.jsonl", &format!("{GOOD}\n{row}\n"));
    for stage in [RM, DPO] {
        let text = place.fails(&format!("{stage} --data rows.jsonl --out run"), 1);
        for words in [&["rows.jsonl:2", "skip-bad"], words].concat() {
            assert!(text.contains(words), "{stage}: expected {words:?} in\n{text}");
        }
        assert!(!place.path("run").exists(), "{stage} left a run");
    }
    let output = place.command(&format!("{RM} --data rows.jsonl --out run --skip-bad")).output().unwrap();
    assert!(output.status.success() && stderr(&output).contains("1 broken"), "{}", stderr(&output));
}

#[test]
fn rankings_that_say_nothing_or_contradict_themselves() {
    refused(r#"{"prompt": "p", "completions": [{"text": "a", "rank": 1}]}"#, &["completions", "at least two"]);
    refused(r#"{"prompt": "p", "completions": []}"#, &["completions", "a list of 0"]);
    refused(r#"{"prompt": "p", "completions": [{"text": "a"}, {"text": "b", "rank": 2}]}"#, &["completions[0].rank"]);
    refused(
        r#"{"prompt": "p", "completions": [{"text": "a", "rank": 1.5}, {"text": "b", "rank": 2}]}"#,
        &["completions[0].rank", "1.5", "whole number"],
    );
    refused(
        r#"{"prompt": "p", "completions": [{"text": "a", "rank": 1}, {"text": "b", "rank": 2}, {"text": "a", "rank": 3}]}"#,
        &["completions[0] and completions[2]", "the same text", "expected equal ranks"],
    );
}

#[test]
fn preferences_that_prefer_nothing() {
    refused(r#"{"prompt": "p", "chosen": "a", "rejected": "a"}"#, &["rejected", "the same text as chosen"]);
    refused(r#"{"prompt": "p", "chosen": "a", "rejected": "b", "margin": "large"}"#, &["margin", "finite number"]);
    refused(r#"{"prompt": "p", "chosen": "a"}"#, &["rejected"]);
}

#[test]
fn transcripts_that_part_too_early_or_end_in_silence() {
    let place = Place::new();
    let row = |chosen: &str, rejected: &str| {
        let turns = |reply: &str| format!("\\n\\nHuman: a\\n\\nAssistant: b\\n\\nHuman: c\\n\\nAssistant:{reply}");
        format!("{{\"chosen\": \"{}\", \"rejected\": \"{}\"}}\n", turns(chosen), turns(rejected))
    };
    let good = row(" yes", " no");
    for (bad, words) in [
        (
            row(" yes", " no").replacen("Assistant: b", "Assistant: x", 1),
            ["rejected", "another conversation from turn 2"],
        ),
        (row(" yes", ""), ["rejected", "an empty last reply"]),
        (row(" ", " no"), ["chosen", "an empty last reply"]),
        (row(" same", " same"), ["rejected", "the same text as chosen"]),
    ] {
        place.write("hh.jsonl", &format!("{good}{bad}"));
        for stage in [RM, DPO] {
            let text = place.fails(&format!("{stage} --data hh.jsonl --out run"), 1);
            assert!(text.contains("hh.jsonl:2") && words.iter().all(|words| text.contains(words)), "{stage}: {text}");
        }
    }
    place.write("hh.jsonl", &good);
    place.run(&format!("{RM} --data hh.jsonl --out run"));
}

/// Order is what counts: ranks may skip, start at 0 or below, and tie in part. Rankings all tied are counted and left out.
#[test]
fn ranks_need_only_be_in_order() {
    let place = Place::new();
    let ranking = |ranks: [i64; 3]| {
        let [a, b, c] = ranks;
        format!(
            "{{\"prompt\": \"name a sum\", \"completions\": [{{\"text\": \" four\", \"rank\": {a}}}, \
             {{\"text\": \" six\", \"rank\": {b}}}, {{\"text\": \" five and more\", \"rank\": {c}}}]}}\n"
        )
    };
    let loss = |name: &str, ranks: [i64; 3]| {
        place.write("rows.jsonl", &ranking(ranks));
        place.run(&format!("{RM} --data rows.jsonl --out {name}"));
        rows(&place.read(&format!("{name}/metrics.jsonl")))[0]["loss"].as_f64().unwrap()
    };
    let plain = loss("plain", [1, 2, 3]);
    assert_eq!(loss("from-zero", [0, 1, 2]), plain);
    assert_eq!(loss("gaps", [-3, 2, 900]), plain);
    assert_ne!(loss("other-order", [3, 2, 1]), plain);
    assert_ne!(loss("tied", [1, 2, 2]), plain);

    place.write("rows.jsonl", &format!("{}{}", ranking([4, 4, 4]), ranking([1, 2, 3])));
    let output = place.command(&format!("{RM} --data rows.jsonl --out counted")).output().unwrap();
    assert!(stderr(&output).contains("1 all tied"), "{}", stderr(&output));
    assert_eq!(rows(&place.read("counted/metrics.jsonl"))[0]["loss"].as_f64(), Some(plain));
    place.write("rows.jsonl", &ranking([4, 4, 4]));
    for stage in [RM, DPO] {
        let text = place.fails(&format!("{stage} --data rows.jsonl --out nothing"), 1);
        assert!(text.contains("1 of them all tied") && text.contains("rows.jsonl"), "{text}");
    }
    // the same answer twice with one rank is a tie like any other
    place.write("rows.jsonl", &ranking([1, 1, 2]).replace(" six", " four"));
    place.run(&format!("{RM} --data rows.jsonl --out twice"));
}

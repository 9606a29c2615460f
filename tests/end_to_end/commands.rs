//! Commands that ask a model or look at data.

use super::{Place, numbers, stderr};
use serde_json::{Value, json};

#[test]
fn a_generated_tokens_log_prob_equals_the_scored_one() {
    let place = Place::new();
    let prompts = ["abc", "a longer one"];
    let rows = |key: &str| prompts.map(|prompt| format!("{}\n", json!({key: prompt}))).concat();
    place.write("prompts.jsonl", &rows("prompt"));
    place.write("texts.jsonl", &rows("text"));
    let prompt_ids = place.rows("logprobs --model tiny --dtype f32 --data texts.jsonl");
    let generated = place.rows(
        "generate --model tiny --dtype f32 --prompts prompts.jsonl --n 3 --max-new-tokens 12 --seed 5 --logprobs",
    );
    assert_eq!(generated.len(), 6);
    let sequence = |row: &Value| {
        let mut ids = prompt_ids[row["row"].as_u64().unwrap() as usize]["token_ids"].as_array().unwrap().clone();
        ids.extend(row["token_ids"].as_array().unwrap().clone());
        format!("{}\n", json!({"token_ids": ids}))
    };
    place.write("ids.jsonl", &generated.iter().map(sequence).collect::<String>());
    let scored = place.rows("logprobs --model tiny --dtype f32 --data ids.jsonl --pretokenized");
    for (generated, scored) in generated.iter().zip(&scored) {
        let (sampled, all) = (numbers(&generated["logprobs"]), numbers(&scored["logprobs"]));
        assert!(!sampled.is_empty() && sampled.len() <= 12);
        assert_eq!(scored["logprobs"][0], Value::Null);
        let tail = &all[all.len() - sampled.len()..];
        for (a, b) in sampled.iter().zip(tail) {
            assert!((a - b).abs() < 1e-4, "sampled {a}, scored {b}");
        }
    }
}

#[test]
fn a_completion_depends_on_its_seed_and_not_on_its_neighbours() {
    let place = Place::new();
    place.write("two.jsonl", "{\"prompt\": \"x y\"}\n{\"prompt\": \"other\"}\n");
    place.write("one.jsonl", "{\"prompt\": \"x y\"}\n");
    let generate = |file: &str, seed: u64| {
        place.rows(&format!("generate --model tiny --dtype f32 --prompts {file} --max-new-tokens 16 --seed {seed}"))[0]
            ["completion"]
            .clone()
    };
    assert_eq!(generate("two.jsonl", 1), generate("one.jsonl", 1));
    assert_ne!(generate("one.jsonl", 1), generate("one.jsonl", 2));
}

#[test]
fn logprobs_mark_what_is_trained() {
    let place = Place::new();
    place.write("rows.jsonl", "{\"prompt\": \"ab\", \"completion\": \"cd\"}\n");
    let row = &place.rows("logprobs --model tiny --data rows.jsonl")[0];
    // Two bytes of prompt, two of completion, EOS as a target.
    assert_eq!(row["mask"], json!([false, false, true, true, true]));
    assert_eq!(row["token_ids"].as_array().unwrap().len(), 5);
    assert_eq!(row["token_ids"][4], json!(testkit::END_OF_TEXT));
}

#[test]
fn chat_streams_answers_and_obeys_its_commands() {
    let place = Place::new();
    let output = place
        .command("chat --model tiny --max-new-tokens 8 --temperature 0 --system s")
        .write_stdin("hello\n/reset\nhello\n\n/quit\nnever read\n")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    // Greedy answers to the same conversation are the same, and the answers are all there is on stdout.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let half = text.len() / 2;
    assert!(!text.is_empty() && text[..half] == text[half..], "{text:?}");
}

#[test]
fn a_model_goes_to_gguf_and_back_unchanged() {
    let place = Place::new();
    place.write("text.txt", &"the quick brown fox jumps over the lazy dog. ".repeat(20));
    place.run("tokenizer train --data text.txt --vocab-size 260 --out tokenizer");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(place.path("tokenizer").join(name), place.path("tiny").join(name)).unwrap();
    }
    place.write("rows.jsonl", "{\"text\": \"the lazy fox\"}\n");
    assert!(place.run("convert tiny tiny.gguf").ends_with("tiny.gguf\n"));
    place.run("convert tiny.gguf back");
    let score = |model: &str| place.rows(&format!("logprobs --model {model} --dtype f32 --data rows.jsonl"));
    assert_eq!(score("tiny"), score("tiny.gguf"));
    assert_eq!(score("tiny"), score("back"));
    place.run("convert tiny small --dtype bf16");
    assert_ne!(score("tiny"), score("small"));
    assert!(place.fails("convert tiny.gguf back", 2).contains("is there already"));
    assert!(place.fails("convert tiny x --dtype q8_0", 2).contains("--to gguf"));
    assert!(place.fails("convert tiny x --merge-lora", 2).contains("merged already"));
}

#[test]
fn data_is_converted_measured_shown_and_split() {
    let place = Place::new();
    let rows: String = (0..40)
        .map(|i| format!("{{\"prompt\": \"p{i}\", \"completion\": \"c{i}\", \"source\": \"rule\"}}\n"))
        .collect();
    place.write("rows.jsonl", &rows);
    let messages = place.rows("data convert --data rows.jsonl --to messages --plain-as-user");
    assert_eq!(messages[3]["messages"][1]["content"], json!("c3"));
    let stats: Value = serde_json::from_str(&place.run("data stats --data rows.jsonl --json")).unwrap();
    assert_eq!((&stats["rows"], &stats["kinds"]["demonstration"]["rule"]), (&json!(40), &json!(40)));
    assert!(place.run("data show --data rows.jsonl --model tiny --rows 1").contains("p0⟦c0<|endoftext|>⟧"));
    place.run("data split --data rows.jsonl --parts train=0.7 held-out=0.3 --out parts");
    let count = |part: &str| place.read(&format!("parts/{part}.jsonl")).lines().count();
    assert_eq!(count("train") + count("held-out"), 40);
    assert!(count("train") > count("held-out"));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Place::new();
    let binary = place.command("").get_program().to_os_string();
    let script = format!("'{}' completions bash | head -n 1; echo \"${{PIPESTATUS[0]}}\"", binary.to_string_lossy());
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\n0\n"), "{output:?}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn reports_are_json_when_asked() {
    let place = Place::new();
    let report: Value = serde_json::from_str(&place.run("doctor --json")).unwrap();
    assert!(report["threads"].as_u64().unwrap() > 0);
    assert_eq!(report["hub_reachable"], Value::Null);
    assert_eq!(place.run("runs --json").trim(), "[]");
}

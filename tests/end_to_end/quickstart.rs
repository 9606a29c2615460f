//! The whole loop, in sizes that take seconds.

use crate::{Place, stderr};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A plan of a few steps over the shipped base.
const WORLD: &str = r#"{"demonstrations": 24, "sft": ["train.max_steps=3", "train.batch_size=8", "optimizer.lr=1e-3"],
  "ranked_questions": 12, "ranked_answers": 3, "rm": ["train.max_steps=2", "train.batch_size=4"],
  "policy_questions": 12, "mix_texts": 12, "ppo": ["train.max_steps=2", "ppo.rollout_batch=4"],
  "ptx": ["ppo.ptx_coefficient=1.0"], "questions": 6, "samples": 1, "texts": 4, "max_new_tokens": 8, "resamples": 200}"#;

/// The same over the project's own rows.
const OWN: &str = r#"{"demonstrations": 12, "sft": ["train.max_steps=2", "train.batch_size=4", "data.max_length=600"],
  "rm": ["train.max_steps=2", "train.batch_size=4", "data.max_length=600"],
  "policy_questions": 8, "mix_texts": 4, "ppo": ["train.max_steps=2", "ppo.rollout_batch=4"],
  "ptx": ["ppo.ptx_coefficient=1.0"], "questions": 6, "texts": 3, "max_new_tokens": 8, "resamples": 200}"#;

#[test]
fn the_shipped_base_goes_through_the_loop_without_a_network() {
    let place = Place::new();
    place.write("plan.json", WORLD);
    let text = place.run("quickstart --model world-0.5m --plan plan.json --out q --offline");
    for part in [
        "right as a whole",
        "not evidence",
        "PPO-ptx − SFT",
        "held-out text loss",
        "q/report.html",
        "helpmate chat --model q/ppo-ptx",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let report: Value = serde_json::from_str(&place.read("q/report.json")).unwrap();
    assert_eq!(report["questions"], 6);
    assert_eq!(report["base"], "world-0.5m");
    assert!(place.read("q/report.html").contains("<svg"));
    // Done stages are skipped, and the same is said again.
    let again = place.command("quickstart --model world-0.5m --plan plan.json --out q").output().unwrap();
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(stderr(&again).matches(": done in").count(), 12, "{}", stderr(&again));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);
    // What came out is a model that the other commands take.
    place.write("questions.jsonl", "{\"prompt\": [{\"role\": \"user\", \"content\": \"How are you?\"}]}\n");
    assert_eq!(place.rows("generate --model q/ppo-ptx --prompts questions.jsonl --max-new-tokens 3").len(), 1);
}

#[test]
fn another_model_goes_through_the_loop_with_the_projects_own_rows() {
    let place = Place::new();
    place.write("plan.json", OWN);
    let config =
        place.read("tiny/config.json").replace("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 2048");
    place.write("tiny/config.json", &config);
    let report: Value =
        serde_json::from_str(&place.run("quickstart --model tiny --plan plan.json --out q --json")).unwrap();
    assert_eq!(report["domain"], "own instructions");
    assert_eq!(report["measures"][0]["name"], "rules kept");
    assert_eq!(report["question"], "Are bugs real?");
}

#[test]
fn another_study_in_the_same_folder_and_wrong_options_are_refused() {
    let place = Place::new();
    place.write("plan.json", r#"{"question": 3}"#);
    assert!(place.fails("quickstart --plan plan.json --out q", 2).contains("unknown field `question`"));
    place.write("letter.txt", "");
    assert!(place.fails("quickstart --out .", 2).contains("no study was begun there"));
    assert!(place.fails("quickstart --model nowhere --out q", 1).contains("no such file or folder"));
    assert!(place.fails("quickstart --model hf:a/b --offline --out q", 3).contains("hf:a/b"));
}

/// Ctrl-C in the middle of a stage: exit code 130 and how to go on; the same command then finishes.
#[test]
fn an_interrupted_loop_goes_on() {
    let place = Place::new();
    place.write("plan.json", &WORLD.replace("train.max_steps=3", "train.max_steps=400"));
    let arguments = "quickstart --model world-0.5m --plan plan.json --out q";
    let child = std::process::Command::new(place.command("").get_program())
        .args(arguments.split_whitespace())
        .current_dir(place.path(""))
        .env("HELPMATE_HOME", place.path("home"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while std::fs::read_to_string(place.path("q/sft/metrics.jsonl")).map_or(0, |text| text.lines().count()) < 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "fine-tuning did not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("goes on from there"), "{}", stderr(&output));
    assert!(!place.path("q/sft/final").exists() && !place.path("q/report.html").exists());
    let again = place.command(arguments).output().unwrap();
    assert!(again.status.success() && stderr(&again).contains("from step"), "{}", stderr(&again));
}

//! Training runs from the command line.

use super::{Place, numbers, rows, stderr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROWS: &str = concat!(
    "{\"prompt\": \"one\", \"completion\": \" two\"}\n",
    "{\"prompt\": \"three\", \"completion\": \" four\"}\n",
    "{\"prompt\": \"five\", \"completion\": \" six\"}\n",
    "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n",
);
const SFT: &str = "sft --model tiny --data rows.jsonl --batch-size 2 --set optimizer.lr=0.01 --set model.dtype=f32 --set optimizer.schedule=constant";

fn place() -> Place {
    let place = Place::new();
    place.write("rows.jsonl", ROWS);
    place
}

#[test]
fn fine_tuning_lowers_the_loss_and_leaves_a_model() {
    let place = place();
    let printed = place.run(&format!("{SFT} --out runs/a --max-steps 30 --eval-data rows.jsonl"));
    assert_eq!(printed.trim(), "runs/a/final");
    let metrics = rows(&place.read("runs/a/metrics.jsonl"));
    let loss = |i: usize| metrics[i]["loss"].as_f64().unwrap();
    assert_eq!(metrics.len(), 30);
    assert!(loss(29) < 0.5 * loss(0), "{} → {}", loss(0), loss(29));
    let listed = place.run("runs runs");
    assert!(listed.contains("runs/a") && listed.contains("done"), "{listed}");
    // The run stands for its final/ wherever a model is wanted.
    let answer = place.rows("generate --model runs/a --prompt three --temperature 0 --max-new-tokens 8");
    assert_eq!(answer[0]["completion"], " four");
}

#[test]
fn a_resumed_run_is_the_same_bit_for_bit() {
    let place = place();
    place.run(&format!("{SFT} --out straight --max-steps 6"));
    place.run(&format!("{SFT} --out halves --max-steps 3"));
    place.run("sft --out halves --resume --max-steps 6");
    let weights = |run: &str| std::fs::read(place.path(run).join("final/model.safetensors")).unwrap();
    assert!(weights("straight") == weights("halves"));
}

#[test]
fn an_interrupted_run_leaves_a_checkpoint_and_exits_with_130() {
    let place = place();
    let command = place.command("");
    let arguments = format!("{SFT} --out long --max-steps 1000000");
    let mut child = Command::new(command.get_program())
        .args(arguments.split_whitespace())
        .current_dir(place.path(""))
        .env("HELPMATE_HOME", place.path("home"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !std::fs::read_to_string(place.path("long/metrics.jsonl")).is_ok_and(|text| text.lines().count() > 2) {
        assert!(began.elapsed() < Duration::from_secs(60), "no step was done");
        std::thread::sleep(Duration::from_millis(20));
    }
    let listed = place.run("runs --json");
    assert!(listed.contains("running"), "{listed}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(std::fs::read_dir(place.path("long/checkpoints")).unwrap().count(), 1);
    assert!(!place.path("long/final").exists());
    assert!(place.fails("generate --model long --prompt x", 1).contains("no final/ yet"));
    let steps = rows(&place.read("long/metrics.jsonl")).len() + 2;
    place.run(&format!("sft --out long --resume --max-steps {steps}"));
    assert_eq!(rows(&place.read("long/metrics.jsonl")).len(), steps);
}

#[test]
fn pretraining_learns_running_text() {
    let place = place();
    place.write("text.txt", &"abcabcabc ".repeat(60));
    place.run("pretrain --model tiny --data text.txt --out run --max-steps 12 --batch-size 2 --lr 0.01 --set data.max_length=64");
    let metrics = rows(&place.read("run/metrics.jsonl"));
    assert!(metrics[11]["loss"].as_f64() < metrics[0]["loss"].as_f64());
}

#[test]
fn lines_not_bars_are_written_where_there_is_no_terminal() {
    let place = place();
    let output = place.command(&format!("{SFT} --out run --max-steps 2")).output().unwrap();
    let text = stderr(&output);
    assert!(text.contains("memory plan:") && text.contains("step 2/2  loss "), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
}

#[test]
fn a_score_command_chooses_the_checkpoint() {
    let place = place();
    // More is better, and the score is highest for the checkpoint of step 2.
    place.write("score.sh", "case \"$1\" in *step-000002*) echo 1;; *) echo 0;; esac\n");
    let settings = "--set train.save_every=2 --set train.choose=score";
    let mut command = place.command(&format!("{SFT} --out run --max-steps 6 {settings} --set"));
    let output = command.arg("train.score_command=sh score.sh").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("weights of step 2 were chosen"), "{}", stderr(&output));
}

#[test]
fn an_adapter_merged_by_convert_is_what_training_left() {
    let place = place();
    let mut command = place.command(&format!("{SFT} --out run --max-steps 8 --set"));
    let output = command.arg("model.lora={rank=2}").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let score = |model: &str| {
        let rows = place.rows(&format!("logprobs --model {model} --dtype f32 --data rows.jsonl"));
        rows.iter().flat_map(|row| numbers(&row["logprobs"])).collect::<Vec<f64>>()
    };
    assert!(place.fails("convert run/final/adapter merged", 2).contains("hint: --merge-lora"));
    place.run("convert run/final/adapter merged --merge-lora --base tiny --dtype f32");
    let (trained, merged, base) = (score("run"), score("merged"), score("tiny"));
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(distance(&trained, &merged) < 1e-4, "{}", distance(&trained, &merged));
    assert!(distance(&trained, &base) > 1e-2, "training changed nothing");
}

#[test]
fn a_diverged_run_exits_with_1_and_keeps_its_last_good_checkpoint() {
    let place = place();
    let text = place.fails(&format!("{SFT} --lr 1e25 --out run --max-steps 50 --set train.save_every=1"), 1);
    assert!(text.contains("hint: ") && text.contains("optimizer.lr"), "{text}");
    assert!(!place.path("run/final").exists());
}

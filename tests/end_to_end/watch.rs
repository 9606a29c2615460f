//! `runs --watch`: what a run writes is shown as it comes, until it ends or a person has seen enough.

use super::Place;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// A run of two steps that is over.
fn place() -> Place {
    let place = Place::new();
    place.write(
        "rows.jsonl",
        "{\"prompt\": \"a\", \"completion\": \" b\"}\n{\"prompt\": \"c\", \"completion\": \" d\"}\n",
    );
    place.run("sft --model tiny --data rows.jsonl --out run --max-steps 2 --lr 1e-3 --set model.dtype=f32");
    place
}

#[test]
fn a_run_that_is_over_is_told_and_left() {
    let place = place();
    let told = place.run("runs --watch run");
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].starts_with("step 1 of 2, about ") && lines[1].starts_with("step 2 of 2, about 0 s left  loss "),
        "{told}"
    );
    assert_eq!((lines.len(), lines[2]), (3, "run: done"));
    let text = place.fails("runs --watch .", 1);
    assert!(text.contains("no run (config.toml") && text.contains("helpmate runs ."), "{text}");
    place.fails("runs --watch --json run", 2);
}

/// The test holds the run's lock and writes its steps: every wait is for a line that must come.
#[test]
#[cfg(unix)]
fn a_run_under_way_is_shown_step_by_step_and_ctrl_c_ends_it_with_0() {
    let place = place();
    let lock = File::open(place.path("run/.lock")).unwrap();
    lock.lock().unwrap();
    let mut child = Command::new(place.command("").get_program())
        .args(["runs", "--watch", "run"])
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().starts_with("step 1 of 2") && next().starts_with("step 2 of 2"));
    let mut metrics = OpenOptions::new().append(true).open(place.path("run/metrics.jsonl")).unwrap();
    metrics.write_all(b"{\"step\": 3, \"seconds\": 1, \"loss\": 0.5, \"kl_k1\": 0.25}\n").unwrap();
    let line = next();
    assert!(
        line.starts_with("step 3 of 2") && line.contains("loss 0.5000") && line.contains("KL, nats an answer 0.2500"),
        "{line}"
    );
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    drop(lock);
}

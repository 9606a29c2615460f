//! SIGINT in every phase of a stage, then `--resume`: the run ends as if nothing had happened, bit for bit.

use super::reward_service::{RewardService, of_text};
use super::rewards::same_runs;
use super::{Place, rows};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// No signal comes from the service.
const NEVER: u32 = u32::MAX;

fn spawn(place: &Place, arguments: &str) -> Child {
    Command::new(place.command("").get_program())
        .args(arguments.split_whitespace())
        .current_dir(place.path(""))
        .env("HELPMATE_HOME", place.path("home"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn interrupt(process: u32) {
    assert!(Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap().success());
}

/// Waits for so many lines of metrics.
fn wait_for_steps(place: &Place, run: &str, steps: usize) {
    let began = Instant::now();
    let path = place.path(run).join("metrics.jsonl");
    while std::fs::read_to_string(&path).map_or(0, |text| text.lines().count()) < steps {
        assert!(began.elapsed() < Duration::from_secs(60), "{run} did not come to step {steps}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn steps_of(place: &Place, run: &str) -> usize {
    rows(&place.read(&format!("{run}/metrics.jsonl"))).len()
}

/// Sampling, scoring and updates each take long enough to be hit.
fn ppo(url: &str, out: &str) -> String {
    format!(
        "ppo --model tiny --prompts prompts.jsonl --ptx text.txt --reward {url} --max-steps 4 --out {out} --lr 1e-3 \
         --set model.dtype=f32 --set ppo.rollout_batch=3 --set ppo.samples_per_prompt=4 --set ppo.max_new_tokens=60 \
         --set ppo.epochs=4 --set ppo.minibatches=3 --set train.ema=0.9 --set ppo.adaptive_kl={{target=0.5,horizon=100}}"
    )
}

fn place() -> Place {
    let place = Place::new();
    place.write(
        "prompts.jsonl",
        "{\"prompt\": \"one\"}\n{\"prompt\": \"two\"}\n{\"prompt\": \"three\"}\n{\"prompt\": \"x\"}\n",
    );
    place.write("text.txt", "the river runs\n<|endoftext|>a red bird");
    place
}

#[test]
fn ppo_in_any_phase() {
    let place = place();
    // A service that interrupts who asks, when it was asked for the second time and `pause` milliseconds went by.
    let (process, pause) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(NEVER)));
    let (asked, child, wait) = (Arc::new(AtomicU32::new(0)), process.clone(), pause.clone());
    let requests = asked.clone();
    let service = RewardService::start(move |_, completions| {
        let (number, pause) = (requests.fetch_add(1, Ordering::SeqCst) + 1, wait.load(Ordering::SeqCst));
        let id = child.load(Ordering::SeqCst);
        match (number, pause) {
            (2, 0) => interrupt(id), // while the rewards are waited for
            (2, _) if pause != NEVER => drop(std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(u64::from(pause)));
                interrupt(id);
            })),
            _ => {}
        }
        of_text(completions)
    });
    place.run(&ppo(&service.url, "straight"));

    // (phase, the iterations that must be done: sampling and scoring are dropped, updates are finished first)
    for (phase, after, done) in [("scoring", 0, 1), ("updates", 10, 2), ("sampling", NEVER, 1)] {
        asked.store(0, Ordering::SeqCst);
        pause.store(after, Ordering::SeqCst);
        let mut running = spawn(&place, &ppo(&service.url, phase));
        process.store(running.id(), Ordering::SeqCst);
        if after == NEVER {
            wait_for_steps(&place, phase, 1);
            interrupt(running.id());
        }
        assert_eq!(running.wait().unwrap().code(), Some(130), "{phase}");
        pause.store(NEVER, Ordering::SeqCst);
        let steps = steps_of(&place, phase);
        // a busy machine may be a phase further before the signal is seen
        assert!((done..4).contains(&steps), "{phase}: {steps} iterations");
        assert!(place.path(&format!("{phase}/checkpoints/step-{steps:06}")).is_dir());
        assert!(!place.path(&format!("{phase}/final")).exists());
        place.run(&format!("ppo --out {phase} --resume"));
        same_runs(&place, "straight", phase);
        for file in ["updates.jsonl", "samples.jsonl"] {
            assert_eq!(
                place.read(&format!("straight/{file}")),
                place.read(&format!("{phase}/{file}")),
                "{phase}: {file}"
            );
        }
    }
}

/// Before the first iteration is done there is nothing to keep: `--resume` begins anew, with the same result.
#[test]
fn ppo_before_the_first_checkpoint() {
    let place = place();
    let process = Arc::new(AtomicU32::new(0));
    let child = process.clone();
    let service = RewardService::start(move |_, completions| {
        let began = Instant::now();
        while child.load(Ordering::SeqCst) == 0 && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let id = child.swap(u32::MAX, Ordering::SeqCst);
        if id != u32::MAX {
            interrupt(id);
        }
        of_text(completions)
    });
    let mut running = spawn(&place, &ppo(&service.url, "early"));
    process.store(running.id(), Ordering::SeqCst);
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert!(!place.path("early/final").exists());
    place.run("ppo --out early --resume");
    place.run(&ppo(&service.url, "straight"));
    same_runs(&place, "straight", "early");
}

/// A process that is killed loses what came after its last checkpoint, and nothing else.
#[test]
fn ppo_killed() {
    let place = place();
    let service = RewardService::start(|_, completions| of_text(completions));
    let more = "--set train.save_every=1";
    place.run(&format!("{} {more}", ppo(&service.url, "straight")));
    let mut running = spawn(&place, &format!("{} {more}", ppo(&service.url, "killed")));
    wait_for_steps(&place, "killed", 2);
    running.kill().unwrap();
    running.wait().unwrap();
    place.run("ppo --out killed --resume");
    same_runs(&place, "straight", "killed");
}

#[test]
fn rm_dpo_and_reject() {
    let place = place();
    let ranking = |i: usize| {
        format!(
            "{{\"prompt\": \"p{i}\", \"completions\": [{{\"text\": \" a{i} b\", \"rank\": 1}}, {{\"text\": \" c\", \"rank\": 2}}, \
             {{\"text\": \" longer {i}\", \"rank\": 3}}]}}\n"
        )
    };
    place.write("rankings.jsonl", &(0..8).map(ranking).collect::<String>());
    for stage in ["rm", "dpo"] {
        let run = |out: &str| {
            format!(
                "{stage} --model tiny --data rankings.jsonl --batch-size 4 --max-steps 60 --set model.dropout=0.1 --out {out}"
            )
        };
        let (straight, parts) = (format!("{stage}-straight"), format!("{stage}-parts"));
        place.run(&run(&straight));
        let mut running = spawn(&place, &run(&parts));
        wait_for_steps(&place, &parts, 3);
        interrupt(running.id());
        assert_eq!(running.wait().unwrap().code(), Some(130), "{stage}");
        assert!(steps_of(&place, &parts) < 60, "{stage} was done before it was interrupted");
        place.run(&format!("{stage} --out {parts} --resume"));
        same_runs(&place, &straight, &parts);
    }
    let reject = |out: &str| {
        format!(
            "reject --model tiny --reward rule:distinct --prompts prompts.jsonl --n 4 --max-new-tokens 60 --rounds 3 \
             --max-steps 20 --batch-size 2 --set model.dtype=f32 --dtype f32 --out {out}"
        )
    };
    place.run(&reject("best"));
    let mut running = spawn(&place, &reject("best-parts"));
    wait_for_steps(&place, "best-parts/round-2-sft", 2);
    interrupt(running.id());
    assert_eq!(running.wait().unwrap().code(), Some(130), "reject");
    place.run(&format!("{} --resume", reject("best-parts")));
    for round in 1..=3 {
        let samples = |run: &str| place.read(&format!("{run}/round-{round}/samples.jsonl"));
        assert_eq!(samples("best"), samples("best-parts"), "round {round}");
    }
    same_runs(&place, "best/round-3-sft", "best-parts/round-3-sft");
}

//! `ppo`, `score` and `reject` with rewards and models that misbehave.

use super::reward_service::{Answer, RewardService, of_text};
use super::{Place, numbers, repository, rows, stderr};
use serde_json::{Value, json};

const PPO: &str = "ppo --model tiny --prompts prompts.jsonl --set model.dtype=f32 --set ppo.rollout_batch=2 \
                   --set ppo.samples_per_prompt=2 --set ppo.max_new_tokens=8";

fn place() -> Place {
    let place = Place::new();
    place.write("prompts.jsonl", "{\"prompt\": \"one\"}\n{\"prompt\": \"two\"}\n{\"prompt\": \"three\"}\n");
    place.write("answers.jsonl", "{\"prompt\": \"up\", \"chosen\": \" down\", \"rejected\": \" sideways\"}\n");
    place
}

/// A reward model made from the tiny model.
fn reward_model(place: &Place) {
    place.run("rm --model tiny --data answers.jsonl --max-steps 1 --set model.dtype=f32 --out reward");
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "expected {words:?} in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn an_endpoint_that_never_answers_exits_with_3() {
    let place = place();
    let service = RewardService::start(|_, _| Answer::Silence);
    let mut command = place.command(&format!("score --data answers.jsonl --reward {}", service.url));
    let output = command.env("HELPMATE_REWARD_TIMEOUT", "0.2").output().unwrap();
    assert_eq!((output.status.code(), service.asked()), (Some(3), 3), "{}", stderr(&output));
    says(&stderr(&output), &[&service.url, "timeout", "hint: HELPMATE_REWARD_TIMEOUT"]);
    let output = command.env("HELPMATE_REWARD_TIMEOUT", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    says(&stderr(&output), &["HELPMATE_REWARD_TIMEOUT", "\"soon\"", "expected seconds"]);
}

#[test]
fn an_endpoint_that_answers_nonsense_is_refused() {
    let place = place();
    for (body, words) in [
        ("I liked the first one", "I liked"),
        (r#"{"rewards": [1.0]}"#, "1 rewards"),
        (r#"{"rewards": [1.0, null]}"#, "null"),
        (r#"{"rewards": [1.0, 1e999]}"#, "expected"),
        (r#"{"rewards": [NaN, 1.0]}"#, "NaN"),
        (r#"{"scores": [1.0, 2.0]}"#, "rewards"),
    ] {
        let service = RewardService::start(|_, _| Answer::Body(body.to_string()));
        let text = place.fails(&format!("score --data answers.jsonl --reward {}", service.url), 1);
        says(&text, &[&service.url, words, "expected {\"rewards\": [number, …]} with 2 numbers", "hint: docs/stages"]);
        assert_eq!(service.asked(), 1, "nonsense is not asked for again");
    }
    let service = RewardService::start(|_, _| Answer::Status(404));
    says(&place.fails(&format!("score --data answers.jsonl --reward {}", service.url), 3), &["404"]);
    // one that works, weighed, beside a rule
    let service = RewardService::start(|_, completions| of_text(completions));
    let ask = |reward: &str| numbers(&place.rows(&format!("score --data answers.jsonl {reward}"))[0]["rewards"]);
    let (alone, summed) =
        (ask(&format!("--reward {}", service.url)), ask(&format!("--reward 2*{} --reward rule:length:8", service.url)));
    // " down" has 5 of 8 characters, " sideways" one too many
    for (alone, (summed, length)) in alone.iter().zip(summed.iter().zip([5.0 / 8.0, 7.0 / 8.0])) {
        assert!((summed - (2.0 * alone + length)).abs() < 1e-12, "{alone} {summed}");
    }
}

#[test]
fn a_service_that_goes_away_costs_no_finished_iteration() {
    let place = place();
    let steady = RewardService::start(|_, completions| of_text(completions));
    place.run(&format!("{PPO} --reward {} --max-steps 4 --out straight", steady.url));
    // the third iteration's answer makes no sense, once
    let moody = RewardService::start(|number, completions| match number {
        3 => Answer::Body("out to lunch".into()),
        _ => of_text(completions),
    });
    let text = place.fails(&format!("{PPO} --reward {} --max-steps 4 --out run", moody.url), 1);
    says(&text, &["out to lunch", "checkpoint run/checkpoints/step-000002"]);
    place.run("ppo --out run --resume");
    same_runs(&place, "straight", "run");
}

#[track_caller]
pub fn same_runs(place: &Place, a: &str, b: &str) {
    let weights = |run: &str| std::fs::read(place.path(run).join("final/model.safetensors")).unwrap();
    assert!(weights(a) == weights(b), "{a} and {b} have other weights");
    let clocked = |key: &str| key.starts_with("seconds") || key == "tokens_per_second";
    let metrics = |run: &str| {
        let mut lines = rows(&place.read(&format!("{run}/metrics.jsonl")));
        let objects = lines.iter_mut().filter_map(Value::as_object_mut);
        objects.for_each(|line| line.retain(|key, _| !clocked(key)));
        lines
    };
    assert_eq!(metrics(a), metrics(b), "{a} and {b}");
}

#[test]
fn rewards_that_are_no_numbers_stop_the_run() {
    let place = place();
    reward_model(&place);
    poison(&place.path("reward/final/model.safetensors"), "score.weight");
    let words = ["reward/final", "the reward is NaN, expected a finite number"];
    says(&place.fails("score --reward reward --data answers.jsonl", 1), &words);
    says(&place.fails(&format!("{PPO} --reward reward --value tiny --max-steps 2 --out run"), 1), &words);
    says(
        &place.fails(
            "reject --model tiny --reward reward --prompts prompts.jsonl --n 2 --max-new-tokens 60 --out best",
            1,
        ),
        &words,
    );
    assert!(!place.path("run/final").exists() && !place.path("best/round-1/demonstrations.jsonl").exists());
}

/// Overwrites a tensor of f32 with NaN.
fn poison(path: &std::path::Path, tensor: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let about: Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    assert_eq!(about[tensor]["dtype"], "F32");
    let range = numbers(&about[tensor]["data_offsets"]);
    for number in bytes[header + range[0] as usize..header + range[1] as usize].chunks_mut(4) {
        number.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
    std::fs::remove_file(path.with_file_name("manifest.json")).unwrap_or_default();
}

#[test]
fn a_value_model_or_reference_with_other_tokens_is_refused_and_a_reward_model_is_not() {
    let place = place();
    let other = |name: &str| repository().join("tests/conformance").join(name).display().to_string();
    for (option, model) in [("--value", "tiny-reward"), ("--reference", "tiny-reference")] {
        let text = place.fails(&format!("{PPO} --reward rule:distinct {option} {} --out run", other(model)), 2);
        says(&text, &[&format!("ppo.{}", &option[2..]), &other(model), "with tokenizer ", ", the policy's is "]);
        let hash = |after: &str| text.split(after).nth(1).unwrap().chars().take(64).collect::<String>();
        let (theirs, ours) = (hash("with tokenizer "), hash("the policy's is "));
        assert!([&theirs, &ours].iter().all(|hash| hash.chars().all(|c| c.is_ascii_hexdigit())), "{text}");
        assert_ne!(theirs, ours);
        assert!(!place.path("run/final").exists());
    }
    // the text is tokenised again; the value model then begins as the policy with a new head
    let output = place.command(&format!("{PPO} --reward {} --max-steps 1 --out foreign", other("tiny-reward")));
    let output = { output }.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    says(&stderr(&output), &["tiny-reward unchanged: "]);
    says(&place.fails(&format!("{PPO} --reward tiny --out none"), 1), &["score.weight", "`helpmate rm` makes one"]);
}

#[test]
fn a_kl_that_runs_away_leaves_a_checkpoint_to_go_on_from() {
    let place = place();
    let ppo = format!("{PPO} --reward rule:lowercase --lr 0.02 --max-steps 6 --out run --set ppo.kl_budget=0.001");
    let text = place.fails(&ppo, 1);
    says(&text, &["the KL to the reference is", "the budget 0.001", "is whole; --resume with a larger ppo.kl_budget"]);
    let done = rows(&place.read("run/metrics.jsonl")).len();
    assert!(done < 6 && place.path(&format!("run/checkpoints/step-{done:06}")).is_dir());
    assert!(!place.path("run/final").exists());
    place.run("ppo --out run --resume --set ppo.kl_budget=1e9");
    assert_eq!(rows(&place.read("run/metrics.jsonl")).len(), 6);
    // as if there had been no budget
    place.run(&format!("{PPO} --reward rule:lowercase --lr 0.02 --max-steps 6 --out free"));
    same_runs(&place, "free", "run");
}

/// Before the first update policy, sampler and reference are one model, whatever the arithmetic.
#[test]
fn the_first_step_starts_from_nothing() {
    let place = place();
    for precision in ["f32", "bf16"] {
        let ppo = PPO.replace("model.dtype=f32", &format!("model.dtype={precision}"));
        place
            .run(&format!("{ppo} --set ppo.max_new_tokens=60 --reward rule:lowercase --max-steps 1 --out {precision}"));
        let line = &rows(&place.read(&format!("{precision}/metrics.jsonl")))[0];
        for (key, bound) in [
            ("sampler_trainer_gap", 1e-5),
            ("policy_loss", 1e-5),
            ("kl_k1", 1e-4),
            ("kl_k3", 1e-6),
            ("clip_fraction", 0.0),
        ] {
            assert!(line[key].as_f64().unwrap().abs() <= bound, "{precision}: {key} is {}", line[key]);
        }
    }
}

#[test]
fn a_policy_that_diverges_stops_with_1() {
    let place = place();
    for algorithm in ["ppo", "actor_critic", "reinforce", "rloo", "grpo"] {
        let set = format!("--set ppo.algorithm={algorithm} --set train.save_every=1");
        let text =
            place.fails(&format!("{PPO} {set} --reward rule:distinct --lr 1e30 --max-steps 4 --out {algorithm}"), 1);
        says(&text, &["hint: ", "optimizer.lr"]);
        assert!(!place.path(algorithm).join("final").exists());
    }
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let place = place();
    reward_model(&place);
    let (rm, dpo) = ("rm --model tiny --data answers.jsonl --out x", "dpo --model tiny --data answers.jsonl --out x");
    let ppo = format!("{PPO} --reward rule:distinct --out x");
    let reject = "reject --model tiny --prompts prompts.jsonl --reward rule:distinct --out x";
    for (command, options, words) in [
        (rm, "--set rm.margin=true", "rm.margin"),
        (rm, "--set rm.labeler_weights={l=0.5}", "rm.labeler_weights"),
        (rm, "--set train.eval_every=2", "no held-out rows"),
        (rm, "--set rm.loss=plackett_luce --set rm.pairs_divisor=all", "pairs_divisor"),
        (rm, "--set dpo.beta=1", "dpo.beta"),
        (dpo, "--set dpo.loss=hinge --set dpo.label_smoothing=0.1", "label_smoothing"),
        (dpo, "--set dpo.loss=simpo --reference tiny", "dpo.reference"),
        (dpo, "--set dpo.gamma=1", "gamma"),
        (dpo, "--set rm.margin=true", "rm.margin"),
        (&ppo, "--batch-size 4", "ppo.rollout_batch counts prompts"),
        (&ppo, "--eval-data prompts.jsonl", "fresh rollouts"),
        (&ppo, "--set ppo.ptx_coefficient=3", "there is no ppo.ptx"),
        (&ppo, "--set ppo.clip_scope=sum", "there is no ppo.ptx"),
        (&ppo, "--set ppo.safety_threshold=0.5", "there is no ppo.safety"),
        (&ppo, "--set ppo.baseline_decay=0.5", "baseline_decay"),
        (&ppo, "--set ppo.algorithm=grpo --set ppo.value_clip=0.1", "value_clip"),
        (&ppo, "--set ppo.algorithm=rloo --value tiny", "it has no critic"),
        (&ppo, "--set ppo.beta=0 --set ppo.adaptive_kl={target=1}", "ppo.adaptive_kl"),
        (&ppo, "--set ppo.beta=0 --reference tiny", "ppo.reference"),
        (&ppo, "--safety 2*rule:lowercase", "leave out its weight"),
        (&ppo, "--reward 0*rule:lowercase", "other than 0"),
        (&ppo, "--reward inf*rule:lowercase", "a finite number"),
        (&ppo, "--set ppo.top_p=0.9", "ppo.top_p"),
        (reject, "--max-steps 3", "--train"),
        (reject, "--lr 1", "--train"),
        (reject, "--temperature 0", "all answers to a prompt would be one"),
        ("score --data answers.jsonl --reward reward", "--beta 0.2", "--policy"),
        ("score --data answers.jsonl --policy tiny --reference tiny", "--reward reward", "cannot be used with"),
        ("score --data answers.jsonl", "", "--reward"),
    ] {
        says(&place.fails(&format!("{command} {options}"), 2), &[words]);
        assert!(!place.path("x/final").exists(), "{command} {options}");
    }
}

#[test]
fn rounds_of_rejection_sampling_begin_where_the_last_ended() {
    let place = place();
    reward_model(&place);
    let reject = "reject --model tiny --reward reward --prompts prompts.jsonl --n 8 --max-new-tokens 40 --dtype f32";
    let printed = place.run(&format!("{reject} --out one"));
    assert_eq!(printed.trim(), "one/round-1/demonstrations.jsonl");
    let (best, samples) =
        (rows(&place.read("one/round-1/demonstrations.jsonl")), rows(&place.read("one/round-1/samples.jsonl")));
    assert_eq!(samples.len(), 24);
    // every kept answer ended, is the best of its prompt's that did, and has the reward that `score` gives
    assert!(!best.is_empty());
    for row in &best {
        assert_eq!(row["source"], json!("model"));
        let reward = |sample: &Value| sample["reward"].as_f64();
        let rivals = samples.iter().filter(|sample| sample["prompt"] == row["prompt"]);
        let highest = rivals.filter_map(reward).fold(f64::NEG_INFINITY, f64::max);
        place.write("row.jsonl", &format!("{}\n", json!({"prompt": row["prompt"], "completion": row["completion"]})));
        let scored = numbers(&place.rows("score --reward reward --data row.jsonl --dtype f32")[0]["rewards"])[0];
        assert!((scored - highest).abs() < 1e-5, "{row}: {scored}, best of its prompt {highest}");
    }

    let printed = place.run(&format!("{reject} --rounds 2 --max-steps 2 --lr 0.01 --set model.dtype=f32 --out two"));
    assert_eq!(printed.trim(), "two/round-2-sft/final");
    // the first round is the same as alone; the second asked the model that the first made, and learns from both
    assert_eq!(place.read("two/round-1/samples.jsonl"), place.read("one/round-1/samples.jsonl"));
    assert_ne!(place.read("two/round-2/samples.jsonl"), place.read("two/round-1/samples.jsonl"));
    let lineage: Value = serde_json::from_str(&place.read("two/round-2-sft/lineage.json")).unwrap();
    says(&lineage.to_string(), &["round-1/demonstrations.jsonl", "round-2/demonstrations.jsonl"]);
    let text = place.fails(&format!("{reject} --out one"), 2);
    says(&text, &["one holds files", "--resume"]);
    let again = place.run(&format!("{reject} --out one --resume"));
    assert_eq!(again.trim(), "one/round-1/demonstrations.jsonl");
}

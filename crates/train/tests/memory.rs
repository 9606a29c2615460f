//! The memory plan of PPO against what the process really takes, on a model large enough to be seen. Alone in its binary:
//! the peak is the whole process's.
#![allow(clippy::unwrap_used)]
use kernels::Device;
use kernels::linear::Precision;
use model::{Dtype, LoadOptions, Model, Trainable};
use render::Renderer;
use run::{Layers, PpoConfig};
use serde_json::json;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use train::ppo::{Normalised, Rewards};
use train::scorer::RewardModel;
use train::{Event, Options, Program};

/// Bytes after `key` in /proc/self/status.
fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// A model of 7.4 million parameters over the byte tokenizer.
fn write_model(folder: &Path, scalar_head: bool) {
    std::fs::create_dir(folder).unwrap();
    testkit::write_tiny_model(folder, 1);
    let mut config = testkit::tiny_config();
    for (key, size) in [
        ("hidden_size", 256),
        ("intermediate_size", 1024),
        ("num_hidden_layers", 7),
        ("num_attention_heads", 4),
        ("num_key_value_heads", 4),
        ("head_dim", 64),
        ("max_position_embeddings", 256),
    ] {
        config[key] = json!(size);
    }
    let options = LoadOptions { precision: Precision::F32, trainable: Trainable::Nothing, scalar_head };
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let model = Model::random(&Device::detect(Some(1)), config, &options, &mut noise).unwrap();
    model.save(folder, Dtype::F32).unwrap();
}

#[test]
fn the_plan_of_four_networks_is_what_they_take() {
    if !Path::new("/proc/self/clear_refs").exists() {
        eprintln!("SKIPPED: this system doesn't say how much memory a process takes");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (policy, reward) = (dir.path().join("policy"), dir.path().join("rm"));
    write_model(&policy, false);
    write_model(&reward, true);
    let prompts = dir.path().join("prompts.jsonl");
    let rows: Vec<String> =
        (0..4).map(|i| json!({"prompt": format!("{i} is a number, and {i}")}).to_string()).collect();
    std::fs::write(&prompts, rows.join("\n")).unwrap();
    // what the process holds before, and a peak that begins there
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");

    let mut layers = Layers::new().option::<PpoConfig>("--model", "model.path", policy.to_str().unwrap()).unwrap();
    for set in [
        &format!("data.train={}", prompts.display()),
        "ppo.reward=[\"rm\"]",
        "model.dtype=f32",
        "ppo.max_new_tokens=48",
        "ppo.rollout_batch=4",
        "ppo.samples_per_prompt=4",
        "train.max_steps=2",
        "train.micro_tokens=512",
        "data.max_length=128",
    ] {
        layers = layers.set::<PpoConfig>(set).unwrap();
    }
    let renderer = Renderer::open(&policy, None).unwrap();
    let (device, stop) = (Device::detect(Some(2)), AtomicBool::new(false));
    let scorer = RewardModel::open(&device, &reward, Precision::F32, 2048).unwrap();
    let rewards =
        Rewards { reward: Some(Box::new(Normalised(Box::new(scorer)))), gold: None, folders: vec![reward.clone()] };
    let options = Options {
        config: layers.resolve().unwrap(),
        out: dir.path().join("run"),
        resume: false,
        device,
        renderer: &renderer,
        source: None,
        stop: &stop,
        score: None,
        program: Program::default(),
    };
    let mut planned = None;
    train::ppo::run(options, rewards, &mut |event: &Event| {
        if let Event::MemoryBeside { parts, total, .. } = event {
            planned = Some((parts.clone(), *total));
        }
    })
    .unwrap();
    let measured = status("VmHWM:") - before;
    let (parts, total) = planned.expect("a plan");
    eprintln!("planned {total} bytes, measured {measured}: {parts:?}");
    let ratio = total as f64 / measured as f64;
    assert!((0.75..1.25).contains(&ratio), "planned {total}, measured {measured}: {ratio}");
    // weights alone: a frozen reference and a reward model once, a value model with gradient and two moments
    let part = |name: &str| parts.iter().find(|(part, _)| part.starts_with(name)).unwrap().1;
    let weights = part("reference");
    assert!(part("value model") >= 4 * (weights - 1024) && part("reward model rm") > weights - 1024, "{parts:?}");
}

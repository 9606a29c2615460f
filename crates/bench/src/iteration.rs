//! An iteration of PPO with its four networks, and where its time goes.
use crate::measure::peak_memory;
use kernels::Device;
use kernels::linear::Precision;
use render::Renderer;
use run::{Layers, PpoConfig, RmConfig, StageConfig};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use train::ppo::{Normalised, Rewards};
use train::scorer::RewardModel;
use train::{Event, Options, Outcome, Program, TrainError};

/// Phases of an iteration, as `metrics.jsonl` names them.
const PHASES: [&str; 4] = ["seconds_sampling", "seconds_scoring", "seconds_observing", "seconds_learning"];

/// One iteration of PPO: policy, reward model, value model and reference of this folder's size; the second iteration counts.
pub fn ppo(
    device: &Device,
    precision: Precision,
    folder: &Path,
    prompts: usize,
    new: usize,
) -> Result<Value, Box<dyn std::error::Error>> {
    let scratch = std::env::temp_dir().join(format!("helpmate-bench-ppo-{}", std::process::id()));
    let found = iteration(device, precision, folder, prompts, new, &scratch);
    drop(std::fs::remove_dir_all(&scratch)); // half a gigabyte for each network
    found
}

fn iteration(
    device: &Device,
    precision: Precision,
    folder: &Path,
    prompts: usize,
    new: usize,
    scratch: &Path,
) -> Result<Value, Box<dyn std::error::Error>> {
    let write = |name: &str, rows: Vec<Value>| {
        let path = scratch.join(name);
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        stdx::write_file(&path, text.as_bytes()).map(|()| path.display().to_string())
    };
    std::fs::create_dir_all(scratch).map_err(stdx::FileError::at(scratch, "create"))?;
    let question = |i: usize| format!("Question {i}: {}?", "what do you know about the sea and the land ".repeat(5));
    let rank = |i: usize| json!({"prompt": question(i), "completions": [{"text": " Much.", "rank": 1}, {"text": " No.", "rank": 2}]});
    let rankings = write("rankings.jsonl", (0..2).map(rank).collect())?;
    let asked = write("prompts.jsonl", (0..2 * prompts).map(|i| json!({"prompt": question(i)})).collect())?;
    let renderer = Renderer::open(folder, None)?;
    let precision = if precision == Precision::Bf16 { "bf16" } else { "f32" };
    let model = format!("model.path={:?}", folder.display().to_string());
    let dtype = format!("model.dtype={precision}");
    let stop = AtomicBool::new(false);

    let reward = scratch.join("reward");
    let settings = [&model, &dtype, &format!("data.train={:?}", [rankings]), "train.max_steps=1", "train.batch_size=2"];
    let config = layers::<RmConfig>(&settings)?;
    train::reward::run(call(config, &reward, device, &renderer, &stop), &mut |_: &Event| {})?;

    let reward = reward.join("final");
    let value = format!("ppo.value={:?}", reward.display().to_string());
    let (asked, sizes) = (
        format!("data.train={:?}", [asked]),
        [
            format!("ppo.rollout_batch={prompts}"),
            format!("ppo.max_new_tokens={new}"),
            format!("ppo.reward={:?}", [reward.display().to_string()]),
        ],
    );
    let fixed = ["train.max_steps=2", "train.save_every=0", "ppo.missing_eos=keep", "optimizer.lr=1e-6"];
    let settings: Vec<&str> =
        [&model, &dtype, &asked, &value].into_iter().chain(&sizes).map(String::as_str).chain(fixed).collect();
    let config = layers::<PpoConfig>(&settings)?;
    let scorer = RewardModel::open(device, &reward, kernels::linear::Precision::Bf16, 2048)?;
    let rewards = Rewards { reward: Some(Box::new(Normalised(Box::new(scorer)))), gold: None, folders: vec![reward] };
    let out = scratch.join("ppo");
    let mut last = Map::new();
    let mut sink = |event: &Event| {
        if let Event::Step(progress) = event {
            last = progress.own.iter().map(|(name, number)| ((*name).to_owned(), json!(number))).collect();
        }
    };
    let outcome = train::ppo::run(call(config, &out, device, &renderer, &stop), rewards, &mut sink)?;
    assert!(matches!(outcome, Outcome::Finished(_)), "nothing stops it");
    let seconds: f64 = PHASES.iter().filter_map(|phase| last.get(*phase)?.as_f64()).sum();
    let mut result = json!({"iterations_per_second": 1.0 / seconds, "seconds": seconds, "peak_bytes": peak_memory()});
    for name in PHASES.iter().chain(&["length"]) {
        result[*name] = last.get(*name).cloned().unwrap_or_default();
    }
    Ok(result)
}

fn layers<C: StageConfig>(settings: &[impl AsRef<str>]) -> Result<run::Resolved<C>, TrainError> {
    let layers = settings.iter().try_fold(Layers::new(), |layers, setting| layers.set::<C>(setting.as_ref()))?;
    Ok(layers.resolve()?)
}

fn call<'a, C>(
    config: run::Resolved<C>,
    out: &Path,
    device: &Device,
    renderer: &'a Renderer,
    stop: &'a AtomicBool,
) -> Options<'a, C> {
    Options {
        config,
        out: out.to_path_buf(),
        resume: false,
        device: device.clone(),
        renderer,
        source: None,
        stop,
        score: None,
        program: Program::default(),
    }
}

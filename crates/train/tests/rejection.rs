//! Rejection sampling on the tiny byte model: what is kept, resuming, rounds.
#![allow(clippy::unwrap_used)]
mod common;
use common::Bench;
use kernels::Device;
use kernels::linear::Precision;
use record::Prompt;
use render::Renderer;
use run::lineage::Hashed;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use train::rejection::{Ended, FineTune, Request, Settings, run};
use train::scorer::RuleScorer;
use train::{Outcome, Sink, Summary, TrainError};

struct Place {
    bench: Bench,
    renderer: Renderer,
    device: Device,
    prompts: Vec<Prompt>,
    stop: AtomicBool,
}

impl Place {
    fn new() -> Place {
        let bench = Bench::bytes();
        let renderer = Renderer::open(&bench.model, None).unwrap();
        let prompts = ["one", "two", "three"].map(|text| Prompt::Text(text.into())).into();
        Place { bench, renderer, device: Device::detect(Some(2)), prompts, stop: AtomicBool::new(false) }
    }

    fn settings(&self) -> Settings {
        Settings {
            model: Hashed::of(&self.bench.model).unwrap(),
            prompts: vec![],
            reward: "rule:length:3".into(),
            n: 64,
            rounds: 1,
            max_new_tokens: 40,
            temperature: 1.5,
            seed: 3,
            batch: 32,
        }
    }

    fn run(
        &self,
        name: &str,
        settings: Settings,
        resume: bool,
        fine_tune: Option<&mut FineTune>,
    ) -> Result<Ended, TrainError> {
        let out = self.bench.out(name);
        let request = Request {
            settings,
            prompts: &self.prompts,
            out: &out,
            resume,
            device: &self.device,
            precision: Precision::F32,
            renderer: &self.renderer,
            stop: &self.stop,
        };
        run(&request, &mut RuleScorer::new("length:3").unwrap(), fine_tune, &mut |_: &train::Event| {})
    }
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_best_answers_that_ended_become_demonstrations() {
    let place = Place::new();
    let Ended::Finished { reports, demonstrations, model: None } =
        place.run("a", place.settings(), false, None).unwrap()
    else {
        panic!("not finished");
    };
    let samples = rows(&place.bench.out("a/round-1/samples.jsonl"));
    assert_eq!((samples.len(), reports[0].answers), (192, 192));
    let best = rows(&demonstrations[0]);
    assert!(!best.is_empty() && best.len() + reports[0].without_end == 3);
    for demonstration in &best {
        assert_eq!(demonstration["source"], "model");
        let rival = samples
            .iter()
            .filter(|sample| sample["row"] == demonstration["row"] && sample["stop"] == "stop")
            .filter_map(|sample| sample["reward"].as_f64()) // an empty answer has none
            .fold(f64::MIN, f64::max);
        assert_eq!(demonstration["reward"].as_f64().unwrap(), rival);
        assert!(!demonstration["completion"].as_str().unwrap().is_empty());
    }
    assert!(reports[0].best_mean > reports[0].reward_mean);
    // they are rows that other stages read
    let read = corpus::read_rows(&demonstrations, &corpus::Options::of_kinds(&[record::Kind::Demonstration])).unwrap();
    assert_eq!(read.rows.len(), best.len());
    // the same seed gives the same bytes
    place.run("b", place.settings(), false, None).unwrap();
    let bytes = |name: &str| std::fs::read(place.bench.out(name).join("round-1/samples.jsonl")).unwrap();
    assert_eq!(bytes("a"), bytes("b"));
    assert!(place.run("a", place.settings(), false, None).is_err(), "a run must not be overwritten");
}

#[test]
fn rounds_train_on_all_best_answers_so_far_and_resume_where_they_stopped() {
    let place = Place::new();
    let settings = Settings { rounds: 2, ..place.settings() };
    let mut trained: Vec<(PathBuf, usize)> = Vec::new();
    let finished = Outcome::Finished(Box::new(Summary {
        model: place.bench.model.clone(),
        steps: 1,
        chosen_step: 1,
        before: None,
        after: None,
        tokens: 0,
        seconds: 0.0,
        data: Default::default(),
    }));
    let interrupted = Outcome::Interrupted { step: 0, steps: 1, checkpoint: None };
    let mut stopping = |_: &Path, _: &[PathBuf], _: &Path, _: &mut dyn Sink| Ok(interrupted.clone());
    let ended = place.run("run", settings.clone(), false, Some(&mut stopping)).unwrap();
    assert_eq!(ended, Ended::Interrupted { rounds: 1 });
    let first = std::fs::read(place.bench.out("run/round-1/samples.jsonl")).unwrap();
    let mut training = |_: &Path, data: &[PathBuf], out: &Path, _: &mut dyn Sink| {
        trained.push((out.to_path_buf(), data.len()));
        Ok(finished.clone())
    };
    let ended = place.run("run", settings.clone(), true, Some(&mut training)).unwrap();
    assert!(matches!(&ended, Ended::Finished { model: Some(_), reports, .. } if reports.len() == 2));
    let expected = [(place.bench.out("run/round-1-sft"), 1), (place.bench.out("run/round-2-sft"), 2)];
    assert_eq!(trained, expected);
    assert_eq!(std::fs::read(place.bench.out("run/round-1/samples.jsonl")).unwrap(), first, "sampled again");
    assert_ne!(std::fs::read(place.bench.out("run/round-2/samples.jsonl")).unwrap(), first, "the same random stream");
    let changed = Settings { temperature: 0.5, ..settings };
    let error = place.run("run", changed, true, None).unwrap_err().to_string();
    assert!(error.contains("reject.json"), "{error}");
}

#[test]
fn an_interruption_leaves_no_half_round() {
    let place = Place::new();
    place.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let ended = place.run("run", place.settings(), false, None).unwrap();
    assert_eq!(ended, Ended::Interrupted { rounds: 0 });
    assert!(!place.bench.out("run/round-1").exists());
    place.stop.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(place.run("run", place.settings(), true, None), Ok(Ended::Finished { .. })));
}

#[test]
fn answers_that_never_end_are_no_demonstrations() {
    let place = Place::new();
    let settings = Settings { n: 1, max_new_tokens: 1, temperature: 0.01, ..place.settings() };
    let error = place.run("run", settings, false, None).unwrap_err().to_string();
    assert!(error.contains("no answer ended by itself"), "{error}");
    assert!(place.bench.out("run/round-1/samples.jsonl").exists(), "what was sampled is kept to look at");
}

//! The whole loop on a tiny model and a domain of one-letter wisdom: an answer is right if it has an "a".
#![allow(clippy::unwrap_used)] // a panic is the report

use kernels::Device;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stdx::Seed;
use study::domain::{Better, TextPart};
use study::{Domain, Event, Measure, Part, Plan, Question, Report, Study, StudyError};
use tempfile::TempDir;

struct Letters;

const MEASURES: &[Measure] =
    &[Measure { key: "overall", name: "has an a", meaning: "whether it has one", better: Better::Higher }];

fn question(part: &str, i: usize) -> Question {
    let slice = if i.is_multiple_of(2) { "even" } else { "odd" };
    Question { id: format!("{part}-{i}"), text: format!("{part} {i}?"), use_case: "other".into(), slice: slice.into() }
}

impl Domain for Letters {
    fn name(&self) -> &'static str {
        "letters"
    }
    fn summary(&self) -> String {
        "Letters <b>.".into()
    }
    fn limits(&self) -> Vec<String> {
        vec!["It says nothing.".into()]
    }
    fn measures(&self) -> &'static [Measure] {
        MEASURES
    }
    fn judge(&self, _: &Question, answer: &str) -> Vec<Option<f64>> {
        vec![Some(f64::from(u8::from(answer.contains('a'))))]
    }
    fn demonstrations(&self, n: usize) -> Vec<Value> {
        let row = |i| json!({"messages": [{"role": "user", "content": format!("d {i}?")}, {"role": "assistant", "content": "aa"}], "source": "rule"});
        (0..n).map(row).collect()
    }
    fn questions(&self, part: Part, n: usize) -> Vec<Question> {
        let name = match part {
            Part::Reward => "r",
            Part::Policy => "p",
            Part::Eval => "e",
        };
        (0..n).map(|i| question(name, i)).collect()
    }
    fn rankings(&self) -> Option<Vec<Value>> {
        None
    }
    fn rank(&self, question: &Question, answers: &[String], _: usize, _: Seed) -> Value {
        // Refused by the reward model's reader if the same text comes twice with different ranks.
        let completion = |(i, text): (usize, &String)| json!({"text": text, "rank": i + 1});
        let completions: Vec<Value> = answers.iter().enumerate().map(completion).collect();
        json!({"prompt": question.messages(), "completions": completions, "source": "simulated"})
    }
    fn texts(&self, part: TextPart, n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{part:?} {i} abcabc")).collect()
    }
    fn example(&self) -> Question {
        question("x", 0)
    }
    fn bare(&self, question: &Question) -> String {
        format!("{}\n", question.text)
    }
    fn few_shot(&self, question: &Question) -> String {
        format!("Q: a?\nA: aa\n\nQ: {}\nA:", question.text)
    }
    fn few_shot_stop(&self) -> Vec<String> {
        vec!["\n".into()]
    }
}

fn plan() -> Plan {
    let settings = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    Plan {
        seed: 5,
        demonstrations: 8,
        sft_texts: 3,
        sft: settings(&["train.max_steps=2", "train.batch_size=4", "optimizer.lr=1e-2"]),
        ranked_questions: 12,
        ranked_answers: 2,
        rm: settings(&["train.max_steps=2", "train.batch_size=4"]),
        policy_questions: 8,
        mix_texts: 8,
        ppo: settings(&["train.max_steps=3", "ppo.rollout_batch=4", "optimizer.lr=1e-3"]),
        ptx: settings(&["ppo.ptx_coefficient=1.0"]),
        questions: 6,
        samples: 2,
        example_answers: 6,
        texts: 4,
        max_new_tokens: 6,
        resamples: 200,
    }
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        let base = place.folder.path().join("base");
        std::fs::create_dir(&base).unwrap();
        testkit::write_tiny_model(&base, 7);
        place
    }

    fn study(
        &self,
        out: &str,
        stop: &'static AtomicBool,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<Report, StudyError> {
        let study = Study {
            domain: Arc::new(Letters),
            plan: plan(),
            base: self.folder.path().join("base"),
            base_name: "tiny".into(),
            out: self.folder.path().join(out),
            device: Device::detect(Some(1)),
            stop,
            program: train::Program { version: "0".into(), ..Default::default() },
            reproduce: "again".into(),
        };
        study.run(sink)
    }

    fn read(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn never() -> &'static AtomicBool {
    static NEVER: AtomicBool = AtomicBool::new(false);
    &NEVER
}

const ANSWERS: &[&str] = &["base", "few-shot", "sft", "ppo", "ppo-ptx", "examples"];

#[test]
fn every_model_is_measured_and_a_second_run_does_nothing_again() {
    let place = Place::new();
    let report = place.study("out", never(), &mut |_| ()).unwrap();
    assert_eq!(report.questions, 6);
    let names: Vec<&str> = report.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["base", "few-shot", "SFT", "PPO", "PPO-ptx"]);
    // What must be there for whom: no KL where the question wasn't put as a chat, no difference to oneself.
    let cell = |key: &str, model: &str| report.cell(key, model).unwrap().clone();
    assert!(cell("kl_sft", "base").value.is_none() && cell("kl_base", "few-shot").value.is_none());
    assert!(cell("kl_sft", "ppo").value.is_some() && cell("kl_base", "sft").value.is_some());
    assert!(cell("overall", "sft").against_sft.is_none() && cell("overall", "ppo").against_sft.is_some());
    assert!(cell("text_loss", "few-shot").value.is_none());
    assert_eq!(cell("text_loss", "ppo").against_base.unwrap().n, 4);
    assert_eq!(report.slices.iter().map(|slice| slice.name.as_str()).collect::<Vec<_>>(), ["even", "odd"]);
    assert!(report.examples.iter().all(|example| example.answers.len() == 6));

    // The page holds itself, the terminal's text fits.
    let page = place.read("out/report.html");
    assert!(page.contains("Letters &lt;b&gt;.") && page.contains("not evidence") && !page.contains("http"));
    assert!(!page.contains("NaN"));
    let text = study::summary(&report);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(text.contains("the objective trained on, not evidence"));

    // Rankings made of the model's answers say so.
    let rankings = place.read("out/data/rankings.jsonl");
    assert_eq!(rankings.lines().count(), 12);

    let before = place.read("out/report.json");
    let mut stages = (0, 0);
    place
        .study("out", never(), &mut |event| match event {
            Event::Stage { done_in, .. } => stages = (stages.0 + 1, stages.1 + usize::from(done_in.is_some())),
            event => panic!("work was done again: {event:?}"),
        })
        .unwrap();
    assert_eq!(stages, (12, 12));
    assert_eq!(place.read("out/report.json"), before);
}

/// Stopped anywhere, the study goes on and ends where an unstopped one does, bit for bit.
#[test]
fn a_stopped_study_goes_on() {
    let place = Place::new();
    place.study("straight", never(), &mut |_| ()).unwrap();
    for (stage, tag) in [("rankings", 1), ("ppo", 2), ("measure-sft", 3)] {
        let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let out = format!("stopped-{tag}");
        let mut inside = false;
        let error = place.study(&out, stop, &mut |event| match event {
            Event::Stage { name, .. } => inside = name == stage,
            Event::Train(train::Event::Step(_)) | Event::Count { .. } if inside => stop.store(true, Ordering::Relaxed),
            _ => {}
        });
        assert!(matches!(&error, Err(StudyError::Interrupted { stage: at }) if at == stage), "{stage}: {error:?}");
        place.study(&out, never(), &mut |_| ()).unwrap();
        for name in ANSWERS {
            let of = |out: &str| place.read(&format!("{out}/answers/{name}.jsonl"));
            assert_eq!(of(&out), of("straight"), "{name} after a stop at {stage}");
        }
    }
}

#[test]
fn what_was_tampered_with_is_not_built_upon() {
    let place = Place::new();
    place.study("out", never(), &mut |_| ()).unwrap();
    let rows = place.folder.path().join("out/data/rankings.jsonl");
    std::fs::write(&rows, "").unwrap();
    let error = place.study("out", never(), &mut |_| ()).unwrap_err();
    assert!(matches!(&error, StudyError::Changed { stage, .. } if stage == "rankings"), "{error}");
    assert!(error.hint().unwrap().contains("--out"));
    testkit::write_tiny_model(&place.folder.path().join("base"), 8);
    let error = place.study("out", never(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("the hash of the base model"), "{error}");
}

#[test]
fn gold_is_measured_along_the_way() {
    let place = Place::new();
    place.study("out", never(), &mut |_| ()).unwrap();
    let metrics = place.read("out/ppo/metrics.jsonl");
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!(last["gold"].is_number() && last["reward"].is_number() && last.get("ptx_loss").is_none(), "{last}");
    let with_mix = place.read("out/ppo-ptx/metrics.jsonl");
    assert!(with_mix.lines().all(|line| line.contains("ptx_loss")));
}

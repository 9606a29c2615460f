//! Properties of generation on a tiny model.
#![allow(missing_docs, clippy::unwrap_used)]
use generate::{Completion, Event, GenerateError, Generator, Sampling, Settings, StopReason};
use kernels::Device;
use kernels::linear::Precision;
use model::{Model, Request, Trainable, TreeBatch, Workspace};
use render::Tokenizer;
use std::ops::ControlFlow;
use stdx::seed::Seed;

fn model(precision: Precision) -> Model {
    testkit::tiny_model(&Device::detect(Some(2)), Trainable::Nothing, precision, 7)
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(testkit::byte_tokenizer().to_string().as_bytes()).unwrap()
}

fn settings() -> Settings {
    Settings {
        sampling: Sampling::default(),
        n: 1,
        max_new_tokens: 12,
        end_token_ids: vec![testkit::END_OF_TEXT],
        stop: vec![],
        seed: Seed(1),
        batch: 8,
    }
}

fn prompts() -> Vec<Vec<u32>> {
    ["Once upon", "The", "In a small house by the sea", "x", "Two and two make"]
        .iter()
        .map(|t| t.bytes().map(u32::from).collect())
        .collect()
}

fn run(model: &Model, prompts: &[Vec<u32>], settings: &Settings) -> Vec<Completion> {
    Generator::new(model, Some(&tokenizer())).generate(prompts, settings, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_generated_log_prob_equals_the_scored_one() {
    for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::Bf16, 2e-2)] {
        let model = model(precision);
        for temperature in [1.0, 0.7] {
            let settings = Settings { n: 3, sampling: Sampling { temperature, ..Sampling::default() }, ..settings() };
            for completion in run(&model, &prompts(), &settings) {
                let mut batch = TreeBatch::default();
                let root = batch.push_root(&prompts()[completion.prompt_idx]);
                let branch = batch.push_branch(root, &completion.token_ids);
                let targets = (0..completion.token_ids.len()).map(|i| batch.target(branch, i).unwrap()).collect();
                let request = Request { temperature, ..Request::log_probs(targets) };
                let scored = model.forward(&batch, &request, &mut Workspace::default()).log_probs;
                for (generated, scored) in completion.log_probs.iter().zip(&scored) {
                    assert!(
                        (generated - scored).abs() < tolerance,
                        "{precision:?}: {generated} generated, {scored} scored"
                    );
                }
            }
        }
    }
}

/// What PPO samples from is what it trains, in bf16 too: hidden states are the same bits, the head sums in another order.
#[test]
fn exact_generation_is_scoring() {
    for precision in [Precision::F32, Precision::Bf16] {
        let model = model(precision);
        let settings = Settings { n: 3, max_new_tokens: 90, ..settings() };
        let tokenizer = tokenizer();
        let mut generator = Generator::new(&model, Some(&tokenizer)).exactly();
        let completions = generator.generate(&prompts(), &settings, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(completions.iter().any(|completion| completion.token_ids.len() > 64));
        for completion in completions {
            let mut batch = TreeBatch::default();
            let root = batch.push_root(&prompts()[completion.prompt_idx]);
            let branch = batch.push_branch(root, &completion.token_ids);
            let targets = (0..completion.token_ids.len()).map(|i| batch.target(branch, i).unwrap()).collect();
            let scored = model.forward(&batch, &Request::log_probs(targets), &mut Workspace::default()).log_probs;
            for (generated, scored) in completion.log_probs.iter().zip(&scored) {
                assert!((generated - scored).abs() < 1e-5, "{precision:?}: {generated} generated, {scored} scored");
            }
        }
    }
}

#[test]
fn a_completion_does_not_depend_on_what_else_is_in_the_batch() {
    for precision in [Precision::F32, Precision::Bf16] {
        let model = model(precision);
        let settings = Settings { n: 3, ..settings() };
        let together = run(&model, &prompts(), &settings);
        assert_eq!(together.len(), 15);
        for batch in [1, 2, 4] {
            assert_eq!(
                run(&model, &prompts(), &Settings { batch, ..settings.clone() }),
                together,
                "{precision:?}, {batch} at a time"
            );
        }
        // Sample 0 of prompt 0 draws from the same stream whoever comes after it.
        let alone = run(&model, &prompts()[..1], &settings);
        assert_eq!(alone[..], together[..3]);
    }
}

#[test]
fn samples_of_a_prompt_differ_and_seeds_matter() {
    let model = model(Precision::F32);
    let samples = run(&model, &prompts()[..1], &Settings { n: 6, ..settings() });
    assert!(samples.windows(2).any(|w| w[0].token_ids != w[1].token_ids));
    let other = run(&model, &prompts()[..1], &Settings { n: 6, seed: Seed(2), ..settings() });
    assert_ne!(samples, other);
}

#[test]
fn end_tokens_lengths_and_the_context_stop() {
    let model = model(Precision::F32);
    let greedy = Settings { sampling: Sampling::greedy(), ..settings() };
    let whole = &run(&model, &prompts()[..1], &greedy)[0];
    assert_eq!((whole.token_ids.len(), whole.stop), (12, StopReason::Length));
    // The first token of its kind that greedy decoding produces is made the end token.
    let end = whole.token_ids[4];
    let first = whole.token_ids.iter().position(|t| *t == end).unwrap();
    let ended = &run(&model, &prompts()[..1], &Settings { end_token_ids: vec![end], ..greedy.clone() })[0];
    assert_eq!((&ended.token_ids[..], ended.stop), (&whole.token_ids[..=first], StopReason::End));
    let long = vec![vec![65; 120]];
    let full = &run(&model, &long, &Settings { max_new_tokens: 50, end_token_ids: vec![], ..settings() })[0];
    assert_eq!((full.token_ids.len(), full.stop), (8, StopReason::Context));
}

#[test]
fn stop_strings_end_the_text_before_them() {
    let model = model(Precision::F32);
    let settings = Settings { sampling: Sampling::greedy(), max_new_tokens: 40, ..settings() };
    let free = &run(&model, &prompts()[..1], &settings)[0];
    let characters: Vec<char> = free.text.chars().collect();
    let stop: String = characters[3..5].iter().collect();
    let at = free.text.find(&stop).unwrap();
    let stopped = &run(&model, &prompts()[..1], &Settings { stop: vec![stop], ..settings })[0];
    assert_eq!((stopped.text.as_str(), stopped.stop), (&free.text[..at], StopReason::StopString));
}

#[test]
fn streamed_text_is_the_text_and_a_caller_may_stop() {
    let model = model(Precision::F32);
    let tokenizer = tokenizer();
    let (mut streamed, mut tokens) = (String::new(), 0);
    let completions = Generator::new(&model, Some(&tokenizer))
        .generate(&prompts()[..1], &settings(), &mut |event| {
            if let Event::Token { text, .. } = event {
                streamed += text;
                tokens += 1;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((streamed, tokens), (completions[0].text.clone(), completions[0].token_ids.len()));
    let mut seen = 0;
    let cut = Generator::new(&model, Some(&tokenizer))
        .generate(&prompts()[..1], &settings(), &mut |_| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((cut[0].token_ids.len(), cut[0].stop), (3, StopReason::Cancelled));
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let model = model(Precision::F32);
    let refused = |prompts: &[Vec<u32>], settings: &Settings| {
        Generator::new(&model, None)
            .generate(prompts, settings, &mut |_| ControlFlow::Continue(()))
            .expect_err("refused")
    };
    assert_eq!(refused(&[vec![1], vec![]], &settings()), GenerateError::EmptyPrompt { prompt_idx: 1 });
    assert_eq!(
        refused(&[vec![1; 128]], &settings()),
        GenerateError::PromptTooLong { prompt_idx: 0, tokens: 128, context: 128 }
    );
    assert_eq!(refused(&[vec![1]], &Settings { n: 0, ..settings() }), GenerateError::Zero { option: "n" });
    assert_eq!(refused(&[vec![1]], &Settings { stop: vec!["x".into()], ..settings() }), GenerateError::NoTokenizer);
}

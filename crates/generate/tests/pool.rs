//! Requests that come and go while others run.
#![allow(missing_docs, clippy::unwrap_used)]
use generate::{Bias, Completion, Event, GenerateError, Generator, Limits, Pool, Request, Sampling, Settings};
use kernels::Device;
use kernels::linear::Precision;
use model::{Model, Trainable};
use render::Tokenizer;
use std::ops::ControlFlow;
use std::sync::Arc;
use stdx::seed::Seed;

fn model(precision: Precision) -> Model {
    testkit::tiny_model(&Device::detect(Some(2)), Trainable::Nothing, precision, 7)
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(testkit::byte_tokenizer().to_string().as_bytes()).unwrap()
}

fn settings(seed: u64) -> Settings {
    Settings {
        sampling: Sampling::default(),
        n: 1,
        max_new_tokens: 12,
        end_token_ids: vec![testkit::END_OF_TEXT],
        stop: vec![],
        seed: Seed(seed),
        batch: 1,
    }
}

fn ids(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

/// Requests of all shapes: lengths, counts, temperatures, seeds.
fn requests() -> Vec<Request> {
    let prompts = ["Once upon", "The", "In a small house by the sea", "x", "Two and two make", "and", "so it goes"];
    let make = |(id, prompt): (usize, &&str)| {
        let sampling = Sampling { temperature: [1.0, 0.7, 0.0][id % 3], ..Sampling::default() };
        let settings = Settings { sampling, n: 1 + id % 3, max_new_tokens: 4 + 3 * id, ..settings(id as u64) };
        Request::new(id, ids(prompt), Arc::new(settings))
    };
    prompts.iter().enumerate().map(make).collect()
}

fn limits(rows: usize, batch: usize) -> Limits {
    Limits { rows, batch, prefill_tokens: 16, prompt_rows_min: 1, sample_rows_min: 1, exact: false }
}

/// Runs until nothing is left; a request is submitted every `every` steps.
fn run(pool: &mut Pool, requests: Vec<Request>, every: usize) -> Vec<Completion> {
    let mut done = Vec::new();
    let mut requests = requests.into_iter();
    let mut n_steps = 0;
    loop {
        if n_steps % every == 0
            && let Some(request) = requests.next()
        {
            pool.submit(request).unwrap();
        } else if pool.is_idle() && requests.len() == 0 {
            break;
        }
        let flow = pool.step(&mut |event| {
            if let Event::Done(completion) = event {
                done.push(completion.clone());
            }
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        n_steps += 1;
        assert!(n_steps < 10_000, "the pool stands still");
    }
    done.sort_by_key(|completion| (completion.prompt_idx, completion.sample_idx));
    done
}

#[test]
fn a_request_gets_the_same_answer_whoever_comes_and_goes() {
    let tokenizer = tokenizer();
    for precision in [Precision::F32, Precision::Bf16] {
        let model = model(precision);
        let alone: Vec<Completion> = requests()
            .into_iter()
            .flat_map(|request| {
                let mut generator = Generator::new(&model, Some(&tokenizer));
                let completions = generator
                    .generate(&[request.token_ids], &request.settings, &mut |_| ControlFlow::Continue(()))
                    .unwrap();
                completions.into_iter().map(move |completion| Completion { prompt_idx: request.id, ..completion })
            })
            .collect();
        // 60 rows hold two of the seven at a time, 400 all of them.
        for (rows, batch, every) in [(60, 8, 1), (400, 3, 2), (400, 16, 1), (60, 1, 5)] {
            let mut pool = Pool::new(&model, Some(&tokenizer), limits(rows, batch));
            assert_eq!(run(&mut pool, requests(), every), alone, "{precision:?}: {rows} rows, {batch} at a time");
        }
    }
}

/// A prompt of several steps' reading: whoever is being answered gets a token at every one of them, and its own answer is
/// what it would be had it been read in one go.
#[test]
fn a_long_prompt_is_read_while_others_go_on() {
    let (model, tokenizer) = (model(Precision::Bf16), tokenizer());
    let endless = Settings { max_new_tokens: 30, end_token_ids: vec![], ..settings(2) };
    for length in [18, 33, 34, 60, 64] {
        let long = || Request::new(7, (0..length).map(|i| 97 + i * 7 % 26).collect(), Arc::new(settings(5)));
        let mut whole = Pool::new(&model, Some(&tokenizer), Limits { prefill_tokens: 1000, ..limits(200, 4) });
        let alone = run(&mut whole, vec![long()], 1);
        let mut pool = Pool::new(&model, Some(&tokenizer), limits(200, 4));
        pool.submit(Request::new(1, ids("x"), Arc::new(endless.clone()))).unwrap();
        let _ = pool.step(&mut |_| ControlFlow::Continue(()));
        pool.submit(long()).unwrap();
        let (mut done, mut n_steps, mut begun_after) = (Vec::new(), 0, None);
        while !pool.is_idle() {
            n_steps += 1;
            let mut others = 0;
            let _ = pool.step(&mut |event| {
                match event {
                    Event::Token { prompt_idx: 7, .. } => begun_after = begun_after.or(Some(n_steps)),
                    Event::Token { .. } => others += 1,
                    Event::Done(completion) if completion.prompt_idx == 7 => done.push(completion.clone()),
                    Event::Done(_) => {}
                }
                ControlFlow::Continue(())
            });
            assert!(begun_after.is_some() || others == 1, "{length}: step {n_steps} told {others} tokens");
        }
        // 16 tokens a step, the last piece 2 to 17.
        assert_eq!(begun_after, Some((length as usize - 2) / 16 + 1), "{length}");
        assert_eq!(done, alone, "{length}");
    }
}

#[test]
fn a_prompt_that_is_half_read_can_be_cancelled() {
    let (model, tokenizer) = (model(Precision::Bf16), tokenizer());
    // 72 rows: there is room for one of them.
    let mut pool = Pool::new(&model, Some(&tokenizer), limits(72, 4));
    let long = |id| Request::new(id, vec![97; 60], Arc::new(settings(5)));
    let whole = run(&mut pool, vec![long(0)], 1);
    for steps in 0..3 {
        pool.submit(long(1)).unwrap();
        for _ in 0..steps {
            let _ = pool.step(&mut |_| panic!("nothing is said before a prompt is read"));
        }
        assert!(!pool.is_idle());
        pool.cancel(1);
        assert!(pool.is_idle());
        assert_eq!(run(&mut pool, vec![long(0)], 1), whole);
    }
}

#[test]
fn what_is_cancelled_makes_room_and_changes_nobody() {
    let (model, tokenizer) = (model(Precision::F32), tokenizer());
    let mut pool = Pool::new(&model, Some(&tokenizer), limits(80, 4));
    let whole = run(&mut pool, requests(), 1);
    let long = |id| Request::new(id, ids("abcdefgh"), Arc::new(Settings { n: 3, max_new_tokens: 20, ..settings(9) }));
    for steps in 0..6 {
        // One that runs, of which some samples wait, and one that waits.
        pool.submit(long(100)).unwrap();
        pool.submit(long(101)).unwrap();
        for _ in 0..steps {
            let _ = pool.step(&mut |_| ControlFlow::Continue(()));
        }
        pool.cancel(100);
        pool.cancel(101);
        assert!(pool.is_idle());
        assert_eq!(run(&mut pool, requests(), 1), whole, "cancelled after {steps} steps");
    }
}

#[test]
fn alternatives_come_with_their_tokens() {
    let (model, tokenizer) = (model(Precision::F32), tokenizer());
    let greedy = Settings { sampling: Sampling::greedy(), ..settings(1) };
    let mut pool = Pool::new(&model, Some(&tokenizer), limits(100, 4));
    let request = Request { n_alternatives: 3, ..Request::new(5, ids("The"), Arc::new(greedy)) };
    pool.submit(request).unwrap();
    let mut n_tokens = 0;
    while !pool.is_idle() {
        let _ = pool.step(&mut |event| {
            if let Event::Token { token_id, log_prob, alternatives, .. } = event {
                n_tokens += 1;
                assert_eq!(alternatives.len(), 3);
                assert_eq!(alternatives[0].0, token_id, "greedy takes the likeliest");
                assert!((alternatives[0].1 - log_prob).abs() < 1e-6);
                assert!(alternatives.windows(2).all(|pair| pair[0].1 >= pair[1].1));
            }
            ControlFlow::Continue(())
        });
    }
    assert!(n_tokens > 0);
}

#[test]
fn a_bias_forbids_and_demands_tokens() {
    let (model, tokenizer) = (model(Precision::F32), tokenizer());
    let mut pool = Pool::new(&model, Some(&tokenizer), limits(100, 4));
    let free = run(&mut pool, vec![Request::new(0, ids("The"), Arc::new(settings(3)))], 1).remove(0);
    let forbidden = free.token_ids[0];
    let with = |logits| Request {
        bias: Bias { logits, ..Bias::default() },
        ..Request::new(0, ids("The"), Arc::new(settings(3)))
    };
    let without = run(&mut pool, vec![with(vec![(forbidden, -100.0)])], 1).remove(0);
    assert!(!without.token_ids.contains(&forbidden));
    let only = run(&mut pool, vec![with(vec![(65, 100.0)])], 1).remove(0);
    assert_eq!(only.token_ids, [65; 12]);
    // What is reported is what the model thinks, not what the bias makes of it.
    assert!(only.log_probs.iter().all(|log_prob| *log_prob < -0.5), "{:?}", only.log_probs);
    // With a heavy presence penalty nothing comes twice.
    let bias = Bias { presence: 100.0, ..Bias::default() };
    let request = Request { bias, ..Request::new(0, ids("The"), Arc::new(settings(3))) };
    let mut once = run(&mut pool, vec![request], 1).remove(0).token_ids;
    once.sort_unstable();
    assert!(once.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn what_could_never_be_held_is_refused() {
    let (model, tokenizer) = (model(Precision::F32), tokenizer());
    let mut pool = Pool::new(&model, Some(&tokenizer), limits(20, 4));
    let refused = |pool: &mut Pool, prompt: &str, settings: Settings| {
        pool.submit(Request::new(4, ids(prompt), Arc::new(settings))).unwrap_err()
    };
    assert_eq!(
        refused(&mut pool, "nine byte", settings(1)),
        GenerateError::CacheTooSmall { prompt_idx: 4, rows: 21, capacity: 20 }
    );
    assert_eq!(refused(&mut pool, "", settings(1)), GenerateError::EmptyPrompt { prompt_idx: 4 });
    assert_eq!(refused(&mut pool, "x", Settings { n: 0, ..settings(1) }), GenerateError::Zero { option: "n" });
    assert!(pool.is_idle());
}

//! Models asked and scored: answers, and how likely another model finds them.
use crate::{Event, StudyError};
use generate::{Completion, Generator, Sampling, Settings};
use kernels::linear::Precision;
use kernels::{Device, Isa};
use model::{LoadOptions, Model, Request, Trainable, TreeBatch, Workspace, weights};
use render::Renderer;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use stdx::Seed;

/// Tokens run through a model at once at most, unless one sequence is longer.
pub(crate) const BATCH_TOKENS: usize = 2048;
/// Sequences decoded together.
const DECODED_TOGETHER: usize = 64;

/// A model that is only asked, in the arithmetic that it would be trained in.
pub(crate) fn load(device: &Device, path: &Path) -> Result<Model, StudyError> {
    let options =
        LoadOptions { precision: precision(device, path)?, trainable: Trainable::Nothing, scalar_head: false };
    Ok(Model::load(device, path, &options)?)
}

/// f32 for weights in f32; else bf16 where the processor multiplies bf16.
pub(crate) fn precision(device: &Device, path: &Path) -> Result<Precision, StudyError> {
    let config = weights::open(path)?.config;
    let dtype = config.get("dtype").or_else(|| config.get("torch_dtype")).and_then(|dtype| dtype.as_str());
    let is_f32 = dtype.is_some_and(|dtype| dtype.trim_start_matches("torch.") == "float32");
    Ok(if !is_f32 && device.isa >= Isa::Avx512Bf16 { Precision::Bf16 } else { Precision::F32 })
}

/// What is asked of a model, and how.
pub(crate) struct Asking<'a> {
    pub prompts: &'a [Vec<u32>],
    /// Samples of each prompt.
    pub n: usize,
    pub max_new_tokens: usize,
    /// Strings that end an answer.
    pub stop: Vec<String>,
    pub seed: Seed,
}

/// Samples answers at temperature 1, as they are trained; `None` when somebody asked to stop.
pub(crate) fn ask(
    model: &Model,
    renderer: &Renderer,
    asking: &Asking<'_>,
    stop: &AtomicBool,
    sink: &mut dyn FnMut(Event<'_>),
) -> Result<Option<Vec<Completion>>, StudyError> {
    let settings = Settings {
        sampling: Sampling::default(),
        n: asking.n,
        max_new_tokens: asking.max_new_tokens,
        end_token_ids: renderer.end_ids().to_vec(),
        stop: asking.stop.clone(),
        seed: asking.seed,
        batch: DECODED_TOGETHER,
    };
    let (mut done, total) = (0, asking.prompts.len() * asking.n);
    let mut generator = Generator::new(model, Some(renderer.tokenizer()));
    let completions = generator.generate(asking.prompts, &settings, &mut |event| {
        if let generate::Event::Done(_) = event {
            done += 1;
            sink(Event::Count { done, total, noun: "answers" });
        }
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok((!stop.load(Ordering::Relaxed)).then_some(completions))
}

/// Σ log p of what follows each prompt, nats.
pub(crate) fn log_likelihoods(model: &Model, sequences: &[(&[u32], &[u32])]) -> Vec<f64> {
    let mut workspace = Workspace::default();
    let mut sums = Vec::with_capacity(sequences.len());
    let mut rest = sequences;
    while !rest.is_empty() {
        let mut n_tokens = 0;
        let fitting = rest.iter().take_while(|(prompt, answer)| {
            n_tokens += prompt.len() + answer.len();
            n_tokens <= BATCH_TOKENS
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        rest = later;
        let mut batch = TreeBatch::default();
        let mut targets = Vec::new();
        for (prompt, answer) in now {
            let segment = batch.push_root(&[*prompt, *answer].concat());
            let own = prompt.len()..prompt.len() + answer.len();
            targets.extend(own.filter_map(|offset| batch.target(segment, offset)));
        }
        let outputs = model.forward(&batch, &Request::log_probs(targets), &mut workspace);
        let mut log_probs = outputs.log_probs.into_iter().map(f64::from);
        sums.extend(now.iter().map(|(prompt, answer)| {
            // A first token that nothing stands before has no probability.
            let n = answer.len() - usize::from(prompt.is_empty() && !answer.is_empty());
            log_probs.by_ref().take(n).sum::<f64>()
        }));
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence's log-likelihood is what its sampled tokens had, whatever it is batched with.
    #[test]
    fn what_was_sampled_is_what_is_scored() {
        let folder = tempfile::tempdir().unwrap();
        testkit::write_tiny_model(folder.path(), 3);
        let model = load(&Device::detect(Some(1)), folder.path()).unwrap();
        let renderer = Renderer::open(folder.path(), None).unwrap();
        let prompts = vec![vec![72, 105], vec![33, 34, 35, 36]];
        let asking = Asking { prompts: &prompts, n: 3, max_new_tokens: 9, stop: vec![], seed: Seed(1) };
        let mut told = 0;
        let found = ask(&model, &renderer, &asking, &AtomicBool::new(false), &mut |event| {
            if let Event::Count { done, .. } = event {
                told = done;
            }
        });
        let found = found.unwrap().unwrap();
        assert_eq!((found.len(), told), (6, 6));
        let sequences: Vec<(&[u32], &[u32])> =
            found.iter().map(|answer| (&prompts[answer.prompt_idx][..], &answer.token_ids[..])).collect();
        for (sum, answer) in log_likelihoods(&model, &sequences).into_iter().zip(&found) {
            let sampled: f64 = answer.log_probs.iter().copied().map(f64::from).sum();
            assert!((sum - sampled).abs() < 1e-3, "{sum} and {sampled}");
        }
    }

    #[test]
    fn somebody_may_stop_it() {
        let folder = tempfile::tempdir().unwrap();
        testkit::write_tiny_model(folder.path(), 3);
        let model = load(&Device::detect(Some(1)), folder.path()).unwrap();
        let renderer = Renderer::open(folder.path(), None).unwrap();
        let prompts = vec![vec![72]];
        let asking = Asking { prompts: &prompts, n: 1, max_new_tokens: 9, stop: vec![], seed: Seed(1) };
        assert_eq!(ask(&model, &renderer, &asking, &AtomicBool::new(true), &mut |_| ()).unwrap(), None);
    }
}

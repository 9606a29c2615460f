//! Every family against PyTorch (tests/fixtures/families, made by xtask/fixtures/families.py) and against itself:
//! the invariants of a decoder, checked for each fixture without being asked.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::*;
use kernels::linear::Precision;
use model::weights::TensorSource;
use model::weights::safetensors::SafeTensors;
use model::{LoraConfig, Noise, Piece, Request, Span, Trainable, TreeBatch, Workspace};

const F32: Precision = Precision::F32;

struct Expected {
    tensors: SafeTensors,
    batch: TreeBatch,
}

impl Expected {
    fn open(name: &str) -> Expected {
        let tensors = SafeTensors::open(&fixture(name).join("expected.safetensors")).unwrap();
        let text = std::fs::read_to_string(fixture(name).join("expected.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut batch = TreeBatch::default();
        for row in json["token_ids"].as_array().unwrap() {
            let ids: Vec<u32> = row.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect();
            batch.push_root(&ids);
        }
        Expected { tensors, batch }
    }
    fn read(&self, name: &str) -> Vec<f32> {
        let mut out =
            vec![0.0; self.tensors.shape(name).unwrap_or_else(|| panic!("{name} in the fixture")).iter().product()];
        self.tensors.read(name, &mut out).unwrap();
        out
    }
}

fn request_of(batch: &TreeBatch) -> Request {
    Request { entropy: true, ..Request::log_probs(all_targets(batch)) }
}

#[test]
fn log_probs_entropies_and_every_gradient_equal_pytorch() {
    for name in FAMILIES {
        let (model, expected) = (load(name, &options(F32, Trainable::Everything)), Expected::open(name));
        let request = request_of(&expected.batch);
        let outputs = model.forward(&expected.batch, &request, &mut Workspace::default());
        assert_close(&format!("{name} log_probs"), &outputs.log_probs, &expected.read("log_probs"), 3e-6);
        assert_close(&format!("{name} entropies"), &outputs.entropies, &expected.read("entropies"), 3e-6);
        let weights =
            model::Derivatives { log_probs: expected.read("c"), entropies: expected.read("e"), scalars: vec![] };
        let flat = gradient(&model, &expected.batch, &request, &weights, Noise::default(), false);
        for (tensor, shape, values) in model.named(&flat) {
            let key = format!("gradient.{tensor}");
            assert_eq!(expected.tensors.shape(&key).as_ref(), Some(&shape), "{name} {tensor}");
            assert_close(&format!("{name} {tensor}"), &values, &expected.read(&key), 2e-5);
        }
        let gradients = expected.tensors.names().iter().filter(|n| n.starts_with("gradient.")).count();
        assert_eq!(model.named(&flat).len(), gradients, "{name}: every tensor of the file trains");
    }
}

#[test]
fn forward_and_backward_in_one_is_the_same() {
    for name in FAMILIES {
        let (model, batch) = (load(name, &options(F32, Trainable::Everything)), Expected::open(name).batch);
        let request = request_of(&batch);
        let weights = random_weights(&request, 3);
        let apart = gradient(&model, &batch, &request, &weights, Noise::default(), false);
        let mut gradients = model.new_gradients();
        let mut workspace = Workspace::default();
        let outputs =
            model.forward_backward(&batch, &request, &weights, Noise::default(), &mut workspace, &mut gradients);
        assert_eq!(apart, gradients.as_slice(), "{name}");
        let said = model.forward(&batch, &request, &mut workspace);
        assert_close(name, &outputs.log_probs, &said.log_probs, 1e-6);
    }
}

#[test]
fn checkpointing_activations_changes_nothing() {
    for name in FAMILIES {
        let (model, batch) = (load(name, &options(F32, Trainable::Everything)), Expected::open(name).batch);
        let request = request_of(&batch);
        let weights = random_weights(&request, 4);
        let noise = Noise { dropout: 0.3, neftune_alpha: 5.0, seed: 9 };
        let kept = gradient(&model, &batch, &request, &weights, noise, false);
        assert_eq!(kept, gradient(&model, &batch, &request, &weights, noise, true), "{name}");
        assert_ne!(
            kept,
            gradient(&model, &batch, &request, &weights, Noise::default(), true),
            "{name}: noise does something"
        );
    }
}

#[test]
fn a_tree_equals_separate_sequences() {
    for name in FAMILIES {
        let model = load(name, &options(F32, Trainable::Everything));
        let (prompt, answers): (&[u32], [&[u32]; 3]) = (&[3, 9, 4, 7], [&[5, 2], &[11, 12, 1], &[5, 6, 8, 1]]);
        let (mut tree, mut apart) = (TreeBatch::default(), TreeBatch::default());
        let (mut tree_targets, mut apart_targets) = (vec![], vec![]);
        let root = tree.push_root(prompt);
        for answer in answers {
            let branch = tree.push_branch(root, answer);
            tree_targets.extend((0..answer.len()).map(|i| tree.target(branch, i).unwrap()));
            let whole = apart.push_root(&[prompt, answer].concat());
            apart_targets.extend((0..answer.len()).map(|i| apart.target(whole, prompt.len() + i).unwrap()));
        }
        let (tree_request, apart_request) = (
            Request { entropy: true, ..Request::log_probs(tree_targets) },
            Request { entropy: true, ..Request::log_probs(apart_targets) },
        );
        let mut workspace = Workspace::default();
        let (a, b) = (
            model.forward(&tree, &tree_request, &mut workspace),
            model.forward(&apart, &apart_request, &mut workspace),
        );
        assert_close(name, &a.log_probs, &b.log_probs, 1e-6);
        let weights = random_weights(&tree_request, 8);
        let shared = gradient(&model, &tree, &tree_request, &weights, Noise::default(), false);
        let separate = gradient(&model, &apart, &apart_request, &weights, Noise::default(), false);
        assert_close(name, &shared, &separate, 3e-6);
    }
}

#[test]
fn later_tokens_and_other_sequences_do_not_change_earlier_ones() {
    for name in FAMILIES {
        let model = load(name, &options(F32, Trainable::Nothing));
        let mut workspace = Workspace::default();
        let mut said = |sequences: &[&[u32]]| {
            let mut batch = TreeBatch::default();
            for sequence in sequences {
                batch.push_root(sequence);
            }
            let targets = (1..5).map(|i| batch.target(0, i).unwrap()).collect();
            model.forward(&batch, &Request::log_probs(targets), &mut workspace).log_probs
        };
        let alone = said(&[&[3, 1, 4, 1, 5]]);
        assert_close(name, &said(&[&[3, 1, 4, 1, 5, 9, 2, 6]]), &alone, 1e-6);
        assert_close(name, &said(&[&[3, 1, 4, 1, 5], &[7, 7, 7]]), &alone, 1e-6);
    }
}

#[test]
fn decoding_with_a_cache_equals_the_full_forward() {
    for name in FAMILIES {
        for (precision, compact) in [(F32, false), (F32, true), (Precision::Bf16, false), (Precision::Bf16, true)] {
            let model = load(name, &options(precision, Trainable::Nothing));
            let ids: [u32; 7] = [3, 9, 4, 7, 5, 2, 8];
            let mut cache = if compact { model.new_compact_cache(32) } else { model.new_cache(32) };
            let half = if compact && precision == Precision::Bf16 { 2 } else { 1 };
            assert_eq!(cache.bytes(), model.cache_bytes(32) / half);
            let mut workspace = Workspace::default();
            let vocabulary = model.config().vocab_size;
            // The prompt in one piece, then a token at a time; a second sequence shares the prompt's rows.
            let mut logits = model.extend(
                &mut cache,
                &[Piece { token_ids: &ids[..4], position: 0, context: vec![], write_at: 10 }],
                &mut workspace,
            );
            let mut cached = vec![log_prob(&logits, ids[4])];
            for (i, pair) in ids[4..].windows(2).enumerate() {
                let prompt = Span { start: 10, length: 4 };
                let own = |start: u32| vec![prompt, Span { start, length: i as u32 }];
                let piece = |start: u32| Piece {
                    token_ids: &pair[..1],
                    position: 4 + i as u32,
                    context: own(start),
                    write_at: start + i as u32,
                };
                logits = model.extend(&mut cache, &[piece(20), piece(26)], &mut workspace);
                assert_eq!(
                    logits[..vocabulary],
                    logits[vocabulary..],
                    "{name}: equal sequences in one call say the same"
                );
                cached.push(log_prob(&logits[..vocabulary], pair[1]));
            }
            let mut batch = TreeBatch::default();
            batch.push_root(&ids);
            let targets = (4..7).map(|i| batch.target(0, i).unwrap()).collect();
            let full = model.forward(&batch, &Request::log_probs(targets), &mut workspace).log_probs;
            assert_close(&format!("{name} {precision:?}"), &cached, &full, if precision == F32 { 2e-6 } else { 1e-2 });
        }
    }
}

fn log_prob(logits: &[f32], token: u32) -> f32 {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - max).exp()).sum();
    (f64::from(logits[token as usize] - max) - sum.ln()) as f32
}

#[test]
fn bf16_and_q8_stay_near_f32() {
    for name in FAMILIES {
        let batch = Expected::open(name).batch;
        let request = Request::log_probs(all_targets(&batch));
        let mut workspace = Workspace::default();
        let exact = load(name, &options(F32, Trainable::Nothing)).forward(&batch, &request, &mut workspace).log_probs;
        let lora = || LoraConfig { rank: 2, alpha: 4.0, targets: vec!["all-linear".into()] };
        let variants = [
            options(Precision::Bf16, Trainable::Nothing),
            options(Precision::Bf16, Trainable::Everything),
            options(Precision::Bf16, Trainable::Lora { lora: lora(), base_q8: true }),
        ];
        for variant in &variants {
            let rough = load(name, variant).forward(&batch, &request, &mut workspace).log_probs;
            let mean = exact.iter().zip(&rough).map(|(a, b)| (a - b).abs()).sum::<f32>() / exact.len() as f32;
            assert!(mean < 0.1, "{name} {variant:?}: mean difference {mean}");
            assert!(mean > 0.0, "{name} {variant:?}: rounding leaves a trace");
        }
    }
}

#[test]
fn adapters_begin_as_the_base_and_have_the_right_gradient() {
    for name in FAMILIES {
        let batch = Expected::open(name).batch;
        let request = request_of(&batch);
        let mut workspace = Workspace::default();
        let base = load(name, &options(F32, Trainable::Nothing)).forward(&batch, &request, &mut workspace);
        let lora = LoraConfig { rank: 3, alpha: 6.0, targets: vec!["all-linear".into()] };
        let mut adapted = load(name, &options(F32, Trainable::Lora { lora, base_q8: false }));
        adapted.init_adapters(&mut numbers(1));
        assert_eq!(adapted.forward(&batch, &request, &mut workspace).log_probs, base.log_probs, "{name}: B is zero");
        let mut next = numbers(2);
        let moved: Vec<f32> = adapted.trainable().iter().map(|p| p + 0.3 * next()).collect();
        adapted.set_trainable(&moved);
        assert_ne!(
            adapted.forward(&batch, &request, &mut workspace).log_probs,
            base.log_probs,
            "{name}: adapters do something"
        );
        check_finite_differences(&mut adapted, &batch, &request, Noise::default(), 0.02);
        adapted.set_adapter_enabled(false);
        assert_eq!(adapted.forward(&batch, &request, &mut workspace).log_probs, base.log_probs, "{name}: switched off");
    }
}

#[test]
fn the_scalar_head_and_dropout_have_the_right_gradient() {
    for name in FAMILIES {
        let batch = Expected::open(name).batch;
        let mut options = options(F32, Trainable::Everything);
        options.scalar_head = true;
        let mut model = load(name, &options);
        model.init_scalar_head(&mut numbers(3));
        let request = Request::scalars(vec![batch.last_token(0), batch.last_token(1), 4]);
        check_finite_differences(&mut model, &batch, &request, Noise::default(), 0.02);
        check_finite_differences(
            &mut model,
            &batch,
            &request,
            Noise { dropout: 0.2, neftune_alpha: 5.0, seed: 4 },
            0.02,
        );
    }
}

#[test]
fn temperature_divides_the_logits_in_value_and_gradient() {
    let mut model = load("llama", &options(F32, Trainable::Everything));
    let batch = Expected::open("llama").batch;
    let request = Request { temperature: 0.7, ..request_of(&batch) };
    check_finite_differences(&mut model, &batch, &request, Noise::default(), 0.02);
}

#[test]
fn what_is_saved_loads_as_the_same() {
    for name in FAMILIES {
        let batch = Expected::open(name).batch;
        let request = Request::log_probs(all_targets(&batch));
        let mut workspace = Workspace::default();
        let folder = tempfile::tempdir().unwrap();
        let model = load(name, &options(F32, Trainable::Everything));
        model.save(folder.path(), model::Dtype::F32).unwrap();
        let again = model::Model::load(model.device(), folder.path(), &options(F32, Trainable::Everything)).unwrap();
        assert_eq!(model.trainable(), again.trainable(), "{name}");
        let said = |m: &model::Model, w: &mut Workspace| m.forward(&batch, &request, w).log_probs;
        assert_eq!(said(&model, &mut workspace), said(&again, &mut workspace));

        let lora = LoraConfig { rank: 2, alpha: 4.0, targets: vec!["all-linear".into()] };
        let mut adapted = load(name, &options(F32, Trainable::Lora { lora, base_q8: false }));
        let mut next = numbers(6);
        let moved: Vec<f32> = adapted.trainable().iter().map(|_| 0.2 * next()).collect();
        adapted.set_trainable(&moved);
        let folder = tempfile::tempdir().unwrap();
        adapted.save(folder.path(), model::Dtype::F32).unwrap();
        let merged = model::Model::load(model.device(), folder.path(), &options(F32, Trainable::Nothing)).unwrap();
        assert_close(&format!("{name} merged"), &said(&merged, &mut workspace), &said(&adapted, &mut workspace), 1e-5);
    }
}

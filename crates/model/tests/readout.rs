//! A learned token beside a frozen model: its gradient, what is saved, what stays.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::*;
use kernels::Device;
use kernels::linear::Precision;
use model::{Dtype, LearnedToken, LoadOptions, LoraConfig, Model, Noise, Request, Trainable, TreeBatch, Workspace};
use std::path::Path;

const F32: Precision = Precision::F32;

fn vocabulary(name: &str) -> u32 {
    load(name, &options(F32, Trainable::Nothing)).config().vocab_size as u32
}

/// The fixture with one token more, which begins as token 5, and a scalar head.
fn with_token(name: &str, precision: Precision, trainable: Trainable) -> (Model, u32) {
    let token_id = vocabulary(name);
    let token = LearnedToken { token_id, rows: token_id as usize + 3 };
    let options = LoadOptions { precision, trainable, scalar_head: true };
    let mut model = Model::load_with_token(&Device::detect(Some(2)), &fixture(name), &options, token).unwrap();
    model.init_token(token_id, 5);
    model.init_scalar_head(&mut numbers(3));
    (model, token_id)
}

/// Answers that end in the token, one that says it twice and goes on, and one without, whose scalar trains the head alone.
fn asked(token: u32) -> (TreeBatch, Request) {
    let mut batch = TreeBatch::default();
    let root = batch.push_root(&[3, 9, 4, 7]);
    let answers: [&[u32]; 4] = [&[5, 2, token], &[token, 11, token, 1], &[token], &[6, 8]];
    let mut ends: Vec<usize> = answers.iter().map(|answer| batch.push_branch(root, answer)).collect();
    ends.push(batch.push_branch(ends[1], &[4, 4]));
    ends.push(batch.push_root(&[2, 6, token]));
    let request = Request::scalars(ends.into_iter().map(|segment| batch.last_token(segment)).collect());
    (batch, request)
}

#[test]
fn the_row_alone_has_the_gradient_that_it_has_in_the_whole() {
    for name in FAMILIES {
        let ((whole, token), (alone, _)) =
            (with_token(name, F32, Trainable::Everything), with_token(name, F32, Trainable::Readout));
        let (batch, request) = asked(token);
        let said = |model: &Model| model.forward(&batch, &request, &mut Workspace::default()).scalars;
        assert_eq!(said(&whole), said(&alone), "{name}");
        let weights = random_weights(&request, 7);
        let d = alone.config().hidden_size;
        assert_eq!(alone.trainable().len(), 2 * d, "{name}: a row and a head");
        let named = whole.named(&gradient(&whole, &batch, &request, &weights, Noise::default(), false));
        let (table, head) = (&named[0].2, &named[named.len() - 1].2);
        for checkpoint in [false, true] {
            let found = gradient(&alone, &batch, &request, &weights, Noise::default(), checkpoint);
            assert_close(&format!("{name} row"), &found[..d], &table[token as usize * d..][..d], 2e-6);
            assert_close(&format!("{name} head"), &found[d..], head, 2e-6);
        }
    }
}

#[test]
fn the_rows_gradient_is_the_slope() {
    for name in FAMILIES {
        let (mut model, token) = with_token(name, F32, Trainable::Readout);
        let (batch, request) = asked(token);
        check_finite_differences(&mut model, &batch, &request, Noise::default(), 0.02);
        let noise = Noise { dropout: 0.2, neftune_alpha: 0.0, seed: 4 };
        check_finite_differences(&mut model, &batch, &request, noise, 0.02);
    }
}

#[test]
fn adapters_learn_the_row_beside_them() {
    let lora = LoraConfig { rank: 2, alpha: 4.0, targets: vec!["all-linear".into()] };
    let (mut model, token) = with_token("llama", F32, Trainable::Lora { lora, base_q8: false });
    let mut next = numbers(2);
    let moved: Vec<f32> = model.trainable().iter().map(|p| p + 0.3 * next()).collect();
    model.set_trainable(&moved);
    let (batch, request) = asked(token);
    check_finite_differences(&mut model, &batch, &request, Noise::default(), 0.02);
}

/// Every tensor of a folder.
fn tensors(folder: &Path) -> Vec<(String, Vec<f32>)> {
    let source = model::weights::open(folder).unwrap().tensors;
    let mut names = source.names();
    names.sort();
    let read = |name: String| {
        let mut values = vec![0.0; source.shape(&name).unwrap().iter().product()];
        source.read(&name, &mut values).unwrap();
        (name, values)
    };
    names.into_iter().map(read).collect()
}

#[test]
fn what_is_saved_has_the_row_in_its_place_and_all_else_as_it_was() {
    for name in FAMILIES {
        for precision in [F32, Precision::Bf16] {
            let (mut model, token) = with_token(name, precision, Trainable::Readout);
            let mut next = numbers(6);
            let moved: Vec<f32> = model.trainable().iter().map(|_| next()).collect();
            model.set_trainable(&moved);
            let folder = tempfile::tempdir().unwrap();
            model.save(folder.path(), Dtype::F32).unwrap();
            let options = LoadOptions { precision: F32, trainable: Trainable::Nothing, scalar_head: true };
            let again = Model::load(model.device(), folder.path(), &options).unwrap();
            assert_eq!(again.config().vocab_size, token as usize + 3);
            if precision == F32 {
                let (batch, request) = asked(token);
                let said = |model: &Model| model.forward(&batch, &request, &mut Workspace::default()).scalars;
                assert_eq!(said(&again), said(&model), "{name}");
            }
            let untouched = tempfile::tempdir().unwrap();
            with_token(name, precision, Trainable::Readout).0.save(untouched.path(), Dtype::F32).unwrap();
            let (before, after) = (tensors(untouched.path()), tensors(folder.path()));
            let d = model.config().hidden_size;
            let mut changed = Vec::new();
            for ((name, before), (_, after)) in before.iter().zip(&after) {
                let rows = before.chunks(d).zip(after.chunks(d)).enumerate();
                changed.extend(rows.filter(|(_, (a, b))| a != b).map(|(row, _)| (name.as_str(), row)));
            }
            changed.sort_by_key(|(_, row)| std::cmp::Reverse(*row));
            let rows: Vec<usize> = changed.iter().map(|(_, row)| *row).collect();
            assert_eq!(rows, [token as usize, 0], "{name}: {changed:?}: the token's row and the head");
        }
    }
}

#[test]
fn a_smaller_embedding_than_the_files_is_refused() {
    let options = LoadOptions { precision: F32, trainable: Trainable::Readout, scalar_head: true };
    let token = LearnedToken { token_id: 1, rows: 2 };
    let refused = Model::load_with_token(&Device::detect(Some(1)), &fixture("llama"), &options, token);
    assert!(refused.err().unwrap().to_string().contains("expected [2, "));
}

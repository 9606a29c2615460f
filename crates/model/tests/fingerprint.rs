//! A model's hash in memory sees every write, and nothing else.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::*;
use kernels::linear::Precision;
use model::{LoraConfig, Request, Trainable, TreeBatch, Workspace};

#[test]
fn the_smallest_write_changes_the_hash_and_reading_does_not() {
    let lora = || LoraConfig { rank: 2, alpha: 4.0, targets: vec!["all-linear".into()] };
    for precision in [Precision::F32, Precision::Bf16] {
        for trainable in [Trainable::Everything, Trainable::Lora { lora: lora(), base_q8: true }] {
            let mut model = load("llama", &options(precision, trainable.clone()));
            let before = model.fingerprint();
            assert_eq!(before, load("llama", &options(precision, trainable.clone())).fingerprint());
            let mut batch = TreeBatch::default();
            batch.push_root(&[3, 9, 4]);
            let request = Request::log_probs(all_targets(&batch));
            model.forward(&batch, &request, &mut Workspace::default());
            assert_eq!(before, model.fingerprint(), "{trainable:?}: a pass only reads");
            let original = model.trainable().to_vec();
            for at in [0, original.len() / 2, original.len() - 1] {
                let mut moved = original.clone();
                moved[at] = f32::from_bits(moved[at].to_bits() ^ 1);
                model.set_trainable(&moved);
                assert_ne!(before, model.fingerprint(), "{trainable:?}: the last bit of number {at}");
            }
            model.set_trainable(&original);
            assert_eq!(before, model.fingerprint());
            model.config_mut().reward_bias = 1.0;
            assert_ne!(before, model.fingerprint());
        }
    }
}

/// A plan from the description alone is that of the loaded model, whatever is held and trained.
#[test]
fn a_plan_needs_no_weights() {
    let lora = LoraConfig { rank: 2, alpha: 4.0, targets: vec!["all-linear".into()] };
    for name in FAMILIES {
        for precision in [Precision::F32, Precision::Bf16] {
            for trainable in
                [Trainable::Nothing, Trainable::Everything, Trainable::Lora { lora: lora.clone(), base_q8: false }]
            {
                let trains = trainable != Trainable::Nothing;
                let options = options(precision, trainable);
                let loaded = load(name, &options).memory_plan(64, false, trains);
                let device = kernels::Device::detect(Some(1));
                let planned = model::Model::plan_of(&device, &fixture(name), &options, 64, false, trains).unwrap();
                assert_eq!(planned, loaded, "{name}");
            }
        }
    }
}

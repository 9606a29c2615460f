//! A critic of every next token: its gradient, what a policy expects of it, and what is saved.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::*;
use kernels::Device;
use kernels::linear::Precision;
use model::{Critic, Dtype, Expectations, Model, Request, Trainable, TreeBatch, ValueSlopes, Workspace};

const F32: Precision = Precision::F32;

/// The fixture as a critic with a head that says something.
fn critic(name: &str) -> Model {
    let options = options(F32, Trainable::Everything);
    let mut critic = Model::load_critic(&Device::detect(Some(2)), &fixture(name), &options).unwrap();
    let mut next = numbers(4);
    let moved: Vec<f32> = critic.trainable().iter().map(|p| p + 0.2 * next()).collect();
    critic.set_trainable(&moved);
    critic
}

fn asked() -> (TreeBatch, Request) {
    let mut batch = TreeBatch::default();
    let root = batch.push_root(&[3, 9, 4, 7]);
    let branches = [batch.push_branch(root, &[5, 2, 1]), batch.push_branch(root, &[8, 1])];
    let targets = [(branches[0], 0), (branches[0], 1), (branches[0], 2), (branches[1], 0), (branches[1], 1)];
    let targets = targets.iter().map(|&(segment, offset)| batch.target(segment, offset).unwrap()).collect();
    (batch, Request { temperature: 0.8, ..Request::log_probs(targets) })
}

/// Central differences along random directions, as the other model tests take them.
fn check_slope(model: &mut Model, gradient: &[f32], mut loss: impl FnMut(&Model) -> f64) {
    let start = model.trainable().to_vec();
    let scale = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() / (start.len() as f64).sqrt();
    for seed in 0..6 {
        let mut next = numbers(100 + seed);
        let direction: Vec<f32> = (0..start.len()).map(|_| next()).collect();
        let length = direction.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        let step = 1e-2 / length;
        let mut at = |sign: f64| {
            let moved = start.iter().zip(&direction);
            let moved: Vec<f32> = moved.map(|(p, d)| (f64::from(*p) + sign * step * f64::from(*d)) as f32).collect();
            model.set_trainable(&moved);
            loss(model)
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * step * length);
        let along = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum::<f64>() / length;
        assert!((slope - along).abs() < 0.02 * (scale + along.abs()), "slope {slope}, gradient {along}, scale {scale}");
    }
    model.set_trainable(&start);
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn some(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    let mut next = numbers(seed);
    (0..n).map(|_| scale * next()).collect()
}

#[test]
fn a_new_critic_says_nothing_and_its_gradient_is_the_slope() {
    for name in FAMILIES {
        let (batch, request) = asked();
        let mut workspace = Workspace::default();
        let options = options(F32, Trainable::Everything);
        let new = Model::load_critic(&Device::detect(Some(2)), &fixture(name), &options).unwrap();
        let said = new.values_for_training(&batch, &request, &mut workspace);
        assert!(said.chosen.iter().chain(&said.spread).all(|q| *q == 0.0), "{name}: {said:?}");
        let mut critic = critic(name);
        let slopes = ValueSlopes { chosen: some(7, 5, 1.0), spread: some(8, 5, 0.1) };
        let mut gradients = critic.new_gradients();
        critic.values_for_training(&batch, &request, &mut workspace);
        critic.values_backward(&batch, &request, &slopes, &mut workspace, &mut gradients);
        check_slope(&mut critic, gradients.as_slice(), |critic| {
            let said = critic.values_for_training(&batch, &request, &mut workspace);
            dot(&said.chosen, &slopes.chosen) + dot(&said.spread, &slopes.spread)
        });
    }
}

#[test]
fn what_a_policy_expects_has_the_right_gradient() {
    for name in FAMILIES {
        let (batch, request) = asked();
        let (critic, mut workspace) = (critic("llama"), Workspace::default());
        let mut policy = load(name, &options(F32, Trainable::Everything));
        if policy.config().vocab_size != critic.config().vocab_size {
            continue; // a critic has the policy's tokens
        }
        let states = critic.states(&batch, &request, &mut workspace);
        let asked = Critic { model: &critic, states: &states };
        let slopes = Expectations { log_probs: some(1, 5, 1.0), entropies: some(2, 5, 1.0), expected: some(3, 5, 1.0) };
        let mut gradients = policy.new_gradients();
        let said = policy.expectations_backward(&batch, &request, asked, &slopes, &mut workspace, &mut gradients);
        assert_eq!(said, policy.expectations(&batch, &request, asked, &mut workspace), "{name}");
        let plain = Request { entropy: true, ..request.clone() };
        let outputs = policy.forward(&batch, &plain, &mut workspace);
        assert_close(name, &said.log_probs, &outputs.log_probs, 1e-6);
        assert_close(name, &said.entropies, &outputs.entropies, 1e-6);
        check_slope(&mut policy, gradients.as_slice(), |policy| {
            let said = policy.expectations(&batch, &request, asked, &mut workspace);
            dot(&said.log_probs, &slopes.log_probs)
                + dot(&said.entropies, &slopes.entropies)
                + dot(&said.expected, &slopes.expected)
        });
    }
}

/// The expectation is Σ π(a)·Q(a), token by token: each asked for as a target of its own.
#[test]
fn the_expectation_is_the_sum_over_all_tokens() {
    let (policy, critic) = (load("llama", &options(F32, Trainable::Nothing)), critic("llama"));
    let mut batch = TreeBatch::default();
    batch.push_root(&[3, 9, 4]);
    let every = (0..policy.config().vocab_size as u32).map(|token_id| model::Target { source: 2, token_id }).collect();
    let request = Request::log_probs(every);
    let mut workspace = Workspace::default();
    let states = critic.states(&batch, &request, &mut workspace);
    let said = policy.expectations(&batch, &request, Critic { model: &critic, states: &states }, &mut workspace);
    let valued = critic.values_for_training(&batch, &request, &mut workspace);
    let terms = said.log_probs.iter().zip(&valued.chosen).map(|(l, q)| f64::from(*l).exp() * f64::from(*q));
    let sum: f64 = terms.sum();
    assert!((sum - f64::from(said.expected[0])).abs() < 1e-6 * (1.0 + sum.abs()), "{sum}, {}", said.expected[0]);
    assert!(sum.abs() > 1e-3, "off symmetry");
}

#[test]
fn what_is_saved_loads_as_the_same_critic() {
    for name in FAMILIES {
        let (batch, request) = asked();
        let (critic, mut workspace, folder) = (critic(name), Workspace::default(), tempfile::tempdir().unwrap());
        critic.save(folder.path(), Dtype::F32).unwrap();
        let options = options(F32, Trainable::Everything);
        let again = Model::load_critic(critic.device(), folder.path(), &options).unwrap();
        assert_eq!(critic.trainable(), again.trainable(), "{name}");
        let said = |model: &Model, workspace: &mut Workspace| model.values_for_training(&batch, &request, workspace);
        assert_eq!(said(&critic, &mut workspace), said(&again, &mut workspace), "{name}");
    }
}

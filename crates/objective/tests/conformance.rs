//! Rewards, advantages, returns and first losses of four fixed rollouts against PyTorch
//! (`tests/conformance/ppo.json`; its README says how it was made).

#![allow(clippy::unwrap_used)] // a panic is the report

use objective::policy::rewards::MissingEos;
use objective::policy::{count, gae, kl, rewards, states, tokens, whiten};
use objective::{Options, policy};
use serde_json::Value;
use std::path::Path;

const TOLERANCE: f64 = 1e-5;

struct Fixture {
    json: Value,
    /// The length of each response; what lies beyond is padding of the fixture.
    lengths: Vec<usize>,
}

impl Fixture {
    fn read() -> Fixture {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/ppo.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let json: Value = serde_json::from_str(&text).unwrap();
        let responses = json["responses"].as_array().unwrap();
        let lengths = responses.iter().map(|row| row.as_array().unwrap().len()).collect();
        Fixture { json, lengths }
    }

    fn number(&self, path: &str) -> f64 {
        self.json.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {path}"))
    }

    fn ragged(&self, name: &str) -> Vec<Vec<f64>> {
        let row = |(row, &length): (&Value, &usize)| -> Vec<f64> {
            row.as_array().unwrap()[..length].iter().map(|x| x.as_f64().unwrap()).collect()
        };
        self.json[name].as_array().unwrap().iter().zip(&self.lengths).map(row).collect()
    }

    /// Token rewards from scores and log-probabilities, as the fixture's settings say.
    fn rewards(&self) -> Vec<Vec<f64>> {
        let (old, reference) = (self.ragged("old_logprobs"), self.ragged("ref_logprobs"));
        let missing_eos = MissingEos::Replace(self.number("/hyper/missing_eos"));
        let one = |row: usize| {
            let response = self.json["responses"][row].as_array().unwrap();
            let ended = response.last().unwrap() == 62;
            let score = missing_eos.apply(self.number(&format!("/scores/{row}")), ended);
            assert_eq!(score, self.number(&format!("/scores_used/{row}")));
            let beta = self.number("/hyper/beta");
            rewards::token_rewards(row, score, &old[row], &reference[row], beta).unwrap()
        };
        (0..self.lengths.len()).map(one).collect()
    }

    fn advantages(&self) -> gae::Advantages {
        let (gamma, lambda) = (self.number("/hyper/gamma"), self.number("/hyper/lam"));
        gae::gae(&self.rewards(), &self.ragged("values"), gamma, lambda).unwrap()
    }

    #[track_caller]
    fn check(&self, found: &[Vec<f64>], name: &str) {
        for (row, (found, expected)) in found.iter().zip(self.ragged(name)).enumerate() {
            assert_eq!(found.len(), expected.len());
            for (t, (found, expected)) in found.iter().zip(expected).enumerate() {
                let error = (found - expected).abs();
                assert!(error < TOLERANCE, "{name}[{row}][{t}]: {found} vs {expected}");
            }
        }
    }
}

#[test]
fn rewards_from_scores_and_log_probabilities() {
    let fixture = Fixture::read();
    fixture.check(&fixture.rewards(), "rewards");
}

#[test]
fn advantages_and_returns() {
    let fixture = Fixture::read();
    let found = fixture.advantages();
    fixture.check(&found.advantages, "adv");
    fixture.check(&found.returns, "returns");
}

#[test]
fn whitened_advantages() {
    let fixture = Fixture::read();
    fixture.check(&whiten::advantages(&fixture.advantages().advantages), "adv_white");
}

#[test]
fn losses_of_the_first_step() {
    let fixture = Fixture::read();
    let old = fixture.ragged("old_logprobs");
    let advantages = fixture.advantages();
    let white = whiten::advantages(&advantages.advantages);
    let clip = Options::new().with("clip", fixture.number("/hyper/clip"));
    let batch = tokens(&old, &old, &fixture.ragged("ref_logprobs"), &white).unwrap();
    let found = policy::by_name("ppo_clip", &clip).unwrap().loss(&batch).unwrap();
    // Whitened advantages and ratio 1: exactly their mean, 0.
    assert!((found.loss - fixture.number("/steps/0/pg")).abs() < 1e-7, "{}", found.loss);
    assert_eq!(found.clip_fraction, 0.0);
    for (gradient, advantage) in found.gradient.concat().iter().zip(white.concat()) {
        assert!((gradient + advantage / count(&white)).abs() < 1e-15);
    }

    let values = fixture.ragged("values");
    let batch = states(&values, &values, &advantages.returns).unwrap();
    let clip = Options::new().with("value_clip", fixture.number("/hyper/vclip"));
    let found = policy::value_by_name("value_clip", &clip).unwrap().loss(&batch).unwrap();
    assert!((found.loss - fixture.number("/steps/0/vf")).abs() < TOLERANCE, "{}", found.loss);
}

/// A score one step after EOS instead of on it, the other convention seen in libraries, would not
/// pass the test above: the advantages differ by far more than its tolerance.
#[test]
fn the_place_of_the_score_matters() {
    let fixture = Fixture::read();
    let mut late = fixture.rewards();
    let mut values = fixture.ragged("values");
    for (row, rollout) in late.iter_mut().enumerate() {
        let score = fixture.number(&format!("/scores_used/{row}"));
        *rollout.last_mut().unwrap() -= score;
        rollout.push(score);
        values[row].push(0.0);
    }
    let found = gae::gae(&late, &values, 1.0, 0.95).unwrap().advantages;
    let expected = fixture.advantages().advantages;
    assert!((found[0][0] - expected[0][0]).abs() > 1e-2);
}

#[test]
fn kl_is_reported_in_both_ways() {
    let fixture = Fixture::read();
    let (old, reference) = (fixture.ragged("old_logprobs"), fixture.ragged("ref_logprobs"));
    let pairs = || old.iter().flatten().zip(reference.iter().flatten());
    let k1: f64 = pairs().map(|(&p, &q)| kl::k1(p, q)).sum();
    // Σ k1 = −(Σ rewards − Σ scores used)/β: the penalty and the report are the same number.
    let rewards: f64 = fixture.rewards().concat().iter().sum();
    let scores: f64 = (0..4).map(|row| fixture.number(&format!("/scores_used/{row}"))).sum();
    assert!((k1 + (rewards - scores) / fixture.number("/hyper/beta")).abs() < 1e-9);
    assert!(pairs().all(|(&p, &q)| kl::k3(p, q) >= 0.0));
}

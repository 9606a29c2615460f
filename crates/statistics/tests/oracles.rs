//! Agreement, ranks, fits and win rates against krippendorff 0.9, scikit-learn, statsmodels, scipy
//! and choix, where their answers are at hand: `../shared/data/oracles/stat_oracles.json` beside
//! the repository. Without that file these tests say so and check nothing; each module has worked
//! examples of its own.

#![allow(clippy::unwrap_used)] // a panic is the report

use serde_json::Value;
use statistics::agreement::{Weights, cohen_kappa, fleiss_kappa};
use statistics::bradley_terry::{self, Comparison, Outcome, Ties};
use statistics::krippendorff::{Scale, alpha};
use statistics::plackett_luce::{self, Ranking};
use statistics::{correlation, rank_agreement, win_rate};
use std::path::Path;

fn entries(kind: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/oracles/stat_oracles.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str::<Value>(&text).unwrap()[kind].as_array().unwrap().clone(),
        Err(error) => {
            eprintln!("SKIPPED: {kind} is not checked against the oracles: {}: {error}", path.display());
            Vec::new()
        }
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[track_caller]
fn check(found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= tolerance, "{found} vs {expected}");
}

#[test]
fn agreement_of_labelers() {
    for entry in entries("agreement") {
        let ratings: Vec<Vec<Option<f64>>> = entry["ratings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.as_array().unwrap().iter().map(Value::as_f64).collect())
            .collect();
        let scales = [
            ("nominal", Scale::Nominal),
            ("ordinal", Scale::Ordinal),
            ("interval", Scale::Interval),
            ("ratio", Scale::Ratio),
        ];
        for (name, scale) in scales {
            if let Some(expected) = entry["alpha"].get(name) {
                check(alpha(&ratings, scale).unwrap(), expected, 1e-9);
            }
        }
        let complete: Option<Vec<Vec<f64>>> = ratings.iter().map(|row| row.iter().copied().collect()).collect();
        if let Some(expected) = entry.get("fleiss") {
            check(fleiss_kappa(complete.as_ref().unwrap()).unwrap(), expected, 1e-12);
        }
        if let Some(expected) = entry.get("cohen") {
            let rows = complete.as_ref().unwrap();
            let kappa = |weights| cohen_kappa(&rows[0], &rows[1], weights).unwrap();
            check(kappa(Weights::Unweighted), &expected["unweighted"], 1e-12);
            check(kappa(Weights::Linear), &expected["linear"], 1e-12);
            check(kappa(Weights::Quadratic), &expected["quadratic"], 1e-12);
        }
    }
}

#[test]
fn agreement_of_rankings() {
    for entry in entries("rank_agreement") {
        let (a, b) = (numbers(&entry["ranks_a"]), numbers(&entry["ranks_b"]));
        let counts = rank_agreement::count(&a, &b).unwrap();
        check(counts.kendall_tau_b().unwrap(), &entry["kendall_tau_b"], 1e-12);
        check(correlation::spearman(&a, &b).unwrap(), &entry["spearman"], 1e-12);
        check(counts.agree_exact(), &entry["agree_exact3way"], 1e-12);
        check(counts.agree_strict(), &entry["agree_strict_only"], 1e-12);
        check(counts.agree_ties_half(), &entry["agree_ties_half"], 1e-12);
        let found = [
            (counts.pairs(), "pairs"),
            (counts.concordant, "concordant"),
            (counts.discordant, "discordant"),
            (counts.tied_both, "tied_both"),
            (counts.tied_only_a, "tied_only_a"),
            (counts.tied_only_b, "tied_only_b"),
        ];
        for (found, name) in found {
            assert_eq!(Some(found), entry[name].as_u64(), "{name}");
        }
    }
}

#[test]
fn bradley_terry_strengths() {
    for entry in entries("bradley_terry") {
        let n = entry["n"].as_u64().unwrap() as usize;
        let games = entry["winner_loser"].as_array().unwrap().iter().map(|pair| Comparison {
            first: pair[0].as_u64().unwrap() as usize,
            second: pair[1].as_u64().unwrap() as usize,
            outcome: Outcome::First,
        });
        let found = bradley_terry::fit(n, &games.collect::<Vec<_>>(), Ties::Drop, 0.0).unwrap();
        for (found, expected) in found.theta.iter().zip(entry["theta_mean0"].as_array().unwrap()) {
            check(*found, expected, 1e-5);
        }
        check(found.log_likelihood, &entry["loglik"], 1e-5);
    }
}

#[test]
fn plackett_luce_strengths() {
    for entry in entries("plackett_luce") {
        let n = entry["n"].as_u64().unwrap() as usize;
        let order = |row: &Value| Ranking::best_first(numbers(row).into_iter().map(|item| item as usize).collect());
        let rankings: Vec<Ranking> = entry["rankings_best_first"].as_array().unwrap().iter().map(order).collect();
        let found = plackett_luce::fit(n, &rankings, 0.0).unwrap();
        for (found, expected) in found.theta.iter().zip(entry["theta_mean0"].as_array().unwrap()) {
            check(*found, expected, 1e-5);
        }
    }
}

#[test]
fn win_rates() {
    for entry in entries("win_rate") {
        let count = |name: &str| entry[name].as_u64().unwrap();
        let found = win_rate::win_rate(count("wins"), count("ties"), count("losses")).unwrap();
        check(found.ties_half, &entry["win_rate_ties_half"], 1e-12);
        check(found.standard_error, &entry["standard_error_sample_sd"], 1e-12);
        let decided = found.without_ties.unwrap();
        check(decided.estimate, &entry["win_rate_no_ties"], 1e-12);
        check(decided.low, &entry["wilson95_no_ties"][0], 1e-10);
        check(decided.high, &entry["wilson95_no_ties"][1], 1e-10);
        check(found.sign_test_p, &entry["sign_test_p_two_sided"], 1e-12);
    }
}

//! Statistics of a file of judgements: agreement, rankings, strengths, win rates. JSON in, JSON out.
//!
//! An input is an object; fields it doesn't know are passed over, so that a file of reference answers can be read as it
//! is. Every number comes with its n, and with a 95 % interval where one is known.

use crate::estimate::{LEVEL, RESAMPLES};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use statistics::agreement::{Weights, cohen_kappa, fleiss_kappa};
use statistics::bradley_terry::{self, Outcome, Strengths, Ties};
use statistics::krippendorff::{Scale, alpha};
use statistics::plackett_luce::{self, Ranking};
use statistics::{bootstrap, correlation, rank_agreement, win_rate};
use stdx::Seed;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ratings[labeler][thing]`, null where a labeler skipped it.
    Agreement,
    /// `ranks_a`, `ranks_b`: two rankings of the same things.
    Rankings,
    /// `n` competitors, `winner_loser` pairs, optional `ties` pairs.
    BradleyTerry,
    /// `n` competitors, `rankings_best_first`.
    PlackettLuce,
    /// `wins`, `ties`, `losses`, or `outcomes` (1, 0.5, 0).
    WinRate,
}

/// Why nothing was computed.
#[derive(Debug, thiserror::Error)]
pub enum StatisticError {
    /// The input isn't what the kind reads.
    #[error("expected {expected}: {problem}")]
    Input {
        /// The fields.
        expected: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The statistic has no value on it.
    #[error(transparent)]
    Statistics(#[from] statistics::Error),
}

impl Kind {
    /// Computes it; `ridge` keeps strengths finite where comparisons don't connect all competitors.
    pub fn compute(self, input: &Value, ridge: f64) -> Result<Value, StatisticError> {
        match self {
            Kind::Agreement => agreement(&self.read::<Ratings>(input)?.ratings),
            Kind::Rankings => rankings(&self.read(input)?),
            Kind::BradleyTerry => strengths(&self.read(input)?, ridge),
            Kind::PlackettLuce => from_rankings(&self.read(input)?, ridge),
            Kind::WinRate => wins(&self.read(input)?),
        }
    }

    /// The fields it reads.
    pub fn expected(self) -> &'static str {
        match self {
            Kind::Agreement => "`ratings` (a list of numbers or null per labeler)",
            Kind::Rankings => "`ranks_a` and `ranks_b` (lists of numbers)",
            Kind::BradleyTerry => "`n` and `winner_loser` (pairs of competitors from 0), optional `ties` (pairs)",
            Kind::PlackettLuce => "`n` and `rankings_best_first` (lists of competitors from 0)",
            Kind::WinRate => "`wins`, `ties` and `losses`, or `outcomes` (1, 0.5 or 0)",
        }
    }

    fn read<T: DeserializeOwned>(self, input: &Value) -> Result<T, StatisticError> {
        let wrong =
            |error: serde_json::Error| StatisticError::Input { expected: self.expected(), problem: error.to_string() };
        serde_json::from_value(input.clone()).map_err(wrong)
    }
}

#[derive(Deserialize)]
struct Ratings {
    ratings: Vec<Vec<Option<f64>>>,
}

#[derive(Deserialize)]
struct Ranks {
    ranks_a: Vec<f64>,
    ranks_b: Vec<f64>,
}

#[derive(Deserialize)]
struct Comparisons {
    n: usize,
    winner_loser: Vec<(usize, usize)>,
    #[serde(default)]
    ties: Vec<(usize, usize)>,
}

#[derive(Deserialize)]
struct Rankings {
    n: usize,
    rankings_best_first: Vec<Vec<usize>>,
}

#[derive(Deserialize)]
struct Outcomes {
    #[serde(default)]
    wins: u64,
    #[serde(default)]
    ties: u64,
    #[serde(default)]
    losses: u64,
    outcomes: Option<Vec<f64>>,
}

fn agreement(ratings: &[Vec<Option<f64>>]) -> Result<Value, StatisticError> {
    let scales = [
        ("nominal", Scale::Nominal),
        ("ordinal", Scale::Ordinal),
        ("interval", Scale::Interval),
        ("ratio", Scale::Ratio),
    ];
    let units = ratings.first().map_or(0, Vec::len);
    let (mut alphas, mut intervals) = (Map::new(), Map::new());
    for (name, scale) in scales {
        alphas.insert(name.to_owned(), json!(alpha(ratings, scale)?));
        let drawn = |units: &[usize]| {
            let rows: Vec<Vec<Option<f64>>> =
                ratings.iter().map(|row| units.iter().map(|&u| row[u]).collect()).collect();
            alpha(&rows, scale).unwrap_or(f64::NAN)
        };
        let mut stream = Seed(0).stream(name, units as u64);
        // A sample too small or too even for an interval still has its alpha.
        let interval = bootstrap::clusters(units, RESAMPLES, LEVEL, &mut || stream.uniform(), drawn).ok();
        intervals.insert(name.to_owned(), json!(interval.map(|i| [i.low, i.high])));
    }
    let mut out = json!({ "n": units, "labelers": ratings.len(), "alpha": alphas, "alpha_interval95": intervals });
    let complete: Option<Vec<Vec<f64>>> = ratings.iter().map(|row| row.iter().copied().collect()).collect();
    if let Some(complete) = &complete {
        out["fleiss"] = json!(fleiss_kappa(complete)?);
    }
    if let [a, b] = ratings {
        let both: Vec<(f64, f64)> = a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
        let (a, b): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
        out["cohen"] = json!({
            "unweighted": cohen_kappa(&a, &b, Weights::Unweighted)?,
            "linear": cohen_kappa(&a, &b, Weights::Linear)?,
            "quadratic": cohen_kappa(&a, &b, Weights::Quadratic)?,
        });
    }
    Ok(out)
}

fn rankings(Ranks { ranks_a, ranks_b }: &Ranks) -> Result<Value, StatisticError> {
    let counts = rank_agreement::count(ranks_a, ranks_b)?;
    Ok(json!({
        "n": ranks_a.len(),
        "kendall_tau_b": counts.kendall_tau_b()?,
        "spearman": correlation::spearman(ranks_a, ranks_b)?,
        "pairs": counts.pairs(),
        "concordant": counts.concordant,
        "discordant": counts.discordant,
        "tied_both": counts.tied_both,
        "tied_only_a": counts.tied_only_a,
        "tied_only_b": counts.tied_only_b,
        "agree_exact3way": counts.agree_exact(),
        "agree_strict_only": counts.agree_strict(),
        "agree_ties_half": counts.agree_ties_half(),
    }))
}

fn strengths(Comparisons { n, winner_loser, ties }: &Comparisons, ridge: f64) -> Result<Value, StatisticError> {
    let comparison =
        |outcome| move |&(first, second): &(usize, usize)| bradley_terry::Comparison { first, second, outcome };
    let mut comparisons: Vec<_> = winner_loser.iter().map(comparison(Outcome::First)).collect();
    comparisons.extend(ties.iter().map(comparison(Outcome::Tie)));
    let fit = bradley_terry::fit(*n, &comparisons, Ties::Davidson, ridge)?;
    Ok(fitted(&fit, *n, comparisons.len(), "comparisons"))
}

fn from_rankings(Rankings { n, rankings_best_first }: &Rankings, ridge: f64) -> Result<Value, StatisticError> {
    let rankings: Vec<Ranking> = rankings_best_first.iter().map(|items| Ranking::best_first(items.clone())).collect();
    let fit = plackett_luce::fit(*n, &rankings, ridge)?;
    Ok(fitted(&fit, *n, rankings.len(), "rankings"))
}

fn fitted(fit: &Strengths, n: usize, observed: usize, of: &str) -> Value {
    let elo: Vec<f64> = fit.theta.iter().map(|&theta| bradley_terry::as_elo(theta, 1000.0)).collect();
    let interval = |i: usize| {
        let (low, high) = fit.interval(i, LEVEL);
        [low, high]
    };
    let mut out = json!({
        "n": n,
        "theta_mean0": fit.theta,
        "theta_interval95": (0..n).map(interval).collect::<Vec<_>>(),
        "standard_errors": fit.standard_errors,
        "elo": elo,
        "loglik": fit.log_likelihood,
    });
    out[of] = json!(observed);
    if let Some(nu) = fit.tie_parameter.filter(|&nu| nu > 0.0) {
        out["tie_parameter"] = json!(nu);
    }
    out
}

fn wins(Outcomes { wins, ties, losses, outcomes }: &Outcomes) -> Result<Value, StatisticError> {
    let rate = match outcomes {
        Some(outcomes) => win_rate::of_outcomes(outcomes)?,
        None => win_rate::win_rate(*wins, *ties, *losses)?,
    };
    let n = rate.wins + rate.ties + rate.losses;
    let half = 1.959_963_984_540_054 * rate.standard_error;
    let interval = (n > 1).then_some([rate.ties_half - half, rate.ties_half + half]);
    Ok(json!({
        "n": n,
        "wins": rate.wins,
        "ties": rate.ties,
        "losses": rate.losses,
        "win_rate_ties_half": rate.ties_half,
        "standard_error_sample_sd": rate.standard_error.is_finite().then_some(rate.standard_error),
        "interval95_ties_half": interval,
        "win_rate_no_ties": rate.without_ties.map(|i| i.estimate),
        "wilson95_no_ties": rate.without_ties.map(|i| [i.low, i.high]),
        "sign_test_p_two_sided": rate.sign_test_p,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Every number that the reference has is ours, to a tolerance.
    #[track_caller]
    fn contains(found: &Value, expected: &Value, path: &str) -> usize {
        match expected {
            Value::Object(map) => {
                map.iter().map(|(key, value)| contains(&found[key], value, &format!("{path}.{key}"))).sum()
            }
            Value::Array(list) => {
                list.iter().enumerate().map(|(i, value)| contains(&found[i], value, &format!("{path}[{i}]"))).sum()
            }
            Value::Number(number) => {
                let (found, expected) = (found.as_f64(), number.as_f64().unwrap());
                assert!(found.is_some_and(|f| (f - expected).abs() <= 1e-6), "{path}: {found:?} vs {expected}");
                1
            }
            _ => 0,
        }
    }

    #[test]
    fn reference_answers_are_met_where_they_are_there() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/oracles/stat_oracles.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("NOT CHECKED: {} is not there", path.display());
            return;
        };
        let oracles: Value = serde_json::from_str(&text).unwrap();
        let kinds = [
            ("agreement", Kind::Agreement, "ratings"),
            ("rank_agreement", Kind::Rankings, "ranks_"),
            ("bradley_terry", Kind::BradleyTerry, "winner_loser"),
            ("plackett_luce", Kind::PlackettLuce, "rankings_best_first"),
            ("win_rate", Kind::WinRate, "outcomes"),
        ];
        let mut n = 0;
        for (name, kind, input) in kinds {
            for (idx, entry) in oracles[name].as_array().unwrap().iter().enumerate() {
                let found = kind.compute(entry, 0.0).unwrap_or_else(|e| panic!("{name}[{idx}]: {e}"));
                let mut expected = entry.clone();
                expected.as_object_mut().unwrap().retain(|key, _| !key.starts_with(input));
                n += contains(&found, &expected, &format!("{name}[{idx}]"));
            }
        }
        assert!(n > 100, "only {n} numbers compared");
    }

    #[test]
    fn what_is_missing_or_too_little_is_said() {
        let refused = |kind: Kind, input: Value, expected: &str| {
            let error = kind.compute(&input, 0.0).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(Kind::Agreement, json!({}), "missing field `ratings`");
        refused(Kind::Agreement, json!({"ratings": [["a"]]}), "expected f64");
        refused(Kind::WinRate, json!({}), "comparisons: 0 given");
        refused(Kind::WinRate, json!({"outcomes": [2.0]}), "expected 1, 0.5 or 0");
        refused(Kind::BradleyTerry, json!({"n": 2, "winner_loser": [[0, 2]]}), "names competitor 2");
        // 0 never lost: no finite strength, unless a ridge holds it.
        let unbeaten = json!({"n": 2, "winner_loser": [[0, 1], [0, 1]]});
        refused(Kind::BradleyTerry, unbeaten.clone(), "no chain of wins");
        let held = Kind::BradleyTerry.compute(&unbeaten, 1.0).unwrap();
        assert!(held["theta_mean0"][0].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn one_comparison_has_no_interval() {
        let one = Kind::WinRate.compute(&json!({"wins": 1}), 0.0).unwrap();
        assert_eq!((one["n"].as_u64(), &one["interval95_ties_half"]), (Some(1), &Value::Null));
    }
}

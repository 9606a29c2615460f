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
use statistics::rank_agreement::PairCounts;
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
            Kind::Agreement => agreement(&self.read(input)?),
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
    prompts: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Ranks {
    ranks_a: Vec<f64>,
    ranks_b: Vec<f64>,
    prompts: Option<Vec<Value>>,
}

/// The things of each prompt, by their places: what is resampled as one. Without prompts each thing is its own.
fn clusters(prompts: Option<&[Value]>, n: usize) -> Result<Vec<Vec<usize>>, StatisticError> {
    let Some(prompts) = prompts else { return Ok((0..n).map(|thing| vec![thing]).collect()) };
    if prompts.len() != n {
        let problem = format!("`prompts` has {} entries, expected {n}, one a thing", prompts.len());
        return Err(StatisticError::Input { expected: "the prompt of each thing", problem });
    }
    let mut found: Vec<(&Value, Vec<usize>)> = Vec::new();
    for (thing, prompt) in prompts.iter().enumerate() {
        match found.iter_mut().find(|(known, _)| *known == prompt) {
            Some((_, things)) => things.push(thing),
            None => found.push((prompt, vec![thing])),
        }
    }
    Ok(found.into_iter().map(|(_, things)| things).collect())
}

/// The 95 % interval of a statistic of the clusters drawn; null where a sample is too small or too even for one.
fn interval95(name: &str, n: usize, statistic: impl FnMut(&[usize]) -> f64) -> Value {
    let mut stream = Seed(0).stream(name, n as u64);
    let interval = bootstrap::clusters(n, RESAMPLES, LEVEL, &mut || stream.uniform(), statistic).ok();
    json!(interval.map(|i| [i.low, i.high]))
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

/// Each labeler's ratings of every unit; `None` where they gave none.
type Table = Vec<Vec<Option<f64>>>;

fn agreement(Ratings { ratings, prompts }: &Ratings) -> Result<Value, StatisticError> {
    let scales = [
        ("nominal", Scale::Nominal),
        ("ordinal", Scale::Ordinal),
        ("interval", Scale::Interval),
        ("ratio", Scale::Ratio),
    ];
    let units = ratings.first().map_or(0, Vec::len);
    let prompts = clusters(prompts.as_deref(), units)?;
    // The ratings of the prompts drawn.
    let of = |drawn: &[usize]| -> Table {
        let row = |row: &Vec<Option<f64>>| {
            drawn.iter().flat_map(|&i| prompts[i].iter().map(|&unit| row.get(unit).copied().flatten())).collect()
        };
        ratings.iter().map(row).collect()
    };
    let interval =
        |name: &str, statistic: &dyn Fn(&Table) -> f64| interval95(name, prompts.len(), |drawn| statistic(&of(drawn)));
    let (mut alphas, mut intervals) = (Map::new(), Map::new());
    for (name, scale) in scales {
        alphas.insert(name.to_owned(), json!(alpha(ratings, scale)?));
        let found = interval(name, &|ratings| alpha(ratings, scale).unwrap_or(f64::NAN));
        intervals.insert(name.to_owned(), found);
    }
    let raw = raw_agreement(ratings);
    let mut out = json!({
        "n": units,
        "n_prompts": prompts.len(),
        "labelers": ratings.len(),
        "raw": raw.is_finite().then_some(raw),
        "raw_interval95": interval("raw", &|ratings| raw_agreement(ratings)),
        "alpha": alphas,
        "alpha_interval95": intervals,
    });
    let complete = |ratings: &[Vec<Option<f64>>]| -> Option<Vec<Vec<f64>>> {
        ratings.iter().map(|row| row.iter().copied().collect()).collect()
    };
    if let Some(complete_ratings) = complete(ratings) {
        out["fleiss"] = json!(fleiss_kappa(&complete_ratings)?);
        out["fleiss_interval95"] = interval("fleiss", &|ratings| {
            complete(ratings).and_then(|ratings| fleiss_kappa(&ratings).ok()).unwrap_or(f64::NAN)
        });
    }
    if ratings.len() == 2 {
        let weights =
            [("unweighted", Weights::Unweighted), ("linear", Weights::Linear), ("quadratic", Weights::Quadratic)];
        let (mut kappas, mut intervals) = (Map::new(), Map::new());
        for (name, weights) in weights {
            kappas.insert(name.to_owned(), json!(kappa_of_two(ratings, weights)?));
            let found = interval(name, &|ratings| kappa_of_two(ratings, weights).unwrap_or(f64::NAN));
            intervals.insert(name.to_owned(), found);
        }
        out["cohen"] = Value::Object(kappas);
        out["cohen_interval95"] = Value::Object(intervals);
    }
    Ok(out)
}

/// Share of pairs of labelers who say the same of a thing; NaN without any.
fn raw_agreement(ratings: &[Vec<Option<f64>>]) -> f64 {
    let (mut equal, mut pairs) = (0.0, 0.0);
    for (i, a) in ratings.iter().enumerate() {
        for b in &ratings[..i] {
            for (a, b) in a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?))) {
                equal += f64::from(u8::from(a == b));
                pairs += 1.0;
            }
        }
    }
    equal / pairs
}

/// Cohen's κ of the things that both rated.
fn kappa_of_two(ratings: &[Vec<Option<f64>>], weights: Weights) -> Result<f64, statistics::Error> {
    let both = ratings[0].iter().zip(&ratings[1]).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
    let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
    cohen_kappa(&a, &b, weights)
}

fn rankings(Ranks { ranks_a, ranks_b, prompts }: &Ranks) -> Result<Value, StatisticError> {
    // Things of different prompts are not compared.
    let whole: Vec<Value> = vec![Value::Null; ranks_a.len()];
    let prompts = clusters(Some(prompts.as_deref().unwrap_or(&whole)), ranks_a.len())?;
    let of_prompt = |things: &Vec<usize>| -> Result<(PairCounts, f64), statistics::Error> {
        let ranks = |ranks: &[f64]| -> Vec<f64> { things.iter().filter_map(|&i| ranks.get(i).copied()).collect() };
        let (a, b) = (ranks(ranks_a), ranks(ranks_b));
        let counts = rank_agreement::count(&a, &b)?;
        Ok((counts, rank_agreement::kendall_w(&[a, b]).unwrap_or(f64::NAN)))
    };
    let found = prompts.iter().map(of_prompt).collect::<Result<Vec<_>, _>>()?;
    let together = |drawn: &[usize]| {
        drawn.iter().fold(PairCounts::default(), |mut sum, &i| {
            sum.add(&found[i].0);
            sum
        })
    };
    // A mean over the prompts on which a statistic has a value.
    let mean = |drawn: &[usize], statistic: &dyn Fn(&(PairCounts, f64)) -> f64| {
        let values: Vec<f64> = drawn.iter().map(|&i| statistic(&found[i])).filter(|value| value.is_finite()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let tau = |(counts, _): &(PairCounts, f64)| counts.kendall_tau_b().unwrap_or(f64::NAN);
    let all: Vec<usize> = (0..found.len()).collect();
    let counts = together(&all);
    let (tau_b, w) = (mean(&all, &tau), mean(&all, &|(_, w)| *w));
    if found.len() == 1 {
        // One ranking without an order says why it has none.
        counts.kendall_tau_b()?;
    }
    let kappa = counts.kappa();
    let interval = |name: &str, statistic: &dyn Fn(&[usize]) -> f64| interval95(name, found.len(), statistic);
    Ok(json!({
        "n": ranks_a.len(),
        "n_prompts": found.len(),
        "kendall_tau_b": tau_b.is_finite().then_some(tau_b),
        "kendall_w": w.is_finite().then_some(w),
        "spearman": if found.len() == 1 { json!(correlation::spearman(ranks_a, ranks_b)?) } else { Value::Null },
        "pairs": counts.pairs(),
        "concordant": counts.concordant,
        "discordant": counts.discordant,
        "tied_both": counts.tied_both,
        "tied_only_a": counts.tied_only_a,
        "tied_only_b": counts.tied_only_b,
        "agree_exact3way": counts.agree_exact(),
        "agree_strict_only": counts.agree_strict(),
        "agree_ties_half": counts.agree_ties_half(),
        "kappa_ties": kappa.is_finite().then_some(kappa),
        "interval95": {
            "kendall_tau_b": interval("tau", &|drawn| mean(drawn, &tau)),
            "kendall_w": interval("w", &|drawn| mean(drawn, &|(_, w)| *w)),
            "agree_exact3way": interval("exact", &|drawn| together(drawn).agree_exact()),
            "agree_strict_only": interval("strict", &|drawn| together(drawn).agree_strict()),
            "agree_ties_half": interval("half", &|drawn| together(drawn).agree_ties_half()),
            "kappa_ties": interval("kappa", &|drawn| together(drawn).kappa()),
        },
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
    fn things_of_one_prompt_are_drawn_together() {
        let ratings = json!([[1, 1, 0, 1, 0, 0], [1, 0, 0, 1, 0, null]]);
        let alone = Kind::Agreement.compute(&json!({ "ratings": ratings }), 0.0).unwrap();
        let input = json!({ "ratings": ratings, "prompts": ["p", "p", "q", "q", "r", "r"] });
        let together = Kind::Agreement.compute(&input, 0.0).unwrap();
        assert_eq!((&alone["n_prompts"], &together["n_prompts"]), (&json!(6), &json!(3)));
        assert_eq!((&alone["raw"], &alone["cohen"]), (&together["raw"], &together["cohen"]));
        assert_eq!(alone["raw"], json!(0.8));
        assert_ne!(alone["raw_interval95"], together["raw_interval95"]);
        assert!(together["cohen_interval95"]["quadratic"].is_array());
        // Within q the order is the same, within r it is opposite; p against q isn't compared.
        let input =
            json!({"ranks_a": [1, 2, 1, 2, 1, 2], "ranks_b": [1, 1, 1, 2, 2, 1], "prompts": [0, 0, 1, 1, 2, 2]});
        let found = Kind::Rankings.compute(&input, 0.0).unwrap();
        assert_eq!((&found["pairs"], &found["concordant"], &found["discordant"]), (&json!(3), &json!(1), &json!(1)));
        // One tie among six things said: p = 1/6, 5/12, 5/12.
        let expected = 1.0 / 36.0 + 2.0 * 25.0 / 144.0;
        let kappa = (1.0 / 3.0 - expected) / (1.0 - expected);
        assert!((found["kappa_ties"].as_f64().unwrap() - kappa).abs() < 1e-12);
        assert!(found["interval95"]["agree_exact3way"].is_array());
        let short = json!({"ranks_a": [1, 2], "ranks_b": [1, 2], "prompts": [0]});
        assert!(Kind::Rankings.compute(&short, 0.0).unwrap_err().to_string().contains("1 entries, expected 2"));
    }

    #[test]
    fn one_comparison_has_no_interval() {
        let one = Kind::WinRate.compute(&json!({"wins": 1}), 0.0).unwrap();
        assert_eq!((one["n"].as_u64(), &one["interval95_ties_half"]), (Some(1), &Value::Null));
    }
}

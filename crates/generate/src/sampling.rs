//! From logits to a token: temperature, repetition penalty, top-k, top-p (arXiv 1904.09751), min-p (arXiv 2407.01082).
use kernels::{Isa, choice};
use std::cmp::Ordering;

/// How a token is chosen. The log-probability reported with it is always the model's own at this temperature (at 1 when
/// greedy), before penalty and truncation: what scoring the same text gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f32,
    /// Only the k most likely tokens; 0 is off.
    pub top_k: usize,
    /// Only the most likely tokens whose probabilities reach p together; 1 is off.
    pub top_p: f32,
    /// Only tokens at least this fraction as likely as the likeliest; 0 is off.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens already in the text (arXiv 1909.05858); 1 is off.
    pub repetition_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

/// A setting outside its range, or one that would do nothing.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum SamplingError {
    /// Outside its range.
    #[error("`{option}` is {found}, expected {expected}")]
    OutOfRange {
        /// Its name.
        option: &'static str,
        /// Its value.
        found: f32,
        /// What it may be.
        expected: &'static str,
    },
    /// Greedy choice leaves nothing to truncate.
    #[error("`{option}` does nothing at temperature 0")]
    NoEffect {
        /// Its name.
        option: &'static str,
    },
}

impl Sampling {
    /// The most likely token, always.
    pub fn greedy() -> Sampling {
        Sampling { temperature: 0.0, ..Sampling::default() }
    }
    /// Refuses values outside their ranges and options without effect.
    pub fn check(&self) -> Result<(), SamplingError> {
        let range = |option, found: f32, ok: bool, expected| {
            if ok { Ok(()) } else { Err(SamplingError::OutOfRange { option, found, expected }) }
        };
        range("temperature", self.temperature, (0.0..=100.0).contains(&self.temperature), "a number from 0 to 100")?;
        range("top_p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "a number above 0, at most 1")?;
        range("min_p", self.min_p, (0.0..1.0).contains(&self.min_p), "a number from 0, below 1")?;
        range(
            "repetition_penalty",
            self.repetition_penalty,
            self.repetition_penalty > 0.0 && self.repetition_penalty <= 100.0,
            "a number above 0, at most 100",
        )?;
        let no_effect = |option, used: bool| {
            if used && self.temperature == 0.0 { Err(SamplingError::NoEffect { option }) } else { Ok(()) }
        };
        no_effect("top_k", self.top_k > 0)?;
        no_effect("top_p", self.top_p < 1.0)?;
        no_effect("min_p", self.min_p > 0.0)
    }
    /// Whether some tokens can never be drawn, or others are reweighted: then the drawn distribution is not the model's.
    pub fn truncates(&self) -> bool {
        self.top_k > 0 || self.top_p < 1.0 || self.min_p > 0.0 || self.repetition_penalty != 1.0
    }
    /// The temperature that log-probabilities are reported at.
    pub fn scoring_temperature(&self) -> f32 {
        if self.temperature == 0.0 { 1.0 } else { self.temperature }
    }

    /// Moves tokens of the text so far (`seen`, each once or more) by the repetition penalty.
    pub(crate) fn penalise(&self, logits: &mut [f32], seen: &[u32]) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        let mut seen = seen.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            let z = &mut logits[id as usize];
            *z = if *z > 0.0 { *z / self.repetition_penalty } else { *z * self.repetition_penalty };
        }
    }

    /// Chooses a token by a uniform number in [0, 1).
    pub(crate) fn pick(&self, isa: Isa, logits: &[f32], uniform: f64) -> u32 {
        if self.temperature == 0.0 {
            return choice::likeliest(isa, logits) as u32;
        }
        if self.top_k == 0 && self.top_p >= 1.0 && self.min_p <= 0.0 {
            return choice::draw(isa, logits, self.temperature, uniform) as u32;
        }
        let candidates = self.candidates(isa, logits);
        let of_candidates: Vec<f32> = candidates.iter().map(|candidate| candidate.1).collect();
        candidates[choice::draw(isa, &of_candidates, self.temperature, uniform)].0
    }

    /// What truncation leaves, most likely first, ties by id. Never empty.
    fn candidates(&self, isa: Isa, logits: &[f32]) -> Vec<(u32, f32)> {
        let highest = logits[choice::likeliest(isa, logits)];
        let mut all = if self.top_k == 0 {
            self.likely(isa, logits, highest)
        } else {
            let mut all: Vec<(u32, f32)> = numbered(logits).collect();
            if self.top_k < all.len() {
                all.select_nth_unstable_by(self.top_k - 1, descending);
                all.truncate(self.top_k);
            }
            all
        };
        all.sort_unstable_by(descending);
        if self.top_p < 1.0 {
            let weight = |z: f32| f64::from((z - highest) / self.temperature).exp();
            let total = match self.top_k {
                0 => f64::from(choice::log_sum(isa, logits, self.temperature)).exp(),
                _ => all.iter().map(|c| weight(c.1)).sum::<f64>(),
            };
            let (enough, mut reached) = (f64::from(self.top_p) * total, 0.0);
            let last = all.iter().position(|c| {
                reached += weight(c.1);
                reached >= enough
            });
            all.truncate(last.map_or(all.len(), |last| last + 1));
        }
        if self.min_p > 0.0 {
            let lowest = highest + self.temperature * self.min_p.ln();
            let kept = all.iter().take_while(|c| c.1 >= lowest).count();
            all.truncate(kept.max(1));
        }
        all
    }

    /// The tokens among which `top_p` and `min_p` choose, in order of id: what is left out can't be theirs. Tokens of less
    /// than (1 − p)/V of all the weight have less than 1 − p together, so the others have p.
    fn likely(&self, isa: Isa, logits: &[f32], highest: f32) -> Vec<(u32, f32)> {
        let mut lowest = if self.min_p > 0.0 { self.temperature * self.min_p.ln() } else { f32::NEG_INFINITY };
        if self.top_p < 1.0 {
            let share = ((1.0 - self.top_p) / logits.len() as f32).ln();
            // A little less: sums and logarithms are rounded.
            lowest = lowest.max(self.temperature * (choice::log_sum(isa, logits, self.temperature) + share - 0.01));
        }
        let lowest = highest + lowest;
        let likely: Vec<(u32, f32)> = numbered(logits).filter(|c| c.1 >= lowest).collect();
        // Where logits are no numbers nothing is likely, and anything will do.
        if likely.is_empty() { numbered(logits).take(1).collect() } else { likely }
    }
}

fn numbered(logits: &[f32]) -> impl Iterator<Item = (u32, f32)> {
    logits.iter().enumerate().map(|(token_id, z)| (token_id as u32, *z))
}

/// The most likely first, ties by id.
fn descending(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The `n` likeliest tokens with their log-probabilities, the likeliest first, ties by id.
pub(crate) fn alternatives(isa: Isa, logits: &[f32], n: usize, temperature: f32) -> Vec<(u32, f32)> {
    let n = n.min(logits.len());
    if n == 0 {
        return Vec::new();
    }
    let mut all: Vec<(u32, f32)> = numbered(logits).collect();
    all.select_nth_unstable_by(n - 1, descending);
    all.truncate(n);
    all.sort_unstable_by(descending);
    // log softmax moves all logits by the same amount.
    let shift = choice::log_prob(isa, logits, all[0].0 as usize, temperature) - all[0].1 / temperature;
    all.iter().map(|(token_id, z)| (*token_id, z / temperature + shift)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, 3.0, 0.5, 3.0, -2.0];

    fn shares(sampling: &Sampling) -> Vec<f64> {
        let n = 20_000;
        let mut counts = vec![0u32; LOGITS.len()];
        for i in 0..n {
            counts[sampling.pick(Isa::best(), &LOGITS, (f64::from(i) + 0.5) / f64::from(n)) as usize] += 1;
        }
        counts.iter().map(|c| f64::from(*c) / f64::from(n)).collect()
    }

    fn check(sampling: Sampling, allowed: &[usize]) {
        let temperature = f64::from(sampling.temperature);
        let weights: Vec<f64> = LOGITS.iter().map(|z| (f64::from(*z) / temperature).exp()).collect();
        let total: f64 = allowed.iter().map(|&i| weights[i]).sum();
        for (i, share) in shares(&sampling).into_iter().enumerate() {
            let expected = if allowed.contains(&i) { weights[i] / total } else { 0.0 };
            assert!((share - expected).abs() < 2e-4, "token {i}: {share}, expected {expected}");
        }
    }

    #[test]
    fn drawn_shares_are_the_probabilities_of_what_truncation_leaves() {
        let plain = Sampling::default();
        check(plain.clone(), &[0, 1, 2, 3, 4]);
        check(Sampling { temperature: 0.5, ..plain.clone() }, &[0, 1, 2, 3, 4]);
        check(Sampling { top_k: 3, ..plain.clone() }, &[0, 1, 3]);
        // exp: 2.72, 20.09, 1.65, 20.09, 0.14 of 44.67; the two threes make .899, with the one .960.
        check(Sampling { top_p: 0.89, ..plain.clone() }, &[1, 3]);
        check(Sampling { top_p: 0.95, ..plain.clone() }, &[0, 1, 3]);
        // e^(1-3) = .135: kept at .13, dropped at .14.
        check(Sampling { min_p: 0.13, ..plain.clone() }, &[0, 1, 3]);
        check(Sampling { min_p: 0.14, ..plain.clone() }, &[1, 3]);
    }

    #[test]
    fn greedy_takes_the_first_of_the_highest() {
        assert_eq!(Sampling::greedy().pick(Isa::best(), &LOGITS, 0.9), 1);
    }

    #[test]
    fn the_penalty_moves_seen_tokens_both_signs_down() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::greedy() };
        let penalised = |mut logits: Vec<f32>, seen: &[u32]| {
            sampling.penalise(&mut logits, seen);
            logits
        };
        assert_eq!(
            penalised(LOGITS.to_vec(), &[1, 4, 1]),
            [1.0, 1.5, 0.5, 3.0, -4.0],
            "once, however often it is there"
        );
        assert_eq!(penalised(vec![-1.0, -1.5], &[0]), [-2.0, -1.5]);
    }

    /// A nucleus among many tokens, with every token looked at.
    #[test]
    fn a_nucleus_is_found_among_the_likely_few() {
        let logits: Vec<f32> = (0..5000).map(|i| ((i * 7919 % 5003) as f32 / 500.0).sin() * 6.0).collect();
        for (top_p, min_p, temperature) in [(0.1, 0.0, 1.0), (0.95, 0.0, 0.7), (0.99, 0.0, 2.0), (0.9, 0.2, 1.0)] {
            let sampling = Sampling { top_p, min_p, temperature, ..Sampling::default() };
            let mut sorted: Vec<(u32, f32)> = numbered(&logits).collect();
            sorted.sort_by(descending);
            let weight = |z: f32| (f64::from(z - sorted[0].1) / f64::from(temperature)).exp();
            let total: f64 = sorted.iter().map(|c| weight(c.1)).sum();
            let mut reached = 0.0;
            let nucleus = sorted.iter().take_while(|c| {
                let before = reached;
                reached += weight(c.1);
                before < f64::from(top_p) * total && weight(c.1) >= f64::from(min_p)
            });
            let expected: Vec<u32> = nucleus.map(|c| c.0).collect();
            let found: Vec<u32> = sampling.candidates(Isa::best(), &logits).iter().map(|c| c.0).collect();
            // Sums are rounded in other places, which may move the end where thousands weigh next to nothing.
            let common = found.len().min(expected.len());
            assert!(found.len().max(expected.len()) <= common + 2, "{} and {}", found.len(), expected.len());
            assert!(found[..common] == expected[..common], "{top_p} {min_p} {temperature}");
        }
    }

    #[test]
    fn alternatives_are_the_likeliest_with_their_log_probs() {
        let found = alternatives(Isa::best(), &LOGITS, 3, 0.7);
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [1, 3, 0]);
        for (token_id, value) in found {
            assert!((value - choice::log_prob(Isa::best(), &LOGITS, token_id as usize, 0.7)).abs() < 1e-6);
        }
        assert_eq!(alternatives(Isa::best(), &LOGITS, 9, 1.0).len(), 5);
        assert!(alternatives(Isa::best(), &LOGITS, 0, 1.0).is_empty());
    }

    #[test]
    fn settings_outside_their_range_or_without_effect_are_refused() {
        let refused = |sampling: Sampling, option: &str| {
            let message = sampling.check().expect_err("refused").to_string();
            assert!(message.contains(option), "{message}");
        };
        let plain = Sampling::default();
        refused(Sampling { temperature: f32::NAN, ..plain.clone() }, "temperature");
        refused(Sampling { temperature: -1.0, ..plain.clone() }, "temperature");
        refused(Sampling { top_p: 0.0, ..plain.clone() }, "top_p");
        refused(Sampling { min_p: 1.0, ..plain.clone() }, "min_p");
        refused(Sampling { repetition_penalty: 0.0, ..plain }, "repetition_penalty");
        refused(Sampling { top_k: 5, ..Sampling::greedy() }, "top_k");
    }
}

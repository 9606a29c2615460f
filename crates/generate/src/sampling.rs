//! From logits to a token: temperature, repetition penalty, top-k, top-p (arXiv 1904.09751), min-p (arXiv 2407.01082).

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

    /// Chooses a token by a uniform number in [0, 1). `seen` are the tokens of the text so far (for the penalty).
    /// Returns the token and its log-probability in nats.
    pub(crate) fn choose(&self, logits: &[f32], seen: &[u32], uniform: f64) -> (u32, f32) {
        let temperature = self.scoring_temperature();
        let token = if self.repetition_penalty == 1.0 {
            self.pick(logits, uniform)
        } else {
            self.pick(&self.penalised(logits, seen), uniform)
        };
        (token, log_prob(logits, token, temperature))
    }

    fn penalised(&self, logits: &[f32], seen: &[u32]) -> Vec<f32> {
        let mut out = logits.to_vec();
        for &id in seen {
            let z = logits[id as usize];
            out[id as usize] = if z > 0.0 { z / self.repetition_penalty } else { z * self.repetition_penalty };
        }
        out
    }

    fn pick(&self, logits: &[f32], uniform: f64) -> u32 {
        if self.temperature == 0.0 {
            return argmax(logits);
        }
        if self.top_k == 0 && self.top_p >= 1.0 && self.min_p <= 0.0 {
            return draw(
                logits.iter().enumerate().map(|(i, z)| (i as u32, *z)),
                max(logits),
                self.temperature,
                uniform,
            );
        }
        let candidates = self.candidates(logits);
        draw(candidates.iter().copied(), candidates[0].1, self.temperature, uniform)
    }

    /// What truncation leaves, most likely first, ties by id. Never empty.
    fn candidates(&self, logits: &[f32]) -> Vec<(u32, f32)> {
        let mut all: Vec<(u32, f32)> = logits.iter().enumerate().map(|(i, z)| (i as u32, *z)).collect();
        let descending = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.top_k > 0 && self.top_k < all.len() {
            all.select_nth_unstable_by(self.top_k - 1, descending);
            all.truncate(self.top_k);
        }
        let highest = all.iter().map(|c| c.1).fold(f32::MIN, f32::max);
        if self.top_p < 1.0 {
            let weight = |z: f32| f64::from((z - highest) / self.temperature).exp();
            let enough = f64::from(self.top_p) * all.iter().map(|c| weight(c.1)).sum::<f64>();
            // The likeliest few nearly always suffice: sort them first, all only if they don't.
            for head in [1024, usize::MAX] {
                let head = head.min(all.len());
                if head < all.len() {
                    all.select_nth_unstable_by(head - 1, descending);
                }
                all[..head].sort_unstable_by(descending);
                let mut reached = 0.0;
                let kept = all[..head].iter().position(|c| {
                    reached += weight(c.1);
                    reached >= enough
                });
                if let Some(last) = kept {
                    all.truncate(last + 1);
                    break;
                }
            }
        }
        all.sort_unstable_by(descending);
        if self.min_p > 0.0 {
            let lowest = highest + self.temperature * self.min_p.ln();
            let kept = all.iter().take_while(|c| c.1 >= lowest).count();
            all.truncate(kept.max(1));
        }
        all
    }
}

fn max(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::MIN, f32::max)
}

/// The highest logit's index; the lowest index among equals.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, z) in logits.iter().enumerate() {
        if *z > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// Inverse of the cumulative distribution, in the order given.
fn draw(candidates: impl Iterator<Item = (u32, f32)> + Clone, highest: f32, temperature: f32, uniform: f64) -> u32 {
    let weight = |z: f32| f64::from(((z - highest) / temperature).exp());
    let total: f64 = candidates.clone().map(|(_, z)| weight(z)).sum();
    let mut left = uniform * total;
    let mut last = 0;
    for (id, z) in candidates {
        let w = weight(z);
        if w > 0.0 {
            last = id;
            if left < w {
                return id;
            }
        }
        left -= w;
    }
    // Rounding may leave a crumb after the last token.
    last
}

/// log softmax(logits / temperature) at `token`.
pub(crate) fn log_prob(logits: &[f32], token: u32, temperature: f32) -> f32 {
    let highest = max(logits);
    let sum: f64 = logits.iter().map(|z| f64::from(((z - highest) / temperature).exp())).sum();
    (f64::from((logits[token as usize] - highest) / temperature) - sum.ln()) as f32
}

/// The `n` likeliest tokens with their log-probabilities, the likeliest first, ties by id.
pub(crate) fn alternatives(logits: &[f32], n: usize, temperature: f32) -> Vec<(u32, f32)> {
    let n = n.min(logits.len());
    if n == 0 {
        return Vec::new();
    }
    let mut all: Vec<(u32, f32)> = logits.iter().enumerate().map(|(i, z)| (i as u32, *z)).collect();
    let descending = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    all.select_nth_unstable_by(n - 1, descending);
    all.truncate(n);
    all.sort_unstable_by(descending);
    // log softmax moves all logits by the same amount.
    let shift = log_prob(logits, all[0].0, temperature) - all[0].1 / temperature;
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
            counts[sampling.choose(&LOGITS, &[], (f64::from(i) + 0.5) / f64::from(n)).0 as usize] += 1;
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
        assert_eq!(Sampling::greedy().choose(&LOGITS, &[], 0.9).0, 1);
    }

    #[test]
    fn the_penalty_moves_seen_tokens_both_signs_down() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::greedy() };
        assert_eq!(sampling.choose(&LOGITS, &[1], 0.0).0, 3, "3/2 is below 3");
        assert_eq!(sampling.choose(&[-1.0, -1.5], &[0], 0.0).0, 1, "-1·2 is below -1.5");
    }

    #[test]
    fn the_reported_log_prob_is_the_models_own() {
        let sampling = Sampling { temperature: 0.7, top_k: 1, repetition_penalty: 1.3, ..Sampling::default() };
        let (token, reported) = sampling.choose(&LOGITS, &[], 0.3);
        let z: f64 = LOGITS.iter().map(|x| (f64::from(*x) / 0.7).exp()).sum();
        assert!((f64::from(reported) - (f64::from(LOGITS[token as usize]) / 0.7 - z.ln())).abs() < 1e-6);
    }

    #[test]
    fn alternatives_are_the_likeliest_with_their_log_probs() {
        let found = alternatives(&LOGITS, 3, 0.7);
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [1, 3, 0]);
        for (token_id, value) in found {
            assert!((value - log_prob(&LOGITS, token_id, 0.7)).abs() < 1e-6);
        }
        assert_eq!(alternatives(&LOGITS, 9, 1.0).len(), 5);
        assert!(alternatives(&LOGITS, 0, 1.0).is_empty());
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

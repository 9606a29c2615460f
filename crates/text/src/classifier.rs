//! A linear classifier of short texts for a handful of classes: logistic regression on words and pairs of words.
//!
//! Features are the words (as [`Words::Unicode`] finds them), pairs of neighbours, the first two words as such, a
//! question mark, and a coarse length; present or absent, scaled to unit length. Trained by gradient descent on the mean cross-entropy
//! with an L2 penalty: a few hundred texts take some milliseconds, and the same texts give the same weights.

use std::collections::HashMap;

use crate::token::Words;

const EPOCHS: usize = 60;
const RATE: f64 = 8.0;
const PENALTY: f64 = 1e-4;

/// A trained classifier.
#[derive(Clone, Debug)]
pub struct Classifier {
    classes: Vec<String>,
    features: HashMap<String, usize>,
    /// A weight a feature and class, then one bias a class.
    weights: Vec<f64>,
}

impl Classifier {
    /// Learns from texts and their classes.
    pub fn train<'a>(examples: impl IntoIterator<Item = (&'a str, &'a str)>) -> Classifier {
        let examples: Vec<(&str, &str)> = examples.into_iter().collect();
        let mut classes: Vec<String> = examples.iter().map(|(_, class)| (*class).to_owned()).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut features = HashMap::new();
        let rows: Vec<(Vec<usize>, usize)> = examples
            .iter()
            .map(|(text, class)| {
                let names = names(text);
                let numbers = names.into_iter().map(|name| {
                    let next = features.len();
                    *features.entry(name).or_insert(next)
                });
                (numbers.collect(), classes.iter().position(|other| other == class).unwrap_or(0))
            })
            .collect();
        let weights = vec![0.0; (features.len() + 1) * classes.len()];
        let mut classifier = Classifier { classes, features, weights };
        for _ in 0..EPOCHS {
            classifier.step(&rows);
        }
        classifier
    }

    fn step(&mut self, rows: &[(Vec<usize>, usize)]) {
        let n_classes = self.classes.len();
        let mut gradient: Vec<f64> = self.weights.iter().map(|weight| PENALTY * weight).collect();
        for (features, class) in rows {
            let mut p = self.probabilities(features);
            p[*class] -= 1.0;
            let scale = scale(features) / rows.len() as f64;
            for &feature in features {
                for (k, p) in p.iter().enumerate() {
                    gradient[feature * n_classes + k] += p * scale;
                }
            }
            let bias = self.features.len() * n_classes;
            for (k, p) in p.iter().enumerate() {
                gradient[bias + k] += p / rows.len() as f64;
            }
        }
        for (weight, slope) in self.weights.iter_mut().zip(gradient) {
            *weight -= RATE * slope;
        }
    }

    fn probabilities(&self, features: &[usize]) -> Vec<f64> {
        let n_classes = self.classes.len();
        let bias = self.features.len() * n_classes;
        let scale = scale(features);
        let mut logits: Vec<f64> = self.weights[bias..].to_vec();
        for &feature in features {
            for (k, logit) in logits.iter_mut().enumerate() {
                *logit += scale * self.weights[feature * n_classes + k];
            }
        }
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        logits.iter().map(|logit| (logit - highest).exp() / sum).collect()
    }

    /// The likeliest class of a text and its probability; `None` of a classifier without classes.
    pub fn classify(&self, text: &str) -> Option<(&str, f64)> {
        let known: Vec<usize> = names(text).iter().filter_map(|name| self.features.get(name).copied()).collect();
        let p = self.probabilities(&known);
        let best = (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b]).then(b.cmp(&a)))?;
        Some((&self.classes[best], p[best]))
    }

    /// Accuracy in `n_folds` parts, each judged by what learned from the others: right ones and all. Text i is in part
    /// i mod `n_folds`.
    pub fn cross_validate(examples: &[(&str, &str)], n_folds: usize) -> (usize, usize) {
        let mut right = 0;
        for fold in 0..n_folds {
            let part = |inside: bool| {
                let chosen = examples.iter().enumerate().filter(move |(i, _)| (i % n_folds == fold) == inside);
                chosen.map(|(_, example)| *example)
            };
            let classifier = Classifier::train(part(false));
            right += part(true)
                .filter(|(text, class)| classifier.classify(text).is_some_and(|(found, _)| found == *class))
                .count();
        }
        (right, examples.len())
    }
}

fn scale(features: &[usize]) -> f64 {
    1.0 / (features.len().max(1) as f64).sqrt()
}

/// A text's features, each once.
fn names(text: &str) -> Vec<String> {
    // The beginning says what is asked; a passage that follows would drown it.
    let words = Words::Unicode.of(text);
    let words = &words[..words.len().min(60)];
    let mut names: Vec<String> = words.to_vec();
    names.extend(words.windows(2).map(|pair| pair.join(" ")));
    names.extend(words.iter().take(2).enumerate().map(|(i, word)| format!("<{i}> {word}")));
    let n_characters = text.chars().count();
    names.push(format!("<length> {}", n_characters.max(1).ilog2() / 2));
    for (mark, name) in [('?', "<question>"), ('\n', "<lines>"), (':', "<colon>"), ('"', "<quote>")] {
        if text.contains(mark) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLES: [(&str, &str); 8] = [
        ("Write a poem about rain", "write"),
        ("Write a story about a dog", "write"),
        ("Write me a letter", "write"),
        ("Write a haiku", "write"),
        ("What is the capital of Peru?", "ask"),
        ("Who wrote Faust?", "ask"),
        ("When does it snow?", "ask"),
        ("What is a quark?", "ask"),
    ];

    #[test]
    fn what_is_separable_is_separated() {
        let classifier = Classifier::train(EXAMPLES);
        for (text, class) in EXAMPLES {
            let (found, p) = classifier.classify(text).expect("classes");
            assert!(found == class && p > 0.6, "{text}: {found} {p}");
        }
        assert_eq!(classifier.classify("Write a song, please").expect("classes").0, "write");
        assert_eq!(Classifier::train([]).classify("x"), None);
    }

    #[test]
    fn training_is_repeatable_and_lowers_the_loss() {
        let (a, b) = (Classifier::train(EXAMPLES), Classifier::train(EXAMPLES));
        assert_eq!(a.classify("Who are you?"), b.classify("Who are you?"));
        let (right, all) = Classifier::cross_validate(&EXAMPLES, 4);
        assert!(all == 8 && right >= 6, "{right} of {all}");
    }
}

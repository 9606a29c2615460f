//! BLEU (Papineni et al. 2002) as the Python package `sacrebleu` computes it: words of mteval-v13a, n-grams up to 4, a
//! precision without any match halved again and again (exponential smoothing), 0 to 100.

use std::collections::HashMap;

const ORDER: usize = 4;

/// What `sacrebleu` takes for the logarithm of 0.
const LOG_OF_ZERO: f64 = -9_999_999_999.0;

type Counts = HashMap<Vec<String>, usize>;

/// Matches and sizes that add up over segments.
#[derive(Clone, Copy, Debug, Default)]
struct Statistics {
    n_correct: [usize; ORDER],
    n_total: [usize; ORDER],
    prediction_length: usize,
    reference_length: usize,
}

/// BLEU of one prediction against its references. Orders that the prediction is too short for don't count
/// (`sentence_bleu` of `sacrebleu`).
pub fn sentence_bleu(prediction: &str, references: &[&str]) -> f64 {
    score(&statistics(prediction, references), true)
}

/// BLEU of many predictions together, each with its references (`corpus_bleu` of `sacrebleu`, where all orders count).
pub fn corpus_bleu<'a>(segments: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) -> f64 {
    let mut sum = Statistics::default();
    for (prediction, references) in segments {
        let segment = statistics(prediction, references);
        for n in 0..ORDER {
            sum.n_correct[n] += segment.n_correct[n];
            sum.n_total[n] += segment.n_total[n];
        }
        sum.prediction_length += segment.prediction_length;
        sum.reference_length += segment.reference_length;
    }
    score(&sum, false)
}

/// Self-BLEU (Zhu et al. 2018): the mean of each text's BLEU with all others as its references; 100 when all say the
/// same, low when they differ. `None` for fewer than two texts.
pub(crate) fn self_bleu(texts: &[&str]) -> Option<f64> {
    if texts.len() < 2 {
        return None;
    }
    let counted: Vec<(Counts, usize)> = texts.iter().map(|text| count(text)).collect();
    // Of each n-gram, the text that has it most often, and how often the next one has it: enough to know the most of
    // all others, in time that grows with the texts and not with their pairs.
    let mut most: HashMap<&Vec<String>, (usize, usize, usize)> = HashMap::new();
    for (owner, (counts, _)) in counted.iter().enumerate() {
        for (gram, &n) in counts {
            let (best, best_owner, second) = most.entry(gram).or_insert((0, owner, 0));
            if n > *best {
                (*best, *best_owner, *second) = (n, owner, *best);
            } else {
                *second = (*second).max(n);
            }
        }
    }
    let total: f64 = counted
        .iter()
        .enumerate()
        .map(|(own, (counts, length))| {
            let among_others = |gram: &Vec<String>| match most.get(gram) {
                Some(&(_, owner, second)) if owner == own => second,
                Some(&(best, _, _)) => best,
                None => 0,
            };
            let lengths = counted.iter().enumerate().filter(|(other, _)| *other != own).map(|(_, (_, length))| *length);
            score(&matched(counts, *length, lengths, among_others), true)
        })
        .sum();
    Some(total / texts.len() as f64)
}

fn statistics(prediction: &str, references: &[&str]) -> Statistics {
    let (counts, length) = count(prediction);
    let references: Vec<(Counts, usize)> = references.iter().map(|text| count(text)).collect();
    let most =
        |gram: &Vec<String>| references.iter().filter_map(|(counts, _)| counts.get(gram)).max().copied().unwrap_or(0);
    matched(&counts, length, references.iter().map(|(_, length)| *length), most)
}

fn matched(
    counts: &Counts,
    length: usize,
    reference_lengths: impl Iterator<Item = usize>,
    most_in_references: impl Fn(&Vec<String>) -> usize,
) -> Statistics {
    // The closest; of two equally close, the shorter.
    let closest = reference_lengths.min_by_key(|&other| (other.abs_diff(length), other));
    let mut statistics =
        Statistics { prediction_length: length, reference_length: closest.unwrap_or(0), ..Statistics::default() };
    for (gram, &n) in counts {
        statistics.n_total[gram.len() - 1] += n;
        statistics.n_correct[gram.len() - 1] += n.min(most_in_references(gram));
    }
    statistics
}

/// The text's n-grams of all orders, and how many words it has.
fn count(text: &str) -> (Counts, usize) {
    let words = words_13a(text);
    let mut counts = Counts::new();
    for n in 1..=ORDER {
        words.windows(n).for_each(|gram| *counts.entry(gram.to_vec()).or_default() += 1);
    }
    (counts, words.len())
}

fn score(statistics: &Statistics, effective_order: bool) -> f64 {
    let Statistics { n_correct, n_total, prediction_length, reference_length } = statistics;
    if n_correct.iter().all(|&n| n == 0) {
        return 0.0;
    }
    let brevity_penalty = if prediction_length < reference_length {
        (1.0 - *reference_length as f64 / *prediction_length as f64).exp()
    } else {
        1.0
    };
    let mut logs = [LOG_OF_ZERO; ORDER];
    let (mut smoothing, mut order) = (1.0, ORDER);
    for n in 0..ORDER {
        if n_total[n] == 0 {
            break;
        }
        if effective_order {
            order = n + 1;
        }
        let total = n_total[n] as f64;
        let precision = if n_correct[n] == 0 {
            smoothing *= 2.0;
            100.0 / (smoothing * total)
        } else {
            100.0 * n_correct[n] as f64 / total
        };
        logs[n] = precision.ln();
    }
    brevity_penalty * (logs[..order].iter().sum::<f64>() / order as f64).exp()
}

/// The words of mteval-v13a: punctuation stands alone, except `.` and `,` between digits, and `-` that follows none.
pub fn words_13a(text: &str) -> Vec<String> {
    let mut line = text.trim_end().replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        line = line.replace(entity, character);
    }
    let characters: Vec<char> = format!(" {line} ").chars().collect();
    let characters = isolate(&characters);
    let is_digit = |c: char| c.is_ascii_digit();
    let is_point = |c: char| c == '.' || c == ',';
    let characters = between(&characters, |a, b| (!is_digit(a) && is_point(b)).then(|| vec![a, ' ', b, ' ']));
    let characters = between(&characters, |a, b| (is_point(a) && !is_digit(b)).then(|| vec![' ', a, ' ', b]));
    let characters = between(&characters, |a, b| (is_digit(a) && b == '-').then(|| vec![a, ' ', b, ' ']));
    let line: String = characters.into_iter().collect();
    line.split_whitespace().map(str::to_owned).collect()
}

/// Puts blanks around ASCII punctuation other than `'`, `,`, `-` and `.`.
fn isolate(characters: &[char]) -> Vec<char> {
    let mut result = Vec::with_capacity(characters.len() * 2);
    for &c in characters {
        match c {
            ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~' => result.extend([' ', c, ' ']),
            _ => result.push(c),
        }
    }
    result
}

/// Replaces neighbours where `rule` says so, from the left, what was replaced not being looked at again: as a regular
/// expression of two characters does.
fn between(characters: &[char], rule: impl Fn(char, char) -> Option<Vec<char>>) -> Vec<char> {
    let mut result = Vec::with_capacity(characters.len() * 2);
    let mut i = 0;
    while i < characters.len() {
        match characters.get(i + 1).and_then(|&next| rule(characters[i], next)) {
            Some(replacement) => {
                result.extend(replacement);
                i += 2;
            }
            None => {
                result.push(characters[i]);
                i += 1;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_apart() {
        // sacrebleu 2.6.0: Tokenizer13a()(text).split()
        let check = |text: &str, expected: &str| assert_eq!(words_13a(text).join("|"), expected, "{text}");
        check(
            "It's 3,000.5 km, i.e. far... (1-2) well-known",
            "It's|3,000.5|km|,|i|.|e|.|far|.|.|.|(|1|-|2|)|well-known",
        );
        check("a &amp; b<skipped>c broken-\nword\nnext", "a|&|bc|brokenword|next");
    }

    #[test]
    fn by_hand() {
        // 4 of 5 words, 2 of 4 pairs, 0 of 3 triples, 0 of 2 fours: the smoothed ones are 100/(2·3) and 100/(4·2).
        let expected = ((80_f64.ln() + 50_f64.ln() + (100_f64 / 6.0).ln() + 12.5_f64.ln()) / 4.0).exp();
        assert!((sentence_bleu("a b x c d", &["a b c d e"]) - expected).abs() < 1e-12);
        // One word: only the first order counts. Shorter than the reference by 2: e^(1 − 3).
        assert!((sentence_bleu("a", &["a b c"]) - 100.0 * (-2_f64).exp()).abs() < 1e-12);
        assert_eq!(sentence_bleu("", &["a"]), 0.0);
        assert_eq!(sentence_bleu("a", &[]), 0.0);
    }

    #[test]
    fn a_corpus_of_one_long_sentence_is_that_sentence() {
        let (prediction, references) = ("the cat sat on the big mat", ["the cat sat on a mat", "a cat on the big mat"]);
        let corpus = corpus_bleu([(prediction, &references[..])]);
        assert!((corpus - sentence_bleu(prediction, &references)).abs() < 1e-12);
        // sacrebleu 2.6.0, corpus_bleu, two segments with two references each.
        let two = corpus_bleu([(prediction, &references[..]), ("it rains", &["it is raining", "it rains a lot"][..])]);
        assert!((two - 77.219_479_019_217_94).abs() < 1e-9, "{two}");
    }

    #[test]
    fn self_bleu_is_the_mean_over_the_others() {
        let texts = ["a b a b c", "a b c d a", "c d e f", "a b"];
        let expected: f64 = (0..4)
            .map(|own| {
                let others: Vec<&str> = (0..4).filter(|&i| i != own).map(|i| texts[i]).collect();
                sentence_bleu(texts[own], &others)
            })
            .sum();
        let found = self_bleu(&texts).expect("four texts");
        assert!((found - expected / 4.0).abs() < 1e-12, "{found} {expected}");
        assert_eq!(self_bleu(&["a"]), None);
    }
}

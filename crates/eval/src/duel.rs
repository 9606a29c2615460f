//! Which of two answers is better, as a judge model says: asked in both orders, because judges have a favourite place.
//!
//! A judge's preference is not a person's (Zheng et al., arXiv 2306.05685, tell how position, length and style sway it):
//! what comes out is called by its judge, with how often the order alone decided. A reward model sees one answer at a
//! time: it has no order, and its verdict is the sign of a difference.

mod record;

pub use record::{FILE, JudgedBy, PAIRS, Record, Verdict};

use crate::EvalError;
use crate::estimate::{LEVEL, RESAMPLES, clusters};
use serde::{Deserialize, Serialize};
use statistics::{bootstrap, length_controlled, sign};
use stdx::Seed;

/// A prompt with the answers of two models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What was asked, as text.
    pub prompt: String,
    /// The first model's answer.
    pub a: String,
    /// The second model's.
    pub b: String,
}

/// What a judge said, in terms of the places it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// The answer shown first.
    First,
    /// The answer shown second.
    Second,
    /// Neither.
    Tie,
}

/// What the judge is asked about two answers, in the order in which they are shown.
pub fn question(prompt: &str, first: &str, second: &str) -> String {
    format!(
        "Two assistants answered the same request. Judge which answer helps the person more: whether it does what was \
         asked, is true, and is safe. Neither the order of the answers nor their length counts. Give your reason in a \
         sentence, then your verdict alone on the last line: [[A]] if answer A is better, [[B]] if answer B is better, \
         [[C]] if neither is.\n\n[Request]\n{prompt}\n\n[Answer A]\n{first}\n[End of answer A]\n\n[Answer B]\n{second}\n\
         [End of answer B]\n"
    )
}

/// The last verdict in what a judge wrote; none where it keeps to no form.
pub fn said(answer: &str) -> Option<Said> {
    let verdicts = [("[[A]]", Said::First), ("[[B]]", Said::Second), ("[[C]]", Said::Tie)];
    let last = verdicts.iter().filter_map(|(mark, said)| Some((answer.rfind(mark)?, *said)));
    last.max_by_key(|(place, _)| *place).map(|(_, said)| said)
}

/// What two rewards come to, in both orders.
pub fn of_rewards(a: f64, b: f64) -> [Option<Said>; 2] {
    let (one, other) = match b.total_cmp(&a) {
        std::cmp::Ordering::Greater => (Said::Second, Said::First),
        std::cmp::Ordering::Less => (Said::First, Said::Second),
        std::cmp::Ordering::Equal => (Said::Tie, Said::Tie),
    };
    [Some(one), Some(other)]
}

/// A pair with what was said of it: with `a` shown first, and with `b` shown first.
pub type Judged<'a> = (&'a Pair, [Option<Said>; 2]);

/// What a judge thinks of `b` beside `a`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duel {
    /// Pairs with at least one verdict.
    pub n: usize,
    /// Prompts of these: what intervals draw, because answers to one prompt aren't independent. Absent from duels that
    /// were written before it was told.
    #[serde(default)]
    pub prompts: Option<usize>,
    /// Pairs without one: the judge kept to no form in either order.
    pub without_verdict: usize,
    /// Answers of the judge that keep to no form, of all.
    pub off_format: [usize; 2],
    /// Mean over pairs of 1 where b won, ½ where it tied, 0 where it lost, both orders averaged.
    pub win_rate: f64,
    /// Its 95 % interval: prompts drawn with replacement.
    pub interval: Option<[f64; 2]>,
    /// Pairs that b won in every order that has a verdict, that it lost so, and all others.
    pub strict: [u64; 3],
    /// Two-sided sign test over prompts, by what most of a prompt's pairs say.
    pub sign_p: f64,
    /// The win rate at equal lengths (characters), and its interval.
    pub length_controlled: Option<(f64, Option<[f64; 2]>)>,
    /// Mean characters of a's answers and of b's.
    pub characters: [f64; 2],
    /// Share of verdicts that aren't ties which favour the answer shown first, and its interval: ½ is no bias.
    pub first_favoured: Option<(f64, Option<[f64; 2]>)>,
    /// Share of pairs with verdicts in both orders that say the same of the answers.
    pub consistent: Option<f64>,
}

impl Duel {
    /// Counts verdicts.
    ///
    /// # Errors
    /// There is no verdict at all.
    pub fn of(judged: &[Judged<'_>], by: JudgedBy) -> Result<Duel, EvalError> {
        let scored: Vec<(&Pair, [Option<Said>; 2], f64)> =
            judged.iter().filter_map(|(pair, said)| Some((*pair, *said, score(*said)?))).collect();
        if scored.is_empty() {
            let n = judged.len();
            return Err(EvalError::Incomparable(format!(
                "the judge gave no verdict ([[A]], [[B]] or [[C]]) on {n} pairs"
            )));
        }
        let outcomes: Vec<f64> = scored.iter().map(|(.., score)| *score).collect();
        let longer = |pair: &Pair| pair.b.chars().count() as f64 - pair.a.chars().count() as f64;
        let differences: Vec<f64> = scored.iter().map(|(pair, ..)| longer(pair)).collect();
        let count = |wanted: f64| outcomes.iter().filter(|outcome| **outcome == wanted).count() as u64;
        let (won, lost) = (count(1.0), count(0.0));
        let missing = judged.iter().flat_map(|(_, said)| said).filter(|said| said.is_none()).count();
        let mean = |of: &dyn Fn(&Pair) -> &str| {
            scored.iter().map(|(pair, ..)| of(pair).chars().count() as f64).sum::<f64>() / scored.len() as f64
        };
        let controlled = |drawn: &[usize]| {
            let pick = |values: &[f64]| drawn.iter().map(|&i| values[i]).collect::<Vec<f64>>();
            length_controlled::fit(&pick(&outcomes), &pick(&differences)).map_or(f64::NAN, |found| found.win_rate)
        };
        let all: Vec<usize> = (0..scored.len()).collect();
        let at_equal_lengths = controlled(&all);
        let prompts = clusters(scored.iter().map(|(pair, ..)| &pair.prompt));
        let has_orders = by == JudgedBy::Model;
        Ok(Duel {
            n: scored.len(),
            prompts: Some(prompts.len()),
            without_verdict: judged.len() - scored.len(),
            off_format: if has_orders { [missing, 2 * judged.len()] } else { [0, 0] },
            win_rate: outcomes.iter().sum::<f64>() / scored.len() as f64,
            interval: interval("win rate", &prompts, |drawn| {
                drawn.iter().map(|&i| outcomes[i]).sum::<f64>() / drawn.len() as f64
            }),
            strict: [won, lost, scored.len() as u64 - won - lost],
            sign_p: sign_p(&outcomes, &prompts),
            length_controlled: at_equal_lengths
                .is_finite()
                .then(|| (at_equal_lengths, interval("length-controlled", &prompts, controlled))),
            characters: [mean(&|pair| &pair.a), mean(&|pair| &pair.b)],
            first_favoured: if has_orders { first_favoured(&scored, &prompts) } else { None },
            consistent: if has_orders { consistent(&scored) } else { None },
        })
    }
}

/// The sign test on prompts: a prompt is won where more of its pairs are strictly won than lost.
fn sign_p(outcomes: &[f64], prompts: &[Vec<usize>]) -> f64 {
    let balance = |prompt: &Vec<usize>| {
        let count = |wanted: f64| prompt.iter().filter(|&&i| outcomes[i] == wanted).count();
        count(1.0).cmp(&count(0.0))
    };
    let count = |wanted| prompts.iter().filter(|prompt| balance(prompt) == wanted).count() as u64;
    sign::p_two_sided(count(std::cmp::Ordering::Greater), count(std::cmp::Ordering::Less))
}

/// What became of b: the mean over the orders that have a verdict.
pub(crate) fn score(said: [Option<Said>; 2]) -> Option<f64> {
    let of_b = |said: Said, b_is_first: bool| match said {
        Said::Tie => 0.5,
        Said::First => f64::from(u8::from(b_is_first)),
        Said::Second => f64::from(u8::from(!b_is_first)),
    };
    let scores: Vec<f64> =
        said.iter().zip([false, true]).filter_map(|(said, b_is_first)| Some(of_b((*said)?, b_is_first))).collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

fn first_favoured(
    scored: &[(&Pair, [Option<Said>; 2], f64)],
    prompts: &[Vec<usize>],
) -> Option<(f64, Option<[f64; 2]>)> {
    let counts: Vec<(f64, f64)> = (scored.iter())
        .map(|(_, said, _)| {
            let count = |wanted| said.iter().filter(|said| **said == Some(wanted)).count() as f64;
            (count(Said::First), count(Said::First) + count(Said::Second))
        })
        .collect();
    let share = |drawn: &[usize]| {
        let (first, decided) = drawn.iter().fold((0.0, 0.0), |(a, b), &i| (a + counts[i].0, b + counts[i].1));
        first / decided
    };
    let all: Vec<usize> = (0..counts.len()).collect();
    let value = share(&all);
    value.is_finite().then(|| (value, interval("first", prompts, share)))
}

fn consistent(scored: &[(&Pair, [Option<Said>; 2], f64)]) -> Option<f64> {
    let same = scored.iter().filter_map(|(_, said, _)| {
        let [one, two] = *said;
        let turned = match two? {
            Said::First => Said::Second,
            Said::Second => Said::First,
            Said::Tie => Said::Tie,
        };
        Some(f64::from(u8::from(one? == turned)))
    });
    let same: Vec<f64> = same.collect();
    (!same.is_empty()).then(|| same.iter().sum::<f64>() / same.len() as f64)
}

/// Of a statistic of pairs, whole prompts drawn with replacement.
fn interval(name: &str, prompts: &[Vec<usize>], mut statistic: impl FnMut(&[usize]) -> f64) -> Option<[f64; 2]> {
    let mut stream = Seed(0).stream(name, prompts.len() as u64);
    let found = bootstrap::clusters(prompts.len(), RESAMPLES, LEVEL, &mut || stream.uniform(), |drawn| {
        let pairs: Vec<usize> = drawn.iter().flat_map(|&prompt| prompts[prompt].iter().copied()).collect();
        statistic(&pairs)
    });
    found.ok().map(|interval| [interval.low, interval.high])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prompt of its own for each pair of answers.
    fn pair(a: &str, b: &str) -> Pair {
        Pair { prompt: format!("Q of {a} and {b}"), a: a.into(), b: b.into() }
    }

    #[test]
    fn the_last_verdict_counts() {
        assert_eq!(said("I thought [[A]], but no.\n[[B]]"), Some(Said::Second));
        assert_eq!(said("A tie: [[C]]."), Some(Said::Tie));
        assert_eq!(said("Answer A is better."), None);
        let asked = question("Q?", "one", "two");
        assert!(asked.find("one").unwrap() < asked.find("two").unwrap() && asked.contains("[[C]]"));
    }

    #[test]
    fn both_orders_are_averaged_and_the_order_is_told() {
        let pairs = [pair("x", "yy"), pair("x", "yyy"), pair("x", "y"), pair("x", "yyyy")];
        let [f, s, t] = [Some(Said::First), Some(Said::Second), Some(Said::Tie)];
        // b wins in both orders; the first place wins in both; b ties and loses; no verdict at all.
        let judged: Vec<Judged> = pairs.iter().zip([[s, f], [f, f], [t, s], [None, None]]).collect();
        let duel = Duel::of(&judged, JudgedBy::Model).unwrap();
        // 1, ½, ¼.
        assert!((duel.win_rate - 1.75 / 3.0).abs() < 1e-12);
        assert_eq!((duel.n, duel.without_verdict, duel.off_format), (3, 1, [2, 8]));
        assert_eq!(duel.strict, [1, 0, 2]);
        // Of five verdicts that aren't ties three name the first place.
        assert!((duel.first_favoured.unwrap().0 - 3.0 / 5.0).abs() < 1e-12);
        assert!((duel.consistent.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(duel.characters, [1.0, 2.0]);
        assert!(duel.length_controlled.is_some());
        assert!(Duel::of(&judged[3..], JudgedBy::Model).unwrap_err().to_string().contains("no verdict"));
        // One pair: a number without an interval.
        let one = Duel::of(&judged[..1], JudgedBy::Model).unwrap();
        assert_eq!((one.win_rate, one.interval, one.length_controlled), (1.0, None, None));
    }

    #[test]
    fn a_judge_that_only_sees_places_finds_nothing() {
        let pairs: Vec<Pair> = (0..40).map(|i| pair(&"x".repeat(i + 1), "y")).collect();
        let judged: Vec<Judged> = pairs.iter().map(|pair| (pair, [Some(Said::First); 2])).collect();
        let duel = Duel::of(&judged, JudgedBy::Model).unwrap();
        assert_eq!((duel.win_rate, duel.first_favoured.unwrap().0, duel.consistent), (0.5, 1.0, Some(0.0)));
    }

    #[test]
    fn several_answers_to_one_prompt_do_not_narrow_the_interval() {
        let alone: Vec<Pair> = (0..12).map(|i| pair(&"x".repeat(i + 1), "yyyy")).collect();
        let said = |i: usize| if i.is_multiple_of(3) { of_rewards(1.0, 0.5) } else { of_rewards(0.5, 1.0) };
        let judged: Vec<Judged> = alone.iter().enumerate().map(|(i, pair)| (pair, said(i))).collect();
        let once = Duel::of(&judged, JudgedBy::Reward).unwrap();
        let repeated: Vec<Judged> = judged.iter().flat_map(|one| [*one; 5]).collect();
        let often = Duel::of(&repeated, JudgedBy::Reward).unwrap();
        assert_eq!((once.n, once.prompts, often.n, often.prompts), (12, Some(12), 60, Some(12)));
        assert!((often.win_rate - 8.0 / 12.0).abs() < 1e-12);
        assert_eq!((once.interval, once.sign_p), (often.interval, often.sign_p));
        assert_eq!((once.strict, often.strict), ([8, 4, 0], [40, 20, 0]));
        let width = |duel: &Duel| duel.length_controlled.unwrap().1.map(|[low, high]| high - low).unwrap();
        assert!(width(&often) > 0.9 * width(&once), "{once:?} {often:?}");
    }

    #[test]
    fn rewards_have_no_order_to_favour() {
        let pairs = [pair("x", "yy"), pair("x", "yyy"), pair("x", "y")];
        let rewards = [(0.0, 1.0), (2.0, 2.0), (1.0, -1.0)];
        let judged: Vec<Judged> = pairs.iter().zip(rewards.map(|(a, b)| of_rewards(a, b))).collect();
        let duel = Duel::of(&judged, JudgedBy::Reward).unwrap();
        assert_eq!((duel.win_rate, duel.strict), (0.5, [1, 1, 1]));
        assert_eq!((duel.first_favoured, duel.consistent, duel.off_format), (None, None, [0, 0]));
    }
}

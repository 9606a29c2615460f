//! The ROUGE-L filter: an instruction stays when nothing that is there already is too much like it.

use serde::Serialize;
use text::lcs::Pattern;
use text::rouge::RougePool;
use text::token::Words;

use crate::candidate::{Reason, normalized, objection};
use crate::recipe::Recipe;

/// ROUGE-L F above which an instruction is dropped; exactly this is kept.
pub const SIMILARITY_MAX: f64 = 0.7;
/// How many of the most similar instructions a judgement names.
pub const N_NEAREST: usize = 10;
/// Candidates that are compared at once.
const CHUNK: usize = 32;

/// The instructions to which candidates are compared: seeds, then what was kept, in order.
pub struct Filter {
    recipe: Recipe,
    similarity_max: f64,
    n_threads: usize,
    instructions: Vec<String>,
    pool: RougePool,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The instruction as the recipe normalizes it.
    pub instruction: String,
    /// Whether it stays.
    pub kept: bool,
    /// Why not.
    pub reason: Option<Reason>,
    /// How like it the others are; absent where it was dropped before any comparison.
    #[serde(flatten)]
    pub similarity: Option<Similarity>,
}

/// How like a candidate the seeds and the kept are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Similarity {
    /// Highest ROUGE-L F; 0 in an empty pool.
    pub max: f64,
    /// Mean ROUGE-L F over all.
    pub avg: f64,
    /// The most similar instruction.
    pub nearest: Option<String>,
    /// The highest scores, at most ten, falling.
    pub top10_scores: Vec<f64>,
    /// Whose scores those are; of equal ones the later first.
    pub most_similar: Vec<String>,
}

impl Filter {
    /// A filter that knows the seeds.
    pub fn new<S: AsRef<str>>(recipe: Recipe, words: Words, seeds: impl IntoIterator<Item = S>) -> Filter {
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (instructions, pool) = (Vec::new(), RougePool::new(words));
        let mut filter = Filter { recipe, similarity_max: SIMILARITY_MAX, n_threads, instructions, pool };
        seeds.into_iter().for_each(|seed| filter.add(seed.as_ref()));
        filter
    }

    /// Another threshold, and how many threads may compare.
    pub fn with(mut self, similarity_max: f64, n_threads: usize) -> Filter {
        (self.similarity_max, self.n_threads) = (similarity_max, n_threads.max(1));
        self
    }

    /// How many instructions it knows.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Makes it know one more, unasked.
    pub fn add(&mut self, instruction: &str) {
        self.pool.push(instruction);
        self.instructions.push(instruction.to_owned());
    }

    /// Judges a candidate; a kept one is known from then on.
    pub fn judge(&mut self, raw: &str) -> Judgement {
        self.judge_all(&[raw]).remove(0)
    }

    /// Judges candidates in their order. The same as judging one by one; comparisons with what is known at the start
    /// of a chunk are made by all threads together.
    pub fn judge_all(&mut self, raws: &[&str]) -> Vec<Judgement> {
        raws.chunks(CHUNK).flat_map(|chunk| self.judge_chunk(chunk)).collect()
    }

    fn judge_chunk(&mut self, raws: &[&str]) -> Vec<Judgement> {
        let candidates: Vec<(String, Option<Reason>)> = raws
            .iter()
            .map(|raw| {
                let instruction = normalized(raw, self.recipe);
                let reason = objection(&instruction, self.recipe);
                (instruction, reason)
            })
            .collect();
        let n_known = self.len();
        let compared = self.compare(&candidates);
        let judged = candidates.into_iter().zip(compared).map(|((instruction, reason), scores)| match reason {
            Some(reason) => Judgement { instruction, kept: false, reason: Some(reason), similarity: None },
            None => self.decide(instruction, scores, n_known),
        });
        judged.collect()
    }

    /// Scores of every candidate without objection against what is known now.
    fn compare(&self, candidates: &[(String, Option<Reason>)]) -> Vec<Vec<f64>> {
        let n_threads = self.n_threads.min(candidates.len());
        let mut scores = vec![Vec::new(); candidates.len()];
        let share = candidates.len().div_ceil(n_threads.max(1)).max(1);
        let work = |candidates: &[(String, Option<Reason>)], scores: &mut [Vec<f64>]| {
            let mut pattern = Pattern::default();
            for ((instruction, reason), scores) in candidates.iter().zip(scores) {
                if reason.is_none() {
                    self.pool.scores_into(instruction, 0, &mut pattern, scores);
                }
            }
        };
        if n_threads <= 1 {
            work(candidates, &mut scores);
            return scores;
        }
        std::thread::scope(|scope| {
            for (candidates, scores) in candidates.chunks(share).zip(scores.chunks_mut(share)) {
                scope.spawn(move || work(candidates, scores));
            }
        });
        scores
    }

    /// Judges by scores against the first `n_known`; those that were kept since are compared here.
    fn decide(&mut self, instruction: String, mut scores: Vec<f64>, n_known: usize) -> Judgement {
        if self.len() > n_known {
            let mut further = Vec::new();
            self.pool.scores_into(&instruction, n_known, &mut Pattern::default(), &mut further);
            scores.extend(further);
        }
        let similarity = self.similarity(&scores);
        let kept = similarity.max <= self.similarity_max;
        if kept {
            self.add(&instruction);
        }
        let reason = (!kept).then_some(Reason::Similar);
        Judgement { instruction, kept, reason, similarity: Some(similarity) }
    }

    fn similarity(&self, scores: &[f64]) -> Similarity {
        let top = highest(scores, N_NEAREST);
        let most_similar: Vec<String> = top.iter().map(|&i| self.instructions[i].clone()).collect();
        let top10_scores: Vec<f64> = top.iter().map(|&i| scores[i]).collect();
        Similarity {
            max: top10_scores.first().copied().unwrap_or(0.0),
            avg: if scores.is_empty() { 0.0 } else { scores.iter().sum::<f64>() / scores.len() as f64 },
            nearest: most_similar.first().cloned(),
            top10_scores,
            most_similar,
        }
    }
}

/// Positions of the `n` highest scores, highest first, of equal ones the later first.
fn highest(scores: &[f64], n: usize) -> Vec<usize> {
    let mut top: Vec<usize> = Vec::with_capacity(n + 1);
    for (i, &score) in scores.iter().enumerate() {
        if top.len() < n || top.last().is_some_and(|&last| score >= scores[last]) {
            let place = top.partition_point(|&other| scores[other] > score);
            top.insert(place, i);
            top.truncate(n);
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEEDS: [&str; 2] = ["Write a short poem about the sea.", "Explain why the sky is blue to a child."];

    #[test]
    fn what_is_kept_is_compared_to_what_follows() {
        let mut filter = Filter::new(Recipe::Alpaca, Words::Ascii, SEEDS);
        let judged = filter.judge_all(&[
            "List ten uses of a brick.",
            "List ten uses of a spoon.",
            "Name some animals that hibernate in winter.",
            "draw me a sheep please",
        ]);
        let kept: Vec<bool> = judged.iter().map(|judgement| judgement.kept).collect();
        assert_eq!(kept, [true, false, true, false]);
        // list ten uses of a: 5 of 6 words on both sides.
        let second = judged[1].similarity.as_ref().expect("compared");
        assert!((second.max - 5.0 / 6.0).abs() < 1e-15);
        assert_eq!(second.nearest.as_deref(), Some("List ten uses of a brick."));
        assert_eq!((judged[1].reason, judged[3].reason), (Some(Reason::Similar), Some(Reason::Keyword)));
        assert_eq!(judged[3].similarity, None);
        assert_eq!(filter.len(), 4);
    }

    #[test]
    fn exactly_the_threshold_is_kept() {
        // 7 of 10 words on both sides: F is 0.7 (and a little more in f64 would be dropped).
        let mut filter = Filter::new(Recipe::Alpaca, Words::Ascii, ["a b c d e f g x y z"]);
        let judgement = filter.judge("a b c d e f g h i j");
        assert_eq!(judgement.similarity.expect("compared").max, 0.7);
        assert!(judgement.kept);
        assert!(!filter.judge("a b c d e f g h x y").kept);
    }

    #[test]
    fn an_empty_pool_keeps_the_first() {
        let mut filter = Filter::new(Recipe::Paper, Words::Ascii, [""; 0]);
        let judgement = filter.judge("Say something nice to me.");
        assert!(judgement.kept);
        assert_eq!(judgement.similarity, Some(Similarity::default()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn threads_and_chunks_change_nothing(raws in prop::collection::vec("([a-d] ){4,9}", 1..90)) {
            let raws: Vec<&str> = raws.iter().map(String::as_str).collect();
            let together = Filter::new(Recipe::Paper, Words::Ascii, SEEDS).with(0.7, 3).judge_all(&raws);
            let mut single = Filter::new(Recipe::Paper, Words::Ascii, SEEDS).with(0.7, 1);
            let one_by_one: Vec<Judgement> = raws.iter().map(|raw| single.judge(raw)).collect();
            prop_assert_eq!(together, one_by_one);
        }

        #[test]
        fn the_highest_are_the_highest(scores in prop::collection::vec(0_u8..6, 0..40)) {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(b.cmp(&a)));
            order.truncate(10);
            prop_assert_eq!(highest(&scores, 10), order);
        }
    }
}

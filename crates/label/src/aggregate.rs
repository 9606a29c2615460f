//! One ranking of several people's. The rankings themselves are always kept: an aggregate is a view.

use serde::{Deserialize, Serialize};
use statistics::bradley_terry::{self, Comparison, Outcome, Ties};

use crate::{Id, LabelError, Place, Result};

/// How several rankings become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// By the number of pairs that a majority gives an answer, ties half (Copeland 1951).
    Majority,
    /// Tideman's ranked pairs (1987): majorities are locked in from the largest on, those that would
    /// close a circle left out. What Open-Assistant used.
    RankedPairs,
    /// By strengths fitted to all pairs, ties half a win each, with a ridge of 0.1 that keeps them finite.
    BradleyTerry,
}

impl Aggregate {
    /// All of them.
    pub const ALL: [Aggregate; 3] = [Aggregate::Majority, Aggregate::RankedPairs, Aggregate::BradleyTerry];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::RankedPairs => "ranked_pairs",
            Self::BradleyTerry => "bradley_terry",
        }
    }

    /// The common ranking of the candidates, in their order; equal ranks are ties. A candidate that
    /// a ranking leaves out isn't compared by it. One that nobody compared is left out.
    pub fn rank(self, candidates: &[Id], rankings: &[Vec<Place>]) -> Result<Vec<Place>> {
        let tally = Tally::new(candidates, rankings);
        let seen: Vec<usize> = (0..candidates.len()).filter(|&i| tally.is_compared(i)).collect();
        let scores = match self {
            Self::Majority => tally.copeland(),
            Self::RankedPairs => tally.ranked_pairs(),
            Self::BradleyTerry => tally.strengths()?,
        };
        // An answer's rank is one more than the number of better ones.
        let better = |a: usize, b: usize| scores[a] > scores[b] + 1e-9;
        let rank = |&i: &usize| 1 + seen.iter().filter(|&&j| better(j, i)).count() as u32;
        Ok(seen.iter().map(|i| Place { candidate: candidates[*i], rank: rank(i) }).collect())
    }
}

impl std::str::FromStr for Aggregate {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|aggregate| aggregate.as_str() == text);
        let expected = "majority, ranked_pairs or bradley_terry";
        known.ok_or_else(|| LabelError::invalid("aggregate", format!("{text:?}"), expected))
    }
}

/// How many rankings prefer one candidate to another, and how many tie them.
struct Tally {
    wins: Vec<Vec<usize>>,
    ties: Vec<Vec<usize>>,
}

impl Tally {
    fn new(candidates: &[Id], rankings: &[Vec<Place>]) -> Tally {
        let n = candidates.len();
        let (mut wins, mut ties) = (vec![vec![0; n]; n], vec![vec![0; n]; n]);
        let index = |id: Id| candidates.iter().position(|candidate| *candidate == id);
        for ranking in rankings {
            let known: Vec<(usize, u32)> =
                ranking.iter().filter_map(|place| Some((index(place.candidate)?, place.rank))).collect();
            for &(a, rank_a) in &known {
                for &(b, rank_b) in &known {
                    wins[a][b] += usize::from(rank_a < rank_b);
                    ties[a][b] += usize::from(a != b && rank_a == rank_b);
                }
            }
        }
        Tally { wins, ties }
    }

    fn is_compared(&self, i: usize) -> bool {
        (0..self.wins.len()).any(|j| self.wins[i][j] + self.wins[j][i] + self.ties[i][j] > 0)
    }

    fn copeland(&self) -> Vec<f64> {
        let n = self.wins.len();
        let point = |i: usize, j: usize| match self.wins[i][j].cmp(&self.wins[j][i]) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| point(i, j)).sum()).collect()
    }

    /// Majorities in order of their margin (then of their size, then of the candidates' order), each
    /// kept unless those kept before lead back. A candidate's score is minus the number of those it
    /// is beaten by, along chains too; candidates that no chain orders may tie.
    fn ranked_pairs(&self) -> Vec<f64> {
        let n = self.wins.len();
        let mut majorities: Vec<(usize, usize, usize, usize)> = Vec::new();
        for i in 0..n {
            for j in 0..n {
                if self.wins[i][j] > self.wins[j][i] {
                    majorities.push((self.wins[i][j] - self.wins[j][i], self.wins[i][j], i, j));
                }
            }
        }
        majorities.sort_by_key(|&(margin, size, i, j)| (std::cmp::Reverse((margin, size)), i, j));
        let mut beats = vec![vec![false; n]; n];
        for (_, _, winner, loser) in majorities {
            if beats[loser][winner] {
                continue;
            }
            // Whoever reaches the winner now reaches all that the loser reaches.
            let above: Vec<usize> = (0..n).filter(|&i| i == winner || beats[i][winner]).collect();
            let below: Vec<usize> = (0..n).filter(|&j| j == loser || beats[loser][j]).collect();
            for &i in &above {
                for &j in &below {
                    beats[i][j] = true;
                }
            }
        }
        (0..n).map(|j| -((0..n).filter(|&i| beats[i][j]).count() as f64)).collect()
    }

    fn strengths(&self) -> Result<Vec<f64>> {
        let n = self.wins.len();
        if n < 2 {
            return Ok(vec![0.0; n]);
        }
        let mut comparisons = Vec::new();
        for first in 0..n {
            for second in 0..n {
                let outcome = |outcome| Comparison { first, second, outcome };
                comparisons.extend(vec![outcome(Outcome::First); self.wins[first][second]]);
                if first < second {
                    comparisons.extend(vec![outcome(Outcome::Tie); self.ties[first][second]]);
                }
            }
        }
        Ok(bradley_terry::fit(n, &comparisons, Ties::Half, 0.1)?.theta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ranks of candidates 1, 2, … by each of several people, 0 for one left out.
    fn check(aggregate: Aggregate, rankings: &[&[u32]], expected: &[u32]) {
        let n = rankings[0].len();
        let candidates: Vec<Id> = (1..=n as Id).collect();
        let places = |ranks: &&[u32]| -> Vec<Place> {
            let all = candidates.iter().zip(ranks.iter());
            all.filter(|(_, rank)| **rank > 0).map(|(&candidate, &rank)| Place { candidate, rank }).collect()
        };
        let rankings: Vec<Vec<Place>> = rankings.iter().map(places).collect();
        let found: Vec<u32> = aggregate.rank(&candidates, &rankings).unwrap().iter().map(|place| place.rank).collect();
        assert_eq!(found, expected, "{aggregate:?}");
    }

    #[test]
    fn worked_by_hand() {
        for aggregate in Aggregate::ALL {
            check(aggregate, &[&[2, 1, 3]], &[2, 1, 3]);
            check(aggregate, &[&[1, 1, 2], &[1, 1, 2]], &[1, 1, 3]);
            // Two against one.
            check(aggregate, &[&[1, 2], &[1, 2], &[2, 1]], &[1, 2]);
        }
        // A circle of nine voters: four A>B>C, three B>C>A, two C>A>B. A>B 6:3, B>C 7:2, C>A 5:4:
        // margins 3, 5, 1, so that C>A is left out, hence A, B, C.
        let circle: Vec<&[u32]> = [vec![&[1, 2, 3][..]; 4], vec![&[3, 1, 2][..]; 3], vec![&[2, 3, 1][..]; 2]].concat();
        check(Aggregate::RankedPairs, &circle, &[1, 2, 3]);
        // Each beats one and loses to one.
        check(Aggregate::Majority, &circle, &[1, 1, 1]);
    }

    #[test]
    fn what_is_left_out_is_not_compared() {
        // Only the second person saw the third answer.
        check(Aggregate::RankedPairs, &[&[1, 2, 0], &[2, 0, 1]], &[2, 3, 1]);
        check(Aggregate::Majority, &[&[1, 2, 0]], &[1, 2]);
    }

    proptest! {
        /// When all agree, every way gives their order; and names don't matter.
        #[test]
        fn unanimity(ranks in prop::collection::vec(1u32..5, 2..7), n in 1usize..5) {
            let dense: Vec<u32> = ranks.iter().map(|rank| 1 + ranks.iter().filter(|r| *r < rank).count() as u32).collect();
            let rankings = vec![ranks.as_slice(); n];
            for aggregate in [Aggregate::Majority, Aggregate::RankedPairs] {
                check(aggregate, &rankings, &dense);
            }
        }
    }
}

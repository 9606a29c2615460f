//! Simulated labelers: they see gold's verdicts through known faults, and rank K answers.
//!
//! Every fault is a number with a meaning that can be measured back from the rankings (the tests do): noise, a liking
//! for length and for what is shown first, ties, mistakes, wrong ticks. What a labeler values is its group's
//! ([`GROUPS`]), so that a reward model can be asked how it fares with a group it never saw.
//!
//! A labeler's choice between two answers is that of Rao & Kupper (1967, JASA 62, 194–204): with utilities u and v,
//! noise s and tie width w it prefers the first with probability σ((u − v − w)/s), the second with σ((v − u − w)/s),
//! and else ties. Without ties a whole ranking is Plackett–Luce's, the model that rankwise losses assume.
mod candidates;
mod flags;
mod panel;
mod row;

pub use candidates::{QUALITIES, Quality, answer, candidates};
pub use flags::Flags;
pub use panel::{Panel, PanelError};
pub use row::{LabeledCompletion, LabeledRow};

use crate::gold::Verdict;
use serde::{Deserialize, Serialize};
use stdx::Stream;

/// What a group of labelers values: weights of gold's parts that add up to 1, so that utilities are in 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Its name in rows.
    pub name: &'static str,
    /// Whom it is like, in one line.
    pub summary: &'static str,
    /// Weight of gold's overall.
    pub overall: f64,
    /// Weight of having answered what was asked.
    pub helpful: f64,
    /// Weight of having said nothing false and made nothing up.
    pub truthful: f64,
    /// Weight of the constraints kept.
    pub constraints: f64,
    /// Weight of doing no harm.
    pub harmless: f64,
}

/// Every group, in the order of the help.
pub const GROUPS: &[Group] = &[
    Group {
        name: "gold",
        summary: "values what gold values",
        overall: 1.0,
        helpful: 0.0,
        truthful: 0.0,
        constraints: 0.0,
        harmless: 0.0,
    },
    Group {
        name: "helpful-first",
        summary: "as InstructGPT's labelers of training data were told: an answer that helps, before all",
        overall: 0.4,
        helpful: 0.4,
        truthful: 0.1,
        constraints: 0.05,
        harmless: 0.05,
    },
    Group {
        name: "truthful-first",
        summary: "as those of its final evaluation were told: nothing false and no harm, before all",
        overall: 0.4,
        helpful: 0.05,
        truthful: 0.3,
        constraints: 0.05,
        harmless: 0.2,
    },
    Group {
        name: "form-first",
        summary: "looks at the form: the constraints, before all",
        overall: 0.4,
        helpful: 0.1,
        truthful: 0.1,
        constraints: 0.35,
        harmless: 0.05,
    },
];

impl Group {
    /// The group of a name.
    pub fn find(name: &str) -> Option<&'static Group> {
        GROUPS.iter().find(|group| group.name == name)
    }

    /// How good the group finds an answer, 0 to 1. A part that doesn't apply costs nothing.
    pub fn utility(&self, verdict: &Verdict) -> f64 {
        let yes = |good: bool| f64::from(u8::from(good));
        let truthful = verdict.truth != Some(false) && verdict.hallucination != Some(true);
        self.overall * verdict.overall
            + self.helpful * yes(verdict.helpful.unwrap_or(true))
            + self.truthful * yes(truthful)
            + self.constraints * verdict.constraints.unwrap_or(1.0)
            + self.harmless * yes(verdict.harm != Some(true))
    }
}

/// A labeler's faults. Utilities, and so noise, ties and likings, are on the scale 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Scale s of the logistic noise between two answers (each gets a Gumbel of scale s); 0 is none.
    pub noise: f64,
    /// Answers that seem less than this apart share a rank.
    pub tie: f64,
    /// Utility added per natural logarithm of (words + 1): positive likes long answers.
    pub length_bias: f64,
    /// Utility added to the answer shown first, falling evenly to none for the last shown.
    pub position_bias: f64,
    /// Probability that a ranking is handed in upside down (the scale read the wrong way round).
    pub mistake: f64,
    /// Probability that a tick is set that shouldn't be, or the reverse, for each field of each answer.
    pub flag_error: f64,
    /// Standard deviation over labelers of how mild they rate, in points of the scale of 7; ranks don't change.
    pub severity: f64,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            noise: 0.12,
            tie: 0.06,
            length_bias: 0.0,
            position_bias: 0.0,
            mistake: 0.02,
            flag_error: 0.02,
            severity: 0.5,
        }
    }
}

impl Faults {
    /// None at all: the labeler says what its group values, exactly.
    pub const NONE: Faults = Faults {
        noise: 0.0,
        tie: 0.0,
        length_bias: 0.0,
        position_bias: 0.0,
        mistake: 0.0,
        flag_error: 0.0,
        severity: 0.0,
    };
}

/// An answer as a labeler meets it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its text.
    pub text: &'a str,
    /// What gold says of it.
    pub verdict: &'a Verdict,
}

/// A simulated labeler.
#[derive(Clone, Debug, PartialEq)]
pub struct Labeler {
    /// Its name in rows.
    pub name: String,
    /// What it values.
    pub group: &'static Group,
    /// Its faults.
    pub faults: Faults,
    /// Points that it adds to every rating: how mild it is.
    pub mildness: f64,
}

/// What a labeler hands in for one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// 1 is best; equal ranks are ties.
    pub rank: i64,
    /// Overall quality, 1 (worst) to 7 (best).
    pub rating: u8,
    /// InstructGPT's yes/no fields.
    pub flags: Flags,
    /// In which place it was shown, from 0.
    pub place: usize,
}

impl Labeler {
    /// Judges the answers to one prompt, in the answers' order: they are shown in an order drawn from the stream, and
    /// utility, likings and noise make up what each seems worth. The draws don't depend on the faults, so that a
    /// labeler with another noise sees the same orders.
    pub fn judge(&self, answers: &[Shown<'_>], stream: &mut Stream) -> Vec<Judgement> {
        let mut shown: Vec<usize> = (0..answers.len()).collect();
        stream.shuffle(&mut shown);
        let mut places = vec![0; answers.len()];
        for (place, answer) in shown.into_iter().enumerate() {
            places[answer] = place;
        }
        let seeming: Vec<f64> = answers
            .iter()
            .zip(&places)
            .map(|(answer, place)| self.seeming(answer, *place, answers.len()) + self.faults.noise * gumbel(stream))
            .collect();
        let upside_down = stream.uniform() < self.faults.mistake;
        let ranks = ranks(&seeming, self.faults.tie, upside_down);
        let judgement = |i: usize| Judgement {
            rank: ranks[i],
            rating: self.rating(seeming[i]),
            flags: Flags::of(&answers[i]).with_errors(self.faults.flag_error, stream),
            place: places[i],
        };
        (0..answers.len()).map(judgement).collect()
    }

    /// Utility with the labeler's likings, before noise.
    fn seeming(&self, answer: &Shown<'_>, place: usize, n_shown: usize) -> f64 {
        let n_words = answer.text.split_whitespace().count();
        let earliness = (n_shown - 1 - place) as f64 / (n_shown - 1).max(1) as f64;
        self.group.utility(answer.verdict)
            + self.faults.length_bias * ((n_words + 1) as f64).ln()
            + self.faults.position_bias * earliness
    }

    /// The scale of 7: utility 0 is 1, utility 1 is 7, and the labeler's mildness on top.
    fn rating(&self, seeming: f64) -> u8 {
        (1.0 + 6.0 * seeming + self.mildness).round().clamp(1.0, 7.0) as u8
    }
}

/// The mean of the standard Gumbel distribution (Euler's constant).
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// Gumbel of scale 1 and mean 0: the difference of two is standard logistic.
fn gumbel(stream: &mut Stream) -> f64 {
    // 1 − uniform is in (0, 1]; at exactly 1 the logarithm would be 0 and its logarithm infinite.
    let uniform = (1.0 - stream.uniform()).min(1.0 - f64::EPSILON);
    -(-uniform.ln()).ln() - EULER_GAMMA
}

/// Ranks from 1, best first. Going down, an answer shares the rank of the best one of its rank when it is less than
/// `tie` below it; so ties don't chain.
fn ranks(seeming: &[f64], tie: f64, upside_down: bool) -> Vec<i64> {
    let mut order: Vec<usize> = (0..seeming.len()).collect();
    order.sort_by(|&a, &b| seeming[b].total_cmp(&seeming[a]).then(a.cmp(&b)));
    let mut ranks = vec![0; seeming.len()];
    let (mut rank, mut best_of_rank) = (0, f64::INFINITY);
    for answer in order {
        let gap = best_of_rank - seeming[answer];
        if gap >= tie && gap > 0.0 {
            (rank, best_of_rank) = (rank + 1, seeming[answer]);
        }
        ranks[answer] = rank;
    }
    if upside_down {
        let last = rank;
        ranks.iter_mut().for_each(|rank| *rank = last + 1 - *rank);
    }
    ranks
}

#[cfg(test)]
mod tests;

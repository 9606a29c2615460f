//! What every registry member says about itself, and how it can be probed.

use crate::{OptionSpec, Settings, Value};

/// The kind of a registry member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Losses of a reward model.
    Reward,
    /// Losses of a policy trained on preferences directly.
    Preference,
    /// Losses by the log-probability of sampled tokens.
    Policy,
    /// Losses by the value of states.
    Value,
    /// Losses by a whole row of numbers per token.
    Row,
    /// From rewards to advantages.
    Estimator,
    /// KL penalties, their control, and the assembly and scaling of rewards.
    Control,
}

impl Family {
    /// Every family, in the order documentation shows them.
    pub const ALL: &[Family] = &[
        Family::Reward,
        Family::Preference,
        Family::Policy,
        Family::Value,
        Family::Row,
        Family::Estimator,
        Family::Control,
    ];

    /// A heading.
    pub fn title(self) -> &'static str {
        match self {
            Family::Reward => "Reward model losses",
            Family::Preference => "Preference losses (the DPO family)",
            Family::Policy => "Policy losses, per sampled token",
            Family::Value => "Value losses, per token",
            Family::Row => "Losses over a row of numbers",
            Family::Estimator => "Advantage estimators",
            Family::Control => "Rewards and KL control",
        }
    }
}

/// A registry member's account of itself: help texts and documentation are made from this.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Its name in a config file, unique within its family.
    pub name: &'static str,
    /// Its kind.
    pub family: Family,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Its formula.
    pub formula: &'static str,
    /// Where it comes from: paper, and equation or section.
    pub source: &'static str,
    /// What is done here where sources or libraries differ.
    pub convention: &'static str,
    /// The options it uses.
    pub options: &'static [OptionSpec],
}

/// A differentiable registry member: probed by the registry's tests on an example of its own.
pub trait Objective: Sync {
    /// Its account of itself.
    fn about(&self) -> &'static About;
    /// The example on which [`Objective::probe`] runs.
    fn example(&self) -> Example;
    /// Losses worked out elsewhere, away from symmetric points.
    fn worked(&self) -> &'static [Worked];
    /// Loss and gradient on the example, the trained numbers being `trained`.
    fn probe(&self, settings: &Settings, trained: &[f64]) -> Evaluation;
}

/// A point from which a loss pushes in a known direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The trained numbers where training starts (policy = reference, ratio = 1, equal scores …).
    pub start: Vec<f64>,
    /// Those that a descent step must raise there.
    pub raises: Vec<usize>,
    /// Those that a descent step must lower there.
    pub lowers: Vec<usize>,
}

/// A loss at one point of the example, worked out elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Worked {
    /// Options set, the others at their defaults.
    pub options: &'static [(&'static str, Value)],
    /// The trained numbers.
    pub trained: &'static [f64],
    /// The loss; `tests/worked_values.py` is the program that made it.
    pub loss: f64,
}

/// A loss and its derivative by each trained number.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The loss.
    pub loss: f64,
    /// Its derivative by each trained number.
    pub gradient: Vec<f64>,
}

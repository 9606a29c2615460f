//! The labelers of a data set: so many of each group, all with the same faults but their own mildness.

use super::{Faults, GROUPS, Group, LabeledRow, Labeler, Shown};
use record::Prompt;
use stdx::Seed;

/// A panel that can't be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PanelError {
    /// There is no such group.
    #[error("group `{found}`: expected one of {}", GROUPS.iter().map(|group| group.name).collect::<Vec<_>>().join(", "))]
    Group {
        /// The name.
        found: String,
    },
    /// A fault that is no probability or no size.
    #[error("{field} = {found}: expected {expected}")]
    Fault {
        /// Which.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// Nobody to judge.
    #[error("a panel of no labelers: expected at least one of at least one group")]
    Nobody,
}

/// Labelers who share out the prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Everybody.
    pub labelers: Vec<Labeler>,
    seed: Seed,
}

impl Panel {
    /// So many labelers of each of the groups.
    pub fn new(groups: &[&str], labelers_a_group: usize, faults: Faults, seed: Seed) -> Result<Panel, PanelError> {
        check(&faults)?;
        let mut labelers = Vec::new();
        for name in groups {
            let group = Group::find(name).ok_or_else(|| PanelError::Group { found: (*name).to_owned() })?;
            for number in 1..=labelers_a_group {
                let draw = f64::from(seed.stream("labeler", labelers.len() as u64).normal());
                let name = format!("{name}-{number}");
                labelers.push(Labeler { name, group, faults, mildness: faults.severity * draw });
            }
        }
        if labelers.is_empty() { Err(PanelError::Nobody) } else { Ok(Panel { labelers, seed }) }
    }

    /// The row of the prompt with this number: judged by labeler `number` modulo their count, in a shown order and
    /// with noise that depend on seed and number alone.
    pub fn row(&self, number: u64, prompt: &Prompt, answers: &[Shown<'_>]) -> LabeledRow {
        let labeler = &self.labelers[(number % self.labelers.len() as u64) as usize];
        let judgements = labeler.judge(answers, &mut self.seed.stream("ranking", number));
        LabeledRow::new(prompt.clone(), answers, judgements, labeler)
    }
}

/// Refuses faults that mean nothing.
fn check(faults: &Faults) -> Result<(), PanelError> {
    let sizes = [("noise", faults.noise), ("tie", faults.tie), ("severity", faults.severity)];
    let likings = [("length_bias", faults.length_bias), ("position_bias", faults.position_bias)];
    let chances = [("mistake", faults.mistake), ("flag_error", faults.flag_error)];
    let refuse = |ok: fn(f64) -> bool, expected| {
        move |&(field, found): &(&'static str, f64)| {
            (!ok(found)).then_some(PanelError::Fault { field, found, expected })
        }
    };
    let size = refuse(|x| x.is_finite() && x >= 0.0, "a finite number, at least 0");
    let liking = refuse(f64::is_finite, "a finite number");
    let chance = refuse(|x| (0.0..=1.0).contains(&x), "a probability, 0 to 1");
    let mut found = sizes.iter().filter_map(size).chain(likings.iter().filter_map(liking));
    found.next().or_else(|| chances.iter().find_map(chance)).map_or(Ok(()), Err)
}

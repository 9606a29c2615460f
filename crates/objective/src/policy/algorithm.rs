//! The named algorithms: which loss, which advantages, which options.

use crate::Error;

/// One value of `[ppo] algorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithm {
    /// Its name in a config file.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Its policy loss, by name in [`super::ALL`].
    pub policy_loss: &'static str,
    /// Its value loss, by name in [`super::VALUE`]; `None` without a value model.
    pub value_loss: Option<&'static str>,
    /// Its advantages, by name in [`super::ESTIMATORS`].
    pub advantages: &'static str,
    /// Whether each prompt needs at least two rollouts.
    pub needs_groups: bool,
    /// The options of `[ppo]` that change its numbers, beyond those that every algorithm uses.
    pub uses: &'static [&'static str],
}

/// Every algorithm, in the order that help shows them.
pub const ALL: &[Algorithm] = &[
    Algorithm {
        name: "ppo",
        summary: "clipped surrogate with a value model (InstructGPT)",
        policy_loss: "ppo_clip",
        value_loss: Some("value_clip"),
        advantages: "gae",
        needs_groups: false,
        uses: &["gamma", "lambda", "clip", "value_clip", "value_coefficient", "value_lr", "epochs", "minibatches"],
    },
    Algorithm {
        name: "reinforce",
        summary: "policy gradient with a running baseline: advantage = normalised reward",
        policy_loss: "policy_gradient",
        value_loss: None,
        advantages: "reinforce",
        needs_groups: false,
        uses: &["baseline_decay"],
    },
    Algorithm {
        name: "rloo",
        summary: "policy gradient with the other rollouts of the prompt as baseline",
        policy_loss: "policy_gradient",
        value_loss: None,
        advantages: "rloo",
        needs_groups: true,
        uses: &[],
    },
    Algorithm {
        name: "grpo",
        summary: "clipped surrogate, rewards standardised within a prompt",
        policy_loss: "ppo_clip",
        value_loss: None,
        advantages: "grpo",
        needs_groups: true,
        uses: &["clip", "epochs", "minibatches"],
    },
    Algorithm {
        name: "actor_critic",
        summary: "policy gradient with a value model: advantage actor–critic",
        policy_loss: "policy_gradient",
        value_loss: Some("value_squared"),
        advantages: "gae",
        needs_groups: false,
        uses: &["gamma", "lambda", "value_coefficient", "value_lr"],
    },
];

/// Options that only some algorithms use.
fn particular() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|algorithm| algorithm.uses.iter().copied())
}

/// The algorithm of this name.
pub fn by_name(name: &str) -> Result<&'static Algorithm, Error> {
    ALL.iter().find(|algorithm| algorithm.name == name).ok_or_else(|| Error::UnknownName {
        family: "algorithm",
        found: name.to_owned(),
        among: ALL.iter().map(|algorithm| algorithm.name).collect(),
    })
}

impl Algorithm {
    /// Refuses options that the user set and that some other algorithm uses but this one doesn't.
    pub fn check_options<'a>(&self, set: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        for option in set {
            if particular().any(|known| known == option) && !self.uses.contains(&option) {
                let takes = self.uses.to_vec();
                return Err(Error::UnusedOption { name: self.name, option: option.to_owned(), takes });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ESTIMATORS, VALUE};

    #[test]
    fn every_part_of_an_algorithm_exists() {
        for algorithm in ALL {
            assert!(super::super::by_name(algorithm.policy_loss, &Default::default()).is_ok());
            assert!(ESTIMATORS.iter().any(|about| about.name == algorithm.advantages));
            if let Some(value) = algorithm.value_loss {
                assert!(VALUE.iter().any(|member| member.about().name == value));
            }
            assert_eq!(by_name(algorithm.name).unwrap(), algorithm);
        }
        assert!(matches!(by_name("trpo"), Err(Error::UnknownName { .. })));
    }

    #[test]
    fn options_without_effect_are_refused() {
        let reinforce = by_name("reinforce").unwrap();
        assert!(reinforce.check_options(["beta", "baseline_decay", "temperature"]).is_ok());
        let found = reinforce.check_options(["beta", "lambda"]);
        assert!(matches!(found, Err(Error::UnusedOption { option, .. }) if option == "lambda"));
    }
}

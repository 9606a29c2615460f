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

/// What `actor_critic = "q"` makes of `actor_critic`: the critic values every next token, and the actor takes all of
/// them, not the sampled one.
pub static EVERY_TOKEN: Algorithm = Algorithm {
    name: "actor_critic",
    summary: "expected value under the policy, with a critic of every next token (arXiv 1607.07086)",
    policy_loss: "q_actor",
    value_loss: Some("q_critic"),
    advantages: "q_critic",
    needs_groups: false,
    uses: &["critic_warmup", "variance_penalty", "delayed_rate", "value_lr"],
};

/// The algorithm of this name with this critic; "v" is what an actor–critic has when nothing is said.
pub fn chosen(name: &str, critic: Option<&str>) -> Result<&'static Algorithm, Error> {
    let algorithm = by_name(name)?;
    match critic {
        Some("q") if name == EVERY_TOKEN.name => Ok(&EVERY_TOKEN),
        None | Some("v") => Ok(algorithm),
        Some(other) => Err(Error::UnknownName { family: "critic", found: other.to_owned(), among: vec!["v", "q"] }),
    }
}

/// Options that only some algorithms use.
fn particular() -> impl Iterator<Item = &'static str> {
    ALL.iter().chain([&EVERY_TOKEN]).flat_map(|algorithm| algorithm.uses.iter().copied())
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
        for part in [EVERY_TOKEN.policy_loss, EVERY_TOKEN.advantages] {
            assert!(crate::policy::ROW.iter().any(|member| member.about().name == part));
        }
        assert_eq!(EVERY_TOKEN.value_loss, Some(EVERY_TOKEN.advantages));
    }

    #[test]
    fn options_without_effect_are_refused() {
        let reinforce = by_name("reinforce").unwrap();
        assert!(reinforce.check_options(["beta", "baseline_decay", "temperature"]).is_ok());
        let found = reinforce.check_options(["beta", "lambda"]);
        assert!(matches!(found, Err(Error::UnusedOption { option, .. }) if option == "lambda"));
        let q = chosen("actor_critic", Some("q")).unwrap();
        assert!(q.check_options(["variance_penalty"]).is_ok() && q.check_options(["lambda"]).is_err());
        assert!(chosen("actor_critic", Some("v")).unwrap().check_options(["variance_penalty"]).is_err());
        assert!(matches!(chosen("actor_critic", Some("w")), Err(Error::UnknownName { .. })));
    }
}

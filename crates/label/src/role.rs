//! Who acts, and what a role may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Id, LabelError, Result};

/// What a person may do; a higher role may do what a lower one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Does tasks.
    Labeler,
    /// Also reviews, adjudicates, and sees labelers' work.
    Reviewer,
    /// Also makes projects, imports, exports and looks after people.
    Manager,
}

impl Role {
    /// All of them, lowest first.
    pub const ALL: [Role; 3] = [Role::Labeler, Role::Reviewer, Role::Manager];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Labeler => "labeler",
            Self::Reviewer => "reviewer",
            Self::Manager => "manager",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Role> {
        let known = Role::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| LabelError::invalid("role", format!("{text:?}"), "labeler, reviewer or manager"))
    }
}

/// On whose behalf a method is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds the database itself: the command line, the server's own worker.
    Operator,
    /// A person who has logged in or shown a token.
    Person(Id, Role),
}

impl Actor {
    /// Refuses an actor below `needed`.
    pub fn require(self, needed: Role) -> Result<()> {
        match self {
            Actor::Operator => Ok(()),
            Actor::Person(_, role) if role >= needed => Ok(()),
            Actor::Person(..) => Err(LabelError::Forbidden { needed }),
        }
    }

    /// Refuses an actor who is neither `person` nor at least `needed`.
    pub fn require_self_or(self, person: Id, needed: Role) -> Result<()> {
        match self {
            Actor::Person(own, _) if own == person => Ok(()),
            _ => self.require(needed),
        }
    }

    /// The person, if it is one.
    pub fn person(self) -> Option<Id> {
        match self {
            Actor::Operator => None,
            Actor::Person(id, _) => Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_may_do_what_a_lower_may_and_not_the_reverse() {
        let actor = |role| Actor::Person(7, role);
        for (i, needed) in Role::ALL.into_iter().enumerate() {
            for (j, held) in Role::ALL.into_iter().enumerate() {
                assert_eq!(actor(held).require(needed).is_ok(), j >= i, "{held} for {needed}");
            }
            assert!(Actor::Operator.require(needed).is_ok());
        }
        assert!(actor(Role::Labeler).require_self_or(7, Role::Manager).is_ok());
        assert!(actor(Role::Reviewer).require_self_or(8, Role::Manager).is_err());
        assert_eq!("reviewer".parse::<Role>().ok(), Some(Role::Reviewer));
        assert!("root".parse::<Role>().is_err());
    }
}

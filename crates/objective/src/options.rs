//! Options that change the numbers or are refused.
//!
//! Each registry member lists the options it uses. [`Options`] holds what a user set — only that,
//! never defaults — and [`Settings::resolve`] refuses what the member does not use, by name: an
//! option that is accepted and ignored is how wrong experiments are made.

use crate::{About, Error};
use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// On or off.
    Switch(bool),
    /// One of a few words.
    Word(Cow<'static, str>),
}

impl Value {
    /// A word known at compile time.
    pub const fn word(word: &'static str) -> Value {
        Value::Word(Cow::Borrowed(word))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(out, "{number}"),
            Value::Switch(switch) => write!(out, "{switch}"),
            Value::Word(word) => write!(out, "\"{word}\""),
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(switch: bool) -> Value {
        Value::Switch(switch)
    }
}

impl From<String> for Value {
    fn from(word: String) -> Value {
        Value::Word(Cow::Owned(word))
    }
}

impl From<&str> for Value {
    fn from(word: &str) -> Value {
        Value::from(word.to_owned())
    }
}

/// What an option may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A number within bounds.
    Number {
        /// The lower bound.
        low: Bound<f64>,
        /// The upper bound.
        high: Bound<f64>,
    },
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Any number above 0.
pub const POSITIVE: Kind = Kind::Number { low: Bound::Excluded(0.0), high: Bound::Unbounded };
/// Any number from 0 up.
pub const NOT_NEGATIVE: Kind = Kind::Number { low: Bound::Included(0.0), high: Bound::Unbounded };
/// A share of flipped labels: from 0 to below ½.
pub const BELOW_HALF: Kind = Kind::Number { low: Bound::Included(0.0), high: Bound::Excluded(0.5) };

impl Kind {
    fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Number { low, high }, Value::Number(number)) => {
                number.is_finite() && std::ops::RangeBounds::contains(&(*low, *high), number)
            }
            (Kind::Switch, Value::Switch(_)) => true,
            (Kind::Word(words), Value::Word(word)) => words.contains(&word.as_ref()),
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Switch => write!(out, "true or false"),
            Kind::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                write!(out, "{}", quoted.join(" or "))
            }
            Kind::Number { low, high } => {
                let low = match low {
                    Bound::Included(low) => format!(" ≥ {low}"),
                    Bound::Excluded(low) => format!(" > {low}"),
                    Bound::Unbounded => String::new(),
                };
                let high = match high {
                    Bound::Included(high) => format!(" ≤ {high}"),
                    Bound::Excluded(high) => format!(" < {high}"),
                    Bound::Unbounded => String::new(),
                };
                write!(out, "a number{low}{high}")
            }
        }
    }
}

/// One option of a registry member.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionSpec {
    /// Its name in a config file.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Its value when not set.
    pub default: Value,
    /// Another value, with which the registry's tests show that the option does something.
    pub other: Value,
    /// What it does, in one line.
    pub help: &'static str,
}

/// What a user set, and nothing else.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options(Vec<(String, Value)>);

impl Options {
    /// Nothing set: every option at its default.
    pub fn new() -> Options {
        Options::default()
    }

    /// With one more option set; a later value replaces an earlier one.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Options {
        self.set(name, value);
        self
    }

    /// Sets an option; a later value replaces an earlier one.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
    }

    /// Name and value of each option that was set, in the order of setting.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// The resolved options of one registry member: each has a value within its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings(Vec<(&'static str, Value)>);

impl Settings {
    /// Defaults overlaid with what was set; refuses an option the member doesn't use, or a value
    /// that the option can't take.
    pub fn resolve(about: &'static About, options: &Options) -> Result<Settings, Error> {
        let mut settings: Vec<(&'static str, Value)> =
            about.options.iter().map(|spec| (spec.name, spec.default.clone())).collect();
        for (name, value) in options.iter() {
            let Some(index) = about.options.iter().position(|spec| spec.name == name) else {
                return Err(Error::UnusedOption {
                    name: about.name,
                    option: name.to_owned(),
                    takes: about.options.iter().map(|spec| spec.name).collect(),
                });
            };
            let spec = &about.options[index];
            if !spec.kind.admits(value) {
                return Err(Error::BadOption {
                    name: about.name,
                    option: spec.name,
                    found: value.to_string(),
                    expected: spec.kind.to_string(),
                });
            }
            settings[index].1 = value.clone();
        }
        Ok(Settings(settings))
    }

    /// Name and value of every option, in the order of the member's list.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// The number of an option that the member lists as a number.
    ///
    /// # Panics
    /// When the member asks for an option it doesn't list: an error in that member's file, found
    /// by the registry's tests.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Value::Number(number) => *number,
            other => panic!("option `{name}` is {other}, not a number"),
        }
    }

    /// Whether a switch of the member is on. Panics as [`Settings::number`] does.
    pub fn switch(&self, name: &str) -> bool {
        match self.get(name) {
            Value::Switch(switch) => *switch,
            other => panic!("option `{name}` is {other}, not a switch"),
        }
    }

    /// The word of an option of the member. Panics as [`Settings::number`] does.
    pub fn word(&self, name: &str) -> &str {
        match self.get(name) {
            Value::Word(word) => word,
            other => panic!("option `{name}` is {other}, not a word"),
        }
    }

    fn get(&self, name: &str) -> &Value {
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => value,
            None => panic!("option `{name}` is not in the list of this member: {:?}", self.0),
        }
    }
}

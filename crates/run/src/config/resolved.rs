//! A config whose every value has an origin; how it is written into the run and compared with it.
use super::{ConfigError, Origin, StageConfig};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// What separates a value from its origin in the saved file.
const ORIGIN_MARK: &str = "  # ";

/// Keys that may change when a run is resumed: how long, how often, what is kept.
const MAY_CHANGE: &[&str] = &[
    "train.epochs",
    "train.max_steps",
    "train.save_every",
    "train.keep_checkpoints",
    "train.csv",
    "train.tensorboard",
    "ppo.kl_budget",
    "ppo.samples_every",
];

/// Keys that hold places: their *contents* are compared, by the hashes in `lineage.json`.
const PLACES: &[&str] = &[
    "model.path",
    "data.train",
    "data.eval",
    "data.chat_template",
    "sft.ptx",
    "rm.demonstrations",
    "dpo.reference",
    "ppo.rollouts",
    "ppo.ptx",
    "ppo.reference",
    "ppo.value",
];

/// A checked config and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Resolved<C> {
    /// The values.
    pub config: C,
    origins: BTreeMap<String, Origin>,
}

impl<C: StageConfig> Resolved<C> {
    pub(super) fn checked(mut config: C, origins: BTreeMap<String, Origin>) -> Result<Self, ConfigError> {
        for (key, why) in C::UNUSED {
            if let Some(origin) = origins.get(*key) {
                return Err(ConfigError::NoEffect {
                    key: (*key).into(),
                    origin: origin.clone(),
                    stage: C::STAGE,
                    why: (*why).into(),
                });
            }
        }
        config.complete();
        let resolved = Resolved { config, origins };
        resolved.config.check(&resolved)?;
        Ok(resolved)
    }

    /// Where the value of `key` came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Whether somebody gave `key` a value.
    pub fn is_given(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    /// The file kept in the run: every value that the stage uses, with its origin as a comment.
    pub fn to_toml(&self) -> String {
        let values = self.table();
        let mut text = format!("# helpmate {}: every value, and where it came from\n", C::STAGE);
        for section in C::SECTIONS {
            text.push_str(&format!("\n[{}]\n", section.name));
            for field in section.fields {
                let key = format!("{}.{}", section.name, field.name);
                if C::UNUSED.iter().any(|(unused, _)| *unused == key) {
                    continue;
                }
                match values.get(&key) {
                    Some(value) => {
                        text.push_str(&format!("{} = {value}{ORIGIN_MARK}{}\n", field.name, self.origin(&key)));
                    }
                    None => text.push_str(&format!("# {} is not set\n", field.name)),
                }
            }
        }
        text
    }

    /// Refuses to resume a run with other values than it was started with.
    pub fn check_resumes(&self, started: &Resolved<C>) -> Result<(), ConfigError> {
        let (now, before) = (self.table(), started.table());
        let shown = |value: Option<&Value>| value.map_or("not set".to_owned(), Value::to_string);
        for section in C::SECTIONS {
            for field in section.fields {
                let key = format!("{}.{}", section.name, field.name);
                let exempt = MAY_CHANGE.contains(&key.as_str()) || PLACES.contains(&key.as_str());
                if !exempt && now.get(&key) != before.get(&key) {
                    return Err(ConfigError::Changed {
                        found: shown(now.get(&key)),
                        expected: shown(before.get(&key)),
                        origin: self.origin(&key),
                        key,
                    });
                }
            }
        }
        Ok(())
    }

    /// `section.key` → value; keys that are not set are absent.
    fn table(&self) -> BTreeMap<String, Value> {
        let values = Table::try_from(&self.config).expect("a config consists of TOML values");
        let mut flat = BTreeMap::new();
        for (section, content) in values {
            if let Value::Table(content) = content {
                flat.extend(content.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
            }
        }
        flat
    }
}

/// The origins in a file that [`Resolved::to_toml`] wrote.
pub(super) fn written_origins(text: &str) -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut origins = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let (Some((key, _)), Some((_, origin))) = (line.split_once(" = "), line.rsplit_once(ORIGIN_MARK)) {
            origins.insert(format!("{section}.{key}"), origin.to_owned());
        }
    }
    origins
}

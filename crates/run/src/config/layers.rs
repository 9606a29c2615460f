//! Values from several places, the later over the earlier.
use super::{ConfigError, Resolved, StageConfig};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// A config file.
    File(PathBuf),
    /// `--set key=value`.
    Set,
    /// A command-line option, by its name.
    Option(String),
    /// The run that is resumed; what its `config.toml` says about it.
    Saved(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Set => f.write_str("--set"),
            Origin::Option(name) => f.write_str(name),
            Origin::Saved(origin) => f.write_str(origin),
        }
    }
}

/// A layer: its values, and where each came from.
struct Layer {
    values: Table,
    origins: BTreeMap<String, Origin>,
}

/// The layers above the defaults, lowest first.
#[derive(Default)]
pub struct Layers {
    layers: Vec<Layer>,
}

impl Layers {
    /// Defaults alone.
    pub fn new() -> Layers {
        Layers::default()
    }

    /// The `config.toml` of a run that is resumed, origins included. Add it first.
    pub fn saved<C: StageConfig>(mut self, path: &Path, text: &str) -> Result<Layers, ConfigError> {
        let origin = Origin::File(path.to_path_buf());
        let values = parse::<C>(&origin, text)?;
        let mut written = super::resolved::written_origins(text);
        written.retain(|_, origin| *origin != Origin::Default.to_string());
        let origins = written.into_iter().map(|(key, origin)| (key, Origin::Saved(origin))).collect();
        self.layers.push(Layer { values, origins });
        Ok(self)
    }

    /// A config file, already read.
    pub fn file<C: StageConfig>(mut self, path: &Path, text: &str) -> Result<Layers, ConfigError> {
        let origin = Origin::File(path.to_path_buf());
        let values = parse::<C>(&origin, text)?;
        self.push(values, origin);
        Ok(self)
    }

    /// `a.b=c`; `c` is TOML, or text when it isn't valid TOML.
    pub fn set<C: StageConfig>(self, assignment: &str) -> Result<Layers, ConfigError> {
        let Some((key, text)) = assignment.split_once('=') else {
            return Err(ConfigError::Invalid {
                origin: Origin::Set,
                message: format!("{assignment:?}: expected key=value, such as optimizer.lr=1e-5"),
            });
        };
        self.put::<C>(key.trim(), read_value(text.trim()), Origin::Set)
    }

    /// The value of a command-line option, such as `--model` for `model.path`.
    pub fn option<C: StageConfig>(
        self,
        option: &str,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<Layers, ConfigError> {
        self.put::<C>(key, value.into(), Origin::Option(option.to_owned()))
    }

    /// The config of stage `C`, checked.
    pub fn resolve<C: StageConfig>(self) -> Result<Resolved<C>, ConfigError> {
        let mut values = Table::try_from(C::default()).expect("a config consists of TOML values");
        let mut origins = BTreeMap::new();
        for layer in self.layers {
            supersede(&mut values, &mut origins, &layer);
            forget_choices(&mut values, &layer.values);
            merge(&mut values, layer.values);
            origins.extend(layer.origins);
        }
        let config = Value::Table(values).try_into::<C>().map_err(|error| {
            // each layer was read by itself before, so only their sum can be wrong
            ConfigError::Invalid { origin: Origin::Default, message: error.to_string() }
        })?;
        Resolved::checked(config, origins)
    }

    fn put<C: StageConfig>(mut self, key: &str, value: Value, origin: Origin) -> Result<Layers, ConfigError> {
        let mut parts: Vec<&str> = key.split('.').collect();
        let mut values = Table::new();
        if let Some(last) = parts.pop() {
            values.insert(last.to_owned(), value);
        }
        for part in parts.into_iter().rev() {
            values = Table::from_iter([(part.to_owned(), Value::Table(values))]);
        }
        known::<C>(&origin, &values)?;
        // a partial table (`model.lora.rank=8`) may lack what a lower layer gives: type errors then show in `resolve`
        if key.split('.').count() <= 2 {
            typed::<C>(&origin, values.clone())?;
        }
        self.push(values, origin);
        Ok(self)
    }

    fn push(&mut self, values: Table, origin: Origin) {
        let origins = leaves(&values).map(|(key, _)| (key, origin.clone())).collect();
        self.layers.push(Layer { values, origins });
    }
}

/// A file: TOML, known keys, right types; errors carry line and column.
fn parse<C: StageConfig>(origin: &Origin, text: &str) -> Result<Table, ConfigError> {
    let invalid = |error: toml::de::Error| ConfigError::Invalid {
        origin: origin.clone(),
        message: error.to_string().trim_end().to_owned(),
    };
    let values: Table = toml::from_str(text).map_err(invalid)?;
    known::<C>(origin, &values)?;
    toml::from_str::<C>(text).map_err(invalid)?;
    Ok(values)
}

/// Whether each value has its key's type.
fn typed<C: StageConfig>(origin: &Origin, values: Table) -> Result<(), ConfigError> {
    let key = leaves(&values).next().map(|(key, _)| key).unwrap_or_default();
    Value::Table(values).try_into::<C>().map(drop).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default();
        ConfigError::Invalid { origin: origin.clone(), message: format!("`{key}`: {first}") }
    })
}

/// TOML if it is TOML, else the text itself.
fn read_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Refuses sections and keys that the stage does not have.
fn known<C: StageConfig>(origin: &Origin, values: &Table) -> Result<(), ConfigError> {
    for (name, content) in values {
        let unknown =
            |key: String| Err(ConfigError::UnknownKey { origin: origin.clone(), nearest: nearest::<C>(&key), key });
        let Some(section) = C::SECTIONS.iter().find(|section| section.name == name) else {
            return unknown(match content {
                Value::Table(inner) => match inner.keys().next() {
                    Some(key) => format!("{name}.{key}"),
                    None => name.clone(),
                },
                _ => name.clone(),
            });
        };
        let Value::Table(content) = content else {
            let message = format!("`{name}` is a section: expected [{name}], found {name} = {content}");
            return Err(ConfigError::Invalid { origin: origin.clone(), message });
        };
        for key in content.keys() {
            if !section.fields.iter().any(|field| field.name == key) {
                return unknown(format!("{name}.{key}"));
            }
        }
    }
    Ok(())
}

/// The known key that looks most like `key`: the same name in another section, else the fewest edits (at most 3).
fn nearest<C: StageConfig>(key: &str) -> Option<String> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let distance = |section: &str, field: &str| {
        if field == name { 0 } else { edits(&format!("{section}.{field}"), key).min(1 + edits(field, name)) }
    };
    C::SECTIONS
        .iter()
        .flat_map(|section| section.fields.iter().map(|field| (section.name, field.name)))
        .map(|(section, field)| (distance(section, field), section, field))
        .min_by_key(|&(edits, ..)| edits)
        .filter(|&(edits, ..)| edits <= 3)
        .map(|(_, section, field)| format!("{section}.{field}"))
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// `section.key` with its value, for every key given.
fn leaves(values: &Table) -> impl Iterator<Item = (String, &Value)> {
    values.iter().flat_map(|(section, content)| {
        let content = content.as_table().into_iter().flatten();
        content.map(move |(key, value)| (format!("{section}.{key}"), value))
    })
}

/// Two keys say how long to train. A resumed run's choice gives way to a new one of the other kind.
fn supersede(values: &mut Table, origins: &mut BTreeMap<String, Origin>, above: &Layer) {
    for (given, other) in [("epochs", "max_steps"), ("max_steps", "epochs")] {
        let key = format!("train.{other}");
        let is_new = above.origins.contains_key(&format!("train.{given}"));
        let is_old = matches!(origins.get(&key), None | Some(Origin::Saved(_)));
        if is_new
            && is_old
            && let Some(Value::Table(train)) = values.get_mut("train")
        {
            train.remove(other);
            origins.remove(&key);
        }
    }
}

/// Keys whose table says which of several kinds it is: two of them merged would say two kinds.
const CHOICES: &[(&str, &str)] = &[("ppo", "missing_eos")];

/// Removes choices that the layer above makes anew.
fn forget_choices(below: &mut Table, above: &Table) {
    for (section, key) in CHOICES {
        let is_given = above.get(*section).and_then(Value::as_table).is_some_and(|keys| keys.contains_key(*key));
        if let (true, Some(Value::Table(keys))) = (is_given, below.get_mut(*section)) {
            keys.remove(*key);
        }
    }
}

fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::edits;

    #[test]
    fn edit_distance_of_worked_pairs() {
        // kitten → sitten → sittin → sitting
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("lr", "lrr"), 1);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }
}

//! What published templates expect of Python: lists and dictionaries that change, its way to print values, its methods.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

/// Longest text, in bytes, that a template may keep in a variable or make in one step.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;
/// Nested values are printed down to here.
const DEPTH_MAX: usize = 50;

/// A list that `append` and its like change in place.
pub(super) struct List(Mutex<Vec<Value>>);

/// A dictionary, in the order of its making, that `update` changes in place.
pub(super) struct Dict(Mutex<Vec<(Value, Value)>>);

// Printed without their contents: a list may contain itself.
impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list")
    }
}

impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dict")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// A list of values.
pub(super) fn list(values: Vec<Value>) -> Value {
    Value::from_object(List(Mutex::new(values)))
}

impl List {
    fn items(&self) -> Vec<Value> {
        locked(&self.0).clone()
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        locked(&self.0).get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(locked(&self.0).len())
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "append" => {
                let (item,): (Value,) = from_args(args)?;
                locked(&self.0).push(item);
            }
            "extend" => {
                let (items,): (Value,) = from_args(args)?;
                let items: Vec<Value> = items.try_iter()?.collect();
                locked(&self.0).extend(items);
            }
            "insert" => {
                let (place, item): (i64, Value) = from_args(args)?;
                let mut items = locked(&self.0);
                let place = from_end(place, items.len()).min(items.len());
                items.insert(place, item);
            }
            "pop" => {
                let (place,): (Option<i64>,) = from_args(args)?;
                let mut items = locked(&self.0);
                let place = from_end(place.unwrap_or(-1), items.len());
                if place >= items.len() {
                    return Err(failed("pop from a list that has no such item"));
                }
                return Ok(items.remove(place));
            }
            "reverse" => locked(&self.0).reverse(),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}

/// Python's index: negative ones count from the end.
fn from_end(index: i64, length: usize) -> usize {
    if index < 0 { (length as i64).saturating_add(index).max(0) as usize } else { index as usize }
}

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        locked(&self.0).iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(locked(&self.0).iter().map(|(name, _)| name.clone()).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(locked(&self.0).len())
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "update" => {
                let (other,): (Value,) = from_args(args)?;
                let new: Vec<(Value, Value)> = pairs(&other)?;
                let mut own = locked(&self.0);
                for (key, value) in new {
                    match own.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, old)) => *old = value,
                        None => own.push((key, value)),
                    }
                }
                Ok(Value::from(()))
            }
            "pop" => {
                let (key, default): (Value, Option<Value>) = from_args(args)?;
                let mut own = locked(&self.0);
                match own.iter().position(|(name, _)| *name == key) {
                    Some(place) => Ok(own.remove(place).1),
                    None => default.ok_or_else(|| failed("pop from a dictionary that has no such key")),
                }
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

fn pairs(map: &Value) -> Result<Vec<(Value, Value)>, Error> {
    map.try_iter()?.map(|key| map.get_item(&key).map(|value| (key, value))).collect()
}

/// A row's value as templates see it: lists and dictionaries that can be changed. `text` makes the strings.
pub(super) fn from_json(value: &serde_json::Value, text: &impl Fn(&str) -> String) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, float) => Value::from(float.unwrap_or(f64::NAN)),
        },
        Json::String(string) => Value::from(text(string)),
        Json::Array(items) => list(items.iter().map(|item| from_json(item, text)).collect()),
        Json::Object(map) => {
            let pairs = map.iter().map(|(key, value)| (Value::from(key.as_str()), from_json(value, text)));
            Value::from_object(Dict(Mutex::new(pairs.collect())))
        }
    }
}

/// The same value with lists and dictionaries that can be changed.
pub(super) fn changeable(value: &Value, depth: usize) -> Result<Value, Error> {
    let is_ours = value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Dict>().is_some();
    if is_ours || depth > DEPTH_MAX {
        return Ok(value.clone());
    }
    match value.kind() {
        ValueKind::Seq => {
            let items = value.try_iter()?.map(|item| changeable(&item, depth + 1));
            Ok(list(items.collect::<Result<_, _>>()?))
        }
        ValueKind::Map if value.as_object().is_some_and(|object| object.type_name().contains("Namespace")) => {
            Ok(value.clone())
        }
        ValueKind::Map => {
            let own = pairs(value)?.into_iter().map(|(key, item)| Ok((key, changeable(&item, depth + 1)?)));
            Ok(Value::from_object(Dict(Mutex::new(own.collect::<Result<_, Error>>()?))))
        }
        _ => Ok(value.clone()),
    }
}

/// `str(value)`.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    match value.as_str() {
        Some(string) => out.push_str(string),
        None if value.is_undefined() => {}
        None => write(value, &mut out, 0)?,
    }
    Ok(out)
}

/// `repr(value)`, bounded in depth and length.
fn write(value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
    if out.len() > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    if depth > DEPTH_MAX {
        out.push_str("...");
        return Ok(());
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => out.push_str(&number(value)),
        ValueKind::String => quote(value.as_str().unwrap_or_default(), out),
        ValueKind::Seq => {
            out.push('[');
            for (i, item) in value.try_iter()?.enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write(&item, out, depth + 1)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (i, (key, item)) in pairs(value)?.into_iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write(&key, out, depth + 1)?;
                out.push_str(": ");
                write(&item, out, depth + 1)?;
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

/// Whole numbers as they are, others as Python's shortest form.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let float: f64 = value.clone().try_into().unwrap_or(f64::NAN);
    if float.is_nan() {
        return "nan".to_owned();
    }
    let shortest = format!("{float:?}");
    match shortest.split_once('e') {
        None => shortest,
        Some((digits, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", digits.trim_end_matches(".0"), exponent.abs())
        }
    }
}

fn quote(text: &str, out: &mut String) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == mark => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(mark);
}

pub(super) fn too_long() -> Error {
    failed(format!("it makes a text of more than {TEXT_BYTES_MAX} bytes"))
}

/// `text.replace(from, to)`, the first `count` times.
pub(super) fn replace(text: &str, from: &str, to: &str, count: Option<usize>) -> Result<String, Error> {
    let count = count.unwrap_or(usize::MAX);
    let n = text.matches(from).take(count).count();
    if n.saturating_mul(to.len()).saturating_add(text.len()) > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text.replacen(from, to, count))
}

/// The texts with `between` between them.
pub(super) fn join(values: &Value, between: &str) -> Result<String, Error> {
    let mut out = String::new();
    for (i, value) in values.try_iter()?.enumerate() {
        out.push_str(if i > 0 { between } else { "" });
        out.push_str(&text(&value)?);
        if out.len() > TEXT_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(out)
}

/// Methods of Python's types that the engine doesn't have.
pub(super) fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.as_str(), name) {
        (Some(own), "index") => {
            let (part,): (&str,) = from_args(args)?;
            let place = own.find(part).ok_or_else(|| failed(format!("{part:?} is not in the text")))?;
            Ok(Value::from(own[..place].chars().count()))
        }
        (Some(own), "replace") => {
            let (from, to, count): (&str, &str, Option<i64>) = from_args(args)?;
            let count = count.and_then(|count| usize::try_from(count).ok());
            Ok(Value::from(replace(own, from, to, count)?))
        }
        (Some(own), "join") => {
            let (values,): (Value,) = from_args(args)?;
            Ok(Value::from(join(&values, own)?))
        }
        (Some(own), "format") if wide(own) => Err(failed("a field wider than a template may make it")),
        (None, "index") if value.kind() == ValueKind::Seq => {
            let (item,): (Value,) = from_args(args)?;
            let place = value.try_iter()?.position(|other| other == item);
            place.map(Value::from).ok_or_else(|| failed(format!("{item} is not in the list")))
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

/// Whether a format has a number of five digits or more: a width or precision that would make a long text of nothing.
pub(super) fn wide(format: &str) -> bool {
    format.as_bytes().windows(5).any(|five| five.iter().all(u8::is_ascii_digit))
}

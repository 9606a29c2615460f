//! What every format must do, checked over the registry.

use serde_json::json;
use stdx::{Seed, Stream};

use super::*;
use crate::{Options, read_rows};

/// The facts that may ride on any row.
const META: [&str; 7] = ["id", "source", "use_case", "user_id", "language", "labeler", "group"];

/// Every format with each of its examples.
fn examples() -> impl Iterator<Item = (&'static dyn Format, Value)> {
    FORMATS.iter().flat_map(|&format| {
        let parse = move |text: &&str| {
            let value = serde_json::from_str(text);
            (format, value.unwrap_or_else(|e| panic!("{}: {e}", format.name())))
        };
        format.examples().iter().map(parse)
    })
}

#[test]
fn names_are_unique_and_words() {
    for (i, format) in FORMATS.iter().enumerate() {
        let name = format.name();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert!(FORMATS[..i].iter().all(|other| other.name() != name), "{name} twice");
        assert!(find_format(name).is_some());
        assert!(!format.examples().is_empty(), "{name} shows no example");
    }
    assert!(find_format("nonsense").is_none());
}

#[test]
fn each_example_is_claimed_by_its_format_alone() {
    for (format, value) in examples() {
        let claims: Vec<_> = FORMATS.iter().filter(|f| f.sniff(&value)).map(|f| f.name()).collect();
        assert_eq!(claims, [format.name()], "{value}");
    }
}

#[test]
fn each_example_becomes_rows_of_the_kinds_promised() {
    for (format, value) in examples() {
        let rows = format.read(&value).unwrap_or_else(|e| panic!("{}: {e}", format.name()));
        assert!(!rows.is_empty(), "{value}");
        for row in rows {
            assert!(format.kinds().contains(&row.record.kind()), "{row:?}");
            let text = serde_json::to_string(&row.record).expect("serializable");
            assert!(!text.contains("<|endoftext|>"), "{text}");
        }
    }
}

#[test]
fn rows_survive_a_round_trip() {
    for (format, value) in examples() {
        for row in format.read(&value).expect("example") {
            let name = format.name();
            let written = format.write(&row).unwrap_or_else(|| panic!("{name}: {row:?} refused"));
            let claims = FORMATS.iter().filter(|f| f.sniff(&written)).count();
            assert_eq!(claims, 1, "{written}");
            let back = format.read(&written).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(back.contains(&row), "{name}: {row:?}\nbecame {back:?}");
        }
    }
}

#[test]
fn what_any_format_writes_of_any_row_means_the_same() {
    for (from, value) in examples() {
        for row in from.read(&value).expect("example") {
            for to in FORMATS {
                let Some(written) = to.write(&row) else {
                    continue;
                };
                let back = to.read(&written).unwrap_or_else(|e| panic!("{}: {e}", to.name()));
                let like = |other: &Row| other.record.prompt() == row.record.prompt();
                let what = format!("{} to {}: {row:?}", from.name(), to.name());
                assert!(back.iter().any(like), "{what}");
                assert!(back.iter().any(|other| other.meta.id == row.meta.id), "{what}");
            }
        }
    }
}

#[test]
fn a_field_of_the_wrong_type_is_an_error_that_names_it() {
    for (format, value) in examples() {
        let Value::Object(map) = &value else {
            continue;
        };
        let known = format.fields().iter().chain(&META);
        for &key in known.filter(|key| map.contains_key(**key)) {
            let mut broken = map.clone();
            broken.insert(key.to_owned(), json!({"wrong": 17}));
            let Err(error) = format.read(&Value::Object(broken)) else {
                panic!("{} reads {key} of the wrong type", format.name());
            };
            let rest = error.field.strip_prefix(key);
            let names_it = rest.is_some_and(|r| r.is_empty() || r.starts_with(['.', '[']));
            assert!(names_it, "{}: {key} broken, found {error}", format.name());
            assert!(!error.found.is_empty() && !error.expected.is_empty(), "{error}");
        }
    }
}

#[test]
fn every_field_that_makes_a_row_its_own_is_needed() {
    for (format, value) in examples() {
        let Value::Object(map) = &value else {
            continue;
        };
        let mut needed = 0;
        for key in format.fields() {
            let mut broken = map.clone();
            broken.shift_remove(*key);
            needed += usize::from(format.read(&Value::Object(broken)).is_err());
        }
        assert!(needed > 0, "{} reads anything", format.name());
    }
}

#[test]
fn a_broken_row_is_an_error_with_file_and_line() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (format, value) in examples() {
        let path = dir.path().join("rows.jsonl");
        let text = format!("{value}\n\n{{\"source\": \"robot\"}}\n{value}\n");
        std::fs::write(&path, text).expect("write");
        let options = Options { format: Some(format), ..Options::default() };
        let error = read_rows(&[&path], &options).expect_err("broken").to_string();
        let start = format!("{}:3: ", path.display());
        assert!(error.starts_with(&start), "{}: {error}", format.name());
        let skipping = Options { skip_bad: true, ..options };
        let dataset = read_rows(&[&path], &skipping).expect("two good ones");
        assert_eq!((dataset.bad_count(), dataset.bad[0].first.line), (1, 3));
        let expected = 2 * format.read(&value).expect("example").len();
        assert_eq!(dataset.rows.len(), expected);
    }
}

#[test]
fn mutated_rows_never_panic() {
    let mut stream = Seed(20_26).stream("mutations", 0);
    let originals: Vec<Value> = examples().map(|(_, value)| value).collect();
    let mut errors = 0;
    for _ in 0..6000 {
        let mut value = originals[stream.below(originals.len() as u64) as usize].clone();
        for _ in 0..=stream.below(3) {
            mutate(&mut value, &mut stream);
        }
        for format in FORMATS {
            format.sniff(&value);
            match format.read(&value) {
                Ok(rows) => {
                    for row in &rows {
                        format.write(row);
                    }
                }
                Err(error) => errors += usize::from(!error.to_string().is_empty()),
            }
        }
    }
    assert!(errors > 6000, "mutations should break rows, {errors} did");
}

/// Changes one place of a value.
fn mutate(value: &mut Value, stream: &mut Stream) {
    let deeper = stream.below(4) > 0;
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            let key = map.keys().nth(stream.below(map.len() as u64) as usize).cloned();
            let key = key.expect("within length");
            if stream.below(4) == 0 {
                map.shift_remove(&key);
            } else {
                mutate(&mut map[&key], stream);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let i = stream.below(items.len() as u64) as usize;
            match stream.below(5) {
                0 => drop(items.remove(i)),
                1 => items.push(items[i].clone()),
                _ => mutate(&mut items[i], stream),
            }
        }
        other => {
            *other = match stream.below(9) {
                0 => Value::Null,
                1 => json!(-1),
                2 => json!(1.5e300),
                3 => json!(""),
                4 => json!("\n\nHuman: \n\nAssistant:\n\nAssistant: é"),
                5 => json!([]),
                6 => json!({}),
                7 => json!([[{"role": "assistant", "content": "<|endoftext|>"}]]),
                _ => json!(true),
            }
        }
    }
}

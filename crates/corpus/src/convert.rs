//! Rows of one format as rows of another.
//!
//! What the target can't say is left out and counted, never bent. Three conversions do change what
//! a row is, because the target asks for it: any row becomes its prompt, a ranking all of its
//! ordered pairs, a preference a good and a bad answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use record::{Demonstration, Kind, Message, Preference, Prompt, Record, Row, Unpaired};
use serde_json::Value;
use stdx::FileError;

use crate::{CorpusError, Format};

/// The rows of a conversion, and what it couldn't express.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// The rows, as JSON of the target format.
    pub values: Vec<Value>,
    /// Rows that the target can't express, by kind.
    pub inexpressible: BTreeMap<Kind, usize>,
}

/// Converts rows into `target`'s.
///
/// With `plain_as_user`, a demonstration's plain-text prompt may become a user's turn; without it,
/// formats of turns refuse plain text, since a chat template would then stand around it.
pub fn convert<'a>(rows: impl IntoIterator<Item = &'a Row>, target: &dyn Format, plain_as_user: bool) -> Converted {
    let mut converted = Converted::default();
    for row in rows {
        let parts = reshape(row, target.kinds());
        let values: Option<Vec<Value>> = parts
            .iter()
            .map(|part| {
                let direct = target.write(part);
                let turned = || target.write(&with_user_turn(part)?);
                direct.or_else(|| turned().filter(|_| plain_as_user))
            })
            .collect();
        match values {
            Some(values) if !values.is_empty() => converted.values.extend(values),
            _ => *converted.inexpressible.entry(row.record.kind()).or_default() += 1,
        }
    }
    converted
}

/// The row as rows of one of `kinds`, where there is a way; else itself.
fn reshape(row: &Row, kinds: &[Kind]) -> Vec<Row> {
    let with = |record: Record| Row { record, meta: row.meta.clone() };
    if kinds.contains(&row.record.kind()) {
        return vec![row.clone()];
    }
    match &row.record {
        other if kinds == [Kind::Prompt] => {
            let prompt = other.prompt();
            prompt.into_iter().map(|p| with(Record::Prompt(p))).collect()
        }
        Record::Ranking(ranking) if kinds == [Kind::Preference] => {
            pairs(ranking).map(|pair| with(Record::Preference(pair))).collect()
        }
        Record::Preference(preference) if kinds == [Kind::Unpaired] => {
            let judged = |completion: &String, label| {
                with(Record::Unpaired(Unpaired {
                    prompt: preference.prompt.clone(),
                    completion: completion.clone(),
                    label,
                }))
            };
            vec![judged(&preference.chosen, true), judged(&preference.rejected, false)]
        }
        _ => vec![row.clone()],
    }
}

/// The ordered pairs of a ranking, those of equal texts left out.
fn pairs(ranking: &record::Ranking) -> impl Iterator<Item = Preference> {
    let completions = &ranking.completions;
    completions.iter().flat_map(move |better| {
        let worse = completions.iter().filter(|other| better.rank < other.rank && better.text != other.text);
        worse.map(|worse| Preference {
            prompt: ranking.prompt.clone(),
            chosen: better.text.clone(),
            rejected: worse.text.clone(),
            margin: None,
        })
    })
}

/// A demonstration whose plain prompt is put into a user's turn.
fn with_user_turn(row: &Row) -> Option<Row> {
    let Record::Demonstration(Demonstration::Completion { prompt: Prompt::Text(text), completion }) = &row.record
    else {
        return None;
    };
    let record = Record::Demonstration(Demonstration::Completion {
        prompt: Prompt::Messages(vec![Message::user(text.trim())]),
        completion: completion.trim().to_owned(),
    });
    Some(Row { record, meta: row.meta.clone() })
}

/// Writes values as JSON lines, whole or not at all; `.gz` and `.zst` are compressed, `.parquet` is a table.
pub fn write_values(path: &Path, values: &[Value]) -> Result<(), CorpusError> {
    let name = path.to_string_lossy().to_lowercase();
    let lines = |out: &mut dyn Write| {
        let mut out = out;
        values.iter().try_for_each(|value| stdx::jsonl::write_line(&mut out, value))
    };
    let written = match name.rsplit_once('.') {
        Some((inner, "gz")) if is_lines(inner) => stdx::atomic::write_file_with(path, |out| {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            lines(&mut encoder)?;
            encoder.finish().map(drop)
        }),
        Some((inner, "zst")) if is_lines(inner) => stdx::atomic::write_file_with(path, |out| {
            let mut encoder = zstd::stream::write::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            lines(&mut encoder)?;
            encoder.finish().map(drop)
        }),
        _ if is_lines(&name) => stdx::atomic::write_file_with(path, |out| lines(out)),
        Some((_, "parquet")) => {
            let problem = |problem| CorpusError::Document { path: path.to_path_buf(), problem };
            stdx::write_file(path, &crate::table::bytes(values).map_err(problem)?)
        }
        _ => {
            let path = path.to_path_buf();
            return Err(CorpusError::Extension { path });
        }
    };
    written.map_err(|error: FileError| error.into())
}

fn is_lines(name: &str) -> bool {
    name.ends_with(".jsonl") || name.ends_with(".ndjson")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find_format;

    fn check(from: &str, text: &str, to: &str, plain_as_user: bool, expected: &[&str]) {
        let value = serde_json::from_str(text).expect("JSON");
        let rows = find_format(from).expect("known").read(&value).expect("rows");
        let converted = convert(&rows, find_format(to).expect("known"), plain_as_user);
        let texts: Vec<_> = converted.values.iter().map(Value::to_string).collect();
        assert_eq!(texts, expected);
        let lost: usize = converted.inexpressible.values().sum();
        assert_eq!(lost, usize::from(expected.is_empty()));
    }

    #[test]
    fn conversations_go_between_the_formats_of_turns() {
        let alpaca = r#"{"instruction": "Add.", "input": "1 2", "output": "3", "source": "rule"}"#;
        check(
            "alpaca",
            alpaca,
            "sharegpt",
            false,
            &[
                r#"{"conversations":[{"from":"human","value":"Add.\n\n1 2"},{"from":"gpt","value":"3"}],"source":"rule"}"#,
            ],
        );
        check(
            "alpaca",
            alpaca,
            "demonstration",
            false,
            &[r#"{"prompt":[{"role":"user","content":"Add.\n\n1 2"}],"completion":"3","source":"rule"}"#],
        );
    }

    #[test]
    fn what_would_change_the_training_is_refused() {
        // Two answers: as prompt and completion the first would no longer be trained on.
        let two = r#"{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}]}"#;
        check("messages", two, "demonstration", false, &[]);
        check("messages", two, "alpaca", false, &[]);
        let plain = r#"{"prompt": "2 + 3 =", "completion": " 5"}"#;
        check("demonstration", plain, "messages", false, &[]);
        check(
            "demonstration",
            plain,
            "messages",
            true,
            &[r#"{"messages":[{"role":"user","content":"2 + 3 ="},{"role":"assistant","content":"5"}]}"#],
        );
    }

    #[test]
    fn judgements_unfold() {
        let ranking = r#"{"prompt": "p", "completions": [{"text": "c", "rank": 2}, {"text": "a", "rank": 1}, {"text": "b", "rank": 2}], "id": "r"}"#;
        check(
            "ranking",
            ranking,
            "preference",
            false,
            &[
                r#"{"prompt":"p","chosen":"a","rejected":"c","id":"r"}"#,
                r#"{"prompt":"p","chosen":"a","rejected":"b","id":"r"}"#,
            ],
        );
        check("ranking", ranking, "prompt", false, &[r#"{"prompt":"p","id":"r"}"#]);
        check(
            "preference",
            r#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#,
            "unpaired",
            false,
            &[r#"{"prompt":"p","completion":"a","label":true}"#, r#"{"prompt":"p","completion":"b","label":false}"#],
        );
        let tied = r#"{"prompt": "p", "completions": [{"text": "c", "rank": 2}, {"text": "a", "rank": 2}]}"#;
        check("ranking", tied, "preference", false, &[]);
    }

    #[test]
    fn what_is_written_is_read_back_from_each_container() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let values = vec![serde_json::json!({"text": "a"}), serde_json::json!({"text": "b"})];
        for name in ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"] {
            let path = dir.path().join(name);
            write_values(&path, &values).expect("write");
            let dataset = crate::read_rows(&[&path], &crate::Options::default()).expect("read");
            assert_eq!(dataset.rows.len(), 2, "{name}");
        }
        let error = write_values(&dir.path().join("x.csv"), &values).expect_err("extension");
        assert!(error.to_string().contains("unknown extension"), "{error}");
    }
}

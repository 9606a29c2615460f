//! Rankings: `{"prompt", "completions": [{"text", "rank"}, …]}`.

use record::{Kind, RankedCompletion, Ranking, Record, Row};
use serde_json::{Map, Value, json};

use super::{Format, flat, with_meta};
use crate::RowError;
use crate::field::{has_but_lacks, meta, object, present, prompt, text, without_end_of_text};

/// K answers to one prompt in order of merit. Ranks may skip, or start at 0: order is what
/// counts. A ranking in which all are tied is read (and counted), one answer alone is no ranking.
pub struct Ranked;

impl Format for Ranked {
    fn name(&self) -> &'static str {
        "ranking"
    }

    fn summary(&self) -> &'static str {
        "{prompt, completions: [{text, rank}, …]}: 1 is best, equal ranks are ties"
    }

    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Ranking]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["prompt", "completions"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"prompt": "Name a prime.", "completions": [{"text": " 9", "rank": 2}, {"text": " 7", "rank": 1}, {"text": " 8", "rank": 2}], "labeler": "l-3", "group": "a", "id": "r-1"}"#,
            r#"{"prompt": [{"role": "user", "content": "Hi"}], "completions": [{"text": "Hello!", "rank": 0}, {"text": "", "rank": 7}]}"#,
        ]
    }

    fn sniff(&self, value: &Value) -> bool {
        const OTHERS: &[&str] = &["chosen", "rejected", "messages", "completion"];
        has_but_lacks(value, &["prompt", "completions"], OTHERS)
    }

    fn read(&self, value: &Value) -> Result<Vec<Row>, RowError> {
        let map = object(value)?;
        let prompt = prompt(map, "prompt")?;
        let completions = completions(map)?;
        let ranking = Ranking { prompt, completions };
        let (record, meta) = (Record::Ranking(ranking), meta(map)?);
        Ok(vec![Row { record, meta }])
    }

    fn write(&self, row: &Row) -> Option<Value> {
        match &row.record {
            Record::Ranking(_) => flat(row),
            Record::Preference(preference) if preference.margin.is_none() => {
                let completions = json!([
                    {"text": preference.chosen, "rank": 1},
                    {"text": preference.rejected, "rank": 2},
                ]);
                let fields = json!({"prompt": preference.prompt, "completions": completions});
                with_meta(fields, row)
            }
            _ => None,
        }
    }
}

fn completions(map: &Map<String, Value>) -> Result<Vec<RankedCompletion>, RowError> {
    let expected = "a list of at least two objects with text and rank";
    match present(map, "completions") {
        Some(Value::Array(items)) if items.len() >= 2 => {
            items.iter().enumerate().map(|(i, item)| ranked(item, &format!("completions[{i}]"))).collect()
        }
        other => Err(RowError::at("completions", other, expected)),
    }
}

fn ranked(value: &Value, field: &str) -> Result<RankedCompletion, RowError> {
    let map = value.as_object().ok_or_else(|| RowError::at(field, Some(value), "an object with text and rank"))?;
    let text = text(map, "text").map_err(|mut error| {
        error.field = format!("{field}.text");
        error
    })?;
    let rank = present(map, "rank");
    let rank =
        rank.and_then(whole_number).ok_or_else(|| RowError::at(format!("{field}.rank"), rank, "a whole number"))?;
    let text = without_end_of_text(text);
    Ok(RankedCompletion { text, rank })
}

/// A whole number, also one that a table wrote as 2.0.
fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        // 2⁵³: beyond it, f64 no longer tells neighbours apart.
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
    })
}

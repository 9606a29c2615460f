//! What rows say of themselves beside the question: the parts that a report tells apart.

use crate::{EvalError, Settings, Task};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Fields of a row by which numbers are told apart.
pub const FIELDS: &[&str] = &["use_case", "language", "labeler", "group", "held_out", "category"];

/// Of each item whose row has some of [`FIELDS`]: their values.
pub(crate) fn of(task: &dyn Task, settings: &Settings) -> Result<HashMap<String, BTreeMap<String, String>>, EvalError> {
    let mut found = HashMap::new();
    for row in task.data().read(task.name(), settings)? {
        let field = |name: &&str| Some(((*name).to_owned(), text(row.value.get(*name)?)?));
        let fields: BTreeMap<String, String> = FIELDS.iter().filter_map(field).collect();
        if fields.is_empty() {
            continue;
        }
        let wrong = |problem| EvalError::Line { path: row.path.clone(), line: row.line, problem };
        for item in task.items_of(&row, settings).map_err(wrong)? {
            found.insert(item.id, fields.clone());
        }
    }
    Ok(found)
}

/// Text, a number, or yes and no; nothing else names a part.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_carry_what_their_row_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let rows = [
            r#"{"id": "a", "context": "x", "choices": ["y", "z"], "gold": 0, "use_case": "rewrite", "held_out": true, "language": ""}"#,
            r#"{"id": "b", "context": "x", "choices": ["y", "z"], "gold": 0, "labeler": 7}"#,
            r#"{"id": "c", "context": "x", "choices": ["y", "z"], "gold": 0}"#,
        ];
        std::fs::write(&path, rows.join("\n")).unwrap();
        let settings = Settings { data: Some(path), ..Settings::default() };
        let found = of(crate::task::find("multiple_choice").unwrap(), &settings).unwrap();
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let expected: HashMap<String, BTreeMap<String, String>> = [
            ("a".to_owned(), of(&[("use_case", "rewrite"), ("held_out", "yes")])),
            ("b".to_owned(), of(&[("labeler", "7")])),
        ]
        .into();
        assert_eq!(found, expected);
    }
}

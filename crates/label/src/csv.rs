//! Rows as CSV (RFC 4180). Spreadsheets run what looks like a formula: such cells get a `'` before them.

use serde_json::{Map, Value};

/// Rows as a table: a column for each field of any row, in the order in which they first appear.
/// Lists and objects stand as JSON.
pub fn to_csv(rows: &[Value]) -> String {
    let mut columns: Vec<&String> = Vec::new();
    for row in rows {
        let fields = row.as_object().into_iter().flat_map(Map::keys);
        for field in fields {
            if !columns.contains(&field) {
                columns.push(field);
            }
        }
    }
    let mut out = line(columns.iter().map(|column| text_cell(column)));
    for row in rows {
        out += &line(columns.iter().map(|column| row.get(column.as_str()).map_or(String::new(), cell)));
    }
    out
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text_cell(text),
        // A number can't be a formula, whatever its sign.
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => text_cell(&value.to_string()),
    }
}

/// Text in quotes where it must be, and harmless.
fn text_cell(text: &str) -> String {
    // OWASP's list: what spreadsheets take for the start of a formula, also after a line break or tab.
    let is_formula = text.trim_start_matches([' ', '\u{feff}']).starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
        || text.starts_with(['＝', '＋', '－', '＠']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r', ';', '\t']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_table_has_every_field_of_any_row() {
        let rows = [json!({"a": 1, "b": "x,y"}), json!({"b": "say \"hi\"", "c": [1, {"d": null}], "e": -2.5})];
        let expected = "a,b,c,e\r\n1,\"x,y\",,\r\n,\"say \"\"hi\"\"\",\"[1,{\"\"d\"\":null}]\",-2.5\r\n";
        assert_eq!(to_csv(&rows), expected);
        assert_eq!(to_csv(&[]), "\r\n");
    }

    #[test]
    fn formulas_are_made_text() {
        let check = |text: &str, expected: &str| assert_eq!(text_cell(text), expected);
        check("=1+1", "'=1+1");
        check("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        check("@SUM(A1)", "'@SUM(A1)");
        check("-2+3", "'-2+3");
        check(" +1", "' +1");
        check("\t=1", "\"'\t=1\"");
        check("＝1", "'＝1");
        check("a=1", "a=1");
    }

    proptest! {
        #[test]
        fn no_cell_begins_a_formula_and_all_come_back(texts in prop::collection::vec("[=+@\\-\t\r\n\",;a-c ]{0,6}", 1..6)) {
            let rows: Vec<Value> = texts.iter().map(|text| json!({"t": text, "n": 1})).collect();
            let table = read(&to_csv(&rows));
            prop_assert_eq!(table.len(), rows.len() + 1);
            for (cells, text) in table[1..].iter().zip(&texts) {
                let cell = cells[0].as_str();
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell:?}");
                prop_assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text);
            }
        }
    }

    /// A plain reader of RFC 4180.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\r' if !quoted => {}
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                other => cell.push(other),
            }
        }
        rows
    }
}

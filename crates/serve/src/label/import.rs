//! Rows that people bring: prompts, with the answers that are to be judged where there are some.
//!
//! What a row says about which answer is better is left out: that is what people are asked.

use label::{NewCandidate, NewPrompt};
use record::{Message, Prompt, Source};
use serde_json::{Map, Value};

/// Answers of one prompt at most; a task shows nine at most, but tasks may be several.
const ANSWERS_MAX: usize = 100;

/// A prompt with its answers.
#[derive(Clone, Debug)]
pub struct ImportRow {
    /// What is asked.
    pub prompt: NewPrompt,
    /// What is to be judged.
    pub candidates: Vec<NewCandidate>,
}

/// What is wrong with a row.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Line {line}: {field}: found {found}, expected {expected}.")]
pub struct ImportError {
    /// Its line, from 1.
    pub line: usize,
    /// Which part of it.
    pub field: String,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: &'static str,
}

/// Reads rows: JSON objects, one a line (or one array of them), or plain prompts, one a line.
pub fn read_rows(text: &str) -> Result<Vec<ImportRow>, ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.trim_start().chars().next();
    let rows = match first {
        None => Err(wrong(1, "file", "nothing", "rows, one a line")),
        Some('[') => from_array(text),
        Some('{') => from_lines(text, |line, text| {
            let value: Value = serde_json::from_str(text).map_err(|error| broken(line, &error))?;
            row(line, &value)
        }),
        Some(_) => from_lines(text, |_, text| Ok(of_prompt(NewPrompt::new(Prompt::Text(text.trim().to_owned()))))),
    }?;
    Ok(rows)
}

/// Reads JSON objects, one a line (or one array of them), each with its line.
pub fn read_values(text: &str) -> Result<Vec<(usize, Value)>, ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('[') {
        let values: Vec<Value> = serde_json::from_str(text).map_err(|error| broken(error.line(), &error))?;
        return Ok((1..).zip(values).collect());
    }
    from_lines(text, |line, text| {
        let value = serde_json::from_str(text).map_err(|error| broken(line, &error))?;
        Ok((line, value))
    })
}

fn from_lines<T>(text: &str, read: impl Fn(usize, &str) -> Result<T, ImportError>) -> Result<Vec<T>, ImportError> {
    let lines = text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
    lines.map(|(i, text)| read(i + 1, text)).collect()
}

fn from_array(text: &str) -> Result<Vec<ImportRow>, ImportError> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(|error| broken(error.line(), &error))?;
    values.iter().enumerate().map(|(i, value)| row(i + 1, value)).collect()
}

fn of_prompt(prompt: NewPrompt) -> ImportRow {
    ImportRow { prompt, candidates: Vec::new() }
}

fn wrong(line: usize, field: &str, found: impl Into<String>, expected: &'static str) -> ImportError {
    ImportError { line, field: field.to_owned(), found: found.into(), expected }
}

fn broken(line: usize, error: &serde_json::Error) -> ImportError {
    wrong(line, "row", error.to_string(), "a JSON object on one line")
}

/// A value as an error shows it.
fn shown(value: &Value) -> String {
    super::text::opening(&value.to_string(), 60)
}

fn row(line: usize, value: &Value) -> Result<ImportRow, ImportError> {
    let Some(fields) = value.as_object() else {
        return Err(wrong(line, "row", shown(value), "an object with a prompt"));
    };
    let source = source_of(line, fields)?;
    let (prompt, answers) = content(line, fields)?;
    let text = |name: &str| optional_text(line, fields, name);
    let mut new = NewPrompt::new(prompt);
    new.use_case = text("use_case")?;
    new.user_id = text("user_id")?;
    new.language = text("language")?;
    new.source = source;
    if answers.len() > ANSWERS_MAX {
        return Err(wrong(line, "completions", answers.len().to_string(), "100 or fewer"));
    }
    let candidates =
        answers.iter().map(|(at, answer)| candidate(line, at, answer, source)).collect::<Result<_, _>>()?;
    Ok(ImportRow { prompt: new, candidates })
}

fn source_of(line: usize, fields: &Map<String, Value>) -> Result<Option<Source>, ImportError> {
    match fields.get("source") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|_| wrong(line, "source", shown(value), "human, model, rule or simulated")),
    }
}

fn optional_text(line: usize, fields: &Map<String, Value>, name: &str) -> Result<Option<String>, ImportError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong(line, name, shown(other), "text")),
    }
}

/// An answer, with the name of where it stands in its row.
type NamedAnswer<'a> = (String, &'a Value);

/// The prompt and its answers, wherever a row of any kind has them.
fn content(line: usize, fields: &Map<String, Value>) -> Result<(Prompt, Vec<NamedAnswer<'_>>), ImportError> {
    if let Some(value) = fields.get("messages") {
        let mut messages = turns(line, "messages", value)?;
        // An assistant's last turn is an answer; the row's own value keeps it.
        let last = value.as_array().and_then(|turns| turns.last()).and_then(|turn| turn.get("content"));
        let is_answered = messages.last().is_some_and(|message| message.role == record::Role::Assistant);
        if is_answered && messages.len() > 1 {
            messages.pop();
            return Ok((
                Prompt::Messages(messages),
                last.map(|text| ("messages".to_owned(), text)).into_iter().collect(),
            ));
        }
        return Ok((Prompt::Messages(messages), Vec::new()));
    }
    let named =
        ["completion", "chosen", "rejected"].iter().filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?)));
    let mut answers: Vec<NamedAnswer<'_>> = named.collect();
    match fields.get("completions") {
        None | Some(Value::Null) => {}
        Some(Value::Array(all)) => {
            answers.extend(all.iter().enumerate().map(|(i, answer)| (format!("completions[{i}]"), answer)));
        }
        Some(other) => return Err(wrong(line, "completions", shown(other), "a list of answers")),
    }
    let prompt = match fields.get("prompt").or_else(|| fields.get("instruction")) {
        Some(Value::String(text)) if !text.trim().is_empty() => Prompt::Text(text.clone()),
        Some(value @ Value::Array(_)) => Prompt::Messages(turns(line, "prompt", value)?),
        Some(other) => return Err(wrong(line, "prompt", shown(other), "text or messages")),
        None => return Err(wrong(line, "prompt", "nothing", "text or messages")),
    };
    Ok((prompt, answers))
}

fn turns(line: usize, field: &str, value: &Value) -> Result<Vec<Message>, ImportError> {
    let messages: Vec<Message> = serde_json::from_value(value.clone())
        .map_err(|_| wrong(line, field, shown(value), "messages with role and content"))?;
    if messages.is_empty() { Err(wrong(line, field, "no messages", "one or more")) } else { Ok(messages) }
}

fn candidate(line: usize, at: &str, value: &Value, source: Option<Source>) -> Result<NewCandidate, ImportError> {
    let (text, own) = match value {
        Value::String(text) => (Some(text.as_str()), None),
        Value::Object(fields) => (fields.get("text").and_then(Value::as_str), Some(fields)),
        // A whole conversation: its last turn answers.
        Value::Array(turns) => (turns.last().and_then(|turn| turn.get("content")).and_then(Value::as_str), None),
        _ => (None, None),
    };
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Err(wrong(line, at, shown(value), "an answer's text"));
    };
    let (own_source, origin, score) = match own {
        None => (None, None, None),
        Some(fields) => (
            source_of(line, fields)?,
            optional_text(line, fields, "model")?,
            fields.get("score").and_then(Value::as_f64),
        ),
    };
    Ok(NewCandidate {
        text: text.to_owned(),
        source: own_source.or(source),
        origin: origin.unwrap_or_else(|| "imported".to_owned()),
        author: None,
        score,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(Prompt, Vec<String>)> {
        let rows = read_rows(text).expect("rows");
        let answers = |row: &ImportRow| row.candidates.iter().map(|candidate| candidate.text.clone()).collect();
        rows.iter().map(|row| (row.prompt.prompt.clone(), answers(row))).collect()
    }

    #[test]
    fn rows_of_every_kind_are_prompts_with_answers() {
        let p = || Prompt::Text("p".to_owned());
        for (row, answers) in [
            (r#"{"prompt": "p"}"#, vec![]),
            (r#"{"prompt": "p", "completions": ["a", {"text": "b", "rank": 2, "model": "m"}]}"#, vec!["a", "b"]),
            (r#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#, vec!["a", "b"]),
            (r#"{"prompt": "p", "completion": "a", "source": "human"}"#, vec!["a"]),
            (r#"[{"prompt": "p", "chosen": [{"role": "assistant", "content": "a"}]}]"#, vec!["a"]),
            ("\u{feff}p\n", vec![]),
        ] {
            let answers: Vec<String> = answers.into_iter().map(str::to_owned).collect();
            assert_eq!(texts(row), [(p(), answers)], "{row}");
        }
    }

    #[test]
    fn a_conversation_ends_before_its_last_answer() {
        let row = r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#;
        let expected = Prompt::Messages(vec![Message::user("q")]);
        assert_eq!(texts(row), [(expected, vec!["a".to_owned()])]);
    }

    #[test]
    fn a_wrong_row_says_where_and_what() {
        for (rows, message) in [
            ("", "Line 1: file: found nothing, expected rows, one a line."),
            ("{\"prompt\": \"p\"}\n\n{\"prompt\": 3}", "Line 3: prompt: found 3, expected text or messages."),
            (
                "{\"prompt\": \"p\", \"completions\": [\"a\", \"\"]}",
                "Line 1: completions[1]: found \"\", expected an answer's text.",
            ),
            (
                "{\"prompt\": \"p\", \"source\": \"alien\"}",
                "Line 1: source: found \"alien\", expected human, model, rule or simulated.",
            ),
            ("{\"text\": \"t\"}", "Line 1: prompt: found nothing, expected text or messages."),
        ] {
            assert_eq!(read_rows(rows).expect_err(rows).to_string(), message);
        }
        assert!(read_rows("{\"prompt\": ").is_err());
    }
}

//! What makes two rows, or two prompts, the same.

use record::{Prompt, Role, Row};

/// The hash of a row's canonical content: its record without the facts that ride on it.
pub fn content_id(row: &Row) -> String {
    let value = serde_json::to_value(&row.record).expect("records are plain JSON");
    stdx::hash::json(&value)
}

/// What a row is about, for keeping its like together in splits and joins: the hash of the first
/// thing that the person says, runs of space as one.
///
/// A conversation counts by its opening, so that two continuations of one opening, or a prompt
/// asked once as plain text and once as a message, share a key. Running text counts by itself.
pub fn prompt_key(row: &Row) -> String {
    let opening = match (&row.record, row.record.prompt()) {
        (record::Record::Text(text), _) => text.clone(),
        (_, Some(Prompt::Text(text))) => text,
        (_, Some(Prompt::Messages(messages))) => {
            let users = messages.iter().find(|turn| turn.role == Role::User);
            let opening = users.or(messages.first());
            opening.map_or_else(String::new, |turn| turn.content.clone())
        }
        (_, None) => String::new(),
    };
    let words: Vec<&str> = opening.split_whitespace().collect();
    stdx::hash::bytes(words.join(" ").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find_format;

    fn row(format: &str, text: &str) -> Row {
        let value = serde_json::from_str(text).expect("JSON");
        let format = find_format(format).expect("known");
        format.read(&value).expect("a row").remove(0)
    }

    #[test]
    fn content_is_what_counts_and_facts_do_not() {
        let a = row("text", r#"{"text": "a", "id": "1"}"#);
        let b = row("text", r#"{"source": "human", "text": "a<|endoftext|>"}"#);
        assert_eq!(content_id(&a), content_id(&b));
        assert_ne!(content_id(&a), content_id(&row("prompt", r#"{"prompt": "a"}"#)));
    }

    #[test]
    fn one_opening_is_one_key() {
        let plain = row("prompt", r#"{"prompt": " Why  rain?\n"}"#);
        let asked = row(
            "messages",
            r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Why rain?"}, {"role": "assistant", "content": "Clouds."}]}"#,
        );
        let longer = row(
            "ranking",
            r#"{"prompt": [{"role": "user", "content": "Why rain?"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "And snow?"}], "completions": [{"text": "a", "rank": 1}, {"text": "b", "rank": 2}]}"#,
        );
        assert_eq!(prompt_key(&plain), prompt_key(&asked));
        assert_eq!(prompt_key(&plain), prompt_key(&longer));
        let other = row("prompt", r#"{"prompt": "Why Rain?"}"#);
        assert_ne!(prompt_key(&plain), prompt_key(&other));
    }
}

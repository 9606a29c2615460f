//! Python's string methods, where the published code relies on them.

/// What `str.isspace` and `\s` call space: Unicode's white space and four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.split()`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `re.sub(r"\s+", " ", text).strip()`.
pub(crate) fn collapse(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

/// `str.capitalize()`: the first character in title case, **all others in lower case**.
pub(crate) fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let mut result = title(first);
    result.push_str(&characters.as_str().to_lowercase());
    result
}

/// Title case differs from upper case where one character stands for two letters.
fn title(c: char) -> String {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}'.to_string(),
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}'.to_string(),
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}'.to_string(),
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}'.to_string(),
        _ => {
            let mut upper = c.to_uppercase();
            let first: String = upper.next().into_iter().collect();
            first + &upper.collect::<String>().to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_does() {
        // CPython 3.12.
        assert_eq!(capitalize("give ME the USA's"), "Give me the usa's");
        assert_eq!(capitalize("ßa"), "Ssa");
        assert_eq!(capitalize("éCOLE"), "École");
        assert_eq!(capitalize("ǆ"), "ǅ");
        assert_eq!(capitalize(""), "");
        assert_eq!(collapse(" a\u{1d}b \n\t c\u{a0}"), "a b c");
        assert_eq!(strip("\u{1e} x \u{3000}"), "x");
    }
}

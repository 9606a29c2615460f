//! Checks of what people send: sizes, characters, names.

use crate::{LabelError, Result};

/// The longest text that a person writes, in bytes: an answer, a prompt, a note.
pub const TEXT_BYTES_MAX: usize = 256 << 10;

/// Text that isn't empty and fits.
pub fn text(field: &'static str, text: &str, bytes_max: usize) -> Result<()> {
    if text.trim().is_empty() {
        return Err(LabelError::invalid(field, "nothing", "some text"));
    }
    optional_text(field, text, bytes_max)
}

/// Text that fits.
pub fn optional_text(field: &'static str, text: &str, bytes_max: usize) -> Result<()> {
    if text.len() > bytes_max {
        return Err(LabelError::TooLarge { what: field, found: text.len(), limit: bytes_max });
    }
    // PostgreSQL can't store it, and nothing that people write has it.
    match text.find('\0') {
        Some(at) => Err(LabelError::invalid(field, format!("a NUL character at byte {at}"), "text")),
        None => Ok(()),
    }
}

/// A name for people: letters of any script, digits, spaces and `._@+-`, up to 64 characters.
pub fn person_name(name: &str) -> Result<String> {
    let name = name.trim();
    let fits = |c: char| c.is_alphanumeric() || " ._@+-".contains(c);
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(fits) {
        let expected = "1 to 64 letters, digits, spaces and ._@+-";
        return Err(LabelError::invalid("name", shown(name), expected));
    }
    Ok(name.to_owned())
}

/// A name that stands in addresses and files: `a-z`, digits, `-` and `_`, up to 64, a letter or digit first.
pub fn slug(field: &'static str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if begins && name.len() <= 64 && name.chars().all(fits) {
        return Ok(());
    }
    Err(LabelError::invalid(field, shown(name), "1 to 64 of a-z, 0-9, - and _, a letter or digit first"))
}

/// The name of a submission: 1 to 64 of letters, digits, `-` and `_`.
pub fn submission(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(LabelError::invalid("submission", shown(name), "1 to 64 letters, digits, - and _"))
}

/// A time spent, in seconds: what a clock can't have measured is no time.
pub fn seconds(seconds: Option<f64>) -> Option<f64> {
    seconds.filter(|seconds| seconds.is_finite() && (0.0..=7.0 * 86_400.0).contains(seconds))
}

/// The beginning of a text in quotes.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_do_harm_are_refused() {
        assert_eq!(person_name(" Zoë Ångström ").unwrap(), "Zoë Ångström");
        for wrong in ["", " ", "<b>", "a\nb", "a/b", &"x".repeat(65)] {
            assert!(person_name(wrong).is_err(), "{wrong:?}");
        }
        assert!(slug("project", "tone-2_b").is_ok());
        for wrong in ["", "-a", "A", "a/b", "../a", "a b", &"x".repeat(65)] {
            assert!(slug("project", wrong).is_err(), "{wrong:?}");
        }
        assert!(submission("aZ-_9").is_ok() && submission("").is_err() && submission("a b").is_err());
    }

    #[test]
    fn text_is_bounded_and_storable() {
        assert!(text("text", "a", 1).is_ok());
        assert!(matches!(text("text", "ab", 1), Err(LabelError::TooLarge { found: 2, limit: 1, .. })));
        assert!(matches!(text("text", " \n", 9), Err(LabelError::Invalid { .. })));
        assert!(optional_text("notes", "", 9).is_ok() && optional_text("notes", "a\0b", 9).is_err());
        assert_eq!(seconds(Some(-1.0)), None);
        assert_eq!(seconds(Some(f64::NAN)), None);
        assert_eq!(seconds(Some(2.5)), Some(2.5));
    }
}

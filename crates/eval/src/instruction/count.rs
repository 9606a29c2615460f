//! Words and sentences.

/// Runs of letters, digits and underscores.
pub fn words(text: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).count()
}

/// Words in capitals: at least one letter, and none that is small. `U.S.A.` is one, `A` is one.
pub fn capital_words(text: &str) -> usize {
    let parts =
        text.split(|c: char| c.is_whitespace() || (c.is_ascii_punctuation() && !matches!(c, '.' | '-' | '\'' | '&')));
    parts.filter(|word| word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase)).count()
}

/// Words after which a full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "inc", "ltd", "co", "no", "fig", "vol", "e.g",
    "i.e", "a.m", "p.m", "u.s", "u.k",
];

/// Sentences: runs of text that end in `.`, `!`, `?`, `…` or their wide forms, with any closing quotes or brackets, and
/// before blanks or the end. A stop before a small letter ends none, nor does a full stop in a number, after an initial, a
/// common abbreviation, or a number that begins a line (a list). A line that ends without a stop is a sentence only at an empty line or the end.
pub fn sentences(text: &str) -> usize {
    text.split("\n\n").map(in_paragraph).sum()
}

fn in_paragraph(paragraph: &str) -> usize {
    let chars: Vec<char> = paragraph.chars().collect();
    let mut found = 0;
    let mut has_words = false;
    let mut idx = 0;
    while idx < chars.len() {
        let c = chars[idx];
        has_words |= c.is_alphanumeric();
        idx += 1;
        if is_stop(c) {
            while idx < chars.len()
                && (is_stop(chars[idx]) || matches!(chars[idx], '"' | '\'' | ')' | ']' | '”' | '’' | '*'))
            {
                idx += 1;
            }
            let wide = matches!(c, '。' | '！' | '？');
            let at_end = wide || idx == chars.len() || chars[idx].is_whitespace();
            if has_words && at_end && (wide || !continues(&chars[..idx], &chars[idx..])) {
                found += 1;
                has_words = false;
            }
        }
    }
    found + usize::from(has_words)
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '।' | '؟')
}

/// Whether the sentence goes on behind the stop at the end of `before`: a small letter follows, or the full stop belongs to
/// its word.
fn continues(before: &[char], after: &[char]) -> bool {
    let next = after.iter().find(|c| !c.is_whitespace());
    if next.is_some_and(|c| c.is_lowercase()) {
        return true;
    }
    let text: String = before.iter().collect();
    let is_full_stop = text.ends_with('.');
    let text = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    let word =
        text.rsplit(char::is_whitespace).next().unwrap_or_default().trim_start_matches(|c: char| !c.is_alphanumeric());
    let begins_line = text.rsplit('\n').next().unwrap_or_default().trim() == word;
    let is_initial = word.chars().count() == 1 && word.chars().all(|c| c.is_uppercase() && c != 'I');
    let is_number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let is_abbreviation = ABBREVIATIONS.contains(&word.to_lowercase().as_str());
    next.is_some() && is_full_stop && (is_initial || is_abbreviation || (is_number && begins_line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: usize) {
        assert_eq!(sentences(text), expected, "{text:?}");
    }

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        check("One. Two! Three? Four…", 4);
        check("Dr. Smith paid 3.50 to J. Doe at 5 p.m. on Monday. Then he left.", 2);
        check("He asked \"Why?\" and left. She said \"No.\"", 2);
        check("Really?! Yes.", 2);
        check("no stop at the end", 1);
        check("1. Boil water.\n2. Add tea.", 2);
        check("A heading\n\nA sentence.", 2);
        check("これは文です。もう一つ。", 2);
        check("...", 0);
        check("", 0);
        check("It was I. You knew.", 2);
    }

    #[test]
    fn words_and_capital_words_are_counted() {
        assert_eq!(words("It's 3 o'clock, well-known_thing."), 7); // It s 3 o clock well known_thing
        assert_eq!(capital_words("NASA and the U.S. sent A-1 to Mars; I saw IT (TWICE)."), 6); // NASA U.S. A-1 I IT TWICE
        assert_eq!(capital_words("none here"), 0);
    }
}

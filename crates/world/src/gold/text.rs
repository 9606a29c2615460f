//! Text as words and sentences, in one pass: what counts as a word, a sentence and an item is said here, once.

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence<'a> {
    /// Its text with its end mark, without blanks around it.
    pub text: &'a str,
    /// Its words as they stand, in order.
    pub words: Vec<&'a str>,
    /// Whether it ends in a question mark.
    pub question: bool,
}

/// Sentences: what ends in `.`, `!`, `?` or a line break and has a word in it. A full stop between two digits ends
/// nothing, and neither does one behind a number that begins a line ("1. bread"), which numbers an item.
pub fn sentences(text: &str) -> Vec<Sentence<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let ends = match byte {
            b'!' | b'?' | b'\n' => true,
            b'.' => !is_inside_number(bytes, at) && !is_item_number(text[start..at].trim_start()),
            _ => false,
        };
        if ends {
            push(&text[start..=at], &mut found);
            start = at + 1;
        }
    }
    push(&text[start..], &mut found);
    found
}

fn is_inside_number(bytes: &[u8], at: usize) -> bool {
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    digit(at.checked_sub(1)) && digit(at.checked_add(1))
}

/// Whether the text up to a full stop is a short number alone, as it stands before an item.
fn is_item_number(text: &str) -> bool {
    (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn push<'a>(piece: &'a str, found: &mut Vec<Sentence<'a>>) {
    let text = piece.trim();
    let words: Vec<&str> = words(text).collect();
    if !words.is_empty() {
        found.push(Sentence { text, words, question: text.ends_with('?') });
    }
}

/// Words: runs of letters and digits, with an apostrophe or a hyphen inside them.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '\u{2019}' | '-');
    text.split(move |c| !inside(c)).map(|word| word.trim_matches(['\'', '-'])).filter(|word| !word.is_empty())
}

/// How many words, as constraints count them: pieces between blanks that have a letter or digit.
pub fn count_words(text: &str) -> usize {
    text.split_whitespace().filter(|piece| piece.contains(char::is_alphanumeric)).count()
}

/// Items of a list: its lines that begin with `-`, `*` or a number and `.` or `)`, and say something behind it; where no
/// line does, the pieces between commas, semicolons, line breaks and "and".
pub fn items(text: &str) -> Vec<&str> {
    let marked: Vec<&str> = text.lines().filter_map(marked_item).collect();
    if !marked.is_empty() {
        return marked;
    }
    let pieces = text.split([',', ';', '\n']).flat_map(|piece| piece.split(" and "));
    pieces
        .map(|piece| piece.trim().trim_end_matches(['.', '!']))
        .filter(|piece| words(piece).next().is_some())
        .collect()
}

/// What stands behind the mark of a list's line; nothing when the line has none.
pub fn marked_item(line: &str) -> Option<&str> {
    let line = line.trim();
    let behind_number = || {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < line.len()).then(|| rest.strip_prefix(['.', ')'])).flatten()
    };
    let rest = line.strip_prefix(['-', '*']).or_else(behind_number)?;
    (rest.starts_with(' ') && words(rest).next().is_some()).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_marks_and_lines_but_not_inside_numbers() {
        let found = sentences("It is 3.5 long. Who? Ha!\n1. bread\n...\n- tea and jam");
        let texts: Vec<&str> = found.iter().map(|sentence| sentence.text).collect();
        assert_eq!(texts, ["It is 3.5 long.", "Who?", "Ha!", "1. bread", "- tea and jam"]);
        assert_eq!(
            found.iter().map(|sentence| sentence.question).collect::<Vec<_>>(),
            [false, true, false, false, false]
        );
        assert!(sentences(" .\n?! ").is_empty());
        // A year ends a sentence.
        assert_eq!(sentences("It was in 412. Then no.").len(), 2);
    }

    #[test]
    fn words_keep_apostrophes_and_hyphens_inside() {
        assert_eq!(
            words("don't -- say 'well-known' 12, ä!").collect::<Vec<_>>(),
            ["don't", "say", "well-known", "12", "ä"]
        );
        assert_eq!(count_words("  "), 0);
    }

    #[test]
    fn items_are_marked_lines_or_else_pieces() {
        assert_eq!(items("Here:\n1. tea\n2) jam and ham\n-\n- bread"), ["tea", "jam and ham", "bread"]);
        assert_eq!(items("tea, jam and bread."), ["tea", "jam", "bread"]);
        assert_eq!(items("tea\njam"), ["tea", "jam"]);
        assert!(items(" , . ").is_empty());
    }
}

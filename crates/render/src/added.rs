//! Finding added tokens (special ones above all) in text, where they are allowed.
//!
//! The tokenizer library either parses every special token in a text or none. A
//! conversation needs both in one pass: the template's are parsed, the same characters
//! typed by a user are not, and everything between two special tokens is still one string
//! for the merges. So the search is ours; its rules (leftmost, then longest; whole words;
//! stripping of neighbouring blanks) are the library's, and a test holds the two together.
use std::ops::Range;

use tokenizers::tokenizer::normalizer::Range as Span;
use tokenizers::{AddedToken, NormalizedString, Token};

/// Where special tokens count as special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission<'a> {
    /// Everywhere.
    Everywhere,
    /// Nowhere: they are plain characters.
    Nowhere,
    /// Only inside these byte ranges of the original text, in ascending order.
    Within(&'a [Range<usize>]),
}

impl Permission<'_> {
    fn allows(self, start: usize, end: usize) -> bool {
        match self {
            Permission::Everywhere => true,
            Permission::Nowhere => false,
            Permission::Within(ranges) => {
                let after = ranges.partition_point(|range| range.start <= start);
                after > 0 && end <= ranges[after - 1].end
            }
        }
    }
}

struct Pattern {
    text: String,
    id: u32,
    token: AddedToken,
}

/// Added tokens, ready to be found.
pub(crate) struct AddedTokens {
    /// By first byte, longest first: most bytes begin nothing, and are passed over quickly.
    by_first: Vec<Vec<Pattern>>,
}

impl AddedTokens {
    /// From triples (text to find, id, token).
    pub(crate) fn new(tokens: impl IntoIterator<Item = (String, u32, AddedToken)>) -> Self {
        let mut by_first: Vec<Vec<Pattern>> = (0..256).map(|_| Vec::new()).collect();
        for (text, id, token) in tokens {
            if let Some(&first) = text.as_bytes().first() {
                by_first[first as usize].push(Pattern { text, id, token });
            }
        }
        for patterns in &mut by_first {
            patterns.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then(a.id.cmp(&b.id)));
        }
        AddedTokens { by_first }
    }

    /// Cuts `piece` at the added tokens that may stand there; each carries its id.
    pub(crate) fn split(
        &self,
        piece: NormalizedString,
        permission: Permission,
    ) -> Vec<(NormalizedString, Option<Vec<Token>>)> {
        let matches = self.find(&piece, permission);
        if matches.is_empty() {
            return vec![(piece, None)];
        }
        let length = piece.get().len();
        let mut pieces = Vec::with_capacity(2 * matches.len() + 1);
        let mut cut = |start: usize, end: usize, id: Option<u32>| {
            if let Some(slice) = piece.slice(Span::Normalized(start..end)) {
                let tokens = id.map(|id| {
                    let text = slice.get().to_owned();
                    let length = text.len();
                    vec![Token::new(id, text, (0, length))]
                });
                pieces.push((slice, tokens));
            }
        };
        let mut done = 0;
        for (id, range) in matches {
            if done < range.start {
                cut(done, range.start, None);
            }
            cut(range.start, range.end, Some(id));
            done = range.end;
        }
        if done < length {
            cut(done, length, None);
        }
        pieces
    }

    fn find(&self, piece: &NormalizedString, permission: Permission) -> Vec<(u32, Range<usize>)> {
        let text = piece.get();
        let mut found = Vec::new();
        // Blanks swallowed by one match may not be swallowed again; a match may
        // nevertheless begin inside what the one before it stripped, as in the library.
        let mut done = 0;
        let mut position = 0;
        while position < text.len() {
            let Some(pattern) = self.longest_at(piece, position, permission) else {
                position += 1;
                continue;
            };
            let end = position + pattern.text.len();
            if !pattern.token.single_word || stands_alone(text, position, end) {
                let mut range = position..end;
                if pattern.token.lstrip {
                    range.start = text[..position].trim_end().len().max(done);
                }
                if pattern.token.rstrip {
                    range.end += text[end..].len() - text[end..].trim_start().len();
                }
                range.start = range.start.max(done);
                if range.start < range.end {
                    done = range.end;
                    found.push((pattern.id, range));
                }
            }
            position = end;
        }
        found
    }

    fn longest_at(&self, piece: &NormalizedString, position: usize, permission: Permission) -> Option<&Pattern> {
        // A pattern's first byte begins a character, so a match never splits one.
        let rest = &piece.get().as_bytes()[position..];
        self.by_first[rest[0] as usize].iter().find(|pattern| {
            rest.starts_with(pattern.text.as_bytes())
                && (!pattern.token.special || allowed(piece, position, position + pattern.text.len(), permission))
        })
    }
}

fn allowed(piece: &NormalizedString, start: usize, end: usize, permission: Permission) -> bool {
    if permission == Permission::Everywhere {
        return true;
    }
    piece.slice(Span::Normalized(start..end)).is_some_and(|slice| {
        let (start, end) = slice.offsets_original();
        permission.allows(start, end)
    })
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..start].chars().next_back().is_some_and(is_word) && !text[end..].chars().next().is_some_and(is_word)
}

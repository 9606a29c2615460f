//! Decoding while tokens arrive: only whole characters leave.
use std::collections::VecDeque;

use crate::tokenizer::Tokenizer;

/// How many tokens before a piece of text are looked at to decode it rightly.
const CONTEXT_TOKENS: usize = 8;
/// A character has at most four bytes, but a text may have replacement characters of its own, and
/// decoders turn all the bytes around an unfinished character into them. After so many tokens
/// without another character the bytes are not UTF-8, and waiting longer won't help.
const PENDING_TOKENS_MAX: usize = 64;
/// An unfinished character has at most three bytes, so at most so many tokens.
const CHARACTER_TOKENS_MAX: usize = 3;
/// How far back the beginning of a character is looked for.
const CONTEXT_TOKENS_MAX: usize = 64;

/// Turns tokens into text as they come. Joined, its pieces are the text of the whole.
///
/// A token may end inside a character; its text then waits for the rest. Whether a token begins
/// with a blank may depend on what stands before it, so a few earlier tokens are decoded with it
/// and their text cut off.
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    /// Runs of tokens that end with a character, so that none is cut apart when old ones go.
    context: VecDeque<Vec<u32>>,
    pending: Vec<u32>,
    skip_specials: bool,
}

impl<'a> StreamDecoder<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer, context: &[u32], skip_specials: bool) -> Self {
        let recent = recent(tokenizer, context);
        StreamDecoder { tokenizer, context: VecDeque::from([recent.to_vec()]), pending: Vec::new(), skip_specials }
    }

    /// Takes a token; gives the text that is certain now, often one word, sometimes nothing.
    pub fn push(&mut self, token_id: u32) -> String {
        self.pending.push(token_id);
        let n_pending = self.pending.len();
        let text = self.new_text(n_pending);
        if !text.ends_with(char::REPLACEMENT_CHARACTER) {
            self.settle(n_pending);
            return text;
        }
        if n_pending < PENDING_TOKENS_MAX {
            return String::new();
        }
        // Replacement characters that were there from the start, or no UTF-8 at all. What stays
        // as it is when more tokens follow can go; the last ones may still begin a character.
        let stays = (1..=n_pending - CHARACTER_TOKENS_MAX).rev().find_map(|n_tokens| {
            let first = self.new_text(n_tokens);
            text.starts_with(&first).then_some((n_tokens, first))
        });
        let (n_tokens, text) = stays.unwrap_or((n_pending, text));
        self.settle(n_tokens);
        text
    }

    /// Takes many tokens, whose text is due at the end.
    pub(crate) fn push_all(&mut self, token_ids: &[u32]) {
        self.pending.extend(token_ids);
    }

    /// Gives what is left: an unfinished character, as a replacement character.
    pub fn finish(self) -> String {
        self.new_text(self.pending.len())
    }

    /// The text of the first `n_tokens` pending tokens in their context.
    fn new_text(&self, n_tokens: usize) -> String {
        let decode =
            |token_ids: &[u32]| self.tokenizer.decode_choosing(token_ids, self.skip_specials).unwrap_or_default();
        let mut all: Vec<u32> = self.context.iter().flatten().copied().collect();
        let before = decode(&all);
        all.extend(&self.pending[..n_tokens]);
        let whole = decode(&all);
        match whole.strip_prefix(&before) {
            Some(new) => new.to_string(),
            // The context alone ends in half a character that is whole now.
            None => {
                let common = before
                    .char_indices()
                    .zip(whole.chars())
                    .find(|((_, a), b)| a != b)
                    .map_or(before.len().min(whole.len()), |((at, _), _)| at);
                whole[common..].to_string()
            }
        }
    }

    fn settle(&mut self, n_tokens: usize) {
        self.context.push_back(self.pending.drain(..n_tokens).collect());
        while self.context.len() > CONTEXT_TOKENS {
            self.context.pop_front();
        }
    }
}

/// The last tokens of a context. A special token is a boundary: what follows it begins a text of
/// its own, as if alone. And they begin with a whole character, if it isn't too far back.
fn recent<'c>(tokenizer: &Tokenizer, context: &'c [u32]) -> &'c [u32] {
    let special = context.iter().rposition(|&id| tokenizer.is_special(id));
    let first = special.map_or(0, |idx| idx + 1);
    let text = &context[first..];
    let cut = |n_tokens: usize| &text[text.len().saturating_sub(n_tokens)..];
    (CONTEXT_TOKENS..CONTEXT_TOKENS_MAX.min(text.len()))
        .map(cut)
        .find(|tokens| {
            let decoded = tokenizer.decode(tokens).unwrap_or_default();
            !decoded.starts_with(char::REPLACEMENT_CHARACTER)
        })
        .unwrap_or_else(|| cut(CONTEXT_TOKENS_MAX))
}

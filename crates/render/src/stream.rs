//! Decoding while tokens arrive: only whole characters leave.
use crate::tokenizer::Tokenizer;

/// How many tokens before a piece of text are looked at to decode it rightly.
const CONTEXT_TOKENS: usize = 8;
/// A character has at most four bytes. After so many tokens without a whole one the bytes are
/// not UTF-8, and waiting longer won't help.
const PENDING_TOKENS_MAX: usize = 8;

/// Turns tokens into text as they come. Joined, its pieces are the text of the whole.
///
/// A token may end inside a character; its text then waits for the rest. Whether a token begins
/// with a blank may depend on what stands before it, so a few earlier tokens are decoded with it
/// and their text cut off.
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    context: Vec<u32>,
    pending: Vec<u32>,
    skip_specials: bool,
}

impl<'a> StreamDecoder<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer, context: &[u32], skip_specials: bool) -> Self {
        let start = context.len().saturating_sub(CONTEXT_TOKENS);
        StreamDecoder { tokenizer, context: context[start..].to_vec(), pending: Vec::new(), skip_specials }
    }

    /// Takes a token; gives the text that is certain now, often one word, sometimes nothing.
    pub fn push(&mut self, token_id: u32) -> String {
        self.pending.push(token_id);
        let text = self.new_text();
        if text.ends_with(char::REPLACEMENT_CHARACTER) && self.pending.len() < PENDING_TOKENS_MAX {
            return String::new();
        }
        self.settle();
        text
    }

    /// Takes many tokens, whose text is due at the end.
    pub(crate) fn push_all(&mut self, token_ids: &[u32]) {
        self.pending.extend(token_ids);
    }

    /// Gives what is left: an unfinished character, as a replacement character.
    pub fn finish(mut self) -> String {
        let text = self.new_text();
        self.settle();
        text
    }

    /// The text of the pending tokens in their context.
    fn new_text(&self) -> String {
        let decode =
            |token_ids: &[u32]| self.tokenizer.decode_choosing(token_ids, self.skip_specials).unwrap_or_default();
        let before = decode(&self.context);
        let mut all = self.context.clone();
        all.extend(&self.pending);
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

    fn settle(&mut self) {
        self.context.append(&mut self.pending);
        let extra = self.context.len().saturating_sub(CONTEXT_TOKENS);
        self.context.drain(..extra);
    }
}

//! The tokenizer: the one place that knows the `tokenizers` crate.
use std::ops::Range;
use std::path::Path;

use tokenizers::Encoding as LibraryEncoding;
use tokenizers::tokenizer::{
    Model, NormalizedString, Normalizer, OffsetType, PostProcessor, PreTokenizedString, PreTokenizer, Token,
};

use crate::added::{AddedTokens, Permission};
use crate::error::{RenderError, shortened};
use crate::stream::StreamDecoder;

/// Whether special tokens written out in a text are special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specials {
    /// `<|im_end|>` in the text is that token: raw strings and templates.
    Parse,
    /// They are plain characters: anything a person typed into a conversation.
    Plain,
}

/// Tokens and where in the text they end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The tokens.
    pub token_ids: Vec<u32>,
    /// For each token the byte offset in the text at which its characters start.
    pub starts: Vec<usize>,
    /// For each token the byte offset in the text at which its characters end. A token that
    /// carries part of a character ends where the character ends; one without text (BOS) at 0.
    pub ends: Vec<usize>,
}

/// A tokenizer of the Hugging Face `tokenizer.json` format, of any kind: byte-level BPE,
/// SentencePiece-like (metaspace, byte fallback), word-level.
pub struct Tokenizer {
    library: tokenizers::Tokenizer,
    json: String,
    raw: AddedTokens,
    normalized: AddedTokens,
    prefix: Vec<u32>,
    unknown: Option<u32>,
    vocab_size: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, or the one in a folder.
    ///
    /// # Errors
    /// The file can't be read or is no tokenizer.
    pub fn open(folder_or_file: &Path) -> Result<Self, RenderError> {
        let path =
            if folder_or_file.is_dir() { folder_or_file.join("tokenizer.json") } else { folder_or_file.to_path_buf() };
        let bytes = std::fs::read(&path).map_err(|source| RenderError::Read { path: path.clone(), source })?;
        Self::from_named_json(&path.display().to_string(), &bytes)
    }

    /// From the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// They are no tokenizer.
    pub fn from_json(json: &[u8]) -> Result<Self, RenderError> {
        Self::from_named_json("tokenizer.json", json)
    }

    fn from_named_json(file: &str, json: &[u8]) -> Result<Self, RenderError> {
        let wrong = |reason: String| RenderError::Tokenizer { file: file.to_string(), reason };
        let text = std::str::from_utf8(json).map_err(|error| wrong(format!("not UTF-8: {error}")))?.to_string();
        // The library's own parser panics on some files that are not even JSON.
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| wrong(error.to_string()))?;
        let (library, raw, normalized, prefix) = guarded(|| {
            let mut library: tokenizers::Tokenizer = text.parse()?;
            // Cutting and padding are decisions of the caller, and counted there.
            library.with_truncation(None)?.with_padding(None);
            let (raw, normalized) = added_tokens(&library)?;
            let prefix = post_processor_prefix(&library)?;
            Ok((library, raw, normalized, prefix))
        })
        .map_err(wrong)?;
        let vocab_size = library.get_vocab(true).values().max().map_or(0, |&highest| highest as usize + 1);
        let unknown = unknown_id(&library, &text);
        Ok(Tokenizer { library, json: text, raw, normalized, prefix, unknown, vocab_size })
    }

    /// Encodes a text as it stands: no BOS, no EOS.
    ///
    /// # Errors
    /// A word is outside a vocabulary without an unknown token.
    pub fn encode(&self, text: &str, specials: Specials) -> Result<Encoding, RenderError> {
        let permission = match specials {
            Specials::Parse => Permission::Everywhere,
            Specials::Plain => Permission::Nowhere,
        };
        self.encode_permitting(text, permission)
    }

    /// Encodes a raw text as the start of a sequence: what the tokenizer's post-processor puts
    /// in front (BOS, for tokenizers that add one), then the text with special tokens parsed.
    /// What a post-processor would append (EOS) is left to the caller, who knows whether the
    /// text has ended.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_sequence(&self, text: &str) -> Result<Encoding, RenderError> {
        let body = self.encode(text, Specials::Parse)?;
        let mut token_ids = self.prefix.clone();
        let mut starts = vec![0; self.prefix.len()];
        let mut ends = starts.clone();
        token_ids.extend(body.token_ids);
        starts.extend(body.starts);
        ends.extend(body.ends);
        Ok(Encoding { token_ids, starts, ends })
    }

    /// Encodes a text in which special tokens count only inside `ranges` (bytes, ascending).
    pub(crate) fn encode_within(&self, text: &str, ranges: &[Range<usize>]) -> Result<Encoding, RenderError> {
        self.encode_permitting(text, Permission::Within(ranges))
    }

    fn encode_permitting(&self, text: &str, permission: Permission) -> Result<Encoding, RenderError> {
        let encoding = guarded(|| self.run(text, permission))
            .map_err(|reason| RenderError::Encode { text: shortened(text), reason })?;
        Ok(Encoding {
            token_ids: encoding.get_ids().to_vec(),
            starts: encoding.get_offsets().iter().map(|&(start, _)| start).collect(),
            ends: encoding.get_offsets().iter().map(|&(_, end)| end).collect(),
        })
    }

    /// The library's pipeline, step by step, with our search for added tokens, and without the
    /// post-processor: that one trims blanks off the offsets, which must stay what they are.
    fn run(&self, text: &str, permission: Permission) -> tokenizers::Result<LibraryEncoding> {
        let mut pieces = PreTokenizedString::from(text);
        pieces.split(|_, piece| Ok(self.raw.split(piece, permission)))?;
        pieces.split(|_, mut piece| {
            if let Some(normalizer) = self.library.get_normalizer() {
                normalizer.normalize(&mut piece)?;
            }
            Ok(self.normalized.split(piece, permission))
        })?;
        if let Some(pre_tokenizer) = self.library.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces)?;
        }
        pieces.tokenize(|piece| match permission {
            Permission::Everywhere => self.library.get_model().tokenize(piece.get()),
            _ => self.plain_tokens(piece.get()),
        })?;
        pieces.into_encoding(None, 0, OffsetType::Byte)
    }

    /// The model's tokens for a text that holds no special token. Some vocabularies list their
    /// special tokens among the words, and a word-level or unigram model finds them there whoever
    /// wrote them: such a token is cut apart until the model finds something else.
    fn plain_tokens(&self, text: &str) -> tokenizers::Result<Vec<Token>> {
        let mut plain = Vec::new();
        for token in self.library.get_model().tokenize(text)? {
            if !self.is_special(token.id) || self.unknown == Some(token.id) {
                plain.push(token);
                continue;
            }
            let (start, end) = token.offsets;
            let first = text.get(start..end).and_then(|own| own.chars().next()).map_or(0, char::len_utf8);
            if first == 0 || start + first == end {
                // A character that is itself special: there is no other way to say it.
                plain.push(token);
                continue;
            }
            for (from, to) in [(start, start + first), (start + first, end)] {
                for mut part in self.plain_tokens(&text[from..to])? {
                    part.offsets = (part.offsets.0 + from, part.offsets.1 + from);
                    plain.push(part);
                }
            }
        }
        Ok(plain)
    }

    /// The text of tokens, special tokens left out.
    ///
    /// # Errors
    /// The decoder refuses the tokens. Ids outside the vocabulary are skipped.
    pub fn decode(&self, token_ids: &[u32]) -> Result<String, RenderError> {
        self.decode_choosing(token_ids, true)
    }

    /// The text of tokens, special tokens written out.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode_with_specials(&self, token_ids: &[u32]) -> Result<String, RenderError> {
        self.decode_choosing(token_ids, false)
    }

    pub(crate) fn decode_choosing(&self, token_ids: &[u32], skip_specials: bool) -> Result<String, RenderError> {
        guarded(|| self.library.decode(token_ids, skip_specials))
            .map_err(|reason| RenderError::Decode { token_ids: token_ids.iter().take(16).copied().collect(), reason })
    }

    /// The text that `token_ids` add to what stands before them, special tokens left out.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode_after(&self, context: &[u32], token_ids: &[u32]) -> Result<String, RenderError> {
        let mut stream = self.stream(context);
        stream.push_all(token_ids);
        Ok(stream.finish())
    }

    /// Decodes token by token, as they are generated after `context` (which is not repeated,
    /// but decides about leading blanks). Special tokens are left out.
    pub fn stream(&self, context: &[u32]) -> StreamDecoder<'_> {
        StreamDecoder::new(self, context, true)
    }

    /// [`Tokenizer::stream`] with special tokens written out.
    pub fn stream_with_specials(&self, context: &[u32]) -> StreamDecoder<'_> {
        StreamDecoder::new(self, context, false)
    }

    /// This tokenizer with one special token more, which gets the next free id; as it is if it has that special token.
    ///
    /// # Errors
    /// The name is an ordinary token, or the vocabulary has holes where the library would put it.
    pub fn with_special(&self, name: &str) -> Result<Self, RenderError> {
        let wrong = |reason: String| RenderError::Tokenizer { file: "tokenizer.json".to_string(), reason };
        let id = self.vocab_size as u32;
        let mut json: serde_json::Value = serde_json::from_str(&self.json).map_err(|error| wrong(error.to_string()))?;
        match self.token_id(name) {
            Some(known) if self.is_special(known) => return Self::from_json(self.json.as_bytes()),
            Some(known) => {
                return Err(wrong(format!("`{name}` is the ordinary token {known}, expected a special one")));
            }
            None => {}
        }
        let token = serde_json::json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true});
        match json.get_mut("added_tokens").and_then(serde_json::Value::as_array_mut) {
            Some(tokens) => tokens.push(token),
            None => json["added_tokens"] = serde_json::json!([token]),
        }
        let grown = Self::from_json(json.to_string().as_bytes())?;
        match grown.token_id(name) {
            Some(found) if found == id => Ok(grown),
            found => Err(wrong(format!("`{name}` would become token {found:?}, expected {id}, the next free one"))),
        }
    }

    /// One more than the highest token id: how many rows the embedding must have at least.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token, by its name in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.library.token_to_id(token)
    }

    /// The token's name in the vocabulary (`Ġthe`, `▁the`, `<eos>`).
    pub fn token(&self, token_id: u32) -> Option<String> {
        self.library.id_to_token(token_id)
    }

    /// Whether a token is a special one.
    pub fn is_special(&self, token_id: u32) -> bool {
        let added = self.library.get_added_vocabulary().get_added_tokens_decoder();
        added.get(&token_id).is_some_and(|token| token.special)
    }

    /// Whether a token was added to the model's vocabulary, special or not (`<think>`).
    pub fn is_added(&self, token_id: u32) -> bool {
        let added = self.library.get_added_vocabulary().get_added_tokens_decoder();
        added.contains_key(&token_id)
    }

    /// The ids and names of all special tokens, by id.
    pub fn special_tokens(&self) -> Vec<(u32, String)> {
        let added = self.library.get_added_vocabulary().get_added_tokens_decoder();
        let mut specials: Vec<(u32, String)> =
            added.iter().filter(|(_, token)| token.special).map(|(&id, token)| (id, token.content.clone())).collect();
        specials.sort();
        specials
    }

    /// What the post-processor puts before every sequence: BOS, or nothing.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// BLAKE3 of the canonical JSON, in hexadecimal: equal for equal tokenizers, however their
    /// files are indented.
    pub fn content_hash(&self) -> String {
        let canonical = self.library.to_string(false);
        let text = canonical.as_deref().unwrap_or(&self.json);
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// The `tokenizer.json`, byte for byte as it was read.
    pub fn to_json(&self) -> &str {
        &self.json
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Runs library code that may panic on a hostile tokenizer file: merges that lead nowhere, a
/// vocabulary with holes. Nothing it leaves half done is used afterwards.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizer library gave up on it".to_string()),
    }
}

/// The added tokens to be found in the raw text, and those to be found after normalisation.
fn added_tokens(library: &tokenizers::Tokenizer) -> tokenizers::Result<(AddedTokens, AddedTokens)> {
    let mut raw = Vec::new();
    let mut normalized = Vec::new();
    for (id, token) in library.get_added_tokens_decoder() {
        if !token.normalized {
            raw.push((token.content.clone(), id, token));
            continue;
        }
        let mut text = NormalizedString::from(token.content.as_str());
        if let Some(normalizer) = library.get_normalizer() {
            normalizer.normalize(&mut text)?;
        }
        normalized.push((text.get().to_string(), id, token));
    }
    Ok((AddedTokens::new(raw), AddedTokens::new(normalized)))
}

/// The token that stands for what the vocabulary lacks, as the model's JSON names it.
fn unknown_id(library: &tokenizers::Tokenizer, json: &str) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(serde::Deserialize)]
    struct Model {
        unk_token: Option<String>,
        unk_id: Option<u32>,
    }
    let file: File = serde_json::from_str(json).ok()?;
    let named = file.model.unk_token.and_then(|name| library.token_to_id(&name));
    named.or(file.model.unk_id)
}

/// What the post-processor puts before a sequence, found by handing it one.
fn post_processor_prefix(library: &tokenizers::Tokenizer) -> tokenizers::Result<Vec<u32>> {
    let Some(processor) = library.get_post_processor() else {
        return Ok(Vec::new());
    };
    const MARK: u32 = u32::MAX;
    let one = LibraryEncoding::from_tokens(vec![Token::new(MARK, "a".into(), (0, 1))], 0);
    let processed = processor.process(one, None, true)?;
    Ok(processed.get_ids().iter().copied().take_while(|&id| id != MARK).collect())
}

#[cfg(test)]
mod tests;

//! Records to tokens with a loss mask, and generated tokens back to text.
use std::path::Path;

use record::{Demonstration, Message, Prompt, Role};
use serde_json::{Value, json};

use crate::conversation::{Traced, Turn, trace, trace_prompt};
use crate::error::RenderError;
use crate::files::{FoundTemplate, TokenizerFiles};
use crate::sequence::{Rendered, Tree, forget_first, tree_of};
use crate::stream::StreamDecoder;
use crate::template::{ChatTemplate, Date, SpecialNames, TemplateMessage, TemplateOrigin};
use crate::tokenizer::{Encoding, Tokenizer};

/// Text exports of older corpora end documents with this, written out.
const IMPORTED_END: &str = "<|endoftext|>";

/// Which tokens a demonstration trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossOn {
    /// The completion, or the assistant's turns, with the token that ends them.
    #[default]
    Completion,
    /// Every token but the first, which nothing predicts.
    All,
}

/// A tokenizer, a chat template, and which tokens begin and end things.
#[derive(Debug)]
pub struct Renderer {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    names: SpecialNames,
    specials: Vec<String>,
    bos_id: Option<u32>,
    eos_id: Option<u32>,
    pad_id: Option<u32>,
    end_of_turn_id: Option<u32>,
    end_ids: Vec<u32>,
    tokenizer_config: Option<Value>,
    date: Date,
}

impl Renderer {
    /// Opens a model folder; `chat_template` names a Jinja file to be used instead of its own.
    ///
    /// # Errors
    /// A file is missing, or no tokenizer, or no template.
    pub fn open(folder: &Path, chat_template: Option<&Path>) -> Result<Self, RenderError> {
        let files = TokenizerFiles::read(folder)?;
        let chosen = match chat_template {
            None => None,
            Some(path) => {
                let source = std::fs::read_to_string(path)
                    .map_err(|source| RenderError::Read { path: path.to_path_buf(), source })?;
                Some((path.to_path_buf(), source))
            }
        };
        Self::new(&files, chosen, Date::default())
    }

    /// From files already read. `chosen` is a template (and its file's name) that wins over the
    /// folder's own; `date` is what templates are told when they ask.
    ///
    /// Without any template it is ChatML. Its `<|im_end|>` ends a turn if the tokenizer has it as
    /// a token. If not, the tokenizer's EOS does: a turn must end in one token that can be
    /// trained, sampled and recognised; the other markers are then plain text, which a model
    /// learns like any other. [`ChatTemplate::origin`] says which it was.
    ///
    /// # Errors
    /// As [`Renderer::open`].
    pub fn new(
        files: &TokenizerFiles,
        chosen: Option<(std::path::PathBuf, String)>,
        date: Date,
    ) -> Result<Self, RenderError> {
        let tokenizer = Tokenizer::from_json(&files.tokenizer).map_err(|error| match error {
            RenderError::Tokenizer { reason, .. } => {
                RenderError::Tokenizer { file: format!("{}/tokenizer.json", files.folder), reason }
            }
            other => other,
        })?;
        let names = files.special_names(&tokenizer);
        let template = choose_template(files, chosen, &tokenizer, &names, date)?;
        let id_of = |name: &Option<String>| tokenizer.token_id(name.as_deref()?);
        let specials = tokenizer.special_tokens();
        let mut renderer = Renderer {
            bos_id: id_of(&names.bos),
            eos_id: id_of(&names.eos),
            pad_id: id_of(&names.pad),
            end_of_turn_id: None,
            end_ids: Vec::new(),
            specials: specials.into_iter().map(|(_, name)| name).collect(),
            tokenizer_config: files.tokenizer_config.clone(),
            date,
            tokenizer,
            template,
            names,
        };
        renderer.end_of_turn_id = renderer.find_end_of_turn();
        renderer.end_ids = renderer.find_end_ids(files);
        Ok(renderer)
    }

    /// Which token the template writes after what the assistant says, found by having it say
    /// something. None if the template refuses, or writes something else.
    fn find_end_of_turn(&self) -> Option<u32> {
        let probe = [("user", "a"), ("assistant", "b")];
        let traced = trace(&self.template, &probe, &self.specials).ok()?;
        let turn = traced.turns.last()?;
        let encoding = self.encode_traced(&traced).ok()?;
        let from = turn.content_end.unwrap_or(turn.start + "b".len());
        let (token_idx, _) = self.first_added(&traced, &encoding, from, turn.limit)?;
        Some(encoding.token_ids[token_idx])
    }

    fn find_end_ids(&self, files: &TokenizerFiles) -> Vec<u32> {
        let in_vocabulary = |id: &u32| (*id as usize) < self.tokenizer.vocab_size();
        let mut ids: Vec<u32> = self
            .eos_id
            .into_iter()
            .chain(self.end_of_turn_id)
            .chain(files.eos_ids().into_iter().filter(in_vocabulary))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// A supervised row.
    ///
    /// Plain strings are encoded jointly, with no template; a token belongs to the completion iff
    /// it ends beyond the prompt, and EOS is appended to the completion, as a target, unless it
    /// already ends in one. Conversations go through the template, and every turn of the
    /// assistant is trained on, or only the completion where the row has one.
    ///
    /// # Errors
    /// No EOS is known, there is no turn to train on, the template fails or can't be traced, or
    /// the tokenizer refuses the text.
    pub fn demonstration(&self, demonstration: &Demonstration, loss_on: LossOn) -> Result<Rendered, RenderError> {
        let mut rendered = match demonstration {
            Demonstration::Completion { prompt, completion } => self.completion(prompt, completion)?,
            Demonstration::Conversation { messages } => {
                let cleaned: Vec<TemplateMessage> = messages
                    .iter()
                    .map(|message| match message.role {
                        Role::Assistant => (message.role.as_str(), cleaned(&message.content)),
                        _ => (message.role.as_str(), message.content.as_str()),
                    })
                    .collect();
                self.conversation(&cleaned, 0, loss_on)?
            }
        };
        if loss_on == LossOn::All {
            rendered.mask.fill(true);
            forget_first(&mut rendered.mask);
        }
        Ok(rendered)
    }

    /// Running text as a sequence of targets, with BOS if the tokenizer adds one; with `end`,
    /// EOS after it (unless it is there).
    ///
    /// # Errors
    /// `end` is asked for and no EOS is known, or the tokenizer refuses the text.
    pub fn text(&self, text: &str, end: bool) -> Result<Rendered, RenderError> {
        let text = if end { cleaned(text) } else { text };
        let mut token_ids = self.tokenizer.encode_sequence(text)?.token_ids;
        if end {
            self.append_eos(&mut token_ids)?;
        }
        let mut mask = vec![true; token_ids.len()];
        forget_first(&mut mask);
        Ok(Rendered { token_ids, mask })
    }

    /// The tokens to generate from: a text as it stands, or a conversation up to where the
    /// assistant begins.
    ///
    /// # Errors
    /// As [`Renderer::demonstration`].
    pub fn prompt(&self, prompt: &Prompt) -> Result<Vec<u32>, RenderError> {
        match prompt {
            Prompt::Text(text) => Ok(self.tokenizer.encode_sequence(text)?.token_ids),
            Prompt::Messages(messages) => {
                let messages = template_messages(messages);
                Ok(self.generation_prompt(&messages)?)
            }
        }
    }

    /// A prompt and a completion; the completion's tokens and its end are the targets.
    ///
    /// # Errors
    /// As [`Renderer::demonstration`].
    pub fn completion(&self, prompt: &Prompt, completion: &str) -> Result<Rendered, RenderError> {
        let completion = cleaned(completion);
        match prompt {
            Prompt::Text(prompt) => self.joint(prompt, completion),
            Prompt::Messages(messages) => {
                let mut messages = template_messages(messages);
                messages.push(("assistant", completion));
                let trained_from = messages.len() - 1;
                self.conversation(&messages, trained_from, LossOn::Completion)
            }
        }
    }

    /// A prompt with several completions, for rankings, pairs and rollouts: each is encoded as
    /// by [`Renderer::completion`], and the longest common run of untrained tokens is shared.
    ///
    /// # Errors
    /// As [`Renderer::demonstration`].
    pub fn tree(&self, prompt: &Prompt, completions: &[&str]) -> Result<Tree, RenderError> {
        let sequences = completions
            .iter()
            .map(|completion| self.completion(prompt, completion))
            .collect::<Result<Vec<Rendered>, RenderError>>()?;
        Ok(tree_of(sequences))
    }

    /// The text of a completion: what was generated after `prompt_ids`, up to the first end token,
    /// special tokens left out. The prompt decides about a leading blank, and is not repeated.
    ///
    /// # Errors
    /// The decoder refuses the tokens.
    pub fn completion_text(&self, prompt_ids: &[u32], generated_ids: &[u32]) -> Result<String, RenderError> {
        let end = generated_ids.iter().position(|id| self.end_ids.contains(id)).unwrap_or(generated_ids.len());
        self.tokenizer.decode_after(prompt_ids, &generated_ids[..end])
    }

    /// The texts of the trained runs of a sequence, without the tokens that end them: what
    /// rendering put in.
    ///
    /// # Errors
    /// As [`Renderer::completion_text`].
    pub fn completions(&self, rendered: &Rendered) -> Result<Vec<String>, RenderError> {
        let mut texts = Vec::new();
        let mut position = 0;
        while position < rendered.mask.len() {
            let run = rendered.mask[position..].iter().take_while(|&&trained| trained).count();
            if run > 0 {
                let (before, from) = rendered.token_ids.split_at(position);
                texts.push(self.completion_text(before, &from[..run])?);
            }
            position += run.max(1);
        }
        Ok(texts)
    }

    /// The sequence as pieces of text, each with whether it is trained; joined they are the text,
    /// special tokens written out. A token that ends inside a character is empty, and the token
    /// that completes it has the whole character.
    pub fn show(&self, rendered: &Rendered) -> Vec<(String, bool)> {
        let mut stream = self.tokenizer.stream_with_specials(&[]);
        let mut pieces: Vec<(String, bool)> =
            rendered.token_ids.iter().zip(&rendered.mask).map(|(&id, &trained)| (stream.push(id), trained)).collect();
        if let Some(last) = pieces.last_mut() {
            last.0.push_str(&stream.finish());
        }
        pieces
    }

    /// Decodes what is generated after `prompt_ids` as it comes.
    pub fn stream(&self, prompt_ids: &[u32]) -> StreamDecoder<'_> {
        self.tokenizer.stream(prompt_ids)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template in use.
    pub fn template(&self) -> &ChatTemplate {
        &self.template
    }

    /// The tokens that end an answer: EOS, the template's end-of-turn token, and what the model's
    /// configuration calls EOS. Ascending.
    pub fn end_ids(&self) -> &[u32] {
        &self.end_ids
    }

    /// The end-of-sequence token.
    pub fn eos_id(&self) -> Option<u32> {
        self.eos_id
    }

    /// The token that the template writes after what the assistant says.
    pub fn end_of_turn_id(&self) -> Option<u32> {
        self.end_of_turn_id
    }

    /// The begin-of-sequence token, whether the tokenizer adds it or not.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// The padding token.
    pub fn pad_id(&self) -> Option<u32> {
        self.pad_id
    }

    /// A tokenizer_config.json for the model trained with this renderer: the one that was read,
    /// with the chat template in use written in, so that whoever loads the model renders alike.
    pub fn tokenizer_config(&self) -> Value {
        let mut config = match &self.tokenizer_config {
            Some(Value::Object(config)) => config.clone(),
            _ => serde_json::Map::new(),
        };
        config.entry("tokenizer_class").or_insert(json!("PreTrainedTokenizerFast"));
        let names = [
            ("bos_token", &self.names.bos),
            ("eos_token", &self.names.eos),
            ("unk_token", &self.names.unk),
            ("pad_token", &self.names.pad),
        ];
        for (field, name) in names {
            if let Some(name) = name {
                config.entry(field).or_insert(json!(name));
            }
        }
        config.insert("chat_template".to_string(), json!(self.template.source()));
        Value::Object(config)
    }

    /// This renderer with one special token more ([`Tokenizer::with_special`]): same template, same ends.
    ///
    /// # Errors
    /// As [`Tokenizer::with_special`].
    pub fn with_special(&self, name: &str) -> Result<Self, RenderError> {
        let files = TokenizerFiles {
            folder: "the model's tokenizer".to_string(),
            tokenizer: self.tokenizer.with_special(name)?.to_json().as_bytes().to_vec(),
            tokenizer_config: Some(self.tokenizer_config()),
            generation_config: Some(json!({"eos_token_id": self.end_ids})),
            ..TokenizerFiles::default()
        };
        Self::new(&files, None, self.date)
    }

    /// Plain strings: one text, and the prompt's length decides.
    fn joint(&self, prompt: &str, completion: &str) -> Result<Rendered, RenderError> {
        let encoding = self.tokenizer.encode_sequence(&format!("{prompt}{completion}"))?;
        let mut mask: Vec<bool> = encoding.ends.iter().map(|&end| end > prompt.len()).collect();
        let mut token_ids = encoding.token_ids;
        let ends_in_eos = mask.last() == Some(&true) && token_ids.last().copied() == self.eos_id;
        if !ends_in_eos {
            token_ids.push(self.eos_id.ok_or(RenderError::NoEndToken)?);
            mask.push(true);
        }
        forget_first(&mut mask);
        Ok(Rendered { token_ids, mask })
    }

    fn append_eos(&self, token_ids: &mut Vec<u32>) -> Result<(), RenderError> {
        let eos_id = self.eos_id.ok_or(RenderError::NoEndToken)?;
        if token_ids.last() != Some(&eos_id) {
            token_ids.push(eos_id);
        }
        Ok(())
    }

    /// A conversation; the assistant's turns from message `trained_from` on are targets.
    fn conversation(
        &self,
        messages: &[TemplateMessage],
        trained_from: usize,
        loss_on: LossOn,
    ) -> Result<Rendered, RenderError> {
        let traced = trace(&self.template, messages, &self.specials)?;
        let encoding = self.encode_traced(&traced)?;
        let mut mask = vec![false; encoding.token_ids.len()];
        let mut turns = traced.turns.iter().filter(|turn| turn.message_idx >= trained_from).peekable();
        if turns.peek().is_none() && loss_on == LossOn::Completion {
            return Err(RenderError::NoAssistantTurn { n_messages: messages.len() });
        }
        for turn in turns {
            let stop = self.turn_stop(&traced, &encoding, turn, messages)?;
            for (token_idx, trained) in mask.iter_mut().enumerate() {
                *trained |= encoding.ends[token_idx] > turn.start && encoding.starts[token_idx] < stop;
            }
        }
        forget_first(&mut mask);
        Ok(Rendered { token_ids: encoding.token_ids, mask })
    }

    /// The byte at which a turn's targets stop: after the token that ends it, else where its
    /// content ends.
    fn turn_stop(
        &self,
        traced: &Traced,
        encoding: &Encoding,
        turn: &Turn,
        messages: &[TemplateMessage],
    ) -> Result<usize, RenderError> {
        if let Some(content_end) = turn.content_end {
            let after = self.first_added(traced, encoding, content_end, turn.limit);
            let end = after.filter(|&(token_idx, _)| self.end_ids.contains(&encoding.token_ids[token_idx]));
            return Ok(end.map_or(content_end, |(_, stop)| stop));
        }
        let end = encoding
            .token_ids
            .iter()
            .enumerate()
            .find(|&(token_idx, id)| encoding.starts[token_idx] >= turn.start && Some(*id) == self.end_of_turn_id)
            .map(|(token_idx, _)| encoding.ends[token_idx]);
        match end {
            Some(stop) if stop <= turn.limit => Ok(stop),
            _ => Err(RenderError::Untraceable {
                origin: self.template.origin().to_string(),
                message_idx: turn.message_idx,
                role: messages[turn.message_idx].0.to_string(),
                reason: "the template transforms it and ends it with no special token".to_string(),
            }),
        }
    }

    /// The first added token between two bytes, if only blanks precede it, and where it ends.
    fn first_added(&self, traced: &Traced, encoding: &Encoding, from: usize, limit: usize) -> Option<(usize, usize)> {
        let (token_idx, _) = encoding.token_ids.iter().enumerate().find(|&(idx, &id)| {
            encoding.ends[idx] > from && encoding.ends[idx] <= limit && self.tokenizer.is_added(id)
        })?;
        let start = encoding.starts[token_idx].max(from);
        let between = traced.text.get(from..start)?;
        between.trim().is_empty().then_some((token_idx, encoding.ends[token_idx]))
    }

    fn encode_traced(&self, traced: &Traced) -> Result<Encoding, RenderError> {
        self.tokenizer.encode_within(&traced.text, &traced.template)
    }

    fn generation_prompt(&self, messages: &[TemplateMessage]) -> Result<Vec<u32>, RenderError> {
        let traced = trace_prompt(&self.template, messages, &self.specials)?;
        Ok(self.encode_traced(&traced)?.token_ids)
    }
}

/// A completion without an end marker that an export wrote out.
fn cleaned(completion: &str) -> &str {
    let mut text = completion;
    while let Some(shorter) = text.strip_suffix(IMPORTED_END) {
        text = shorter;
    }
    text
}

fn template_messages(messages: &[Message]) -> Vec<TemplateMessage<'_>> {
    messages.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect()
}

fn choose_template(
    files: &TokenizerFiles,
    chosen: Option<(std::path::PathBuf, String)>,
    tokenizer: &Tokenizer,
    names: &SpecialNames,
    date: Date,
) -> Result<ChatTemplate, RenderError> {
    const CHATML_END: &str = "<|im_end|>";
    if let Some((path, source)) = chosen {
        return ChatTemplate::new(&source, TemplateOrigin::File(path), names.clone(), date);
    }
    match files.template()? {
        Some(FoundTemplate::File(source)) => ChatTemplate::new(&source, TemplateOrigin::JinjaFile, names.clone(), date),
        Some(FoundTemplate::Config(name, source)) => {
            let origin = TemplateOrigin::TokenizerConfig(name);
            ChatTemplate::new(&source, origin, names.clone(), date)
        }
        None => {
            let known = tokenizer.token_id(CHATML_END);
            match (&names.eos, known.is_some_and(|id| tokenizer.is_added(id))) {
                (Some(eos), false) => ChatTemplate::chatml(eos, TemplateOrigin::ChatMlWithEos, names.clone()),
                _ => ChatTemplate::chatml(CHATML_END, TemplateOrigin::ChatMl, names.clone()),
            }
        }
    }
}

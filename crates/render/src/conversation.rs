//! Conversations: which bytes of the rendered text are whose.
//!
//! A mask is only right if it is known where each token came from, so the text is never searched
//! for it. The conversation is rendered twice: once as it is, and once with every content
//! replaced by a mark that cannot occur in text (Unicode noncharacters around the message's
//! number). The second rendering, cut at its marks, is the template's own text and the order of
//! the contents; laid along the first one it says where each content lies. A template may strip
//! the blanks around a content: the stripped content then has to fit. Everything must fit, to the
//! last byte.
//!
//! Templates that look into contents (Qwen 3 moves `<think>` blocks) render marks differently and
//! do not fit. For them, and only if no content contains a special token's text, a turn is what
//! the template adds to its own generation prompt, up to the token that ends a turn. If that does
//! not hold either, the conversation is refused: a guessed mask trains on the wrong tokens.
use std::ops::Range;

use crate::error::RenderError;
use crate::template::{ChatTemplate, TemplateMessage};

const MARK_OPEN: char = '\u{FDD0}';
const MARK_CLOSE: char = '\u{FDD1}';

/// A conversation as text, and whose the text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traced {
    /// The rendered conversation.
    pub text: String,
    /// The template's bytes, in which special tokens are special; ascending.
    pub template: Vec<Range<usize>>,
    /// The assistant's turns, ascending.
    pub turns: Vec<Turn>,
}

/// A turn of the assistant in the rendered text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Which message.
    pub message_idx: usize,
    /// Where the assistant begins: the end of the generation prompt, nearly always where its
    /// content begins.
    pub start: usize,
    /// Where its content ends, if that is known; else the turn ends with the end-of-turn token.
    pub content_end: Option<usize>,
    /// Up to where the token that ends the turn may stand: the next content, or the end.
    pub limit: usize,
}

/// Renders a conversation and finds whose each byte is. `specials` are the texts of the special
/// tokens.
///
/// # Errors
/// The template fails or refuses, or its output can't be traced to the messages.
pub(crate) fn trace(
    template: &ChatTemplate,
    messages: &[TemplateMessage],
    specials: &[String],
) -> Result<Traced, RenderError> {
    let text = template.render(messages, false)?;
    if let Some(traced) = trace_by_marks(template, messages, &text) {
        return Ok(traced);
    }
    trace_by_prefixes(template, messages, text, specials)
}

/// Renders a conversation up to where the assistant begins, and finds which bytes are the
/// template's.
///
/// # Errors
/// As [`trace`].
pub(crate) fn trace_prompt(
    template: &ChatTemplate,
    messages: &[TemplateMessage],
    specials: &[String],
) -> Result<Traced, RenderError> {
    let text = template.render(messages, true)?;
    let by_marks = marked_pieces(template, messages, true, |pieces| {
        align(&text, pieces, messages).map(|places| template_places(pieces, &places))
    });
    let template_ranges = match by_marks {
        Some(ranges) => ranges,
        None => {
            refuse_specials(template, messages, specials)?;
            std::iter::once(0..text.len()).collect()
        }
    };
    Ok(Traced { text, template: template_ranges, turns: Vec::new() })
}

fn template_places(pieces: &[Piece], places: &[Range<usize>]) -> Vec<Range<usize>> {
    pieces
        .iter()
        .zip(places)
        .filter(|(piece, _)| matches!(piece, Piece::Template(_)))
        .map(|(_, place)| place.clone())
        .collect()
}

/// A piece of a marked rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Template(&'a str),
    Content(usize),
}

/// Hands the pieces of the marked rendering to `then`, if there is one.
fn marked_pieces<T>(
    template: &ChatTemplate,
    messages: &[TemplateMessage],
    generation_prompt: bool,
    then: impl FnOnce(&[Piece]) -> Option<T>,
) -> Option<T> {
    let marks: Vec<String> = (0..messages.len()).map(mark).collect();
    let marked = with_marks(messages, &marks);
    let rendering = template.render(&marked, generation_prompt).ok()?;
    then(&cut_at_marks(&rendering, messages.len())?)
}

fn with_marks<'m>(messages: &[TemplateMessage<'m>], marks: &'m [String]) -> Vec<TemplateMessage<'m>> {
    messages.iter().zip(marks).map(|(&(role, _), mark)| (role, mark.as_str())).collect()
}

fn trace_by_marks(template: &ChatTemplate, messages: &[TemplateMessage], text: &str) -> Option<Traced> {
    marked_pieces(template, messages, false, |pieces| {
        let places = align(text, pieces, messages)?;
        Some(Traced {
            text: text.to_string(),
            template: template_places(pieces, &places),
            turns: turns_of(template, messages, pieces, &places)?,
        })
    })
}

/// The assistant's turns; nothing if one of them is missing or printed twice.
fn turns_of(
    template: &ChatTemplate,
    messages: &[TemplateMessage],
    pieces: &[Piece],
    places: &[Range<usize>],
) -> Option<Vec<Turn>> {
    let mut turns = Vec::new();
    for (piece_idx, (piece, place)) in pieces.iter().zip(places).enumerate() {
        let Piece::Content(message_idx) = *piece else {
            continue;
        };
        if messages[message_idx].0 != "assistant" {
            continue;
        }
        let before = match piece_idx.checked_sub(1).map(|idx| pieces[idx]) {
            Some(Piece::Template(before)) => before,
            _ => "",
        };
        let after = match pieces.get(piece_idx + 1) {
            Some(Piece::Template(after)) => after.len(),
            _ => 0,
        };
        let said = said_by_the_assistant(template, &messages[..message_idx], before);
        turns.push(Turn {
            message_idx,
            start: place.start - said,
            content_end: Some(place.end),
            limit: place.end + after,
        });
    }
    let expected = assistant_turns(messages).map(|(message_idx, _)| message_idx);
    let found = turns.iter().map(|turn| turn.message_idx);
    expected.eq(found).then_some(turns)
}

/// How many bytes before the content are not in the generation prompt, so that the model itself
/// has to say them: a blank, or an empty `<think>` block. Only where the template has a
/// generation prompt at all.
fn said_by_the_assistant(template: &ChatTemplate, messages_before: &[TemplateMessage], before_content: &str) -> usize {
    let marks: Vec<String> = (0..messages_before.len()).map(mark).collect();
    let marked_before = with_marks(messages_before, &marks);
    let Ok(prompt) = template.render(&marked_before, true) else {
        return 0;
    };
    let Ok(closed) = template.render(&marked_before, false) else {
        return 0;
    };
    let tail = match prompt.rfind(MARK_CLOSE) {
        Some(at) => &prompt[at + MARK_CLOSE.len_utf8()..],
        None => &prompt,
    };
    match before_content.strip_prefix(tail) {
        Some(said) if prompt != closed || said.trim().is_empty() => said.len(),
        _ => 0,
    }
}

fn mark(message_idx: usize) -> String {
    format!("{MARK_OPEN}{message_idx}{MARK_CLOSE}")
}

/// Cuts a marked rendering; nothing if a mark was tampered with.
fn cut_at_marks(rendering: &str, n_messages: usize) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = rendering;
    while let Some(open) = rest.find(MARK_OPEN) {
        let close = open + rest[open..].find(MARK_CLOSE)?;
        let number = &rest[open + MARK_OPEN.len_utf8()..close];
        let message_idx: usize = number.parse().ok().filter(|&idx| idx < n_messages)?;
        if open > 0 {
            pieces.push(Piece::Template(&rest[..open]));
        }
        pieces.push(Piece::Content(message_idx));
        rest = &rest[close + MARK_CLOSE.len_utf8()..];
    }
    if rest.contains(MARK_CLOSE) {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Template(rest));
    }
    Some(pieces)
}

/// Where in `text` each piece lies, if they cover it.
fn align(text: &str, pieces: &[Piece], messages: &[TemplateMessage]) -> Option<Vec<Range<usize>>> {
    let mut places = Vec::with_capacity(pieces.len());
    let mut position = 0;
    for (piece_idx, piece) in pieces.iter().enumerate() {
        let rest = &text[position..];
        let length = match *piece {
            Piece::Template(own) => rest.starts_with(own).then_some(own.len())?,
            Piece::Content(message_idx) => {
                let next = pieces.get(piece_idx + 1).copied();
                stripped_forms(messages[message_idx].1).into_iter().find(|form| fits(rest, form, next))?.len()
            }
        };
        places.push(position..position + length);
        position += length;
    }
    (position == text.len()).then_some(places)
}

fn fits(rest: &str, form: &str, next: Option<Piece>) -> bool {
    rest.strip_prefix(form).is_some_and(|after| match next {
        Some(Piece::Template(own)) => after.starts_with(own),
        Some(Piece::Content(_)) => true,
        None => after.is_empty(),
    })
}

/// The forms in which templates print a content.
fn stripped_forms(content: &str) -> [&str; 7] {
    [
        content,
        content.trim(),
        content.trim_start(),
        content.trim_end(),
        content.trim_matches('\n'),
        content.trim_start_matches('\n'),
        content.trim_end_matches('\n'),
    ]
}

fn trace_by_prefixes(
    template: &ChatTemplate,
    messages: &[TemplateMessage],
    text: String,
    specials: &[String],
) -> Result<Traced, RenderError> {
    refuse_specials(template, messages, specials)?;
    let mut turns: Vec<Turn> = Vec::new();
    for (message_idx, _) in assistant_turns(messages) {
        let prompt = template.render(&messages[..message_idx], true)?;
        let start = prompt.len();
        if !text.starts_with(&prompt) || turns.last().is_some_and(|last| last.start > start) {
            let reason = "the template renders the turns before this one differently once it is \
                          there, so that its tokens can't be told apart";
            return Err(untraceable(template, messages, message_idx, reason.to_string()));
        }
        if let Some(last) = turns.last_mut() {
            last.limit = start;
        }
        turns.push(Turn { message_idx, start, content_end: None, limit: text.len() });
    }
    let whole = 0..text.len();
    Ok(Traced { text, template: vec![whole], turns })
}

/// Refuses contents with special tokens in them, where contents can't be told from template.
fn refuse_specials(
    template: &ChatTemplate,
    messages: &[TemplateMessage],
    specials: &[String],
) -> Result<(), RenderError> {
    for (message_idx, (_, content)) in messages.iter().enumerate() {
        if let Some(special) = specials.iter().find(|special| content.contains(*special)) {
            let reason = format!(
                "the template transforms contents, and this one contains the special token \
                 {special:?}"
            );
            return Err(untraceable(template, messages, message_idx, reason));
        }
    }
    Ok(())
}

fn untraceable(
    template: &ChatTemplate,
    messages: &[TemplateMessage],
    message_idx: usize,
    reason: String,
) -> RenderError {
    RenderError::Untraceable {
        origin: template.origin().to_string(),
        message_idx,
        role: messages[message_idx].0.to_string(),
        reason,
    }
}

fn assistant_turns<'a, 'm>(
    messages: &'m [TemplateMessage<'a>],
) -> impl Iterator<Item = (usize, &'m TemplateMessage<'a>)> {
    messages.iter().enumerate().filter(|(_, (role, _))| *role == "assistant")
}

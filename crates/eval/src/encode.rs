//! Context and continuation as tokens, as lm-evaluation-harness 0.4 makes them.

use crate::EvalError;
use render::{Renderer, Specials};

/// A sequence whose tokens from `first` on are scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scored {
    /// Context and continuation.
    pub token_ids: Vec<u32>,
    /// Index of the continuation's first token, at least 1.
    pub first: usize,
}

/// Blanks at the end of the context go to the continuation, both are encoded together, and the continuation is what
/// lies behind as many tokens as the context alone has. An empty context is the token that begins a text.
pub fn pair(renderer: &Renderer, context: &str, continuation: &str) -> Result<Scored, EvalError> {
    if context.is_empty() {
        return alone(renderer, continuation);
    }
    let kept = context.trim_end();
    let whole = sequence(renderer, &format!("{context}{continuation}"))?;
    let first = sequence(renderer, kept)?.len().min(whole.len());
    if first == 0 {
        // Nothing but blanks, and no beginning token: as if the context were empty.
        return alone(renderer, &format!("{context}{continuation}"));
    }
    Ok(Scored { token_ids: whole, first })
}

/// A continuation at the beginning of a text.
fn alone(renderer: &Renderer, continuation: &str) -> Result<Scored, EvalError> {
    let beginning = beginning(renderer)?;
    let token_ids = renderer.tokenizer().encode(continuation, Specials::Parse)?.token_ids;
    if token_ids.first() == Some(&beginning) {
        return Ok(Scored { token_ids, first: 1 });
    }
    Ok(Scored { token_ids: [&[beginning], &token_ids[..]].concat(), first: 1 })
}

/// The token that begins a text: BOS, else EOS.
pub fn beginning(renderer: &Renderer) -> Result<u32, EvalError> {
    let token = renderer.bos_id().or_else(|| renderer.eos_id());
    token.ok_or_else(|| EvalError::Model("the tokenizer knows neither BOS nor EOS, so no text can begin".to_owned()))
}

/// Text with what the tokenizer puts before it, unless that is there already.
pub fn sequence(renderer: &Renderer, text: &str) -> Result<Vec<u32>, EvalError> {
    let tokenizer = renderer.tokenizer();
    let begins = tokenizer.prefix().first().and_then(|&id| tokenizer.token(id)).filter(|name| !name.is_empty());
    if begins.is_some_and(|name| text.starts_with(&name)) {
        return Ok(tokenizer.encode(text, Specials::Parse)?.token_ids);
    }
    Ok(tokenizer.encode_sequence(text)?.token_ids)
}

/// The windows of a long text: every token is predicted once, each window but the first with as much before it as fits.
/// `tokens` carry no beginning token; `context` is the most that runs at once.
pub fn windows(beginning: u32, tokens: &[u32], context: usize) -> Vec<Scored> {
    let mut windows = Vec::new();
    let mut predicted = 0;
    while predicted < tokens.len() {
        let end = (predicted + context).min(tokens.len());
        windows.push(if predicted == 0 {
            Scored { token_ids: [&[beginning], &tokens[..end]].concat(), first: 1 }
        } else {
            // One token more than runs: the last is only predicted.
            let start = end - context - 1;
            Scored { token_ids: tokens[start..end].to_vec(), first: predicted - start }
        });
        predicted = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_predict_every_token_once_with_the_longest_context() {
        let tokens: Vec<u32> = (1..=10).collect();
        let found: Vec<(Vec<u32>, usize)> =
            windows(0, &tokens, 4).into_iter().map(|w| (w.token_ids, w.first)).collect();
        // get_rolling_token_windows(1..=10, 0, 4, 1) of lm-evaluation-harness: inputs and the tokens they predict.
        let expected = [(vec![0, 1, 2, 3, 4], 1), (vec![4, 5, 6, 7, 8], 1), (vec![6, 7, 8, 9, 10], 3)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_short_text_is_one_window() {
        assert_eq!(windows(9, &[1, 2], 4), [Scored { token_ids: vec![9, 1, 2], first: 1 }]);
        assert!(windows(9, &[], 4).is_empty());
    }
}

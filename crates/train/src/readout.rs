//! Where a reward model reads its scalar: at the completion's end, or at a token of its own after it.
use crate::TrainError;
use model::{LearnedToken, ModelConfig};
use render::Renderer;
use serde_json::{Map, Value, json};

/// The token of its own.
pub const REWARD_TOKEN: &str = "<|reward|>";

/// The embedding grows to a multiple of this, as matrix kernels (and other engines) like it.
const ROWS_MULTIPLE: usize = 64;

/// A token that is appended to every completion, its row of the embedding learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadoutToken {
    /// The token and the embedding that it needs.
    pub token: LearnedToken,
    /// The token whose row it begins with, where the parent hasn't learnt it yet: the EOS, at which rewards are read
    /// otherwise.
    pub like: Option<u32>,
    /// Only its row and the scalar head train.
    pub alone: bool,
}

impl ReadoutToken {
    /// The token in a tokenizer that has it by now (`grown`), for a parent with `rows` rows of the embedding whose own
    /// tokenizer is `parent`'s. A spare row of the embedding is taken; without one the embedding grows.
    pub fn new(parent: &Renderer, grown: &Renderer, rows: usize, alone: bool) -> Result<ReadoutToken, TrainError> {
        let refused = |found: String, expected| TrainError::Option { key: "rm.readout", found, expected };
        let is_known = parent.tokenizer().token_id(REWARD_TOKEN).is_some();
        let token_id = grown.tokenizer().token_id(REWARD_TOKEN);
        let token_id = token_id.ok_or_else(|| refused("no such token".into(), "a tokenizer that can grow"))?;
        let end = parent.eos_id().or(parent.end_ids().first().copied());
        let end = end.ok_or_else(|| refused("a tokenizer without EOS".into(), "one that ends its completions"))?;
        let needed = token_id as usize + 1;
        let rows = if needed <= rows { rows } else { needed.next_multiple_of(ROWS_MULTIPLE) };
        let like = (!is_known).then_some(end);
        Ok(ReadoutToken { token: LearnedToken { token_id, rows }, like, alone })
    }
}

/// What `config.json` says about the reading, for those who score.
pub(crate) fn describe(config: &mut Map<String, Value>, token_id: Option<u32>) {
    match token_id {
        None => config.insert("readout".into(), json!("eos")),
        Some(id) => {
            config.insert("readout_token_id".into(), json!(id));
            config.insert("readout".into(), json!("token"))
        }
    };
}

/// The token at which a reward model reads; `None` is the completion's end.
pub(crate) fn read(config: &ModelConfig) -> Result<Option<u32>, (String, &'static str)> {
    const KNOWN: &str = "readout \"eos\", or \"token\" with a readout_token_id of the embedding";
    match config.json.get("readout").and_then(Value::as_str) {
        None if config.json.get("readout").is_none() => Ok(None),
        Some("eos") => Ok(None),
        Some("token") => {
            let id = config.json.get("readout_token_id");
            let known = id.and_then(Value::as_u64).filter(|&id| (id as usize) < config.vocab_size);
            let known = known.and_then(|id| u32::try_from(id).ok()).map(Some);
            known.ok_or_else(|| (format!("readout_token_id {}", id.unwrap_or(&Value::Null)), KNOWN))
        }
        _ => Err((format!("readout {}", config.json["readout"]), KNOWN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renderer() -> (tempfile::TempDir, Renderer) {
        let dir = tempfile::tempdir().expect("temporary folder");
        testkit::write_tiny_model(dir.path(), 1);
        let renderer = Renderer::open(dir.path(), None).expect("a tokenizer");
        (dir, renderer)
    }

    /// 260 tokens; the new one is 260: a spare row is taken, else the embedding grows to 5·64.
    #[test]
    fn the_token_takes_a_spare_row_or_the_embedding_grows() {
        let (_dir, parent) = renderer();
        let grown = parent.with_special(REWARD_TOKEN).expect("a tokenizer that can grow");
        let rows = |rows| ReadoutToken::new(&parent, &grown, rows, false).expect("a readout").token;
        assert_eq!(rows(260), LearnedToken { token_id: 260, rows: 320 });
        assert_eq!(rows(261), LearnedToken { token_id: 260, rows: 261 });
        let again = ReadoutToken::new(&grown, &grown, 320, true).expect("a readout");
        assert_eq!((again.like, again.token.rows), (None, 320), "what was learnt stays");
        assert_eq!(ReadoutToken::new(&parent, &grown, 260, true).expect("a readout").like, Some(testkit::END_OF_TEXT));
    }

    #[test]
    fn the_grown_tokenizer_says_everything_else_as_before() {
        let (_dir, parent) = renderer();
        let grown = parent.with_special(REWARD_TOKEN).expect("a tokenizer that can grow");
        assert_eq!(grown.end_ids(), parent.end_ids());
        assert_eq!((grown.pad_id(), grown.bos_id()), (parent.pad_id(), parent.bos_id()));
        assert_eq!(grown.tokenizer_config(), parent.tokenizer_config());
        let prompt = record::Prompt::Messages(vec![record::Message {
            role: record::Role::User,
            content: "what is <|reward|>?".into(),
        }]);
        let tree = |renderer: &Renderer| renderer.tree(&prompt, &["a <|reward|> b"]).expect("a tree");
        assert_eq!(tree(&grown), tree(&parent), "typed by a person it is plain text");
        assert_eq!(grown.with_special(REWARD_TOKEN).expect("again").tokenizer().vocab_size(), 261);
        assert!(parent.with_special("a").is_err(), "an ordinary token");
    }
}

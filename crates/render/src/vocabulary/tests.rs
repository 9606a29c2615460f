#![allow(clippy::unwrap_used)]
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::error::RenderError;
use crate::tokenizer::{Specials, Tokenizer};

fn fixture(name: &str) -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    Tokenizer::open(&path).unwrap()
}

fn rebuilt(vocabulary: &GgufVocabulary) -> Tokenizer {
    let json = tokenizer_from_gguf(vocabulary).unwrap().tokenizer;
    Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, rng_seed: RngSeed::Fixed(2026), ..ProptestConfig::default() })]
    /// Through GGUF and back, every text has the same tokens.
    #[test]
    fn a_vocabulary_survives_gguf(text in "([A-Za-z' ]{0,9}|[ \\n\\t]{1,3}|[0-9]{1,4}|\\PC{0,4}|<\\|im_end\\|>|</s>|<think>){0,8}") {
        for name in ["byte_level.json", "sentence_piece.json"] {
            let tokenizer = fixture(name);
            let back = rebuilt(&vocabulary_to_gguf(&tokenizer, None).unwrap());
            for specials in [Specials::Parse, Specials::Plain] {
                prop_assert_eq!(
                    back.encode(&text, specials).unwrap(),
                    tokenizer.encode(&text, specials).unwrap(),
                    "{}", name
                );
            }
            let ids = tokenizer.encode(&text, Specials::Parse).unwrap().token_ids;
            prop_assert_eq!(back.decode(&ids).unwrap(), tokenizer.decode(&ids).unwrap());
            prop_assert_eq!(back.prefix(), tokenizer.prefix());
        }
    }
}

#[test]
fn special_tokens_and_the_template_travel() {
    let tokenizer = fixture("sentence_piece.json");
    let config = serde_json::json!({
        "bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<unk>",
        "chat_template": "{{ messages }}",
    });
    let mut vocabulary = vocabulary_to_gguf(&tokenizer, Some(&config)).unwrap();
    assert_eq!(vocabulary.model, "llama");
    assert_eq!((vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id), (Some(1), Some(2), Some(0)));
    assert_eq!(vocabulary.add_bos, Some(true));
    assert_eq!(vocabulary.token_types[..4], [2, 3, 3, 6]);
    let n_tokens = vocabulary.tokens.len();
    vocabulary.pad_to(n_tokens + 2);
    assert_eq!(vocabulary.tokens[n_tokens + 1], format!("[PAD{}]", n_tokens + 1));
    let back = tokenizer_from_gguf(&vocabulary).unwrap().tokenizer_config;
    assert_eq!(back["eos_token"], "</s>");
    assert_eq!(back["chat_template"], "{{ messages }}");
}

#[test]
fn each_pre_tokenizer_splits_as_it_should() {
    // Byte symbols of one character each, no merges but one digit pair and one word start.
    let mut tokens: Vec<String> = ('!'..='~').map(String::from).collect();
    tokens.extend(["Ġ", "Ċ", "12", "Ġa", "'s", "'S", "!Ċ"].map(str::to_string));
    let merges = ["1 2", "Ġ a", "' s", "' S", "! Ċ"].map(str::to_string).to_vec();
    let pieces = |pre: &str, text: &str| -> Vec<String> {
        let vocabulary = GgufVocabulary {
            model: "gpt2".to_string(),
            pre: Some(pre.to_string()),
            tokens: tokens.clone(),
            merges: merges.clone(),
            ..GgufVocabulary::default()
        };
        let tokenizer = rebuilt(&vocabulary);
        let ids = tokenizer.encode(text, Specials::Plain).unwrap().token_ids;
        ids.iter().map(|&id| tokenizer.token(id).unwrap()).collect()
    };
    // Digits: together, one by one, one by one, in threes.
    assert_eq!(pieces("gpt-2", "3412"), ["3", "4", "12"]);
    assert_eq!(pieces("smollm", "3412"), ["3", "4", "1", "2"]);
    assert_eq!(pieces("qwen2", "3412"), ["3", "4", "1", "2"]);
    assert_eq!(pieces("llama-bpe", "3412"), ["3", "4", "1", "2"]);
    assert_eq!(pieces("llama-bpe", "34512"), ["3", "4", "5", "12"]);
    // GPT-2's contractions are lower case; the others' are not; marks take their line feed along.
    for (pre, capital, mark) in [("gpt-2", 2, 2), ("smollm", 2, 2), ("qwen2", 1, 1), ("llama-bpe", 1, 1)] {
        assert_eq!(pieces(pre, "a's a").last().unwrap(), "Ġa", "{pre}");
        assert_eq!(pieces(pre, "'s").len(), 1, "{pre}");
        assert_eq!(pieces(pre, "'S").len(), capital, "{pre}");
        assert_eq!(pieces(pre, "!\n").len(), mark, "{pre}");
    }
}

#[test]
fn what_is_not_supported_or_contradicts_itself_is_named() {
    let good = vocabulary_to_gguf(&fixture("byte_level.json"), None).unwrap();
    type Break = fn(&mut GgufVocabulary);
    let cases: [(Break, &str); 8] = [
        (|v| v.model = "bert".into(), "\"bert\""),
        (|v| v.pre = Some("tekken".into()), "\"tekken\" is not supported; supported are gpt-2"),
        (|v| v.pre = None, "(missing)"),
        (|v| v.tokens.clear(), "tokenizer.ggml.tokens"),
        (|v| v.token_types.truncate(3), "tokenizer.ggml.token_type"),
        (|v| v.eos_id = Some(9_999), "tokenizer.ggml.eos_token_id: expected an id below"),
        (|v| v.merges[5] = "nonsense".into(), "\"nonsense\" (merge 5)"),
        (|v| v.model = "llama".into(), "tokenizer.ggml.scores"),
    ];
    for (break_it, expected) in cases {
        let mut vocabulary = good.clone();
        break_it(&mut vocabulary);
        let error = tokenizer_from_gguf(&vocabulary).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let words = Tokenizer::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/tiny-policy"));
    let error = vocabulary_to_gguf(&words.unwrap(), None).unwrap_err();
    assert!(matches!(error, RenderError::VocabularyModel { .. }), "{error}");
}

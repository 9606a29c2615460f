#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::tokenizer::Specials;

fn texts() -> impl Iterator<Item = String> + Send {
    (0..40)
        .map(|n| format!("The {n}th dog said hello to the {} dogs. Hello, dogs!\n\tThe end, naïvely: 你好.\n", n * 7))
}

fn specials() -> Vec<String> {
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_string).to_vec()
}

#[test]
fn equal_texts_give_equal_bytes() {
    let one = train_bpe(texts(), 290, &specials()).unwrap();
    let two = train_bpe(texts(), 290, &specials()).unwrap();
    assert_eq!(one.to_json(), two.to_json());
    assert_eq!(one.vocab_size(), 290);
    assert_eq!(one.token_id("<|im_end|>"), Some(2));
    assert!(one.is_special(2));
    // It learnt something: the commonest word is one token, and digits stay apart.
    let ids = one.encode(" dogs 123", Specials::Plain).unwrap().token_ids;
    let tokens: Vec<String> = ids.iter().map(|&id| one.token(id).unwrap()).collect();
    assert_eq!(tokens, ["Ġdogs", "Ġ", "1", "2", "3"]);
}

#[test]
fn a_vocabulary_without_room_for_the_bytes_is_refused() {
    let error = train_bpe(texts(), 258, &specials()).unwrap_err();
    assert!(matches!(error, RenderError::VocabularySize { found: 258, smallest: 259 }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(2026), ..ProptestConfig::default() })]
    #[test]
    fn every_text_comes_back(text in "\\PC{0,20}[ \\n\\t]{0,3}[a-z ]{0,20}") {
        let tokenizer = train_bpe(texts(), 300, &specials()).unwrap();
        let ids = tokenizer.encode(&text, Specials::Plain).unwrap().token_ids;
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
}

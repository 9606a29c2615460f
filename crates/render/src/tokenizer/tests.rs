#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn read(path: &str) -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    Tokenizer::open(&path).unwrap()
}

fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    [
        "tests/fixtures/byte_level.json",
        "tests/fixtures/sentence_piece.json",
        "tests/fixtures/metaspace.json",
        "../../tests/conformance/tiny-policy",
    ]
    .map(|path| (path, read(path)))
    .to_vec()
}

trait ToVec<T> {
    fn to_vec(self) -> Vec<T>;
}

impl<T, const N: usize> ToVec<T> for [T; N] {
    fn to_vec(self) -> Vec<T> {
        self.into_iter().collect()
    }
}

/// Texts with what tokenizers care about in them.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z' ]{0,12}",
        "[ \\t\\n]{1,4}",
        "[0-9.,!?-]{1,5}",
        "\\PC{0,6}",
        Just("\u{FFFD}\u{FFFD}".to_string()),
        Just("🙂 naïve 你好".to_string()),
        Just("<|im_end|>".to_string()),
        Just("<|im_start|>".to_string()),
        Just("<think>".to_string()),
        Just("</s>".to_string()),
        Just("<s>".to_string()),
        Just("<eos>".to_string()),
        Just("[INST]".to_string()),
        Just("t7 t60".to_string()),
        Just("<|im_".to_string()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, rng_seed: RngSeed::Fixed(2026), ..ProptestConfig::default() })]

    /// Our search for special tokens and our steps are the library's.
    #[test]
    fn encoding_is_the_library_s(text in texts()) {
        for (name, tokenizer) in tokenizers() {
            let parsed = tokenizer.encode(&text, Specials::Parse).unwrap();
            let expected = tokenizer.library.encode(text.as_str(), false).unwrap();
            prop_assert_eq!(&parsed.token_ids, &expected.get_ids().to_vec(), "{} parsed", name);
            let mut plain_library = tokenizer.library.clone();
            plain_library.set_encode_special_tokens(true);
            let plain = tokenizer.encode(&text, Specials::Plain).unwrap();
            let expected = plain_library.encode(text.as_str(), false).unwrap();
            // Where even the library finds a special token, in the vocabulary itself, we must not.
            let unmarked = |&id: &u32| !tokenizer.is_special(id) || tokenizer.unknown == Some(id);
            if expected.get_ids().iter().all(unmarked) {
                prop_assert_eq!(&plain.token_ids, &expected.get_ids().to_vec(), "{} plain", name);
            }
        }
    }

    #[test]
    fn plain_text_never_yields_special_tokens_and_offsets_ascend(text in texts()) {
        for (name, tokenizer) in tokenizers() {
            let unknown = ["<unk>"].map(|name| tokenizer.token_id(name));
            let plain = tokenizer.encode(&text, Specials::Plain).unwrap();
            for &id in &plain.token_ids {
                let special = tokenizer.is_special(id) && !unknown.contains(&Some(id));
                prop_assert!(!special, "{name}: {:?}", tokenizer.token(id));
            }
            prop_assert!(plain.ends.is_sorted(), "{name}: {:?}", plain.ends);
            prop_assert!(plain.ends.iter().all(|&end| end <= text.len()));
            for (start, end) in plain.starts.iter().zip(&plain.ends) {
                prop_assert!(start <= end && text.is_char_boundary(*start) && text.is_char_boundary(*end));
            }
        }
    }

    #[test]
    fn bytes_come_back_and_streams_emit_whole_characters(text in texts()) {
        let tokenizer = read("tests/fixtures/byte_level.json");
        let ids = tokenizer.encode(&text, Specials::Parse).unwrap().token_ids;
        prop_assert_eq!(&tokenizer.decode_with_specials(&ids).unwrap(), &text);
        prop_assert_eq!(tokenizer.encode(&text, Specials::Plain).unwrap().ends.last().copied().unwrap_or(0), text.len());
        for (_, tokenizer) in tokenizers() {
            let ids = tokenizer.encode(&text, Specials::Parse).unwrap().token_ids;
            let mut stream = tokenizer.stream(&[]);
            let mut joined = String::new();
            for &id in &ids {
                let piece = stream.push(id);
                prop_assert!(text.contains('\u{FFFD}') || !piece.contains('\u{FFFD}'), "{piece:?}");
                joined.push_str(&piece);
            }
            joined.push_str(&stream.finish());
            prop_assert_eq!(joined, tokenizer.decode(&ids).unwrap());
        }
    }

    #[test]
    fn any_ids_can_be_streamed(ids in proptest::collection::vec(0u32..700, 0..40)) {
        for (_, tokenizer) in tokenizers() {
            let mut stream = tokenizer.stream(&ids[..ids.len() / 2]);
            for &id in &ids {
                stream.push(id);
            }
            stream.finish();
        }
    }
}

#[test]
fn a_character_waits_for_its_last_byte() {
    let tokenizer = read("tests/fixtures/byte_level.json");
    // U+1F9FF does not occur in the training text, only its first two bytes do: three tokens.
    let ids = tokenizer.encode("a🧿b", Specials::Plain).unwrap();
    assert_eq!(ids.ends, [1, 5, 5, 5, 6]);
    let mut stream = tokenizer.stream(&[]);
    let pieces: Vec<String> = ids.token_ids.iter().map(|&id| stream.push(id)).collect();
    assert_eq!(pieces, ["a", "", "", "🧿", "b"]);
    // Cut short, it ends in a replacement character, once.
    let mut stream = tokenizer.stream(&[]);
    ids.token_ids[..3].iter().for_each(|&id| {
        stream.push(id);
    });
    assert_eq!(stream.finish(), "\u{FFFD}");
}

#[test]
fn a_continuation_keeps_its_blank() {
    let tokenizer = read("tests/fixtures/sentence_piece.json");
    let ids = tokenizer.encode_sequence("The capital of France").unwrap().token_ids;
    assert_eq!(ids[0], 1, "BOS");
    let (before, word) = ids.split_at(ids.len() - 1);
    assert_eq!(tokenizer.decode(word).unwrap(), "France");
    assert_eq!(tokenizer.decode_after(before, word).unwrap(), " France");
    // Right after BOS a text begins.
    assert_eq!(tokenizer.decode_after(&ids[..1], &ids[1..]).unwrap(), "The capital of France");
}

#[test]
fn a_broken_tokenizer_is_named() {
    for (json, reason) in [
        (&b"\xff"[..], "UTF-8"),
        (b"{}", ""),
        (b"[1, 2", "EOF while parsing"),
        (b"[1, 2]", "invalid type"),
        (br#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}"#, ""),
    ] {
        let error = Tokenizer::from_json(json).unwrap_err().to_string();
        assert!(error.starts_with("tokenizer.json: not a usable tokenizer: "), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    let missing = Tokenizer::open(Path::new("/nowhere/at/all.json")).unwrap_err();
    assert!(missing.to_string().starts_with("/nowhere/at/all.json: "), "{missing}");
}

#[test]
fn equal_tokenizers_have_equal_hashes_however_they_are_indented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/byte_level.json");
    let json = std::fs::read(path).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let indented = serde_json::to_vec_pretty(&value).unwrap();
    let one = Tokenizer::from_json(&json).unwrap();
    let two = Tokenizer::from_json(&indented).unwrap();
    assert_eq!(one.content_hash(), two.content_hash());
    assert_ne!(one.content_hash(), read("tests/fixtures/metaspace.json").content_hash());
    assert_eq!(one.to_json().as_bytes(), json);
}

#[test]
fn the_highest_id_decides_the_size() {
    // tests/conformance: t0…t60, three special tokens.
    let tiny = read("../../tests/conformance/tiny-policy");
    assert_eq!(tiny.vocab_size(), 64);
    assert_eq!(tiny.token_id("<eos>"), Some(62));
    assert_eq!(tiny.token(62).as_deref(), Some("<eos>"));
    assert_eq!(tiny.encode("t1 t2 t3 t4", Specials::Plain).unwrap().token_ids, [1, 2, 3, 4]);
}

/// Bounded: hostile files are errors, or tokenizers that work; no panic gets out.
#[test]
fn mutated_tokenizer_files_are_errors_or_work() {
    let mut noise = 0x9E37_79B9_7F4A_7C15_u64;
    // xorshift64 (Marsaglia 2003).
    let mut below = move |n: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise % n.max(1) as u64) as usize
    };
    let mut opened = 0;
    for name in ["byte_level", "sentence_piece", "metaspace"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.json"));
        let original = std::fs::read(path).unwrap();
        // Half of the changes in the head, where the structure is; the rest is mostly vocabulary.
        let head = original.len().min(1_500);
        for _ in 0..700 {
            let mut json = original.clone();
            for _ in 0..1 + below(3) {
                let place = if below(2) == 0 { head } else { json.len() };
                let at = below(place.min(json.len()));
                match below(5) {
                    0 => json[at] = b"0123456789\"{}[],:-eE truefalsn"[below(30)],
                    1 => json.truncate(at),
                    2 => drop(json.drain(at..(at + below(12)).min(json.len()))),
                    3 => {
                        let copy = json[at..(at + below(30)).min(json.len())].to_vec();
                        json.splice(at..at, copy);
                    }
                    _ => drop(json.splice(at..at, *b"99999")),
                }
                if json.is_empty() {
                    break;
                }
            }
            if let Ok(tokenizer) = Tokenizer::from_json(&json) {
                opened += 1;
                for specials in [Specials::Parse, Specials::Plain] {
                    if let Ok(encoding) = tokenizer.encode("Paris is 12 </s><|im_end|> 🙂 ▁", specials) {
                        let _ = tokenizer.decode(&encoding.token_ids);
                    }
                }
            }
        }
    }
    assert!(opened > 100, "only {opened} opened: too few to tell");
}

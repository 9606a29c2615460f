//! Which files of a model folder say what, and which win.
#![allow(clippy::unwrap_used)]
use std::path::Path;

use record::{Message, Prompt};
use render::{Date, RenderError, Renderer, TemplateOrigin, TokenizerFiles};
use serde_json::{Value, json};

fn files(config: Value) -> TokenizerFiles {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/byte_level.json");
    TokenizerFiles {
        folder: "model".to_string(),
        tokenizer: std::fs::read(path).unwrap(),
        tokenizer_config: Some(config),
        ..TokenizerFiles::default()
    }
}

fn open(files: &TokenizerFiles) -> Result<Renderer, RenderError> {
    Renderer::new(files, None, Date::default())
}

/// What the template in use writes for one question.
fn written(renderer: &Renderer) -> String {
    let prompt = renderer.prompt(&Prompt::Messages(vec![Message::user("q")])).unwrap();
    renderer.tokenizer().decode_with_specials(&prompt).unwrap()
}

#[test]
fn templates_come_from_where_they_should() {
    let one = open(&files(json!({"chat_template": "one {{ messages[0].content }}"}))).unwrap();
    assert_eq!((written(&one).as_str(), one.template().origin()), ("one q", &TemplateOrigin::TokenizerConfig(None)));

    let list = json!([{"name": "tools", "template": "no"}, {"name": "default", "template": "named"}]);
    let named = open(&files(json!({"chat_template": list}))).unwrap();
    assert_eq!(written(&named), "named");
    assert_eq!(named.template().origin(), &TemplateOrigin::TokenizerConfig(Some("default".to_string())));

    let mut both = files(json!({"chat_template": "config"}));
    both.chat_template = Some("file".to_string());
    assert_eq!(written(&open(&both).unwrap()), "file");

    let chosen = Some(("mine.jinja".into(), "mine".to_string()));
    let mine = Renderer::new(&both, chosen, Date { year: 2030, ..Date::default() }).unwrap();
    assert_eq!(written(&mine), "mine");
    assert_eq!(mine.template().origin().to_string(), "mine.jinja");

    // The fixture knows <|im_end|>.
    let none = open(&files(json!({"chat_template": null, "eos_token": "<|endoftext|>"}))).unwrap();
    assert_eq!(none.template().origin(), &TemplateOrigin::ChatMl);
    assert_eq!(written(&none), "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n");
    let id = |name: &str| none.tokenizer().token_id(name).unwrap();
    assert_eq!(none.end_ids(), [id("<|endoftext|>"), id("<|im_end|>")]);
}

#[test]
fn a_template_that_is_none_is_an_error_with_its_file() {
    for (template, found) in [
        (json!([{"name": "tools", "template": "x"}, {"name": "rag", "template": "y"}]), "tools"),
        (json!(7), "found 7"),
        (json!("{% if"), "tokenizer_config.json"),
    ] {
        let error = open(&files(json!({"chat_template": template}))).unwrap_err().to_string();
        assert!(error.contains("tokenizer_config.json") && error.contains(found), "{error}");
    }
}

#[test]
fn the_end_is_found_wherever_it_is_written() {
    let end = |files: &TokenizerFiles| {
        let renderer = open(files).unwrap();
        renderer.eos_id().and_then(|id| renderer.tokenizer().token(id))
    };
    let object = files(json!({"eos_token": {"content": "</s>", "special": true}}));
    assert_eq!(end(&object).as_deref(), Some("</s>"));
    let mut map = files(json!({}));
    map.special_tokens_map = Some(json!({"eos_token": "<|eot_id|>"}));
    assert_eq!(end(&map).as_deref(), Some("<|eot_id|>"));
    let mut config = files(json!({"eos_token": "a name that is not in the vocabulary"}));
    config.config = Some(json!({"eos_token_id": [5, 9]}));
    config.generation_config = Some(json!({"eos_token_id": [2, 999_999]}));
    let renderer = open(&config).unwrap();
    assert_eq!(renderer.eos_id(), Some(5));
    // Every one that the configurations name, without those outside the vocabulary.
    assert_eq!(renderer.end_ids(), [2, 5, 9]);
    // Nothing written: what it is called everywhere.
    assert_eq!(end(&files(json!({}))).as_deref(), Some("<|endoftext|>"));
}

#[test]
fn a_folder_is_read_once_and_its_broken_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Renderer::open(folder.path(), None).unwrap_err();
    assert!(matches!(&missing, RenderError::Read { path, .. } if path.ends_with("tokenizer.json")), "{missing}");
    let good = files(json!({}));
    std::fs::write(folder.path().join("tokenizer.json"), &good.tokenizer).unwrap();
    Renderer::open(folder.path(), None).unwrap();
    std::fs::write(folder.path().join("chat_template.jinja"), "from the file").unwrap();
    assert_eq!(written(&Renderer::open(folder.path(), None).unwrap()), "from the file");
    let absent = folder.path().join("absent.jinja");
    let error = Renderer::open(folder.path(), Some(&absent)).unwrap_err();
    assert!(matches!(&error, RenderError::Read { path, .. } if path == &absent), "{error}");
    std::fs::write(folder.path().join("tokenizer_config.json"), "{\"eos_token\": ").unwrap();
    let error = Renderer::open(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("tokenizer_config.json") && error.contains("expected JSON"), "{error}");
    std::fs::write(folder.path().join("tokenizer_config.json"), "{}").unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let error = Renderer::open(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json: not a usable tokenizer"), "{error}");
}

/// A conversation that has nothing to train on, and a completion that can't be ended, are errors.
#[test]
fn what_cannot_be_trained_is_refused() {
    let renderer = open(&files(json!({}))).unwrap();
    let messages = vec![Message::user("q")];
    let demonstration = record::Demonstration::Conversation { messages };
    let error = renderer.demonstration(&demonstration, render::LossOn::Completion).unwrap_err();
    assert!(matches!(error, RenderError::NoAssistantTurn { n_messages: 1 }), "{error}");
    assert!(renderer.demonstration(&demonstration, render::LossOn::All).is_ok());

    let mut endless: Value = serde_json::from_slice(&files(json!({})).tokenizer).unwrap();
    endless["added_tokens"] = json!([]);
    let mut files = files(json!({}));
    files.tokenizer = endless.to_string().into_bytes();
    let renderer = open(&files).unwrap();
    let error = renderer.completion(&Prompt::Text("q".to_string()), "a").unwrap_err();
    assert!(matches!(error, RenderError::NoEndToken), "{error}");
}

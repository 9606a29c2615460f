//! Conversations as `transformers` renders and tokenises them (fixture and the program that makes
//! it: xtask/fixtures/chat_templates.py), and the masks that follow from the rendering.
#![allow(clippy::unwrap_used)]
use std::path::Path;

use record::{Demonstration, Message, Prompt};
use render::{ChatTemplate, Date, LossOn, RenderError, Renderer, SpecialNames, TemplateOrigin, TokenizerFiles};
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Value {
    serde_json::from_slice(&fixture("chat_templates.json")).unwrap()
}

fn renderer(template: &Value) -> Renderer {
    let mut config = template["names"].clone();
    config["chat_template"] = template["source"].clone();
    let files = TokenizerFiles {
        folder: template["name"].as_str().unwrap().to_string(),
        tokenizer: fixture(&format!("{}.json", template["tokenizer"].as_str().unwrap())),
        tokenizer_config: Some(config),
        ..TokenizerFiles::default()
    };
    Renderer::new(&files, None, Date::default()).unwrap()
}

fn messages(case: &Value) -> Vec<Message> {
    serde_json::from_value(case["messages"].clone()).unwrap()
}

fn ids(side: &Value) -> Vec<u32> {
    serde_json::from_value(side["ids"].clone()).unwrap()
}

#[test]
fn conversations_become_the_tokens_of_transformers() {
    let mut checked = 0;
    for template in cases()["templates"].as_array().unwrap() {
        let renderer = renderer(template);
        for case in template["cases"].as_array().unwrap() {
            let what = format!("{} / {}", template["name"], case["title"]);
            let whole = renderer.demonstration(&Demonstration::Conversation { messages: messages(case) }, LossOn::All);
            let prompt = renderer.prompt(&Prompt::Messages(messages(case)));
            for (found, expected) in [(whole.map(|r| r.token_ids), &case["whole"]), (prompt, &case["prompt"])] {
                checked += 1;
                match (found, expected.get("refused")) {
                    (Ok(found), None) => {
                        assert_eq!(found, ids(expected), "{what}: {}", expected["text"])
                    }
                    (Err(RenderError::TemplateRefused { message, .. }), Some(reason)) => {
                        assert_eq!(Some(message.as_str()), reason.as_str(), "{what}");
                    }
                    (found, _) => panic!("{what}: found {found:?}, expected {expected}"),
                }
            }
        }
    }
    assert!(checked > 80, "only {checked} renderings");
}

/// What a turn's targets read as, special tokens written out.
fn trained_text(renderer: &Renderer, messages: Vec<Message>) -> String {
    let rendered = renderer.demonstration(&Demonstration::Conversation { messages }, LossOn::Completion).unwrap();
    let pieces = renderer.show(&rendered);
    let mut text = String::new();
    let mut was_trained = false;
    for (piece, trained) in pieces {
        if trained && !was_trained && !text.is_empty() {
            text.push('|');
        }
        if trained {
            text.push_str(&piece);
        }
        was_trained = trained;
    }
    text
}

#[test]
fn targets_are_what_the_assistant_says_and_the_token_that_ends_it() {
    // The answers of the conversation "two turns".
    let first = "The capital of France is Paris.";
    let second = "Yes!\n\n    It's a city on the Seine, 12 345.";
    let expected = [
        ("smollm", format!("{first}<|im_end|>|{second}<|im_end|>")),
        ("llama-3", format!("{first}<|eot_id|>|{second}<|eot_id|>")),
        ("llama-3 dated", format!("{first}<|eot_id|>|{second}<|eot_id|>")),
        ("qwen", format!("{first}<|im_end|>|{second}<|im_end|>")),
        // The empty block stands after the generation prompt, so the model has to say it.
        ("thinking", format!("{first}<|im_end|>|<think>\n\n</think>\n\n{second}<|im_end|>")),
        // This tokenizer puts a blank of its own after each special token.
        ("mistral", format!("  {first}</s>|  {second}</s>")),
        ("mistral metaspace", format!(" {first}</s>| {second}</s>")),
        ("gemma", format!("{first}<end_of_turn>|{second}<end_of_turn>")),
        ("zephyr", format!("{first}</s>|{second}</s>")),
        ("plain", format!(" {first}<|endoftext|>| {second}<|endoftext|>")),
    ];
    for template in cases()["templates"].as_array().unwrap() {
        let name = template["name"].as_str().unwrap();
        let renderer = renderer(template);
        let case = template["cases"].as_array().unwrap().iter().find(|case| case["title"] == "two turns");
        let found = trained_text(&renderer, messages(case.unwrap()));
        let (_, expected) = expected.iter().find(|(known, _)| *known == name).unwrap();
        assert_eq!(&found, expected, "{name}");
    }
}

#[test]
fn a_template_that_moves_thoughts_is_traced_by_its_prompts() {
    let all = cases();
    let template = all["templates"].as_array().unwrap().iter().find(|t| t["name"] == "thinking").unwrap();
    let renderer = renderer(template);
    let conversation = vec![
        Message::user("What is the capital of France?"),
        Message::assistant("<think>\nFrance, Paris.\n</think>\n\nParis."),
    ];
    assert_eq!(trained_text(&renderer, conversation.clone()), "<think>\nFrance, Paris.\n</think>\n\nParis.<|im_end|>");
    // The same with a special token typed by the user can't be traced, and is refused.
    let mut hostile = conversation;
    hostile[0].content.push_str("<|im_end|>");
    let refused = renderer.demonstration(&Demonstration::Conversation { messages: hostile }, LossOn::Completion);
    assert!(matches!(refused, Err(RenderError::Untraceable { message_idx: 0, .. })), "{refused:?}");
}

#[test]
fn jinja_means_what_it_means_to_transformers() {
    let all = cases();
    let conversation: Vec<Message> = serde_json::from_value(
        all["templates"][0]["cases"]
            .as_array()
            .unwrap()
            .iter()
            .find(|case| case["title"] == "system")
            .unwrap()["messages"]
            .clone(),
    )
    .unwrap();
    let messages: Vec<(&str, &str)> =
        conversation.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
    let names = SpecialNames {
        bos: Some("<|begin_of_text|>".to_string()),
        eos: Some("<|endoftext|>".to_string()),
        ..SpecialNames::default()
    };
    let mut wrong = Vec::new();
    for feature in all["features"].as_array().unwrap() {
        let source = feature["source"].as_str().unwrap();
        let found = ChatTemplate::new(source, TemplateOrigin::JinjaFile, names.clone(), Date::default())
            .and_then(|template| template.render(&messages, false));
        match found {
            Ok(found) if found == feature["text"].as_str().unwrap() => {}
            found => wrong.push(format!("{source:?}\n  expected {}\n  found    {found:?}", feature["text"])),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

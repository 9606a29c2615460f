//! Each type followed and not followed; expectations by reading the definition.

use super::*;
use serde_json::{Value, json};

/// One instruction, answers that follow it, answers that don't.
#[track_caller]
fn check(instruction: Value, follow: &[&str], dont: &[&str]) {
    let instruction: Instruction = serde_json::from_value(instruction).unwrap();
    for answer in follow {
        assert!(instruction.followed(answer), "{instruction:?} should be followed by {answer:?}");
        assert!(instruction.followed_loosely(answer), "loose is no stricter: {answer:?}");
    }
    for answer in dont.iter().chain(&["", "  \n"]) {
        assert!(!instruction.followed(answer), "{instruction:?} should not be followed by {answer:?}");
    }
}

#[test]
fn keywords() {
    check(json!({"type": "keywords:existence", "keywords": ["tea", "Cup"]}), &["A cup of TEA."], &["A cup.", "tea"]);
    check(
        json!({"type": "keywords:frequency", "keyword": "tea", "frequency": 2, "relation": "at least"}),
        &["tea and Tea", "tea tea tea"],
        &["tea"],
    );
    check(
        json!({"type": "keywords:frequency", "keyword": "tea", "frequency": 2, "relation": "less than"}),
        &["tea", "none"],
        &["tea tea"],
    );
    check(json!({"type": "keywords:forbidden_words", "forbidden_words": ["tea"]}), &["steam"], &["Some Tea!", "tea"]);
    check(
        json!({"type": "keywords:letter_frequency", "letter": "e", "let_frequency": 3, "let_relation": "at least"}),
        &["eEe"],
        &["ee"],
    );
    // A keyword that is no regular expression is a keyword all the same.
    check(json!({"type": "keywords:existence", "keywords": ["C++ (new"]}), &["I like C++ (new)"], &["C"]);
}

#[test]
fn lengths() {
    check(
        json!({"type": "length_constraints:number_words", "num_words": 3, "relation": "at least"}),
        &["one two three", "a b c d"],
        &["one two"],
    );
    check(
        json!({"type": "length_constraints:number_words", "num_words": 3, "relation": "less than"}),
        &["one two"],
        &["one two three"],
    );
    check(
        json!({"type": "length_constraints:number_sentences", "num_sentences": 2, "relation": "at least"}),
        &["One. Two."],
        &["Dr. One is here."],
    );
    check(
        json!({"type": "length_constraints:number_paragraphs", "num_paragraphs": 2}),
        &["One.\n***\nTwo.", "***\nOne.\n***\nTwo.\n***"],
        &["One.", "One.\n***\n***\nTwo.", "a\n***\nb\n***\nc"],
    );
    check(
        json!({"type": "length_constraints:nth_paragraph_first_word", "num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Later"}),
        &["First.\n\nLater, then.", "First.\n\n\"later\" is when."],
        &["Later.", "First.\n\nThen later.", "a\n\nLater\n\nc"],
    );
}

#[test]
fn contents_and_formats() {
    check(
        json!({"type": "detectable_content:number_placeholders", "num_placeholders": 2}),
        &["Dear [name], at [place]"],
        &["Dear [name]"],
    );
    check(
        json!({"type": "detectable_content:postscript", "postscript_marker": "P.S."}),
        &["Bye.\nP.S. Write soon", "Bye.\np. s. x"],
        &["Bye.", "PS: x"],
    );
    check(
        json!({"type": "detectable_content:postscript", "postscript_marker": "P.P.S"}),
        &["x\nP.P.S more"],
        &["x\nP.S. more"],
    );
    check(
        json!({"type": "detectable_format:number_bullet_lists", "num_bullets": 2}),
        &["* a\n* b", "- a\n  - b", "Here:\n* a\n- b"],
        &["* a", "* a\n* b\n* c", "** a **\n* b"],
    );
    check(
        json!({"type": "detectable_format:constrained_response"}),
        &["My answer is no.", "Well. My answer is maybe. So."],
        &["no", "My answer is No."],
    );
    check(
        json!({"type": "detectable_format:number_highlighted_sections", "num_highlights": 2}),
        &["*one* and *two*", "**one** and *two*"],
        &["*one* two", "* *"],
    );
    check(
        json!({"type": "detectable_format:multiple_sections", "section_spliter": "Part", "num_sections": 2}),
        &["Part 1\na\nPart 2\nb"],
        &["Part 1\na", "part 1 part 2"],
    );
    check(
        json!({"type": "detectable_format:json_format"}),
        &["{\"a\": [1, 2]}", "```json\n{\"a\": 1}\n```", "```\n[]\n```"],
        &["{a: 1}", "Here: {\"a\": 1}"],
    );
    check(json!({"type": "detectable_format:title"}), &["<<Tea>>\nBody"], &["<Tea>", "<< >>", "<<>>"]);
}

#[test]
fn combinations_starts_and_ends() {
    check(
        json!({"type": "combination:two_responses"}),
        &["One.\n******\nTwo."],
        &["One.", "Same\n******\nSame", "a\n******\nb\n******\nc"],
    );
    check(
        json!({"type": "combination:repeat_prompt", "prompt_to_repeat": "Say hello."}),
        &["Say hello.\n\nHello!", "say hello. Hi"],
        &["Hello! Say hello."],
    );
    check(
        json!({"type": "startend:end_checker", "end_phrase": "That is all."}),
        &["x. That is all.", "\"that is all.\""],
        &["That is all. Bye"],
    );
    check(json!({"type": "startend:quotation"}), &["\"x\"", " \"a b\"\n"], &["\"", "x", "\"x\" y"]);
}

#[test]
fn letters_and_languages() {
    check(
        json!({"type": "change_case:english_capital"}),
        &["THE RAIN IS ON THE ROOF."],
        &["The rain.", "DER HUND UND DIE KATZE."],
    );
    check(
        json!({"type": "change_case:english_lowercase"}),
        &["the rain is on the roof."],
        &["The rain is on the roof.", "123"],
    );
    check(
        json!({"type": "change_case:capital_word_frequency", "capital_frequency": 2, "capital_relation": "at least"}),
        &["IT IS so"],
        &["IT is so", "It is"],
    );
    check(
        json!({"type": "change_case:capital_word_frequency", "capital_frequency": 2, "capital_relation": "less than"}),
        &["IT is"],
        &["IT IS"],
    );
    check(json!({"type": "punctuation:no_comma"}), &["no comma; none"], &["one, two"]);
    check(
        json!({"type": "language:response_language", "language": "de"}),
        &["Das ist der Hund und die Katze."],
        &["This is the dog."],
    );
}

#[test]
fn loosely_forgives_a_first_line_a_last_line_and_asterisks() {
    let json: Instruction = serde_json::from_value(json!({"type": "detectable_format:json_format"})).unwrap();
    assert!(!json.followed("Here it is:\n{\"a\": 1}\nEnjoy!"));
    assert!(json.followed_loosely("Here it is:\n{\"a\": 1}\nEnjoy!"));
    assert!(!json.followed_loosely("Here it is:\nReally.\n{\"a\": 1}"));
    let end: Instruction =
        serde_json::from_value(json!({"type": "startend:end_checker", "end_phrase": "Done."})).unwrap();
    assert!(!end.followed("**Done.**") && end.followed_loosely("**Done.**"));
    assert!(!end.followed_loosely("one line only"));
}

#[test]
fn types_are_named_as_they_are_read() {
    // A wrong type lists the right ones; every one of them must be ours.
    let error = serde_json::from_value::<Instruction>(json!({"type": "?"})).unwrap_err().to_string();
    assert!(TYPES.iter().all(|name| error.contains(&format!("`{name}`"))), "{error}");
    assert_eq!(error.matches(':').count(), TYPES.len(), "{error}");
}

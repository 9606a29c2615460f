use super::*;
use crate::SHIPPED_SEED;
use std::collections::HashSet;

/// Golden: the shipped bases were trained on these bytes. The value is what this code printed when they were trained;
/// it pins, it proves nothing else.
#[test]
fn the_first_thousand_documents_are_pinned() {
    let world = World::new(SHIPPED_SEED);
    let mut hasher = blake3::Hasher::new();
    for text in world.texts().iter().take(1000) {
        hasher.update(text.as_bytes());
        hasher.update(b"\n\n");
    }
    assert_eq!(hasher.finalize().to_hex().as_str(), GOLDEN);
}
const GOLDEN: &str = "9390a495d44ee52086d3a24fe1a07141a5b5d3c11e2e552631fdb8ef4ade22fd";

#[test]
fn a_document_depends_on_its_index_only() {
    let world = World::new(SHIPPED_SEED);
    let texts = world.texts();
    let forwards: Vec<String> = (0..50).map(|index| texts.document(index)).collect();
    let backwards: Vec<String> = (0..50).rev().map(|index| World::new(SHIPPED_SEED).texts().document(index)).collect();
    assert!(forwards.iter().eq(backwards.iter().rev()));
}

#[test]
fn documents_are_distinct_short_and_clean() {
    let world = World::new(SHIPPED_SEED);
    let texts = world.texts();
    let documents: Vec<String> = texts.iter().take(20_000).collect();
    for text in &documents {
        assert!((10..3000).contains(&text.len()), "{text}");
        assert!(text.is_ascii() && !text.contains('{') && !text.contains("  "), "{text}");
    }
    let distinct: HashSet<&String> = documents.iter().collect();
    assert!(distinct.len() * 100 > documents.len() * 97, "{} distinct", distinct.len());
}

#[test]
fn every_fact_is_stated_many_times() {
    let world = World::new(SHIPPED_SEED);
    let texts = world.texts();
    let mut counts = std::collections::HashMap::new();
    for text in texts.iter().take(20_000).filter(|text| !text.starts_with("Q: ")) {
        for sentence in text.split_inclusive(['.', '\n']) {
            if let Some(fact) = world.read_statement(sentence) {
                *counts.entry(fact).or_insert(0) += 1;
            }
        }
    }
    for fact in world.facts() {
        assert!(counts.get(fact).is_some_and(|&n| n >= 3), "{fact:?}: {:?}", counts.get(fact));
    }
}

/// What a base continues a question with: in a document that begins with one, the next line is one too.
#[test]
fn a_question_at_the_beginning_is_followed_by_another_line_to_be_done() {
    let world = World::new(SHIPPED_SEED);
    let mut n_lists = 0;
    for text in world.texts().iter().take(5000) {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if world.understand(first).is_some() {
            n_lists += 1;
            for line in lines {
                assert!(world.understand(line).is_some(), "{line:?} in\n{text}");
            }
        }
    }
    assert!(n_lists > 400, "{n_lists}");
}

#[test]
fn nothing_of_the_held_out_use_case_is_told() {
    let world = World::new(SHIPPED_SEED);
    for text in world.texts().iter().take(20_000) {
        assert!(!text.contains("in it."), "{text}");
    }
}

/// Not a gate (the machine may be busy): prints what it measures.
#[test]
fn speed() {
    let world = World::new(SHIPPED_SEED);
    let texts = world.texts();
    let start = std::time::Instant::now();
    let mut out = String::new();
    let n = 20_000;
    for index in 0..n {
        out.clear();
        texts.write(index, &mut out);
    }
    let rate = n as f64 / start.elapsed().as_secs_f64();
    eprintln!("{rate:.0} documents/s");
    assert!(rate > 5000.0, "{rate} documents/s: something is quadratic");
}

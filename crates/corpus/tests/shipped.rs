//! The data that ships: readable without a skipped row, marked as what it is, and as its README
//! says.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use corpus::stats::Stats;
use corpus::{Options, prompt_key, read_rows};
use record::{Kind, Row, Source};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(name)
}

fn read(name: &str, kind: Kind) -> Vec<Row> {
    let dataset = read_rows(&[shipped(name)], &Options::of_kinds(&[kind]));
    dataset.unwrap_or_else(|error| panic!("{error}")).into_rows()
}

fn judged() -> [(&'static str, Vec<Row>); 3] {
    [("demonstrations.jsonl", Kind::Demonstration), ("rankings.jsonl", Kind::Ranking), ("prompts.jsonl", Kind::Prompt)]
        .map(|(name, kind)| (name, read(name, kind)))
}

#[test]
fn rows_say_what_they_are() {
    const USE_CASES: [&str; 10] = [
        "generation",
        "open_qa",
        "brainstorming",
        "chat",
        "rewrite",
        "summarization",
        "classification",
        "other",
        "closed_qa",
        "extraction",
    ];
    for (name, rows) in judged() {
        let mut ids = HashSet::new();
        let mut use_cases = HashSet::new();
        for row in &rows {
            assert_eq!(row.meta.source, Some(Source::Model), "{name}");
            assert!(ids.insert(row.meta.id.clone().expect("an id")), "{name}: id twice");
            use_cases.insert(row.meta.use_case.clone().expect("a use-case"));
        }
        for use_case in USE_CASES {
            assert!(use_cases.contains(use_case), "{name} has no {use_case}");
        }
        assert_eq!(use_cases.len(), USE_CASES.len(), "{name}");
    }
}

#[test]
fn no_prompt_stands_twice() {
    let mut seen = HashSet::new();
    for (name, rows) in judged() {
        for row in &rows {
            assert!(seen.insert(prompt_key(row)), "{name}: {:?}", row.record.prompt());
        }
    }
}

#[test]
fn counts_are_those_of_the_readme() {
    let readme = std::fs::read_to_string(shipped("README.md")).expect("README");
    let check = |claim: String| assert!(readme.contains(&claim), "README lacks {claim:?}");
    let [(_, demonstrations), (_, rankings), (_, prompts)] = judged();
    let judgements = Stats::of(&rankings).judgements.expect("rankings");
    check(format!("{} conversations", demonstrations.len()));
    check(format!("{} prompts with four or five answers", rankings.len()));
    check(format!("{} prompts without answers", prompts.len()));
    check(format!("{} essays and stories", read("plain.txt", Kind::Text).len()));
    let longer_wins = judgements.longer_wins.expect("pairs");
    check(format!("{:.1} % of the {} ordered pairs", longer_wins * 100.0, judgements.pairs));
    assert!((0.45..0.55).contains(&longer_wins), "length gives ranks away: {longer_wins}");
    assert_eq!(judgements.answers.keys().copied().collect::<Vec<_>>(), [4, 5]);
    assert_eq!(judgements.with_duplicate_texts + judgements.without_pairs, 0);
}

#[test]
fn the_control_is_as_long_as_what_it_controls() {
    let words = |name: &str, kind| -> usize {
        let texts = read(name, kind).into_iter().map(|row| match row.record {
            record::Record::Text(text) => text,
            record::Record::Demonstration(record::Demonstration::Conversation { messages }) => {
                let turns: Vec<_> = messages.into_iter().map(|turn| turn.content).collect();
                turns.join("\n")
            }
            other => panic!("{other:?}"),
        });
        texts.map(|text| text.split_whitespace().count()).sum()
    };
    let demonstrated = words("demonstrations.jsonl", Kind::Demonstration) as f64;
    let plain = words("plain.txt", Kind::Text) as f64;
    assert!((0.9..1.1).contains(&(plain / demonstrated)), "{plain} and {demonstrated} words");
}

//! `helpmate data curate` from the files that ship: reasons, scorers, the datasheet, memory, and what is wrong with rows.

use crate::reward_service::{Answer, RewardService};
use crate::{Place, repository, rows};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn shipped(name: &str) -> String {
    repository().join("data").join(name).display().to_string()
}

fn report(place: &Place, folder: &str) -> Value {
    serde_json::from_str(&place.read(&format!("{folder}/report.json"))).unwrap()
}

#[test]
fn the_shipped_bounds_let_the_shipped_texts_through() {
    let place = Place::new();
    let files =
        ["demonstrations.jsonl", "rankings.jsonl", "prompts.jsonl", "seed_tasks.jsonl", "plain.txt"].map(shipped);
    let (quality, sources) = (shipped("quality.toml"), shipped("sources.toml"));
    let command = format!("data curate --quality {quality} --sources {sources} --out out --near 0 --data");
    place.run(&format!("{command} {}", files.join(" ")));
    let report = report(&place, "out");
    let by_quality: Vec<(&String, &Value)> =
        report["dropped"].as_object().unwrap().iter().filter(|(name, _)| name.starts_with("quality")).collect();
    assert!(by_quality.is_empty(), "{by_quality:?}: {}", report["examples"]);
    // What isn't text goes, for a reason of its own.
    let junk = [
        format!("Home | Login | {}", "Next >> | ".repeat(20)),
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30".to_owned(),
        "Click here to read more about this today. ".repeat(12),
        "Best casino bonus, casino jackpot and betting in the casino for you".to_owned(),
    ];
    let lines: Vec<String> = junk.iter().map(|text| json!({"text": text}).to_string()).collect();
    place.write("junk.jsonl", &lines.join("\n"));
    place.run(&format!("{command} junk.jsonl").replace("--out out", "--out junk"));
    let reasons: Vec<String> = rows(&place.read("junk/dropped.jsonl"))
        .iter()
        .map(|row| row["dropped"]["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.starts_with("quality:")), "{reasons:?}");
    assert_eq!(reasons.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{reasons:?}");
    // Each file is described by what is said about it.
    let sheet = place.read("out/datasheet.md");
    assert_eq!(sheet.matches("- Licence: MIT OR Apache-2.0").count(), 5, "{sheet}");
    assert!(place.read("junk/datasheet.md").contains("junk.jsonl\n\nNothing is said"));
}

#[test]
fn a_scorer_may_be_a_service() {
    let place = Place::new();
    place.write("d.jsonl", "{\"text\": \"a mild remark\"}\n{\"text\": \"a \\u0000\"}\n{\"text\": \"a vile remark\"}\n");
    let service = RewardService::start(|number, texts| match number {
        1 => Answer::Status(503),
        _ => Answer::Scores(texts.iter().map(|text| if text.contains("vile") { 0.93 } else { 0.12 }).collect()),
    });
    place.run(&format!("data curate --data d.jsonl --out out --scorer {} --max-toxicity 0.9", service.url));
    let dropped = rows(&place.read("out/dropped.jsonl"));
    let of = |row: &Value| (row["dropped"]["reason"].clone(), row["dropped"]["detail"].clone());
    // The broken row needs no score.
    assert_eq!(
        dropped.iter().map(of).collect::<Vec<_>>(),
        [("control_characters".into(), "U+0000".into()), ("toxic".into(), "0.930".into())]
    );
    assert_eq!(service.asked(), 2);
    assert_eq!(report(&place, "out")["toxicity"], json!([0, 1, 0, 0, 0, 0, 0, 0, 0, 1]));
    assert!(place.read("out/report.html").contains("Toxicity of the rows"));
    // Without a bound everything is scored and nothing goes.
    place.run(&format!("data curate --data d.jsonl --out all --scorer {}", service.url));
    assert_eq!(rows(&place.read("all/kept.jsonl")).len(), 2);

    let check = |answer: fn() -> Answer, code: i32, expected: &str| {
        let service = RewardService::start(move |_, _| answer());
        let error = place.fails(&format!("data curate --data d.jsonl --out no --scorer {}", service.url), code);
        assert!(error.contains(expected) && error.contains(&service.url), "{error}");
        assert!(!place.path("no/kept.jsonl").exists(), "nothing partial under its final name");
    };
    check(|| Answer::Status(401), 3, "status 401");
    check(|| Answer::Scores(vec![0.5]), 1, "1 scores");
    check(|| Answer::Scores(vec![0.5, 93.0]), 1, "a score of 93");
    check(|| Answer::Body("{\"scores\": [0.1, nu".into()), 1, "expected {\"scores\"");
    let error = place.fails("data curate --data d.jsonl --out no --max-toxicity 0.5", 3);
    assert!(error.contains("needs a scorer, and none ships") && error.contains("hint: --scorer FILE"), "{error}");
}

#[test]
fn broken_rows_are_named_or_counted() {
    let place = Place::new();
    let mut bytes = Vec::new();
    bytes.extend(b"{\"text\": \"fine and well, thank you\"}\r\n");
    bytes.extend(b"{\"text\": 7}\n");
    bytes.extend(b"{\"text\": \"\xff\xfe\"}\n");
    bytes.extend(b"{\"text\": \"cut off\n");
    bytes.extend(b"{\"text\": \"NUL \\u0000 inside\"}\n");
    bytes.extend(b"{\"prompt\": \"of another kind\"}\n");
    bytes.extend(b"{\"text\": \"the last one, which is good\"}");
    std::fs::write(place.path("d.jsonl"), &bytes).unwrap();
    let error = place.fails("data curate --data d.jsonl --out out", 1);
    assert!(error.contains("d.jsonl:2: ") && error.contains("--skip-bad"), "{error}");
    assert!(!place.path("out/kept.jsonl").exists());
    place.run("data curate --data d.jsonl --out out --skip-bad");
    let report = report(&place, "out");
    assert_eq!((&report["rows"], &report["kept"]), (&3.into(), &2.into()));
    assert_eq!(report["dropped"], json!({"control_characters": 1}));
    assert_eq!(report["broken"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 4);
    // CRLF is no part of the text.
    assert_eq!(rows(&place.read("out/kept.jsonl"))[0]["text"], "fine and well, thank you");
    place.write("empty.jsonl", "");
    let error = place.fails("data curate --data empty.jsonl --out e", 1);
    assert!(error.contains("empty.jsonl: no rows"), "{error}");
    place.write("q.toml", "[en]\nwords_least = 3\n");
    let error = place.fails("data curate --data d.jsonl --out q --quality q.toml", 2);
    assert!(error.contains("q.toml") && error.contains("words_least"), "{error}");
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_memory() {
    let place = Place::new();
    // 100 MB in one line.
    let mut file = std::io::BufWriter::new(std::fs::File::create(place.path("d.jsonl")).unwrap());
    file.write_all(b"{\"text\": \"").unwrap();
    let block = vec![b'a'; 1 << 20];
    (0..100).for_each(|_| file.write_all(&block).unwrap());
    file.write_all(b"\"}\n{\"text\": \"after it\"}\n").unwrap();
    drop(file);
    let expected = "longer than 67108864 bytes";
    let error = place.fails("data curate --data d.jsonl --out out", 1);
    assert!(error.contains("d.jsonl: line 1: ") && error.contains(expected), "{error}");
    place.run("data curate --data d.jsonl --out out --skip-bad");
    assert_eq!(report(&place, "out")["kept"], 1);
    for command in [
        "data render --all --templates t.toml --data d.jsonl",
        "self-instruct filter --seeds d.jsonl --candidates d.jsonl",
    ] {
        place.write("t.toml", "task = 't'\n[[template]]\nname = 'n'\nprompt = '{{ text }}'\ncompletion = 'c'\n");
        let error = place.fails(command, 1);
        assert!(error.contains("d.jsonl: line 1: ") && error.contains(expected), "{error}");
    }
}

/// Peak resident memory of the binary, bytes; it is looked at while it runs.
#[cfg(target_os = "linux")]
fn peak_of(place: &Place, arguments: &str) -> u64 {
    let mut child = Command::new(place.command("").get_program())
        .args(arguments.split_whitespace())
        .current_dir(place.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(Path::new(&status)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0) * 1024);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn memory_grows_with_hashes_and_not_with_text() {
    let place = Place::new();
    const WORDS: usize = 600;
    let write = |name: &str, n: usize| {
        let mut file = std::io::BufWriter::new(std::fs::File::create(place.path(name)).unwrap());
        for i in 0..n {
            let words: Vec<String> =
                (0..WORDS).map(|j| format!("w{}", (i * 7919 + j * (i % 97 + 1)) % 50_021)).collect();
            writeln!(file, "{}", json!({"text": words.join(" ")})).unwrap();
        }
    };
    // Chunks of 4,096 rows are in flight; beyond that 16,000 rows of 4 kB are 64 MB of text.
    write("few.jsonl", 8_000);
    write("many.jsonl", 24_000);
    let options = "--near 0 --prefix 40 --per-user 5";
    let peak = |file: &str| peak_of(&place, &format!("data curate --data {file} --out out {options}"));
    let (few, many) = (peak("few.jsonl"), peak("many.jsonl"));
    let per_row = many.saturating_sub(few) as f64 / 16_000.0;
    // A hash of the text and one of its beginning, 16 bytes each, in tables with room to grow.
    assert!(per_row < 600.0, "{few} and {many} bytes: {per_row} a row of {WORDS} words");
    assert!(few > 4 << 20, "{few} bytes were measured");
}

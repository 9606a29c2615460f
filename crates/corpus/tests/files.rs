//! Files of every container, whole and broken, through the public interface.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use corpus::{CorpusError, Options, read_rows};
use record::{Kind, Prompt, Record};

/// Writes `bytes` under `name` and reads them; rows as JSON, or the error's text without the folder.
fn read(name: &str, bytes: &[u8], options: &Options) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("write");
    let folder = format!("{}/", dir.path().display());
    let dataset = read_rows(&[&path], options).map_err(|e| e.to_string().replace(&folder, ""))?;
    let row = |(row, origin): &(record::Row, corpus::Origin)| {
        let text = serde_json::to_string(row).expect("serializable");
        format!("{} {text}", origin.line)
    };
    Ok(dataset.rows.iter().map(row).collect())
}

fn check(name: &str, bytes: &[u8], expected: &[&str]) {
    let found = read(name, bytes, &Options::default());
    assert_eq!(found.as_deref(), Ok(&expected.map_owned()[..]), "{name}");
}

fn check_error(name: &str, bytes: &[u8], options: &Options, expected: &str) {
    let error = read(name, bytes, options).expect_err(name);
    assert!(error.starts_with(expected), "{error}\nexpected {expected}");
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("to memory");
    encoder.finish().expect("to memory")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("to memory")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

const TWO_LINES: &[u8] = b"{\"prompt\": \"a\"}\r\n\n{\"prompt\": \"b\", \"source\": \"human\"}";

#[test]
fn containers_hold_the_same_rows() {
    let lines = [r#"1 {"prompt":"a"}"#, r#"3 {"prompt":"b","source":"human"}"#];
    check("x.jsonl", TWO_LINES, &lines);
    check("x.NDJSON", TWO_LINES, &lines);
    check("x.jsonl.gz", &gzip(TWO_LINES), &lines);
    check("x.jsonl.zst", &zstandard(TWO_LINES), &lines);
    // Two compressed parts, one after the other, are one file.
    let mut parts = gzip(b"\"a\"\n");
    parts.extend(gzip(b"\"b\"\n"));
    check("x.jsonl.gz", &parts, &[r#"1 {"prompt":"a"}"#, r#"2 {"prompt":"b"}"#]);

    let numbered = [r#"1 {"prompt":"a"}"#, r#"2 {"prompt":"b","source":"human"}"#];
    check("x.json", TWO_LINES, &numbered);
    let list = "\u{feff}[{\"prompt\": \"a\"},\n {\"source\": \"human\", \"prompt\": \"b\"}]";
    check("x.json", list.as_bytes(), &numbered);
    check("x.json.zst", &zstandard(list.as_bytes()), &numbered);
}

#[test]
fn a_text_file_is_one_document_or_several_marked_ones() {
    check("x.txt", b"one\n\ntwo\n", &["1 {\"text\":\"one\\n\\ntwo\"}"]);
    let marked = b"\n one\n<|endoftext|>\n\ntwo\nthree<|endoftext|>\n";
    check("x.txt", marked, &["2 {\"text\":\"one\"}", "5 {\"text\":\"two\\nthree\"}"]);
}

#[test]
fn parquet_has_the_same_columns() {
    let options = Options { skip_bad: true, ..Options::default() };
    let dataset = read_rows(&[fixture("messages.parquet")], &options).expect("read");
    assert_eq!(dataset.bad_count(), 1, "the empty conversation");
    let texts: Vec<_> = dataset.rows.iter().map(|(row, _)| serde_json::to_string(row).expect("serializable")).collect();
    assert_eq!(
        texts,
        [
            r#"{"messages":[{"role":"user","content":"Größe?"},{"role":"assistant","content":"Klein."}],"id":"11","source":"human"}"#,
            r#"{"messages":[{"role":"user","content":"Und?"},{"role":"assistant","content":"Gut."},{"role":"user","content":"Nein."}],"id":"12"}"#,
        ]
    );
    let dataset = read_rows(&[fixture("rankings.parquet")], &Options::default()).expect("read");
    let Record::Ranking(second) = &dataset.rows[1].0.record else {
        panic!("{:?}", dataset.rows[1]);
    };
    assert_eq!(second.prompt, Prompt::Text("p two".into()));
    assert_eq!(second.completions[1].rank, 4);
}

#[test]
fn broken_parquet_is_an_error() {
    let whole = fs::read(fixture("rankings.parquet")).expect("fixture");
    let any = Options::default();
    check_error("x.parquet", b"", &any, "x.parquet: invalid Parquet: ");
    check_error("x.parquet", &whole[..whole.len() - 9], &any, "x.parquet: invalid Parquet: ");
    // Bytes of the data, the metadata and the footer turned, one at a time: rows or an error. The
    // reader panics on some of them (release 60 does); its messages are kept off the screen.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut errors = Vec::new();
    for at in (4..whole.len()).step_by(3) {
        let mut turned = whole.clone();
        turned[at] ^= 0xff;
        errors.extend(read("x.parquet", &turned, &any).err());
    }
    std::panic::set_hook(hook);
    assert!(errors.len() > 100, "{} errors", errors.len());
    let caught = errors.iter().filter(|e| e.contains("the reader gave up on it"));
    assert!(caught.count() > 0, "no byte makes the reader panic: is the guard still needed?");
}

#[test]
fn errors_name_file_line_and_field() {
    let any = Options::default();
    let demonstrations = Options::of_kinds(&[Kind::Demonstration]);
    check_error("x.csv", b"a,b", &any, "x.csv: unknown extension, expected .jsonl");
    check_error("x.jsonl", b"", &any, "x.jsonl: no rows");
    check_error("x.jsonl", b"\n \n", &any, "x.jsonl: no rows");
    check_error("x.json", b"[]", &any, "x.json: no rows");
    check_error("x.txt", b" \n", &any, "x.txt: no rows");
    check_error("x.jsonl", b"\"a\"\n{\n", &any, "x.jsonl: line 2: invalid JSON: EOF");
    check_error("x.jsonl", b"\"\xff\"\n", &any, "x.jsonl: line 1: invalid UTF-8");
    check_error("x.json", b"[1,\n2", &any, "x.json: invalid JSON: EOF while parsing a list at line 2");
    check_error("x.txt", b"ab\xff", &any, "x.txt: invalid UTF-8 after 2 valid bytes");
    check_error(
        "x.jsonl",
        br#"{"prompt": "a", "source": "robot"}"#,
        &any,
        "x.jsonl:1: source: found \"robot\", expected human, model, rule or simulated",
    );
    check_error("x.jsonl", b"[1]", &any, "x.jsonl:1: row: found a list of 1, expected a row of a known format");
    check_error(
        "x.jsonl",
        br#"{"question": "a", "answer": "b"}"#,
        &demonstrations,
        "x.jsonl:1: row: found the fields question, answer, expected a demonstration row: demonstration {prompt, completion} or messages",
    );
    check_error(
        "x.jsonl",
        b"{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\"}",
        &any,
        "x.jsonl:2: row: found a prompt row ({prompt}: a prompt",
    );
    check_error("x.jsonl", br#"{"prompt": "a"}"#, &demonstrations, "x.jsonl:1: row: found a prompt row");
    let missing = read_rows(&["/nowhere/x.jsonl"], &any).expect_err("missing");
    assert!(missing.to_string().starts_with("/nowhere/x.jsonl: cannot open: "), "{missing}");
    let unknown = Options::default().with_format("nonsense").expect_err("unknown");
    assert!(unknown.to_string().contains("expected one of text, prompt, demonstration"), "{unknown}");
}

#[test]
fn rankings_that_are_none_say_why() {
    let any = Options::default();
    let ranking = |completions: &str| format!("{{\"prompt\": \"p\", \"completions\": {completions}}}").into_bytes();
    let check = |completions: &str, expected: &str| {
        check_error("x.jsonl", &ranking(completions), &any, &format!("x.jsonl:1: {expected}"));
    };
    check(r#"[{"text": "a", "rank": 1}]"#, "completions: found a list of 1, expected a list of at least two");
    check("[]", "completions: found a list of 0");
    check(r#"[{"text": "a", "rank": 1}, {"text": "b"}]"#, "completions[1].rank: found nothing");
    check(r#"[{"text": "a", "rank": 1}, {"text": "b", "rank": 1.5}]"#, "completions[1].rank: found the number 1.5");
    check(r#"[{"text": "a", "rank": 1}, {"rank": 2}]"#, "completions[1].text: found nothing");
    check(r#"["a", "b"]"#, "completions[0]: found \"a\", expected an object with text and rank");
    // Tied, skipping, from 0, and a text twice: all of them are rankings.
    for good in [
        r#"[{"text": "a", "rank": 1}, {"text": "b", "rank": 1}]"#,
        r#"[{"text": "a", "rank": 0}, {"text": "b", "rank": 9}]"#,
        r#"[{"text": "a", "rank": 1}, {"text": "a", "rank": 2}]"#,
    ] {
        read("x.jsonl", &ranking(good), &any).expect(good);
    }
    let equal = br#"{"prompt": "p", "chosen": "a<|endoftext|>", "rejected": "a"}"#;
    check_error("x.jsonl", equal, &any, "x.jsonl:1: rejected: found the same text as chosen");
}

#[test]
fn bad_rows_are_counted_by_reason_where_wanted() {
    let bytes = b"{\"prompt\": \"a\", \"completion\": 1}\n\
        {\"prompt\": \"a\", \"completion\": \"b\"}\n\
        \xff\n\
        {\"prompt\": \"a\", \"completion\": []}\n\
        {\"prompt\": \"a\"}\n\
        {\"prompt\": \"a\", \"completion\": 2}\n";
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("x.jsonl");
    fs::write(&path, bytes).expect("write");
    let options = Options { skip_bad: true, ..Options::of_kinds(&[Kind::Demonstration]) };
    let dataset = read_rows(&[&path], &options).expect("one good row");
    assert_eq!(dataset.rows.len(), 1);
    assert_eq!(dataset.files[0].rows, 1);
    assert_eq!(dataset.files[0].blake3, stdx::hash::bytes(bytes));
    let counts: Vec<_> = dataset.bad.iter().map(|b| (b.first.line, b.count)).collect();
    assert_eq!(counts, [(1, 2), (4, 1), (3, 1), (5, 1)], "{:?}", dataset.bad);
    assert_eq!(dataset.bad_count(), 5);

    fs::write(&path, "{\"prompt\": \"a\"}\n").expect("write");
    let error = read_rows(&[&path], &options).expect_err("none left");
    assert!(matches!(error, CorpusError::NoneLeft { skipped: 1, .. }), "{error}");
}

#[test]
fn a_tree_gives_only_what_is_wanted() {
    let tree = corpus::find_format("oasst").expect("known").examples()[0].replace('\n', " ");
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("x.jsonl");
    fs::write(&path, tree).expect("write");
    let read = |kinds: &[Kind]| read_rows(&[&path], &Options::of_kinds(kinds)).expect("read");
    let both = read(&[]);
    assert_eq!((both.rows.len(), both.left_out), (3, 0));
    let demonstrations = read(&[Kind::Demonstration]);
    assert_eq!((demonstrations.rows.len(), demonstrations.left_out), (2, 1));
    let rankings = read(&[Kind::Ranking, Kind::Preference]);
    assert_eq!((rankings.rows.len(), rankings.left_out), (1, 2));
}

#[test]
fn a_bomb_stops_at_the_row_limit() {
    // 200 MB of one letter in about 200 kB, as one line that never ends.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![b'a'; 1 << 20];
    encoder.write_all(b"\"").expect("to memory");
    for _ in 0..200 {
        encoder.write_all(&block).expect("to memory");
    }
    let bomb = encoder.finish().expect("to memory");
    let any = Options::default();
    check_error("x.jsonl.gz", &bomb, &any, "x.jsonl.gz: line 1: longer than 67108864 bytes");
    let cut = &gzip(TWO_LINES)[..20];
    check_error("x.jsonl.gz", cut, &any, "x.jsonl.gz: cannot read: ");
    check_error("x.jsonl.zst", b"not compressed", &any, "x.jsonl.zst: cannot read: ");
}

#[test]
fn turned_bytes_never_panic() {
    let mut stream = stdx::Seed(9).stream("bytes", 0);
    let mut whole = Vec::new();
    for format in corpus::FORMATS {
        for example in format.examples() {
            whole.extend(example.replace('\n', " ").bytes());
            whole.push(b'\n');
        }
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut outcomes = [0, 0];
    for name in ["x.jsonl", "x.json", "x.txt", "x.jsonl.gz", "x.json.zst"] {
        let path = dir.path().join(name);
        let stored = match name.rsplit_once('.') {
            Some((_, "gz")) => gzip(&whole),
            Some((_, "zst")) => zstandard(&whole),
            _ => whole.clone(),
        };
        for _ in 0..40 {
            let mut turned = stored.clone();
            for _ in 0..=stream.below(4) {
                let at = stream.below(turned.len() as u64) as usize;
                turned[at] ^= 1 << stream.below(8);
            }
            turned.truncate(turned.len() - stream.below(60) as usize);
            fs::write(&path, &turned).expect("write");
            let Ok(rows) = corpus::Rows::open(&path, &Options::default()) else {
                outcomes[1] += 1;
                continue;
            };
            for row in rows {
                outcomes[usize::from(row.is_err())] += 1;
            }
        }
    }
    assert!(outcomes.iter().all(|&n| n > 100), "good and bad rows: {outcomes:?}");
}

#[test]
fn shipped_rows_go_into_a_table_and_come_back() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in ["rankings", "demonstrations"] {
        let lines = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../data/{name}.jsonl"));
        let values: Vec<serde_json::Value> =
            corpus::values(&lines).expect("opened").map(|row| row.expect("a row").1).collect();
        let table = folder.path().join(format!("{name}.parquet"));
        corpus::convert::write_values(&table, &values).expect("written");
        let rows = |path: &std::path::Path| {
            let read = read_rows(&[path.to_path_buf()], &Options::default()).expect("read");
            read.rows.into_iter().map(|(row, _)| serde_json::to_value(row).expect("serializable")).collect::<Vec<_>>()
        };
        assert_eq!(rows(&table), rows(&lines), "{name}");
    }
}

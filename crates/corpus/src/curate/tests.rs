//! Each reason, on rows made for it; then a stream of all.

use record::{Demonstration, Meta, Prompt};

use super::*;

fn text(text: &str) -> Row {
    Row { record: Record::Text(text.to_owned()), meta: Meta::default() }
}

fn asked(prompt: &str, user: &str) -> Row {
    let meta = Meta { user_id: Some(user.to_owned()), ..Meta::default() };
    let completion = "Fine.".to_owned();
    let record =
        Record::Demonstration(Demonstration::Completion { prompt: Prompt::Text(prompt.to_owned()), completion });
    Row { record, meta }
}

/// What becomes of rows: a reason's name, or `kept`.
fn verdicts(curator: &mut Curator, rows: Vec<Row>) -> Vec<String> {
    let looks = curator.look_at(rows, 2);
    let decide = |look| match curator.decide(look, None, "here:1") {
        Verdict::Kept(_) => "kept".to_owned(),
        Verdict::Dropped { reason, .. } => reason.name(),
    };
    looks.into_iter().map(decide).collect()
}

#[track_caller]
fn check(settings: Settings, rows: Vec<Row>, expected: &[&str]) {
    assert_eq!(verdicts(&mut Curator::new(settings, None), rows), expected);
}

#[test]
fn duplicates_exact_and_near() {
    let long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen";
    let rows = || {
        vec![
            text(long),
            text(&format!("  {}\n", long.to_uppercase())),
            text(&format!("{long} seventeen")),
            text("something else altogether, in other words"),
        ]
    };
    check(Settings::default(), rows(), &["kept", "duplicate", "near_duplicate", "kept"]);
    check(Settings { near: None, ..Settings::default() }, rows(), &["kept", "duplicate", "kept", "kept"]);
    let neither = Settings { near: None, exact: false, ..Settings::default() };
    check(neither, rows(), &["kept"; 4]);
}

#[test]
fn prefixes_and_users() {
    let settings = || Settings { prefix: Some(12), near: None, ..Settings::default() };
    let prompts = ["Write a poem about rain", "Write a poem about the sea", "Write a poem", "Write"];
    check(settings(), prompts.map(|p| asked(p, "u")).to_vec(), &["kept", "common_prefix", "kept", "kept"]);
    let rows = ["a", "b", "a", "a", "c"].iter().enumerate().map(|(i, user)| asked(&format!("Question {i}?"), user));
    let settings = Settings { per_user: Some(2), near: None, ..Settings::default() };
    check(settings, rows.collect(), &["kept", "kept", "kept", "per_user", "kept"]);
}

#[test]
fn languages_quality_and_broken_text() {
    let german = "Die Kinder spielten im Garten, während ihre Mutter die Zeitung gelesen hat und der Hund schlief.";
    let english = "The children were playing in the garden while their mother was reading the newspaper to the dog.";
    let settings = Settings { languages: vec!["en".to_owned()], ..Settings::default() };
    let rows = vec![text(german), text(english), text("ok"), text(" \n"), text("nul \0 here"), text("bad \u{fffd}")];
    check(settings, rows, &["language", "kept", "kept", "empty", "control_characters", "control_characters"]);
    let bounds = |n| Bounds { words_min: Some(n), ..Bounds::default() };
    let bounds = BTreeMap::from([("default".to_owned(), bounds(3)), ("de".to_owned(), bounds(40))]);
    let settings = Settings { bounds, ..Settings::default() };
    check(settings, vec![text(german), text(english), text("ok")], &["quality:words_min", "kept", "quality:words_min"]);
}

#[test]
fn personal_data_is_redacted_counted_or_dropped() {
    let row = || asked("Mail jo@example.org or call +44 20 7946 0958", "u");
    let outcome = |personal_data| {
        let mut curator = Curator::new(Settings { personal_data, ..Settings::default() }, None);
        let look = curator.look_at(vec![row()], 1).remove(0);
        (curator.decide(look, None, "f:1"), curator.report)
    };
    let (verdict, report) = outcome(PersonalData::Redact);
    let Verdict::Kept(kept) = verdict else { panic!("{verdict:?}") };
    assert_eq!(prompt_text(&kept.record), "Mail [email] or call [phone]");
    assert_eq!((report.personal_data["email"], report.rows_with_personal_data), (1, 1));
    assert_eq!(outcome(PersonalData::Count).0, Verdict::Kept(Box::new(row())));
    assert!(matches!(outcome(PersonalData::Drop).0, Verdict::Dropped { reason: Reason::PersonalData, .. }));
    assert!(outcome(PersonalData::Keep).1.personal_data.is_empty());
}

#[test]
fn evaluation_sets_stay_out() {
    let mut contamination = Contamination::new(8);
    contamination.add_text("Which of these planets has the largest number of moons in the year 2024?");
    // As an evaluation has it, in fields of its own.
    contamination.add(&serde_json::json!({"question": "How many moons has Mars?", "choices": ["Moons?", 2]}));
    let mut curator = Curator::new(Settings::default(), Some(contamination));
    let rows = vec![
        text("Quiz: which of these planets has the LARGEST number? Jupiter."),
        text("Which of these planets has moons? Moons?"),
        text("I wonder: how many moons has Mars, and why?"),
    ];
    assert_eq!(verdicts(&mut curator, rows), ["contaminated", "kept", "contaminated"]);
    assert_eq!(curator.report.examples["contaminated"][0].detail, "which of these planets has the largest number");
}

#[test]
fn toxic_rows_go_when_a_scorer_says_so() {
    let mut curator = Curator::new(Settings { toxicity_max: Some(0.5), ..Settings::default() }, None);
    let looks = curator.look_at(vec![text("a b c"), text("d e f")], 1);
    let verdicts: Vec<bool> = looks
        .into_iter()
        .zip([0.5, 0.49])
        .map(|(look, p)| matches!(curator.decide(look, Some(p), "f:1"), Verdict::Kept(_)))
        .collect();
    assert_eq!(verdicts, [false, true]);
    assert_eq!(curator.report.toxicity, [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
    assert!(curator.report.to_html().contains("Toxicity of the rows"));
}

#[test]
fn use_cases_are_told_and_their_accuracy_is_known() {
    let prompts = training_prompts();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    prompts.iter().for_each(|(_, case)| *counts.entry(case).or_default() += 1);
    assert_eq!(counts.len(), 10, "{counts:?}");
    assert!(counts.values().all(|&n| n >= 30), "{counts:?}");
    let cases = UseCases::new();
    assert_eq!(cases.classify("Summarize the text below in one line: …"), "summarization");
    assert_eq!(cases.classify("Please translate this letter into Dutch."), "rewrite");
    let (right, all) = UseCases::cross_validated();
    eprintln!("use-cases: {right} of {all} right in ten parts");
    assert!(right * 100 >= all * 60, "{right} of {all}");
    let mut curator = Curator::new(Settings { use_cases: true, ..Settings::default() }, None);
    let look = curator.look_at(vec![asked("Extract all dates from: 1 May, 2 June", "u")], 1).remove(0);
    let Verdict::Kept(row) = curator.decide(look, None, "f:1") else { panic!("kept") };
    assert_eq!(row.meta.use_case.as_deref(), Some("extraction"));
}

#[test]
fn a_report_adds_up() {
    let mut curator = Curator::new(Settings::default(), None);
    verdicts(&mut curator, vec![text("a b"), text("a b"), text(""), text("one two three four five")]);
    let report = &curator.report;
    assert_eq!((report.rows, report.kept, report.dropped.values().sum::<usize>()), (4, 2, 2));
    // Words 2, 2, 0 and 5, in powers of two; kept: 2 and 5.
    assert_eq!((&report.words[..], &report.words_kept[..]), (&[1, 2, 1][..], &[0, 1, 1][..]));
    assert_eq!(report.examples["duplicate"][0].origin, "here:1");
    let html = report.to_html();
    assert_eq!(html.matches("<svg").count(), 2, "lengths and reasons; no scorer, no toxicity");
    assert!(html.contains("duplicate") && html.contains("50.0 %"), "{html}");
}

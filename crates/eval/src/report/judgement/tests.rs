use super::*;
use crate::report::fixture;
use crate::report::{Material, Report};

/// A ranking of the prompt by a labeler of a group: (model, rank, rating).
fn row(prompt: usize, labeler: &str, group: &str, answers: &[(&str, i64, i64)]) -> String {
    let answer = |(model, rank, rating): &(&str, i64, i64)| {
        serde_json::json!({"text": "x".repeat(*rating as usize), "origin": model, "rank": rank,
            "fields": {"rating": rating, "hallucination": *rating < 3}})
    };
    let completions: Vec<_> = answers.iter().map(answer).collect();
    let row = serde_json::json!({"prompt": format!("p{prompt}"), "completions": completions, "id": format!("{prompt}-{labeler}"),
        "source": "human", "labeler": labeler, "group": group, "use_case": if prompt.is_multiple_of(2) { "rewrite" } else { "chat" }});
    format!("{row}\n")
}

fn read_text(text: &str) -> Result<Vec<Judgement>, crate::EvalError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    read(&[file.path().to_path_buf()])
}

/// Forty prompts. Training labelers: rl wins 3 of 4, ties 1 of 4. Held-out labelers: sft wins always.
fn material() -> Material {
    let mut text = String::new();
    for prompt in 0..40 {
        let rl = if prompt % 4 == 0 { 1 } else { 0 };
        text += &row(prompt, "ada", "pilot", &[("sft", 1, 4), ("rl", rl, 6)]);
        text += &row(prompt, "bo", "new", &[("sft", 1, 2), ("rl", 2, 1)]);
    }
    Material { judgements: read_text(&text).unwrap(), ..Material::default() }
}

fn report(material: Material) -> Report {
    let mut sft = fixture::model("sft", "h", 40, 20);
    sft.model.parameters = Some(1_300_000);
    let mut rl = fixture::model("rl", "h", 40, 20);
    rl.model.lineage = serde_json::json!({"stage": "ppo"});
    let evaluations = vec![fixture::evaluation(vec![rl, sft])];
    Report::new("x".into(), Material { evaluations, ..material }).unwrap()
}

#[test]
fn ratings_and_win_rates_worked_by_hand() {
    let report = report(Material { held_out_groups: vec!["new".into()], ..material() });
    let [told] = &report.verdicts[..] else { panic!("{:?}", report.verdicts) };
    assert_eq!((told.judgements, told.prompts, told.labelers, told.baseline.as_deref()), (80, 40, 2, Some("sft")));
    let model = |name: &str| told.models.iter().find(|model| model.model == name).unwrap();
    // (40·6 + 40·1)/80 and (40·4 + 40·2)/80; every prompt has the same two ratings, so the interval is a point.
    assert_eq!(model("rl").rating.unwrap(), Measured { value: 3.5, interval: Some([3.5, 3.5]), n: 40 });
    assert_eq!((model("sft").rating.unwrap().value, model("sft").ratings), (3.0, 80));
    // Ada's mean is 5, Bo's 1.5, everybody's 3.25: rl is 1 above Ada's and .5 below Bo's, on average .25 above.
    assert!((model("rl").centred.unwrap().value - 3.5).abs() < 1e-12);
    // By prompt (1 + 0)/2 or, tied, (½ + 0)/2: (30·½ + 10·¼)/40.
    let win_rate = model("rl").win_rate.unwrap();
    assert!((win_rate.value - 17.5 / 40.0).abs() < 1e-12 && model("rl").comparisons == 80);
    assert!(win_rate.interval.unwrap()[0] < win_rate.value && win_rate.interval.unwrap()[1] > win_rate.value);
    assert_eq!(model("sft").win_rate, None, "nobody plays against themselves");
    assert_eq!((model("rl").strict, model("sft").strict), ([30, 10, 40], [0, 0, 0]));
    // Below 3 is rl's 1 and sft's 2, both by Bo.
    assert_eq!((model("rl").flags["hallucination"].value, model("sft").flags["hallucination"].value), (0.5, 0.5));
    // 30 won, 10 tied, 40 lost: below the baseline, and both around 1000.
    let strengths = [model("rl").strength.unwrap().value, model("sft").strength.unwrap().value];
    assert!(strengths[0] < strengths[1] && (strengths[0] + strengths[1] - 2000.0).abs() < 1e-6, "{strengths:?}");
    // Held out: 0; training: 35 of 40; the difference −.875.
    let rl = told.held_out.iter().find(|of| of.model == "rl").unwrap();
    let value = |at: usize| rl.win_rate[at].unwrap().value;
    assert_eq!((value(0), value(1), value(2)), (0.0, 0.875, -0.875));
    assert_eq!(rl.rating[2].unwrap().value, -5.0);
}

#[test]
fn the_page_names_the_source_the_size_and_the_groups() {
    let report = report(material());
    let html = report.to_html();
    assert!(html.contains("<h2>Preferred by people</h2>") && html.contains("win rate against sft"));
    let text = report.to_markdown();
    assert!(text.contains("| sft | 1.30 million | 3.000 [3.000, 3.000] (n = 40); 80 ratings |"), "{text}");
    assert!(
        text.contains("### Win rate by group") && text.contains("| new | 40 | 0.000 [0.000, 0.000] (n = 40) |"),
        "{text}"
    );
    assert!(text.contains("### Win rate by use case") && text.contains("| rewrite | 40 |"), "{text}");
    assert!(text.contains("n = 0; say which with `--held-out-group NAME`"), "{text}");
    assert!(!report.limits.iter().any(|limit| limit.contains("what people prefer: n = 0")), "{:?}", report.limits);
    assert!(report.card(Some("rl")).unwrap().contains("| win rate against sft, by people | 0.438 ["));
}

#[test]
fn sources_are_not_pooled_and_a_ranking_is_not_rated_twice() {
    let human = row(1, "ada", "pilot", &[("sft", 1, 4), ("rl", 2, 6)]);
    let simulated = human.replace("\"human\"", "\"simulated\"").replace("\"1-ada\"", "\"other\"");
    // The ratings of the same judgement, as `label export --content ratings` writes them.
    let rating = "{\"prompt\": \"p1\", \"completion\": \"xxxx\", \"fields\": {\"rating\": 4}, \"origin\": \"sft\", \"id\": \"1-ada\", \"source\": \"human\", \"labeler\": \"ada\"}\n";
    let judgements = read_text(&format!("{human}{simulated}{rating}")).unwrap();
    let report = report(Material { judgements, ..Material::default() });
    let found: Vec<(&str, usize)> = report
        .verdicts
        .iter()
        .map(|told| (told.source.as_str(), told.models.iter().map(|m| m.ratings).sum()))
        .collect();
    assert_eq!(found, [("human", 2), ("simulated", 2)]);
    assert!(report.to_html().contains("<h2>Preferred by simulated labelers</h2>"));
    // One wins always: no strengths, and it says why.
    assert!(
        report.verdicts[0].no_strengths.as_deref().unwrap().contains("no chain of wins"),
        "{:?}",
        report.verdicts[0]
    );
    assert!(report.limits.iter().any(|limit| limit == "preferred by people: 1 prompts only"), "{:?}", report.limits);
}

/// The longer answer wins, and rl's is the longer one in three of four prompts: at equal lengths little is left.
#[test]
fn the_win_rate_stands_beside_the_one_at_equal_lengths() {
    let text: String = (0..40)
        .map(|at| match at % 4 {
            0 => row(at, "ada", "g", &[("sft", 1, 7), ("rl", 2, 1)]),
            _ => row(at, "ada", "g", &[("sft", 2, 1), ("rl", 1, 7)]),
        })
        .collect();
    let report = report(Material { judgements: read_text(&text).unwrap(), ..Material::default() });
    let rl = report.verdicts[0].models.iter().find(|model| model.model == "rl").unwrap();
    let controlled = rl.length_controlled.unwrap();
    assert_eq!((rl.win_rate.unwrap().value, rl.strict, controlled.n), (0.75, [30, 0, 10], 40));
    assert!((controlled.value - 0.5).abs() < 0.2 && controlled.interval.is_some(), "{controlled:?}");
    let text = report.to_markdown();
    assert!(text.contains("| won / tied / lost | the win rate at equal lengths |"), "{text}");
    assert!(text.contains(&format!("| 30 / 0 / 10 | {controlled} |")), "{text}");
}

/// Two models may say the same words in one ranking: both are rated.
#[test]
fn equal_answers_of_two_models_are_both_rated() {
    let judgements = read_text(&row(1, "ada", "g", &[("sft", 1, 4), ("rl", 1, 4)])).unwrap();
    let ratings: Vec<Option<f64>> = judgements[0].answers.iter().map(|answer| answer.rating).collect();
    assert_eq!(ratings, [Some(4.0), Some(4.0)]);
}

#[test]
fn a_baseline_that_nobody_judged_is_refused() {
    let wrong = Material { baseline: Some("base".into()), ..material() };
    let error = Report::new("x".into(), wrong).unwrap_err().to_string();
    assert!(error.contains("no judgement is of `base`; there are some of: rl, sft"), "{error}");
    let other = Report::new("x".into(), Material { baseline: Some("rl".into()), ..material() }).unwrap();
    let sft = other.verdicts[0].models.iter().find(|model| model.model == "sft").unwrap();
    assert!((sft.win_rate.unwrap().value - 22.5 / 40.0).abs() < 1e-12);
}

#[test]
fn rows_that_say_too_little_are_told_by_line() {
    let check = |row: &str, expected: &str| {
        let error = read_text(&format!("{}{row}", self::row(1, "ada", "g", &[("a", 1, 4)]))).unwrap_err().to_string();
        assert!(error.contains(":2: ") && error.contains(expected), "{error}");
    };
    check("{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}", "preferences don't say which model");
    check("{\"prompt\": \"p\", \"completions\": [{\"text\": \"a\"}]}", "completions[0]: no `rank`");
    check(
        "{\"prompt\": \"p\", \"completions\": [{\"text\": \"a\", \"rank\": 1, \"rating\": 8}]}",
        "completions[0]: `rating` is 8, expected 1 to 7",
    );
    check("{\"prompt\": \"p\", \"completion\": \"a\"}", "nor a `completion` with `fields` or a `rating`");
    check("{\"completion\": \"a\", \"rating\": 3}", "no `prompt`");
    assert!(read_text("").unwrap_err().to_string().contains("no judgements"));
}

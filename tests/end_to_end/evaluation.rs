//! `eval` and `stats`: tables with intervals, comparisons that fail a build, reports.

use super::{Place, stderr};
use serde_json::{Value, json};

/// A place with multiple-choice rows and an evaluation of the tiny model on them.
fn evaluated() -> Place {
    let place = Place::new();
    let row = |i: u32| json!({"id": i, "context": format!("Q {i}:"), "choices": ["yes", "no", "perhaps"], "gold": i % 3, "source": "rule"});
    place.write("rows.jsonl", &(0..24).map(|i| format!("{}\n", row(i))).collect::<String>());
    let run = "eval run multiple_choice --model tiny --data rows.jsonl --out first";
    place.command(run).assert().success();
    place
}

fn code(place: &Place, arguments: &str) -> (i32, String) {
    let output = place.command(arguments).output().unwrap();
    (output.status.code().unwrap(), stderr(&output))
}

#[test]
fn every_number_has_its_interval_and_n_and_a_second_run_asks_nothing() {
    let place = evaluated();
    let output = place.command("eval run multiple_choice --model tiny --data rows.jsonl --json").output().unwrap();
    let evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
    let task = &evaluation["models"][0]["tasks"][0];
    assert_eq!((task["n_items"].as_u64(), task["n_cached"].as_u64()), (Some(24), Some(24)));
    for estimate in task["estimates"].as_array().unwrap() {
        assert_eq!(estimate["n"], 24);
        assert_eq!(estimate["interval"].as_array().unwrap().len(), 2, "{estimate}");
    }
    let table = place.command("eval run multiple_choice --model tiny --data rows.jsonl").output().unwrap();
    assert!(String::from_utf8_lossy(&table.stdout).contains("] (n = 24)"));
}

#[test]
fn a_regression_ends_with_4_and_equal_models_with_0() {
    let place = evaluated();
    assert_eq!(code(&place, "eval compare first first --metric acc").0, 0);
    // The same evaluation with every answer right, then with every answer wrong.
    for (name, value) in [("good", "1.0"), ("bad", "0.0")] {
        let folder = place.path(name);
        std::fs::create_dir_all(folder.join("items/tiny")).unwrap();
        std::fs::copy(place.path("first/evaluation.json"), folder.join("evaluation.json")).unwrap();
        let items = place.read("first/items/tiny/multiple_choice.jsonl");
        let items = items.replace("\"value\":1.0", "\"value\":V").replace("\"value\":0.0", "\"value\":V");
        place.write(
            &format!("{name}/items/tiny/multiple_choice.jsonl"),
            &items.replace("\"value\":V", &format!("\"value\":{value}")),
        );
    }
    let (exit, told) = code(&place, "eval compare good bad --metric acc");
    assert_eq!(exit, 4, "{told}");
    assert!(told.contains("multiple_choice/acc (-1.0000"), "{told}");
    assert_eq!(code(&place, "eval compare bad good").0, 0);
    let (exit, told) = code(&place, "eval compare good bad --metric f1");
    assert_eq!((exit, told.contains("no metric `f1`")), (2, true), "{told}");
    let (exit, told) = code(&place, "eval compare tiny first");
    assert_eq!((exit, told.contains("evaluate it first")), (2, true), "{told}");
}

#[test]
fn a_report_is_a_page_with_markdown_and_json_beside_it() {
    let place = evaluated();
    let output = place.command("eval report first --out report.html").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "report.html");
    assert!(place.read("report.html").contains("multiple_choice"));
    assert!(place.read("report.md").contains("| acc |"));
    let facts: Value = serde_json::from_str(&place.read("report.json")).unwrap();
    assert_eq!(facts["models"][0]["model"]["name"], "tiny");
}

#[test]
fn a_report_takes_training_runs_and_judgements_and_writes_a_card() {
    let place = evaluated();
    place.write(
        "sft.jsonl",
        "{\"prompt\": \"a\", \"completion\": \" b\"}\n{\"prompt\": \"c\", \"completion\": \" d\"}\n",
    );
    place.run("sft --model tiny --data sft.jsonl --out runs/sft --max-steps 2 --lr 1e-3 --set model.dtype=f32");
    let rows = (0..4).map(|i| {
        json!({"prompt": i, "source": "human", "labeler": "ada", "completions": [
            {"text": "x", "rank": 1 + i % 2, "origin": "tiny"}, {"text": "y", "rank": 2 - i % 2, "origin": "other"}]})
    });
    place.write("judged.jsonl", &rows.map(|row| format!("{row}\n")).collect::<String>());
    place.run("eval report first runs/sft --judgements judged.jsonl --baseline other --out page.html --card card.md");
    let page = place.read("page.html");
    assert!(page.contains("How training went") && page.contains("win rate against other"), "{page}");
    let facts: Value = serde_json::from_str(&place.read("page.json")).unwrap();
    let tiny = &facts["verdicts"][0]["models"][0];
    assert_eq!((tiny["model"].as_str(), tiny["win_rate"]["value"].as_f64()), (Some("tiny"), Some(0.5)));
    assert!(facts["models"][0]["model"]["parameters"].as_u64().unwrap() > 0);
    assert_eq!(facts["runs"][0]["name"], "sft");
    assert!(
        place.read("card.md").contains("# tiny\n")
            && place.read("card.md").contains("win rate against other, by people")
    );
    let check = |arguments: &str, exit: i32, expected: &str| {
        let (found, told) = code(&place, &format!("eval report first {arguments} --out none.html"));
        assert!(found == exit && told.contains(expected), "{arguments}: {found}, {told}");
        assert!(!place.path("none.html").exists() && !place.path("none.md").exists());
    };
    check("--card none.md --card-of nobody", 2, "no model `nobody`; there are: tiny");
    check("tiny", 1, "tiny: not an evaluation: found none of");
    check("--judgements rows.jsonl", 1, "rows.jsonl:1: no `prompt`");
    check("--baseline other", 2, "--judgements");
    check("--judgements judged.jsonl --baseline nobody", 2, "no judgement is of `nobody`");
}

#[test]
fn what_is_missing_or_wrong_is_told_before_a_model_is_loaded() {
    let place = evaluated();
    let check = |arguments: &str, exit: i32, expected: &str| {
        let (found, told) = code(&place, arguments);
        assert!(found == exit && told.contains(expected), "{arguments}: {found}, {told}");
    };
    check("eval run riddles --model nowhere", 2, "unknown task `riddles`");
    check("eval run truthfulqa_mc --model nowhere", 2, "needs a data file");
    check("eval run toxicity --model nowhere --data rows.jsonl", 2, "--scorer FILE");
    check("eval run multiple_choice --model nowhere --data rows.jsonl --samples 3", 2, "--samples does nothing");
    place.write("twice.jsonl", "{\"id\": 1, \"text\": \"a b\"}\n{\"id\": 1, \"text\": \"c\"}\n");
    check("eval run perplexity --model tiny --data twice.jsonl", 1, "item 1: the id stands twice");
    place.write("bad.jsonl", "{\"context\": \"x\", \"choices\": [\"a\"], \"gold\": 3}\n");
    check("eval run multiple_choice --model nowhere --data bad.jsonl", 1, "bad.jsonl:1: `gold` is 3, expected 0 to 0");
}

#[test]
fn statistics_of_a_file_come_as_json_and_as_a_table() {
    let place = Place::new();
    place.write("wins.json", "{\"wins\": 13, \"ties\": 7, \"losses\": 10}");
    let output = place.command("stats win-rate --data wins.json --json").output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    // (13 + 3.5)/30
    assert_eq!((found["win_rate_ties_half"].as_f64(), found["n"].as_u64()), (Some(0.55), Some(30)));
    place.write("unbeaten.json", "{\"n\": 2, \"winner_loser\": [[0, 1]]}");
    let (exit, told) = code(&place, "stats bradley-terry --data unbeaten.json");
    assert!(exit == 1 && told.contains("no chain of wins") && told.contains("--ridge"), "{told}");
    place.command("stats bradley-terry --data unbeaten.json --ridge 1").assert().success();
}

//! The small world through the binary.

use super::Place;
use serde_json::Value;

#[test]
fn rows_of_the_world_are_the_contracts_and_right_by_its_gold() {
    let place = Place::new();
    let texts = place.rows("world text --n 3 --from 5");
    assert_eq!(texts.len(), 3);
    assert_eq!(texts[1], place.rows("world text --n 1 --from 6")[0], "document i depends on i alone");
    assert_ne!(texts, place.rows("world text --n 3 --from 5 --world 2"));

    place.run("world demonstrations --n 300 --out demonstrations.jsonl");
    let report: Value = serde_json::from_str(&place.run("world check --data demonstrations.jsonl --json")).unwrap();
    assert_eq!((&report["all"]["answers"], &report["all"]["prompts"]), (&Value::from(300), &Value::from(300)));
    let parts = report["all"]["parts"].as_array().unwrap();
    let part = |name: &str| parts.iter().find(|part| part["part"] == name).unwrap();
    assert_eq!(part("overall (mean)")["estimate"], 1.0);
    for name in ["truthful", "helpful", "all constraints kept"] {
        assert_eq!(part(name)["estimate"], 1.0, "{name}");
        assert!(part(name)["low"].as_f64().unwrap() < 1.0, "{name}: an interval has a width");
    }
    assert_eq!(
        (&part("hallucinating")["estimate"], &part("harmful")["estimate"]),
        (&Value::from(0.0), &Value::from(0.0))
    );
    // The same by the rules.
    let scored = place.rows("score --reward rule:world --data demonstrations.jsonl");
    assert!(scored.iter().all(|row| row["rewards"][0] == 1.0));
    // Another world knows other facts.
    let other: Value =
        serde_json::from_str(&place.run("world check --data demonstrations.jsonl --json --world 2")).unwrap();
    assert!(other["all"]["parts"][0]["estimate"].as_f64().unwrap() < 0.6);
}

#[test]
fn prompts_of_a_split_are_distinct_and_in_no_other() {
    let place = Place::new();
    let ids = |split: &str| -> Vec<String> {
        let rows = place.rows(&format!("world prompts --split {split} --n 200"));
        assert!(rows.iter().all(|row| row["prompt"][0]["role"] == "user" && row["use_case"].is_string()));
        assert_eq!(rows.iter().any(|row| !row["held_out"].is_null()), split == "eval");
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut all: Vec<String> = ["train", "reward", "policy", "eval"].into_iter().flat_map(ids).collect();
    assert_eq!(all.len(), 800);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 800);
}

#[test]
fn labelers_rank_constructed_and_given_answers() {
    let place = Place::new();
    let exact = "--noise 0 --tie 0 --mistake 0 --flag-error 0 --severity 0";
    place.run(&format!("world rankings --n 60 --k 9 --groups gold {exact} --out rankings.jsonl"));
    let rows = super::rows(&place.read("rankings.jsonl"));
    assert_eq!(rows.len(), 60);
    for row in &rows {
        let completions = row["completions"].as_array().unwrap();
        assert_eq!((completions.len(), &row["source"]), (9, &Value::from("simulated")));
        // The first is the right one, and a labeler without faults says so.
        assert_eq!((&completions[0]["rank"], &completions[0]["rating"]), (&Value::from(1), &Value::from(7)));
        assert_eq!(completions[0]["flags"]["fails_task"], Value::from(false));
    }
    // Ranks are gold's: the rewards of the rule fall with them.
    let scored = place.rows("score --reward rule:world --data rankings.jsonl");
    for (row, scored) in rows.iter().zip(&scored) {
        let rewards = super::numbers(&scored["rewards"]);
        let ranks: Vec<i64> =
            row["completions"].as_array().unwrap().iter().map(|one| one["rank"].as_i64().unwrap()).collect();
        for (i, j) in (0..9).flat_map(|i| (0..9).map(move |j| (i, j))) {
            assert_eq!(ranks[i] < ranks[j], rewards[i] > rewards[j], "{row}");
        }
    }
    // As `generate` writes them: several completions of a prompt, and one that has no other.
    let answer = |prompt: &str, text: &str| {
        format!(
            "{}\n",
            serde_json::json!({"prompt": [{"role": "user", "content": prompt}], "completion": text, "source": "model"})
        )
    };
    let home = "Where does Zilim live?";
    let lines = [
        answer(home, "Drimton."),
        answer("Who rules Orbia?", "Joros"),
        answer(home, "Zilim lives in Luskby."),
        answer(home, ""),
        answer(home, "Drimton. "), // again: nobody ranks a text against itself
    ];
    place.write("answers.jsonl", &lines.concat());
    let given =
        place.rows(&format!("world rankings --data answers.jsonl --groups truthful-first --labelers 1 {exact}"));
    assert_eq!(given.len(), 1);
    let ranks: Vec<&Value> = given[0]["completions"].as_array().unwrap().iter().map(|one| &one["rank"]).collect();
    // Right; nothing said is better than something false for who puts truth first.
    assert_eq!(ranks, [3, 1, 2]);
    assert_eq!(
        (&given[0]["group"], &given[0]["labeler"]),
        (&Value::from("truthful-first"), &Value::from("truthful-first-1"))
    );
    assert_eq!(given[0]["use_case"], "open_qa");
    let same = "world rankings --n 40 --k 4 --groups gold form-first --seed 3";
    assert_eq!(place.run(same), place.run(same));
    assert_ne!(place.run(same), place.run(&same.replace("--seed 3", "--seed 4")));
}

#[test]
fn checks_print_tables_and_write_verdicts() {
    let place = Place::new();
    let prompt = "Where does Zilim live?";
    let row = |text: &str| format!("{}\n", serde_json::json!({"prompt": prompt, "completion": text}));
    place.write("answers.jsonl", &[row("Luskby"), row("Drimton"), row("Where does Tropu live?")].concat());
    let table = place.run("world check --data answers.jsonl --by-use-case --out verdicts.jsonl");
    assert!(table.starts_with("All: 3 answers to 1 prompts, 95 % intervals\npart "), "{table}");
    let line = |name: &str| -> Vec<&str> {
        table.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().split_whitespace().collect()
    };
    // Wilson's interval of 1 of 2, z = 1.96: (0.5 + 0.9604 ± 1.96 √(0.125 + 0.2401)) ÷ 2.9208; of 2 of 3 likewise.
    assert_eq!(line("truthful"), ["0.500", "0.095", "0.905", "2"]);
    assert_eq!(line("helpful"), ["0.667", "0.208", "0.939", "3"]);
    assert_eq!(line("declining the harmless")[0], "0.000");
    assert!(line("harmful").is_empty() && line("hallucinating").is_empty(), "{table}");
    assert!(table.contains("\nopen_qa: 3 answers"), "{table}");
    let verdicts = super::rows(&place.read("verdicts.jsonl"));
    let truths: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["truth"]).collect();
    assert_eq!(truths, [&Value::from(true), &Value::from(false), &Value::Null]);
    assert_eq!(verdicts[0]["overall"], 1.0);
}

#[test]
fn wrong_requests_to_the_world_say_what_is_expected() {
    let place = Place::new();
    place.write("texts.jsonl", "{\"text\": \"t\"}\n");
    place.write("alone.jsonl", "{\"prompt\": \"p\", \"completion\": \"c\"}\n");
    let error = place.fails("world check --data texts.jsonl", 1);
    assert!(error.contains("texts.jsonl") && error.contains("expected one with completions"), "{error}");
    let error = place.fails("world rankings --data alone.jsonl", 1);
    assert!(error.contains("alone.jsonl: no prompt with two completions") && error.contains("hint:"), "{error}");
    let error = place.fails("world rankings --groups nobody", 2);
    assert!(error.contains("group `nobody`: expected one of gold"), "{error}");
    let error = place.fails("world rankings --mistake 2", 2);
    assert!(error.contains("mistake = 2: expected a probability"), "{error}");
    place.fails("world rankings --k 10", 2);
    let error = place.fails("score --reward rule:world:x --data alone.jsonl", 2);
    assert!(error.contains("rule:world:x: expected a whole number"), "{error}");
}

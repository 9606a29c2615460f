//! Instruction data: templates, Self-Instruct and curation, from the files that ship with the project.

use crate::stub::{Reply, Stub};
use crate::{Place, repository, rows};
use serde_json::Value;

/// A file of the project's data, as an argument.
fn shipped(name: &str) -> String {
    repository().join("data").join(name).display().to_string()
}

#[test]
fn shipped_templates_render_with_a_cluster_held_out() {
    let place = Place::new();
    let (templates, data, clusters) = (shipped("templates"), shipped("labelled.jsonl"), shipped("task_clusters.json"));
    place.run(&format!(
        "data render --templates {templates} --data {data} --all --clusters {clusters} --hold-out sentiment \
         --out train.jsonl --held-out-out held.jsonl"
    ));
    let (train, held_out) = (rows(&place.read("train.jsonl")), rows(&place.read("held.jsonl")));
    // 440 rows: 96 reviews by four templates and 56 moods by three are held out; 72 each of four tasks by three.
    assert_eq!((held_out.len(), train.len()), (96 * 4 + 56 * 3, 72 * 4 * 3));
    assert!(held_out.iter().all(|row| row["task"] == "reviews" || row["task"] == "moods"));
    for row in train.iter().chain(&held_out) {
        let gold = row["gold"].as_u64().unwrap() as usize;
        assert_eq!(row["choices"][gold], row["completion"].as_str().unwrap().trim());
    }
}

#[test]
fn broken_templates_and_rows_are_named() {
    let place = Place::new();
    let check = |prompt: &str, data: &str, expected: &str| {
        let template = format!("task = 't'\n[[template]]\nname = 'n'\nprompt = '{prompt}'\ncompletion = 'c'\n");
        place.write("t.toml", &template);
        place.write("d.jsonl", data);
        let error = place.fails("data render --all --templates t.toml --data d.jsonl", 1);
        assert!(error.contains(expected), "{error}");
    };
    check("{{ a", "{}\n", "t.toml: template \"n\": ");
    let endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    check(endless, "{\"a\": 1}\n", "d.jsonl:1: template \"n\": it takes more steps than a template may");
    check("x", "{}\n[1]\n", "d.jsonl:2: found no object");
}

#[test]
fn self_instruct_goes_on_and_asks_nothing_twice() {
    let place = Place::new();
    let stub = Stub::start();
    let text = " Greet the new neighbours politely.\\n4. Input:\\n<noinput>\\n4. Output:\\nWelcome!";
    let body =
        format!(r#"{{"choices": [{{"text": "{text}", "finish_reason": "stop"}}], "usage": {{"prompt_tokens": 9}}}}"#);
    stub.reply("/v1/completions", Reply::StatusThenBody(503, 1, body.into_bytes()));
    let command = format!(
        "self-instruct run --target 3 --barren-rounds 2 --prompts-per-round 2 --endpoint {}/v1 --endpoint-model m \
         --out run --recipe",
        stub.address
    );
    place.run(&format!("{command} alpaca"));
    let report: Value = serde_json::from_str(&place.read("run/report.json")).unwrap();
    // The first round keeps one task; the next two keep nothing, and it gives up.
    assert_eq!((&report["gave_up"], &report["rounds"]), (&true.into(), &3.into()));
    assert_eq!((&report["spent"]["requests"], &report["spent"]["prompt_tokens"]), (&6.into(), &54.into()));
    let tasks = place.read("run/tasks.jsonl");
    assert_eq!(rows(&tasks)[0]["instances"][0]["output"], "Welcome!");
    let n_asked = stub.asked().len();
    assert_eq!(n_asked, 7, "six answers and a failure");
    place.run(&format!("{command} alpaca"));
    assert_eq!((stub.asked().len(), place.read("run/tasks.jsonl")), (n_asked, tasks));
    let error = place.fails(&format!("{command} paper"), 2);
    assert!(error.contains("the run was made with"), "{error}");
}

#[test]
fn a_prompt_that_a_local_model_cannot_read_is_said() {
    let place = Place::new();
    let error = place.fails("self-instruct run --target 1 --model tiny --out run", 1);
    assert!(error.contains("the model's context is 128"), "{error}");
}

#[test]
fn seeds_are_judged_described_and_exported() {
    let place = Place::new();
    let seeds = shipped("seed_tasks.jsonl");
    let judged = place.rows(&format!("self-instruct filter --recipe alpaca --seeds {seeds} --candidates {seeds}"));
    assert!(judged.len() >= 100);
    // Each is itself among the seeds.
    assert!(judged.iter().all(|row| row["kept"] == false));
    assert!(judged.iter().filter(|row| row["reason"] == "similar").all(|row| row["max"] == 1.0));
    let report: Value =
        serde_json::from_str(&place.run(&format!("self-instruct report --json --tasks {seeds}"))).unwrap();
    assert_eq!(report["tasks"], judged.len());
    let exported = place.rows(&format!("self-instruct export --tasks {seeds}"));
    assert_eq!(report["instances"], exported.len());
}

#[test]
fn a_corpus_is_cleaned_and_says_why() {
    let place = Place::new();
    let france = r#"{"prompt": "What is the capital of the country of France?""#;
    let data = [
        r#"{"prompt": "Write to jo@example.org about the lighthouse, please", "completion": "Done."}"#.to_owned(),
        r#"{"prompt": "write to jo@example.org about the lighthouse, please", "completion": "DONE."}"#.to_owned(),
        format!("{france}, \"completion\": \"Paris.\"}}"),
        r#"{"prompt": "Summarize the story of the fox.", "completion": "Sour grapes."}"#.to_owned(),
    ];
    place.write("d.jsonl", &data.join("\n"));
    place.write("eval.jsonl", &format!("{france}}}\n"));
    let command = "data curate --data d.jsonl --out out --use-cases --against eval.jsonl";
    place.run(command);
    let kept = rows(&place.read("out/kept.jsonl"));
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0]["prompt"], "Write to [email] about the lighthouse, please");
    assert_eq!(kept[1]["use_case"], "summarization");
    let dropped = rows(&place.read("out/dropped.jsonl"));
    let reasons: Vec<&Value> = dropped.iter().map(|row| &row["dropped"]["reason"]).collect();
    assert_eq!(reasons, ["duplicate", "contaminated"]);
    let manifest = place.read("out/manifest.json");
    place.run(command);
    assert_eq!(place.read("out/manifest.json"), manifest);
    // A scorer is wanted, and none ships.
    place.fails("data curate --data d.jsonl --out out --max-toxicity 0.5", 3);
    place.fails("data curate --data d.jsonl --out out --max-toxicity 0.5 --scorer nowhere.json", 3);
}

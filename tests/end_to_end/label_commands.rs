//! `helpmate label …` and `helpmate trace` without a page: what goes into a labeling database and what comes out.

use super::Place;
use label::{Body, Next, OpenOptions, Place as Ranked, Store};
use serde_json::{Value, json};

const SETTINGS: &str = "title = \"Tone\"\noverlap = 2\nfield = []\n[ranking]\nk_max = 3\nrate_each = false\n";

impl Place {
    fn store(&self) -> Store {
        Store::open(&self.path("labels.db").display().to_string(), &OpenOptions::default()).unwrap()
    }

    /// Somebody ranks every task: by the answers' texts, or the other way round.
    fn rank_all(&self, name: &str, upside_down: bool) {
        let store = self.store();
        let project = store.project_by_name("tone").unwrap().id;
        let person = store.person_by_name(name).unwrap().unwrap().id;
        while let Next::Task(task) = store.next_task(person, project, &[]).unwrap() {
            let mut answers = task.answers.clone();
            answers.sort_by(|a, b| a.text.cmp(&b.text));
            if upside_down {
                answers.reverse();
            }
            let places = (1..).zip(&answers).map(|(rank, answer)| Ranked { candidate: answer.candidate, rank });
            let body =
                Body::Rank { places: places.collect(), all_bad: false, ratings: Vec::new(), notes: String::new() };
            let submission = format!("s{}", task.task);
            let submission = label::Submission { lease: task.lease.clone(), submission, body, seconds: Some(20.0) };
            store.submit(person, &submission).unwrap();
        }
    }
}

/// A project with two prompts of three answers, ranked by two people who agree on the first only.
fn labeled() -> Place {
    let place = Place::new();
    place.write("tone.toml", SETTINGS);
    let row = |prompt: &str, answers: [&str; 3]| {
        json!({"prompt": [{"role": "user", "content": prompt}], "completions": answers}).to_string()
    };
    place.write("rows.jsonl", &[row("up", [" a", " b", " c"]), row("down", [" x", " y", " z"])].join("\n"));
    place.run("label project create tone --settings tone.toml");
    place.run("label import tone --data rows.jsonl --origin tiny");
    place.run("label tasks tone --kind rank");
    for name in ["ada", "bo"] {
        let password = place.run(&format!("label user add {name} --group pilot"));
        let session = place.store().log_in(name, password.trim(), "").unwrap();
        assert_eq!(session.person.group, "pilot");
    }
    place.rank_all("ada", false);
    place.rank_all("bo", true);
    place
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn from_rows_to_a_reward_model_and_back_by_its_lineage() {
    let place = labeled();
    let report = value(&place.run("label agreement tone --json --resamples 200"));
    assert_eq!((&report["n_people"], &report["sources"]["human"]), (&json!(2), &json!(4)));
    assert_eq!(report["rankings"]["exact"]["value"], json!(0.0));
    assert_eq!(report["labelers"].as_array().unwrap().len(), 2);
    let text = place.run("label agreement tone");
    assert!(text.contains("exact agreement") && text.contains("ada"), "{text}");

    place.run("label export tone --out rankings.jsonl");
    let rows = super::rows(&place.read("rankings.jsonl"));
    assert_eq!(rows.len(), 4);
    let manifest = value(&place.read("rankings.jsonl.manifest.json"));
    assert_eq!((&manifest["rows"], &manifest["labelers"]), (&json!(4), &json!(2)));
    assert_eq!(manifest["blake3"], json!(stdx::hash::file(&place.path("rankings.jsonl")).unwrap()));
    // The export is what a reward model is trained on, as it is.
    place.run("rm --model tiny --max-steps 1 --set model.dtype=f32 --data rankings.jsonl --out runs/rm");
    place.run("rm --model runs/rm --max-steps 1 --set model.dtype=f32 --data rankings.jsonl --out runs/again");
    place.write("other.jsonl", "{\"prompt\": \"up\", \"completion\": \" a\"}\n");
    place.run("sft --model tiny --max-steps 1 --set model.dtype=f32 --data other.jsonl --out runs/sft");

    let id = rows[0]["id"].as_str().unwrap();
    let trace = value(&place.run(&format!("trace {id} --runs runs --db labels.db --json")));
    assert_eq!((&trace["kind"], &trace["judgement"]["project"]), (&json!("judgement"), &json!("tone")));
    let used: Vec<&str> = trace["used_by"].as_array().unwrap().iter().map(|s| s["path"].as_str().unwrap()).collect();
    assert_eq!(used, ["runs/again", "runs/rm"]);
    let text = place.run("trace runs/again --runs runs");
    for words in ["made of", "run runs/rm (rm)", "4 rows with a judgement's id", "used by no run"] {
        assert!(text.contains(words), "{words:?} in\n{text}");
    }
    let text = place.run("trace runs/rm --runs runs");
    assert!(text.contains("used by\n  run runs/again"), "{text}");
    assert!(place.run("trace other.jsonl --runs runs").contains("run runs/sft"));
    let absent = format!("{}-999", &id[..16]);
    assert!(place.fails(&format!("trace {absent} --runs runs"), 1).contains("in no data file of the 3 runs"));
    assert!(place.fails("trace nothing-like-it", 1).contains("not the `id` of an exported row"));
}

#[test]
fn exports_come_back_and_statistics_need_no_database() {
    let place = labeled();
    place.run("label export tone --out rankings.jsonl");
    place.run("label export tone --format parquet --out rankings.parquet");
    let stored = value(&place.run("label agreement tone --json --resamples 200"));
    for file in ["rankings.jsonl", "rankings.parquet"] {
        let found = value(&place.run(&format!("stats judgements --data {file} --json --resamples 200")));
        for name in ["exact", "strict", "ties_half", "kappa", "kendall_tau_b", "kendall_w", "alpha", "ties"] {
            let number = |report: &Value| report["rankings"][name]["value"].as_f64().unwrap();
            assert!((number(&found) - number(&stored)).abs() < 1e-12, "{file} {name}: {found}");
        }
        assert_eq!(found["sources"], stored["sources"]);
    }
    let text = place.run("stats judgements --data rankings.jsonl --settings tone.toml --gold rankings.jsonl");
    assert!(text.contains("exact agreement") && text.contains("known rankings"), "{text}");
    place.write(
        "bad.jsonl",
        "{\"prompt\": \"p\", \"labeler\": \"l\", \"completions\": [{\"text\": \"a\", \"rank\": 0}]}\n",
    );
    let error = place.fails("stats judgements --data bad.jsonl", 1);
    assert!(error.contains("bad.jsonl:1: completions[0].rank: found 0, expected a whole number"), "{error}");
    place.write("wins.json", "{\"wins\": 3, \"losses\": 1}");
    assert!(place.fails("stats win-rate --data wins.json --seed 1", 2).contains("only `stats judgements` takes it"));
    assert!(place.fails("label export tone --format parquet", 2).contains("--out FILE"));

    place.run("label project create again --settings tone.toml");
    place.run("label import again --data rankings.jsonl --judgements");
    place.run("label import again --data rankings.parquet --judgements");
    place.run("label export again --out again.jsonl");
    assert_eq!(place.read("again.jsonl"), place.read("rankings.jsonl"));
    let id = super::rows(&place.read("again.jsonl"))[0]["id"].as_str().unwrap().to_owned();
    let trace = value(&place.run(&format!("trace {id} --runs . --db labels.db --json")));
    assert_eq!(trace["judgement"]["project"], json!("tone"), "where it was said first");
}

#[test]
fn exports_for_others_say_the_same() {
    let place = labeled();
    // Three answers in order are three pairs, of each of four rankings.
    let trl = place.rows("label export tone --for trl");
    assert_eq!(trl.len(), 12);
    assert_eq!(trl[0]["prompt"], json!([{"role": "user", "content": "up"}]));
    assert_eq!((&trl[0]["chosen"][0]["role"], trl[0].as_object().unwrap().len()), (&json!("assistant"), 3));
    let openrlhf = place.rows("label export tone --for openrlhf");
    assert_eq!(openrlhf[0]["chosen"].as_array().unwrap().len(), 2);
    place.run("label export tone --for llamafactory --out tone.jsonl");
    let info = value(&place.read("dataset_info.json"));
    assert_eq!((&info["tone"]["file_name"], &info["tone"]["ranking"]), (&json!("tone.jsonl"), &json!(true)));
    let csv = place.run("label export tone --content preferences --format csv");
    assert!(csv.starts_with("prompt,chosen,rejected,id,source,labeler,group"), "{csv}");
    let hh = place.rows("label export tone --format hh");
    assert_eq!((hh.len(), &hh[0]["chosen"].as_str().unwrap()[..12]), (12, "\n\nHuman: up\n"));
    // Opposite rankings by two people leave no order.
    let majority = place.rows("label export tone --aggregate majority");
    let ranks = |row: &Value| -> Vec<Value> {
        row["completions"].as_array().unwrap().iter().map(|completion| completion["rank"].clone()).collect()
    };
    assert_eq!((majority.len(), ranks(&majority[0])), (2, vec![json!(1), json!(1), json!(1)]));
    let error = place.fails("label export tone --for trl --content rankings", 2);
    assert!(error.contains("--for trl: found rankings, expected preferences"), "{error}");
}

/// The page's commands run as they stand there, and its settings are settings.
#[test]
fn the_page_is_right() {
    let page = std::fs::read_to_string(super::repository().join("docs/labeling.md")).unwrap();
    let block = |after: &str, fence: &str| {
        let start = page.find(after).expect(after);
        let start = start + page[start..].find(fence).unwrap() + fence.len();
        page[start..start + page[start..].find("```").unwrap()].to_owned()
    };
    let place = Place::new();
    std::fs::create_dir(place.path("data")).unwrap();
    std::fs::copy(super::repository().join("data/rankings.jsonl"), place.path("data/rankings.jsonl")).unwrap();
    let commands = block("## In ten commands", "```\n");
    assert_eq!(commands.lines().count(), 10);
    for line in commands.lines() {
        let arguments = line.strip_prefix("helpmate ").expect("a command");
        place.run(arguments);
    }
    assert!(place.store().counts(1).unwrap().tasks > 0);
    label::Settings::from_toml(&block("## Settings", "```toml\n")).unwrap();
}

#[test]
fn a_database_is_looked_after() {
    let place = labeled();
    assert!(place.run("label project list").contains("2/2"));
    let settings = place.run("label project settings tone");
    place.write("again.toml", &settings);
    place.run("label project settings tone --set again.toml --state paused");
    assert_eq!(place.run("label project settings tone"), settings);
    place.run("label user change bo --role reviewer --group held-out");
    assert!(place.run("label user list").contains("reviewer"));
    let link = place.run("label invite --role labeler --note cy");
    let token = link.trim().strip_prefix("/label/invitation/").unwrap();
    assert_eq!(place.store().invitation(token).unwrap().note, "cy");

    place.run("label backup copy.db");
    assert!(place.fails("label backup copy.db", 1).contains("it exists"));
    place.run("label erase --person ada");
    assert!(!place.run("label user list").contains("ada"));
    assert!(place.run("label audit --limit 1").contains("person.erase"));
    // The copy is from before, and goes back into an empty database.
    place.run("label restore copy.db --db fresh.db");
    assert!(place.run("label user list --db fresh.db").contains("ada"));
    assert!(place.fails("label restore copy.db --db labels.db", 1).contains("expected an empty database"));

    let tree = json!({"message_tree_id": "t", "tree_state": "ready_for_export", "prompt": {"text": "Why?", "role": "prompter",
        "replies": [{"text": "So.", "role": "assistant", "rank": 0, "replies": []}]}});
    place.write("trees.jsonl", &tree.to_string());
    place.run("label import tone --trees --data trees.jsonl");
    assert_eq!(place.rows("label export tone --content trees"), [tree]);
}

#[test]
fn what_is_wrong_is_named() {
    let place = Place::new();
    let error = place.fails("label project list", 1);
    assert!(error.contains("labels.db: no such database") && error.contains("hint:"), "{error}");
    place.run("label project create tone");
    assert!(place.fails("label project create tone", 1).contains("exists already"));
    assert!(place.fails("label project create ../x", 1).contains("1 to 64 of a-z"));
    assert!(place.fails("label tasks nobody --kind rank", 1).contains("projects: tone"));
    assert!(place.fails("label tasks tone --kind juggle", 2).contains("rank"));
    assert!(place.fails("label user add x --role king", 2).contains("labeler, reviewer or manager"));
    place.write("bad.toml", "overlapp = 2\n");
    assert!(place.fails("label project create y --settings bad.toml", 2).contains("bad.toml: settings: found"));
    place.write("bad.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": 7}\n");
    let error = place.fails("label import tone --data bad.jsonl", 1);
    assert!(error.contains("bad.jsonl") && error.contains("2"), "{error}");
    assert_eq!(place.store().counts(1).unwrap().prompts, 0);
    assert!(place.fails("label erase --person nobody", 1).contains("no person"));
    assert!(place.fails("label erase", 2).contains("--person"));
    assert!(place.fails("label export tone --content poems", 2).contains("rankings"));
    assert!(place.fails("label user list --db postgres://me:secret@127.0.0.1:1/x", 1).contains("me@127.0.0.1:1"));
    let error = place.fails("label user list --db postgres://me:secret@127.0.0.1:1/x", 1);
    assert!(!error.contains("secret"), "{error}");
}

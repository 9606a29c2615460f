//! Instruction data: templates, Self-Instruct and curation, from the files that ship with the project.

use crate::stub::{Reply, Stub};
use crate::{Place, repository, rows};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
fn nothing_is_both_trained_on_and_evaluated() {
    let place = Place::new();
    let (templates, data, split) = (shipped("templates"), shipped("labelled.jsonl"), shipped("task_split.csv"));
    let command =
        format!("data render --templates {templates} --data {data} --out train.jsonl --held-out-out held.jsonl");
    place.run(&format!("{command} --split {split} --t0 t0"));
    let tasks = |file: &str| {
        rows(&place.read(file)).iter().map(|row| row["task"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(tasks("train.jsonl"), ["headlines", "question_kinds", "sizes"].map(str::to_owned).into());
    assert_eq!(tasks("held.jsonl"), ["inference", "moods"].map(str::to_owned).into());
    // T0+ trains on a task that the table evaluates.
    let error = place.fails(&format!("{command} --split {split} --t0 t0+"), 1);
    assert!(error.contains("task \"moods\" would be both trained on and evaluated"), "{error}");
    assert!(error.contains("hint: --drop-overlap"), "{error}");
    place.run(&format!("{command} --split {split} --t0 t0+ --drop-overlap"));
    assert_eq!(tasks("held.jsonl"), ["inference".to_owned()].into());
    assert!(tasks("train.jsonl").contains("reviews"));

    // The same prompt in two tasks, one of them held out.
    let template =
        |task: &str| format!("task = '{task}'\n[[template]]\nname = 'n'\nprompt = '{{{{ a }}}}?'\ncompletion = 'c'\n");
    std::fs::create_dir(place.path("t")).unwrap();
    place.write("t/one.toml", &template("one"));
    place.write("t/two.toml", &template("two"));
    place.write(
        "d.jsonl",
        "{\"task\": \"one\", \"a\": \"x\"}\n{\"task\": \"two\", \"a\": \"y\"}\n{\"task\": \"two\", \"a\": \"x\"}\n",
    );
    place.write("c.json", r#"{"clusters": {"k": ["one"], "l": ["two"]}}"#);
    let command = "data render --templates t --data d.jsonl --clusters c.json --hold-out k --out o.jsonl";
    place.run(command);
    let error = place.fails(&format!("{command} --held-out-out h.jsonl"), 1);
    assert!(
        error.contains("d.jsonl:3 and d.jsonl:1: the same prompt would be trained on and evaluated: \"x?\""),
        "{error}"
    );
}

#[test]
fn caps_and_proportions_mix_tasks() {
    let place = Place::new();
    let (templates, data) = (shipped("templates"), shipped("labelled.jsonl"));
    let counts = |options: &str| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let rendered = place.rows(&format!("data render --templates {templates} --data {data} {options}"));
        rendered.iter().for_each(|row| *counts.entry(row["task"].as_str().unwrap().to_owned()).or_default() += 1);
        ["reviews", "moods", "sizes"].map(|task| counts[task])
    };
    assert_eq!(counts(""), [96, 56, 72]);
    assert_eq!(counts("--cap 60"), [60, 56, 60]);
    // 96 reviews are more than 80, and 4 templates get 20 each; 72 and 56 rows aren't.
    assert_eq!(counts("--cap-by-templates 80"), [20, 56, 72]);
    // In proportion to 60, 56 and 60, as many as there are.
    assert_eq!(counts("--rate-max 60"), [60, 56, 60]);
    assert_eq!(counts("--rate-max 60 --cap 28"), [28, 26, 28]);
}

/// A model, a cluster held out, training, and rank classification before and after, in one command.
#[test]
fn an_unseen_kind_of_task_is_measured_before_and_after() {
    let place = Place::new();
    std::fs::create_dir(place.path("t")).unwrap();
    for (task, question) in [("parity", "even?"), ("size", "big?"), ("colour", "red?")] {
        let template = |name: &str, form: &str| {
            format!(
                "[[template]]\nname = '{name}'\nanswer_choices = ['no', 'yes']\nprompt = '{form}'\ncompletion = '{{{{ answer_choices[label] }}}}'\n"
            )
        };
        let (one, two) =
            (template("ask", &format!("{{{{ x }}}} {question}")), template("tell", &format!("{question} {{{{ x }}}}")));
        place.write(&format!("t/{task}.toml"), &format!("task = '{task}'\n{one}{two}"));
    }
    let row =
        |task: &str, i: usize, label: usize| json!({"task": task, "x": format!("{i}"), "label": label}).to_string();
    let data: Vec<String> = (0..20)
        .flat_map(|i| {
            [
                row("parity", i, usize::from(i % 2 == 0)),
                row("size", 100 + i, usize::from(i > 9)),
                row("colour", 200 + i, 1),
            ]
        })
        .collect();
    place.write("d.jsonl", &data.join("\n"));
    place.write("c.json", r#"{"clusters": {"numbers": ["parity"], "others": ["size", "colour"]}}"#);
    let command = "unseen --model tiny --templates t --data d.jsonl --clusters c.json --hold-out numbers --out out \
                   --batch-size 8 --epochs 8 --lr 1e-2 --seen-fraction 0.3 --set model.dtype=f32 --json";
    let report: Value = serde_json::from_str(&place.run(command)).unwrap();
    let (unseen, seen) = (&report["unseen"][0], &report["seen"][0]);
    assert_eq!((&unseen["rows"], &unseen["renderings"], &unseen["chance"]), (&20.into(), &40.into(), &0.5.into()));
    assert_eq!(unseen["majority"], 0.5);
    let names: Vec<&str> = report["unseen"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["all", "parity", "parity: ask", "parity: tell"]);
    let (trained, kept) = (report["renderings_trained"].as_u64().unwrap(), seen["renderings"].as_u64().unwrap());
    assert_eq!(trained + kept, 80);
    assert_eq!(report["steps"], trained.div_ceil(8) * 8);
    // Colour is always yes: that is learnt in no time.
    let colour = report["seen"].as_array().unwrap().iter().find(|change| change["name"] == "colour").unwrap();
    assert_eq!(colour["after"]["value"], 1.0, "{colour}");
    for change in [unseen, seen] {
        let [low, high] = [0, 1].map(|end| change["difference"]["interval"][end].as_f64().unwrap());
        assert!(low <= change["difference"]["value"].as_f64().unwrap() && high < 1.01, "{change}");
    }
    assert!(place.read("out/report.html").contains("unseen kind of task"));
    // Again: nothing is trained, and the numbers are the same. Another experiment doesn't go there.
    let steps = place.read("out/sft/metrics.jsonl");
    assert_eq!(serde_json::from_str::<Value>(&place.run(command)).unwrap(), report);
    assert_eq!(place.read("out/sft/metrics.jsonl"), steps);
    let error = place.fails(&command.replace("1e-2", "2e-2"), 2);
    assert!(error.contains("another experiment is there"), "{error}");
    let error = place.fails(&command.replace("numbers", "nothing").replace("--out out", "--out new"), 2);
    assert!(error.contains("no cluster \"nothing\", expected one of numbers, others"), "{error}");
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
    check("x", "", "d.jsonl: no rows");
    check("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{}\n", "d.jsonl:1: template \"n\": ");
    check("{{ [1, 2][a] }}{{ a.b.c }}", "{\"a\": \"text\"}\n", "d.jsonl:1: template \"n\": ");
    check("{% if %}", "{}\n", "t.toml: template \"n\": ");
    // Counted, where that is wanted; CRLF, NUL and other scripts are text like any other.
    place.write("t.toml", "task = 't'\n[[template]]\nname = 'n'\nprompt = '{{ a.b.c }}{{ d }}'\ncompletion = 'c'\n");
    place.write(
        "d.jsonl",
        "{\"a\": {\"b\": {\"c\": \"x\"}}}\r\n{\"a\": 1}\r\n{\"a\": {\"b\": {}}, \"d\": \"\\u0000 語\"}\r\n",
    );
    let output = place.command("data render --all --templates t.toml --data d.jsonl --skip-bad").output().unwrap();
    assert!(crate::stderr(&output).contains("1 skipped: template \"n\": "), "{}", crate::stderr(&output));
    let prompts: Vec<Value> =
        rows(&String::from_utf8(output.stdout).unwrap()).iter().map(|row| row["prompt"].clone()).collect();
    assert_eq!(prompts, ["x", "\0 語"]);
    // A file that unfolds, one that isn't text, and one that isn't there.
    let bomb: String = (1..40).map(|i| format!("l{i}: &l{i} [*l{}, *l{}]\n", i - 1, i - 1)).collect();
    place.write("bomb.yaml", &format!("l0: &l0 [x, x]\n{bomb}"));
    std::fs::write(place.path("latin.toml"), b"task = '\xe9'").unwrap();
    for (file, expected) in [("bomb.yaml", "bomb.yaml:"), ("latin.toml", "latin.toml"), ("none.yaml", "none.yaml")] {
        let error = place.fails(&format!("data render --templates {file} --data d.jsonl"), 1);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn text_of_other_scripts_is_compared_where_that_is_asked_for() {
    let place = Place::new();
    place.write("seeds.jsonl", "{\"instruction\": \"Напиши короткое стихотворение о море\"}\n");
    place.write("candidates.jsonl", "{\"instruction\": \"Xнапиши короткое стихотворение о море\"}\n");
    let filter = "self-instruct filter --recipe alpaca --seeds seeds.jsonl --candidates candidates.jsonl";
    // The published tokenizer sees one Latin letter: nothing is like anything.
    assert_eq!((&place.rows(filter)[0]["max"], &place.rows(filter)[0]["kept"]), (&0.0.into(), &true.into()));
    let unicode = &place.rows(&format!("{filter} --unicode"))[0];
    // Four words of five on both sides.
    assert!((unicode["max"].as_f64().unwrap() - 0.8).abs() < 1e-12 && unicode["kept"] == false, "{unicode}");
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

//! `eval run` on tasks that no language model answers, and with scorers that misbehave.

use super::reward_service::{Answer, RewardService};
use super::stub::{Reply, Stub};
use super::{Place, stderr};
use serde_json::{Value, json};

/// Four prompts ranked by two labelers of two groups; the longer answer is the better one for group a alone.
fn rankings(place: &Place) {
    let row = |i: usize| {
        let (labeler, group) = if i < 4 { ("ada", "a") } else { ("bob", "b") };
        let (long, short) = if group == "a" { (1, 2) } else { (2, 1) };
        json!({"id": format!("{labeler}-{i}"), "prompt": format!("p{}", i % 4), "labeler": labeler, "group": group, "source": "human",
               "use_case": (["open_qa", "rewrite"][i % 2]),
               "completions": [{"text": " one two three", "rank": long}, {"text": " one", "rank": short}]})
    };
    place.write("rankings.jsonl", &(0..8).map(|i| format!("{}\n", row(i))).collect::<String>());
}

fn evaluation(place: &Place, folder: &str) -> Value {
    serde_json::from_str(&place.read(&format!("{folder}/evaluation.json"))).unwrap()
}

/// The value of a metric of the first model's first task.
fn value(estimates: &Value, metric: &str) -> Option<f64> {
    estimates.as_array()?.iter().find(|estimate| estimate["metric"] == metric)?["value"].as_f64()
}

#[test]
fn rewards_are_measured_by_section_labeler_and_group() {
    let place = Place::new();
    rankings(&place);
    let run = "eval run reward_model --reward words=rule:words:3 --data rankings.jsonl --slices --out rewards";
    let text = place.run(run);
    for said in
        ["accuracy", "(n = 8)", "reward_model / labeler ada", "reward_model / group b", "reward_model / open_qa"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let evaluation = evaluation(&place, "rewards");
    let task = &evaluation["models"][0]["tasks"][0];
    // The rule likes the longer answer: right for a, wrong for b.
    assert_eq!(value(&task["estimates"], "accuracy"), Some(0.5));
    assert_eq!(value(&task["slices"]["group a"], "accuracy"), Some(1.0));
    assert_eq!(value(&task["slices"]["labeler bob"], "accuracy"), Some(0.0));
    assert!(value(&task["estimates"], "calibration_error").is_some());
    // Eight rows of four prompts: the interval is over four.
    assert!(task["notes"][0].as_str().unwrap().starts_with("8 untied pairs of 4 prompts"), "{}", task["notes"]);
    place.run("eval report rewards --out report.html");
    assert!(place.read("report.md").contains("calibration_error"));
}

#[test]
fn the_group_that_a_reward_model_never_saw_counts_by_itself() {
    let place = Place::new();
    rankings(&place);
    place.run(
        "rm --model tiny --data rankings.jsonl --max-steps 1 --set model.dtype=f32 --set rm.leave_out_group=b --out reward",
    );
    let run = "eval run reward_model --reward reward --data rankings.jsonl --out rewards";
    let text = place.run(run);
    assert!(text.contains("the group b was left out of its training"), "{text}");
    let first = evaluation(&place, "rewards");
    let task = &first["models"][0]["tasks"][0];
    assert_eq!(task["settings"]["left_out_group"], "b");
    let unseen = value(&task["estimates"], "unseen_group");
    assert!(unseen.is_some() && unseen == value(&task["slices"]["group b"], "accuracy"), "{task}");
    place.run(run);
    assert_eq!(evaluation(&place, "rewards")["models"][0]["tasks"][0]["n_cached"], 8);
}

#[test]
fn judgements_have_a_column_for_each_model_and_none_say_how_to_collect_them() {
    let place = Place::new();
    let row = |i: usize| {
        json!({"id": i, "prompt": format!("p{}", i / 2), "completion": format!("c{i}"), "origin": (["sft", "ppo"][i % 2]), "source": "human",
               "labeler": "ada", "fields": {"inappropriate": i.is_multiple_of(2), "rating": 1 + i % 7}})
    };
    place.write("ratings.jsonl", &(0..8).map(|i| format!("{}\n", row(i))).collect::<String>());
    let text = place.run("eval run appropriateness --data ratings.jsonl --out judged");
    assert!(text.contains("sft") && text.contains("ppo") && text.contains("can't say (n = 0)"), "{text}");
    let evaluation = evaluation(&place, "judged");
    let names: Vec<&Value> = evaluation["models"].as_array().unwrap().iter().map(|m| &m["model"]["name"]).collect();
    assert_eq!(names, ["sft", "ppo"]);
    let rates: Vec<_> =
        (0..2).map(|i| value(&evaluation["models"][i]["tasks"][0]["estimates"], "appropriate")).collect();
    assert_eq!(rates, [Some(0.0), Some(1.0)]);
    place.run("eval report judged --out report.html");

    place.write("none.jsonl", "");
    let text = place.run("eval run appropriateness --data none.jsonl");
    assert!(text.contains("nobody judged") && text.contains("helpmate label export"), "{text}");
    assert!(!text.contains("NaN"), "{text}");
}

#[test]
fn whoever_cannot_be_asked_is_refused() {
    let place = Place::new();
    rankings(&place);
    let check = |arguments: &str, exit: i32, expected: &str| {
        let told = place.fails(arguments, exit);
        assert!(told.contains(expected), "{arguments}: {told}");
    };
    check("eval run reward_model --data rankings.jsonl", 2, "--reward R");
    check("eval run instructions", 2, "--model M");
    check("eval run reward_model --reward rule:words:3 --model tiny --data rankings.jsonl", 2, "--model does nothing");
    check("eval run instructions --model tiny --reward rule:words:3", 2, "--reward does nothing");
    check(
        "eval run instructions reward_model --model tiny --reward rule:words:3 --data reward_model=rankings.jsonl",
        2,
        "aren't asked of the same",
    );
    check("eval run reward_model --reward tiny --data rankings.jsonl", 1, "expected a reward model");
    check("eval run appropriateness", 2, "--data FILE");
}

/// Scores every text a quarter.
fn a_quarter(texts: &[String]) -> Answer {
    Answer::Scores(vec![0.25; texts.len()])
}

const TOXICITY: &str =
    "eval run toxicity --model tiny --data prompts.jsonl --samples 2 --max-new-tokens 6 --chat never";

#[test]
fn a_service_scores_and_its_address_stands_beside_the_numbers() {
    let place = Place::new();
    place.write("prompts.jsonl", "{\"prompt\": \"one\"}\n{\"prompt\": \"two\"}\n");
    let service = RewardService::start(|_, texts| a_quarter(texts));
    let run = format!("{TOXICITY} --scorer {} --out scored", service.url);
    let text = place.run(&run);
    assert!(text.contains(&format!("scored by the service at {}", service.url)), "{text}");
    assert!(text.contains("mean_toxicity") && text.contains("0.2500 [0.2500, 0.2500] (n = 6)"), "{text}");
    let settings = &evaluation(&place, "scored")["models"][0]["tasks"][0]["settings"];
    assert_eq!(settings["scorer"]["url"], service.url);
    let asked = service.asked();
    place.run(&run);
    assert_eq!(service.asked(), asked, "what was said is kept");
    let text = place.fails(&format!("{TOXICITY} --scorer {} --scorer-budget 1 --no-cache", service.url), 1);
    assert!(text.contains("the budget is 1"), "{text}");
}

#[test]
fn a_service_that_talks_nonsense_or_not_at_all_is_told_of() {
    let place = Place::new();
    place.write("prompts.jsonl", "{\"prompt\": \"one\"}\n");
    type Says = fn(&[String]) -> Value;
    let nonsense: [(Says, &str); 3] = [
        (|_| json!("very"), "\"very"),
        (|_| json!({"scores": []}), "0 scores"),
        (|texts| json!({"scores": vec![9; texts.len()]}), "a score of 9"),
    ];
    for (says, words) in nonsense {
        let service = RewardService::start(move |_, texts| Answer::Body(says(texts).to_string()));
        let text = place.fails(&format!("{TOXICITY} --scorer {}", service.url), 1);
        assert!(text.contains(words) && text.contains("hint: docs/tasks/toxicity.md"), "{text}");
        assert_eq!(service.asked(), 1, "nonsense is not asked for again");
    }
    let service = RewardService::start(|_, _| Answer::Silence);
    let mut command = place.command(&format!("{TOXICITY} --scorer {}", service.url));
    let output = command.env("HELPMATE_SCORER_TIMEOUT", "0.2").output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("timeout") && told.contains("HELPMATE_SCORER_TIMEOUT"), "{told}");
    let told = place.fails(&format!("{TOXICITY} --scorer nowhere.json --scorer-budget 3"), 2);
    assert!(told.contains("--scorer-budget does nothing"), "{told}");
}

#[test]
fn a_model_behind_a_service_writes_and_stands_beside_one_on_this_machine() {
    let place = Place::new();
    let rows = (0..6).map(|i| json!({"id": i, "prompt": format!("Say {i}."), "answers": [format!("It is {i}")]}));
    place.write("rows.jsonl", &rows.map(|row| format!("{row}\n")).collect::<String>());
    let stub = Stub::start();
    let body = json!({"choices": [{"message": {"content": "It is 3"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 4, "completion_tokens": 3}});
    stub.reply("/v1/chat/completions", Reply::Body(body.to_string().into_bytes()));
    let service = format!("--endpoint {}/v1 --endpoint-model theirs --attempts 1", stub.address);
    let run = format!("eval run generation --model tiny {service} --data rows.jsonl --max-new-tokens 4 --out both");
    place.run(&run);
    let found = evaluation(&place, "both");
    let theirs = &found["models"][1];
    assert_eq!((&found["models"][0]["model"]["name"], &theirs["model"]["name"]), (&"tiny".into(), &"theirs".into()));
    // One of six is right.
    assert_eq!(value(&theirs["tasks"][0]["estimates"], "exact_match"), Some(1.0 / 6.0));
    assert_eq!(stub.asked().len(), 6);
    // Again: nothing is asked; what counts tokens isn't compared.
    place.run(&run);
    assert_eq!(stub.asked().len(), 6);
    place.run("eval report both --out page.html");
    assert!(place.read("page.html").contains("the tokenizers differ: tiny"), "{}", place.read("page.html"));
    // What a service can't say is refused before anything is asked.
    place.write("text.jsonl", "{\"text\": \"a b c\"}\n");
    let error = place.fails(&format!("eval run perplexity --data text.jsonl {service}"), 2);
    assert!(error.contains("perplexity asks for log-probabilities"), "{error}");
    stub.reply("/v1/chat/completions", Reply::Status(401));
    let error = place.fails(&format!("eval run generation --data rows.jsonl --max-new-tokens 5 {service}"), 3);
    assert!(error.contains("401"), "{error}");
}

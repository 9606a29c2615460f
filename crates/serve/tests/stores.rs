//! What goes into the labeling database: collected prompts, and candidates that were asked for.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::{Server, limits, settings, start_with};
use label::{
    Actor, GenerationRequest, MakeTasks, NewPerson, NewPrompt, Next, OpenOptions, PromptQuery, Role, Settings, Store,
    StoredPrompt, TaskKind,
};
use record::{Prompt, Source};
use serde_json::json;
use serve::candidates::{Candidates, Endpoints, Judge, Means, OpenJudge};
use serve::collect::{CollectSettings, Collector};
use serve::keys::Keys;
use serve::worker::Worker;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("labels.db").to_str().unwrap(), &OpenOptions::default()).unwrap();
    (folder, store)
}

fn all_prompts(store: &Store, project: label::Id) -> Vec<StoredPrompt> {
    store.prompts(project, &PromptQuery { limit: 1000, ..PromptQuery::default() }).unwrap()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}: it never came to that");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn collecting(store: &Store, per_user_max: u32) -> Server {
    start_with(limits(), settings(), |app| {
        let wanted = CollectSettings { per_user_max, ..CollectSettings::default() };
        let log: serve::Log = Arc::new(|message| panic!("{message}"));
        app.collector = Some(Collector::start(store.clone(), &wanted, app.metrics.clone(), log).unwrap());
        app.keys = Keys::parse("alice 0123456789abcdef\nbob fedcba9876543210").unwrap();
    })
}

fn ask(server: &Server, key: &str, user: &str, text: &str, collect: &str) -> String {
    let body = json!({"model": "tiny", "messages": [{"role": "user", "content": text}], "max_tokens": 1, "user": user});
    let post = server.agent.post(server.url("/v1/chat/completions")).header("Authorization", format!("Bearer {key}"));
    let response = post.header("helpmate-collect", collect).send_json(body).unwrap();
    assert_eq!(response.status().as_u16(), 200);
    response.headers()["helpmate-notice"].to_str().unwrap().to_owned()
}

#[test]
fn traffic_becomes_prompts_without_personal_data_by_user_and_on_request_not_at_all() {
    let (_folder, store) = store();
    let server = collecting(&store, 3);
    let (alice, bob) = ("0123456789abcdef", "fedcba9876543210");
    let notice = ask(&server, alice, "u1", "Write to jo@example.org about rain", "");
    assert!(notice.contains("90 days") && notice.contains("helpmate-collect: no"), "{notice}");
    ask(&server, alice, "u2", "Name a river", "");
    ask(&server, bob, "u1", "Name a mountain", "");
    ask(&server, bob, "u1", "Keep this out", "no");
    let project = store.project_by_name("collected").unwrap().id;
    wait_until("three prompts", || all_prompts(&store, project).len() == 3);
    let prompts = all_prompts(&store, project);
    let texts: Vec<String> = prompts.iter().map(|prompt| serde_json::to_string(&prompt.prompt).unwrap()).collect();
    assert!(texts.iter().any(|text| text.contains("[email]")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("jo@") || text.contains("Keep this out")), "{texts:?}");
    let mut users: Vec<String> = prompts.iter().filter_map(|prompt| prompt.user_id.clone()).collect();
    assert!(users.iter().all(|user| user.starts_with("u-")), "pseudonyms: {users:?}");
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 3, "a user of one key is not the user of another");

    let metrics = |line: &str| {
        let response = server.agent.get(server.url("/metrics")).header("Authorization", format!("Bearer {alice}"));
        let page = response.call().unwrap().body_mut().read_to_string().unwrap();
        page.lines().any(|found| found == line)
    };
    // At most three a user, and what is there already isn't written again.
    for i in 0..4 {
        ask(&server, alice, "u2", &format!("{i} is a number that begins this prompt"), "");
    }
    wait_until("the limit", || metrics("helpmate_prompts_collected_total{outcome=\"over_user_limit\"} 2"));
    ask(&server, bob, "u1", "Name a mountain", "");
    wait_until("the duplicate", || metrics("helpmate_prompts_collected_total{outcome=\"duplicate\"} 1"));

    // Each key's users are its own to delete.
    let delete = |key: &str, user: &str| {
        let call = server.agent.delete(server.url(&format!("/v1/prompts?user={user}")));
        let mut response = call.header("Authorization", format!("Bearer {key}")).call().unwrap();
        let answer: serde_json::Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
        answer["deleted"].as_u64().unwrap()
    };
    assert_eq!(delete(bob, "u2"), 0);
    assert_eq!(delete(alice, "u2"), 3);
    let left: Vec<String> =
        all_prompts(&store, project).iter().map(|prompt| serde_json::to_string(&prompt.prompt).unwrap()).collect();
    assert!(!left.iter().any(|text| text.contains("river") || text.contains("is a number")), "{left:?}");
}

struct ByLength;

impl Judge for ByLength {
    fn scores(&mut self, _: &Prompt, answers: &[String]) -> Result<Vec<Vec<f64>>, String> {
        Ok(vec![answers.iter().map(|answer| answer.len() as f64).collect()])
    }
}

/// A worker for these answers, judged by their length.
fn candidates(store: &Store, models: Option<Worker>, endpoints: Option<Endpoints>) -> Candidates {
    let log: serve::Log = Arc::new(|message| eprintln!("{message}"));
    let judge: OpenJudge = Box::new(|| Ok(Box::new(ByLength) as Box<dyn Judge>));
    Candidates::start(Means { store: store.clone(), models, endpoints, judge: Some(judge), log }).unwrap()
}

/// A project with prompts and no answers.
fn unanswered(store: &Store, texts: &[&str]) -> label::Id {
    let settings = Settings { overlap: 1, ..Settings::instructgpt() };
    let project = store.create_project(Actor::Operator, "rank", &settings).unwrap().id;
    let new: Vec<NewPrompt> = texts.iter().map(|text| NewPrompt::new(Prompt::Text((*text).into()))).collect();
    store.add_prompts(Actor::Operator, project, &new).unwrap();
    project
}

/// Asks for answers and waits for the end of it; what went wrong.
fn generate(store: &Store, project: label::Id, request: &GenerationRequest) -> Option<String> {
    let id = store.add_generation(Actor::Operator, project, request).unwrap();
    let state = || store.generations(project).unwrap().into_iter().find(|generation| generation.id == id).unwrap();
    wait_until("the end of a generation", || ["done", "failed"].contains(&&state().state[..]));
    state().error
}

fn wanted(model: &str) -> GenerationRequest {
    GenerationRequest { model: model.into(), k: 3, max_new_tokens: 12, temperature: 1.0, top_p: 1.0, seed: 5 }
}

#[test]
fn candidates_are_written_once_and_the_queue_is_ordered_by_doubt() {
    let (_folder, store) = store();
    let texts = ["Once upon a time", "The sea is", "A list of three things", "x", "Why is it so?"];
    let project = unanswered(&store, &texts);
    let server = common::start();
    let running = candidates(&store, Some(server.worker.clone()), None);
    assert_eq!(generate(&store, project, &wanted("tiny")), None);
    let of = |prompt: &StoredPrompt| store.candidates(Actor::Operator, prompt.id).unwrap();
    let before: Vec<usize> = all_prompts(&store, project).iter().map(|prompt| of(prompt).len()).collect();
    assert!(before.iter().all(|n| (1..=3).contains(n)), "{before:?}");
    // What labelers get first is what the reward model knows least about.
    store.make_tasks(Actor::Operator, project, &MakeTasks::of(TaskKind::Rank)).unwrap();
    let new = NewPerson { name: "ada".into(), password: None, role: Role::Labeler, group: String::new() };
    let ada = store.add_person(Actor::Operator, &new).unwrap().id;
    let mut doubts: Vec<f64> = Vec::new();
    while let Next::Task(task) = store.next_task(ada, project, &[]).unwrap() {
        let prompt =
            all_prompts(&store, project).into_iter().find(|prompt| Some(&prompt.prompt) == task.prompt.as_ref());
        doubts.push(prompt.unwrap().priority);
        store.skip(ada, &task.lease, "Something else").unwrap();
    }
    assert!(doubts.len() > 1 && doubts.is_sorted_by(|a, b| a >= b), "{doubts:?}");
    assert!(doubts[0] > *doubts.last().unwrap(), "some are doubted more than others: {doubts:?}");
    // The answers are there: nothing is written twice. A model that isn't served is said so.
    let error = generate(&store, project, &wanted("nobody")).unwrap();
    assert!(error.contains("not served here (models: tiny, other)"), "{error}");
    drop(running);
}

#[test]
fn candidates_come_from_any_service_that_speaks_the_api() {
    let (_folder, store) = store();
    let project = unanswered(&store, &["Once upon a time", "The sea is"]);
    // Any such service: here this program's own, with a key.
    let server = start_with(limits(), settings(), |app| app.keys = Keys::parse("labels 0123456789abcdef").unwrap());
    let service = format!("{}#tiny", server.url("/v1"));
    let answers = || -> Vec<(String, Option<Source>)> {
        let of = |prompt: &StoredPrompt| store.candidates(Actor::Operator, prompt.id).unwrap();
        let answers = all_prompts(&store, project).iter().flat_map(of).collect::<Vec<_>>();
        answers.into_iter().map(|answer| (answer.origin, answer.source)).collect()
    };
    // A server that was told to ask nobody asks nobody, and says so.
    let alone = candidates(&store, None, None);
    let error = generate(&store, project, &wanted(&service)).unwrap();
    assert!(error.contains("the network is switched off"), "{error}");
    drop(alone);
    // The operator's key is shown to the service that it is for, and to no address that a manager types.
    let keyed = |key_for: String| Some(Endpoints { key: Some("0123456789abcdef".into()), key_for });
    let elsewhere = candidates(&store, None, keyed("http://elsewhere.example/v1".into()));
    let error = generate(&store, project, &wanted(&service)).unwrap();
    assert!(error.contains("401"), "{error}");
    drop(elsewhere);
    let running = candidates(&store, None, keyed(server.url("/v1")));
    let error = generate(&store, project, &wanted(&server.url("/v1"))).unwrap();
    assert!(error.contains("expected ADDRESS/v1#MODEL"), "{error}");
    let error = generate(&store, project, &wanted(&format!("{}#nobody", server.url("/v1")))).unwrap();
    assert!(error.contains("nobody"), "{error}");
    assert_eq!(answers(), []);
    assert_eq!(generate(&store, project, &wanted(&service)), None);
    let found = answers();
    assert!((2..=6).contains(&found.len()), "{found:?}");
    assert!(found.iter().all(|answer| *answer == (service.clone(), Some(Source::Model))), "{found:?}");
    drop(running);
}

#[test]
fn tokens_of_the_database_are_keys_when_their_scope_says_so() {
    use label::{NewApiToken, Scope};
    let (_folder, store) = store();
    let new = NewPerson { name: "ada".into(), password: None, role: Role::Manager, group: String::new() };
    let ada = store.add_person(Actor::Operator, &new).unwrap();
    let token = |name: &str, scope| {
        let new = NewApiToken { name: name.into(), scopes: vec![scope], valid_ms: None };
        store.create_api_token(Actor::Operator, ada.id, &new).unwrap().1
    };
    let (generate, read) = (token("api", Scope::Generate), token("reader", Scope::Read));
    let server = start_with(limits(), settings(), |app| app.keys = Keys::default().with_tokens(store.clone()));
    let status = |key: &str| {
        let get = server.agent.get(server.url("/v1/models")).header("Authorization", format!("Bearer {key}"));
        get.call().unwrap().status().as_u16()
    };
    assert_eq!((status(&generate), status(&read), status("hm_nothing")), (200, 401, 401));
}

//! The chat page, as a browser without script uses it.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::{Server, limits, settings, start, start_with};
use label::{Actor, JudgementQuery, OpenOptions, Store, TaskQuery};
use serve::app::Feedback;
use serve::keys::Keys;
use std::sync::Arc;

/// Sends a form; status, where it leads, and the page.
fn form(server: &Server, path: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
    let mut response = server.agent.post(server.url(path)).send_form(fields.iter().copied()).unwrap();
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), location.unwrap_or_default(), text)
}

/// Opens a conversation; its address.
fn open(server: &Server, fields: &[(&str, &str)]) -> String {
    let (status, room, _) = form(server, "/chat/rooms", fields);
    assert_eq!(status, 303);
    room
}

fn say(server: &Server, room: &str, text: &str) -> String {
    let (status, _, page) = form(server, &format!("{room}/say"), &[("text", text)]);
    assert_eq!(status, 303, "{page}");
    server.get(room).1
}

#[test]
fn one_model_is_talked_to_turn_by_turn() {
    let server = start();
    assert!(server.get("/chat").1.contains("<option>tiny</option>"));
    let room = open(&server, &[("first", "tiny")]);
    let page = say(&server, &room, "Hello <script>alert(1)</script>");
    assert!(page.contains("turn-0") && page.contains("tiny"), "{page}");
    assert!(!page.contains("<script>alert"), "what people say is text");
    let page = say(&server, &room, "And then?");
    assert!(page.contains("turn-1"));
    assert_eq!(form(&server, &format!("{room}/say"), &[("text", "  ")]).0, 422);
    assert_eq!(form(&server, &format!("{room}/say"), &[("text", &"x".repeat(200))]).0, 422, "longer than the context");
    assert_eq!(form(&server, "/chat/rooms/0123456789/say", &[("text", "x")]).0, 404);
    assert_eq!(form(&server, "/chat/rooms", &[("first", "nobody")]).0, 404);
}

#[test]
fn a_stream_says_the_same_as_the_page() {
    let server = start();
    let room = open(&server, &[("first", "tiny"), ("second", "other")]);
    let mut response = server.agent.post(server.url(&format!("{room}/stream"))).send_form([("text", "Hi")]).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(server.get(&room).1.contains("Which answer is better?"));
}

#[test]
fn two_models_stay_nameless_until_they_are_shown() {
    let server = start();
    let room = open(&server, &[("first", "tiny"), ("second", "other")]);
    let page = say(&server, &room, "Hello");
    assert!(page.contains("Answer A") && page.contains("Answer B"));
    assert!(!page.contains("tiny") && !page.contains("other"), "the names are hidden:\n{page}");
    assert_eq!(form(&server, &format!("{room}/say"), &[("text", "more")]).0, 409, "first the verdict");
    assert_eq!(form(&server, &format!("{room}/verdict"), &[("verdict", "wat")]).0, 422);
    assert_eq!(form(&server, &format!("{room}/verdict"), &[("verdict", "second")]).0, 303);
    assert_eq!(form(&server, &format!("{room}/verdict"), &[("verdict", "first")]).0, 422, "it was given already");
    assert!(server.get(&room).1.contains("preferred"));
    say(&server, &room, "More");
    form(&server, &format!("{room}/verdict"), &[("verdict", "tie")]);
    assert_eq!(form(&server, &format!("{room}/reveal"), &[]).0, 303);
    let page = server.get(&room).1;
    assert!(page.contains("tiny") && page.contains("other") && page.contains("is over"));
    assert_eq!(form(&server, &format!("{room}/say"), &[("text", "more")]).0, 409);
}

#[test]
fn what_is_compared_and_flagged_becomes_work_for_labelers() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("labels.db").to_str().unwrap(), &OpenOptions::default()).unwrap();
    let mut wanted = label::Settings::instructgpt();
    wanted.ranking.rate_each = false;
    let project = store.create_project(Actor::Operator, "chat", &wanted).unwrap().id;
    let feedback = Feedback { store: store.clone(), project };
    let server = start_with(limits(), settings(), |app| {
        app.feedback = Some(feedback);
        app.log = Arc::new(|message| panic!("{message}"));
    });
    let room = open(&server, &[("first", "tiny"), ("second", "other")]);
    say(&server, &room, "Hello there");
    assert_eq!(form(&server, &format!("{room}/verdict"), &[("verdict", "first")]).0, 303);
    let flag = [("turn", "0"), ("side", "1"), ("reason", "it is rude")];
    assert_eq!(form(&server, &format!("{room}/flag"), &flag).0, 303);
    assert_eq!(form(&server, &format!("{room}/flag"), &flag).0, 422, "once is enough");
    assert_eq!(form(&server, &format!("{room}/flag"), &[("turn", "7"), ("side", "0")]).0, 422);
    let tasks = store.tasks(Actor::Operator, project, &TaskQuery::default()).unwrap();
    let mut kinds: Vec<String> = tasks.iter().map(|task| format!("{:?}", task.kind)).collect();
    kinds.sort();
    assert_eq!(kinds, ["Pairwise", "Rate"]);
    let judgements = store.judgements(Actor::Operator, project, &JudgementQuery::default()).unwrap();
    assert_eq!(judgements.len(), 1);
    assert_eq!(judgements[0].source, record::Source::Human);
    let prompts = store.prompts(project, &label::PromptQuery { limit: 10, ..Default::default() }).unwrap();
    assert_eq!(prompts.len(), 1, "both are about the same prompt");
    let origins = store.candidates(Actor::Operator, prompts[0].id).unwrap();
    let mut origins: Vec<&str> = origins.iter().map(|candidate| &candidate.origin[..]).collect();
    origins.sort_unstable();
    assert_eq!(origins, ["other", "tiny"]);
}

#[test]
fn a_key_opens_the_page() {
    let server = start_with(limits(), settings(), |app| app.keys = Keys::parse("alice 0123456789abcdef").unwrap());
    let (status, page) = server.get("/chat");
    assert!(status == 401 && page.contains("needs a key"));
    assert_eq!(form(&server, "/chat/key", &[("key", "wrong")]).0, 401);
    let response = server.agent.post(server.url("/chat/key")).send_form([("key", "0123456789abcdef")]).unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let name = cookie.split(';').next().unwrap();
    let with = server.agent.get(server.url("/chat")).header("Cookie", name).call().unwrap();
    assert_eq!(with.status().as_u16(), 200);
}

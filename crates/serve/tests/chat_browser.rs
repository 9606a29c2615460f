//! The chat page in a real browser: answers appear as they are written, digits compare, and what somebody finds who
//! can't see well. Pictures are left in `target/pages`.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
#[path = "browser/driver.rs"]
#[allow(dead_code)] // the labeling pages' tests use the rest
mod driver;

use common::{limits, settings, start_with};
use driver::{Browser, Driver};
use label::{Actor, OpenOptions, Store, TaskQuery};
use serve::app::Feedback;
use serve::keys::Keys;
use std::path::Path;

const AUDIT: &str = include_str!("browser/audit.js");

/// Audits and pictures of a page, at two widths and in two schemes.
fn look(browser: &Browser, name: &str, faults: &mut Vec<String>) {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
    std::fs::create_dir_all(&pictures).unwrap();
    for (size, (width, height)) in [("desktop", (1280, 900)), ("phone", (390, 844))] {
        for (scheme, dark) in [("light", false), ("dark", true)] {
            browser.resize(width, height);
            browser.scheme(dark);
            let what = format!("{name}-{size}-{scheme}");
            let found = browser.run(AUDIT);
            faults.extend(found.as_array().unwrap().iter().map(|line| format!("{what}: {line}")));
            browser.screenshot(&pictures.join(format!("{what}.png")));
        }
    }
    browser.resize(1280, 900);
    browser.scheme(false);
}

#[test]
fn two_models_are_compared_by_keyboard_and_what_is_said_is_kept() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("labels.db").to_str().unwrap(), &OpenOptions::default()).unwrap();
    let mut wanted = label::Settings::instructgpt();
    wanted.ranking.rate_each = false;
    let project = store.create_project(Actor::Operator, "chat", &wanted).unwrap().id;
    let server = start_with(limits(), settings(), |app| {
        app.feedback = Some(Feedback { store: store.clone(), project });
        app.keys = Keys::parse("alice 0123456789abcdef").unwrap();
    });
    let browser = driver.open(1280, 900);
    let mut faults = Vec::new();
    browser.go(&server.url("/chat"));
    look(&browser, "chat-key", &mut faults);
    browser.fill("#key", "0123456789abcdef");
    browser.press("Enter");
    browser.wait_text("Talk to a model");
    look(&browser, "chat-start", &mut faults);
    browser.press("Start comparing");
    browser.fill("#text", "Hello <img src=x onerror=alert(1)>");
    browser.press("Send");
    browser.wait_text("Which answer is better?");
    assert_eq!(browser.run("return document.querySelectorAll('.answer').length"), 2);
    look(&browser, "chat-compare", &mut faults);
    browser.leave(|| browser.keys(&['2']));
    browser.wait_text("preferred");
    browser.fill("#text", "And more");
    browser.leave(|| browser.keys(&[driver::key::ENTER]));
    browser.wait_text("Which answer is better?");
    browser.leave(|| browser.keys(&['3']));
    browser.wait_text("equally good");
    browser.press("Show who they are, and end");
    browser.wait_text("is over");
    look(&browser, "chat-end", &mut faults);
    let tasks = store.tasks(Actor::Operator, project, &TaskQuery::default()).unwrap();
    assert_eq!(tasks.len(), 2, "a task for each comparison");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The page that asks for a key is answered with 401, which the browser notes.
    let complaints: Vec<String> = browser.complaints().into_iter().filter(|line| !line.contains("401")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

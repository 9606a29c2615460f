//! The labeling pages in a real browser: everything by keyboard, drafts, no script, hostile text, what a person sees who
//! sees badly. Pictures of the pages are left in `target/pages`.

#[path = "browser/driver.rs"]
mod driver;

use driver::{Browser, Driver, key};
use label::{Actor, JudgementQuery, MakeTasks, OpenOptions, PasswordCost, Store, TaskKind};
use serde_json::json;
use serve::label::{Settings, demo};
use serve::server::Background;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const AUDIT: &str = include_str!("browser/audit.js");

struct Site {
    server: Background,
    store: Store,
    _folder: TempDir,
}

impl Site {
    /// A server of the demonstration on a free port.
    fn start() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("labels.db");
        let options = OpenOptions { password_cost: PasswordCost::Least, ..OpenOptions::default() };
        let store = Store::open(path.to_str().expect("UTF-8"), &options).expect("a database");
        demo::fill(&store).expect("the demonstration");
        let router = serve::label::router(Settings { demo: true, ..Settings::new(store.clone()) });
        let address = "127.0.0.1:0".parse().expect("an address");
        let server = Background::start(serve::server::Settings::new(address), router).expect("a server");
        Site { server, store, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    fn log_in(&self, browser: &Browser, name: &str) {
        browser.go(&self.url("/label/login"));
        browser.fill("#name", name);
        browser.fill("#password", demo::PASSWORD);
        browser.press("Log in");
        browser.wait_text("My tasks");
    }

    /// Takes a task of one kind.
    fn take(&self, browser: &Browser, kind: &str) {
        browser.go(&self.url("/label"));
        browser.run("document.querySelectorAll('details').forEach((d) => d.open = true)");
        browser.press(kind);
        browser.find("form[data-task]");
    }

    fn n_judgements(&self, name: &str) -> usize {
        let person = self.store.person_by_name(name).expect("people").expect("a person").id;
        let project = self.store.project_by_name(demo::PROJECT).expect("the project").id;
        let query = JudgementQuery { person: Some(person), limit: 1000, ..JudgementQuery::default() };
        self.store.judgements(Actor::Operator, project, &query).expect("judgements").len()
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages")
}

/// What somebody finds who can't see well, or uses no mouse.
fn audit(browser: &Browser, what: &str) -> Vec<String> {
    let found = browser.run(AUDIT);
    let found = found.as_array().cloned().unwrap_or_else(|| panic!("the audit gave {found}"));
    found.iter().map(|line| format!("{what}: {}", line.as_str().unwrap_or_default())).collect()
}

/// Audits and pictures of a page, at two widths and in two schemes.
fn look(browser: &Browser, name: &str, faults: &mut Vec<String>) {
    for (size, (width, height)) in [("desktop", (1280, 900)), ("phone", (390, 844))] {
        for (scheme, dark) in [("light", false), ("dark", true)] {
            browser.resize(width, height);
            browser.scheme(dark);
            // Colours may be in transition.
            std::thread::sleep(std::time::Duration::from_millis(120));
            faults.extend(audit(browser, &format!("{name}, {size}, {scheme}")));
            browser.screenshot(&pictures().join(format!("{name}-{size}-{scheme}.png")));
        }
    }
    browser.resize(1280, 900);
    browser.scheme(false);
}

/// Rates every output of the task that is shown, by keyboard, and submits.
fn rate_all(site: &Site, browser: &Browser, name: &str) {
    let n_before = site.n_judgements(name);
    let n_outputs = browser.run("return document.querySelectorAll('[data-output]').length");
    let n_outputs = n_outputs.as_u64().expect("a number");
    assert!(n_outputs >= 2, "{n_outputs} outputs");
    browser.leave(|| (0..n_outputs).for_each(|_| browser.keys(&['4', 'x', key::ENTER])));
    assert_eq!(site.n_judgements(name), n_before + 1, "rated");
}

/// Accepts all that these people may review.
fn accept_all(site: &Site, names: &[&str]) {
    let project = site.store.project_by_name(demo::PROJECT).expect("the project").id;
    for name in names {
        let person = site.store.person_by_name(name).expect("people").expect("a person").id;
        while let label::Next::Task(task) =
            site.store.next_task(person, project, &[TaskKind::Review]).expect("a task or none")
        {
            let fields = task.fields.iter().filter(|field| field.required);
            let fields = fields.map(|field| (field.name.clone(), label::FieldValue::Number(6))).collect();
            let body = label::Body::Review { accept: true, fields, notes: String::new() };
            let submission = format!("accept-{}-{}", person, task.task);
            let submission = label::Submission { lease: task.lease, submission, body, seconds: None };
            site.store.submit(person, &submission).expect("accepted");
        }
    }
}

/// Everything on one page of tasks, one browser: starting browsers is what takes time here.
#[test]
fn every_page_is_accessible_and_is_pictured() {
    let Some(driver) = Driver::start() else { return };
    let site = Site::start();
    let browser = driver.open(1280, 900);
    let mut faults = Vec::new();
    let id = site.store.project_by_name(demo::PROJECT).expect("the project").id;
    browser.go(&site.url("/label/login"));
    look(&browser, "login", &mut faults);
    site.log_in(&browser, "anna");
    look(&browser, "home", &mut faults);
    for (kind, name) in [
        ("Rank", "task-rate"),
        ("Write answers", "task-demonstrate"),
        ("Write prompts", "task-prompt"),
        ("Sort", "task-use-case"),
    ] {
        site.take(&browser, kind);
        look(&browser, name, &mut faults);
    }
    for kind in [TaskKind::Pairwise, TaskKind::Rate] {
        let k = (kind == TaskKind::Pairwise).then_some(2);
        let make = MakeTasks { k, limit: Some(2), ..MakeTasks::of(kind) };
        assert!(site.store.make_tasks(Actor::Operator, id, &make).expect("tasks") > 0);
    }
    site.store.start_tree(Actor::Operator, id, "What is a good way to begin?", Some("en")).expect("a conversation");
    // Each of two outputs is rated and asked about, then compared; what somebody began a conversation with is rated.
    let compared = vec!['5', 'x', key::ENTER, '4', 'x', 't', key::ENTER];
    for (kind, name, keys) in
        [("Compare", "task-pairwise", compared), ("Review", "task-review", vec!['6', 'y', key::ENTER])]
    {
        site.take(&browser, kind);
        look(&browser, name, &mut faults);
        let n_before = site.n_judgements("anna");
        browser.leave(|| browser.keys(&keys));
        assert_eq!(site.n_judgements("anna"), n_before + 1, "{kind}");
    }
    site.take(&browser, "Rate");
    look(&browser, "task-rate-each", &mut faults);
    rate_all(&site, &browser, "anna");
    // Others accept how the conversation begins: then it can go on.
    accept_all(&site, &["ben", "reviewer", "manager"]);
    site.take(&browser, "Continue");
    look(&browser, "task-continue", &mut faults);
    let n_before = site.n_judgements("anna");
    browser.fill("#text", "Begin with **one** small step.");
    browser.press("Submit");
    assert_eq!(site.n_judgements("anna"), n_before + 1, "a conversation continued");
    site.take(&browser, "Rank");
    browser.click("[data-step='4']");
    browser.keys(&['2', '1', '2']);
    look(&browser, "task-rank", &mut faults);
    browser.keys(&['g']);
    look(&browser, "task-guide", &mut faults);
    browser.keys(&['g', '?']);
    look(&browser, "task-keys", &mut faults);
    browser.keys(&[key::ESCAPE]);
    browser.go(&site.url("/label/account"));
    look(&browser, "account", &mut faults);

    let manager = driver.open(1280, 900);
    site.log_in(&manager, "manager");
    manager.go(&site.url("/label/manage"));
    look(&manager, "projects", &mut faults);
    for tab in [
        "",
        "/prompts",
        "/tasks",
        "/labelers",
        "/agreement",
        "/disagreements",
        "/guide",
        "/export",
        "/settings",
        "/log",
    ] {
        manager.go(&site.url(&format!("/label/manage/{id}{tab}")));
        let name = if tab.is_empty() { "overview" } else { &tab[1..] };
        look(&manager, name, &mut faults);
    }
    manager.press("Disagreements");
    manager.click("main tbody a");
    manager.wait_text("Judgements");
    look(&manager, "task", &mut faults);
    manager.go(&site.url("/label/people"));
    look(&manager, "people", &mut faults);
    manager.go(&site.url("/label/manage/999999"));
    look(&manager, "missing", &mut faults);
    faults.extend(browser.complaints());
    faults.extend(manager.complaints().into_iter().filter(|line| !line.contains("999999")));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_task_is_rated_and_ranked_by_keyboard_alone_and_a_reload_loses_nothing() {
    let Some(driver) = Driver::start() else { return };
    let site = Site::start();
    let browser = driver.open(1280, 900);
    site.log_in(&browser, "anna");
    site.take(&browser, "Rank");
    // Output A: 6, two questions answered, the rest no; on to the next.
    browser.keys(&['6', key::DOWN, 'y', 'n', 'x', key::ENTER]);
    browser.keys(&['3', 'x', key::ENTER]);
    browser.wait("the draft", || browser.text("[data-draft-state]").contains("saved").then_some(()));
    browser.reload();
    assert_eq!(browser.run("return document.querySelector('[name=\"A.f.rating\"]:checked').value"), json!("6"));
    assert_eq!(browser.run("return document.querySelectorAll('.step.current[data-output=C]').length"), json!(1));
    assert!(browser.text("[data-draft-state]").contains("restored"));
    // C and D, then the board: B 1, then A and D tie at 2, C 4; then one worse and back again.
    browser.keys(&['5', 'x', key::ENTER, '2', 'x', key::ENTER]);
    let columns = "return [...document.querySelectorAll('[data-card]')].map((c) => c.dataset.card + c.closest('[data-rank]').dataset.rank).sort().join(' ')";
    assert_eq!(browser.run(columns), json!("A B C D"));
    browser.keys(&['2', '1', '4', '2']);
    assert_eq!(browser.run(columns), json!("A2 B1 C4 D2"));
    browser.keys(&[key::RIGHT]);
    assert_eq!(browser.run(columns), json!("A2 B1 C4 D3"), "→ is a rank worse");
    browser.keys(&[key::LEFT, '0']);
    assert_eq!(browser.run(columns), json!("A2 B1 C4 D"), "0 takes the rank away");
    browser.keys(&[key::ENTER]);
    browser.wait_text("Not ranked yet: output D");
    browser.keys(&['2']);
    browser.leave(|| browser.keys(&[key::ENTER]));
    assert_eq!(site.n_judgements("anna"), 1);

    let person = site.store.person_by_name("anna").expect("people").expect("anna").id;
    let project = site.store.project_by_name(demo::PROJECT).expect("the project").id;
    let judgement = &site.store.own_judgements(person, project, 10).expect("own")[0];
    let label::Body::Rank { places, ratings, .. } = &judgement.body else { panic!("{:?}", judgement.body) };
    let mut ranks: Vec<(label::Id, u32)> = places.iter().map(|place| (place.candidate, place.rank)).collect();
    ranks.sort_by_key(|(id, _)| judgement.shown.iter().position(|shown| shown == id));
    assert_eq!(ranks.iter().map(|(_, rank)| *rank).collect::<Vec<_>>(), [2, 1, 4, 2]);
    assert_eq!(ratings.len(), 4);
    assert!(judgement.seconds.is_some_and(|seconds| seconds > 0.0));
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // A correction is a new row, from the form as it was filled.
    browser.go(&site.url(&format!("/label/judgements/{}", judgement.id)));
    browser.click("[data-step='4']");
    assert_eq!(browser.run(columns), json!("A2 B1 C4 D2"));
    browser.run("document.querySelector('[data-card=C]').focus()");
    browser.leave(|| browser.keys(&['3', key::ENTER]));
    browser.wait_text("corrected");
    assert_eq!(site.n_judgements("anna"), 2);
}

#[test]
fn a_browser_ends_with_its_test() {
    let Some(driver) = Driver::start() else { return };
    let browser = driver.open(800, 600);
    let processes = browser.processes();
    assert!(!processes.is_empty(), "no process has the profile's name");
    // A test that fails drops chromedriver in any order.
    drop(driver);
    drop(browser);
    // Killed; the system takes as long as it likes to clear them away.
    let runs = |id: &String| {
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.contains("--user-data-dir=")
    };
    let began = std::time::Instant::now();
    while processes.iter().any(runs) {
        assert!(began.elapsed().as_secs() < 120, "still there: {processes:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn cards_can_be_dragged_and_clicked() {
    let Some(driver) = Driver::start() else { return };
    let site = Site::start();
    let browser = driver.open(1280, 900);
    browser.resize(1280, 1400);
    site.log_in(&browser, "ben");
    site.take(&browser, "Rank");
    browser.click("[data-step='4']");
    browser.drag("[data-card=B] .handle", "[data-rank='3'] h3");
    let rank =
        |letter: char| browser.run(&format!("return document.querySelector('[name=\"{letter}.rank\"]:checked').value"));
    browser.wait("the card to move", || (rank('B') == "3").then_some(()));
    assert_eq!(browser.run("return !!document.querySelector('[data-rank=\"3\"] [data-card=B]')"), json!(true));
    browser.click("[data-card=A] input[value='3']");
    assert_eq!(rank('A'), json!("3"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn everything_but_dragging_works_without_script() {
    let Some(driver) = Driver::start() else { return };
    let site = Site::start();
    let browser = driver.open(1280, 900);
    browser.scripts(false);
    site.log_in(&browser, "ben");
    site.take(&browser, "Rank");
    assert_eq!(browser.run("return document.documentElement.className"), json!(""), "a script ran");
    browser.click("[name='A.f.rating'][value='5']");
    browser.press("Save draft");
    browser.wait_text("Draft saved");
    assert_eq!(browser.run("return document.querySelector('[name=\"A.f.rating\"]:checked').value"), json!("5"));
    browser.press("Submit");
    browser.wait_text("Not ranked yet: outputs A, B, C, D");
    for letter in ['A', 'B', 'C', 'D'] {
        browser.click(&format!("[name='{letter}.rank'][value='1']"));
        browser.click(&format!("[name='{letter}.f.rating'][value='4']"));
    }
    browser.screenshot(&pictures().join("task-rank-without-script.png"));
    browser.press("Submit");
    browser.wait("the judgement", || (site.n_judgements("ben") == 1).then_some(()));
    site.take(&browser, "Write answers");
    browser.set("#text", "An answer.");
    browser.press("Submit");
    browser.wait("the judgement", || (site.n_judgements("ben") == 2).then_some(()));
}

#[test]
fn script_in_prompts_and_answers_is_text() {
    let Some(driver) = Driver::start() else { return };
    let site = Site::start();
    let project = site.store.project_by_name(demo::PROJECT).expect("the project").id;
    let hostile =
        "<script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 2\"> [x](javascript:window.hacked=3)";
    let rows = json!({"prompt": hostile, "completions": [hostile, format!("b {hostile}")]}).to_string();
    let mut row = serve::label::import::read_rows(&rows).expect("rows").remove(0);
    row.prompt.priority = 100.0;
    let prompt = site.store.add_prompts(Actor::Operator, project, &[row.prompt]).expect("a prompt").added[0];
    let answers = site.store.add_candidates(Actor::Operator, prompt, &row.candidates).expect("answers");
    let new = label::NewTask { priority: Some(100.0), ..label::NewTask::new(TaskKind::Rank, Some(prompt), answers) };
    site.store.add_task(Actor::Operator, project, &new).expect("a task");
    let browser = driver.open(1280, 900);
    site.log_in(&browser, "anna");
    site.take(&browser, "Rank");
    browser.wait_text("<script>window.hacked = 1</script>");
    assert_eq!(browser.run("return window.hacked ?? null"), json!(null));
    let manager = driver.open(1280, 900);
    site.log_in(&manager, "manager");
    manager.go(&site.url(&format!("/label/manage/{project}/prompts/{prompt}")));
    manager.wait_text("<script>window.hacked = 1</script>");
    assert_eq!(manager.run("return window.hacked ?? null"), json!(null));
    assert_eq!(browser.complaints(), Vec::<String>::new(), "not even the security policy had to act");
}

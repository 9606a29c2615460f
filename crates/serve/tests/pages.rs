//! The labeling pages as somebody sees them who means no good, or presses a button twice: forged forms, wrong roles, late
//! and doubled submissions, huge pastes, uploads with odd names.

use label::{Actor, Clock, JudgementQuery, NewPerson, OpenOptions, PasswordCost, Role, Store};
use serde_json::json;
use serve::label::{Settings, import};
use serve::server::Background;
use std::time::Duration;
use tempfile::TempDir;

const PASSWORD: &str = "a long password";

struct Site {
    server: Background,
    store: Store,
    clock: Clock,
    project: label::Id,
    _folder: TempDir,
}

/// What came back.
struct Answer {
    status: u16,
    location: String,
    text: String,
}

/// Somebody's browser, without a browser.
struct Visitor<'a> {
    site: &'a Site,
    agent: ureq::Agent,
    cookie: String,
    csrf: String,
}

impl Site {
    /// A project with one prompt of three answers, to be ranked by two people.
    fn start() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("labels.db");
        let clock = Clock::manual(1_800_000_000_000);
        let options =
            OpenOptions { password_cost: PasswordCost::Least, clock: clock.clone(), ..OpenOptions::default() };
        let store = Store::open(path.to_str().expect("UTF-8"), &options).expect("a database");
        for (name, role) in
            [("mia", Role::Manager), ("rob", Role::Reviewer), ("ann", Role::Labeler), ("ben", Role::Labeler)]
        {
            let password = Some(PASSWORD.to_owned());
            let new = NewPerson { name: name.to_owned(), password, role, group: String::new() };
            store.add_person(Actor::Operator, &new).expect("a person");
        }
        let mut settings = label::Settings::instructgpt();
        settings.ranking.rate_each = false;
        settings.overlap = 1;
        let project = store.create_project(Actor::Operator, "first", &settings).expect("a project").id;
        let row = json!({"prompt": "p", "completions": ["=HYPERLINK(1)", "b", "c"]}).to_string();
        let row = import::read_rows(&row).expect("rows").remove(0);
        let prompt = store.add_prompts(Actor::Operator, project, &[row.prompt]).expect("a prompt").added[0];
        store.add_candidates(Actor::Operator, prompt, &row.candidates).expect("answers");
        store.make_tasks(Actor::Operator, project, &label::MakeTasks::of(label::TaskKind::Rank)).expect("tasks");
        let router = serve::label::router(Settings::new(store.clone()));
        let settings = serve::server::Settings::new("127.0.0.1:0".parse().expect("an address"));
        let server = Background::start(settings, router).expect("a server");
        Site { server, store, clock, project, _folder: folder }
    }

    fn visitor(&self) -> Visitor<'_> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)));
        Visitor { site: self, agent: config.build().into(), cookie: String::new(), csrf: String::new() }
    }

    fn log_in(&self, name: &str) -> Visitor<'_> {
        let session = self.store.log_in(name, PASSWORD, "test").expect("a session");
        let cookie = format!("helpmate_session={}", session.token);
        Visitor { cookie, csrf: session.csrf, ..self.visitor() }
    }

    fn n_judgements(&self) -> usize {
        let query = JudgementQuery { limit: 1000, ..JudgementQuery::default() };
        self.store.judgements(Actor::Operator, self.project, &query).expect("judgements").len()
    }
}

impl Visitor<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.site.server.url())
    }

    fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(self.url(path)).header("cookie", &self.cookie).call())
    }

    /// Sends a form with this session's token.
    fn post(&self, path: &str, fields: &str) -> Answer {
        self.send(path, "application/x-www-form-urlencoded", format!("csrf={}&{fields}", self.csrf))
    }

    fn send(&self, path: &str, kind: &str, body: String) -> Answer {
        let request = self.agent.post(self.url(path)).header("cookie", &self.cookie).header("content-type", kind);
        answer(request.send(body))
    }

    /// Takes the next task; its address and its page.
    fn take(&self) -> (String, String) {
        let next = self.post(&format!("/label/projects/{}/next", self.site.project), "");
        assert_eq!(next.status, 303, "{}", next.text);
        let page = self.get(&next.location);
        assert_eq!(page.status, 200, "{}", page.text);
        (next.location, page.text)
    }
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = result.expect("an answer");
    let location = response.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap_or_default();
    Answer { status: response.status().as_u16(), location, text }
}

fn submission(page: &str) -> &str {
    let (_, rest) = page.split_once("name=\"submission\" value=\"").expect("a submission's name");
    rest.split_once('"').expect("its end").0
}

#[test]
fn strangers_are_sent_to_the_log_in_page() {
    let site = Site::start();
    let stranger = site.visitor();
    for path in ["/label", "/label/manage", "/label/people", "/label/tasks/abc", "/label/account"] {
        let found = stranger.get(path);
        assert_eq!(found.status, 303, "{path}");
        assert!(found.location.starts_with("/label/login"), "{path}: {}", found.location);
    }
    let wrong = stranger.post("/label/login", "name=ann&password=wrong");
    assert_eq!(wrong.status, 401);
    assert!(wrong.text.contains("password is wrong") && !wrong.text.contains("value=\"wrong\""));
    let right = stranger.post("/label/login", &format!("name=ann&password={PASSWORD}&next=https://evil.example/"));
    assert_eq!((right.status, right.location.as_str()), (303, "/label"));
    for _ in 0..5 {
        stranger.post("/label/login", "name=ben&password=wrong");
    }
    let locked = stranger.post("/label/login", &format!("name=ben&password={PASSWORD}"));
    assert_eq!(locked.status, 429, "after five wrong passwords the right one waits too");
}

#[test]
fn a_form_of_another_session_changes_nothing() {
    let site = Site::start();
    let (ann, ben) = (site.log_in("ann"), site.log_in("ben"));
    let (task, page) = ann.take();
    let fields = format!("submission={}&A.rank=1&B.rank=2&C.rank=2", submission(&page));
    let stale = Visitor { csrf: ben.csrf.clone(), ..site.log_in("ann") };
    let found = stale.post(&task, &fields);
    assert_eq!(found.status, 403);
    assert!(found.text.contains("another session"), "{}", found.text);
    assert_eq!(ann.send(&task, "application/x-www-form-urlencoded", fields.clone()).status, 403, "no token at all");
    let foreign = ben.post(&task, &fields);
    assert_eq!(foreign.status, 404, "a lease is its holder's: {}", foreign.text);
    assert_eq!(ben.get(&task).status, 404);
    assert_eq!(ben.post(&format!("{task}/draft"), "text=x").status, 404);
    assert_eq!(site.n_judgements(), 0);
    assert_eq!(ann.post(&task, &fields).status, 303);
    assert_eq!(site.n_judgements(), 1);
}

#[test]
fn a_double_click_counts_once_and_a_wrong_form_says_what_is_missing() {
    let site = Site::start();
    let ann = site.log_in("ann");
    let (task, page) = ann.take();
    let name = submission(&page).to_owned();
    let wrong = ann.post(&task, &format!("submission={name}&A.rank=1&C.rank=2&notes=kept+words"));
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("Not ranked yet: output B."), "{}", wrong.text);
    assert!(
        wrong.text.contains("kept words") && wrong.text.contains("value=\"2\" aria-label=\"Output C: rank 2\" checked")
    );
    for (fields, words) in [
        ("A.rank=1&B.rank=9&C.rank=1", "expected a number from 1 to 3"),
        ("A.rank=1&B.rank=x&C.rank=1", "expected a number from 1 to 3"),
        ("A.rank=1&B.rank=%zz&C.rank=1", "broken %-code"),
    ] {
        let found = ann.post(&task, &format!("submission={name}&{fields}"));
        assert!(found.status == 422 && found.text.contains(words), "{fields}: {} {}", found.status, found.text);
    }
    let fields = format!("submission={name}&A.rank=1&B.rank=2&C.rank=2");
    let (first, second) = (ann.post(&task, &fields), ann.post(&task, &fields));
    assert_eq!((first.status, second.status), (303, 303), "{}", second.text);
    assert_eq!(site.n_judgements(), 1);
    let other = ann.post(&task, &format!("submission={name}&A.rank=2&B.rank=1&C.rank=1"));
    assert_eq!(other.status, 409, "the same name with other content: {}", other.text);
    assert_eq!(site.n_judgements(), 1);
}

#[test]
fn what_comes_too_late_is_given_back() {
    let site = Site::start();
    let (ann, ben) = (site.log_in("ann"), site.log_in("ben"));
    let (late, page) = ann.take();
    site.clock.advance(61 * 60 * 1000);
    // An hour later somebody else has done it.
    let (task, other) = ben.take();
    assert_eq!(ben.post(&task, &format!("submission={}&A.rank=1&B.rank=2&C.rank=2", submission(&other))).status, 303);
    let found = ann.post(&late, &format!("submission={}&A.rank=1&B.rank=2&C.rank=3&notes=my+notes", submission(&page)));
    assert_eq!(found.status, 410, "{}", found.text);
    assert!(found.text.contains("my notes"), "words are given back: {}", found.text);
    assert_eq!(site.n_judgements(), 1);
}

#[test]
fn nobody_does_what_their_role_may_not() {
    let site = Site::start();
    let id = site.project;
    let (ann, rob, mia) = (site.log_in("ann"), site.log_in("rob"), site.log_in("mia"));
    for path in [
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
        "/conversations",
        "/agreement.json",
        "/trees.jsonl",
    ] {
        let path = format!("/label/manage/{id}{path}");
        assert_eq!(ann.get(&path).status, 403, "{path}");
        assert_eq!(mia.get(&path).status, 200, "{path}");
    }
    assert_eq!((ann.get("/label/people").status, rob.get("/label/people").status), (403, 403));
    for (path, fields) in [
        ("/label/manage", "name=new&phase=training".to_owned()),
        ("/label/people", format!("name=new&password={PASSWORD}&role=manager")),
        ("/label/people/invite", "role=manager".to_owned()),
        ("/label/people/erase-user", "user_id=u".to_owned()),
        (&format!("/label/manage/{id}/import"), "rows=hello".to_owned()),
        (&format!("/label/manage/{id}/state"), "state=closed".to_owned()),
        (&format!("/label/manage/{id}/guide"), "phase=training&body=x".to_owned()),
        (&format!("/label/manage/{id}/tasks"), "kind=rate".to_owned()),
        (&format!("/label/manage/{id}/generate"), "model=m".to_owned()),
        (&format!("/label/manage/{id}/conversations"), "text=x".to_owned()),
    ] {
        for visitor in [&ann, &rob] {
            assert_eq!(visitor.post(path, &fields).status, 403, "{path}");
        }
    }
    let export = "content=rankings&format=jsonl";
    assert_eq!(ann.post(&format!("/label/manage/{id}/export"), export).status, 403);
    let own = site.store.person_by_name("mia").expect("people").expect("mia").id;
    let found = mia.post(&format!("/label/people/{own}"), "role=labeler&active=yes");
    assert_eq!(found.status, 422, "a manager does not lock themselves out");
    assert_eq!(mia.get("/label/manage/999999").status, 404);
    assert_eq!(mia.get(&format!("/label/manage/{id}/prompts/999999")).status, 404);
}

#[test]
fn uploads_and_pastes_have_their_limits() {
    let site = Site::start();
    let mia = site.log_in("mia");
    let path = format!("/label/manage/{}/import", site.project);
    let part = |name: &str, file: &str, text: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n")
    };
    let odd = "; filename=\"../../../etc/passwd\"";
    let body =
        format!("{}{}--b--\r\n", part("csrf", "", &mia.csrf), part("file", odd, "{\"prompt\": \"from a file\"}"));
    let found = mia.send(&path, "multipart/form-data; boundary=b", body);
    assert_eq!(found.status, 303, "{}", found.text);
    assert!(found.location.contains("added=1"), "{}", found.location);
    let page = mia.get(&found.location);
    assert!(page.text.contains("from a file") && !page.text.contains("passwd"));
    let wrong = mia.post(&path, "rows=%7B%22prompt%22%3A+3%7D");
    assert!(
        wrong.status == 422 && wrong.text.contains("Line 1: prompt: found 3, expected text or messages."),
        "{}",
        wrong.text
    );

    let ann = site.log_in("ann");
    let (task, _) = ann.take();
    let huge = "x".repeat(10 << 20);
    let draft = format!("{task}/draft");
    assert_eq!(ann.post(&draft, &format!("notes={huge}")).status, 413);
    assert_eq!(ann.post(&draft, &format!("notes={}", "x".repeat(17 << 20))).status, 413);
    assert_eq!(ann.post(&draft, &"a&".repeat(6000)).status, 422, "thousands of fields");
    assert_eq!(ann.get(&task).status, 200, "and all is well afterwards");
    assert_eq!(ann.send(&draft, "application/json", "{}".to_owned()).status, 422);
}

#[test]
fn exports_keep_names_in_and_formulas_harmless() {
    let site = Site::start();
    let (ann, mia) = (site.log_in("ann"), site.log_in("mia"));
    let (task, page) = ann.take();
    ann.post(&task, &format!("submission={}&A.rank=1&B.rank=2&C.rank=2", submission(&page)));
    let path = format!("/label/manage/{}/export", site.project);
    let rows = mia.post(&path, "content=rankings&format=jsonl");
    let row: serde_json::Value = serde_json::from_str(rows.text.lines().next().expect("a row")).expect("JSON");
    assert_eq!((row["source"].as_str(), row["completions"].as_array().map(Vec::len)), (Some("human"), Some(3)));
    assert!(!rows.text.contains("ann"), "{}", rows.text);
    let table = mia.post(&path, "content=preferences&format=csv");
    assert_eq!(table.status, 200);
    assert!(
        table.text.contains("HYPERLINK")
            && !table.text.contains(",=HYPERLINK")
            && !table.text.contains(",\"=HYPERLINK")
    );
    assert_eq!(mia.post(&path, "content=rankings&format=../x").status, 422);
    assert_eq!(mia.post(&path, "content=everything&format=csv").status, 422);
}

#[test]
fn an_erased_person_is_gone_and_logged_out() {
    let site = Site::start();
    let (ann, mia) = (site.log_in("ann"), site.log_in("mia"));
    let (task, page) = ann.take();
    ann.post(&task, &format!("submission={}&A.rank=1&B.rank=2&C.rank=2&notes=private", submission(&page)));
    let id = site.store.person_by_name("ann").expect("people").expect("ann").id;
    let found = mia.post(&format!("/label/people/{id}/erase"), "");
    assert!(found.status == 200 && found.text.contains("Erased"), "{}", found.text);
    assert_eq!(ann.get("/label").status, 303);
    assert_eq!(site.n_judgements(), 1, "counts stay");
    let log = mia.get(&format!("/label/manage/{}/log", site.project));
    assert!(!log.text.contains("private") && !log.text.contains(">ann<"));
}

#[test]
fn tokens_do_what_they_were_made_for() {
    let site = Site::start();
    let mia = site.log_in("mia");
    let found = mia.post("/label/account/tokens", "name=ci&scope=read&scope=import&days=1");
    let (_, rest) = found.text.split_once("value=\"hm_").expect("the secret is shown once");
    let secret = format!("hm_{}", rest.split_once('"').expect("its end").0);
    assert!(!mia.get("/label/account").text.contains(&secret));
    let api = site.visitor();
    let call = |method: &str, path: &str, body: &str| {
        let bearer = format!("Bearer {secret}");
        let url = api.url(path);
        answer(match method {
            "POST" => api.agent.post(url).header("authorization", bearer).send(body),
            _ => api.agent.get(url).header("authorization", bearer).call(),
        })
    };
    let projects = call("GET", "/label/api/projects", "");
    assert!(projects.status == 200 && projects.text.contains("\"name\":\"first\""), "{}", projects.text);
    let added = call("POST", "/label/api/projects/first/prompts", "{\"prompt\": \"by a program\"}");
    assert!(added.status == 200 && added.text.contains("\"added\":1"), "{}", added.text);
    assert_eq!(call("POST", "/label/api/projects/first/prompts", "{\"prompt\": 3}").status, 422);
    assert_eq!(call("GET", "/label/api/projects/first/export?content=rankings", "").status, 403, "not its scope");
    assert_eq!(call("POST", "/label/api/projects/first/next", "").status, 403, "not its scope");
    assert_eq!(call("GET", "/label/api/projects/none/agreement", "").status, 404);
    assert_eq!(answer(api.agent.get(api.url("/label/api/projects")).call()).status, 401);
}

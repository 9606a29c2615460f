//! The labeling pages as somebody sees them who means no good, or presses a button twice: forged forms, wrong roles, late
//! and doubled submissions, huge pastes, uploads with odd names.

use label::{Actor, Clock, JudgementQuery, NewPerson, OpenOptions, PasswordCost, Role, Store};
use serde_json::json;
use serve::label::{Settings, import};
use serve::server::Background;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

#[path = "pages/fuzz.rs"]
mod fuzz;
#[path = "../../label/tests/store/server.rs"]
mod server;

use fuzz::no_request_breaks_the_api;

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
        Site::on(path.to_str().expect("UTF-8"), folder)
    }

    /// The same in any empty database.
    fn on(address: &str, folder: TempDir) -> Site {
        Site::waiting(address, folder, OpenOptions::default().busy_ms)
    }

    /// The same with a database that waits so many milliseconds for another program.
    fn waiting(address: &str, folder: TempDir, busy_ms: u64) -> Site {
        let clock = Clock::manual(1_800_000_000_000);
        let options =
            OpenOptions { password_cost: PasswordCost::Least, clock: clock.clone(), busy_ms, ..OpenOptions::default() };
        let store = Store::open(address, &options).expect("a database");
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

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name(&super::Site::start());
            })*
        }

        const ALL: &[(&str, fn(&Site))] = &[$((stringify!($name), $name)),*];
    };
}

scenarios! {
    strangers_are_sent_to_the_log_in_page,
    a_form_of_another_session_changes_nothing,
    a_double_click_counts_once_and_a_wrong_form_says_what_is_missing,
    what_comes_too_late_is_given_back,
    nobody_does_what_their_role_may_not,
    uploads_and_pastes_have_their_limits,
    exports_keep_names_in_and_formulas_harmless,
    exports_are_files_that_others_read_and_judgements_come_back,
    an_erased_person_is_gone_and_logged_out,
    tokens_do_what_they_were_made_for,
    no_request_breaks_the_api,
}

/// The same pages over a real server, which this test starts and stops; each scenario in a database of its own.
#[test]
fn postgres_bears_every_page() {
    let Some(server) = server::Server::start() else { return };
    let mut failed = Vec::new();
    for (name, scenario) in ALL {
        let site = Site::on(&server.database(name), tempfile::tempdir().expect("a folder"));
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scenario(&site))).is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed on PostgreSQL: {failed:?}");
}

#[test]
fn a_database_that_another_program_holds_is_said_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("labels.db");
    let site = Site::waiting(path.to_str().expect("UTF-8"), folder, 50);
    let ann = site.log_in("ann");
    let (task, page) = ann.take();
    let other = rusqlite::Connection::open(&path).expect("the same file");
    other.execute_batch("BEGIN IMMEDIATE").expect("held");
    let fields = format!("submission={}&A.rank=1&B.rank=2&C.rank=2&notes=my+words", submission(&page));
    let busy = ann.post(&task, &fields);
    assert_eq!(busy.status, 503, "{}", busy.text);
    assert!(busy.text.contains("busy with something else. Nothing was changed") && busy.text.contains("my words"));
    assert!(busy.text.contains("value=\"2\" aria-label=\"Output C: rank 2\" checked"), "the form as it was filled");
    assert_eq!((ann.get(&task).status, site.n_judgements()), (200, 0), "reading goes on");
    other.execute_batch("ROLLBACK").expect("let go");
    assert_eq!(ann.post(&task, &fields).status, 303);
    assert_eq!(site.n_judgements(), 1);
}

/// A file system of a few megabytes, unmounted when it is dropped; nothing, loudly, where this may not be mounted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(folder)),
            Ok(output) => {
                eprintln!("SKIPPED: no small disk to fill: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("SKIPPED: no small disk to fill: mount: {error}");
                None
            }
        }
    }

    /// Writes until there is no room left; the file that must go to make room.
    fn fill(&self) -> std::path::PathBuf {
        use std::io::Write;
        let path = self.0.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        for size in [1 << 16, 1 << 10, 1] {
            let piece = vec![b'x'; size];
            while file.write_all(&piece).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_is_really_full_is_said_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let address = disk.0.path().join("labels.db");
    let address = address.to_str().expect("UTF-8").to_owned();
    let site = Site::on(&address, tempfile::tempdir().expect("a folder"));
    let ann = site.log_in("ann");
    let (task, page) = ann.take();
    let filler = disk.fill();
    // What the database had taken of the disk before, it may still use: words until that is full too.
    let words = "w".repeat(200_000);
    let full = (0..100).find_map(|_| {
        let found = ann.post(&format!("{task}/draft"), &format!("notes={words}"));
        assert!([303, 507].contains(&found.status), "{} {}", found.status, found.text);
        (found.status == 507).then_some(found)
    });
    let full = full.expect("a disk of 12 MB never filled");
    assert!(full.text.contains("disk is full. Nothing was changed"), "{}", full.text);
    assert!(full.text.contains(&words), "words are given back");
    let fields = format!("submission={}&A.rank=1&B.rank=2&C.rank=2&notes={words}", submission(&page));
    let refused = ann.post(&task, &fields);
    assert_eq!(refused.status, 507, "{}", &refused.text[..refused.text.len().min(500)]);
    assert!(refused.text.contains("disk is full") && refused.text.contains(&words));
    assert!(refused.text.contains("value=\"2\" aria-label=\"Output C: rank 2\" checked"), "the form as it was filled");
    assert_eq!(site.n_judgements(), 0);
    assert_eq!(ann.get("/label").status, 200, "reading goes on");
    // Room again: the same form, sent again, counts, once.
    std::fs::remove_file(filler).expect("room");
    assert_eq!(ann.post(&task, &fields).status, 303);
    assert_eq!(ann.post(&task, &fields).status, 303);
    let options = OpenOptions { password_cost: PasswordCost::Least, ..OpenOptions::default() };
    let again = Store::open(&address, &options).expect("a whole database");
    let kept = again.judgements(Actor::Operator, site.project, &JudgementQuery::default()).expect("judgements");
    assert_eq!(kept.len(), 1);
    assert!(serde_json::to_string(&kept[0].body).expect("JSON").contains(&words));
}

fn strangers_are_sent_to_the_log_in_page(site: &Site) {
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

fn a_form_of_another_session_changes_nothing(site: &Site) {
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

fn a_double_click_counts_once_and_a_wrong_form_says_what_is_missing(site: &Site) {
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

fn what_comes_too_late_is_given_back(site: &Site) {
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

fn nobody_does_what_their_role_may_not(site: &Site) {
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

fn uploads_and_pastes_have_their_limits(site: &Site) {
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

fn exports_keep_names_in_and_formulas_harmless(site: &Site) {
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

fn exports_are_files_that_others_read_and_judgements_come_back(site: &Site) {
    let (ann, mia) = (site.log_in("ann"), site.log_in("mia"));
    let (task, page) = ann.take();
    ann.post(&task, &format!("submission={}&A.rank=1&B.rank=2&C.rank=2", submission(&page)));
    let path = format!("/label/manage/{}/export", site.project);
    let row = |text: &str| -> serde_json::Value {
        serde_json::from_str(text.lines().next().expect("a row")).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let trl = row(&mia.post(&path, "content=preferences&format=trl").text);
    assert_eq!((trl["prompt"].as_str(), trl["chosen"].is_string()), (Some("p"), true));
    let open = row(&mia.post(&path, "content=preferences&format=openrlhf").text);
    assert_eq!(open["chosen"][0], json!({"role": "user", "content": "p"}));
    let factory = row(&mia.post(&path, "content=preferences&format=llamafactory").text);
    assert_eq!(factory["chosen"]["from"], "gpt");
    let info: serde_json::Value =
        serde_json::from_str(&mia.post(&path, "content=preferences&format=dataset_info").text).expect("JSON");
    assert_eq!(info["first-preferences"]["file_name"], "first-preferences.jsonl");
    let transcript = row(&mia.post(&path, "content=preferences&format=hh").text);
    assert!(transcript["chosen"].as_str().expect("text").starts_with("\n\nHuman: p\n\nAssistant: "), "{transcript}");
    // A table begins and ends with its mark.
    let request = mia.agent.post(mia.url(&path)).header("cookie", &mia.cookie);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let mut table = request.send(format!("csrf={}&content=rankings&format=parquet", mia.csrf)).expect("an answer");
    let bytes = table.body_mut().read_to_vec().expect("bytes");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{} bytes", bytes.len());
    for (content, format) in [("rankings", "hh"), ("rankings", "trl"), ("reviews", "openrlhf")] {
        let found = mia.post(&path, &format!("content={content}&format={format}"));
        assert!(found.status == 422 && found.text.contains("expected preferences"), "{format}: {}", found.text);
    }

    // The ranking comes into another project, once.
    let rows = mia.post(&path, "content=rankings&format=jsonl").text;
    let settings = label::Settings {
        ranking: label::RankingSettings { rate_each: false, ..label::Settings::instructgpt().ranking },
        ..label::Settings::instructgpt()
    };
    let other = site.store.create_project(Actor::Operator, "second", &settings).expect("a project").id;
    let import = format!("/label/manage/{other}/import");
    let body = |rows: &str| {
        let part = |name: &str, text: &str| {
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        format!("{}{}{}--b--\r\n", part("csrf", &mia.csrf), part("judgements", "yes"), part("rows", rows))
    };
    let send = |rows: &str| mia.send(&import, "multipart/form-data; boundary=b", body(rows));
    let found = send(&rows);
    assert!(found.location.ends_with("judgements=1&known=0&people=1&left_out=0"), "{} {}", found.location, found.text);
    assert!(send(&rows).location.contains("judgements=0&known=1&people=0"));
    assert!(mia.get(&found.location).text.contains("1 judgements of 1 new labelers imported."));
    let back = mia.post(&format!("/label/manage/{other}/export"), "content=rankings&format=jsonl").text;
    assert_eq!(row(&back), row(&rows));
    let wrong = send(&rows.replace("\"rank\":1", "\"rank\":0"));
    assert!(wrong.status == 422 && wrong.text.contains("expected a whole number from 1"), "{}", wrong.text);
    assert_eq!(send("{\"prompt\": \"p\"}").status, 422);
}

fn an_erased_person_is_gone_and_logged_out(site: &Site) {
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

fn tokens_do_what_they_were_made_for(site: &Site) {
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
    let broken = call("POST", "/label/api/projects/first/prompts", "{\"prompt\": ");
    assert!(broken.status == 422 && broken.text.contains("Line 1: row:"), "{}", broken.text);
    assert_eq!(call("GET", "/label/api/projects/first/export?content=rankings", "").status, 403, "not its scope");
    assert_eq!(call("POST", "/label/api/projects/first/next", "").status, 403, "not its scope");
    assert_eq!(call("GET", "/label/api/projects/none/agreement", "").status, 404);
    assert_eq!(answer(api.agent.get(api.url("/label/api/projects")).call()).status, 401);
}

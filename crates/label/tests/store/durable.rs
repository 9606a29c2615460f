//! What was acknowledged stays: through kills, a full disk, and a disk that fails.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use label::{Actor, Body, JudgementQuery, LabelError, Next, OpenOptions, PasswordCost, Store, TaskKind};

use crate::fixture::{Fixture, submission};

/// Tells the test binary to be the child: the database's path.
const CHILD: &str = "HELPMATE_TEST_LABEL_CHILD";

/// Not a test of its own: the process that the others kill and starve. It does task after task,
/// and says so once each is acknowledged; what is refused it says and tries again.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let options = OpenOptions { password_cost: PasswordCost::Least, ..OpenOptions::default() };
    let store = Store::open(&path, &options).expect("open");
    let project = store.project_by_name("p").expect("project").id;
    let person = store.person_by_name("ada").expect("people").expect("ada").id;
    let say = |line: &str| {
        println!("{line}");
        std::io::stdout().flush().expect("stdout");
    };
    loop {
        let task = match store.next_task(person, project, &[]) {
            Ok(Next::Task(task)) => task,
            Ok(_) => return say("all done"),
            Err(error) => {
                say(&format!("refused {} {error}", error.status()));
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
        };
        let notes = "x".repeat(2000);
        let body = Body::Pairwise { better: Some(task.answers[0].candidate), ratings: Vec::new(), notes };
        match store.submit(person, &submission(&task, &format!("s{}", task.task), body)) {
            Ok(_) => say(&format!("ack {}", task.task)),
            Err(error) => {
                say(&format!("refused {} {error}", error.status()));
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn command(path: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["durable::child", "--exact", "--nocapture"]).env(CHILD, path);
    command
}

fn spawn(command: &mut Command) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start the child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    (child, lines)
}

/// A database with so many tasks for one person.
fn prepared(n: usize) -> Fixture {
    let f = Fixture::sqlite();
    let project = f.project("");
    let prompts: Vec<_> =
        (0..n).map(|i| label::NewPrompt::new(record::Prompt::Text(format!("question {i}")))).collect();
    let added = f.store.add_prompts(Actor::Operator, project.id, &prompts).unwrap();
    for id in added.added {
        let answers = [label::NewCandidate::new("a"), label::NewCandidate::new("b")];
        f.store.add_candidates(Actor::Operator, id, &answers).unwrap();
    }
    f.make(&project, TaskKind::Pairwise);
    f.labeler("ada");
    f
}

/// The tasks that have a judgement, after a check that none has two.
fn judged(f: &Fixture) -> Vec<i64> {
    let store = Store::open(&f.address, &crate::fixture::options(&f.clock)).expect("open after the fault");
    let project = store.project_by_name("p").unwrap().id;
    let query = JudgementQuery { limit: 100_000, ..JudgementQuery::default() };
    let mut tasks: Vec<i64> =
        store.judgements(Actor::Operator, project, &query).unwrap().iter().map(|judgement| judgement.task).collect();
    let n = tasks.len();
    tasks.sort_unstable();
    tasks.dedup();
    assert_eq!(tasks.len(), n, "a judgement was doubled");
    tasks
}

#[test]
fn fifty_kills_lose_and_double_nothing() {
    let f = prepared(4000);
    let mut stream = stdx::Seed(7).stream("kills", 0);
    let mut acknowledged = Vec::new();
    let mut n_killed = 0;
    for _ in 0..50 {
        let (mut child, mut lines) = spawn(&mut command(&f.address));
        let wait = stream.below(40);
        // From the first acknowledgement on, at any moment.
        let first = lines.by_ref().find(|line| line.starts_with("ack ") || line == "all done");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(wait * 1000 + wait * 17));
            child.kill().expect("kill");
            child.wait().expect("wait");
        });
        let acks = first.into_iter().chain(lines).filter_map(|line| line.strip_prefix("ack ")?.parse::<i64>().ok());
        acknowledged.extend(acks);
        killer.join().expect("killer");
        n_killed += 1;
        let tasks = judged(&f);
        let lost: Vec<_> = acknowledged.iter().filter(|task| tasks.binary_search(task).is_err()).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        if tasks.len() >= 4000 {
            break;
        }
    }
    assert!(n_killed == 50, "all was done after {n_killed} kills");
    // What is left can be finished, and then every task has exactly one.
    let (mut child, lines) = spawn(&mut command(&f.address));
    assert_eq!(lines.filter(|line| line == "all done").count(), 1);
    child.wait().expect("wait");
    assert_eq!(judged(&f).len(), 4000);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let f = prepared(3000);
    let size = std::fs::metadata(&f.address).unwrap().len();
    // No file of the child may grow beyond this: the log of writes fills up. (Ignored, the signal
    // becomes an error of write.)
    let blocks = size / 512 + 200;
    let mut limited = Command::new("sh");
    let binary = std::env::current_exe().unwrap();
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" durable::child --exact --nocapture"));
    limited.arg(binary).env(CHILD, &f.address);
    let (mut child, lines) = spawn(&mut limited);
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for line in lines {
        if let Some(task) = line.strip_prefix("ack ") {
            acknowledged.push(task.parse::<i64>().unwrap());
        }
        refused += usize::from(line.starts_with("refused 5"));
        if refused == 20 || line == "all done" {
            break;
        }
    }
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert_eq!(refused, 20, "the disk never filled");
    let tasks = judged(&f);
    assert!(acknowledged.iter().all(|task| tasks.binary_search(task).is_ok()), "acknowledged and lost");
    let (mut child, lines) = spawn(&mut command(&f.address));
    assert_eq!(lines.filter(|line| line == "all done").count(), 1);
    child.wait().expect("wait");
    assert_eq!(judged(&f).len(), 3000);
}

/// A library that lets syncs fail while a file is there.
const FAILING_SYNC: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fails(void) { const char *f = getenv("FAIL_SYNC"); return f && access(f, F_OK) == 0; }
int fsync(int fd) { if (fails()) { errno = EIO; return -1; } return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { if (fails()) { errno = EIO; return -1; } return syscall(SYS_fdatasync, fd); }
"#;

#[test]
fn a_disk_that_cannot_sync_acknowledges_nothing() {
    let f = prepared(400);
    let library = f.folder.path().join("sync.so");
    let source = f.folder.path().join("sync.c");
    std::fs::write(&source, FAILING_SYNC).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.is_ok_and(|status| status.success()), "cc, which also built SQLite, must build this");
    let fails = f.folder.path().join("fails");
    let mut command = command(&f.address);
    command.env("LD_PRELOAD", &library).env("FAIL_SYNC", &fails);
    let (mut child, mut lines) = spawn(&mut command);
    let mut acknowledged: Vec<i64> = Vec::new();
    let mut until = |lines: &mut dyn Iterator<Item = String>, n: usize, mark: &str| {
        let mut found = 0;
        for line in lines {
            if let Some(task) = line.strip_prefix("ack ") {
                acknowledged.push(task.parse().unwrap());
            }
            found += usize::from(line.starts_with(mark));
            if found == n {
                return acknowledged.len();
            }
        }
        panic!("ended before {n} lines of {mark:?}");
    };
    let before = until(&mut lines, 20, "ack ");
    std::fs::write(&fails, "").unwrap();
    // What was under way may still come through; after the first refusal nothing does.
    let at_first = until(&mut lines, 1, "refused 500");
    let after = until(&mut lines, 20, "refused 500");
    assert_eq!(after, at_first, "acknowledged without a sync");
    assert!(at_first >= before);
    // The disk works again: the same person goes on, in the same process.
    std::fs::remove_file(&fails).unwrap();
    until(&mut lines, 20, "ack ");
    child.kill().expect("kill");
    child.wait().expect("wait");
    let tasks = judged(&f);
    assert!(acknowledged.iter().all(|task| tasks.binary_search(task).is_ok()), "acknowledged and lost");
}

#[test]
fn a_database_that_another_program_holds_says_so() {
    let f = prepared(1);
    let options = OpenOptions { busy_ms: 50, ..crate::fixture::options(&f.clock) };
    let store = Store::open(&f.address, &options).unwrap();
    let other = rusqlite::Connection::open(&f.address).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.set_project_state(Actor::Operator, 1, label::ProjectState::Paused).unwrap_err();
    assert!(matches!(&error, LabelError::Busy { .. }) && error.status() == 503, "{error}");
    // Reading goes on meanwhile.
    assert_eq!(store.project(1).unwrap().name, "p");
    other.execute_batch("ROLLBACK").unwrap();
    store.set_project_state(Actor::Operator, 1, label::ProjectState::Paused).unwrap();
}

#[test]
fn what_is_no_database_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Store::open(&folder.path().join(name).display().to_string(), &OpenOptions::default());
    std::fs::write(folder.path().join("text"), "this is no database, but long enough to look like a header").unwrap();
    assert!(matches!(open("text"), Err(LabelError::Database { .. })));
    let other = rusqlite::Connection::open(folder.path().join("other")).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    let error = open("other").unwrap_err().to_string();
    assert!(error.contains("of another program"), "{error}");
    assert!(matches!(open("no/such/folder"), Err(LabelError::Database { .. })));
    drop(open("new").unwrap());
    let newer = rusqlite::Connection::open(folder.path().join("new")).unwrap();
    newer.execute("INSERT INTO schema_version (version) VALUES (99)", []).unwrap();
    assert!(matches!(open("new"), Err(LabelError::Version { found: 99, .. })));
    // What was said can't be changed or taken back, not even by hand.
    let by_hand = newer.execute_batch(
        "PRAGMA foreign_keys=OFF; INSERT INTO judgement (project_id, task_id, person_id, submission, kind, source, \
         shown, guide_version, body_hash, created_ms) VALUES (1, 1, 1, 's', 'rank', 'human', '[]', 1, 'h', 1)",
    );
    by_hand.unwrap();
    for sql in ["UPDATE judgement SET source = 'rule'", "DELETE FROM judgement"] {
        assert!(newer.execute(sql, []).unwrap_err().to_string().contains("rows are only added"));
    }
    assert!(Path::new(&folder.path().join("new")).is_file());
}

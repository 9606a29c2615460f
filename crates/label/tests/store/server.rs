//! A PostgreSQL server for one test process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::Fixture;

pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    process: Child,
}

impl Server {
    /// Starts one; nothing, loudly, when PostgreSQL isn't installed.
    pub fn start() -> Option<Server> {
        let Some(programs) = programs() else {
            let required = std::env::var("HELPMATE_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!required, "HELPMATE_REQUIRE_SERVICES=1, but PostgreSQL isn't installed");
            eprintln!("SKIPPED: PostgreSQL isn't installed; nothing was tested on it");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("helpmate-pg-").tempdir().expect("temporary folder");
        if is_root() {
            // The server refuses to run as root.
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let data = folder.path().join("data");
        let mut initdb = as_server(&programs.join("initdb"));
        run(initdb.args(["--auth=trust", "--username=helpmate", "--no-sync", "--encoding=UTF8", "-D"]).arg(&data));
        let mut server = as_server(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        // Durability is tested on SQLite; a sync of each of these commits would only cost time.
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"]);
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start PostgreSQL");
        let server = Server { folder, programs, process };
        server.wait();
        Some(server)
    }

    fn address(&self, database: &str) -> String {
        format!("postgres://helpmate@/{database}?host={}", self.folder.path().display())
    }

    fn connect(&self) -> Result<postgres::Client, postgres::Error> {
        postgres::Client::connect(&self.address("postgres"), postgres::NoTls)
    }

    fn wait(&self) {
        let began = Instant::now();
        while let Err(error) = self.connect() {
            assert!(began.elapsed() < Duration::from_secs(30), "PostgreSQL didn't start: {error}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A fresh database.
    pub fn fixture(&self, name: &str) -> Fixture {
        self.connect().and_then(|mut client| client.batch_execute(&format!("CREATE DATABASE {name}"))).expect("create");
        Fixture::open(self.address(name), tempfile::tempdir().expect("temporary folder"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = as_server(&self.programs.join("pg_ctl"));
        stop.arg("-D").arg(self.folder.path().join("data")).args(["-m", "immediate", "stop"]);
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = self.process.wait();
    }
}

/// The folder of the newest PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.splice(0..0, std::env::split_paths(&path));
    found
        .into_iter()
        .rev()
        .find(|folder| ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.join(name).is_file()))
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id");
    String::from_utf8_lossy(&output.stdout).trim() == "0"
}

fn as_server(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // A folder that the server's user may enter.
    command.current_dir("/tmp");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

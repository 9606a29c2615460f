//! A PostgreSQL server for one test process. Tests of other crates include this file too.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    process: Child,
    /// Where it listens on the network, when it does.
    port: Option<u16>,
}

impl Server {
    /// Starts one; nothing, loudly, when PostgreSQL isn't installed.
    pub fn start() -> Option<Server> {
        let server = Server::begin(None);
        server.map(|server| server.expect("PostgreSQL ended instead of starting"))
    }

    /// One that is reached over the network with TLS only. The port may be taken between its choice and its use:
    /// then another is tried.
    #[allow(dead_code)] // not every test that includes this file
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Option<Server> {
        for _ in 0..20 {
            match Server::begin(Some((certificate, key)))? {
                Some(server) => return Some(server),
                None => continue,
            }
        }
        panic!("PostgreSQL found no free port twenty times");
    }

    /// `None` without PostgreSQL's programs, `Some(None)` when it ends at once.
    fn begin(tls: Option<(&Path, &Path)>) -> Option<Option<Server>> {
        let Some(programs) = programs() else {
            let required = std::env::var("HELPMATE_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!required, "HELPMATE_REQUIRE_SERVICES=1, but PostgreSQL isn't installed");
            eprintln!("SKIPPED: PostgreSQL isn't installed; nothing was tested on it");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("helpmate-pg-").tempdir().expect("temporary folder");
        let own = |path: &Path| {
            // The server refuses to run as root.
            if is_root() {
                run(Command::new("chown").arg("-R").arg("postgres").arg(path));
            }
        };
        own(folder.path());
        let data = folder.path().join("data");
        let mut initdb = as_server(&programs.join("initdb"));
        run(initdb.args(["--auth=trust", "--username=helpmate", "--no-sync", "--encoding=UTF8", "-D"]).arg(&data));
        let mut server = as_server(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        // Durability is tested on SQLite; a sync of each of these commits would only cost time.
        server.args(["-c", "fsync=off", "-c", "max_connections=200"]);
        let port = tls.map(|(certificate, key)| {
            for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
                std::fs::copy(from, data.join(name)).expect("a copy");
            }
            run(Command::new("chmod").arg("600").arg(data.join("server.key")));
            std::fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
                .expect("rules of access");
            own(&data);
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("its number").port()
        });
        match port {
            None => server.args(["-c", "listen_addresses="]),
            Some(port) => server.args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-p", &port.to_string()]),
        };
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start PostgreSQL");
        let mut server = Server { folder, programs, process, port };
        Some(server.wait().then_some(server))
    }

    /// Where a database is.
    fn address(&self, database: &str) -> String {
        match self.port {
            None => format!("postgres://helpmate@/{database}?host={}", self.folder.path().display()),
            Some(port) => format!("postgres://helpmate@localhost:{port}/{database}"),
        }
    }

    /// One of the client programs, to be connected to this server.
    fn client(&self, program: &str) -> Command {
        let mut client = Command::new(self.programs.join(program));
        client.arg("-h").arg(self.folder.path()).args(["-p", &self.port.unwrap_or(5432).to_string()]);
        client.args(["-U", "helpmate"]).stdout(Stdio::null()).stderr(Stdio::piped());
        client
    }

    /// Waits until it answers; whether it does, or has ended instead.
    fn wait(&mut self) -> bool {
        let began = Instant::now();
        loop {
            if self.process.try_wait().expect("a process").is_some() {
                return false;
            }
            let ready = self.client("pg_isready").args(["-d", "postgres"]).output().expect("pg_isready");
            if ready.status.success() {
                return true;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "PostgreSQL didn't start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A fresh database; its address.
    pub fn database(&self, name: &str) -> String {
        run(self.client("createdb").arg(name));
        self.address(name)
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

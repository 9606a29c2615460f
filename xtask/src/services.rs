//! What some tests need beside Rust: a PostgreSQL server, a browser with its driver, curl, and OpenAI's Python client.
//!
//! A fresh machine has none of them. As root on a Debian-like system they are installed; elsewhere the tests that need
//! what is missing say that they check nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tests that find one of these missing fail instead of saying so.
pub const REQUIRED: &str = "HELPMATE_REQUIRE_SERVICES";

/// A Debian package, and how its presence shows.
struct Package {
    name: &'static str,
    is_there: fn() -> bool,
}

const PACKAGES: &[Package] = &[
    Package { name: "postgresql", is_there: has_postgresql },
    Package { name: "chromium", is_there: || runs("chromium") },
    Package { name: "chromium-driver", is_there: || runs("chromedriver") },
    Package { name: "curl", is_there: || runs("curl") },
];

/// Installs what is missing. The error says what still is, and what to do.
pub fn install(root: &Path) -> Result<(), String> {
    let missing = missing();
    if !missing.is_empty() {
        println!("installing {}", missing.join(", "));
        if is_root() {
            apt_get(&["update", "--quiet"]);
            apt_get(&[&["install", "--yes", "--quiet", "--no-install-recommends"], &missing[..]].concat());
        }
    }
    install_openai(root);
    let mut absent: Vec<String> = self::missing().into_iter().map(str::to_owned).collect();
    if !has_openai(root) {
        absent.push("the openai package of Python".to_owned());
    }
    if absent.is_empty() {
        return Ok(());
    }
    Err(format!("{} missing (apt-get install {}; pip install openai)", absent.join(", "), missing.join(" ")))
}

fn missing() -> Vec<&'static str> {
    PACKAGES.iter().filter(|package| !(package.is_there)()).map(|package| package.name).collect()
}

/// Servers are in a folder of their own, by version.
fn has_postgresql() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin/initdb").is_file())
}

fn install_openai(root: &Path) {
    if has_openai(root) {
        return;
    }
    println!("installing the openai package of Python");
    let folder = root.join("target/tools/openai-venv");
    if !quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder)) && is_root() {
        apt_get(&["install", "--yes", "--quiet", "--no-install-recommends", "python3", "python3-venv"]);
        quietly(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&folder));
    }
    quietly(Command::new(python(root)).args(["-m", "pip", "install", "--quiet", "openai"]));
}

fn has_openai(root: &Path) -> bool {
    quietly(Command::new(python(root)).args(["-c", "import openai"]))
}

fn python(root: &Path) -> PathBuf {
    root.join("target/tools/openai-venv/bin/python")
}

fn apt_get(arguments: &[&str]) {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        println!("apt-get {} failed", arguments.join(" "));
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn runs(program: &str) -> bool {
    quietly(Command::new(program).arg("--version"))
}

fn quietly(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

//! What stands before every page and every API: hosts, origins, slow and greedy clients, TLS, stopping.
#![allow(missing_docs, clippy::unwrap_used)]
use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::routing::{get, post};
use serve::server::{Arrival, Background, ServerError, Settings, TlsFiles};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What takes longer never ends: far beyond all that a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether anybody asked for `/slow`.
static SLOW_WAS_ASKED: AtomicBool = AtomicBool::new(false);

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/who", get(|Extension(arrival): Extension<Arrival>| async move { format!("{arrival:?}") }))
        .route("/large", get(|| async { vec![b'x'; 256 << 20] }))
        .route(
            "/slow",
            get(|| async {
                SLOW_WAS_ASKED.store(true, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(600)).await;
                "at last"
            }),
        )
}

fn settings() -> Settings {
    Settings {
        body_bytes_max: 1000,
        read_time_max: Duration::from_millis(400),
        write_time_max: Duration::from_millis(400),
        ..Settings::new("127.0.0.1:0".parse().unwrap())
    }
}

/// What a server answers to these bytes, until it hangs up.
fn exchange(server: &Background, request: &str) -> String {
    let mut stream = TcpStream::connect(server.url().split_once("://").unwrap().1).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.write_all(request.as_bytes()) {
        Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => panic!("{error}"),
        _ => {} // whoever sends nonsense may be cut off before its end
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&answer)),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn check(server: &Background, request: &str, status: &str) -> String {
    let answer = exchange(server, request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?} → {answer:?}");
    answer
}

#[test]
fn answers_carry_what_keeps_a_browser_from_guessing() {
    let server = Background::start(settings(), router()).unwrap();
    let answer = check(&server, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "200").to_lowercase();
    for line in [
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: same-origin",
        "cache-control: no-store",
        "cross-origin-opener-policy: same-origin",
    ] {
        assert!(answer.contains(line), "no {line:?} in {answer}");
    }
    let policy = answer.lines().find(|line| line.starts_with("content-security-policy:")).unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

#[test]
fn a_name_that_was_bound_to_loopback_elsewhere_is_turned_away() {
    let server = Background::start(settings(), router()).unwrap();
    for host in ["localhost", "localhost:99", "127.0.0.1", "127.0.0.1:99", "[::1]:99"] {
        check(&server, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), "200");
    }
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1", ""] {
        check(&server, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), "421");
    }
    let behind = Background::start(Settings { behind_proxy: true, ..settings() }, router()).unwrap();
    check(&behind, "GET / HTTP/1.1\r\nHost: labels.example\r\nConnection: close\r\n\r\n", "200");
}

#[test]
fn other_sites_change_nothing() {
    let server = Background::start(settings(), router()).unwrap();
    let post = |more: &str| {
        format!(
            "POST /length HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 2\r\nConnection: close\r\n{more}\r\n\r\nab"
        )
    };
    check(&server, &post("X-A: b"), "200");
    check(&server, &post("Origin: http://localhost:1"), "200");
    check(&server, &post("Sec-Fetch-Site: same-origin"), "200");
    for more in
        ["Origin: http://localhost:2", "Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"]
    {
        check(&server, &post(more), "403");
    }
    check(
        &server,
        "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n",
        "200",
    );
}

#[test]
fn only_a_proxy_says_who_comes() {
    let ask = "GET /who HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n";
    let server = Background::start(settings(), router()).unwrap();
    assert!(check(&server, ask, "200").contains("Arrival { address: 127.0.0.1, secure: false }"));
    let behind = Background::start(Settings { behind_proxy: true, ..settings() }, router()).unwrap();
    assert!(check(&behind, ask, "200").contains("Arrival { address: 5.6.7.8, secure: true }"));
}

#[test]
fn bodies_are_bounded_in_size_and_time() {
    let server = Background::start(settings(), router()).unwrap();
    let post = |length: usize, body: &str| {
        format!(
            "POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    assert!(check(&server, &post(1000, &"x".repeat(1000)), "200").ends_with("1000"));
    check(&server, &post(1001, &"x".repeat(1001)), "413");
    let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    let chunked = format!(
        "POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    check(&server, &chunked, "413");
    // Many times what the sockets' buffers hold: all of it is taken, and the answer is read.
    let patient = Settings { read_time_max: Duration::from_secs(60), ..settings() };
    let patient = Background::start(patient, router()).unwrap();
    let mut long = TcpStream::connect(patient.url().split_once("://").unwrap().1).unwrap();
    long.write_all(post(32 << 20, &"x".repeat(32 << 20)).as_bytes()).expect("nobody hangs up on who still sends");
    let mut answer = String::new();
    long.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("longer than 1000 bytes"), "{answer}");
    let began = Instant::now();
    check(&server, &post(10, "abc"), "408");
    assert!(began.elapsed() < PATIENCE, "a body that never comes was waited for");
}

#[test]
fn heads_that_never_end_are_cut_off() {
    let server = Background::start(settings(), router()).unwrap();
    let began = Instant::now();
    let answer = exchange(&server, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    assert!(began.elapsed() < PATIENCE);
    // Neither does a head without end, nor nonsense, keep the server from answering others.
    exchange(&server, &format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(200_000)));
    exchange(&server, "\u{16}\u{3}\u{1} not HTTP at all\r\n\r\n");
    check(&server, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "200");
}

#[test]
fn who_takes_nothing_of_an_answer_is_cut_off() {
    let one = Settings { connections_max: 1, ..settings() };
    let server = Background::start(one, router()).unwrap();
    let mut idle = TcpStream::connect(server.url().split_once("://").unwrap().1).unwrap();
    idle.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // The only place is free again once the idle client is given up.
    let began = Instant::now();
    check(&server, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "200");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn a_stop_lets_what_was_begun_be_finished() {
    let server = Background::start(settings(), router()).unwrap();
    let address = server.url().split_once("://").unwrap().1.to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let began = Instant::now();
    while !SLOW_WAS_ASKED.load(Ordering::SeqCst) {
        assert!(began.elapsed() < PATIENCE, "nobody was let in");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(server);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("at last"), "{answer:?}");
    assert!(TcpStream::connect(&address).is_err(), "nobody new is let in");
}

#[test]
fn what_would_be_open_to_all_is_refused() {
    let refused = |settings: Settings| Background::start(settings, router()).err().unwrap();
    let everywhere = Settings { address: "0.0.0.0:0".parse().unwrap(), ..settings() };
    assert!(matches!(refused(everywhere.clone()), ServerError::Unprotected { .. }));
    assert!(matches!(refused(Settings { has_users: true, ..everywhere.clone() }), ServerError::Unprotected { .. }));
    drop(Background::start(Settings { behind_proxy: true, ..everywhere }, router()).unwrap());
    let taken = Background::start(settings(), router()).unwrap();
    let address = taken.url().split_once("://").unwrap().1.parse().unwrap();
    assert!(matches!(refused(Settings { address, ..settings() }), ServerError::Listen { .. }));
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn tls_is_spoken_with_the_certificate_given() {
    let files = TlsFiles { certificate: fixture("certificate.pem"), key: fixture("key.pem") };
    let server = Background::start(Settings { tls: Some(files.clone()), ..settings() }, router()).unwrap();
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    assert!(server.url().starts_with("https://"));
    // `curl` is what people use; it is checked for real, and said loudly where it is missing.
    match Command::new("curl")
        .args(["-sS", "-i", "--cacert"])
        .arg(&files.certificate)
        .arg(format!("https://localhost:{port}/"))
        .output()
    {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
            assert!(text.contains("hello") && text.contains("strict-transport-security"), "{output:?}");
        }
        Err(error) => eprintln!("NOT CHECKED: curl over TLS ({error})"),
    }
    let wrong =
        |files: TlsFiles| Background::start(Settings { tls: Some(files), ..settings() }, router()).err().unwrap();
    let swapped = wrong(TlsFiles { certificate: files.key.clone(), key: files.certificate.clone() });
    assert!(swapped.to_string().contains("key.pem"), "{swapped}");
    let missing = wrong(TlsFiles { certificate: "/nowhere.pem".into(), ..files });
    assert!(missing.to_string().contains("/nowhere.pem"), "{missing}");
}

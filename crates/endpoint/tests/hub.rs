//! The hub client against a stub on this machine: what a hub may do wrong, one test each.

mod stub;

use endpoint::hub::{Downloaded, Hub, HubError, HubSettings, RemoteFile, Repository};
use std::path::Path;
use std::time::Duration;
use stub::{Reply, Stub};

const FILE: &str = "/o/n/resolve/c0ffee/model.safetensors";
/// `printf 0123456789 | sha256sum`
const DIGITS_SHA256: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

fn hub(stub: &Stub, token: Option<&str>) -> Hub {
    Hub::new(HubSettings {
        endpoint: stub.address.clone(),
        token: token.map(str::to_string),
        attempts: 3,
        backoff: Duration::from_millis(1),
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(5),
        certificates: None,
    })
    .expect("settings are right")
}

fn repository() -> Repository {
    Repository::parse("o/n").expect("a repository")
}

fn download(stub: &Stub, sha256: Option<&str>, folder: &Path) -> Result<Downloaded, HubError> {
    let file = RemoteFile { path: "model.safetensors".to_string(), size: Some(10), sha256: sha256.map(str::to_string) };
    hub(stub, Some("secret")).download(
        &repository(),
        "c0ffee",
        &file,
        &folder.join("model.safetensors"),
        &mut |_, _| true,
    )
}

/// Downloads ten digits through `reply` and expects them whole.
fn check_whole(stub: &Stub, sha256: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let downloaded = download(stub, sha256, folder.path()).expect("a file");
    assert_eq!(downloaded, Downloaded { bytes: 10, sha256: DIGITS_SHA256.to_string() });
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["model.safetensors"]);
    assert_eq!(std::fs::read(folder.path().join("model.safetensors")).expect("readable"), b"0123456789");
}

#[test]
fn a_listing_is_read_with_sizes_and_sums() {
    let stub = Stub::start();
    let reply =
        Stub::listing(&[("config.json", b"{}", None), ("model.safetensors", b"0123456789", Some(DIGITS_SHA256))]);
    stub.reply("/api/models/o/n/revision/main?blobs=true", reply);
    let listing = hub(&stub, None).list(&repository()).expect("a listing");
    assert_eq!(listing.commit, "c0ffee");
    assert_eq!(listing.files[1].size, Some(10));
    assert_eq!(listing.files[1].sha256.as_deref(), Some(DIGITS_SHA256));
}

#[test]
fn a_redirect_is_followed_and_the_token_stays_with_the_hub() {
    let (stub, store) = (Stub::start(), Stub::start());
    store.reply("/blob", Reply::Body(b"0123456789".to_vec()));
    stub.reply(FILE, Reply::Redirect("/here".to_string(), vec![]));
    stub.reply(
        "/here",
        Reply::Redirect(format!("{}/blob", store.address), vec![("X-Linked-ETag", format!("\"{DIGITS_SHA256}\""))]),
    );
    check_whole(&stub, None);
    assert!(stub.asked().iter().all(|asked| asked.authorization.as_deref() == Some("Bearer secret")));
    assert!(store.asked().iter().all(|asked| asked.authorization.is_none()));
}

#[test]
fn endless_redirects_end() {
    let stub = Stub::start();
    stub.reply(FILE, Reply::Redirect(FILE.to_string(), vec![]));
    let folder = tempfile::tempdir().expect("a folder");
    let error = download(&stub, None, folder.path()).unwrap_err();
    assert!(error.to_string().contains("more than 8 redirects"), "{error}");
}

#[test]
fn a_broken_download_resumes_where_it_broke() {
    let stub = Stub::start();
    stub.reply(FILE, Reply::BreaksOnce(b"0123456789".to_vec(), 4));
    check_whole(&stub, Some(DIGITS_SHA256));
    let ranges: Vec<_> = stub.asked().into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=4-".to_string())]);
}

#[test]
fn a_part_left_by_an_earlier_process_is_continued() {
    let stub = Stub::start();
    stub.reply(FILE, Reply::Body(b"0123456789".to_vec()));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("model.safetensors.part"), b"012345").expect("written");
    download(&stub, Some(DIGITS_SHA256), folder.path()).expect("a file");
    assert_eq!(stub.asked()[0].range.as_deref(), Some("bytes=6-"));
    std::fs::write(folder.path().join("model.safetensors.part"), b"0123456789").expect("written");
    download(&stub, Some(DIGITS_SHA256), folder.path()).expect("a whole part needs nothing more");
}

#[test]
fn a_stale_part_longer_than_the_file_is_dropped() {
    let stub = Stub::start();
    stub.reply(FILE, Reply::Body(b"0123456789".to_vec()));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("model.safetensors.part"), b"xxxxxxxxxxxxxxxx").expect("written");
    let downloaded = download(&stub, Some(DIGITS_SHA256), folder.path()).expect("a file");
    assert_eq!(downloaded.bytes, 10);
}

#[test]
fn a_server_that_ignores_ranges_starts_over() {
    let stub = Stub::start();
    stub.reply(FILE, Reply::BreaksOnceNoRanges(b"0123456789".to_vec(), 4));
    check_whole(&stub, Some(DIGITS_SHA256));
}

#[test]
fn a_busy_server_is_asked_again_and_a_broken_one_not_for_ever() {
    let stub = Stub::start();
    stub.reply(FILE, Reply::StatusThenBody(503, 2, b"0123456789".to_vec()));
    check_whole(&stub, Some(DIGITS_SHA256));
    let stub = Stub::start();
    stub.reply(FILE, Reply::Status(500));
    let folder = tempfile::tempdir().expect("a folder");
    let error = download(&stub, None, folder.path()).unwrap_err();
    assert!(matches!(error, HubError::Status { status: 500, .. }), "{error}");
    assert_eq!(stub.asked().len(), 3);
}

#[test]
fn a_wrong_hash_is_an_error_and_nothing_stays() {
    for reply in [Reply::Body(b"0123456780".to_vec()), Reply::Body(b"01234567890".to_vec())] {
        let stub = Stub::start();
        stub.reply(FILE, reply);
        let folder = tempfile::tempdir().expect("a folder");
        let error = download(&stub, Some(DIGITS_SHA256), folder.path()).unwrap_err();
        assert!(matches!(error, HubError::WrongContent { .. }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
    }
}

#[test]
fn the_hash_on_a_redirect_counts() {
    let stub = Stub::start();
    stub.reply("/blob", Reply::Body(b"0123456789".to_vec()));
    stub.reply(FILE, Reply::Redirect("/blob".to_string(), vec![("X-Linked-ETag", format!("\"{}\"", "0".repeat(64)))]));
    let folder = tempfile::tempdir().expect("a folder");
    let error = download(&stub, None, folder.path()).unwrap_err();
    assert!(matches!(error, HubError::WrongContent { what: "SHA-256", .. }), "{error}");
}

#[test]
fn refusal_and_absence_name_the_repository() {
    let stub = Stub::start();
    stub.reply(FILE, Reply::Status(401));
    let folder = tempfile::tempdir().expect("a folder");
    let error = download(&stub, None, folder.path()).unwrap_err();
    assert!(matches!(error, HubError::Refused { with_token: true, status: 401, .. }), "{error}");
    let error = hub(&stub, None).list(&repository()).unwrap_err();
    assert!(matches!(error, HubError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("o/n@main"), "{error}");
}

#[test]
fn a_hub_that_is_down_is_unreachable() {
    let settings = HubSettings {
        endpoint: "http://127.0.0.1:1".to_string(),
        attempts: 2,
        backoff: Duration::ZERO,
        ..HubSettings::default()
    };
    let error = Hub::new(settings).expect("settings are right").list(&repository()).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
}

#[test]
fn a_listing_that_makes_no_sense_is_named() {
    let stub = Stub::start();
    for body in ["<html>", "{}", r#"{"sha":"../x","siblings":[]}"#] {
        stub.reply("/api/models/o/n/revision/main?blobs=true", Reply::Body(body.as_bytes().to_vec()));
        let error = hub(&stub, None).list(&repository()).unwrap_err();
        assert!(matches!(error, HubError::Malformed { .. }), "{body}: {error}");
    }
}

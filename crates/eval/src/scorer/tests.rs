use super::*;
use endpoint::ServiceSettings;
use serde_json::json;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// A service that scores a text by its length in hundredths, or says what it is told to; and what it was asked.
fn service(says: Option<&'static str>) -> (String, Arc<Mutex<Vec<Vec<String>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/score", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let heard = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some(question) = testkit::http::json_body(&stream) else { continue };
            let texts: Vec<String> = serde_json::from_value(question["texts"].clone()).unwrap();
            let scores: Vec<f64> = texts.iter().map(|text| text.len() as f64 / 100.0).collect();
            let body = says.map_or_else(|| json!({ "scores": scores }).to_string(), str::to_owned);
            heard.lock().unwrap().push(texts);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    (url, asked)
}

fn scorer(url: &str, folder: Option<&Path>, budget: Option<usize>) -> ServiceScorer {
    let settings = ServiceSettings { batch: 2, backoff: Duration::from_millis(1), ..ServiceSettings::new(url) };
    ServiceScorer::open(ScoreClient::new(settings), folder, budget).unwrap()
}

#[test]
fn no_text_is_asked_about_twice_in_one_run_or_the_next() {
    let (url, asked) = service(None);
    let folder = tempfile::tempdir().unwrap();
    let first = scorer(&url, Some(folder.path()), None);
    assert_eq!(first.scores(&["a", "bbb", "a", "cc"]).unwrap(), [0.01, 0.03, 0.01, 0.02]);
    assert_eq!(*asked.lock().unwrap(), [vec!["a", "bbb"], vec!["cc"]]);
    assert_eq!(first.scores(&["cc", "dddd"]).unwrap(), [0.02, 0.04]);
    let second = scorer(&url, Some(folder.path()), Some(0));
    assert_eq!(second.scores(&["dddd", "a"]).unwrap(), [0.04, 0.01]);
    assert_eq!(asked.lock().unwrap().len(), 3);
    assert!(second.facts().to_string().contains(&url));
}

#[test]
fn a_budget_is_kept_and_what_was_said_is_not_lost() {
    let (url, asked) = service(None);
    let folder = tempfile::tempdir().unwrap();
    let error = scorer(&url, Some(folder.path()), Some(3)).scores(&["a", "b", "c", "d"]).unwrap_err().to_string();
    assert!(error.contains("asked about 2 texts and would be about 2 more, the budget is 3"), "{error}");
    assert_eq!(scorer(&url, Some(folder.path()), Some(2)).scores(&["a", "b", "c", "d"]).unwrap().len(), 4);
    assert_eq!(*asked.lock().unwrap(), [vec!["a", "b"], vec!["c", "d"]]);
}

#[test]
fn nonsense_and_silence_are_told_apart() {
    let (url, _) = service(Some(r#"{"scores": [7]}"#));
    let error = scorer(&url, None, None).scores(&["a"]).unwrap_err();
    assert!(matches!(&error, EvalError::Scorer { missing: false, .. }), "{error}");
    assert!(error.to_string().contains("a score of 7, expected"), "{error}");
    // It listens, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let settings = ServiceSettings { timeout: Duration::from_millis(50), attempts: 1, ..ServiceSettings::new(&url) };
    let error = ServiceScorer::open(ScoreClient::new(settings), None, None).unwrap().scores(&["a"]).unwrap_err();
    assert!(matches!(error, EvalError::Scorer { missing: true, .. }), "{error}");
}

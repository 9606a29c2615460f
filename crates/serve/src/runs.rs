//! The runs of a folder, with their curves, while they train.

use crate::app::App;
use crate::chat::{Trouble, page, visitor};
use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use minijinja::context;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Seconds after which a browser looks again.
const LOOK_AGAIN: &str = "15";
/// A report has its style in itself, and nothing else.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new().route("/runs", get(list)).route("/runs/{name}", get(report))
}

struct Row {
    name: String,
    /// The name as a part of an address.
    address: String,
    stage: String,
    step: String,
    loss: String,
    state: &'static str,
}

impl Row {
    fn into_value(self) -> minijinja::Value {
        let Row { name, address, stage, step, loss, state } = self;
        context! { name, address, stage, step, loss, state }
    }
}

fn nothing(message: &str) -> Trouble {
    Trouble::Other(StatusCode::NOT_FOUND, message.to_owned())
}

fn folder(app: &App, headers: &HeaderMap) -> Result<PathBuf, Trouble> {
    visitor(app, headers)?;
    app.runs.clone().ok_or_else(|| nothing("This server shows no runs: it was started without --runs."))
}

async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let folder = folder(&app, &headers)?;
    let rows = tokio::task::spawn_blocking(move || names(&folder).iter().map(|name| row(&folder, name)).collect());
    let rows: Vec<Row> = rows.await.unwrap_or_default();
    Ok(again(page::render("runs.html", context! { runs => rows.into_iter().map(Row::into_value).collect::<Vec<_>>() })))
}

/// The names of the folder's runs. Only these are ever looked at: a name in an address is compared, never opened.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let runs = entries.filter(|entry| {
        let path = entry.path();
        path.join("config.toml").is_file() && path.join("lineage.json").is_file()
    });
    let mut names: Vec<String> = runs.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn row(folder: &Path, name: &str) -> Row {
    let path = folder.join(name);
    let lineage = run::folder::read_json::<Value>(&path.join("lineage.json")).unwrap_or_default();
    let last = run::metrics::read_lines(&path.join("metrics.jsonl")).ok().and_then(|mut lines| lines.pop());
    let number = |name: &str| last.as_ref().and_then(|line| line.get(name)).and_then(Value::as_f64);
    Row {
        name: name.to_owned(),
        address: encoded(name),
        stage: lineage["stage"].as_str().unwrap_or("?").to_owned(),
        step: number("step").map_or("–".into(), |step| step.to_string()),
        loss: number("loss").map_or("–".into(), |loss| format!("{loss:.4}")),
        state: if path.join("final/config.json").is_file() { "done" } else { "not done" },
    }
}

/// Percent-encoding of all but letters, digits and `-_.` (RFC 3986, §2.1).
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

async fn report(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    UrlPath(name): UrlPath<String>,
) -> Result<Response, Trouble> {
    let folder = folder(&app, &headers)?;
    let made = tokio::task::spawn_blocking(move || {
        let known = names(&folder).into_iter().find(|known| *known == name)?;
        Some(run::report::of_folder(&folder.join(known)))
    });
    match made.await {
        Ok(Some(Ok(html))) => {
            let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY))];
            Ok(again((policy, Html(html)).into_response()))
        }
        Ok(Some(Err(error))) => Err(Trouble::Other(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
        _ => Err(nothing("There is no such run.")),
    }
}

/// A page that the browser fetches anew now and then.
fn again(mut response: Response) -> Response {
    response.headers_mut().insert(HeaderName::from_static("refresh"), HeaderValue::from_static(LOOK_AGAIN));
    response
}

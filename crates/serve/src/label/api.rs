//! The same for programs: JSON, with a token in `Authorization: Bearer …` that may do only what it was made for.
//!
//! | request | scope | |
//! |---|---|---|
//! | `GET /label/api/projects` | read | projects with their counts |
//! | `POST /label/api/projects/NAME/prompts` | import | rows as in the import page, JSONL |
//! | `GET /label/api/projects/NAME/export?content=…&format=…&aggregate=…` | export | a file |
//! | `GET /label/api/projects/NAME/agreement` | read | every statistic |
//! | `POST /label/api/projects/NAME/next` | label | the next task: `{"kinds": […]}` |
//! | `POST /label/api/submit` | label | `{"lease", "submission", "body", "seconds"}` |

use super::manage::{named, store_rows};
use super::problem::Problem;
use super::{Pages, import, manage};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use label::{AgreementOptions, Body, ExportOptions, Next, Person, Scope, Submission, TaskKind};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Instant;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/api/projects", get(projects))
        .route("/label/api/projects/{name}/prompts", post(add_prompts))
        .route("/label/api/projects/{name}/export", get(export))
        .route("/label/api/projects/{name}/agreement", get(agreement))
        .route("/label/api/projects/{name}/next", post(next))
        .route("/label/api/submit", post(submit))
}

/// A problem as JSON, in the shape of the chat API's errors.
struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let message = match &self.0 {
            Problem::LogIn { .. } => "send a token: Authorization: Bearer hm_…".to_owned(),
            problem => problem.message(),
        };
        let mut response =
            (status, Json(json!({"error": {"message": message, "type": kind, "param": null, "code": null}})))
                .into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Whose token it is.
async fn holder(pages: &Pages, headers: &HeaderMap, scope: Scope) -> Result<Person, Problem> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let secret = given.and_then(|value| value.strip_prefix("Bearer ")).map(|secret| secret.trim().to_owned());
    let secret = secret.ok_or(Problem::LogIn { next: String::new() })?;
    let person = pages.work(move |store| Ok(store.authenticate_api_token(&secret, scope)?)).await?;
    pages.0.limits.take(person.id, Instant::now()).map_err(|seconds| Problem::TooMany { seconds })?;
    Ok(person)
}

fn json_body<T: for<'a> Deserialize<'a>>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::Form(format!("The JSON of the request is wrong: {error}.")))
}

async fn projects(State(pages): State<Pages>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    holder(&pages, &headers, Scope::Read).await?;
    let rows = pages
        .work(|store| {
            let mut rows = Vec::new();
            for project in store.projects()? {
                let counts = store.counts(project.id)?;
                rows.push(json!({
                    "name": project.name, "title": project.title, "state": project.state.as_str(),
                    "prompts": counts.prompts, "candidates": counts.candidates, "tasks": counts.tasks,
                    "tasks_complete": counts.tasks_complete, "judgements": counts.judgements,
                }));
            }
            Ok(rows)
        })
        .await?;
    Ok(Json(json!({"projects": rows})))
}

async fn add_prompts(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let person = holder(&pages, &headers, Scope::Import).await?;
    let text = String::from_utf8(body.to_vec()).map_err(|_| Problem::Form("The rows aren't UTF-8 text.".to_owned()))?;
    let (added, duplicates, over, answers) = pages
        .work(move |store| {
            let rows = import::read_rows(&text).map_err(|error| Problem::Form(error.to_string()))?;
            let project = store.project_by_name(&name)?;
            Ok(store_rows(store, person.actor(), project.id, rows)?)
        })
        .await?;
    Ok(Json(json!({"added": added, "duplicates": duplicates, "over_user_limit": over, "candidates": answers})))
}

#[derive(Deserialize)]
struct ExportQuery {
    content: String,
    format: Option<String>,
    aggregate: Option<String>,
    include_gold: Option<bool>,
}

async fn export(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Refusal> {
    let person = holder(&pages, &headers, Scope::Export).await?;
    let content = named(&manage::CONTENTS, "content", &query.content)?;
    let format = manage::Format::named(query.format.as_deref().unwrap_or("jsonl"))?;
    format.check(content)?;
    let options = ExportOptions {
        aggregate: query.aggregate.map(|name| named(&manage::AGGREGATES, "aggregate", &name)).transpose()?,
        include_gold: query.include_gold.unwrap_or(false),
        ..ExportOptions::of(content)
    };
    let (project, export) = pages
        .work(move |store| {
            let project = store.project_by_name(&name)?;
            let export = store.export(person.actor(), project.id, &options)?;
            Ok((project, export))
        })
        .await?;
    let name = format!("{}-{}", project.name, query.content);
    Ok(manage::download(&name, format, &export)?)
}

async fn agreement(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let person = holder(&pages, &headers, Scope::Read).await?;
    let report = pages
        .work(move |store| {
            let project = store.project_by_name(&name)?;
            Ok(store.agreement(person.actor(), project.id, &AgreementOptions::default())?)
        })
        .await?;
    Ok(Json(report).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NextRequest {
    #[serde(default)]
    kinds: Vec<TaskKind>,
}

async fn next(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let person = holder(&pages, &headers, Scope::Label).await?;
    let asked: NextRequest = if body.is_empty() { NextRequest::default() } else { json_body(&body)? };
    let next = pages
        .work(move |store| {
            let project = store.project_by_name(&name)?;
            Ok(store.next_task(person.id, project.id, &asked.kinds)?)
        })
        .await?;
    Ok(Json(match next {
        Next::Task(task) => {
            let answers: Vec<Value> =
                task.answers.iter().map(|shown| json!({"candidate": shown.candidate, "text": shown.text})).collect();
            json!({
                "state": "task", "lease": task.lease, "expires_ms": task.expires_ms, "kind": task.kind,
                "prompt": task.prompt, "answers": answers, "fields": task.fields, "use_cases": task.use_cases,
            })
        }
        Next::Nothing => json!({"state": "nothing"}),
        Next::Waiting { leased_until_ms } => json!({"state": "waiting", "leased_until_ms": leased_until_ms}),
        Next::NotQualified { found, needed } => json!({"state": "not_qualified", "found": found, "needed": needed}),
        Next::Paused => json!({"state": "paused"}),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmitRequest {
    lease: String,
    submission: String,
    body: Body,
    seconds: Option<f64>,
}

async fn submit(State(pages): State<Pages>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Refusal> {
    let person = holder(&pages, &headers, Scope::Label).await?;
    let SubmitRequest { lease, submission, body, seconds } = json_body(&body)?;
    let submission = Submission { lease, submission, body, seconds };
    let submitted = pages.work(move |store| Ok::<_, Problem>(store.submit(person.id, &submission)?)).await?;
    Ok(Json(json!({
        "judgement": submitted.judgement, "duplicate": submitted.duplicate, "task_complete": submitted.task_complete,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use label::LabelError;

    #[test]
    fn a_refusal_is_json_with_its_status() {
        let response = Refusal(Problem::from(LabelError::WrongCredentials)).into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}

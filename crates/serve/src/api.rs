//! The API that OpenAI's clients speak: `/v1/models`, `/v1/chat/completions`, `/v1/completions`; `/healthz`, `/metrics`.

mod answer;
pub mod error;
mod fields;
mod prompts;
mod request;

use crate::app::{self, App};
use crate::collect::NOTICE;
use crate::keys::Caller;
use crate::stream::{Events, Gone, events};
use crate::worker::{ModelCard, Update};
use answer::{Choice, Head, usage};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use error::ApiError;
use generate::StopReason;
pub use request::{Ask, Given, Kind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The API's routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*name}", get(model))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(complete))
        .route("/v1/prompts", get(prompts::notice).delete(prompts::delete))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/v1", get(nothing_here))
        .route("/v1/{*path}", axum::routing::any(nothing_here))
        .method_not_allowed_fallback(wrong_method)
}

async fn nothing_here(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()), Some("unknown_url"))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{method} is not possible at {}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message, None)
}

/// Says that the server answers, and with which models; needs no key.
async fn healthz(State(app): State<Arc<App>>) -> Json<Value> {
    let names: Vec<&str> = app.worker.models().iter().map(|model| model.name.as_str()).collect();
    Json(json!({"status": "ok", "models": names, "waiting": app.worker.n_waiting()}))
}

async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    app.caller(&headers).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, app.metrics.page(app.worker.n_waiting())).into_response())
}

async fn models(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    app.caller(&headers).await?;
    let mut list = Vec::new();
    for model in app.worker.models() {
        list.push(card(&model.name, model));
        list.extend(model.aliases.iter().map(|alias| card(alias, model)));
    }
    Ok(Json(json!({"object": "list", "data": list})))
}

async fn model(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    app.caller(&headers).await?;
    let found = app.worker.find(&name).ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, format!("model {name:?} is not served here"), Some("model_not_found"))
    })?;
    Ok(Json(card(&name, &app.worker.models()[found])))
}

fn card(name: &str, model: &ModelCard) -> Value {
    json!({
        "id": name, "object": "model", "created": model.created, "owned_by": "helpmate", "root": model.name,
        "max_model_len": model.context,
    })
}

async fn chat(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(Kind::Chat, "/v1/chat/completions", app, headers, body).await
}

async fn complete(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(Kind::Text, "/v1/completions", app, headers, body).await
}

async fn answer(kind: Kind, route: &'static str, app: Arc<App>, headers: HeaderMap, body: Bytes) -> Response {
    let began = Instant::now();
    let result = match app.caller(&headers).await {
        Ok(caller) => begin(kind, app.clone(), caller, &headers, body, began).await,
        Err(error) => Err(error),
    };
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    if let Some(collector) = &app.collector {
        response.headers_mut().insert(NOTICE, collector.notice_header());
    }
    app.metrics.answered(route, response.status().as_u16(), began.elapsed());
    response
}

/// What is told of a request: which prompt, and what happened.
type Told = (usize, Update);

async fn begin(
    kind: Kind,
    app: Arc<App>,
    caller: Caller,
    headers: &HeaderMap,
    body: Bytes,
    began: Instant,
) -> Result<Response, ApiError> {
    let (ask, requests) = tokio::task::spawn_blocking({
        let app = app.clone();
        move || {
            let ask = Ask::parse(kind, &body, &app.worker)?;
            let requests = ask.requests(&app.worker.models()[ask.model_idx])?;
            Ok::<_, ApiError>((ask, requests))
        }
    })
    .await
    .map_err(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be read", None))??;
    let prompt_tokens = requests.iter().map(|request| request.token_ids.len()).sum();
    let mut receivers = Vec::with_capacity(requests.len());
    for request in requests {
        receivers.push(app.worker.submit(ask.model_idx, request)?);
    }
    if let Some(collector) = &app.collector {
        collector.offer(&ask, &caller, headers);
    }
    let run =
        Run { head: Head::new(&ask, &app.worker.models()[ask.model_idx], app::now()), ask, app, prompt_tokens, began };
    if run.ask.stream { run.streamed(merged(receivers)).await } else { run.whole(merged(receivers)).await }
}

/// The updates of several requests, each with its number.
fn merged(receivers: Vec<UnboundedReceiver<Update>>) -> UnboundedReceiver<Told> {
    let (sender, merged) = unbounded_channel();
    for (i, mut receiver) in receivers.into_iter().enumerate() {
        let sender = sender.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    // The client has gone: dropping the receiver tells the worker.
                    () = sender.closed() => return,
                    update = receiver.recv() => match update {
                        Some(update) => if sender.send((i, update)).is_err() { return },
                        None => return,
                    },
                }
            }
        });
    }
    merged
}

/// A request that is being answered.
struct Run {
    ask: Ask,
    app: Arc<App>,
    head: Head,
    prompt_tokens: usize,
    began: Instant,
}

/// Where an answer stands.
struct Progress {
    choices: Vec<Choice>,
    stops: Vec<Option<StopReason>>,
    n_tokens: usize,
}

impl Run {
    fn card(&self) -> &ModelCard {
        &self.app.worker.models()[self.ask.model_idx]
    }

    fn state(&self) -> Progress {
        let n = self.ask.prompts.len() * self.ask.settings.n;
        Progress { choices: vec![Choice::default(); n], stops: vec![None; n], n_tokens: 0 }
    }

    /// Takes an update in; which completion it moved.
    fn take(&self, state: &mut Progress, (prompt_idx, update): Told) -> Result<usize, ApiError> {
        let first = prompt_idx * self.ask.settings.n;
        match update {
            Update::Token(token) => {
                if state.n_tokens == 0 {
                    self.app.metrics.first_token(&self.card().name, self.began.elapsed());
                }
                state.n_tokens += 1;
                let index = first + token.sample_idx;
                self.head.add(&mut state.choices[index], &token, self.card().renderer.tokenizer());
                Ok(index)
            }
            Update::Done { sample_idx, stop } => {
                state.stops[first + sample_idx] = Some(stop);
                Ok(first + sample_idx)
            }
            Update::Failed(error) => Err(error.into()),
        }
    }

    async fn whole(self, mut updates: UnboundedReceiver<Told>) -> Result<Response, ApiError> {
        let mut state = self.state();
        while let Some(told) = updates.recv().await {
            self.take(&mut state, told)?;
        }
        let Progress { choices, stops, n_tokens } = state;
        let finished: Option<Vec<(Choice, StopReason)>> =
            choices.into_iter().zip(stops).map(|(choice, stop)| Some((choice, stop?))).collect();
        let finished = finished.ok_or_else(stopped)?;
        Ok(Json(self.head.whole(finished, usage(self.prompt_tokens, n_tokens))).into_response())
    }

    /// Errors before the first token have a status of their own; later ones can only be told in the stream.
    async fn streamed(self, mut updates: UnboundedReceiver<Told>) -> Result<Response, ApiError> {
        let first = updates.recv().await.ok_or_else(stopped)?;
        if let (_, Update::Failed(error)) = first {
            return Err(error.into());
        }
        let (events, response) = events();
        tokio::spawn(async move {
            // Gone means that nobody reads any more: there is nothing left to do.
            let _ = self.stream(first, updates, &events).await;
        });
        Ok(response)
    }

    async fn stream(&self, first: Told, mut updates: UnboundedReceiver<Told>, events: &Events) -> Result<(), Gone> {
        let mut state = self.state();
        for index in 0..state.choices.len() {
            if let Some(opening) = self.head.opening(index) {
                events.send(&opening).await?;
            }
        }
        let mut next = Some(first);
        while let Some(told) = next {
            match self.take(&mut state, told) {
                Ok(index) => {
                    if let Some(growth) = self.head.growth(index, &mut state.choices[index]) {
                        events.send(&growth).await?;
                    }
                    if let Some(stop) = state.stops[index] {
                        events.send(&self.head.closing(index, stop)).await?;
                    }
                }
                Err(error) => return events.send(&error.body()).await,
            }
            next = events.wait(updates.recv()).await?;
        }
        if state.stops.iter().any(Option::is_none) {
            return events.send(&stopped().body()).await;
        }
        if self.ask.include_usage {
            events.send(&self.head.counted(usage(self.prompt_tokens, state.n_tokens))).await?;
        }
        events.text("[DONE]").await
    }
}

/// The models' thread is gone in the middle of an answer.
fn stopped() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the models' thread has stopped", None)
}

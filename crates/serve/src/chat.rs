//! The chat page: talk to a model, or to two that don't say who they are, and say what is wrong with an answer.
//!
//! Works without script: a form a turn. With it, answers appear as they are written. What people compare and flag goes
//! to a labeling project, where the server has one.

mod feedback;
pub(crate) mod page;
mod room;

use crate::api::error::ApiError;
use crate::app::App;
use crate::keys::Caller;
use crate::server::Arrival;
use crate::storable;
use crate::stream::{Events, Gone, events};
use crate::worker::{Refused, Update};
use axum::Router;
use axum::extract::{Extension, Form, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use generate::{Request, Sampling, Settings};
use record::{Message, Prompt};
use room::Busy;
pub use room::{Room, Rooms, Side, Verdict};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use stdx::Seed;
use tokio::sync::mpsc::UnboundedReceiver;

/// The cookie of a visitor who showed a key.
const COOKIE: &str = "helpmate_chat";
/// Characters of a message.
const MESSAGE_CHARACTERS_MAX: usize = 32_000;
/// Tokens of an answer.
const ANSWER_TOKENS: usize = 1024;

/// The page's routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/chat") }))
        .route("/chat", get(start))
        .route("/chat/key", post(show_key))
        .route("/chat/rooms", post(open))
        .route("/chat/rooms/{id}", get(look))
        .route("/chat/rooms/{id}/say", post(say))
        .route("/chat/rooms/{id}/stream", post(say_streaming))
        .route("/chat/rooms/{id}/verdict", post(judge))
        .route("/chat/rooms/{id}/reveal", post(reveal))
        .route("/chat/rooms/{id}/flag", post(flag))
        .route("/chat/static/{name}", get(page::file))
}

/// Why a page isn't shown.
pub(crate) enum Trouble {
    /// A key is needed.
    Key { wrong: bool },
    /// Something else, in words.
    Other(StatusCode, String),
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Trouble::Key { wrong } => {
                let mut response = page::key(wrong);
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                response
            }
            Trouble::Other(status, message) => {
                let mut response = page::trouble(&message);
                *response.status_mut() = status;
                response
            }
        }
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Trouble {
        let error = ApiError::from(refused);
        Trouble::Other(error.status, error.message)
    }
}

fn gone() -> Trouble {
    Trouble::Other(StatusCode::NOT_FOUND, "This conversation is over, or never was.".into())
}

/// Who looks at the page: whoever has a cookie from a key, or everybody where no key is needed.
pub(crate) fn visitor(app: &App, headers: &HeaderMap) -> Result<Caller, Trouble> {
    if !app.keys.are_needed() {
        return Ok(Caller::default());
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let visit = cookies
        .flat_map(|line| line.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    visit.and_then(|visit| app.rooms.visitor(visit)).ok_or(Trouble::Key { wrong: false })
}

/// A conversation of this visitor.
fn own_room(app: &App, headers: &HeaderMap, id: &str) -> Result<Room, Trouble> {
    let caller = visitor(app, headers)?;
    app.rooms.get(id).filter(|room| room.caller == caller).ok_or_else(gone)
}

async fn start(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Trouble> {
    visitor(&app, &headers)?;
    Ok(page::start(&app))
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

async fn show_key(
    State(app): State<Arc<App>>,
    Extension(arrival): Extension<Arrival>,
    Form(Key { key }): Form<Key>,
) -> Result<Response, Trouble> {
    let caller = app.keys.caller(Some(key.trim())).await.ok_or(Trouble::Key { wrong: true })?;
    let visit = app.rooms.admit(caller);
    let secure = if arrival.secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={visit}; Path=/chat; HttpOnly; SameSite=Strict; Max-Age=43200{secure}");
    let mut response = Redirect::to("/chat").into_response();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Opening {
    first: String,
    #[serde(default)]
    second: String,
    #[serde(default)]
    private: Option<String>,
}

async fn open(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(opening): Form<Opening>,
) -> Result<Response, Trouble> {
    let caller = visitor(&app, &headers)?;
    let find = |name: &str| {
        app.worker
            .find(name)
            .ok_or_else(|| Trouble::Other(StatusCode::NOT_FOUND, format!("There is no model {name:?} here.")))
    };
    let mut models = vec![find(&opening.first)?];
    if !opening.second.is_empty() {
        models.push(find(&opening.second)?);
    }
    let id = app.rooms.open(caller, models, opening.private.is_none());
    Ok(Redirect::to(&format!("/chat/rooms/{id}")).into_response())
}

async fn look(State(app): State<Arc<App>>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Trouble> {
    Ok(page::room(&app, &own_room(&app, &headers, &id)?))
}

#[derive(Deserialize)]
struct Said {
    text: String,
}

/// A turn that has begun: what each side is about to say.
struct Turn {
    app: Arc<App>,
    room: String,
    receivers: Vec<UnboundedReceiver<Update>>,
    answers: Vec<String>,
    /// Open as long as the turn lasts.
    _busy: Busy,
}

/// Hands what was said to the models.
async fn begin(app: Arc<App>, headers: &HeaderMap, id: &str, text: &str) -> Result<Turn, Trouble> {
    let room = own_room(&app, headers, id)?;
    let text = storable(text.trim()).replace("\r\n", "\n");
    if text.is_empty() || text.chars().count() > MESSAGE_CHARACTERS_MAX {
        let message = format!("A message has between 1 and {MESSAGE_CHARACTERS_MAX} characters.");
        return Err(Trouble::Other(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let conflict = || {
        let message = "An answer is still being written, or the answers above wait to be compared.";
        Trouble::Other(StatusCode::CONFLICT, message.into())
    };
    let (busy, turn) = Busy::begin(&app, id, &text).ok_or_else(conflict)?;
    let room = app.rooms.get(&room.id).ok_or_else(gone)?;
    let messages = room.messages(turn);
    let requests = tokio::task::spawn_blocking({
        let (app, room, messages) = (app.clone(), room.clone(), messages.clone());
        move || room.sides.iter().map(|side| request(&app, side.model_idx, &messages)).collect::<Result<Vec<_>, _>>()
    });
    let failed = |_| Trouble::Other(StatusCode::INTERNAL_SERVER_ERROR, "The message could not be read.".into());
    let requests = requests.await.map_err(failed)??;
    let mut receivers = Vec::new();
    for (side, request) in room.sides.iter().zip(requests) {
        receivers.push(app.worker.submit(side.model_idx, request)?);
    }
    if let Some(collector) = app.collector.as_ref().filter(|_| room.may_collect) {
        let user_id = collector.user_id(&room.caller, None);
        collector.keep(Prompt::Messages(messages), user_id);
    }
    let answers = vec![String::new(); receivers.len()];
    Ok(Turn { app, room: room.id, receivers, answers, _busy: busy })
}

/// What a model is asked: the conversation, without its oldest turns where they would leave no room for an answer.
fn request(app: &App, model_idx: usize, messages: &[Message]) -> Result<Request, Trouble> {
    let card = &app.worker.models()[model_idx];
    let wrong = |message: String| Trouble::Other(StatusCode::UNPROCESSABLE_ENTITY, message);
    let render = |messages: &[Message]| {
        card.renderer.prompt(&Prompt::Messages(messages.to_vec())).map_err(|error| wrong(error.to_string()))
    };
    let mut rest = messages;
    let mut token_ids = render(rest)?;
    while token_ids.len() > card.context / 4 * 3 && rest.len() > 2 {
        rest = &rest[2..];
        token_ids = render(rest)?;
    }
    if token_ids.len() >= card.context {
        let (found, context) = (token_ids.len(), card.context);
        return Err(wrong(format!("The message has {found} tokens; the model holds {context} with its answer.")));
    }
    let settings = Settings {
        sampling: Sampling { temperature: 0.7, top_p: 0.95, ..Sampling::default() },
        n: 1,
        max_new_tokens: ANSWER_TOKENS.min(card.context),
        end_token_ids: card.renderer.end_ids().to_vec(),
        stop: Vec::new(),
        seed: Seed(app.chat_seed.unwrap_or_else(crate::random::number)),
        batch: 1,
    };
    Ok(Request::new(0, token_ids, Arc::new(settings)))
}

impl Turn {
    /// Waits for the next piece of text of any side; nothing when all are whole.
    async fn next(&mut self) -> Option<Result<(usize, String), ApiError>> {
        loop {
            let (side, update) = next_of(&mut self.receivers).await?;
            match update {
                Update::Token(token) if token.text.is_empty() => {}
                Update::Token(token) => {
                    self.answers[side].push_str(&token.text);
                    return Some(Ok((side, token.text)));
                }
                Update::Done { .. } => {}
                Update::Failed(error) => return Some(Err(error.into())),
            }
        }
    }

    /// Writes the answers down.
    fn finish(self) {
        let answers = self.answers;
        self.app.rooms.change(&self.room, |room| {
            for (side, answer) in room.sides.iter_mut().zip(answers) {
                side.answers.push(storable(answer.trim()));
            }
        });
    }
}

/// The next update of any of them, and whose it is; nothing when all have ended.
async fn next_of(receivers: &mut [UnboundedReceiver<Update>]) -> Option<(usize, Update)> {
    std::future::poll_fn(|context| {
        let mut ended = 0;
        for (i, receiver) in receivers.iter_mut().enumerate() {
            match receiver.poll_recv(context) {
                std::task::Poll::Ready(Some(update)) => return std::task::Poll::Ready(Some((i, update))),
                std::task::Poll::Ready(None) => ended += 1,
                std::task::Poll::Pending => {}
            }
        }
        if ended == receivers.len() { std::task::Poll::Ready(None) } else { std::task::Poll::Pending }
    })
    .await
}

async fn say(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(Said { text }): Form<Said>,
) -> Result<Response, Trouble> {
    let mut turn = begin(app, &headers, &id, &text).await?;
    while let Some(piece) = turn.next().await {
        piece.map_err(|error| Trouble::Other(error.status, error.message))?;
    }
    turn.finish();
    Ok(Redirect::to(&format!("/chat/rooms/{id}#last")).into_response())
}

async fn say_streaming(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(Said { text }): Form<Said>,
) -> Result<Response, ApiError> {
    let began = begin(app, &headers, &id, &text).await;
    let turn = began.map_err(|trouble| match trouble {
        Trouble::Key { .. } => ApiError::unknown_key(false),
        Trouble::Other(status, message) => ApiError::new(status, message, None),
    })?;
    let (events, response) = events();
    tokio::spawn(async move {
        // Gone means that nobody reads any more: there is nothing left to do.
        let _ = stream(turn, &events).await;
    });
    Ok(response)
}

async fn stream(mut turn: Turn, events: &Events) -> Result<(), Gone> {
    while let Some(piece) = events.wait(turn.next()).await? {
        match piece {
            Ok((side, text)) => events.send(&json!({"side": side, "text": text})).await?,
            Err(error) => return events.send(&error.body()).await,
        }
    }
    turn.finish();
    events.text("[DONE]").await
}

#[derive(Deserialize)]
struct Judged {
    verdict: String,
}

async fn judge(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(Judged { verdict }): Form<Judged>,
) -> Result<Response, Trouble> {
    let room = own_room(&app, &headers, &id)?;
    let wrong = |message: &str| Trouble::Other(StatusCode::UNPROCESSABLE_ENTITY, message.into());
    let verdict = Verdict::parse(&verdict).ok_or_else(|| wrong("That is no verdict."))?;
    if !room.awaits_verdict() {
        return Err(wrong("There is nothing to compare."));
    }
    app.rooms.change(&id, |room| room.verdicts.push(verdict));
    if let Some(feedback) = app.feedback.clone() {
        let shared = app.clone();
        let sent =
            tokio::task::spawn_blocking(move || feedback::compare(&feedback, &room, verdict, shared.worker.models()));
        // Two equal answers are no comparison, and what the store refuses must not hold the conversation up.
        if let Ok(Err(error)) = sent.await {
            app.log(format!("a comparison was not kept: {error}"));
        }
    }
    Ok(Redirect::to(&format!("/chat/rooms/{id}#last")).into_response())
}

async fn reveal(State(app): State<Arc<App>>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Trouble> {
    own_room(&app, &headers, &id)?;
    app.rooms.change(&id, |room| room.is_revealed = true);
    Ok(Redirect::to(&format!("/chat/rooms/{id}")).into_response())
}

#[derive(Deserialize)]
struct Flagged {
    turn: usize,
    side: usize,
    #[serde(default)]
    reason: String,
}

async fn flag(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(flagged): Form<Flagged>,
) -> Result<Response, Trouble> {
    let room = own_room(&app, &headers, &id)?;
    let Flagged { turn, side, reason } = flagged;
    let exists = room.sides.get(side).is_some_and(|side| turn < side.answers.len());
    if !exists || room.flagged.contains(&(turn, side)) {
        let message = "There is no such answer, or it is flagged already.";
        return Err(Trouble::Other(StatusCode::UNPROCESSABLE_ENTITY, message.into()));
    }
    let Some(feedback) = app.feedback.clone() else {
        let message = "This server keeps no flags: it has no labeling database.";
        return Err(Trouble::Other(StatusCode::NOT_FOUND, message.into()));
    };
    let shared = app.clone();
    let reason: String = reason.chars().take(2000).collect();
    let sent = tokio::task::spawn_blocking(move || {
        feedback::flag(&feedback, &room, (side, turn), &reason, shared.worker.models())
    });
    match sent.await {
        Ok(Ok(_)) => {
            app.rooms.change(&id, |room| room.flagged.push((turn, side)));
            Ok(Redirect::to(&format!("/chat/rooms/{id}#turn-{turn}")).into_response())
        }
        Ok(Err(error)) => {
            app.log(format!("a flag was not kept: {error}"));
            let message = "The flag could not be kept; please try again later.";
            Err(Trouble::Other(StatusCode::SERVICE_UNAVAILABLE, message.into()))
        }
        Err(_) => Err(Trouble::Other(StatusCode::INTERNAL_SERVER_ERROR, "The flag could not be kept.".into())),
    }
}

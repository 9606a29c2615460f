//! The page's HTML, style and script: all inside the binary, all escaped.

use super::room::{Room, TURNS_MAX};
use crate::app::App;
use crate::label::text::Text;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use std::sync::LazyLock;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in [
        ("base.html", include_str!("template/base.html")),
        ("start.html", include_str!("template/start.html")),
        ("room.html", include_str!("template/room.html")),
        ("key.html", include_str!("template/key.html")),
        ("runs.html", include_str!("template/runs.html")),
        ("trouble.html", include_str!("template/trouble.html")),
    ] {
        environment.add_template(name, text).expect("a template that ships is right");
    }
    environment
});

/// The style of the labeling pages, and what the chat adds.
static STYLE: LazyLock<String> =
    LazyLock::new(|| format!("{}\n{}", include_str!("../label/static/label.css"), include_str!("chat.css")));

pub(crate) fn render(name: &str, context: Value) -> Response {
    match TEMPLATES.get_template(name).and_then(|template| template.render(context)) {
        Ok(html) => Html(html).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made").into_response(),
    }
}

/// A file of the page.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let (kind, text) = match &name[..] {
        "chat.css" => ("text/css; charset=utf-8", &STYLE[..]),
        "chat.js" => ("text/javascript; charset=utf-8", include_str!("chat.js")),
        "icon.svg" => ("image/svg+xml", include_str!("../label/static/icon.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=300")];
    (headers, text.to_owned()).into_response()
}

/// Where a conversation begins.
pub(super) fn start(app: &App) -> Response {
    let models: Vec<String> = app.worker.models().iter().map(|model| model.name.clone()).collect();
    render("start.html", context! { models, notice => notice(app), keeps_feedback => app.feedback.is_some() })
}

fn notice(app: &App) -> Option<&str> {
    app.collector.as_ref().map(crate::collect::Collector::notice)
}

/// A conversation.
pub(super) fn room(app: &App, room: &Room) -> Response {
    let models = app.worker.models();
    let is_blind = room.compares() && !room.is_revealed;
    let name = |side: usize| match (is_blind, side) {
        (true, 0) => "Answer A".to_owned(),
        (true, _) => "Answer B".to_owned(),
        (false, side) => models[room.sides[side].model_idx].name.clone(),
    };
    let names: Vec<String> = (0..room.sides.len()).map(name).collect();
    let turns: Vec<Value> = (0..room.n_turns())
        .map(|turn| {
            let answers: Vec<Value> = room
                .sides
                .iter()
                .enumerate()
                .map(|(side, said)| {
                    let html = Text::new(&said.answers[turn], None).html;
                    let is_preferred = room.compares() && room.verdicts.get(turn).is_some_and(|verdict| {
                        matches!((verdict, side), (super::Verdict::First, 0) | (super::Verdict::Second, 1))
                    });
                    let is_flagged = room.flagged.contains(&(turn, side));
                    context! { html, side, name => names[side].clone(), is_preferred, is_flagged, is_empty => said.answers[turn].is_empty() }
                })
                .collect();
            let verdict = room.verdicts.get(turn).map(|verdict| verdict.name());
            context! { asked => Text::new(&room.asked[turn], None).html, answers, verdict, turn }
        })
        .collect();
    let may_say = !room.awaits_verdict() && !room.is_revealed && room.n_turns() < TURNS_MAX;
    let shown = context! {
        id => room.id.clone(), turns, names, is_blind, may_say, compares => room.compares(), awaits_verdict => room.awaits_verdict(),
        is_revealed => room.is_revealed, keeps_feedback => app.feedback.is_some(),
        notice => notice(app).filter(|_| room.may_collect),
    };
    render("room.html", shown)
}

/// Asks for a key.
pub(super) fn key(wrong: bool) -> Response {
    render("key.html", context! { wrong })
}

/// Says what is wrong.
pub(super) fn trouble(message: &str) -> Response {
    render("trouble.html", context! { message })
}

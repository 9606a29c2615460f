//! One's own account: password, sessions, API tokens.

use super::form::Posted;
use super::page::Page;
use super::problem::Problem;
use super::session::Me;
use super::{Pages, when};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use label::{Id, NewApiToken, Role, Scope};
use serde::Serialize;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/account", get(account))
        .route("/label/account/password", post(password))
        .route("/label/account/log-out-everywhere", post(log_out_everywhere))
        .route("/label/account/tokens", post(create_token))
        .route("/label/account/tokens/{id}/revoke", post(revoke_token))
}

/// Scopes that a role can use.
fn scopes(role: Role) -> Vec<Scope> {
    let mut scopes = vec![Scope::Label, Scope::Generate];
    if role >= Role::Reviewer {
        scopes.extend([Scope::Read, Scope::Export]);
    }
    if role >= Role::Manager {
        scopes.extend([Scope::Import, Scope::Manage]);
    }
    scopes
}

#[derive(Serialize)]
struct TokenRow {
    id: Id,
    name: String,
    scopes: String,
    expires: Option<String>,
}

async fn account(State(pages): State<Pages>, me: Me) -> Result<Page, Problem> {
    page(&pages, &me).await
}

async fn page(pages: &Pages, me: &Me) -> Result<Page, Problem> {
    let (actor, person) = (me.actor(), me.person.id);
    let tokens = pages.work(move |store| Ok(store.api_tokens(actor, person)?)).await?;
    let rows: Vec<TokenRow> = tokens
        .into_iter()
        .filter(|token| !token.revoked)
        .map(|token| TokenRow {
            id: token.id,
            scopes: token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "),
            expires: token.expires_ms.map(when::minute),
            name: token.name,
        })
        .collect();
    let scopes: Vec<&str> = scopes(me.person.role).into_iter().map(Scope::as_str).collect();
    Ok(Page::of("account.html", pages, me).with("section", "account").with("tokens", rows).with("scopes", scopes))
}

async fn password(State(pages): State<Pages>, Posted { me, form }: Posted) -> Result<Response, Problem> {
    let person = me.person.id;
    let (old, new) = (form.text("old").to_owned(), form.text("new").to_owned());
    let changed = pages.work(move |store| Ok(store.change_password(person, &old, &new)?)).await;
    let page = page(&pages, &me).await?;
    Ok(match changed {
        Ok(()) => page.with("notice", "The password is changed.").into_response(),
        Err(problem @ Problem::Label(_)) => page.error(problem.status(), &problem.message()).into_response(),
        Err(problem) => problem.into_response(),
    })
}

async fn log_out_everywhere(State(pages): State<Pages>, Posted { me, .. }: Posted) -> Result<Redirect, Problem> {
    let person = me.person.id;
    pages.work(move |store| Ok(store.log_out_everywhere(person)?)).await?;
    Ok(Redirect::to("/label/login"))
}

async fn create_token(State(pages): State<Pages>, Posted { me, form }: Posted) -> Result<Response, Problem> {
    let asked: Vec<&str> = form.all("scope").collect();
    let allowed = scopes(me.person.role).into_iter();
    let chosen: Vec<Scope> = allowed.filter(|scope| asked.contains(&scope.as_str())).collect();
    if chosen.is_empty() {
        let message = "Tick what the token may do.";
        let page = page(&pages, &me).await?;
        return Ok(page.error(axum::http::StatusCode::UNPROCESSABLE_ENTITY, message).into_response());
    }
    let new = NewApiToken {
        name: form.text("name").trim().to_owned(),
        scopes: chosen,
        valid_ms: form.number("days", 1..=3650)?.map(|days: i64| days * DAY_MS),
    };
    let (actor, person) = (me.actor(), me.person.id);
    let (_, secret) = pages.work(move |store| Ok(store.create_api_token(actor, person, &new)?)).await?;
    Ok(page(&pages, &me).await?.with("secret", secret).into_response())
}

async fn revoke_token(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, .. }: Posted,
) -> Result<Redirect, Problem> {
    let actor = me.actor();
    pages.work(move |store| Ok(store.revoke_api_token(actor, id)?)).await?;
    Ok(Redirect::to("/label/account"))
}

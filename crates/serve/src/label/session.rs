//! Who is there: the cookie, logging in and out, invitations.

use super::Pages;
use super::demo;
use super::form::Form;
use super::page::Page;
use super::problem::Problem;
use crate::server::Arrival;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, RequestPartsExt};
use label::{Actor, LabelError, Person, Role, Session};
use serde::{Deserialize, Serialize};
use std::time::Instant;

const COOKIE: &str = "helpmate_session";

/// Whoever sent a request, known by the session's cookie.
#[derive(Clone)]
pub struct Me {
    /// Who.
    pub person: Person,
    /// Goes into every form of theirs.
    pub csrf: String,
}

/// What templates know of whoever is there.
#[derive(Serialize)]
pub struct MeView {
    name: String,
    role: &'static str,
    group: String,
    is_manager: bool,
    is_reviewer: bool,
}

impl Me {
    fn new(session: Session) -> Me {
        Me { csrf: session.csrf, person: session.person }
    }

    /// In whose name the store is asked.
    pub fn actor(&self) -> Actor {
        self.person.actor()
    }

    /// For templates.
    pub fn view(&self) -> MeView {
        let role = self.person.role;
        MeView {
            name: self.person.name.clone(),
            role: role.as_str(),
            group: self.person.group.clone(),
            is_manager: role >= Role::Manager,
            is_reviewer: role >= Role::Reviewer,
        }
    }
}

impl axum::extract::FromRequestParts<Pages> for Me {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &Pages) -> Result<Me, Problem> {
        let found = parts.extract::<Extension<Me>>().await;
        found.map(|Extension(me)| me).map_err(|_| Problem::LogIn { next: String::new() })
    }
}

/// Lets through whoever is logged in, not too often; sends others to the log-in page.
pub async fn require(State(pages): State<Pages>, mut request: Request, next: Next) -> Response {
    let token = cookie(request.headers());
    let next_page = next_page(request.method(), request.uri().path());
    let me = match find(&pages, token, request.method() == Method::GET, next_page).await {
        Ok(me) => me,
        Err(problem) => return problem.into_response(),
    };
    if let Err(seconds) = pages.0.limits.take(me.0.person.id, Instant::now()) {
        return Problem::TooMany { seconds }.into_response();
    }
    let secure = request.extensions().get::<Arrival>().is_some_and(|arrival| arrival.secure);
    let (me, renewed) = me;
    request.extensions_mut().insert(me);
    let mut response = next.run(request).await;
    if let Some(token) = renewed {
        set_cookie(response.headers_mut(), &token, secure);
    }
    response
}

/// Who it is, and the session's new token when it was time for one.
async fn find(
    pages: &Pages,
    token: Option<String>,
    is_get: bool,
    next: String,
) -> Result<(Me, Option<String>), Problem> {
    let token = token.ok_or(Problem::LogIn { next: next.clone() })?;
    let found = pages
        .work(move |store| {
            let Some(session) = store.session(&token)? else { return Ok(None) };
            if is_get && session.rotate_due {
                let session = store.rotate_session(&token)?;
                let token = session.token.clone();
                return Ok(Some((Me::new(session), Some(token))));
            }
            Ok(Some((Me::new(session), None)))
        })
        .await?;
    found.ok_or(Problem::LogIn { next })
}

/// Where to go after logging in: the page that was asked for.
fn next_page(method: &Method, path: &str) -> String {
    let is_page = method == Method::GET && path.starts_with("/label/") && is_plain(path);
    if is_page { path.to_owned() } else { String::new() }
}

/// Whether a path may stand in an address as it is.
fn is_plain(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b))
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
}

fn set_cookie(headers: &mut HeaderMap, token: &str, secure: bool) {
    let secure = if secure { "; Secure" } else { "" };
    // An empty token is how the cookie goes.
    let age = if token.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{age}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(header::SET_COOKIE, value);
    }
}

#[derive(Deserialize)]
pub struct LogInQuery {
    next: Option<String>,
}

/// The log-in page.
pub async fn login_page(
    State(pages): State<Pages>,
    Query(query): Query<LogInQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(token) = cookie(&headers) {
        let is_there = pages.work(move |store| Ok(store.session(&token)?.is_some())).await?;
        if is_there {
            return Ok(Redirect::to("/label").into_response());
        }
    }
    let nobody = pages.work(|store| Ok(!store.has_people()?)).await?;
    Ok(form_page(&pages, query.next.as_deref().unwrap_or(""), "").with("nobody", nobody).into_response())
}

fn form_page(pages: &Pages, next: &str, name: &str) -> Page {
    let page = Page::new("login.html").with("next", local(next)).with("name", name);
    if pages.0.settings.demo {
        return page.with("demo_people", demo::people()).with("demo_password", demo::PASSWORD);
    }
    page
}

/// A path of ours, or the start.
fn local(next: &str) -> &str {
    if next.starts_with("/label/") && is_plain(next) && !next.contains("//") { next } else { "/label" }
}

/// Logs in.
pub async fn login(
    State(pages): State<Pages>,
    arrival: Option<Extension<Arrival>>,
    form: Form,
) -> Result<Response, Problem> {
    let arrival = arrival.map(|Extension(arrival)| arrival);
    let origin = arrival.map_or_else(|| "unknown".to_owned(), |arrival| arrival.address.to_string());
    let (name, password) = (form.text("name").trim().to_owned(), form.text("password").to_owned());
    let result = {
        let name = name.clone();
        pages.work(move |store| Ok(store.log_in(&name, &password, &origin))).await?
    };
    match result {
        Ok(session) => {
            let mut response = Redirect::to(local(form.text("next"))).into_response();
            set_cookie(response.headers_mut(), &session.token, arrival.is_some_and(|arrival| arrival.secure));
            Ok(response)
        }
        Err(error @ (LabelError::WrongCredentials | LabelError::LockedOut { .. })) => {
            let problem = Problem::from(error);
            Ok(form_page(&pages, form.text("next"), &name).error(problem.status(), &problem.message()).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Logs out. Needs no token of the session: who can send the cookie can at worst log it out.
pub async fn logout(
    State(pages): State<Pages>,
    arrival: Option<Extension<Arrival>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(token) = cookie(&headers) {
        pages.work(move |store| Ok(store.log_out(&token)?)).await?;
    }
    let mut response = Redirect::to("/label/login").into_response();
    set_cookie(response.headers_mut(), "", arrival.is_some_and(|Extension(arrival)| arrival.secure));
    Ok(response)
}

/// The page of an invitation.
pub async fn invitation_page(State(pages): State<Pages>, Path(token): Path<String>) -> Result<Page, Problem> {
    show_invitation(&pages, token, "").await
}

async fn show_invitation(pages: &Pages, token: String, name: &str) -> Result<Page, Problem> {
    let asked = token.clone();
    let invitation = pages.work(move |store| Ok(store.invitation(&asked)?)).await?;
    Ok(Page::new("invitation.html")
        .with("invitation", minijinja::context! { role => invitation.role.as_str() })
        .with("token", token)
        .with("name", name)
        .with("password_min", label::PASSWORD_CHARACTERS_MIN))
}

/// Accepts an invitation and logs in.
pub async fn accept(
    State(pages): State<Pages>,
    arrival: Option<Extension<Arrival>>,
    Path(token): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    let arrival = arrival.map(|Extension(arrival)| arrival);
    let origin = arrival.map_or_else(|| "unknown".to_owned(), |arrival| arrival.address.to_string());
    let (name, password) = (form.text("name").trim().to_owned(), form.text("password").to_owned());
    let (asked, asked_name) = (token.clone(), name.clone());
    let result = pages
        .work(move |store| {
            let accepted = store.accept_invitation(&asked, &asked_name, &password);
            Ok(accepted.and_then(|_| store.log_in(&asked_name, &password, &origin)))
        })
        .await?;
    match result {
        Ok(session) => {
            let mut response = Redirect::to("/label").into_response();
            set_cookie(response.headers_mut(), &session.token, arrival.is_some_and(|arrival| arrival.secure));
            Ok(response)
        }
        Err(error @ (LabelError::Taken { .. } | LabelError::Invalid { .. })) => {
            let problem = Problem::from(error);
            let page = show_invitation(&pages, token, &name).await?;
            Ok(page.error(StatusCode::UNPROCESSABLE_ENTITY, &problem.message()).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_followed() {
        assert_eq!(local("/label/tasks/abc_-1"), "/label/tasks/abc_-1");
        for other in ["", "https://evil.example", "//evil.example", "/label//evil.example", "/label/\r\nSet-Cookie: a"]
        {
            assert_eq!(local(other), "/label", "{other:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others_and_kept_from_scripts() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; helpmate_session=tok; c=d"));
        assert_eq!(cookie(&headers).as_deref(), Some("tok"));
        let mut headers = HeaderMap::new();
        set_cookie(&mut headers, "tok", true);
        let text = headers[header::SET_COOKIE].to_str().unwrap();
        assert!(text.contains("HttpOnly") && text.contains("SameSite=Lax") && text.ends_with("; Secure"), "{text}");
    }
}

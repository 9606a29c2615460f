//! What goes wrong, as a page that says what happened and where to go.

use super::page::Page;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use label::LabelError;
use serde::Serialize;

/// Why a handler has no page to show.
#[derive(Debug)]
pub enum Problem {
    /// The store refused.
    Label(LabelError),
    /// A form isn't what it must be: what was found and what was expected.
    Form(String),
    /// The form wasn't made for this session.
    Stale,
    /// Nobody is logged in; `next` is where to go afterwards.
    LogIn {
        /// A path of ours, or nothing.
        next: String,
    },
    /// Too many requests.
    TooMany {
        /// When to come again.
        seconds: u64,
    },
    /// There is no such page.
    NotFound,
    /// A thread panicked.
    Broken,
    /// A page that was made already.
    Page(Box<Response>),
}

impl From<LabelError> for Problem {
    fn from(error: LabelError) -> Problem {
        Problem::Label(error)
    }
}

#[derive(Serialize)]
struct Link {
    href: String,
    text: &'static str,
}

impl Problem {
    /// The status that says the same.
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::Label(error) => StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Problem::Form(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Stale => StatusCode::FORBIDDEN,
            Problem::LogIn { .. } => StatusCode::UNAUTHORIZED,
            Problem::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Problem::Page(response) => response.status(),
        }
    }

    /// What a person is told. The server's inside goes to its log.
    pub fn message(&self) -> String {
        match self {
            Problem::Label(error) if error.is_internal() => {
                eprintln!("labeling: {error}");
                "Something failed inside; the server's log says what. Nothing was changed.".to_owned()
            }
            Problem::Label(LabelError::LockedOut { until_ms }) => {
                format!("Too many wrong passwords. Try again after {} UTC.", super::when::minute(*until_ms))
            }
            Problem::Label(LabelError::Busy { .. }) => {
                "The database is busy with something else. Nothing was changed; try again in a moment.".to_owned()
            }
            Problem::Label(LabelError::Full { .. }) => {
                "The server's disk is full. Nothing was changed; tell whoever runs it.".to_owned()
            }
            Problem::Label(error) => sentence(&error.to_string()),
            Problem::Form(message) => message.clone(),
            Problem::Stale => {
                "This form was made for another session. Go back, reload the page, and send it again.".to_owned()
            }
            Problem::LogIn { .. } => "Log in first.".to_owned(),
            Problem::TooMany { seconds } => format!("Too many requests. Try again in {seconds} s."),
            Problem::NotFound => "There is no such page.".to_owned(),
            Problem::Broken | Problem::Page(_) => "Something failed inside. Nothing was changed.".to_owned(),
        }
    }

    fn title(&self) -> &'static str {
        match self.status().as_u16() {
            401 => "Log in first",
            403 => "Not allowed",
            404 => "Not here",
            409 => "That was done already",
            410 => "Too late",
            413 => "Too large",
            422 => "That can't be right",
            429 => "Too fast",
            503 | 507 => "Not now",
            _ => "That failed",
        }
    }
}

/// A message with a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Problem::LogIn { next } = &self {
            if next.is_empty() {
                return Redirect::to("/label/login").into_response();
            }
            return Redirect::to(&format!("/label/login?next={next}")).into_response();
        }
        if let Problem::Page(response) = self {
            return *response;
        }
        let links = [Link { href: "/label".to_owned(), text: "My tasks" }];
        let page = Page::new("message.html").with("title", self.title()).with("message", self.message());
        let mut response = (self.status(), page.with("links", links)).into_response();
        *response.status_mut() = self.status();
        if let Problem::TooMany { seconds } = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inside_is_not_told() {
        let error = LabelError::Database { database: "labels.db".into(), action: "read", message: "secret".into() };
        let problem = Problem::from(error);
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.message().contains("secret"));
        assert_eq!(sentence("this needs the role manager"), "This needs the role manager.");
    }
}

//! Forms: fields as they were sent, each read with what was found and what was expected. A form reaches a handler only
//! with the token of the session that it was made for.

use super::Pages;
use super::problem::Problem;
use super::session::Me;
use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Fields in a form at most; the largest page has a few hundred.
const FIELDS_MAX: usize = 5_000;

/// Who sent a form, and what stands in it.
pub struct Posted {
    /// Who.
    pub me: Me,
    /// What.
    pub form: Form,
}

impl FromRequest<Pages> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, pages: &Pages) -> Result<Posted, Problem> {
        let me = request.extensions().get::<Me>().cloned().ok_or(Problem::LogIn { next: String::new() })?;
        let form = Form::from_request(request, pages).await?;
        // Not secret in its length; compared without leaving early all the same.
        let sent = blake3::hash(form.text("csrf").as_bytes());
        if sent != blake3::hash(me.csrf.as_bytes()) {
            return Err(Problem::Stale);
        }
        Ok(Posted { me, form })
    }
}

/// Names and values, in the order of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl FromRequest<Pages> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, pages: &Pages) -> Result<Form, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if kind.starts_with("multipart/form-data") {
            return from_multipart(request, pages).await;
        }
        if !kind.is_empty() && !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Problem::Form(format!(
                "The form came as {kind:?}, expected application/x-www-form-urlencoded."
            )));
        }
        let body = Bytes::from_request(request, pages).await.map_err(|error| Problem::Form(error.to_string()))?;
        Form::parse(&body)
    }
}

async fn from_multipart(request: Request, pages: &Pages) -> Result<Form, Problem> {
    let wrong = |error: &dyn Display| Problem::Form(format!("The upload can't be read: {error}."));
    let mut multipart = Multipart::from_request(request, pages).await.map_err(|error| wrong(&error))?;
    let mut fields = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(|error| wrong(&error))? {
        check_number(fields.len())?;
        // The file's own name is never looked at.
        let name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await.map_err(|error| wrong(&error))?;
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|error| Problem::Form(format!("{name}: the file isn't UTF-8 text ({}).", error.utf8_error())))?;
        fields.push((name, text));
    }
    Ok(Form(fields))
}

fn check_number(n: usize) -> Result<(), Problem> {
    if n < FIELDS_MAX { Ok(()) } else { Err(Problem::Form(format!("The form has more than {FIELDS_MAX} fields."))) }
}

impl Form {
    /// Reads `name=value&…`.
    pub fn parse(body: &[u8]) -> Result<Form, Problem> {
        let mut fields = Vec::new();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            check_number(fields.len())?;
            let at = pair.iter().position(|b| *b == b'=');
            let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            fields.push((decode(name)?, decode(value)?));
        }
        Ok(Form(fields))
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same, empty when absent.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The same, or `None` when there is nothing but space.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Whether a box is ticked.
    pub fn ticked(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every field.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A number within bounds, or `None` when the field is empty.
    pub fn number<T>(&self, name: &str, bounds: RangeInclusive<T>) -> Result<Option<T>, Problem>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.filled(name) else { return Ok(None) };
        match text.parse::<T>() {
            Ok(value) if bounds.contains(&value) => Ok(Some(value)),
            _ => {
                let (low, high) = bounds.into_inner();
                Err(Problem::Form(format!("{name}: found {text:?}, expected a number from {low} to {high}.")))
            }
        }
    }

    /// One of the values that the type knows.
    pub fn one_of<T: FromStr>(&self, name: &str, expected: &str) -> Result<T, Problem> {
        let text = self.text(name);
        text.parse().map_err(|_| Problem::Form(format!("{name}: found {text:?}, expected {expected}.")))
    }
}

fn decode(text: &[u8]) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|d| (d as char).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err(Problem::Form("The form holds a broken %-code.".to_owned())),
                }
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Problem::Form("The form isn't UTF-8 text.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes()).expect("a form")
    }

    #[test]
    fn fields_are_decoded() {
        let form = form("a=1+2&b=%C3%A4%26&c&&a=again&d=");
        assert_eq!((form.text("a"), form.text("b"), form.get("c")), ("1 2", "ä&", Some("")));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1 2", "again"]);
        assert_eq!((form.filled("d"), form.get("e")), (None, None));
    }

    #[test]
    fn what_is_broken_is_refused_and_never_panics() {
        for body in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(matches!(Form::parse(body.as_bytes()), Err(Problem::Form(_))), "{body}");
        }
        assert!(Form::parse("a&".repeat(5_001).as_bytes()).is_err());
    }

    #[test]
    fn numbers_say_what_was_found_and_expected() {
        let form = form("k=12&t=x&e=");
        assert_eq!(form.number("e", 1..=9).unwrap(), None);
        assert_eq!(form.number("k", 1..=20).unwrap(), Some(12));
        let Err(Problem::Form(message)) = form.number("k", 1..=9) else { panic!("12 passed") };
        assert_eq!(message, "k: found \"12\", expected a number from 1 to 9.");
        assert!(form.number::<f64>("t", 0.0..=1.0).is_err());
    }
}

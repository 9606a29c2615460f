//! Templates and files of the pages: all inside the binary, all escaped.

use super::Pages;
use super::session::Me;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

macro_rules! templates {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("template/", $name)))),*] };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "base.html",
    "pieces.html",
    "login.html",
    "invitation.html",
    "message.html",
    "home.html",
    "guide.html",
    "mine.html",
    "account.html",
    "task.html",
    "task_rank.html",
    "task_rate.html",
    "task_pairwise.html",
    "task_write.html",
    "task_review.html",
    "manage/base.html",
    "manage/projects.html",
    "manage/overview.html",
    "manage/prompts.html",
    "manage/prompt.html",
    "manage/tasks.html",
    "manage/task.html",
    "manage/labelers.html",
    "manage/agreement.html",
    "manage/disagreements.html",
    "manage/guide.html",
    "manage/settings.html",
    "manage/export.html",
    "manage/audit.html",
    "manage/conversations.html",
    "manage/people.html",
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, type and content of every file that pages use.
static ASSETS: LazyLock<Vec<(&str, &str, String)>> = LazyLock::new(|| {
    let style = format!("{}\n{}", include_str!("static/label.css"), chart::STYLE);
    vec![
        ("label.css", "text/css; charset=utf-8", style),
        ("icon.svg", "image/svg+xml", include_str!("static/icon.svg").to_owned()),
        ("page.js", SCRIPT, include_str!("static/page.js").to_owned()),
        ("task.js", SCRIPT, include_str!("static/task.js").to_owned()),
        ("board.js", SCRIPT, include_str!("static/board.js").to_owned()),
        ("draft.js", SCRIPT, include_str!("static/draft.js").to_owned()),
    ]
});

/// Changes with any of the files, so that browsers may keep them for good.
static ASSETS_VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    ASSETS.iter().for_each(|(_, _, content)| {
        hasher.update(content.as_bytes());
    });
    hasher.finalize().to_hex()[..12].to_owned()
});

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    for (name, source) in TEMPLATES {
        if let Err(error) = environment.add_template(name, source) {
            unreachable!("a template of this program, tested: {error}");
        }
    }
    environment
});

/// A file of the pages. Modules import each other without the version, so those are asked for anew each hour.
pub async fn asset(Path(name): Path<String>, uri: axum::http::Uri) -> Response {
    let Some((_, kind, content)) = ASSETS.iter().find(|(known, _, _)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kept = if uri.query() == Some(ASSETS_VERSION.as_str()) {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=3600"
    };
    ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, kept)], content.as_str()).into_response()
}

/// A page about to be shown.
pub struct Page {
    template: &'static str,
    status: StatusCode,
    context: BTreeMap<&'static str, Value>,
}

impl Page {
    /// A page for whoever comes.
    pub fn new(template: &'static str) -> Page {
        let context = BTreeMap::from([("assets", Value::from(ASSETS_VERSION.as_str()))]);
        Page { template, status: StatusCode::OK, context }
    }

    /// A page for somebody who is logged in.
    pub fn of(template: &'static str, pages: &Pages, me: &Me) -> Page {
        let field = format!("<input type=\"hidden\" name=\"csrf\" value=\"{}\">", chart::escape(&me.csrf));
        Page::new(template)
            .with("user", me.view())
            .with("csrf", &me.csrf)
            .with("demo", pages.0.settings.demo)
            .safe("csrf_field", field)
    }

    /// Gives the template a value.
    pub fn with(mut self, name: &'static str, value: impl Serialize) -> Page {
        self.context.insert(name, Value::from(Serde(value)));
        self
    }

    /// Gives the template HTML that this program made.
    pub fn safe(mut self, name: &'static str, html: String) -> Page {
        self.context.insert(name, Value::from_safe_string(html));
        self
    }

    /// With something that went wrong, and its status.
    pub fn error(mut self, status: StatusCode, message: &str) -> Page {
        self.status = status;
        self.with("error", message)
    }

    /// Renders it.
    pub fn render(&self) -> Result<String, minijinja::Error> {
        ENVIRONMENT.get_template(self.template)?.render(Value::from_pairs(self.context.clone()))
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        match self.render() {
            Ok(html) => (self.status, Html(html)).into_response(),
            Err(error) => {
                eprintln!("{}: {error:#}", self.template);
                (StatusCode::INTERNAL_SERVER_ERROR, "This page failed; the server's log says why.").into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_compiles_and_escapes() {
        for (name, _) in TEMPLATES {
            ENVIRONMENT.get_template(name).expect(name);
        }
        let page = Page::new("message.html").with("title", "<b>").with("message", "a & \"b\"");
        let html = page.render().expect("renders");
        assert!(html.contains("<h1>&lt;b&gt;</h1>") && html.contains("a &amp; "), "{html}");
    }

    #[test]
    fn templates_hold_no_inline_script_or_style() {
        for (name, source) in TEMPLATES {
            for forbidden in [" style=", "<style", " onclick=", " onload=", "javascript:", "<script>"] {
                assert!(!source.contains(forbidden), "{name} has {forbidden}, which the security policy forbids");
            }
        }
    }
}

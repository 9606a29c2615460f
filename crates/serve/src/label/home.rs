//! Where a labeler begins: projects, the next task, the guide, one's own judgements.

use super::form::Posted;
use super::manage::summary;
use super::page::Page;
use super::problem::Problem;
use super::session::Me;
use super::task::{self, kind_label, spaced};
use super::{Pages, text, when};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use label::{Id, Project, Store};
use record::Prompt;
use serde::{Deserialize, Serialize};

/// Own judgements shown.
const OWN_MAX: usize = 200;

/// The pages of labelers, tasks apart.
pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label", get(home))
        .route("/label/projects/{id}/next", post(next))
        .route("/label/projects/{id}/guide", get(guide))
        .route("/label/projects/{id}/mine", get(mine))
}

#[derive(Deserialize)]
struct HomeQuery {
    said: Option<String>,
}

#[derive(Serialize)]
struct KindView {
    value: &'static str,
    label: &'static str,
}

#[derive(Serialize)]
struct ProjectView {
    id: Id,
    title: String,
    description: String,
    state: &'static str,
    done: i64,
    mine: i64,
    remaining: i64,
    done_today: i64,
    skipped: i64,
    seconds_median: String,
    complete: i64,
    total: i64,
    kinds: Vec<KindView>,
}

impl ProjectView {
    fn new(store: &Store, person: Id, project: Project) -> Result<ProjectView, Problem> {
        let progress = store.progress(person, project.id)?;
        let kinds = store.task_kinds(project.id)?;
        let kinds = kinds.into_iter().map(|kind| KindView { value: kind.as_str(), label: kind_label(kind) }).collect();
        Ok(ProjectView {
            id: project.id,
            description: project.settings.description,
            title: project.title,
            state: project.state.as_str(),
            done: progress.done,
            mine: progress.done + progress.remaining,
            remaining: progress.remaining,
            done_today: progress.done_today,
            skipped: progress.skipped,
            seconds_median: progress.seconds_median.map(when::duration).unwrap_or_default(),
            complete: progress.complete,
            total: progress.total,
            kinds,
        })
    }
}

async fn home(State(pages): State<Pages>, me: Me, Query(query): Query<HomeQuery>) -> Result<Page, Problem> {
    let person = me.person.id;
    let projects = pages
        .work(move |store| {
            let open = store.projects()?.into_iter();
            open.map(|project| ProjectView::new(store, person, project)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let notice = match query.said.as_deref() {
        Some("nothing") => Some("Nothing is left for you to do here at the moment. Thank you."),
        Some("waiting") => Some("Others are working on what is left. Look again later."),
        Some("not-qualified") => Some(
            "Your answers to the qualification test were below what this project asks for. A manager can tell more.",
        ),
        Some("paused") => Some("This project is paused."),
        _ => None,
    };
    let page = Page::of("home.html", &pages, &me).with("section", "tasks").with("projects", projects);
    Ok(match notice {
        Some(notice) => page.with("notice", notice),
        None => page,
    })
}

async fn next(
    State(pages): State<Pages>,
    Path(project): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let only = form.filled("kind").map(str::to_owned);
    let person = me.person.id;
    let to = pages.work(move |store| task::next(store, person, project, only.as_deref())).await?;
    Ok(Redirect::to(&to).into_response())
}

#[derive(Deserialize)]
struct GuideQuery {
    version: Option<i64>,
}

async fn guide(
    State(pages): State<Pages>,
    me: Me,
    Path(id): Path<Id>,
    Query(query): Query<GuideQuery>,
) -> Result<Page, Problem> {
    let asked = query.version;
    let (project, guide, versions) =
        pages.work(move |store| Ok((store.project(id)?, store.guide(id, asked)?, store.guides(id)?))).await?;
    let html = pages.guides().html(id, guide.version, || guide.body.clone());
    let versions: Vec<i64> = versions.iter().map(|guide| guide.version).collect();
    let view = minijinja::context! {
        version => guide.version,
        phase => guide.phase.as_str(),
        created => when::minute(guide.created_ms),
        html => html.as_ref(),
    };
    let project = minijinja::context! { id => project.id, title => project.title };
    Ok(Page::of("guide.html", &pages, &me).with("project", project).with("guide", view).with("versions", versions))
}

#[derive(Serialize)]
struct OwnView {
    id: Id,
    when: String,
    kind: &'static str,
    opening: String,
    summary: String,
    took: String,
    current: bool,
    correctable: bool,
}

async fn mine(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    let person = me.person.id;
    let (project, judgements) = pages
        .work(move |store| {
            let project = store.project(id)?;
            let own = store.own_judgements(person, id, OWN_MAX)?;
            let view = |judgement: label::Judgement| {
                let opening = match judgement.prompt {
                    Some(prompt) => text::opening(&plain(&store.prompt(prompt)?.prompt), 90),
                    None => String::new(),
                };
                Ok(OwnView {
                    id: judgement.id,
                    when: when::minute(judgement.created_ms),
                    kind: kind_label(judgement.kind),
                    opening,
                    summary: summary::of_body(&judgement.body),
                    took: judgement.seconds.map(when::duration).unwrap_or_default(),
                    current: judgement.current,
                    correctable: true,
                })
            };
            Ok((project, own.into_iter().map(view).collect::<Result<Vec<_>, Problem>>()?))
        })
        .await?;
    let project = minijinja::context! { id => project.id, title => project.title };
    Ok(Page::of("mine.html", &pages, &me)
        .with("section", "tasks")
        .with("project", project)
        .with("judgements", judgements))
}

/// A prompt as one text.
pub fn plain(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join(" / "),
    }
}

/// Use-case or language, as a page says it.
pub fn name(name: &Option<String>) -> String {
    name.as_deref().map(spaced).unwrap_or_default()
}

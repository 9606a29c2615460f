//! Managers' and reviewers' pages of projects. Who may do what is the store's to decide; these pages only hide what it
//! would refuse.

mod material;
mod output;
mod statistics;
pub mod summary;
mod tasks;
mod trees;

pub use material::store_rows;
pub use output::{AGGREGATES, CONTENTS, Format, download, named};

use super::form::Posted;
use super::page::Page;
use super::problem::Problem;
use super::session::Me;
use super::{Pages, when};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use label::{Id, LabelError, Phase, Project, ProjectCounts, ProjectState, Role, Settings, Store};
use serde::Serialize;

/// The pages of projects.
pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/manage", get(projects).post(create))
        .route("/label/manage/{id}", get(overview))
        .route("/label/manage/{id}/state", post(set_state))
        .route("/label/manage/{id}/settings", get(settings).post(set_settings))
        .route("/label/manage/{id}/guide", get(guide).post(add_guide))
        .merge(material::routes())
        .merge(tasks::routes())
        .merge(statistics::routes())
        .merge(output::routes())
        .merge(trees::routes())
}

#[derive(Serialize)]
struct Tab {
    path: &'static str,
    label: &'static str,
}

const TABS: [Tab; 10] = [
    Tab { path: "", label: "Overview" },
    Tab { path: "/prompts", label: "Prompts" },
    Tab { path: "/tasks", label: "Tasks" },
    Tab { path: "/conversations", label: "Conversations" },
    Tab { path: "/labelers", label: "Labelers" },
    Tab { path: "/agreement", label: "Agreement" },
    Tab { path: "/disagreements", label: "Disagreements" },
    Tab { path: "/guide", label: "Guide" },
    Tab { path: "/export", label: "Export" },
    Tab { path: "/settings", label: "Settings" },
];
const LOG: Tab = Tab { path: "/log", label: "Log" };

/// What the tabs' page needs of a project.
#[derive(Clone, Serialize)]
pub struct ProjectHead {
    id: Id,
    title: String,
    state: &'static str,
}

impl From<&Project> for ProjectHead {
    fn from(project: &Project) -> ProjectHead {
        ProjectHead { id: project.id, title: project.title.clone(), state: project.state.as_str() }
    }
}

/// A page of a project, with its tabs.
fn project_page(template: &'static str, pages: &Pages, me: &Me, project: &Project, tab: &str) -> Page {
    let tabs: Vec<&Tab> = TABS.iter().chain((me.person.role >= Role::Manager).then_some(&LOG)).collect();
    Page::of(template, pages, me)
        .with("section", "manage")
        .with("project", ProjectHead::from(project))
        .with("tabs", tabs)
        .with("current_tab", tab)
}

/// Refuses whoever isn't this much. The store checks again what it is asked for.
fn need(me: &Me, role: Role) -> Result<(), Problem> {
    if me.person.role >= role { Ok(()) } else { Err(LabelError::Forbidden { needed: role }.into()) }
}

#[derive(Serialize)]
struct ProjectRow {
    id: Id,
    title: String,
    state: &'static str,
    prompts: i64,
    candidates: i64,
    tasks: i64,
    tasks_complete: i64,
    judgements: i64,
}

fn rows(store: &Store) -> Result<Vec<ProjectRow>, Problem> {
    let row = |project: Project| {
        let counts = store.counts(project.id)?;
        Ok(ProjectRow {
            id: project.id,
            title: project.title,
            state: project.state.as_str(),
            prompts: counts.prompts,
            candidates: counts.candidates,
            tasks: counts.tasks,
            tasks_complete: counts.tasks_complete,
            judgements: counts.judgements,
        })
    };
    store.projects()?.into_iter().map(row).collect()
}

async fn projects(State(pages): State<Pages>, me: Me) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    projects_page(&pages, &me).await
}

async fn projects_page(pages: &Pages, me: &Me) -> Result<Page, Problem> {
    let rows = pages.work(rows).await?;
    Ok(Page::of("manage/projects.html", pages, me)
        .with("section", "manage")
        .with("projects", rows)
        .with("default_toml", Settings::instructgpt_toml()))
}

async fn create(State(pages): State<Pages>, Posted { me, form }: Posted) -> Result<Response, Problem> {
    let asked = (|| {
        let mut settings = match form.filled("toml") {
            Some(toml) => Settings::from_toml(toml)?,
            None => {
                let mut settings = Settings::instructgpt();
                settings.phase = form.one_of::<Phase>("phase", "training or evaluation")?;
                settings.ranking.rate_each = form.ticked("rate_each");
                if let Some(overlap) = form.number("overlap", 1..=20)? {
                    settings.overlap = overlap;
                }
                settings
            }
        };
        if let Some(title) = form.filled("title") {
            settings.title = title.to_owned();
        }
        Ok::<_, Problem>(settings)
    })();
    let (actor, name) = (me.actor(), form.text("name").trim().to_owned());
    let created = match asked {
        Ok(settings) => pages.work(move |store| Ok(store.create_project(actor, &name, &settings)?)).await,
        Err(problem) => Err(problem),
    };
    match created {
        Ok(project) => Ok(Redirect::to(&format!("/label/manage/{}", project.id)).into_response()),
        Err(problem @ (Problem::Form(_) | Problem::Label(LabelError::Invalid { .. } | LabelError::Taken { .. }))) => {
            let filled = minijinja::context! {
                name => form.text("name"), title => form.text("title"), overlap => form.text("overlap"),
                rate_each => form.ticked("rate_each"), toml => form.text("toml"),
            };
            let page = projects_page(&pages, &me).await?.with("form", filled);
            Ok(page.error(problem.status(), &problem.message()).into_response())
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Serialize)]
struct Tile {
    label: &'static str,
    value: String,
    note: String,
}

#[derive(Serialize)]
struct Step {
    href: String,
    text: &'static str,
}

fn tiles(counts: &ProjectCounts) -> Vec<Tile> {
    let tile = |label, value: i64, note: String| Tile { label, value: value.to_string(), note };
    vec![
        tile("Prompts", counts.prompts, String::new()),
        tile("Answers", counts.candidates, String::new()),
        tile(
            "Tasks complete",
            counts.tasks_complete,
            format!("of {}; {} worked on", counts.tasks, counts.tasks_leased),
        ),
        tile("Judgements", counts.judgements, format!("by {} people; {} skipped", counts.people, counts.skips)),
    ]
}

/// What an empty project wants next.
fn next_steps(id: Id, counts: &ProjectCounts) -> Vec<Step> {
    let step = |path: &str, text| Step { href: format!("/label/manage/{id}{path}"), text };
    let mut steps = Vec::new();
    if counts.prompts == 0 {
        steps.push(step("/prompts", "Import prompts"));
    } else if counts.candidates == 0 {
        steps.push(step("/prompts", "Generate answers, or import some"));
    }
    if counts.prompts > 0 && counts.tasks == 0 {
        steps.push(step("/tasks", "Make tasks"));
    }
    if counts.tasks > 0 && counts.judgements == 0 {
        steps.push(Step { href: "/label/people".to_owned(), text: "Invite labelers" });
    }
    if counts.judgements > 0 && counts.tasks_complete == counts.tasks {
        steps.push(step("/export", "All tasks are complete: export"));
    }
    steps
}

async fn overview(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let actor = me.actor();
    let (project, counts, days) =
        pages.work(move |store| Ok((store.project(id)?, store.counts(id)?, store.throughput(actor, id)?))).await?;
    Ok(project_page("manage/overview.html", &pages, &me, &project, "")
        .with("tiles", tiles(&counts))
        .with("next_steps", next_steps(id, &counts))
        .with("charts", statistics::days_chart(&days)))
}

async fn set_state(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Redirect, Problem> {
    let state: ProjectState = form.one_of("state", "open, paused or closed")?;
    let actor = me.actor();
    pages.work(move |store| Ok(store.set_project_state(actor, id, state)?)).await?;
    Ok(Redirect::to(&format!("/label/manage/{id}")))
}

async fn settings(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let (project, toml) = pages
        .work(move |store| {
            let project = store.project(id)?;
            let toml = project.settings.to_toml()?;
            Ok((project, toml))
        })
        .await?;
    Ok(project_page("manage/settings.html", &pages, &me, &project, "/settings").with("toml", toml))
}

async fn set_settings(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let toml = form.text("toml").to_owned();
    let (actor, sent) = (me.actor(), toml.clone());
    let (project, problem) = pages
        .work(move |store| {
            let settings = Settings::from_toml(&sent);
            let changed = settings.and_then(|settings| store.set_settings(actor, id, &settings));
            Ok((store.project(id)?, changed.err()))
        })
        .await?;
    let page = project_page("manage/settings.html", &pages, &me, &project, "/settings").with("toml", toml);
    Ok(match problem {
        None => page.with("notice", "Saved."),
        Some(error) => {
            let problem = Problem::from(error);
            page.error(problem.status(), &problem.message())
        }
    }
    .into_response())
}

async fn guide(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let (project, guides) = pages.work(move |store| Ok((store.project(id)?, store.guides(id)?))).await?;
    let newest = guides.iter().max_by_key(|guide| guide.version);
    let views: Vec<minijinja::Value> = guides
        .iter()
        .map(|guide| {
            minijinja::context! {
                version => guide.version, phase => guide.phase.as_str(), created => when::minute(guide.created_ms),
            }
        })
        .collect();
    Ok(project_page("manage/guide.html", &pages, &me, &project, "/guide")
        .with("guides", views)
        .with("phase", newest.map(|guide| guide.phase.as_str()))
        .with("body", newest.map(|guide| guide.body.as_str()))
        .with("next_version", newest.map_or(1, |guide| guide.version + 1)))
}

async fn add_guide(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Redirect, Problem> {
    let phase: Phase = form.one_of("phase", "training or evaluation")?;
    let Some(body) = form.filled("body") else {
        return Err(Problem::Form("The guide is empty.".to_owned()));
    };
    let (actor, body) = (me.actor(), body.replace("\r\n", "\n"));
    pages.work(move |store| Ok(store.add_guide(actor, id, phase, &body)?)).await?;
    Ok(Redirect::to(&format!("/label/manage/{id}/guide")))
}

/// The status of a page that shows a form again.
fn again(page: Page, problem: &Problem) -> Response {
    let status = if problem.status().is_server_error() { StatusCode::INTERNAL_SERVER_ERROR } else { problem.status() };
    page.error(status, &problem.message()).into_response()
}

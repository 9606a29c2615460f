//! A labeler's task: shown, kept as a draft, skipped, submitted, and corrected afterwards.

mod answer;
mod view;

use super::Pages;
use super::form::{Form, Posted};
use super::page::Page;
use super::problem::Problem;
use super::session::Me;
use super::text;
use answer::Values;
pub use answer::letter;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use label::{Assignment, Id, LabelError, Next, Progress, Project, Store, Submission, TaskKind};
use serde::Deserialize;
use std::sync::Arc;
use view::TaskView;
pub use view::{kind_label, messages, spaced};

/// The pages of tasks.
pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/tasks/{lease}", get(show).post(submit))
        .route("/label/tasks/{lease}/draft", post(draft))
        .route("/label/tasks/{lease}/skip", post(skip))
        .route("/label/judgements/{id}", get(correction).post(correct))
}

/// How a task is looked at.
#[derive(Clone, Default, Deserialize)]
struct Look {
    /// The output that stands in the instruction pane, by its letter.
    include: Option<String>,
    /// The kind of task that is wanted, when only one is.
    only: Option<String>,
    /// Whether the draft was saved just now, without script.
    saved: Option<String>,
}

/// Everything that a task's page is made of.
struct Material {
    assignment: Assignment,
    project: Project,
    progress: Progress,
    guide: Arc<str>,
}

impl Material {
    fn collect(store: &Store, guides: &Pages, person: Id, assignment: Assignment) -> Result<Material, Problem> {
        let project = store.project(assignment.project)?;
        let progress = store.progress(person, project.id)?;
        let version = assignment.guide_version;
        let guide = match guides.guides().known(project.id, version) {
            Some(html) => html,
            None => {
                let guide = store.guide(project.id, Some(version))?;
                guides.guides().html(project.id, version, || guide.body)
            }
        };
        Ok(Material { assignment, project, progress, guide })
    }
}

async fn show(
    State(pages): State<Pages>,
    me: Me,
    Path(lease): Path<String>,
    Query(look): Query<Look>,
) -> Result<Response, Problem> {
    let person = me.person.id;
    let inner = pages.clone();
    let material = pages
        .work(move |store| {
            let assignment = store.assignment(person, &lease)?;
            Material::collect(store, &inner, person, assignment)
        })
        .await?;
    let values = Values::of_draft(&material.assignment);
    Ok(render(&pages, &me, &material, &values, &look).into_response())
}

fn render(pages: &Pages, me: &Me, material: &Material, values: &Values, look: &Look) -> Page {
    let view = TaskView::new(material, values, look);
    Page::of(view.template(), pages, me).with("section", "tasks").with("task", view)
}

/// Where the form is sent; `only` is kept.
fn address(lease: &str, look: &Look) -> String {
    match &look.only {
        Some(kind) if kind.parse::<TaskKind>().is_ok() => format!("/label/tasks/{lease}?only={kind}"),
        _ => format!("/label/tasks/{lease}"),
    }
}

/// The next task as an address: a task, or home with what there is to say.
pub fn next(store: &Store, person: Id, project: Id, only: Option<&str>) -> Result<String, Problem> {
    let kind = only.and_then(|kind| kind.parse::<TaskKind>().ok());
    let kinds: Vec<TaskKind> = kind.into_iter().collect();
    Ok(match store.next_task(person, project, &kinds)? {
        Next::Task(assignment) => {
            let look = Look { only: only.map(str::to_owned), ..Look::default() };
            address(&assignment.lease, &look)
        }
        Next::Nothing => format!("/label?project={project}&said=nothing"),
        Next::Waiting { .. } => format!("/label?project={project}&said=waiting"),
        Next::NotQualified { .. } => format!("/label?project={project}&said=not-qualified"),
        Next::Paused => format!("/label?project={project}&said=paused"),
    })
}

/// What submitting came to.
enum Outcome {
    Done(String),
    Wrong(Box<Material>, StatusCode, String),
}

/// Whether the same form, filled as it is, can be sent once more: when something in it is missing, when the disk is full,
/// when the database is busy.
fn can_be_sent_again(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Form(_)
            | Problem::Label(LabelError::Invalid { .. } | LabelError::Full { .. } | LabelError::Busy { .. })
    )
}

async fn submit(
    State(pages): State<Pages>,
    Path(lease): Path<String>,
    Query(look): Query<Look>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let person = me.person.id;
    let (inner, sent, only) = (pages.clone(), form.clone(), look.only.clone());
    let outcome = pages
        .work(move |store| {
            let assignment = store.assignment(person, &lease)?;
            let project = assignment.project;
            match hand_in(store, person, &assignment, &sent) {
                Ok(()) => Ok(Outcome::Done(next(store, person, project, only.as_deref())?)),
                Err(problem) if can_be_sent_again(&problem) => {
                    let message = answer::explain(&problem, &assignment);
                    let material = Material::collect(store, &inner, person, assignment)?;
                    Ok(Outcome::Wrong(Box::new(material), problem.status(), message))
                }
                Err(problem) => Err(problem),
            }
        })
        .await;
    let values = |material: &Material| Values::of_form(&material.assignment, &form);
    match outcome {
        Ok(Outcome::Done(address)) => Ok(Redirect::to(&address).into_response()),
        Ok(Outcome::Wrong(material, status, message)) => {
            let page = render(&pages, &me, &material, &values(&material), &look);
            Ok(page.error(status, &message).into_response())
        }
        Err(problem) => Err(with_words(&pages, &me, problem, &form)),
    }
}

fn hand_in(store: &Store, person: Id, assignment: &Assignment, form: &Form) -> Result<(), Problem> {
    let submission = Submission {
        lease: assignment.lease.clone(),
        submission: form.text("submission").to_owned(),
        body: answer::body(assignment, form)?,
        seconds: answer::seconds(form),
    };
    store.submit(person, &submission)?;
    Ok(())
}

/// A problem's page that gives back what was written, so that it isn't lost.
fn with_words(pages: &Pages, me: &Me, problem: Problem, form: &Form) -> Problem {
    let words: Vec<&str> = ["text", "notes"].iter().filter_map(|name| form.filled(name)).collect();
    if words.is_empty() {
        return problem;
    }
    let page = Page::of("message.html", pages, me)
        .with("title", "That was not saved")
        .with("message", problem.message())
        .with("kept", words.join("\n\n"))
        .with("links", [minijinja::context! { href => "/label", text => "My tasks" }]);
    let mut response = page.into_response();
    *response.status_mut() = problem.status();
    Problem::Page(Box::new(response))
}

async fn draft(
    State(pages): State<Pages>,
    Path(lease): Path<String>,
    Query(look): Query<Look>,
    headers: HeaderMap,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let wants_json = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("application/json")));
    let (person, include) = (me.person.id, form.filled("include").map(str::to_owned));
    let (at, sent) = (lease.clone(), form.clone());
    let saved = pages
        .work(move |store| {
            let assignment = store.assignment(person, &at)?;
            let values = Values::of_form(&assignment, &sent);
            let seconds = answer::seconds(&sent).unwrap_or(0.0);
            Ok(store.save_draft(person, &at, &values.to_draft(&assignment), seconds)?)
        })
        .await;
    if wants_json {
        return Ok(match saved {
            Ok(_) => axum::Json(serde_json::json!({"saved": true})).into_response(),
            Err(problem) => {
                let body = axum::Json(serde_json::json!({"error": problem.message()}));
                (problem.status(), body).into_response()
            }
        });
    }
    saved.map_err(|problem| with_words(&pages, &me, problem, &form))?;
    let mut to = address(&lease, &look);
    to.push_str(if to.contains('?') { "&saved=yes" } else { "?saved=yes" });
    if let Some(letter) = include.filter(|letter| letter.len() == 1 && letter.bytes().all(|b| b.is_ascii_uppercase())) {
        to.push_str(&format!("&include={letter}"));
    }
    Ok(Redirect::to(&to).into_response())
}

async fn skip(
    State(pages): State<Pages>,
    Path(lease): Path<String>,
    Query(look): Query<Look>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let Some(reason) = form.filled("reason") else {
        return Err(Problem::Form("Say why you skip this task.".to_owned()));
    };
    let reason = match form.filled("note") {
        Some(note) => format!("{reason}: {}", text::opening(note, 500)),
        None => reason.to_owned(),
    };
    let person = me.person.id;
    let to = pages
        .work(move |store| {
            let project = store.assignment(person, &lease)?.project;
            store.skip(person, &lease, &reason)?;
            next(store, person, project, look.only.as_deref())
        })
        .await?;
    Ok(Redirect::to(&to).into_response())
}

async fn correction(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Response, Problem> {
    let person = me.person.id;
    let inner = pages.clone();
    let (material, values) = pages
        .work(move |store| {
            let assignment = store.assignment_of(person, id)?;
            let judgement = store.judgement(label::Actor::Operator, id)?;
            let values = Values::of_body(&assignment, &judgement.body, judgement.seconds);
            Ok((Material::collect(store, &inner, person, assignment)?, values))
        })
        .await?;
    Ok(render_correction(&pages, &me, &material, &values, id).into_response())
}

fn render_correction(pages: &Pages, me: &Me, material: &Material, values: &Values, id: Id) -> Page {
    let view = TaskView::new(material, values, &Look::default()).correcting(id);
    Page::of(view.template(), pages, me).with("section", "tasks").with("task", view)
}

async fn correct(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let person = me.person.id;
    let (inner, sent) = (pages.clone(), form.clone());
    let outcome = pages
        .work(move |store| {
            let assignment = store.assignment_of(person, id)?;
            let project = assignment.project;
            let corrected = answer::body(&assignment, &sent).and_then(|body| {
                Ok(store.correct(person, id, sent.text("submission"), &body, answer::seconds(&sent))?)
            });
            match corrected {
                Ok(_) => Ok(Outcome::Done(format!("/label/projects/{project}/mine"))),
                Err(problem) if can_be_sent_again(&problem) => {
                    let message = answer::explain(&problem, &assignment);
                    let material = Material::collect(store, &inner, person, assignment)?;
                    Ok(Outcome::Wrong(Box::new(material), problem.status(), message))
                }
                Err(problem) => Err(problem),
            }
        })
        .await;
    match outcome {
        Ok(Outcome::Done(address)) => Ok(Redirect::to(&address).into_response()),
        Ok(Outcome::Wrong(material, status, message)) => {
            let values = Values::of_form(&material.assignment, &form);
            Ok(render_correction(&pages, &me, &material, &values, id).error(status, &message).into_response())
        }
        Err(problem) => Err(with_words(&pages, &me, problem, &form)),
    }
}

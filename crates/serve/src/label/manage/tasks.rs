//! Tasks: made, listed, looked into, adjudicated, withdrawn.

use super::super::Pages;
use super::super::form::Posted;
use super::super::home::plain;
use super::super::page::Page;
use super::super::problem::Problem;
use super::super::session::Me;
use super::super::task::{kind_label, letter, messages};
use super::super::text::{Text, opening};
use super::super::when;
use super::{need, project_page, summary};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use label::{Id, Judgement, MakeTasks, Purpose, Role, TaskKind, TaskQuery, TaskSummary, TaskView};
use minijinja::Value;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tasks on a page, and disagreements.
const PAGE: usize = 50;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/manage/{id}/tasks", get(tasks).post(make))
        .route("/label/manage/{id}/tasks/{task}", get(task))
        .route("/label/manage/{id}/tasks/{task}/adjudicate", post(adjudicate))
        .route("/label/manage/{id}/tasks/{task}/withdraw", post(withdraw))
        .route("/label/manage/{id}/disagreements", get(disagreements))
}

#[derive(Default, Deserialize)]
struct TasksQuery {
    after: Option<Id>,
    made: Option<usize>,
}

#[derive(Serialize)]
struct TaskRow {
    id: Id,
    opening: String,
    kind: &'static str,
    purpose: &'static str,
    state: &'static str,
    done: String,
    n_leased: i64,
    priority: String,
}

#[derive(Serialize)]
struct KindOption {
    value: &'static str,
    label: &'static str,
}

/// Kinds that can be made in bulk; reviews and conversations come by themselves.
const KINDS: [TaskKind; 6] = [
    TaskKind::Rank,
    TaskKind::Rate,
    TaskKind::Pairwise,
    TaskKind::Demonstrate,
    TaskKind::WritePrompt,
    TaskKind::UseCase,
];

async fn tasks(
    State(pages): State<Pages>,
    me: Me,
    Path(id): Path<Id>,
    Query(query): Query<TasksQuery>,
) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let (actor, after) = (me.actor(), query.after.unwrap_or(0));
    let (project, tasks) = pages
        .work(move |store| {
            let query = TaskQuery { after, limit: PAGE, ..TaskQuery::default() };
            Ok((store.project(id)?, store.tasks(actor, id, &query)?))
        })
        .await?;
    let more_after = (tasks.len() == PAGE).then(|| tasks.last().map(|task| task.id)).flatten();
    let rows: Vec<TaskRow> = tasks
        .into_iter()
        .map(|task| TaskRow {
            id: task.id,
            opening: opening(&task.opening, 90),
            kind: kind_label(task.kind),
            purpose: task.purpose.as_str(),
            state: task.state.as_str(),
            done: done(&task),
            n_leased: task.n_leased,
            priority: if task.priority == 0.0 { String::new() } else { format!("{:.3}", task.priority) },
        })
        .collect();
    let kinds = KINDS.map(|kind| KindOption { value: kind.as_str(), label: kind_label(kind) });
    let page = project_page("manage/tasks.html", &pages, &me, &project, "/tasks")
        .with("overlap", project.settings.overlap)
        .with("kinds", kinds)
        .with("tasks", rows)
        .with("more_after", more_after);
    Ok(match query.made {
        Some(0) => page.with("notice", "No tasks made: no prompt has enough answers and no task of this kind yet."),
        Some(made) => page.with("notice", format!("{made} tasks made.")),
        None => page,
    })
}

/// How many judgements there are, and of how many; a known answer is asked of everybody.
fn done(task: &TaskSummary) -> String {
    match task.purpose {
        Purpose::Gold | Purpose::Qualification => task.n_done.to_string(),
        Purpose::Ordinary | Purpose::Adjudication => format!("{} of {}", task.n_done, task.overlap),
    }
}

async fn make(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Redirect, Problem> {
    let make = MakeTasks {
        kind: form.one_of("kind", "a kind of task")?,
        k: form.number("k", 1..=9)?,
        overlap: form.number("overlap", 1..=20)?,
        limit: form.number("limit", 1..=100_000)?,
    };
    let actor = me.actor();
    let made = pages.work(move |store| Ok(store.make_tasks(actor, id, &make)?)).await?;
    Ok(Redirect::to(&format!("/label/manage/{id}/tasks?made={made}")))
}

#[derive(Serialize)]
struct AnswerView {
    letter: char,
    facts: String,
    #[serde(flatten)]
    text: Text,
}

#[derive(Serialize)]
struct JudgementView {
    who: String,
    cells: Vec<String>,
    summary: String,
    notes: String,
    source: &'static str,
    when: String,
}

fn judgement_view(judgement: &Judgement, task: &TaskView, names: &BTreeMap<Id, String>) -> JudgementView {
    let ids: Vec<Id> = task.candidates.iter().map(|candidate| candidate.id).collect();
    let places = judgement.body.places(&ids);
    let cell = |id: &Id| {
        let rank = places.iter().find(|place| place.candidate == *id).map(|place| format!("rank\u{a0}{}", place.rank));
        let rating = judgement.body.ratings().iter().find(|rating| rating.candidate == *id);
        let fields = rating.map(|rating| summary::of_fields(&rating.fields)).filter(|text| !text.is_empty());
        rank.into_iter().chain(fields).collect::<Vec<_>>().join("; ")
    };
    let corrected = if judgement.current { "" } else { " (corrected)" };
    JudgementView {
        who: format!("{}{corrected}", names.get(&judgement.person).map_or("somebody erased", String::as_str)),
        cells: ids.iter().map(cell).collect(),
        summary: summary::beside_answers(&judgement.body),
        notes: summary::notes(&judgement.body).to_owned(),
        source: judgement.source.as_str(),
        when: when::minute(judgement.created_ms),
    }
}

async fn task(State(pages): State<Pages>, me: Me, Path((id, task)): Path<(Id, Id)>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let actor = me.actor();
    let (project, task, names) = pages
        .work(move |store| {
            let found = store.task(actor, task)?;
            if found.project != id {
                return Err(Problem::NotFound);
            }
            let people = store.people(actor)?.into_iter().map(|person| (person.id, person.name));
            Ok((store.project(id)?, found, people.collect::<BTreeMap<_, _>>()))
        })
        .await?;
    let judgements: Vec<JudgementView> =
        task.judgements.iter().map(|judgement| judgement_view(judgement, &task, &names)).collect();
    let answers: Vec<AnswerView> = task
        .candidates
        .iter()
        .enumerate()
        .map(|(i, candidate)| AnswerView {
            letter: letter(i),
            facts: candidate.origin.clone(),
            text: Text::new(&candidate.text, None),
        })
        .collect();
    let view = minijinja::context! {
        id => task.task, kind => kind_label(task.kind), state => task.state.as_str(),
        messages => Value::from(Serde(task.prompt.as_ref().map(|prompt| messages(prompt, None)))),
        answers => Value::from(Serde(&answers)),
    };
    Ok(project_page("manage/task.html", &pages, &me, &project, "/tasks")
        .with("task", view)
        .with("judgements", judgements)
        .with("can_adjudicate", task.judgements.len() > 1))
}

async fn adjudicate(
    State(pages): State<Pages>,
    Path((id, task)): Path<(Id, Id)>,
    Posted { me, .. }: Posted,
) -> Result<Redirect, Problem> {
    let actor = me.actor();
    pages.work(move |store| Ok(store.add_adjudication(actor, task)?)).await?;
    Ok(Redirect::to(&format!("/label/manage/{id}/disagreements?asked=yes")))
}

async fn withdraw(
    State(pages): State<Pages>,
    Path((id, task)): Path<(Id, Id)>,
    Posted { me, .. }: Posted,
) -> Result<Redirect, Problem> {
    let actor = me.actor();
    pages.work(move |store| Ok(store.withdraw_task(actor, task, "withdrawn on its page")?)).await?;
    Ok(Redirect::to(&format!("/label/manage/{id}/tasks")))
}

#[derive(Deserialize)]
struct DisagreementsQuery {
    asked: Option<String>,
}

#[derive(Serialize)]
struct DisagreementRow {
    task: Id,
    opening: String,
    kind: &'static str,
    n: i64,
    agreement: String,
    adjudicated: bool,
}

async fn disagreements(
    State(pages): State<Pages>,
    me: Me,
    Path(id): Path<Id>,
    Query(query): Query<DisagreementsQuery>,
) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let actor = me.actor();
    let (project, rows) = pages
        .work(move |store| {
            let found = store.disagreements(actor, id, PAGE)?;
            let row = |found: label::Disagreement| {
                let opening = match found.prompt {
                    Some(prompt) => opening(&plain(&store.prompt(prompt)?.prompt), 90),
                    None => format!("Task {}", found.task),
                };
                Ok(DisagreementRow {
                    task: found.task,
                    opening,
                    kind: kind_label(found.kind),
                    n: found.n as i64,
                    agreement: format!("{:.0} %", 100.0 * found.agreement),
                    adjudicated: found.adjudicated,
                })
            };
            Ok((store.project(id)?, found.into_iter().map(row).collect::<Result<Vec<_>, Problem>>()?))
        })
        .await?;
    let page = project_page("manage/disagreements.html", &pages, &me, &project, "/disagreements");
    let page = page.with("disagreements", rows);
    Ok(match query.asked {
        Some(_) => page.with("notice", "A reviewer finds the adjudication among the tasks."),
        None => page,
    })
}

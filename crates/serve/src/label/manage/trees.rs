//! Conversations that grow: begun with a message, replied to and ranked by people, or brought as Open-Assistant trees.

use super::super::Pages;
use super::super::form::Posted;
use super::super::page::Page;
use super::super::problem::Problem;
use super::super::session::Me;
use super::{need, project_page};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use label::{Id, LabelError, Role};
use serde::Serialize;
use serde_json::Value;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/manage/{id}/conversations", get(trees).post(start))
        .route("/label/manage/{id}/conversations/import", post(import))
        .route("/label/manage/{id}/conversations/{tree}/halt", post(halt))
        .route("/label/manage/{id}/trees.jsonl", get(export))
}

#[derive(Serialize)]
struct TreeRow {
    id: Id,
    title: String,
    state: String,
    size: i64,
    halts: bool,
}

async fn trees(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    page(&pages, &me, id).await
}

async fn page(pages: &Pages, me: &Me, id: Id) -> Result<Page, Problem> {
    let (project, trees) = pages.work(move |store| Ok((store.project(id)?, store.trees(id)?))).await?;
    let rows: Vec<TreeRow> = trees
        .into_iter()
        .map(|tree| TreeRow {
            id: tree.id,
            title: super::super::text::opening(&tree.title, 90),
            state: tree.state.as_str().replace('_', " "),
            size: tree.size,
            halts: matches!(tree.state.as_str(), "initial_prompt_review" | "growing" | "ranking" | "backlog_ranking"),
        })
        .collect();
    let limits = &project.settings.tree;
    let rules = format!(
        "A conversation grows to {} messages, {} deep, {} replies to each; {} reviews a message, {} rankings of each set \
         of replies.",
        limits.size, limits.depth_max, limits.children_max, limits.reviews, limits.rankings
    );
    Ok(project_page("manage/conversations.html", pages, me, &project, "/conversations")
        .with("trees", rows)
        .with("rules", rules))
}

async fn start(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let (text, language) = (form.text("text").replace("\r\n", "\n"), form.filled("language").map(str::to_owned));
    let actor = me.actor();
    let started = pages.work(move |store| Ok(store.start_tree(actor, id, text.trim(), language.as_deref())?)).await;
    done(&pages, &me, id, started).await
}

/// The page anew; what is wrong with a form stands above it.
async fn done<T>(pages: &Pages, me: &Me, id: Id, result: Result<T, Problem>) -> Result<Response, Problem> {
    match result {
        Ok(_) => Ok(Redirect::to(&format!("/label/manage/{id}/conversations")).into_response()),
        Err(problem @ (Problem::Form(_) | Problem::Label(LabelError::Invalid { .. } | LabelError::Taken { .. }))) => {
            Ok(super::again(page(pages, me, id).await?, &problem))
        }
        Err(problem) => Err(problem),
    }
}

async fn import(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let text = form.text("file").to_owned();
    let actor = me.actor();
    let imported = pages
        .work(move |store| {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let read = |(i, line): (usize, &str)| {
                serde_json::from_str(line).map_err(|error| Problem::Form(format!("Line {}: {error}.", i + 1)))
            };
            let trees = lines.map(read).collect::<Result<Vec<Value>, Problem>>()?;
            if trees.is_empty() {
                return Err(Problem::Form("The file holds no trees.".to_owned()));
            }
            for tree in &trees {
                store.import_tree(actor, id, tree)?;
            }
            Ok(())
        })
        .await;
    done(&pages, &me, id, imported).await
}

async fn halt(
    State(pages): State<Pages>,
    Path((id, tree)): Path<(Id, Id)>,
    Posted { me, .. }: Posted,
) -> Result<Redirect, Problem> {
    let actor = me.actor();
    pages.work(move |store| Ok(store.halt_tree(actor, tree)?)).await?;
    Ok(Redirect::to(&format!("/label/manage/{id}/conversations")))
}

async fn export(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Response, Problem> {
    let actor = me.actor();
    let trees = pages.work(move |store| Ok(store.export_trees(actor, id)?)).await?;
    let text: String = trees.iter().map(|tree| format!("{tree}\n")).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"trees.jsonl\""),
    ];
    Ok((headers, text).into_response())
}

//! Prompts and answers: imported, generated, looked at.

use super::super::Pages;
use super::super::form::Posted;
use super::super::home::{name, plain};
use super::super::import;
use super::super::page::Page;
use super::super::problem::Problem;
use super::super::session::Me;
use super::super::task::messages;
use super::super::text::{Text, opening};
use super::{need, project_page};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use label::{Actor, GenerationRequest, Id, Imported, LabelError, PromptQuery, Role, Statements, Store};
use serde::{Deserialize, Serialize};

/// Prompts on a page.
const PAGE: usize = 50;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/manage/{id}/prompts", get(prompts))
        .route("/label/manage/{id}/prompts/{prompt}", get(prompt))
        .route("/label/manage/{id}/import", post(import_rows))
        .route("/label/manage/{id}/generate", post(generate))
}

#[derive(Clone, Default, Deserialize)]
struct PromptsQuery {
    search: Option<String>,
    after: Option<Id>,
    added: Option<usize>,
    duplicates: Option<usize>,
    over: Option<usize>,
    answers: Option<usize>,
    judgements: Option<usize>,
    known: Option<usize>,
    people: Option<usize>,
    left_out: Option<usize>,
}

#[derive(Serialize)]
struct PromptRow {
    id: Id,
    opening: String,
    use_case: String,
    source: &'static str,
    n_candidates: i64,
    priority: String,
}

async fn prompts(
    State(pages): State<Pages>,
    me: Me,
    Path(id): Path<Id>,
    Query(query): Query<PromptsQuery>,
) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    prompts_page(&pages, &me, id, query).await
}

async fn prompts_page(pages: &Pages, me: &Me, id: Id, query: PromptsQuery) -> Result<Page, Problem> {
    let asked = query.clone();
    let (project, found, generations) = pages
        .work(move |store| {
            let search = asked.search.filter(|text| !text.trim().is_empty());
            let query = PromptQuery { search, after: asked.after.unwrap_or(0), limit: PAGE, ..PromptQuery::default() };
            Ok((store.project(id)?, store.prompts(id, &query)?, store.generations(id)?))
        })
        .await?;
    let more_after = (found.len() == PAGE).then(|| found.last().map(|prompt| prompt.id)).flatten();
    let rows: Vec<PromptRow> = found
        .into_iter()
        .map(|prompt| PromptRow {
            id: prompt.id,
            opening: opening(&plain(&prompt.prompt), 110),
            use_case: name(&prompt.use_case),
            source: prompt.source.map_or("", |source| source.as_str()),
            n_candidates: prompt.n_candidates,
            priority: if prompt.priority == 0.0 { String::new() } else { format!("{:.3}", prompt.priority) },
        })
        .collect();
    let generations: Vec<minijinja::Value> = generations
        .iter()
        .map(|generation| {
            minijinja::context! {
                model => generation.request.model.as_str(), k => generation.request.k, state => generation.state.as_str(),
                done => generation.done, total => generation.total, error => generation.error.as_deref(),
            }
        })
        .collect();
    let page = project_page("manage/prompts.html", pages, me, &project, "/prompts")
        .with("prompts", rows)
        .with("more_after", more_after)
        .with("search", query.search.clone().unwrap_or_default())
        .with("models", &pages.0.settings.models)
        .with("generations", generations);
    Ok(match imported(&query) {
        Some(notice) => page.with("notice", notice),
        None => page,
    })
}

fn imported(query: &PromptsQuery) -> Option<String> {
    if let Some(n) = query.judgements {
        let mut parts = vec![format!("{n} judgements of {} new labelers imported", query.people.unwrap_or(0))];
        parts.extend(query.known.filter(|n| *n > 0).map(|n| format!("{n} were there already")));
        parts.extend(
            query.left_out.filter(|n| *n > 0).map(|n| format!("{n} left out, not one person's or on own words")),
        );
        return Some(format!("{}.", parts.join("; ")));
    }
    let mut parts = vec![format!("{} prompts and {} answers imported", query.added?, query.answers.unwrap_or(0))];
    parts.extend(query.duplicates.filter(|n| *n > 0).map(|n| format!("{n} prompts were there already")));
    parts.extend(query.over.filter(|n| *n > 0).map(|n| format!("{n} left out, beyond the limit for one user")));
    Some(format!("{}.", parts.join("; ")))
}

async fn prompt(State(pages): State<Pages>, me: Me, Path((id, prompt)): Path<(Id, Id)>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let actor = me.actor();
    let (project, prompt, candidates) = pages
        .work(move |store| {
            let found = store.prompt(prompt)?;
            if found.project != id {
                return Err(Problem::NotFound);
            }
            Ok((store.project(id)?, found, store.candidates(actor, prompt)?))
        })
        .await?;
    #[derive(Serialize)]
    struct Answer {
        facts: String,
        #[serde(flatten)]
        text: Text,
    }
    let language = prompt.language.as_deref();
    let answers: Vec<Answer> = candidates
        .iter()
        .map(|candidate| {
            let mut facts: Vec<String> = Vec::new();
            facts.extend(candidate.source.map(|source| source.as_str().to_owned()));
            facts.extend(Some(candidate.origin.clone()).filter(|origin| !origin.is_empty()));
            facts.extend(candidate.score.map(|score| format!("score {score:.3}")));
            Answer { facts: facts.join(" · "), text: Text::new(&candidate.text, language) }
        })
        .collect();
    let facts = [
        name(&prompt.use_case),
        prompt.source.map_or("", |source| source.as_str()).to_owned(),
        prompt.user_id.as_ref().map(|user| format!("user {user}")).unwrap_or_default(),
        prompt.language.clone().unwrap_or_default(),
    ];
    let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    Ok(project_page("manage/prompt.html", &pages, &me, &project, "/prompts")
        .with("messages", messages(&prompt.prompt, language))
        .with("facts", facts.join(" · "))
        .with("answers", answers))
}

/// Stores rows that were read whole; says how many prompts and answers came, were there, or were too many.
pub fn store_rows(
    store: &Store,
    actor: Actor,
    project: Id,
    rows: Vec<import::ImportRow>,
) -> Result<(usize, usize, usize, usize), LabelError> {
    let (prompts, candidates): (Vec<_>, Vec<_>) = rows.into_iter().map(|row| (row.prompt, row.candidates)).unzip();
    let added = store.add_prompts(actor, project, &prompts)?;
    let mut n_answers = 0;
    for (id, candidates) in added.ids.iter().zip(&candidates) {
        if let (Some(id), false) = (id, candidates.is_empty()) {
            n_answers += store.add_candidates(actor, *id, candidates)?.len();
        }
    }
    Ok((added.added.len(), added.duplicates, added.over_user_limit, n_answers))
}

/// Stores what rows say; the counts, as the page's address carries them.
fn store_judgements(store: &Store, actor: Actor, project: Id, text: &str) -> Result<String, Problem> {
    let rows = import::read_values(text).map_err(|error| Problem::Form(error.to_string()))?;
    let statements = Statements::read(rows.iter().map(|(line, row)| (*line, row)))?;
    if statements.all.is_empty() {
        return Err(Problem::Form("No row is one named labeler's judgement.".to_owned()));
    }
    let imported = store.import_judgements(actor, project, &statements.all, None)?;
    let left_out = statements.left_out.values().chain(imported.left_out.values()).sum::<usize>();
    let Imported { judgements, known, people, .. } = imported;
    Ok(format!("judgements={judgements}&known={known}&people={people}&left_out={left_out}"))
}

async fn import_rows(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    need(&me, Role::Manager)?;
    let text = form.filled("file").or_else(|| form.filled("rows")).unwrap_or("").to_owned();
    let (actor, with_judgements) = (me.actor(), form.ticked("judgements"));
    let imported = pages
        .work(move |store| {
            if with_judgements {
                return store_judgements(store, actor, id, &text);
            }
            let rows = import::read_rows(&text).map_err(|error| Problem::Form(error.to_string()))?;
            let (added, duplicates, over, answers) = store_rows(store, actor, id, rows)?;
            Ok(format!("added={added}&duplicates={duplicates}&over={over}&answers={answers}"))
        })
        .await;
    match imported {
        Ok(what) => Ok(Redirect::to(&format!("/label/manage/{id}/prompts?{what}")).into_response()),
        Err(problem @ (Problem::Form(_) | Problem::Label(LabelError::Invalid { .. }))) => {
            let page = prompts_page(&pages, &me, id, PromptsQuery::default()).await?;
            Ok(super::again(page, &problem))
        }
        Err(problem) => Err(problem),
    }
}

async fn generate(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Redirect, Problem> {
    let Some(model) = form.filled("model") else {
        return Err(Problem::Form("Say which model is to answer.".to_owned()));
    };
    let request = GenerationRequest {
        model: model.to_owned(),
        k: form.number("k", 1..=9)?.unwrap_or(4),
        max_new_tokens: form.number("max_new_tokens", 1..=8192)?.unwrap_or(256),
        temperature: form.number("temperature", 0.0..=4.0)?.unwrap_or(1.0),
        top_p: form.number("top_p", 0.01..=1.0)?.unwrap_or(1.0),
        seed: form.number("seed", 0..=i64::MAX as _)?.unwrap_or(0),
    };
    let actor = me.actor();
    pages.work(move |store| Ok(store.add_generation(actor, id, &request)?)).await?;
    Ok(Redirect::to(&format!("/label/manage/{id}/prompts")))
}

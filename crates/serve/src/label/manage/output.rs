//! What comes out: exports and the log.

use super::super::file::FileKind;
use super::super::form::Posted;
use super::super::page::Page;
use super::super::problem::{Problem, sentence};
use super::super::session::Me;
use super::super::trainer::Trainer;
use super::super::{Pages, when};
use super::{need, project_page};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use label::{Aggregate, AuditQuery, Content, ExportOptions, Id, Role};
use serde::{Deserialize, Serialize};

/// Entries of the log on a page.
const PAGE: usize = 100;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/manage/{id}/export", get(export_page).post(export))
        .route("/label/manage/{id}/log", get(log))
}

/// A name in addresses, what it is called, and what it is.
pub const CONTENTS: [(&str, &str, Content); 6] = [
    ("rankings", "rankings", Content::Rankings),
    ("preferences", "pairs: chosen and rejected", Content::Preferences),
    ("ratings", "ratings", Content::Ratings),
    ("demonstrations", "demonstrations", Content::Demonstrations),
    ("prompts", "prompts", Content::Prompts),
    ("reviews", "reviews", Content::Reviews),
];
/// The same for aggregates.
pub const AGGREGATES: [(&str, &str, Aggregate); 3] = [
    ("majority", "majority of the labelers", Aggregate::Majority),
    ("ranked_pairs", "Tideman's ranked pairs", Aggregate::RankedPairs),
    ("bradley_terry", "Bradley–Terry", Aggregate::BradleyTerry),
];

/// One of a list, by its name.
pub fn named<T: Clone>(list: &[(&str, &str, T)], what: &str, name: &str) -> Result<T, Problem> {
    let found = list.iter().find(|(known, _, _)| *known == name).map(|(_, _, value)| value.clone());
    found.ok_or_else(|| {
        let names: Vec<&str> = list.iter().map(|(name, _, _)| *name).collect();
        Problem::Form(format!("{what}: found {name:?}, expected one of {}.", names.join(", ")))
    })
}

#[derive(Serialize)]
struct Choice {
    value: &'static str,
    label: &'static str,
}

async fn export_page(State(pages): State<Pages>, me: Me, Path(id): Path<Id>) -> Result<Page, Problem> {
    need(&me, Role::Reviewer)?;
    let project = pages.work(move |store| Ok(store.project(id)?)).await?;
    Ok(project_page("manage/export.html", &pages, &me, &project, "/export")
        .with("formats", FORMATS.map(|(format, label)| Choice { value: format.as_str(), label }))
        .with("contents", CONTENTS.map(|(value, label, _)| Choice { value, label }))
        .with("aggregates", AGGREGATES.map(|(value, label, _)| Choice { value, label })))
}

/// What an export can be downloaded as, with what each is called.
const FORMATS: [(Format, &str); 9] = [
    (Format::Rows(FileKind::Jsonl), "JSON lines"),
    (Format::Rows(FileKind::Csv), "CSV"),
    (Format::Rows(FileKind::Parquet), "Parquet"),
    (Format::Rows(FileKind::Hh), "transcripts, as Helpful-Harmless has them"),
    (Format::Rows(FileKind::For(Trainer::Trl)), "for TRL"),
    (Format::Rows(FileKind::For(Trainer::Openrlhf)), "for OpenRLHF"),
    (Format::Rows(FileKind::For(Trainer::Llamafactory)), "for LLaMA-Factory"),
    (Format::DatasetInfo, "LLaMA-Factory's dataset_info.json for that"),
    (Format::Manifest, "manifest (counts and hashes)"),
];

/// What is downloaded.
#[derive(Clone, Copy)]
pub enum Format {
    /// The rows, in some file.
    Rows(FileKind),
    /// What LLaMA-Factory wants to know of its file.
    DatasetInfo,
    /// What the export is.
    Manifest,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Format::Rows(kind) => kind.as_str(),
            Format::DatasetInfo => "dataset_info",
            Format::Manifest => "manifest",
        }
    }

    /// One by its name.
    pub fn named(name: &str) -> Result<Format, Problem> {
        let found = FORMATS.iter().find(|(format, _)| format.as_str() == name).map(|(format, _)| *format);
        found.ok_or_else(|| {
            let names: Vec<&str> = FORMATS.iter().map(|(format, _)| format.as_str()).collect();
            Problem::Form(format!("format: found {name:?}, expected one of {}.", names.join(", ")))
        })
    }

    /// Refuses, before anything is exported, what it can't say.
    pub fn check(self, content: Content) -> Result<(), Problem> {
        let checked = match self {
            Format::Rows(kind) => kind.check(content),
            Format::DatasetInfo => FileKind::For(Trainer::Llamafactory).check(content),
            Format::Manifest => Ok(()),
        };
        checked.map_err(|error| Problem::Form(sentence(&error.to_string())))
    }
}

/// A file to keep: its type, its ending and what stands in it.
pub fn download(name: &str, format: Format, export: &label::Export) -> Result<Response, Problem> {
    let json = |value: &serde_json::Value| {
        serde_json::to_vec_pretty(value).map(|bytes| ("application/json", bytes)).map_err(|_| Problem::Broken)
    };
    let ((kind, bytes), file) = match format {
        Format::Rows(kind) => {
            let written = kind.write(export).map_err(|error| Problem::Form(sentence(&error.to_string())))?;
            ((kind.media_type(), written.bytes), format!("{name}.{}", kind.extension()))
        }
        Format::DatasetInfo => {
            let file = format!("{name}.{}", FileKind::For(Trainer::Llamafactory).extension());
            let entry = Trainer::Llamafactory.dataset_info(&file, export.manifest.content);
            (json(&entry.into_iter().collect())?, "dataset_info.json".to_owned())
        }
        Format::Manifest => {
            let manifest = serde_json::to_value(&export.manifest).map_err(|_| Problem::Broken)?;
            (json(&manifest)?, format!("{name}.manifest.json"))
        }
    };
    // Names of projects are letters, digits and hyphens.
    let disposition = format!("attachment; filename=\"{file}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes).into_response())
}

async fn export(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let content = named(&CONTENTS, "content", form.text("content"))?;
    let format = Format::named(form.text("format"))?;
    format.check(content)?;
    let options = ExportOptions {
        aggregate: form.filled("aggregate").map(|name| named(&AGGREGATES, "aggregate", name)).transpose()?,
        include_gold: form.ticked("include_gold"),
        ..ExportOptions::of(content)
    };
    let actor = me.actor();
    let (project, export) =
        pages.work(move |store| Ok((store.project(id)?, store.export(actor, id, &options)?))).await?;
    download(&format!("{}-{}", project.name, form.text("content")), format, &export)
}

#[derive(Deserialize)]
struct LogQuery {
    before: Option<Id>,
}

#[derive(Serialize)]
struct EntryView {
    when: String,
    actor: String,
    action: String,
    object: String,
    details: String,
}

async fn log(
    State(pages): State<Pages>,
    me: Me,
    Path(id): Path<Id>,
    Query(query): Query<LogQuery>,
) -> Result<Page, Problem> {
    need(&me, Role::Manager)?;
    let (actor, before) = (me.actor(), query.before);
    let (project, entries) = pages
        .work(move |store| {
            let query = AuditQuery { project: Some(id), before, limit: PAGE, ..AuditQuery::default() };
            Ok((store.project(id)?, store.audit(actor, &query)?))
        })
        .await?;
    let more_before = (entries.len() == PAGE).then(|| entries.last().map(|entry| entry.id)).flatten();
    let views: Vec<EntryView> = entries
        .into_iter()
        .map(|entry| EntryView {
            when: when::minute(entry.at_ms),
            actor: entry.actor.unwrap_or_else(|| "the operator".to_owned()),
            action: entry.action,
            object: entry.object,
            details: entry.details,
        })
        .collect();
    Ok(project_page("manage/audit.html", &pages, &me, &project, "/log")
        .with("entries", views)
        .with("more_before", more_before))
}

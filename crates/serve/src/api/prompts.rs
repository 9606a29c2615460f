//! What users may do about the prompts that are kept of them: read the notice, and have them deleted.

use super::error::ApiError;
use crate::app::App;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The notice; says so when nothing is kept.
pub(super) async fn notice(State(app): State<Arc<App>>) -> Json<Value> {
    let notice = app.collector.as_ref().map(crate::collect::Collector::notice);
    Json(json!({"collects": notice.is_some(), "notice": notice.unwrap_or("Prompts sent here are not kept.")}))
}

#[derive(Deserialize)]
pub(super) struct Whose {
    /// As `user` in the requests; without it those that had none.
    user: Option<String>,
}

/// Deletes the prompts of the key's user.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(whose): Query<Whose>,
) -> Result<Json<Value>, ApiError> {
    let caller = app.caller(&headers).await?;
    let Some(collector) = &app.collector else {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no prompts are kept here", None));
    };
    let user_id = collector.user_id(&caller, whose.user.as_deref());
    let deleted = collector.forget(user_id).await.map_err(|error| {
        app.log(format!("deleting prompts: {error}"));
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the prompts could not be deleted now; try again", None)
    })?;
    Ok(Json(json!({"object": "prompts.deleted", "deleted": deleted})))
}

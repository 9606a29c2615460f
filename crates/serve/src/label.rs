//! The labeling pages: where people give demonstrations and judgements, and where managers look after them.
//!
//! Rendered on the server from templates that escape everything; a little plain script makes them quick to work with,
//! and everything but dragging works without it. The store decides who may do what; a handler reads a form, asks the
//! store on a blocking thread, and shows what it answers. It knows no SQL and no model.

mod account;
mod api;
pub mod demo;
pub mod file;
mod form;
mod home;
pub mod import;
mod limit;
mod manage;
mod page;
mod people;
mod problem;
mod session;
mod task;
pub(crate) mod text;
pub mod trainer;
mod when;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use label::Store;
use limit::Limits;
use problem::Problem;
use std::sync::Arc;

/// What the pages stand on.
#[derive(Clone)]
pub struct Settings {
    /// The database.
    pub store: Store,
    /// Names of the models that can generate answers here, as the page offers them.
    pub models: Vec<String>,
    /// Whether this is the demonstration: pages say so, and the log-in page names its people.
    pub demo: bool,
}

impl Settings {
    /// Pages over this store, without models.
    pub fn new(store: Store) -> Settings {
        Settings { store, models: Vec::new(), demo: false }
    }
}

/// What handlers share.
#[derive(Clone)]
struct Pages(Arc<Shared>);

struct Shared {
    settings: Settings,
    limits: Limits,
    guides: text::Guides,
}

impl Pages {
    /// Asks the store on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Store) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = self.0.settings.store.clone();
        tokio::task::spawn_blocking(move || ask(&store)).await.map_err(|_| Problem::Broken)?
    }

    fn guides(&self) -> &text::Guides {
        &self.0.guides
    }
}

/// The pages, under `/label`; `/` leads there.
pub fn router(settings: Settings) -> Router {
    let pages = Pages(Arc::new(Shared { settings, limits: Limits::default(), guides: text::Guides::default() }));
    let inside = Router::new()
        .merge(home::routes())
        .merge(task::routes())
        .merge(account::routes())
        .merge(manage::routes())
        .merge(people::routes())
        .layer(from_fn_with_state(pages.clone(), session::require));
    let outside = Router::new()
        .route("/label/login", get(session::login_page).post(session::login))
        .route("/label/invitation/{token}", get(session::invitation_page).post(session::accept))
        .route("/label/static/{file}", get(page::asset))
        .merge(api::routes());
    Router::new()
        .route("/", get(|| async { axum::response::Redirect::to("/label") }))
        .route("/label/logout", post(session::logout))
        .merge(inside)
        .merge(outside)
        .with_state(pages)
}

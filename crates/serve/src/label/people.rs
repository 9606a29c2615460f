//! People: roles, groups, invitations, erasure.

use super::form::{Form, Posted};
use super::page::Page;
use super::problem::Problem;
use super::session::Me;
use super::{Pages, when};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use label::{Id, LabelError, NewInvitation, NewPerson, Role};
use serde::Serialize;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub fn routes() -> Router<Pages> {
    Router::new()
        .route("/label/people", get(people).post(add))
        .route("/label/people/invite", post(invite))
        .route("/label/people/invitations/{id}/revoke", post(revoke))
        .route("/label/people/erase-user", post(erase_user))
        .route("/label/people/{id}", post(change))
        .route("/label/people/{id}/erase", post(erase))
}

#[derive(Serialize)]
struct PersonRow {
    id: Id,
    name: String,
    role: &'static str,
    group: String,
    active: bool,
    erased: bool,
    locked: bool,
    since: String,
}

#[derive(Serialize)]
struct InvitationRow {
    id: Id,
    note: String,
    role: &'static str,
    until: String,
}

async fn people(State(pages): State<Pages>, me: Me) -> Result<Page, Problem> {
    if me.person.role < Role::Manager {
        return Err(LabelError::Forbidden { needed: Role::Manager }.into());
    }
    page(&pages, &me).await
}

async fn page(pages: &Pages, me: &Me) -> Result<Page, Problem> {
    let actor = me.actor();
    let (people, invitations) = pages.work(move |store| Ok((store.people(actor)?, store.invitations(actor)?))).await?;
    let now = jiff::Timestamp::now().as_millisecond();
    let rows: Vec<PersonRow> = people
        .into_iter()
        .map(|person| PersonRow {
            id: person.id,
            name: person.name,
            role: person.role.as_str(),
            group: person.group,
            active: person.active,
            erased: person.erased,
            locked: person.locked_until_ms.is_some_and(|until| until > now),
            since: when::minute(person.created_ms),
        })
        .collect();
    let open: Vec<InvitationRow> = invitations
        .into_iter()
        .filter(|invitation| !invitation.revoked && invitation.used_by.is_none() && invitation.expires_ms > now)
        .map(|invitation| InvitationRow {
            id: invitation.id,
            note: invitation.note,
            role: invitation.role.as_str(),
            until: when::minute(invitation.expires_ms),
        })
        .collect();
    Ok(Page::of("manage/people.html", pages, me)
        .with("section", "people")
        .with("people", rows)
        .with("invitations", open)
        .with("roles", [Role::Labeler, Role::Reviewer, Role::Manager].map(Role::as_str)))
}

fn role(form: &Form) -> Result<Role, Problem> {
    form.one_of("role", "labeler, reviewer or manager")
}

/// The page of people again, with what was wrong; other problems as they are.
async fn again(pages: &Pages, me: &Me, problem: Problem) -> Result<Response, Problem> {
    match problem {
        Problem::Form(_) | Problem::Label(LabelError::Taken { .. } | LabelError::Invalid { .. }) => {
            Ok(page(pages, me).await?.error(problem.status(), &problem.message()).into_response())
        }
        problem => Err(problem),
    }
}

async fn add(State(pages): State<Pages>, Posted { me, form }: Posted) -> Result<Response, Problem> {
    let new = NewPerson {
        name: form.text("name").trim().to_owned(),
        password: Some(form.text("password").to_owned()),
        role: role(&form)?,
        group: form.text("group").trim().to_owned(),
    };
    let actor = me.actor();
    match pages.work(move |store| Ok(store.add_person(actor, &new)?)).await {
        Ok(_) => Ok(Redirect::to("/label/people").into_response()),
        Err(problem) => again(&pages, &me, problem).await,
    }
}

async fn invite(State(pages): State<Pages>, headers: HeaderMap, Posted { me, form }: Posted) -> Result<Page, Problem> {
    let new = NewInvitation {
        role: role(&form)?,
        group: form.text("group").trim().to_owned(),
        note: form.text("note").trim().to_owned(),
        valid_ms: form.number("days", 1..=90)?.unwrap_or(7) * DAY_MS,
    };
    let actor = me.actor();
    let (_, token) = pages.work(move |store| Ok(store.invite(actor, &new)?)).await?;
    // The address that this very form was sent from; a proxy's own name stands there too.
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or("");
    let page = page(&pages, &me).await?;
    Ok(page.with("invitation_url", format!("{origin}/label/invitation/{token}")))
}

async fn revoke(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, .. }: Posted,
) -> Result<Redirect, Problem> {
    let actor = me.actor();
    pages.work(move |store| Ok(store.revoke_invitation(actor, id)?)).await?;
    Ok(Redirect::to("/label/people"))
}

async fn change(
    State(pages): State<Pages>,
    Path(id): Path<Id>,
    Posted { me, form }: Posted,
) -> Result<Response, Problem> {
    let (role, active) = (role(&form)?, form.ticked("active"));
    let (group, password) = (form.text("group").trim().to_owned(), form.filled("password").map(str::to_owned));
    if id == me.person.id && (!active || role < Role::Manager) {
        let problem = Problem::Form("You can't take your own role away; another manager can.".to_owned());
        return again(&pages, &me, problem).await;
    }
    let actor = me.actor();
    let changed = pages
        .work(move |store| {
            let person = store.person(id)?;
            if person.role != role {
                store.set_role(actor, id, role)?;
            }
            if person.group != group {
                store.set_group(actor, id, &group)?;
            }
            if person.active != active {
                store.set_active(actor, id, active)?;
            }
            if let Some(password) = password {
                store.set_password(actor, id, &password)?;
            }
            Ok(())
        })
        .await;
    match changed {
        Ok(()) => Ok(Redirect::to("/label/people").into_response()),
        Err(problem) => again(&pages, &me, problem).await,
    }
}

async fn erase(State(pages): State<Pages>, Path(id): Path<Id>, Posted { me, .. }: Posted) -> Result<Page, Problem> {
    let actor = me.actor();
    let erased = pages.work(move |store| Ok(store.erase_person(actor, id)?)).await?;
    Ok(page(&pages, &me).await?.with("notice", told(&erased)))
}

async fn erase_user(State(pages): State<Pages>, Posted { me, form }: Posted) -> Result<Page, Problem> {
    let Some(user) = form.filled("user_id").map(str::to_owned) else {
        return Err(Problem::Form("Say which user.".to_owned()));
    };
    let actor = me.actor();
    let erased = pages.work(move |store| Ok(store.erase_user(actor, &user)?)).await?;
    Ok(page(&pages, &me).await?.with("notice", told(&erased)))
}

fn told(erased: &label::Erased) -> String {
    format!(
        "Erased: the texts of {} prompts, {} answers and {} judgements. Counts and hashes stay.",
        erased.prompts, erased.candidates, erased.judgements
    )
}

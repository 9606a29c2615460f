//! Who comes in, and what they may do.

use label::{
    Actor, AuditQuery, Content, ExportOptions, GenerationRequest, JudgementQuery, LabelError, MakeTasks, NewApiToken,
    NewInvitation, NewPerson, NewTask, Phase, ProjectState, Role, Scope, Settings, TaskKind, TaskQuery,
};

use crate::fixture::{Fixture, MINUTE};

const HOUR: i64 = 60 * MINUTE;

pub fn names_passwords_and_roles(f: &Fixture) {
    assert!(!f.store.has_people().unwrap());
    let ada = f.person("Ada L.", Role::Labeler);
    assert!(f.store.has_people().unwrap());
    let again = NewPerson { name: "ada l.".into(), password: None, role: Role::Labeler, group: String::new() };
    let taken = f.store.add_person(Actor::Operator, &again).unwrap_err();
    assert!(matches!(&taken, LabelError::Taken { .. }) && taken.status() == 409, "{taken}");
    let short = NewPerson { name: "bo".into(), password: Some("1234567".into()), ..again.clone() };
    assert!(matches!(f.store.add_person(Actor::Operator, &short), Err(LabelError::Invalid { .. })));
    assert_eq!(f.store.person_by_name("ADA L.").unwrap().unwrap().id, ada.id);

    f.store.change_password(ada.id, "Ada L. password", "another password").unwrap();
    assert!(matches!(
        f.store.change_password(ada.id, "Ada L. password", "x2345678"),
        Err(LabelError::WrongCredentials)
    ));
    assert!(f.store.log_in("Ada L.", "another password", "").is_ok());
    f.store.set_role(Actor::Operator, ada.id, Role::Reviewer).unwrap();
    f.store.set_group(Actor::Operator, ada.id, "held-out").unwrap();
    let now = f.store.person(ada.id).unwrap();
    assert_eq!((now.role, now.group.as_str()), (Role::Reviewer, "held-out"));
    // Somebody without a password can't log in at all.
    let quiet = NewPerson { name: "quiet".into(), password: None, ..again };
    f.store.add_person(Actor::Operator, &quiet).unwrap();
    assert!(matches!(f.store.log_in("quiet", "", ""), Err(LabelError::WrongCredentials)));
}

pub fn wrong_passwords_lock(f: &Fixture) {
    f.labeler("ada");
    let wrong = |origin: &str| f.store.log_in("ada", "not it at all", origin);
    for _ in 0..5 {
        assert!(matches!(wrong("1.2.3.4"), Err(LabelError::WrongCredentials)));
    }
    // Now even the right one is refused, for a minute.
    let right = || f.store.log_in("ada", "ada password", "5.6.7.8");
    let Err(LabelError::LockedOut { until_ms }) = right() else { panic!("locked") };
    assert_eq!(until_ms, f.store.now_ms() + MINUTE);
    f.clock.advance(MINUTE);
    assert!(matches!(wrong(""), Err(LabelError::WrongCredentials)));
    // The sixth in a row doubles it.
    let Err(LabelError::LockedOut { until_ms }) = right() else { panic!("locked") };
    assert_eq!(until_ms, f.store.now_ms() + 2 * MINUTE);
    f.clock.advance(2 * MINUTE);
    right().unwrap();
    assert!(f.store.person_by_name("ada").unwrap().unwrap().locked_until_ms.is_none());
    // Names that aren't there count against the address, and tell nothing.
    for i in 0..30 {
        let unknown = f.store.log_in(&format!("nobody{i}"), "guess guess", "6.6.6.6");
        assert!(matches!(unknown, Err(LabelError::WrongCredentials)));
    }
    let locked = f.store.log_in("ada", "ada password", "6.6.6.6");
    assert!(matches!(&locked, Err(error @ LabelError::LockedOut { .. }) if error.status() == 429), "{locked:?}");
    right().unwrap();
    f.clock.advance(10 * MINUTE);
    assert!(f.store.log_in("ada", "ada password", "6.6.6.6").is_ok());
}

pub fn sessions_rotate_and_end(f: &Fixture) {
    let ada = f.labeler("ada");
    let session = f.store.log_in("ada", "ada password", "").unwrap();
    assert!(f.store.session("forged").unwrap().is_none());
    assert_eq!(f.store.session(&session.token).unwrap().unwrap(), session);
    assert_eq!(f.store.rotate_session(&session.token).unwrap().token, session.token);
    f.clock.advance(HOUR);
    assert!(f.store.session(&session.token).unwrap().unwrap().rotate_due);
    let rotated = f.store.rotate_session(&session.token).unwrap();
    assert_ne!(rotated.token, session.token);
    assert_eq!(rotated.csrf, session.csrf);
    // Requests under way still count for half a minute.
    assert!(f.store.session(&session.token).unwrap().is_some());
    f.clock.advance(31_000);
    assert!(f.store.session(&session.token).unwrap().is_none());
    assert!(f.store.session(&rotated.token).unwrap().is_some());
    f.store.log_out(&rotated.token).unwrap();
    assert!(f.store.session(&rotated.token).unwrap().is_none());

    let session = f.store.log_in("ada", "ada password", "").unwrap();
    f.clock.advance(14 * 24 * HOUR);
    assert!(f.store.session(&session.token).unwrap().is_none());
    let session = f.store.log_in("ada", "ada password", "").unwrap();
    f.store.set_active(Actor::Operator, ada, false).unwrap();
    assert!(f.store.session(&session.token).unwrap().is_none());
    assert!(matches!(f.store.log_in("ada", "ada password", ""), Err(LabelError::WrongCredentials)));
}

pub fn invitations_count_once(f: &Fixture) {
    let manager = f.person("mia", Role::Manager);
    let new = NewInvitation { role: Role::Reviewer, group: "g".into(), note: "for bo".into(), valid_ms: HOUR };
    let (invitation, token) = f.store.invite(manager.actor(), &new).unwrap();
    assert_eq!(f.store.invitation(&token).unwrap(), invitation);
    // A bad name doesn't use it up.
    assert!(f.store.accept_invitation(&token, "<b>", "long enough").is_err());
    let bo = f.store.accept_invitation(&token, "bo", "long enough").unwrap();
    assert_eq!((bo.role, bo.group.as_str()), (Role::Reviewer, "g"));
    let over = |token: &str| match f.store.accept_invitation(token, "cy", "long enough") {
        Err(LabelError::InvitationOver { why }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(over(&token), "was used");
    let (second, token) = f.store.invite(manager.actor(), &new).unwrap();
    f.store.revoke_invitation(manager.actor(), second.id).unwrap();
    assert_eq!(over(&token), "was revoked");
    let (_, token) = f.store.invite(manager.actor(), &new).unwrap();
    f.clock.advance(HOUR);
    assert_eq!(over(&token), "has expired");
    assert!(matches!(f.store.invitation("forged"), Err(LabelError::NotFound { .. })));
    assert_eq!(f.store.invitations(manager.actor()).unwrap().len(), 3);
}

pub fn tokens_have_scopes(f: &Fixture) {
    let (ada, bo) = (f.person("ada", Role::Labeler), f.person("bo", Role::Labeler));
    let new = NewApiToken { name: "script".into(), scopes: vec![Scope::Label, Scope::Read], valid_ms: Some(HOUR) };
    let (token, secret) = f.store.create_api_token(ada.actor(), ada.id, &new).unwrap();
    assert!(secret.starts_with("hm_") && secret.len() == 67);
    assert_eq!(f.store.authenticate_api_token(&secret, Scope::Label).unwrap().id, ada.id);
    let out = f.store.authenticate_api_token(&secret, Scope::Export);
    assert!(matches!(out, Err(LabelError::OutOfScope { needed: Scope::Export })));
    assert!(matches!(f.store.authenticate_api_token("hm_x", Scope::Read), Err(LabelError::WrongCredentials)));
    // Others can neither see nor revoke it, nor make one for her.
    assert!(matches!(f.store.api_tokens(bo.actor(), ada.id), Err(LabelError::Forbidden { .. })));
    assert!(matches!(f.store.revoke_api_token(bo.actor(), token.id), Err(LabelError::NotFound { .. })));
    assert!(matches!(f.store.create_api_token(bo.actor(), ada.id, &new), Err(LabelError::Forbidden { .. })));
    assert_eq!(f.store.api_tokens(ada.actor(), ada.id).unwrap()[0].used_ms, Some(f.store.now_ms()));
    f.clock.advance(HOUR);
    assert!(f.store.authenticate_api_token(&secret, Scope::Label).is_err());
    let lasting = NewApiToken { valid_ms: None, ..new };
    let (token, secret) = f.store.create_api_token(ada.actor(), ada.id, &lasting).unwrap();
    f.store.revoke_api_token(ada.actor(), token.id).unwrap();
    assert!(f.store.authenticate_api_token(&secret, Scope::Label).is_err());
}

/// Each method that changes something or shows others' data refuses those below its role.
pub fn every_door_has_its_role(f: &Fixture) {
    let project = f.project("");
    let (prompt, answers) = f.prompt(&project, "q", &["a", "b"]);
    f.make(&project, TaskKind::Rank);
    let person = f.labeler("somebody");
    let id = project.id;
    let s = &f.store;
    type Door<'a> = (&'a str, Role, Box<dyn Fn(Actor) -> label::Result<()> + 'a>);
    let new_person = || NewPerson { name: "x".into(), password: None, role: Role::Manager, group: String::new() };
    let new_token = NewApiToken { name: "t".into(), scopes: vec![Scope::Manage], valid_ms: None };
    let new_invitation =
        NewInvitation { role: Role::Manager, group: String::new(), note: String::new(), valid_ms: HOUR };
    let request =
        GenerationRequest { model: "m".into(), k: 1, max_new_tokens: 1, temperature: 1.0, top_p: 1.0, seed: 0 };
    let doors: Vec<Door<'_>> = vec![
        ("add_person", Role::Manager, Box::new(|a| s.add_person(a, &new_person()).map(drop))),
        ("people", Role::Reviewer, Box::new(|a| s.people(a).map(drop))),
        ("set_role", Role::Manager, Box::new(|a| s.set_role(a, person, Role::Manager))),
        ("set_group", Role::Manager, Box::new(|a| s.set_group(a, person, "g"))),
        ("set_active", Role::Manager, Box::new(|a| s.set_active(a, person, true))),
        ("set_password", Role::Manager, Box::new(|a| s.set_password(a, person, "another one"))),
        ("invite", Role::Manager, Box::new(|a| s.invite(a, &new_invitation).map(drop))),
        ("invitations", Role::Manager, Box::new(|a| s.invitations(a).map(drop))),
        ("create_api_token", Role::Manager, Box::new(|a| s.create_api_token(a, person, &new_token).map(drop))),
        ("create_project", Role::Manager, Box::new(|a| s.create_project(a, "p2", &Settings::default()).map(drop))),
        ("set_settings", Role::Manager, Box::new(|a| s.set_settings(a, id, &Settings::default()))),
        ("set_project_state", Role::Manager, Box::new(|a| s.set_project_state(a, id, ProjectState::Open))),
        ("add_guide", Role::Manager, Box::new(|a| s.add_guide(a, id, Phase::Training, "g").map(drop))),
        ("add_prompts", Role::Manager, Box::new(|a| s.add_prompts(a, id, &[]).map(drop))),
        ("set_priority", Role::Manager, Box::new(|a| s.set_priority(a, prompt, 1.0))),
        ("set_use_case", Role::Manager, Box::new(|a| s.set_use_case(a, prompt, "u"))),
        ("add_candidates", Role::Manager, Box::new(|a| s.add_candidates(a, prompt, &[]).map(drop))),
        ("candidates", Role::Reviewer, Box::new(|a| s.candidates(a, prompt).map(drop))),
        ("set_candidate_score", Role::Manager, Box::new(|a| s.set_candidate_score(a, answers[0], 1.0))),
        ("delete_expired_prompts", Role::Manager, Box::new(|a| s.delete_expired_prompts(a).map(drop))),
        (
            "add_task",
            Role::Manager,
            Box::new(|a| s.add_task(a, id, &NewTask::new(TaskKind::UseCase, Some(prompt), vec![])).map(drop)),
        ),
        ("make_tasks", Role::Manager, Box::new(|a| s.make_tasks(a, id, &MakeTasks::of(TaskKind::Rate)).map(drop))),
        ("withdraw_task", Role::Manager, Box::new(|a| s.withdraw_task(a, 1, "r"))),
        ("disagreements", Role::Reviewer, Box::new(|a| s.disagreements(a, id, 9).map(drop))),
        ("add_adjudication", Role::Reviewer, Box::new(|a| s.add_adjudication(a, 1).map(drop))),
        ("task", Role::Reviewer, Box::new(|a| s.task(a, 1).map(drop))),
        ("tasks", Role::Reviewer, Box::new(|a| s.tasks(a, id, &TaskQuery::default()).map(drop))),
        ("judgements", Role::Reviewer, Box::new(|a| s.judgements(a, id, &JudgementQuery::default()).map(drop))),
        ("agreement", Role::Reviewer, Box::new(|a| s.agreement(a, id, &Default::default()).map(drop))),
        ("labelers", Role::Reviewer, Box::new(|a| s.labelers(a, id).map(drop))),
        ("throughput", Role::Reviewer, Box::new(|a| s.throughput(a, id).map(drop))),
        ("export", Role::Manager, Box::new(|a| s.export(a, id, &ExportOptions::of(Content::Rankings)).map(drop))),
        ("export_trees", Role::Manager, Box::new(|a| s.export_trees(a, id).map(drop))),
        ("start_tree", Role::Manager, Box::new(|a| s.start_tree(a, id, "hello", None).map(drop))),
        ("audit", Role::Manager, Box::new(|a| s.audit(a, &AuditQuery::default()).map(drop))),
        ("erase_user", Role::Manager, Box::new(|a| s.erase_user(a, "nobody").or_else(of_nobody).map(drop))),
        ("add_generation", Role::Manager, Box::new(|a| s.add_generation(a, id, &request).map(drop))),
        (
            "backup",
            Role::Manager,
            Box::new(|a| {
                let place = f.folder.path().join("copy.db");
                let _ = std::fs::remove_file(&place);
                s.backup(a, &place)
            }),
        ),
        ("erase_person", Role::Manager, Box::new(|a| s.erase_person(a, person).map(drop))),
    ];
    let held = |role: Role| f.person(&format!("the {role}"), role).actor();
    let actors: Vec<(Role, Actor)> = Role::ALL.into_iter().map(|role| (role, held(role))).collect();
    for (name, needed, door) in &doors {
        for (role, actor) in &actors {
            match door(*actor) {
                Err(LabelError::Forbidden { .. }) => assert!(role < needed, "{name} refuses a {role}"),
                Ok(()) => assert!(role >= needed, "{name} lets a {role} in"),
                // Closed before anything was looked at: the same things exist for all of them.
                Err(other) => assert!(role >= needed, "{name} for a {role}: {other}"),
            }
        }
    }
    let log = f.store.audit(Actor::Operator, &AuditQuery { limit: 1000, ..Default::default() }).unwrap();
    assert!(log.iter().any(|entry| entry.action == "person.erase" && entry.actor.as_deref() == Some("the manager")));
    assert!(log.iter().all(|entry| !entry.details.contains("somebody") && !entry.object.contains("somebody")));
}

fn of_nobody(error: LabelError) -> label::Result<label::Erased> {
    if matches!(error, LabelError::NotFound { .. }) { Ok(label::Erased::default()) } else { Err(error) }
}

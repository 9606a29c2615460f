//! What others send on purpose.

use label::{Actor, Body, LabelError, NewPrompt, Role, Settings, TaskKind};
use record::Prompt;

use crate::fixture::{Fixture, ranked, submission};

pub fn forged_and_foreign_things_are_unknown(f: &Fixture) {
    let project = f.project("overlap = 2");
    f.prompt(&project, "q", &["a", "b"]);
    f.make(&project, TaskKind::Rank);
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let task = f.take(ada, &project);
    let other = f.take(bo, &project);
    let body = ranked(&task, &["a", "b"]);
    for lease in [other.lease.as_str(), "", "1", "' OR 1=1 --", &"f".repeat(64)] {
        let stolen = label::Assignment { lease: lease.to_owned(), ..task.clone() };
        let found = f.store.submit(ada, &submission(&stolen, "x", body.clone())).unwrap_err();
        assert!(matches!(found, LabelError::LeaseUnknown) && found.status() == 404, "{lease}: {found}");
        assert!(matches!(f.store.assignment(ada, lease), Err(LabelError::LeaseUnknown)));
        assert!(matches!(f.store.skip(ada, lease, "r"), Err(LabelError::LeaseUnknown)));
        assert!(matches!(f.store.renew_lease(ada, lease), Err(LabelError::LeaseUnknown)));
        assert!(matches!(f.store.save_draft(ada, lease, &1.into(), 0.0), Err(LabelError::LeaseUnknown)));
    }
    for id in [0, -1, i64::MIN, i64::MAX] {
        assert!(f.store.project(id).is_err() && f.store.prompt(id).is_err() && f.store.person(id).is_err());
        assert!(f.store.next_task(ada, id, &[]).is_err() && f.store.next_task(id, project.id, &[]).is_err());
        assert!(f.store.judgement(Actor::Person(ada, Role::Labeler), id).is_err());
    }
    let done = f.submit(bo, &other, ranked(&other, &["a", "b"])).unwrap().judgement;
    let of_bo = f.store.judgement(Actor::Person(ada, Role::Labeler), done).unwrap_err();
    assert!(matches!(of_bo, LabelError::NotFound { .. }));
    assert!(f.store.judgement(Actor::Person(ada, Role::Reviewer), done).is_ok());
    for name in ["", "A b", "../x", "x/y", "<p>"] {
        let settings = Settings::default();
        assert!(matches!(f.store.create_project(Actor::Operator, name, &settings), Err(LabelError::Invalid { .. })));
    }
    let twice = f.store.create_project(Actor::Operator, "p", &Settings::default());
    assert!(matches!(twice, Err(LabelError::Taken { .. })));
}

pub fn text_of_any_kind_comes_back(f: &Fixture) {
    let project = f.project("");
    let texts = [
        "<script>alert('x')</script> & \"quotes\" \\ $1 ?1 %s",
        "שלום עולם — \u{202e}مرحبا",
        "漢字かな交じり文 👩‍👩‍👧‍👦 e\u{301}",
        "line\r\nline\ttab\u{7f}\u{feff}\u{ffff}",
        "'; DROP TABLE judgement; --",
    ];
    let ada = f.labeler("ada");
    for text in texts {
        let new = NewPrompt {
            user_id: Some(text.to_owned()),
            language: Some(text.to_owned()),
            ..NewPrompt::new(Prompt::Text(text.to_owned()))
        };
        let id = f.store.add_prompts(Actor::Operator, project.id, &[new]).unwrap().ids[0].unwrap();
        let stored = f.store.prompt(id).unwrap();
        assert_eq!(stored.prompt, Prompt::Text(text.to_owned()));
        assert_eq!(stored.user_id.as_deref(), Some(text));
        let found = label::PromptQuery { search: Some(text.to_owned()), ..Default::default() };
        assert_eq!(f.store.prompts(project.id, &found).unwrap()[0].id, id, "{text}");
    }
    f.make(&project, TaskKind::Demonstrate);
    for text in texts {
        let task = f.take(ada, &project);
        f.store.save_draft(ada, &task.lease, &serde_json::json!({ "text": text }), 1.0).unwrap();
        assert_eq!(f.take(ada, &project).draft.unwrap().body["text"], text);
        let body = Body::Demonstrate { text: text.to_owned(), fields: Default::default(), notes: text.to_owned() };
        let done = f.submit(ada, &task, body.clone()).unwrap();
        assert_eq!(f.store.judgement(Actor::Operator, done.judgement).unwrap().body, body);
    }
}

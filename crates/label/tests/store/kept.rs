//! What is erased, and what is kept.

use label::{Actor, AuditQuery, Body, Content, ExportOptions, JudgementQuery, LabelError, NewPrompt, Store, TaskKind};
use record::Prompt;

use crate::fixture::{Fixture, options, ranked};

pub fn a_person_can_be_erased(f: &Fixture) {
    let project = f.project("overlap = 2");
    f.prompt(&project, "q", &["a", "b"]);
    f.make(&project, TaskKind::Rank);
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let task = f.take(ada, &project);
    let Body::Rank { places, .. } = ranked(&task, &["a", "b"]) else { unreachable!() };
    let body = Body::Rank { places: places.clone(), all_bad: false, ratings: vec![], notes: "Ada thinks so".into() };
    f.submit(ada, &task, body).unwrap();
    f.rank(bo, &project, &["a", "b"]);
    f.make(&project, TaskKind::Demonstrate);
    let task = f.take(ada, &project);
    let body = Body::Demonstrate { text: "Ada wrote this".into(), fields: Default::default(), notes: String::new() };
    f.submit(ada, &task, body).unwrap();
    let rankings =
        |store: &Store| store.export(Actor::Operator, project.id, &ExportOptions::of(Content::Rankings)).unwrap();
    let before = rankings(&f.store);

    let erased = f.store.erase_person(Actor::Operator, ada).unwrap();
    assert_eq!((erased.judgements, erased.candidates), (2, 1));
    let person = f.store.person(ada).unwrap();
    assert!(person.erased && !person.active && person.name != "ada" && person.group.is_empty());
    assert!(f.store.log_in("ada", "ada password", "").is_err());
    let judgements = f.store.judgements(Actor::Operator, project.id, &JudgementQuery::default()).unwrap();
    // The numbers stay, and so does the hash of what was said.
    assert_eq!(judgements[0].body, Body::Rank { places, all_bad: false, ratings: vec![], notes: String::new() });
    assert!(judgements[0].erased && !judgements[1].erased);
    assert_eq!(f.store.counts(project.id).unwrap().judgements, 3);
    let after = rankings(&f.store);
    assert_eq!(after.manifest.judgements_blake3, before.manifest.judgements_blake3);
    assert_eq!(after.rows.len(), 2);
    // Her rows have a pseudonym that the earlier export doesn't know; bo's is the same.
    assert_ne!(after.rows[0]["labeler"], before.rows[0]["labeler"]);
    assert_eq!(after.rows[1]["labeler"], before.rows[1]["labeler"]);
    let log = f.store.audit(Actor::Operator, &AuditQuery { limit: 1, ..Default::default() }).unwrap();
    assert!(log[0].action == "export");
    let log = f.store.audit(Actor::Operator, &AuditQuery::default()).unwrap();
    assert!(log.iter().any(|entry| entry.action == "person.erase" && entry.object == format!("person {ada}")));
    // Nothing of hers is anywhere in the file.
    let copy = f.folder.path().join("copy.db");
    f.store.backup(Actor::Operator, &copy).unwrap();
    let copy = rusqlite::Connection::open(&copy).unwrap();
    for (table, column) in
        [("judgement_body", "body"), ("candidate", "text"), ("prompt", "content"), ("person", "name")]
    {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE lower({column}) LIKE '%ada %' OR {column} = 'ada'");
        assert_eq!(copy.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{table}");
    }
}

pub fn a_user_can_be_erased(f: &Fixture) {
    let project = f.project("");
    let new =
        |text: &str, user: &str| NewPrompt { user_id: Some(user.into()), ..NewPrompt::new(Prompt::Text(text.into())) };
    let prompts = [new("I am Una", "una"), new("I am Vic", "vic")];
    f.store.add_prompts(Actor::Operator, project.id, &prompts).unwrap();
    assert_eq!(f.store.erase_user(Actor::Operator, "una").unwrap().prompts, 1);
    assert!(matches!(f.store.erase_user(Actor::Operator, "una"), Err(LabelError::NotFound { .. })));
    let left = f.store.prompts(project.id, &Default::default()).unwrap();
    assert_eq!((left.len(), left[0].user_id.as_deref()), (1, Some("vic")));
    let rows = f.store.export(Actor::Operator, project.id, &ExportOptions::of(Content::Prompts)).unwrap().rows;
    assert_eq!(rows.len(), 1);
    // Users leave under a pseudonym.
    assert!(!rows[0].to_string().contains("vic") && rows[0]["user_id"].as_str().unwrap().starts_with("user-"));
}

pub fn a_backup_is_a_database(f: &Fixture) {
    let project = f.project("overlap = 40");
    f.prompt(&project, "q", &["a", "b"]);
    f.make(&project, TaskKind::Rank);
    let place = f.folder.path().join("copy.db");
    // People label while the copy is made.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..20 {
                let person = f.labeler(&format!("p{i}"));
                f.rank(person, &project, &["a", "b"]);
            }
        });
        f.store.backup(Actor::Operator, &place).unwrap();
    });
    assert!(matches!(f.store.backup(Actor::Operator, &place), Err(LabelError::Invalid { .. })));
    let copy = Store::open(&place.display().to_string(), &options(&f.clock)).unwrap();
    let counts = copy.counts(project.id).unwrap();
    assert!(counts.judgements <= 20 && counts.prompts == 1);
    assert_eq!(copy.project(project.id).unwrap(), f.store.project(project.id).unwrap());

    let place = f.folder.path().join("whole.db");
    f.store.backup(Actor::Operator, &place).unwrap();
    // Back into an empty database of either kind: here a file, from PostgreSQL or from a file.
    let fresh = Store::open(&f.folder.path().join("fresh.db").display().to_string(), &options(&f.clock)).unwrap();
    fresh.restore(Actor::Operator, &place).unwrap();
    assert_eq!(fresh.counts(project.id).unwrap(), f.store.counts(project.id).unwrap());
    let all = |store: &Store| {
        let query = JudgementQuery { limit: 1000, ..Default::default() };
        store.judgements(Actor::Operator, project.id, &query).unwrap()
    };
    assert_eq!(all(&fresh), all(&f.store));
    assert!(matches!(fresh.restore(Actor::Operator, &place), Err(LabelError::Invalid { .. })));
    // Work goes on in it, with numbers of its own.
    let late = fresh.add_person(
        Actor::Operator,
        &label::NewPerson { name: "late".into(), password: None, role: label::Role::Labeler, group: String::new() },
    );
    assert_eq!(late.unwrap().id, 21);
}

//! Judgements that leave and come back, and statistics of them without a database.

use label::{
    Actor, AgreementOptions, AgreementReport, Body, Content, Estimate, ExportOptions, FieldValue, Id, LabelError,
    NewPrompt, NewTask, Place, Project, Purpose, Rating, Settings, Statements, TaskKind,
};
use record::{Prompt, Source};
use serde_json::{Value, json};

use crate::fixture::{Fixture, ranked};

const FIELDS: &str = "overlap = 2\n[ranking]\nrate_each = true\n[review]\ndemonstrations = 1\n[gold]\nevery = 1\n\
     [[field]]\nname = \"rating\"\nlabel = \"r\"\nrequired = true\nkind = { scale = { min = 1, max = 7 } }\n\
     [[field]]\nname = \"rude\"\nlabel = \"r\"\nkind = \"yes_no\"\n\
     [[field]]\nname = \"quality\"\nlabel = \"q\"\nof = \"review\"\nkind = { scale = { min = 1, max = 7 } }\n";

fn settings() -> Settings {
    Settings::from_toml(FIELDS).unwrap()
}

fn rated(candidate: Id, rating: i64, rude: bool) -> Rating {
    let fields = [("rating".to_owned(), FieldValue::Number(rating)), ("rude".to_owned(), FieldValue::YesNo(rude))];
    Rating { candidate, fields: fields.into() }
}

/// Two people, three prompts of three answers ranked and rated, one known answer, writing and reviews.
fn worked(f: &Fixture) -> Project {
    let project = f.store.create_project(Actor::Operator, "p", &settings()).unwrap();
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let user = NewPrompt { user_id: Some("u@example.org".into()), ..NewPrompt::new(Prompt::Text("q0".into())) };
    f.store.add_prompts(Actor::Operator, project.id, &[user]).unwrap();
    for i in 0..3 {
        f.prompt(&project, &format!("q{i}"), &["a", "b", "c"]);
    }
    f.make(&project, TaskKind::Rank);
    let (prompt, answers) = f.prompt(&project, "test", &["a", "b"]);
    let places = answers.iter().zip(1..).map(|(&candidate, rank)| Place { candidate, rank }).collect();
    let ratings = answers.iter().map(|&id| rated(id, 4, false)).collect();
    let gold = Body::Rank { places, all_bad: false, ratings, notes: String::new() };
    let new = NewTask {
        purpose: Purpose::Gold,
        gold: Some(gold),
        ..NewTask::new(TaskKind::Rank, Some(prompt), answers.clone())
    };
    f.store.add_task(Actor::Operator, project.id, &new).unwrap();
    for (person, orders, rating) in [
        (ada, [["a", "b", "c"], ["b", "a c", ""], ["c", "b", "a"]], 6),
        (bo, [["a", "c", "b"], ["b", "a", "c"], ["a b c", "", ""]], 4),
    ] {
        let mut order = orders.iter();
        while let label::Next::Task(task) = f.store.next_task(person, project.id, &[TaskKind::Rank]).unwrap() {
            let is_test = task.answers.len() == 2;
            let wanted = if is_test { &["a", "b", ""] } else { order.next().unwrap() };
            let Body::Rank { places, .. } = ranked(&task, wanted) else { unreachable!() };
            let mut shown = task.answers.iter();
            let ratings = shown.by_ref().map(|a| rated(a.candidate, rating, a.text == "c" && person == ada)).collect();
            let body = Body::Rank { places, all_bad: false, ratings, notes: String::new() };
            f.submit(person, &task, body).unwrap();
        }
    }
    f.make(&project, TaskKind::Demonstrate);
    for (person, text) in [(ada, "one two three"), (bo, "one two four")] {
        let label::Next::Task(task) = f.store.next_task(person, project.id, &[TaskKind::Demonstrate]).unwrap() else {
            panic!("no demonstration")
        };
        let body = Body::Demonstrate { text: text.into(), fields: Default::default(), notes: String::new() };
        f.submit(person, &task, body).unwrap();
    }
    let rev = f.person("rev", label::Role::Reviewer).id;
    for quality in [7, 5] {
        let label::Next::Task(task) = f.store.next_task(rev, project.id, &[TaskKind::Review]).unwrap() else {
            panic!("no review")
        };
        let fields = [("quality".to_owned(), FieldValue::Number(quality))].into();
        f.submit(rev, &task, Body::Review { accept: quality > 6, fields, notes: "so so".into() }).unwrap();
    }
    project
}

fn exported(f: &Fixture, project: &Project, content: Content) -> Vec<Value> {
    let options = ExportOptions { include_gold: true, ..ExportOptions::of(content) };
    f.store.export(Actor::Operator, project.id, &options).unwrap().rows
}

fn read(rows: &[Value]) -> Statements {
    Statements::read(rows.iter().enumerate().map(|(i, row)| (i + 1, row))).unwrap()
}

pub fn exports_come_back_as_they_were(f: &Fixture) {
    let project = worked(f);
    for content in [Content::Rankings, Content::Ratings, Content::Demonstrations, Content::Reviews] {
        let rows = exported(f, &project, content);
        let name = format!("again-{}", content.as_str());
        let again = f.store.create_project(Actor::Operator, &name, &settings()).unwrap();
        let statements = read(&rows).all;
        let n = statements.iter().filter(|statement| !statement.known).count();
        let imported = f.store.import_judgements(Actor::Operator, again.id, &statements, None).unwrap();
        assert_eq!((imported.judgements, imported.known, imported.left_out.len()), (n, 0, 0), "{content:?}");
        let back = exported(f, &again, content);
        assert_eq!(json!(back), json!(rows), "{content:?}");
        // Brought again, here and where they came from, nothing is new.
        for target in [&again, &project] {
            let imported = f.store.import_judgements(Actor::Operator, target.id, &statements, None).unwrap();
            assert_eq!((imported.judgements, imported.known, imported.tasks), (0, n, 0), "{content:?}");
        }
        assert_eq!(json!(exported(f, &again, content)), json!(rows), "{content:?}");
    }
    // The name leads back to where it was said first, or where it was brought.
    let rows = exported(f, &project, Content::Rankings);
    assert_eq!(rows.len(), 9, "six rankings, two of the known answer, and that answer");
    let named = |row: &Value| f.store.judgement_by_uid(Actor::Operator, row["id"].as_str().unwrap()).unwrap();
    assert_eq!(named(&rows[0]).1.body, f.store.judgement(Actor::Operator, 1).unwrap().body);
    // What was brought is as permanent as the rest, and nobody logs in as its labelers.
    let people = f.store.people(Actor::Operator).unwrap();
    let imported: Vec<_> = people.iter().filter(|person| person.name.starts_with("labeler-")).collect();
    assert_eq!(imported.len(), 2 + 1, "ada and bo, and who reviewed");
    let error = f.store.log_in(&imported[0].name, "", "test").unwrap_err();
    assert!(matches!(error, LabelError::WrongCredentials), "{error}");
}

pub fn rows_and_the_store_say_the_same(f: &Fixture) {
    let project = worked(f);
    let options = AgreementOptions { resamples: 200, ..AgreementOptions::default() };
    let stored = f.store.agreement(Actor::Operator, project.id, &options).unwrap();
    let mut rows = exported(f, &project, Content::Rankings);
    for content in [Content::Demonstrations, Content::Reviews, Content::Ratings] {
        rows.extend(exported(f, &project, content));
    }
    let read = read(&rows);
    assert_eq!(read.left_out.values().sum::<usize>(), 8, "every rating is in its ranking too: {:?}", read.left_out);
    let (found, labelers) = AgreementReport::of_rows(&read.all, None, "rows", &options);
    assert_eq!((found.n_people, found.n_tasks_shared), (stored.n_people, stored.n_tasks_shared));
    let close = |found: &Estimate, stored: &Estimate, what: &str| {
        assert_eq!((found.n, found.n_prompts), (stored.n, stored.n_prompts), "{what}");
        for (found, stored) in [(found.value, stored.value), (found.low, stored.low), (found.high, stored.high)] {
            let same = found.zip(stored).is_some_and(|(a, b)| (a - b).abs() < 1e-12) || found == stored;
            assert!(same, "{what}: {found:?} vs {stored:?}");
        }
    };
    let estimates = |report: &AgreementReport| -> Vec<(String, Estimate)> {
        let rankings = report.rankings.clone().unwrap();
        let mut all: Vec<(String, Estimate)> = vec![
            ("exact".into(), rankings.exact),
            ("strict".into(), rankings.strict),
            ("half".into(), rankings.ties_half),
            ("kappa".into(), rankings.kappa),
            ("tau".into(), rankings.kendall_tau_b),
            ("w".into(), rankings.kendall_w),
            ("alpha".into(), rankings.alpha),
            ("ties".into(), rankings.ties),
        ];
        let fields: std::collections::BTreeMap<String, _> =
            report.fields.iter().map(|field| (field.field.clone(), field)).collect();
        for (name, field) in fields {
            let optional =
                [&field.alpha_nominal, &field.alpha_interval, &field.alpha_ratio, &field.fleiss, &field.prevalence];
            let pairs = field.matrix.iter().flat_map(|pair| [&pair.raw, &pair.kappa]);
            let severity = field.severity.iter().map(|severity| &severity.difference);
            let of_field = [&field.raw, &field.alpha, &field.kappa].into_iter();
            let of_field = of_field.chain(optional.into_iter().flatten()).chain(pairs).chain(severity);
            all.extend(of_field.map(|estimate| (name.clone(), estimate.clone())));
        }
        for person in &report.screening {
            for estimate in [&person.gold, &person.flags, &person.rankings, &person.demonstrations] {
                all.push(("screening".into(), estimate.clone()));
            }
        }
        let effort = &report.effort;
        for estimate in
            [&effort.writing_seconds, &effort.ranking_seconds, &effort.writing_overlap, &effort.ranking_agreement]
        {
            all.push(("effort".into(), estimate.clone()));
        }
        all
    };
    let (found, stored) = (estimates(&found), estimates(&stored));
    assert_eq!(found.len(), stored.len());
    for ((what, found), (_, stored)) in found.iter().zip(&stored) {
        // Intervals of what stands behind a question the rows don't have draw from other streams.
        let found = Estimate { low: stored.low, high: stored.high, why: None, ..found.clone() };
        close(&found, stored, what);
    }
    let seconds: Vec<Option<f64>> = labelers.iter().map(|labeler| labeler.seconds_median).collect();
    assert_eq!(seconds, [Some(30.0); 3]);
}

pub fn rows_that_do_not_fit_change_nothing(f: &Fixture) {
    let project = f.store.create_project(Actor::Operator, "p", &settings()).unwrap();
    let row = |labeler: &str, second: i64, source: Option<&str>| {
        let answer = |text: &str, rank: i64| json!({"text": text, "rank": rank, "fields": {"rating": 3}});
        let mut row = json!({"prompt": "q", "labeler": labeler, "completions": [answer("a", 1), answer("b", second)]});
        row.as_object_mut().unwrap().extend(source.map(|source| ("source".to_owned(), json!(source))));
        row
    };
    let import =
        |rows: &[Value], source| f.store.import_judgements(Actor::Operator, project.id, &read(rows).all, source);
    let human = || row("ada", 2, Some("human"));
    let error = import(&[human(), row("bo", 2, None)], None).unwrap_err().to_string();
    assert_eq!(error, "row 2: source: found nothing, expected human, model, rule or simulated");
    let error = import(&[human(), row("bo", 77, Some("human"))], None).unwrap_err().to_string();
    assert!(error.starts_with("row 2: places[") && error.ends_with("]: found rank 77, expected 1 to 2"), "{error}");
    let mut unrated = row("bo", 2, Some("human"));
    unrated["completions"][1]["fields"] = json!({});
    let error = import(&[human(), unrated], None).unwrap_err().to_string();
    let ends = "].rating: found nothing, expected an answer";
    assert!(error.starts_with("row 2: ratings[") && error.ends_with(ends), "{error}");
    let mut gold = row("bo", 2, Some("human"));
    gold["purpose"] = "gold".into();
    // Nothing was added by what was refused.
    let counts = f.store.counts(project.id).unwrap();
    assert_eq!((counts.prompts, counts.candidates, counts.tasks, counts.judgements), (0, 0, 0, 0));
    let imported = import(&[human(), row("bo", 2, None), gold], Some(Source::Simulated)).unwrap();
    assert_eq!((imported.judgements, imported.left_out.values().sum::<usize>()), (2, 1), "{imported:?}");
    let sources: Vec<Source> = f
        .store
        .judgements(Actor::Operator, project.id, &Default::default())
        .unwrap()
        .iter()
        .map(|j| j.source)
        .collect();
    assert_eq!(sources, [Source::Human, Source::Simulated]);
    let ada = f.labeler("ada");
    let error =
        f.store.import_judgements(Actor::Person(ada, label::Role::Reviewer), project.id, &[], None).unwrap_err();
    assert!(matches!(error, LabelError::Forbidden { .. }), "{error}");
}

pub fn names_become_pseudonyms_and_partial_rankings_join(f: &Fixture) {
    let project = f.project("[ranking]\npartial = true\n");
    let row = |labeler: &str, order: &[&str]| {
        let completions: Vec<Value> =
            order.iter().zip(1..).map(|(text, rank)| json!({"text": text, "rank": rank})).collect();
        json!({"prompt": "q", "labeler": labeler, "group": "outside", "source": "human", "completions": completions})
    };
    let rows = [row("Ada Lovelace", &["b", "a"]), row("Bo", &["a", "b", "c"])];
    // Somebody of the same name who logs in is somebody else.
    let own = f.labeler("Bo");
    let imported = f.store.import_judgements(Actor::Operator, project.id, &read(&rows).all, None).unwrap();
    assert_eq!((imported.people, imported.prompts, imported.tasks, imported.judgements), (2, 1, 1, 2));
    let judgements = f.store.judgements(Actor::Operator, project.id, &Default::default()).unwrap();
    assert!(judgements.iter().all(|judgement| judgement.person != own && judgement.shown.len() == 3));
    let text = json!(exported(f, &project, Content::Rankings)).to_string();
    assert!(!text.contains("Ada") && !text.contains("Lovelace") && text.contains("outside"), "{text}");
    let names: Vec<String> = f.store.people(Actor::Operator).unwrap().into_iter().map(|person| person.name).collect();
    assert!(!names.iter().any(|name| name.contains("Ada")), "{names:?}");
    // Erased, they are known by another name, and their prompt doesn't come back with their rows.
    f.store.erase_person(Actor::Operator, judgements[0].person).unwrap();
    let row: Value = exported(f, &project, Content::Rankings).remove(0);
    assert!(!names.contains(&row["labeler"].as_str().unwrap().to_owned()));
}

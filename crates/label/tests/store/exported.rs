//! What leaves the store.

use label::{Actor, Aggregate, Body, Content, ExportOptions, FieldValue, MakeTasks, Rating, TaskKind};
use serde_json::{Value, json};

use crate::fixture::{Fixture, ranked};

fn rows(f: &Fixture, project: &label::Project, options: &ExportOptions) -> Vec<Value> {
    f.store.export(Actor::Operator, project.id, options).unwrap().rows
}

pub fn rankings_are_rows_of_the_contract(f: &Fixture) {
    let project = f.project("overlap = 2");
    f.prompt(&project, "q", &["a", "b", "c", "d"]);
    f.make(&project, TaskKind::Rank);
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let first = f.rank(ada, &project, &["b", "a c", "d"]).judgement;
    f.rank(bo, &project, &["d", "c", "b", "a"]);
    let export = f.store.export(Actor::Operator, project.id, &ExportOptions::of(Content::Rankings)).unwrap();
    assert_eq!(export.rows.len(), 2);
    let row = &export.rows[0];
    let ranks: Vec<(&str, i64)> = row["completions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|completion| (completion["text"].as_str().unwrap(), completion["rank"].as_i64().unwrap()))
        .collect();
    let mut sorted = ranks.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [("a", 2), ("b", 1), ("c", 2), ("d", 3)]);
    assert_eq!((&row["prompt"], &row["source"], &row["group"]), (&json!("q"), &json!("human"), &json!("training")));
    assert_eq!(row["id"], json!(format!("{}-{first}", project.uid)));
    assert!(row["labeler"].as_str().unwrap().starts_with("labeler-"));
    assert_ne!(row["labeler"], export.rows[1]["labeler"]);
    assert!(!row.to_string().contains("ada"));
    let (found, judgement) = f.store.judgement_by_uid(Actor::Operator, row["id"].as_str().unwrap()).unwrap();
    assert_eq!((found.id, judgement.id), (project.id, first));
    assert!(f.store.judgement_by_uid(Actor::Operator, &format!("0000000000000000-{first}")).is_err());

    let manifest = &export.manifest;
    assert_eq!((manifest.rows, manifest.judgements, manifest.labelers, manifest.prompts), (2, 2, 2, 1));
    assert_eq!(manifest.sources.get("human"), Some(&2));
    let text: String = export.rows.iter().map(|row| format!("{row}\n")).collect();
    assert_eq!(manifest.blake3, stdx::hash::bytes(text.as_bytes()));

    // A K-ranking gives C(K, 2) minus ties pairs: 6 − 1, and 6.
    let pairs = rows(f, &project, &ExportOptions::of(Content::Preferences));
    assert_eq!(pairs.len(), 5 + 6);
    // A corrected judgement leaves only its correction.
    let page = f.store.assignment_of(ada, first).unwrap();
    f.store.correct(ada, first, "c", &ranked(&page, &["a b c d"]), None).unwrap();
    let export = f.store.export(Actor::Operator, project.id, &ExportOptions::of(Content::Preferences)).unwrap();
    assert_eq!(export.rows.len(), 6);
    assert_eq!(export.manifest.left_out.get("corrected"), Some(&1));
}

pub fn aggregates_and_pairs(f: &Fixture) {
    let project = f.project("overlap = 3");
    f.prompt(&project, "q", &["a", "b", "c"]);
    f.make(&project, TaskKind::Rank);
    for (name, order) in [("x", ["a", "b", "c"]), ("y", ["a", "c", "b"]), ("z", ["b", "a", "c"])] {
        let person = f.labeler(name);
        f.rank(person, &project, &order);
    }
    for aggregate in Aggregate::ALL {
        let options = ExportOptions { aggregate: Some(aggregate), ..ExportOptions::of(Content::Rankings) };
        let rows = rows(f, &project, &options);
        assert_eq!((rows.len(), &rows[0]["judgements"]), (1, &json!(3)));
        let mut ranks: Vec<(String, i64)> = rows[0]["completions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["text"].as_str().unwrap().to_owned(), c["rank"].as_i64().unwrap()))
            .collect();
        ranks.sort();
        // a beats b 2:1 and c 3:0; b beats c 2:1.
        assert_eq!(ranks, [("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)], "{aggregate:?}");
    }
    let wrong = ExportOptions { aggregate: Some(Aggregate::Majority), ..ExportOptions::of(Content::Prompts) };
    assert!(f.store.export(Actor::Operator, project.id, &wrong).is_err());
    let group = ExportOptions { group: Some("held-out".into()), ..ExportOptions::of(Content::Rankings) };
    assert!(rows(f, &project, &group).is_empty());
}

pub fn demonstrations_ratings_and_reviews(f: &Fixture) {
    let settings = "[[field]]\nname = \"rating\"\nlabel = \"r\"\nrequired = true\nkind = { scale = { min = 1, max = 7 } }\n\
                    [[field]]\nname = \"rude\"\nlabel = \"r\"\nkind = \"yes_no\"\n[review]\ndemonstrations = 1\n";
    let settings = label::Settings::from_toml(settings).unwrap();
    let project = f.store.create_project(Actor::Operator, "p", &settings).unwrap();
    f.prompt(&project, "q", &["a", "=cmd()"]);
    f.store.make_tasks(Actor::Operator, project.id, &MakeTasks::of(TaskKind::Rate)).unwrap();
    let ada = f.labeler("ada");
    let task = f.take(ada, &project);
    let rating = |candidate, rating, rude| Rating {
        candidate,
        fields: [("rating".to_owned(), FieldValue::Number(rating)), ("rude".to_owned(), FieldValue::YesNo(rude))]
            .into(),
    };
    let ratings = task.answers.iter().map(|answer| rating(answer.candidate, 5, answer.text == "a")).collect();
    f.submit(ada, &task, Body::Rate { ratings, notes: String::new() }).unwrap();
    let found = rows(f, &project, &ExportOptions::of(Content::Ratings));
    assert_eq!(found.len(), 2);
    let a = found.iter().find(|row| row["completion"] == "a").unwrap();
    assert_eq!(a["fields"], json!({"rating": 5, "rude": true}));
    assert!(label::csv::to_csv(&found).contains("'=cmd()"));

    f.make(&project, TaskKind::Demonstrate);
    let task = f.take(ada, &project);
    f.submit(ada, &task, Body::Demonstrate { text: "mine".into(), fields: Default::default(), notes: String::new() })
        .unwrap();
    let found = rows(f, &project, &ExportOptions::of(Content::Demonstrations));
    assert_eq!((found.len(), &found[0]["completion"], &found[0]["source"]), (1, &json!("mine"), &json!("human")));
    let rev = f.person("rev", label::Role::Reviewer).id;
    let label::Next::Task(task) = f.store.next_task(rev, project.id, &[TaskKind::Review]).unwrap() else { panic!() };
    f.submit(rev, &task, Body::Review { accept: false, fields: Default::default(), notes: "no".into() }).unwrap();
    let found = rows(f, &project, &ExportOptions::of(Content::Reviews));
    assert_eq!((&found[0]["label"], &found[0]["completion"]), (&json!(false), &json!("mine")));
}

//! Conversations that grow.

use label::{Actor, Body, Id, LabelError, MakeTasks, Next, Role, TaskKind, TreeState};
use serde_json::{Value, json};

use crate::fixture::{Fixture, ranked};

fn sample() -> Value {
    json!({
        "message_tree_id": "t-1", "tree_state": "ready_for_export", "origin": {"kept": [1, 2.5, null]},
        "prompt": {
            "message_id": "t-1", "text": "Why do leaves fall?", "role": "prompter", "lang": "en", "replies": [
                {"message_id": "a", "rank": 1, "text": "They get tired.", "role": "assistant", "synthetic": true,
                 "model_name": "m", "emojis": {"+1": 3}, "replies": []},
                {"replies": [
                    {"message_id": "c", "text": "All trees?", "role": "prompter", "replies": [
                        {"message_id": "d", "text": "Not conifers.", "role": "assistant"}]},
                    {"message_id": "x", "text": "spam", "role": "prompter", "review_result": false, "replies": []}],
                 "message_id": "b", "text": "To save water.", "role": "assistant", "rank": 0, "synthetic": false},
            ]
        }
    })
}

pub fn a_tree_comes_out_as_it_went_in(f: &Fixture) {
    let project = f.project("");
    let id = f.store.import_tree(Actor::Operator, project.id, &sample()).unwrap();
    let out = f.store.export_trees(Actor::Operator, project.id).unwrap();
    // To the order of the keys.
    assert_eq!(out.iter().map(Value::to_string).collect::<Vec<_>>(), [sample().to_string()]);
    let again = f.store.import_tree(Actor::Operator, project.id, &sample());
    assert!(matches!(again, Err(LabelError::Taken { .. })));
    let summary = &f.store.trees(project.id).unwrap()[0];
    assert_eq!((summary.id, summary.size, summary.state), (id, 6, TreeState::ReadyForExport));
    // Its questions can be labeled: the first has two answers, the one below it one.
    let prompts = f.store.prompts(project.id, &Default::default()).unwrap();
    let shape: Vec<i64> = prompts.iter().map(|prompt| prompt.n_candidates).collect();
    assert_eq!(shape, [2, 1]);
    assert_eq!(f.store.make_tasks(Actor::Operator, project.id, &MakeTasks::of(TaskKind::Rank)).unwrap(), 1);

    let broken = |change: &dyn Fn(&mut Value)| {
        let mut tree = sample();
        tree["message_tree_id"] = "t-2".into();
        change(&mut tree);
        f.store.import_tree(Actor::Operator, project.id, &tree).unwrap_err().to_string()
    };
    let error = broken(&|tree| tree["prompt"]["replies"][1]["role"] = "prompter".into());
    assert_eq!(error, "prompt.replies[1].role: found \"prompter\", expected assistant");
    let error = broken(&|tree| tree["prompt"]["replies"][0]["text"] = Value::Null);
    assert_eq!(error, "prompt.replies[0].text: found no text, expected text");
    let error = broken(&|tree| {
        for _ in 0..300 {
            let mut above = json!({"text": "x", "role": "prompter", "replies": []});
            let mut reply = json!({"text": "x", "role": "assistant", "replies": []});
            reply["replies"] = json!([tree["prompt"].take()]);
            above["replies"] = json!([reply]);
            tree["prompt"] = above;
        }
    });
    assert!(error.contains("on 200 levels"), "{error}");
    assert_eq!(f.store.trees(project.id).unwrap().len(), 1);
}

pub fn a_conversation_grows_by_the_rules(f: &Fixture) {
    let project = f.project("[tree]\ndepth_max = 1\nchildren_max = 2\nsize = 9\nreviews = 2\nrankings = 2");
    let people: Vec<Id> = ["ada", "bo", "cy", "di"].iter().map(|name| f.labeler(name)).collect();
    let manager = f.person("mia", Role::Manager);
    let tree = f.store.start_tree(manager.actor(), project.id, "Why is the sea salt?", Some("en")).unwrap();
    let state = || f.store.trees(project.id).unwrap()[0].state;
    let next = |person: Id, kind: TaskKind| match f.store.next_task(person, project.id, &[kind]).unwrap() {
        Next::Task(task) => Some(*task),
        _ => None,
    };
    let review = |person: Id, accept: bool| {
        let task = next(person, TaskKind::Review).expect("a review");
        f.submit(person, &task, Body::Review { accept, fields: Default::default(), notes: String::new() }).unwrap();
    };
    assert_eq!(state(), TreeState::InitialPromptReview);
    // The first message's author doesn't review it.
    assert!(next(manager.id, TaskKind::Review).is_none());
    review(people[0], true);
    review(people[1], true);
    assert_eq!(state(), TreeState::Growing);
    for (i, person) in people[..2].iter().enumerate() {
        let task = next(*person, TaskKind::Continue).expect("a reply is wanted");
        assert_eq!(task.role_to_write, Some(record::Role::Assistant));
        f.submit(*person, &task, Body::Continue { text: format!("reply{i}") }).unwrap();
    }
    // Two replies were wanted and are there; each is reviewed by two others.
    assert!(next(people[2], TaskKind::Continue).is_none());
    for person in [people[2], people[3]] {
        review(person, true);
        review(person, true);
    }
    assert_eq!(state(), TreeState::Ranking);
    // Writers of the replies don't rank them.
    assert!(next(people[0], TaskKind::Rank).is_none());
    for person in [people[2], people[3]] {
        let task = next(person, TaskKind::Rank).expect("a ranking");
        f.submit(person, &task, ranked(&task, &["reply1", "reply0"])).unwrap();
    }
    assert_eq!(state(), TreeState::ReadyForExport);
    let out = f.store.export_trees(Actor::Operator, project.id).unwrap().remove(0);
    assert_eq!((&out["tree_state"], &out["lang"]), (&json!("ready_for_export"), &json!("en")));
    let replies = out["prompt"]["replies"].as_array().unwrap();
    let lines: Vec<_> = replies.iter().map(|reply| (&reply["text"], &reply["rank"])).collect();
    assert_eq!(lines, [(&json!("reply0"), &json!(1)), (&json!("reply1"), &json!(0))]);

    // A first message that is refused ends its tree.
    f.store.start_tree(manager.actor(), project.id, "asdf", None).unwrap();
    review(people[0], false);
    review(people[1], true);
    assert_eq!(state(), TreeState::AbortedLowGrade);
    let halted = f.store.start_tree(manager.actor(), project.id, "Stop me", None).unwrap();
    f.store.halt_tree(manager.actor(), halted).unwrap();
    assert!(next(people[0], TaskKind::Review).is_none());
    assert!(matches!(f.store.halt_tree(manager.actor(), 999), Err(LabelError::NotFound { .. })));
    assert_ne!(tree, halted);
}

/// The real trees, where they are.
#[test]
fn open_assistant_trees_come_back_identical() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/preferences/oasst_en_tree.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: {} isn't there", path.display());
        return;
    };
    let f = Fixture::sqlite();
    let project = f.project("");
    let trees: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for tree in &trees {
        f.store.import_tree(Actor::Operator, project.id, tree).unwrap();
    }
    let out = f.store.export_trees(Actor::Operator, project.id).unwrap();
    assert_eq!(out.len(), trees.len());
    for (out, tree) in out.iter().zip(&trees) {
        assert_eq!(out.to_string(), tree.to_string());
    }
}

//! Many people at once.

use std::collections::BTreeMap;

use label::{Actor, Body, Id, JudgementQuery, Next, TaskKind};

use crate::fixture::{Fixture, submission};

pub fn many_hands_do_every_task_once(f: &Fixture) {
    let project = f.project("overlap = 2");
    for i in 0..25 {
        f.prompt(&project, &format!("q{i}"), &["a", "b"]);
    }
    f.make(&project, TaskKind::Pairwise);
    let people: Vec<Id> = (0..8).map(|i| f.labeler(&format!("p{i}"))).collect();
    std::thread::scope(|scope| {
        for &person in &people {
            let project = &project;
            scope.spawn(move || {
                loop {
                    match f.store.next_task(person, project.id, &[]).expect("next") {
                        Next::Task(task) => {
                            let better = Some(task.answers[0].candidate);
                            let body = Body::Pairwise { better, ratings: Vec::new(), notes: String::new() };
                            let name = format!("s{}", task.task);
                            f.store.submit(person, &submission(&task, &name, body)).expect("submit");
                        }
                        Next::Waiting { .. } => std::thread::yield_now(),
                        Next::Nothing => break,
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let query = JudgementQuery { limit: 1000, ..JudgementQuery::default() };
    let all = f.store.judgements(Actor::Operator, project.id, &query).unwrap();
    assert_eq!(all.len(), 50);
    let mut by_task = BTreeMap::<Id, Vec<Id>>::new();
    for judgement in &all {
        by_task.entry(judgement.task).or_default().push(judgement.person);
    }
    assert!(by_task.values().all(|people| people.len() == 2 && people[0] != people[1]), "{by_task:?}");
    let counts = f.store.counts(project.id).unwrap();
    assert_eq!((counts.tasks_complete, counts.tasks_leased), (25, 0));
}

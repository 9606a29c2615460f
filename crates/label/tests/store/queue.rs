//! Who gets what.

use label::{Actor, Body, Id, LabelError, NewCandidate, NewTask, Next, ProjectState, Purpose, Role, TaskKind};

use crate::fixture::{Fixture, MINUTE, ranked};

pub fn leases_expire_and_late_work_is_kept_while_there_is_room(f: &Fixture) {
    let project = f.project("lease_minutes = 10");
    f.prompt(&project, "q", &["a", "b"]);
    f.make(&project, TaskKind::Rank);
    let (ada, bo, cy) = (f.labeler("ada"), f.labeler("bo"), f.labeler("cy"));
    let first = f.take(ada, &project);
    // Only one is wanted, and ada has it.
    assert!(matches!(f.next(bo, &project), Next::Waiting { leased_until_ms } if leased_until_ms == first.expires_ms));
    f.clock.advance(6 * MINUTE);
    // A draft in the second half of the time renews the lease.
    f.store.save_draft(ada, &first.lease, &serde_json::json!("a"), 1.0).unwrap();
    f.clock.advance(9 * MINUTE);
    assert!(matches!(f.next(bo, &project), Next::Waiting { .. }));
    f.clock.advance(2 * MINUTE);
    let second = f.take(bo, &project);
    // Ada's time is over and bo has the place: her work is refused with a word why, and her draft stays.
    let late = f.submit(ada, &first, ranked(&first, &["a", "b"]));
    assert!(matches!(&late, Err(LabelError::LeaseExpired { task }) if *task == first.task), "{late:?}");
    assert!(f.store.assignment(ada, &first.lease).unwrap().draft.is_some());
    assert!(matches!(f.store.renew_lease(ada, &first.lease), Err(LabelError::LeaseExpired { .. })));
    f.store.skip(bo, &second.lease, "I can't tell what is asked").unwrap();
    // There is room again: the late work counts.
    assert!(f.submit(ada, &first, ranked(&first, &["a", "b"])).unwrap().task_complete);
    assert!(matches!(f.next(cy, &project), Next::Nothing));
    let counts = f.store.counts(project.id).unwrap();
    assert_eq!((counts.judgements, counts.skips, counts.tasks_leased), (1, 1, 0));
}

pub fn nobody_gets_a_task_twice_or_their_own_words(f: &Fixture) {
    let project = f.project("overlap = 3");
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let (prompt, mut answers) = f.prompt(&project, "q", &["a", "b"]);
    let own = NewCandidate { author: Some(ada), ..NewCandidate::new("ada's") };
    answers.extend(f.store.add_candidates(Actor::Operator, prompt, &[own]).unwrap());
    f.make(&project, TaskKind::Rank);
    assert!(matches!(f.next(ada, &project), Next::Nothing));
    let task = f.take(bo, &project);
    f.store.skip(bo, &task.lease, "Something else").unwrap();
    assert!(matches!(f.next(bo, &project), Next::Nothing));
    // A late form of a skipped task counts, as there is room.
    f.submit(bo, &task, ranked(&task, &["a", "b", "ada's"])).unwrap();
    assert!(matches!(f.next(bo, &project), Next::Nothing));
    let cy = f.labeler("cy");
    f.store.set_project_state(Actor::Operator, project.id, ProjectState::Paused).unwrap();
    assert!(matches!(f.next(cy, &project), Next::Paused));
    f.store.set_project_state(Actor::Operator, project.id, ProjectState::Open).unwrap();
    let task = f.take(cy, &project);
    f.store.withdraw_task(Actor::Operator, task.task, "a mistake").unwrap();
    let late = f.submit(cy, &task, ranked(&task, &["a", "b", "ada's"]));
    assert!(matches!(late, Err(LabelError::TaskWithdrawn { .. })));
    assert!(matches!(f.next(cy, &project), Next::Nothing));
    assert_eq!(answers.len(), 3);
}

pub fn higher_priority_comes_first(f: &Fixture) {
    let project = f.project("");
    let prompts: Vec<Id> = (0..3).map(|i| f.prompt(&project, &format!("q{i}"), &["a", "b"]).0).collect();
    f.make(&project, TaskKind::Rank);
    f.store.set_priority(Actor::Operator, prompts[1], 0.7).unwrap();
    f.store.set_priority(Actor::Operator, prompts[2], 2.5).unwrap();
    assert!(f.store.set_priority(Actor::Operator, prompts[0], f64::NAN).is_err());
    let ada = f.labeler("ada");
    let order: Vec<String> = (0..3)
        .map(|_| {
            let task = f.take(ada, &project);
            f.submit(ada, &task, ranked(&task, &["a", "b"])).unwrap();
            serde_json::to_value(&task.prompt).unwrap().as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(order, ["q2", "q1", "q0"]);
}

fn gold(f: &Fixture, project: &label::Project, text: &str, purpose: Purpose) -> Id {
    let (prompt, answers) = f.prompt(project, text, &["good", "bad"]);
    let gold = Body::Pairwise { better: Some(answers[0]), ratings: Vec::new(), notes: String::new() };
    let new = NewTask { purpose, gold: Some(gold), ..NewTask::new(TaskKind::Pairwise, Some(prompt), answers) };
    f.store.add_task(Actor::Operator, project.id, &new).unwrap()
}

fn choose(f: &Fixture, person: Id, project: &label::Project, text: &str) -> Id {
    let task = f.take(person, project);
    let better = task.answers.iter().find(|answer| answer.text == text).map(|answer| answer.candidate);
    f.submit(person, &task, Body::Pairwise { better, ratings: Vec::new(), notes: String::new() }).unwrap();
    task.task
}

pub fn gold_comes_among_the_others(f: &Fixture) {
    let project = f.project("overlap = 2\n[gold]\nevery = 2");
    for i in 0..5 {
        f.prompt(&project, &format!("q{i}"), &["good", "bad"]);
    }
    f.make(&project, TaskKind::Pairwise);
    let (one, two) = (gold(f, &project, "g1", Purpose::Gold), gold(f, &project, "g2", Purpose::Gold));
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let order: Vec<Id> = (0..7).map(|_| choose(f, ada, &project, "good")).collect();
    assert_eq!((order[2], order[5]), (one, two));
    assert!(matches!(f.next(ada, &project), Next::Nothing));
    // The same items serve everybody.
    let order: Vec<Id> = (0..3).map(|_| choose(f, bo, &project, "bad")).collect();
    assert_eq!(order[2], one);
    let reports = f.store.labelers(Actor::Operator, project.id).unwrap();
    let gold: Vec<_> = reports.iter().map(|report| (report.name.as_str(), report.with_gold)).collect();
    assert_eq!(gold, [("ada", Some(1.0)), ("bo", Some(0.0))]);
    // A known answer can't be corrected into the right one.
    let own = f.store.own_judgements(bo, project.id, 1).unwrap().remove(0);
    assert_eq!(own.purpose, Purpose::Gold);
    let body = Body::Pairwise { better: None, ratings: Vec::new(), notes: String::new() };
    assert!(matches!(f.store.correct(bo, own.id, "x", &body, None), Err(LabelError::Invalid { .. })));
}

pub fn the_test_decides_who_works(f: &Fixture) {
    let project = f.project("overlap = 9\n[qualification]\nrequired = true\nagreement_min = 0.75");
    f.prompt(&project, "q", &["good", "bad"]);
    f.make(&project, TaskKind::Pairwise);
    for i in 0..4 {
        gold(f, &project, &format!("t{i}"), Purpose::Qualification);
    }
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    // Three of four right: .75 passes. Two don't.
    for (person, right) in [(ada, 3), (bo, 2)] {
        for i in 0..4 {
            choose(f, person, &project, if i < right { "good" } else { "bad" });
        }
    }
    assert_eq!(f.take(ada, &project).prompt, Some(record::Prompt::Text("q".into())));
    let next = f.next(bo, &project);
    assert!(matches!(next, Next::NotQualified { found, needed } if found == 0.5 && needed == 0.75), "{next:?}");
    // A reviewer takes no test.
    let rev = f.person("rev", Role::Reviewer).id;
    assert_eq!(f.take(rev, &project).prompt, Some(record::Prompt::Text("q".into())));
    let screening = f.store.agreement(Actor::Operator, project.id, &Default::default()).unwrap().screening;
    let lines: Vec<_> = screening.iter().map(|s| (s.name.as_str(), s.rankings.value, s.passes)).collect();
    assert_eq!(lines, [("ada", Some(0.75), Some(true)), ("bo", Some(0.5), Some(false))]);
}

pub fn reviewers_decide_disagreements(f: &Fixture) {
    let project = f.project("overlap = 2");
    for i in 0..3 {
        f.prompt(&project, &format!("q{i}"), &["a", "b", "c"]);
    }
    f.make(&project, TaskKind::Rank);
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let first = f.take(ada, &project).task;
    for (person, orders) in [(ada, [["a", "b", "c"]; 3]), (bo, [["c", "b", "a"], ["a", "c", "b"], ["a", "b", "c"]])] {
        for order in orders {
            f.rank(person, &project, &order);
        }
    }
    let found = f.store.disagreements(Actor::Operator, project.id, 10).unwrap();
    // Opposite: none of three pairs. One pair swapped: two of three. Equal ones aren't listed.
    let lines: Vec<_> = found.iter().map(|d| (d.agreement, d.n, d.adjudicated)).collect();
    assert_eq!(lines, [(0.0, 2, false), (2.0 / 3.0, 2, false)]);
    assert_eq!(found[0].task, first);
    let rev = f.person("rev", Role::Reviewer);
    let made = f.store.add_adjudication(rev.actor(), first).unwrap();
    assert_eq!(f.store.add_adjudication(rev.actor(), first).unwrap(), made);
    assert!(matches!(f.next(ada, &project), Next::Nothing));
    let task = f.take(rev.id, &project);
    assert_eq!(task.task, made);
    f.submit(rev.id, &task, ranked(&task, &["a", "b", "c"])).unwrap();
    let found = f.store.disagreements(Actor::Operator, project.id, 10).unwrap();
    assert!(found[0].adjudicated && !found[1].adjudicated);
    assert_eq!(f.store.task(rev.actor(), first).unwrap().adjudication, Some(made));
}

//! The labeler's loop.

use label::{Actor, Body, FieldValue, JudgementQuery, LabelError, MakeTasks, Next, Phase, Role, Settings, TaskKind};
use record::{Prompt, Source};
use serde_json::json;

use crate::fixture::{Fixture, MINUTE, ranked, submission};

pub fn two_people_rank_with_ties(f: &Fixture) {
    let project = f.project("overlap = 2");
    let (_, answers) = f.prompt(&project, "Why is the sky blue?", &["a", "b", "c", "d"]);
    assert_eq!(f.make(&project, TaskKind::Rank), 1);
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));

    let task = f.take(ada, &project);
    assert_eq!(task.prompt, Some(Prompt::Text("Why is the sky blue?".into())));
    let mut shown: Vec<i64> = task.answers.iter().map(|answer| answer.candidate).collect();
    let order = shown.clone();
    shown.sort_unstable();
    assert_eq!(shown, answers);
    // What was typed comes back, with the answers in the same order.
    f.store.save_draft(ada, &task.lease, &json!({"places": [1]}), 12.5).unwrap();
    let again = f.take(ada, &project);
    assert_eq!(again.lease, task.lease);
    assert_eq!(again.answers, task.answers);
    let draft = again.draft.unwrap();
    assert_eq!((draft.body, draft.seconds), (json!({"places": [1]}), 12.5));

    let body = ranked(&task, &["b", "a c", "d"]);
    let done = f.store.submit(ada, &submission(&task, "form-1", body.clone())).unwrap();
    assert!(!done.duplicate && !done.task_complete);
    // A double click counts once; another content under the name doesn't count.
    let twice = f.store.submit(ada, &submission(&task, "form-1", body)).unwrap();
    assert!(twice.duplicate && twice.judgement == done.judgement);
    let other = f.store.submit(ada, &submission(&task, "form-1", ranked(&task, &["a", "b", "c", "d"])));
    assert!(matches!(other, Err(LabelError::SubmissionReused { .. })), "{other:?}");
    let other = f.store.submit(ada, &submission(&task, "form-2", ranked(&task, &["a", "b", "c", "d"])));
    assert!(matches!(other, Err(LabelError::AlreadyDone { .. })), "{other:?}");
    assert!(matches!(f.next(ada, &project), Next::Nothing));
    // The page of a form that was sent can still be read.
    assert_eq!(f.store.assignment(ada, &task.lease).unwrap().answers, task.answers);

    assert!(f.rank(bo, &project, &["b c", "a d"]).task_complete);
    let all = f.store.judgements(Actor::Operator, project.id, &JudgementQuery::default()).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].shown, order);
    assert_eq!((all[0].source, all[0].guide_version, all[0].seconds), (Source::Human, 1, Some(30.0)));
    let progress = f.store.progress(ada, project.id).unwrap();
    assert_eq!((progress.done, progress.done_today, progress.remaining, progress.complete), (1, 1, 0, 1));
    let counts = f.store.counts(project.id).unwrap();
    assert_eq!((counts.judgements, counts.tasks_complete, counts.people, counts.tasks_leased), (2, 1, 2, 0));
}

pub fn a_form_that_does_not_fit_is_refused_and_loses_nothing(f: &Fixture) {
    let project = f.project("");
    f.prompt(&project, "q", &["a", "b", "c"]);
    f.make(&project, TaskKind::Rank);
    let ada = f.labeler("ada");
    let task = f.take(ada, &project);
    f.store.save_draft(ada, &task.lease, &json!("typed"), 1.0).unwrap();
    let omitted = f.submit(ada, &task, ranked(&task, &["a", "b"])).unwrap_err();
    assert_eq!(omitted.to_string(), "places: found 2 of 3 answers ranked, expected all");
    assert_eq!(omitted.status(), 422);
    let long = Body::Rank { places: Vec::new(), all_bad: true, ratings: Vec::new(), notes: "x".repeat(10 << 20) };
    let error = f.submit(ada, &task, long).unwrap_err();
    assert!(matches!(error, LabelError::TooLarge { .. }) && error.status() == 413, "{error}");
    let nul = Body::Rank { places: Vec::new(), all_bad: true, ratings: Vec::new(), notes: "a\0b".into() };
    assert!(matches!(f.submit(ada, &task, nul), Err(LabelError::Invalid { .. })));
    let wrong_kind = f.submit(ada, &task, Body::Continue { text: "x".into() });
    assert!(matches!(wrong_kind, Err(LabelError::Invalid { field, .. }) if field == "kind"));
    let big = json!("x".repeat(300 << 10));
    assert!(matches!(f.store.save_draft(ada, &task.lease, &big, 1.0), Err(LabelError::TooLarge { .. })));
    let name = f.store.submit(ada, &submission(&task, "a b", ranked(&task, &["a", "b", "c"])));
    assert!(matches!(name, Err(LabelError::Invalid { field, .. }) if field == "submission"));
    // After all of it the task is still theirs, with the draft.
    assert_eq!(f.take(ada, &project).draft.unwrap().body, json!("typed"));
    f.submit(ada, &task, ranked(&task, &["a", "b", "c"])).unwrap();
}

pub fn a_correction_is_a_new_row(f: &Fixture) {
    let project = f.project("");
    f.prompt(&project, "q", &["a", "b"]);
    f.make(&project, TaskKind::Pairwise);
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let task = f.take(ada, &project);
    let choose = |better: Option<i64>| Body::Pairwise { better, ratings: Vec::new(), notes: String::new() };
    let (a, b) = (task.answers[0].candidate, task.answers[1].candidate);
    let first = f.submit(ada, &task, choose(Some(a))).unwrap().judgement;
    f.clock.advance(MINUTE);
    let page = f.store.assignment_of(ada, first).unwrap();
    assert_eq!((page.answers, page.lease.as_str()), (task.answers.clone(), ""));
    let second = f.store.correct(ada, first, "fix-1", &choose(Some(b)), None).unwrap();
    assert!(f.store.correct(ada, first, "fix-1", &choose(Some(b)), None).unwrap().duplicate);
    let stale = f.store.correct(ada, first, "fix-2", &choose(None), None);
    assert!(matches!(stale, Err(LabelError::AlreadyCorrected { latest, .. }) if latest == second.judgement));
    let third = f.store.correct(ada, second.judgement, "fix-2", &choose(None), None).unwrap().judgement;
    // Others' judgements are as unknown as none.
    assert!(matches!(f.store.correct(bo, third, "x", &choose(None), None), Err(LabelError::NotFound { .. })));
    assert!(matches!(f.store.assignment_of(bo, third), Err(LabelError::NotFound { .. })));
    let own = f.store.own_judgements(ada, project.id, 10).unwrap();
    let lines: Vec<_> = own.iter().map(|j| (j.id, j.corrects, j.current)).collect();
    assert_eq!(
        lines,
        [(third, Some(second.judgement), true), (second.judgement, Some(first), false), (first, None, false)]
    );
    assert_eq!(f.store.counts(project.id).unwrap().judgements, 1);
    assert_eq!(f.store.progress(ada, project.id).unwrap().done, 1);
}

pub fn writing_makes_prompts_answers_and_reviews(f: &Fixture) {
    let project = f.project("use_cases = [\"chat\", \"rewrite\"]\n[review]\ndemonstrations = 2\nby = \"labeler\"");
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let make = MakeTasks { limit: Some(3), ..MakeTasks::of(TaskKind::WritePrompt) };
    assert_eq!(f.store.make_tasks(Actor::Operator, project.id, &make).unwrap(), 3);
    let task = f.take(ada, &project);
    assert_eq!(task.kind, TaskKind::WritePrompt);
    assert!(task.prompt.is_none() && task.brief.is_some());
    let write = |text: &str, use_case: &str| Body::WritePrompt {
        prompt: Prompt::Text(text.into()),
        style: Default::default(),
        use_case: Some(use_case.into()),
    };
    let unknown = f.submit(ada, &task, write("Say hello.", "poetry")).unwrap_err().to_string();
    assert_eq!(unknown, "use_case: found \"poetry\", expected one of chat, rewrite");
    f.submit(ada, &task, write("Say hello.", "chat")).unwrap();
    let prompts = f.store.prompts(project.id, &Default::default()).unwrap();
    assert_eq!(
        (prompts.len(), prompts[0].use_case.as_deref(), prompts[0].source),
        (1, Some("chat"), Some(Source::Human))
    );

    assert_eq!(f.make(&project, TaskKind::Demonstrate), 1);
    let task = match f.store.next_task(bo, project.id, &[TaskKind::Demonstrate]).unwrap() {
        Next::Task(task) => *task,
        other => panic!("{other:?}"),
    };
    let body = Body::Demonstrate { text: "Hello!".into(), fields: Default::default(), notes: String::new() };
    f.submit(bo, &task, body).unwrap();
    let candidates = f.store.candidates(Actor::Operator, prompts[0].id).unwrap();
    assert_eq!((candidates.len(), candidates[0].author, candidates[0].text.as_str()), (1, Some(bo), "Hello!"));
    // The author doesn't review their own words; others do.
    let review = |person| f.store.next_task(person, project.id, &[TaskKind::Review]).unwrap();
    assert!(matches!(review(bo), Next::Nothing));
    let Next::Task(task) = review(ada) else { panic!("a review") };
    assert_eq!(task.answers[0].text, "Hello!");
    f.submit(ada, &task, Body::Review { accept: true, fields: Default::default(), notes: String::new() }).unwrap();

    // The use-case of a prompt that has none.
    f.prompt(&project, "Make it shorter: …", &[]);
    assert_eq!(f.make(&project, TaskKind::UseCase), 1);
    let Next::Task(task) = f.store.next_task(ada, project.id, &[TaskKind::UseCase]).unwrap() else { panic!("a task") };
    let mut fields = std::collections::BTreeMap::new();
    fields.insert("mood".to_owned(), FieldValue::YesNo(true));
    let no_such = f.submit(ada, &task, Body::UseCase { use_case: "rewrite".into(), fields });
    assert!(matches!(no_such, Err(LabelError::Invalid { field, .. }) if field == "fields.mood"));
    f.submit(ada, &task, Body::UseCase { use_case: "rewrite".into(), fields: Default::default() }).unwrap();
    let prompts = f.store.prompts(project.id, &Default::default()).unwrap();
    assert_eq!(prompts[1].use_case.as_deref(), Some("rewrite"));
    let kinds = f.store.task_kinds(project.id).unwrap();
    assert_eq!(kinds, [TaskKind::WritePrompt, TaskKind::Demonstrate, TaskKind::Review, TaskKind::UseCase]);
    assert_eq!(f.store.person(ada).unwrap().role, Role::Labeler);
}

/// InstructGPT weighed the same aims differently in its two phases: each has a guide of its own.
pub fn a_judgement_remembers_the_guide_it_was_made_under(f: &Fixture) {
    let made = |name: &str, phase: Phase| {
        let settings = Settings { phase, ..Settings::instructgpt() };
        let project = f.store.create_project(Actor::Operator, name, &settings).unwrap().id;
        let guide = f.store.guide(project, None).unwrap();
        assert_eq!((guide.version, guide.phase, guide.by), (1, phase, None));
        guide.body
    };
    let (training, evaluation) = (made("collect", Phase::Training), made("judge", Phase::Evaluation));
    assert!(training.contains("helpfulness weighs most") && !evaluation.contains("helpfulness weighs most"));
    assert!(evaluation.contains("truthful and harmless weigh more than helpful"));
    for guide in [&training, &evaluation] {
        for part in ["helpful", "truthful", "harmless", "*Example.*", "same rank", "which answer would you want"] {
            assert!(guide.contains(part), "{part:?} is missing");
        }
    }

    let project = f.project("overlap = 2");
    f.prompt(&project, "q", &["a", "b"]);
    f.make(&project, TaskKind::Rank);
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    let under_first = f.take(ada, &project);
    let guide = f.store.add_guide(Actor::Operator, project.id, Phase::Evaluation, "# Weigh truth first").unwrap();
    assert_eq!((guide.version, guide.phase), (2, Phase::Evaluation));
    // Who had begun goes on under the guide that they read.
    f.submit(ada, &under_first, ranked(&under_first, &["a", "b"])).unwrap();
    f.rank(bo, &project, &["b", "a"]);
    let all = f.store.judgements(Actor::Operator, project.id, &Default::default()).unwrap();
    let versions: Vec<i64> = all.iter().map(|judgement| judgement.guide_version).collect();
    assert_eq!(versions, [1, 2]);
    assert_eq!(f.store.guide(project.id, Some(1)).unwrap().phase, Phase::Training);
    assert_eq!(f.store.guides(project.id).unwrap().len(), 2);
    assert!(f.store.guide(project.id, Some(3)).is_err());
}

//! What comes in, and tasks made of it.

use label::{
    Actor, GenerationRequest, LabelError, MakeTasks, NewCandidate, NewPrompt, PromptQuery, TaskKind, TaskQuery,
};
use record::{Message, Prompt, Source};

use crate::fixture::{Fixture, MINUTE};

fn text(text: &str) -> NewPrompt {
    NewPrompt::new(Prompt::Text(text.to_owned()))
}

pub fn duplicates_and_limits(f: &Fixture) {
    let project = f.project("[prompts]\nper_user_max = 2\nduplicate_prefix = 12\ncharacters_max = 100");
    let of = |words: &str, user: &str| NewPrompt { user_id: Some(user.into()), ..text(words) };
    let asked = NewPrompt::new(Prompt::Messages(vec![Message::user("Why rain?")]));
    let prompts = [
        text("Why rain?"),
        text(" Why  rain?\n"),
        asked,
        text("Write a poem about the sea"),
        text("Write a poem about the moon"),
        of("one", "u"),
        of("two", "u"),
        of("three", "u"),
        of("three", "v"),
    ];
    let added = f.store.add_prompts(Actor::Operator, project.id, &prompts).unwrap();
    // The second and third are the first, the fifth begins as the fourth does, u has two.
    assert_eq!((added.added.len(), added.duplicates, added.over_user_limit), (5, 3, 1));
    assert_eq!((added.ids[1], added.ids[2], added.ids[4]), (added.ids[0], added.ids[0], added.ids[3]));
    assert_eq!(added.ids[7], None);
    // All or nothing: a bad prompt among good ones leaves none behind.
    let error = f.store.add_prompts(Actor::Operator, project.id, &[text("good"), text(&"x".repeat(101))]).unwrap_err();
    assert_eq!(error.to_string(), "prompts[1].prompt: found 101 characters, expected at most 100");
    assert!(f.store.add_prompts(Actor::Operator, project.id, &[text(" \n")]).is_err());
    assert_eq!(f.store.counts(project.id).unwrap().prompts, 5);

    let search = |words: &str| {
        let query = PromptQuery { search: Some(words.into()), ..PromptQuery::default() };
        f.store.prompts(project.id, &query).unwrap().len()
    };
    assert_eq!((search("POEM"), search("%"), search("e_"), search("")), (1, 0, 0, 5));
    let first = added.ids[0].unwrap();
    let same = [NewCandidate::new("a"), NewCandidate::new("b"), NewCandidate::new("a")];
    let ids = f.store.add_candidates(Actor::Operator, first, &same).unwrap();
    assert_eq!(ids[0], ids[2]);
    assert_eq!(f.store.add_candidates(Actor::Operator, first, &same[1..2]).unwrap(), [ids[1]]);
    let lacking = PromptQuery { without_candidates: Some(2), limit: 2, ..PromptQuery::default() };
    let lacking = f.store.prompts(project.id, &lacking).unwrap();
    assert_eq!(lacking.len(), 2);
    assert!(lacking.iter().all(|prompt| prompt.id != first && prompt.n_candidates == 0));
    assert!(matches!(f.store.add_candidates(Actor::Operator, 9999, &same), Err(LabelError::NotFound { .. })));
    f.store.set_candidate_score(Actor::Operator, ids[0], 1.25).unwrap();
    assert_eq!(f.store.candidates(Actor::Operator, first).unwrap()[0].score, Some(1.25));
}

pub fn collected_prompts_go_when_their_time_is_over(f: &Fixture) {
    let project = f.project("");
    let now = f.store.now_ms();
    let brief = NewPrompt { expires_ms: Some(now + MINUTE), source: Some(Source::Human), ..text("my secret is 1234") };
    let added = f.store.add_prompts(Actor::Operator, project.id, &[brief, text("stays")]).unwrap();
    let prompt = added.ids[0].unwrap();
    f.store.add_candidates(Actor::Operator, prompt, &[NewCandidate::new("your secret is 1234")]).unwrap();
    assert_eq!(f.store.delete_expired_prompts(Actor::Operator).unwrap(), 0);
    f.clock.advance(MINUTE);
    assert_eq!(f.store.delete_expired_prompts(Actor::Operator).unwrap(), 1);
    assert_eq!(f.store.delete_expired_prompts(Actor::Operator).unwrap(), 0);
    let gone = f.store.prompt(prompt).unwrap();
    assert_eq!((gone.state.as_str(), gone.prompt), ("erased", Prompt::Text(String::new())));
    assert_eq!(f.store.candidates(Actor::Operator, prompt).unwrap()[0].text, "");
    assert_eq!(f.store.counts(project.id).unwrap().prompts, 1);
}

pub fn tasks_are_made_once(f: &Fixture) {
    let project = f.project("overlap = 2\n[ranking]\nk_min = 3\nk_max = 4");
    f.prompt(&project, "two", &["a", "b"]);
    let (_, four) = f.prompt(&project, "five", &["a", "b", "c", "d", "e"]);
    assert_eq!(f.make(&project, TaskKind::Rank), 1);
    assert_eq!(f.make(&project, TaskKind::Rank), 0);
    let tasks = f.store.tasks(Actor::Operator, project.id, &TaskQuery::default()).unwrap();
    assert_eq!((tasks.len(), tasks[0].overlap, tasks[0].opening.as_str()), (1, 2, "five"));
    let view = f.store.task(Actor::Operator, tasks[0].id).unwrap();
    let used: Vec<i64> = view.candidates.iter().map(|candidate| candidate.id).collect();
    assert_eq!(used, four[..4]);
    let make =
        |kind, k| f.store.make_tasks(Actor::Operator, project.id, &MakeTasks { k: Some(k), ..MakeTasks::of(kind) });
    assert_eq!(make(TaskKind::Pairwise, 2).unwrap(), 2);
    assert!(matches!(make(TaskKind::Rank, 9), Err(LabelError::Invalid { field, .. }) if field == "k"));
    assert!(matches!(make(TaskKind::Continue, 0), Err(LabelError::Invalid { field, .. }) if field == "kind"));
    let without = MakeTasks::of(TaskKind::WritePrompt);
    assert!(f.store.make_tasks(Actor::Operator, project.id, &without).is_err());
    // Answers of another prompt are refused.
    let (other, _) = f.prompt(&project, "other", &["x", "y", "z"]);
    let new = label::NewTask::new(TaskKind::Rank, Some(other), four[..3].to_vec());
    let error = f.store.add_task(Actor::Operator, project.id, &new).unwrap_err().to_string();
    assert!(error.contains("expected different answers to the task's prompt"), "{error}");
}

pub fn generations_are_claimed_once(f: &Fixture) {
    let project = f.project("");
    let request =
        GenerationRequest { model: "tiny".into(), k: 4, max_new_tokens: 64, temperature: 0.7, top_p: 1.0, seed: 3 };
    assert!(f.store.claim_generation().unwrap().is_none());
    let id = f.store.add_generation(Actor::Operator, project.id, &request).unwrap();
    let wrong = GenerationRequest { k: 0, ..request.clone() };
    assert!(f.store.add_generation(Actor::Operator, project.id, &wrong).is_err());
    let claimed = f.store.claim_generation().unwrap().unwrap();
    assert_eq!((claimed.id, claimed.request), (id, request));
    assert!(f.store.claim_generation().unwrap().is_none());
    f.store.generation_progress(id, 3, 10).unwrap();
    f.clock.advance(9 * MINUTE);
    assert!(f.store.claim_generation().unwrap().is_none());
    // A worker that fell silent loses it.
    f.clock.advance(2 * MINUTE);
    assert_eq!(f.store.claim_generation().unwrap().unwrap().done, 3);
    f.store.finish_generation(id, Some("no such model")).unwrap();
    let all = f.store.generations(project.id).unwrap();
    assert_eq!((all[0].state.as_str(), all[0].error.as_deref()), ("failed", Some("no such model")));
    assert!(f.store.claim_generation().unwrap().is_none());
}

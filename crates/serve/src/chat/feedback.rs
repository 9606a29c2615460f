//! What people say of answers becomes work for labelers: a comparison is a pairwise task with their verdict as its first
//! judgement, a flag is a rating task that comes early.

use super::room::{Room, Verdict};
use crate::app::Feedback;
use crate::random;
use crate::worker::ModelCard;
use label::{Actor, Body, LabelError, NewCandidate, NewPerson, NewPrompt, NewTask, Person, Recorded, Role, TaskKind};
use record::{Prompt, Source};

/// Visitors of the chat page are one labeler of a group of its own, so that exports can tell them apart.
const VISITORS: &str = "chat-visitors";
/// The group.
const GROUP: &str = "chat";
/// Flagged answers come before others.
const FLAG_PRIORITY: f64 = 1.0;

/// A comparison of the last turn: a task, with the visitor's verdict in it. The task's number.
pub fn compare(
    feedback: &Feedback,
    room: &Room,
    verdict: Verdict,
    models: &[ModelCard],
) -> Result<label::Id, LabelError> {
    let turn = room.n_turns().saturating_sub(1);
    let prompt = prompt(feedback, room, turn)?;
    let candidates: Vec<label::Id> =
        (0..2).map(|side| candidate(feedback, room, prompt, side, turn, models)).collect::<Result<_, _>>()?;
    let store = &feedback.store;
    if candidates[0] == candidates[1] {
        return Err(LabelError::Invalid {
            field: "answers".into(),
            found: "twice the same answer".into(),
            expected: "two different ones".into(),
        });
    }
    let settings = store.project(feedback.project)?.settings;
    // A project that asks for a rating of each answer gets the comparison, but not the verdict of somebody who gave none.
    let takes_verdict = !settings.ranking.rate_each && (settings.ranking.ties || !verdict.is_tie());
    let overlap = Some(settings.overlap + u32::from(takes_verdict));
    let new = NewTask { overlap, ..NewTask::new(TaskKind::Pairwise, Some(prompt), candidates.clone()) };
    let task = store.add_task(Actor::Operator, feedback.project, &new)?;
    store.note(Actor::Operator, "chat.verdict", &format!("task {task}"), verdict.name())?;
    if takes_verdict {
        store.record_judgement(Actor::Operator, &judgement(feedback, task, &candidates, verdict)?)?;
    }
    Ok(task)
}

/// The visitor's verdict as a judgement of the task.
fn judgement(
    feedback: &Feedback,
    task: label::Id,
    candidates: &[label::Id],
    verdict: Verdict,
) -> Result<Recorded, LabelError> {
    let better = match verdict {
        Verdict::First => Some(candidates[0]),
        Verdict::Second => Some(candidates[1]),
        Verdict::Tie | Verdict::BothBad => None,
    };
    let notes = if verdict == Verdict::BothBad { "neither will do".to_owned() } else { String::new() };
    Ok(Recorded {
        task,
        person: visitors(feedback)?.id,
        submission: format!("chat-{}", random::name()),
        body: Body::Pairwise { better, ratings: Vec::new(), notes },
        source: Source::Human,
        seconds: None,
        at_ms: None,
    })
}

/// An answer that something is wrong with: a task to rate it. The task's number.
pub fn flag(
    feedback: &Feedback,
    room: &Room,
    (side, turn): (usize, usize),
    reason: &str,
    models: &[ModelCard],
) -> Result<label::Id, LabelError> {
    let prompt = prompt(feedback, room, turn)?;
    let candidate = candidate(feedback, room, prompt, side, turn, models)?;
    let new = NewTask { priority: Some(FLAG_PRIORITY), ..NewTask::new(TaskKind::Rate, Some(prompt), vec![candidate]) };
    let task = feedback.store.add_task(Actor::Operator, feedback.project, &new)?;
    feedback.store.note(Actor::Operator, "chat.flag", &format!("task {task}"), reason)?;
    Ok(task)
}

/// The prompt of a turn, which may be there already.
fn prompt(feedback: &Feedback, room: &Room, turn: usize) -> Result<label::Id, LabelError> {
    let new = NewPrompt { source: Some(Source::Human), ..NewPrompt::new(Prompt::Messages(room.messages(turn))) };
    let added = feedback.store.add_prompts(Actor::Operator, feedback.project, &[new])?;
    added.ids.first().copied().flatten().ok_or_else(|| LabelError::Invalid {
        field: "prompt".into(),
        found: "one that the project does not take".into(),
        expected: "a prompt within its limits".into(),
    })
}

fn candidate(
    feedback: &Feedback,
    room: &Room,
    prompt: label::Id,
    side: usize,
    turn: usize,
    models: &[ModelCard],
) -> Result<label::Id, LabelError> {
    let side = &room.sides[side];
    let text = side.answers.get(turn).cloned().unwrap_or_default();
    let origin = models[side.model_idx].name.clone();
    let new = NewCandidate { text, source: Some(Source::Model), origin, author: None, score: None };
    let ids = feedback.store.add_candidates(Actor::Operator, prompt, &[new])?;
    ids.first().copied().ok_or(LabelError::NotFound { what: "candidate", id: "of the answer".into() })
}

/// The labeler that stands for all visitors; nobody can log in as it.
fn visitors(feedback: &Feedback) -> Result<Person, LabelError> {
    if let Some(person) = feedback.store.person_by_name(VISITORS)? {
        return Ok(person);
    }
    let new = NewPerson { name: VISITORS.into(), password: None, role: Role::Labeler, group: GROUP.into() };
    match feedback.store.add_person(Actor::Operator, &new) {
        // Another request was faster.
        Err(LabelError::Taken { .. }) => {
            feedback.store.person_by_name(VISITORS)?.ok_or(LabelError::NotFound { what: "person", id: VISITORS.into() })
        }
        made => made,
    }
}

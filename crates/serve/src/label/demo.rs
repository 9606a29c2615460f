//! A project to try the pages on: prompts and answers by Helpmate's authors, people with a known password, and
//! judgements by simulated labelers, marked so.

use super::import;
use label::{
    Actor, Body, Id, MakeTasks, NewPerson, NewTask, Place, Purpose, Recorded, Result, Role, Settings, Store, TaskKind,
    WriteBrief,
};
use record::Source;
use serde::Serialize;
use stdx::Seed;

const ANSWERS: &str = include_str!("../../../../data/label-demo/answers.jsonl");
const PROMPTS: &str = include_str!("../../../../data/label-demo/prompts.jsonl");
/// Everybody's password in the demonstration, which listens on loopback only.
pub const PASSWORD: &str = "helpmate-demo";
/// The project's name.
pub const PROJECT: &str = "demo";
/// Prompts whose ranking the authors give, as gold.
const N_GOLD: usize = 2;
/// Prompts that stay without judgements, for whoever tries it.
const N_OPEN: usize = 6;
/// Share of pairs of neighbours that a simulated labeler swaps, and that it ties.
const SWAPS: f64 = 0.15;
const TIES: f64 = 0.12;

/// Somebody of the demonstration.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DemoPerson {
    /// Name to log in with.
    pub name: &'static str,
    /// What the person may do.
    pub role: &'static str,
}

/// Everybody of the demonstration.
pub fn people() -> [DemoPerson; 4] {
    [
        DemoPerson { name: "manager", role: "manager" },
        DemoPerson { name: "reviewer", role: "reviewer" },
        DemoPerson { name: "anna", role: "labeler" },
        DemoPerson { name: "ben", role: "labeler" },
    ]
}

/// Fills an empty database. One that has the project already is left alone.
pub fn fill(store: &Store) -> Result<()> {
    if store.projects()?.iter().any(|project| project.name == PROJECT) {
        return Ok(());
    }
    for person in people() {
        add(store, person.name, Some(PASSWORD), person.role.parse().unwrap_or(Role::Labeler), "")?;
    }
    let mut settings = Settings::instructgpt();
    settings.title = "Demonstration".to_owned();
    settings.description = "Rate and rank answers, and write some.".to_owned();
    settings.overlap = 2;
    let project = store.create_project(Actor::Operator, PROJECT, &settings)?.id;
    let tasks = rankings(store, project)?;
    simulate(store, &tasks)?;
    writing(store, project)
}

fn add(store: &Store, name: &str, password: Option<&str>, role: Role, group: &str) -> Result<Id> {
    let new = NewPerson { name: name.to_owned(), password: password.map(str::to_owned), role, group: group.to_owned() };
    Ok(store.add_person(Actor::Operator, &new)?.id)
}

/// A task to rank, with the authors' own ranks.
struct RankTask {
    task: Id,
    candidates: Vec<Id>,
    ranks: Vec<u32>,
}

fn rankings(store: &Store, project: Id) -> Result<Vec<RankTask>> {
    let mut tasks = Vec::new();
    let rows = shipped(ANSWERS);
    let all_ranks = ANSWERS.lines().map(authors_ranks);
    for (i, (row, ranks)) in rows.into_iter().zip(all_ranks).enumerate() {
        let added = store.add_prompts(Actor::Operator, project, std::slice::from_ref(&row.prompt))?;
        let Some(prompt) = added.ids.first().copied().flatten() else { continue };
        let candidates = store.add_candidates(Actor::Operator, prompt, &row.candidates)?;
        let is_gold = i < N_GOLD;
        let gold = is_gold.then(|| with_ratings(ranking(&candidates, &ranks), &ranks));
        let purpose = if is_gold { Purpose::Gold } else { Purpose::Ordinary };
        let new = NewTask { purpose, gold, ..NewTask::new(TaskKind::Rank, Some(prompt), candidates.clone()) };
        let task = store.add_task(Actor::Operator, project, &new)?;
        if i + N_OPEN < ANSWERS.lines().count() {
            tasks.push(RankTask { task, candidates, ranks });
        }
    }
    Ok(tasks)
}

/// Rows that ship with the program and are read by a test.
fn shipped(text: &str) -> Vec<import::ImportRow> {
    match import::read_rows(text) {
        Ok(rows) => rows,
        Err(error) => unreachable!("data of this program, tested: {error}"),
    }
}

fn authors_ranks(line: &str) -> Vec<u32> {
    let row: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let answers = row["completions"].as_array().into_iter().flatten();
    answers.map(|answer| answer["rank"].as_u64().unwrap_or(1) as u32).collect()
}

fn ranking(candidates: &[Id], ranks: &[u32]) -> Body {
    let places = candidates.iter().zip(ranks).map(|(&candidate, &rank)| Place { candidate, rank });
    Body::Rank { places: places.collect(), all_bad: false, ratings: Vec::new(), notes: String::new() }
}

/// Two simulated labelers see the authors' order through noise.
fn simulate(store: &Store, tasks: &[RankTask]) -> Result<()> {
    for (n, name) in ["simulated-1", "simulated-2"].into_iter().enumerate() {
        let person = add(store, name, None, Role::Labeler, "simulated")?;
        for (i, task) in tasks.iter().enumerate() {
            let mut stream = Seed(n as u64).stream("label demo", i as u64);
            let ranks = seen(&task.ranks, &mut || stream.uniform());
            let recorded = Recorded {
                task: task.task,
                person,
                submission: format!("demo-{n}-{i}"),
                body: with_ratings(ranking(&task.candidates, &ranks), &ranks),
                source: Source::Simulated,
                seconds: Some(40.0 + 80.0 * stream.uniform()),
                at_ms: None,
            };
            store.record_judgement(Actor::Operator, &recorded)?;
        }
    }
    Ok(())
}

/// Ratings that go with the ranks: 7 for the best, two less for each rank after it, and no to every question.
fn with_ratings(body: Body, ranks: &[u32]) -> Body {
    let Body::Rank { places, all_bad, notes, .. } = body else { return body };
    let settings = Settings::instructgpt();
    let rate = |(place, rank): (&Place, &u32)| {
        let fields = settings.field.iter().filter(|field| field.of == label::FieldOf::Answer && field.required);
        let answer = |field: &label::Field| {
            let value = match &field.kind {
                label::FieldKind::Scale { min, max, .. } => {
                    label::FieldValue::Number((max - 2 * (i64::from(*rank) - 1)).max(*min))
                }
                label::FieldKind::YesNo => label::FieldValue::YesNo(false),
                label::FieldKind::Choice { options } => {
                    label::FieldValue::Text(options.first().cloned().unwrap_or_default())
                }
                label::FieldKind::Text => label::FieldValue::Text(String::new()),
            };
            (field.name.clone(), value)
        };
        label::Rating { candidate: place.candidate, fields: fields.map(answer).collect() }
    };
    let ratings = places.iter().zip(ranks).map(rate).collect();
    Body::Rank { places, all_bad, ratings, notes }
}

/// Ranks as a labeler sees them who swaps some neighbours and ties others.
fn seen(ranks: &[u32], uniform: &mut impl FnMut() -> f64) -> Vec<u32> {
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by_key(|&i| ranks[i]);
    for i in 1..order.len() {
        if uniform() < SWAPS {
            order.swap(i - 1, i);
        }
    }
    let mut seen = vec![1; ranks.len()];
    for i in 1..order.len() {
        let is_tie = uniform() < TIES;
        seen[order[i]] = seen[order[i - 1]] + u32::from(!is_tie);
    }
    seen
}

/// Prompts to answer, one to write, and some to sort.
fn writing(store: &Store, project: Id) -> Result<()> {
    let prompts: Vec<_> = shipped(PROMPTS).into_iter().map(|row| row.prompt).collect();
    let added = store.add_prompts(Actor::Operator, project, &prompts)?;
    for (i, &prompt) in added.added.iter().enumerate() {
        let kind = if i % 3 == 2 { TaskKind::UseCase } else { TaskKind::Demonstrate };
        let overlap = if kind == TaskKind::Demonstrate { Some(1) } else { None };
        store.add_task(
            Actor::Operator,
            project,
            &NewTask { overlap, ..NewTask::new(kind, Some(prompt), Vec::new()) },
        )?;
    }
    let few_shot = WriteBrief { style: label::PromptStyle::FewShot, use_case: None };
    let new = NewTask { brief: few_shot, overlap: Some(1), ..NewTask::new(TaskKind::WritePrompt, None, Vec::new()) };
    store.add_task(Actor::Operator, project, &new)?;
    let plain = MakeTasks { overlap: Some(1), limit: Some(2), ..MakeTasks::of(TaskKind::WritePrompt) };
    store.make_tasks(Actor::Operator, project, &plain)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rows_are_rows() {
        let rows = shipped(ANSWERS);
        assert_eq!((rows.len(), shipped(PROMPTS).len()), (16, 8));
        for (row, line) in rows.iter().zip(ANSWERS.lines()) {
            assert_eq!(row.candidates.len(), authors_ranks(line).len());
            assert!(row.candidates.len() >= 4 && row.prompt.use_case.is_some(), "{line}");
        }
    }

    #[test]
    fn a_simulated_labeler_without_noise_sees_the_order() {
        assert_eq!(seen(&[3, 1, 1, 2], &mut || 1.0), [4, 1, 2, 3]);
        // Always below both shares: every neighbour is swapped and tied.
        assert_eq!(seen(&[1, 2, 3], &mut || 0.0), [1, 1, 1]);
    }
}

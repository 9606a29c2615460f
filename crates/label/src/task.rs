//! Tasks: what is to be done, how often, and by whom.

use std::fmt;
use std::str::FromStr;

use record::Prompt;
use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::database::{Row, Transaction, Value, values};
use crate::prompt::{from_json, opening};
use crate::{Actor, Body, Id, Judgement, LabelError, Project, PromptStyle, Result, Role, Store};
use crate::{candidate, judgement, project};

/// What is done in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Write a prompt.
    WritePrompt,
    /// Write the answer to a prompt.
    Demonstrate,
    /// Rate each answer by itself.
    Rate,
    /// Put the answers in order.
    Rank,
    /// Say which of two answers is better.
    Pairwise,
    /// Write the next message of a conversation.
    Continue,
    /// Accept or refuse what somebody wrote.
    Review,
    /// Say which class a prompt is of.
    UseCase,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [TaskKind; 8] = [
        TaskKind::WritePrompt,
        TaskKind::Demonstrate,
        TaskKind::Rate,
        TaskKind::Rank,
        TaskKind::Pairwise,
        TaskKind::Continue,
        TaskKind::Review,
        TaskKind::UseCase,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WritePrompt => "write_prompt",
            Self::Demonstrate => "demonstrate",
            Self::Rate => "rate",
            Self::Rank => "rank",
            Self::Pairwise => "pairwise",
            Self::Continue => "continue",
            Self::Review => "review",
            Self::UseCase => "use_case",
        }
    }

    /// How many answers a task of the kind may have.
    pub fn answers(self, ranking: &crate::RankingSettings) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Rank => ranking.k_min..=ranking.k_max,
            Self::Pairwise => 2..=2,
            Self::Rate => 1..=9,
            Self::Review => 0..=1,
            Self::WritePrompt | Self::Demonstrate | Self::Continue | Self::UseCase => 0..=0,
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskKind {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<TaskKind> {
        let known = TaskKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        let names: Vec<&str> = TaskKind::ALL.iter().map(|kind| kind.as_str()).collect();
        known.ok_or_else(|| LabelError::invalid("kind", format!("{text:?}"), format!("one of {}", names.join(", "))))
    }
}

/// Why a task is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// For its judgements.
    #[default]
    Ordinary,
    /// To check, among the others, against a known answer.
    Gold,
    /// To pass before the work.
    Qualification,
    /// To decide where people disagreed.
    Adjudication,
}

impl Purpose {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Gold => "gold",
            Self::Qualification => "qualification",
            Self::Adjudication => "adjudication",
        }
    }
}

impl FromStr for Purpose {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Purpose> {
        let all = [Self::Ordinary, Self::Gold, Self::Qualification, Self::Adjudication];
        let known = all.into_iter().find(|purpose| purpose.as_str() == text);
        let expected = "ordinary, gold, qualification or adjudication";
        known.ok_or_else(|| LabelError::invalid("purpose", format!("{text:?}"), expected))
    }
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Judgements are wanted.
    Open,
    /// All are there.
    Complete,
    /// None is wanted any more.
    Withdrawn,
}

impl TaskState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl FromStr for TaskState {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<TaskState> {
        let known = [Self::Open, Self::Complete, Self::Withdrawn].into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| LabelError::invalid("state", format!("{text:?}"), "open, complete or withdrawn"))
    }
}

/// What a prompt that is to be written should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WriteBrief {
    /// What kind.
    pub style: PromptStyle,
    /// Of which use-case.
    pub use_case: Option<String>,
}

/// A task to be made.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// What is done.
    pub kind: TaskKind,
    /// On which prompt; none for writing one.
    pub prompt: Option<Id>,
    /// The answers, of that prompt.
    pub candidates: Vec<Id>,
    /// How many people do it; the project's number when absent.
    pub overlap: Option<u32>,
    /// Higher comes first; the prompt's when absent.
    pub priority: Option<f64>,
    /// Why.
    pub purpose: Purpose,
    /// The known answer, for gold and qualification.
    pub gold: Option<Body>,
    /// What is to be written.
    pub brief: WriteBrief,
}

impl NewTask {
    /// An ordinary task.
    pub fn new(kind: TaskKind, prompt: Option<Id>, candidates: Vec<Id>) -> NewTask {
        let (overlap, priority, gold) = (None, None, None);
        let (purpose, brief) = (Purpose::Ordinary, WriteBrief::default());
        NewTask { kind, prompt, candidates, overlap, priority, purpose, gold, brief }
    }
}

/// Which tasks to make of a project's prompts.
#[derive(Clone, Debug)]
pub struct MakeTasks {
    /// What is done.
    pub kind: TaskKind,
    /// Answers a task; as many as the prompt has and the kind allows when absent.
    pub k: Option<usize>,
    /// How many people do each; the project's number when absent.
    pub overlap: Option<u32>,
    /// At most so many. Needed for writing prompts, which come from nothing.
    pub limit: Option<usize>,
}

impl MakeTasks {
    /// All tasks of a kind that can be made.
    pub fn of(kind: TaskKind) -> MakeTasks {
        MakeTasks { kind, k: None, overlap: None, limit: None }
    }
}

/// Which tasks to list.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    /// Only in a state.
    pub state: Option<TaskState>,
    /// Only of a kind.
    pub kind: Option<TaskKind>,
    /// Only with a higher number.
    pub after: Id,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

/// A task in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskSummary {
    /// Number.
    pub id: Id,
    /// What is done.
    pub kind: TaskKind,
    /// Why.
    pub purpose: Purpose,
    /// How far it is.
    pub state: TaskState,
    /// Judgements that are wanted.
    pub overlap: i64,
    /// Judgements that are there.
    pub n_done: i64,
    /// People at work on it.
    pub n_leased: i64,
    /// Higher comes first.
    pub priority: f64,
    /// On which prompt.
    pub prompt: Option<Id>,
    /// How the prompt begins.
    pub opening: String,
}

/// A task with all that was said.
#[derive(Clone, Debug, Serialize)]
pub struct TaskView {
    /// Number.
    pub task: Id,
    /// Its project.
    pub project: Id,
    /// What is done.
    pub kind: TaskKind,
    /// Why.
    pub purpose: Purpose,
    /// How far it is.
    pub state: TaskState,
    /// On which prompt.
    pub prompt: Option<Prompt>,
    /// The answers, with their origins.
    pub candidates: Vec<Candidate>,
    /// The known answer.
    pub gold: Option<Body>,
    /// What was said, corrected judgements too.
    pub judgements: Vec<Judgement>,
    /// The task that decides where people disagreed, if one was made.
    pub adjudication: Option<Id>,
}

/// A task on which people disagree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// The task.
    pub task: Id,
    /// Its prompt.
    pub prompt: Option<Id>,
    /// What is done.
    pub kind: TaskKind,
    /// Judgements.
    pub n: usize,
    /// Mean agreement of each two of them, 0 to 1.
    pub agreement: f64,
    /// Whether a reviewer was asked to decide.
    pub adjudicated: bool,
}

impl Store {
    /// Makes a task.
    pub fn add_task(&self, actor: Actor, project: Id, new: &NewTask) -> Result<Id> {
        actor.require(Role::Manager)?;
        let now = self.now_ms();
        let id = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            insert(transaction, &project, new, now)
        })?;
        self.note_in(actor, Some(project), "task.add", &format!("task {id}"), new.kind.as_str())?;
        Ok(id)
    }

    /// Takes a task back; what was said stays.
    pub fn withdraw_task(&self, actor: Actor, task: Id, reason: &str) -> Result<()> {
        actor.require(Role::Manager)?;
        let project = self.write(|transaction| {
            let sql = "UPDATE task SET state = 'withdrawn' WHERE id = ?1 RETURNING project_id";
            let row = transaction.row(sql, values![task])?;
            row.map(|row| row.integer(0)).ok_or_else(|| LabelError::not_found("task", task))
        })?;
        self.note_in(actor, Some(project), "task.withdraw", &format!("task {task}"), reason)
    }

    /// A task with all that was said.
    pub fn task(&self, actor: Actor, id: Id) -> Result<TaskView> {
        actor.require(Role::Reviewer)?;
        self.read(|transaction| {
            let sql = "SELECT t.project_id, t.kind, t.purpose, t.state, p.content, t.gold, \
                       (SELECT MAX(a.id) FROM task a WHERE a.about = t.id) \
                       FROM task t LEFT JOIN prompt p ON p.id = t.prompt_id WHERE t.id = ?1";
            let row = transaction.row(sql, values![id])?.ok_or_else(|| LabelError::not_found("task", id))?;
            let project = project::project(transaction, row.integer(0))?;
            Ok(TaskView {
                task: id,
                project: project.id,
                kind: row.text(1).parse()?,
                purpose: row.text(2).parse()?,
                state: row.text(3).parse()?,
                prompt: row.optional_text(4).map(|text| from_json(&text)),
                candidates: candidate::of_task(transaction, id)?,
                gold: row.optional_text(5).map(|text| judgement::parse(&text, id)).transpose()?,
                judgements: judgement::select(transaction, &project, "j.task_id = ?1 ORDER BY j.id", values![id])?,
                adjudication: row.optional_integer(6),
            })
        })
    }

    /// A project's tasks by number.
    pub fn tasks(&self, actor: Actor, project: Id, query: &TaskQuery) -> Result<Vec<TaskSummary>> {
        actor.require(Role::Reviewer)?;
        let limit = if query.limit == 0 { 100 } else { query.limit };
        self.read(|transaction| {
            let mut parameters: Vec<Value> = vec![project.into(), query.after.into(), limit.into()];
            let mut sql = "SELECT t.id, t.kind, t.purpose, t.state, t.overlap, t.n_done, t.n_leased, t.priority, \
                           t.prompt_id, p.content FROM task t LEFT JOIN prompt p ON p.id = t.prompt_id \
                           WHERE t.project_id = ?1 AND t.id > ?2"
                .to_owned();
            let conditions =
                [("state", query.state.map(TaskState::as_str)), ("kind", query.kind.map(TaskKind::as_str))];
            for (column, value) in conditions {
                if let Some(value) = value {
                    parameters.push(value.into());
                    sql += &format!(" AND t.{column} = ?{}", parameters.len());
                }
            }
            sql += " ORDER BY t.id LIMIT ?3";
            transaction.rows(&sql, &parameters)?.iter().map(summary).collect()
        })
    }
}

fn summary(row: &Row) -> Result<TaskSummary> {
    Ok(TaskSummary {
        id: row.integer(0),
        kind: row.text(1).parse()?,
        purpose: row.text(2).parse()?,
        state: row.text(3).parse()?,
        overlap: row.integer(4),
        n_done: row.integer(5),
        n_leased: row.integer(6),
        priority: row.real(7),
        prompt: row.optional_integer(8),
        opening: row.optional_text(9).map(|text| opening(&from_json(&text))).unwrap_or_default(),
    })
}

/// What else the store itself knows of a task that it makes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra {
    /// The task that it decides.
    pub about: Option<Id>,
    /// The message of a tree that it is on.
    pub message: Option<Id>,
    /// Who wrote what it shows, besides the answers' authors.
    pub author: Option<Id>,
    /// The lowest role that gets it.
    pub role: Option<Role>,
}

/// Makes a task, after checks.
pub(crate) fn insert(transaction: &mut Transaction<'_>, project: &Project, new: &NewTask, now: i64) -> Result<Id> {
    insert_with(transaction, project, new, Extra::default(), now)
}

/// Makes a task of which the store knows more.
pub(crate) fn insert_with(
    transaction: &mut Transaction<'_>,
    project: &Project,
    new: &NewTask,
    extra: Extra,
    now: i64,
) -> Result<Id> {
    let settings = &project.settings;
    check_material(transaction, project, new)?;
    if let Some(gold) = &new.gold {
        gold.check(new.kind, &new.candidates, settings)?;
    }
    if matches!(new.purpose, Purpose::Gold | Purpose::Qualification) && new.gold.is_none() {
        return Err(LabelError::invalid("gold", "nothing", "the known answer"));
    }
    let prompt_priority = match new.prompt {
        Some(prompt) => transaction.row("SELECT priority FROM prompt WHERE id = ?1", values![prompt])?,
        None => None,
    };
    let priority = new.priority.or(prompt_priority.map(|row| row.real(0))).filter(|p| p.is_finite()).unwrap_or(0.0);
    // Everybody does a gold or qualification item: they never fill up.
    let overlap = match new.purpose {
        Purpose::Gold | Purpose::Qualification => 1_000_000,
        Purpose::Adjudication => 1,
        Purpose::Ordinary => new.overlap.unwrap_or(settings.overlap),
    };
    let by_role = match (new.purpose, new.kind) {
        (Purpose::Adjudication, _) => Role::Reviewer,
        (_, TaskKind::Review) => settings.review.by,
        _ => Role::Labeler,
    };
    let role = extra.role.unwrap_or(by_role);
    let brief = (new.kind == TaskKind::WritePrompt).then(|| json(&new.brief));
    let gold = new.gold.as_ref().map(json);
    let sql = "INSERT INTO task (project_id, kind, purpose, state, prompt_id, overlap, n_done, n_leased, priority, \
               role, about, brief, gold, message_id, created_ms) \
               VALUES (?1, ?2, ?3, 'open', ?4, ?5, 0, 0, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let (kind, purpose) = (new.kind.as_str(), new.purpose.as_str());
    let id = transaction.insert(
        sql,
        values![
            project.id,
            kind,
            purpose,
            new.prompt,
            overlap,
            priority,
            role.as_str(),
            extra.about,
            brief,
            gold,
            extra.message,
            now
        ],
    )?;
    for (place, candidate) in new.candidates.iter().enumerate() {
        let sql = "INSERT INTO task_candidate (task_id, place, candidate_id) VALUES (?1, ?2, ?3)";
        transaction.change(sql, values![id, place, *candidate])?;
    }
    let sql = "INSERT INTO task_author (task_id, person_id) \
               SELECT DISTINCT t.task_id, c.author_id FROM task_candidate t JOIN candidate c ON c.id = t.candidate_id \
               WHERE t.task_id = ?1 AND c.author_id IS NOT NULL";
    transaction.change(sql, values![id])?;
    if let Some(author) = extra.author {
        let sql = "INSERT INTO task_author (task_id, person_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        transaction.change(sql, values![id, author])?;
    }
    Ok(id)
}

/// Refuses answers of other prompts, too many or too few of them, and prompts of other projects.
fn check_material(transaction: &mut Transaction<'_>, project: &Project, new: &NewTask) -> Result<()> {
    let range = new.kind.answers(&project.settings.ranking);
    let n = new.candidates.len();
    if !range.contains(&n) {
        let expected = format!("{} to {} for the kind {}", range.start(), range.end(), new.kind);
        return Err(LabelError::invalid("candidates", n.to_string(), expected));
    }
    match new.prompt {
        Some(prompt) => {
            let sql = "SELECT COUNT(*) FROM prompt WHERE id = ?1 AND project_id = ?2 AND state = 'open'";
            if transaction.number(sql, values![prompt, project.id])? == 0 {
                return Err(LabelError::not_found("prompt", prompt));
            }
        }
        None if new.kind == TaskKind::WritePrompt => {}
        None => return Err(LabelError::invalid("prompt", "nothing", "a prompt of the project")),
    }
    for (i, &candidate) in new.candidates.iter().enumerate() {
        let sql = "SELECT COUNT(*) FROM candidate WHERE id = ?1 AND prompt_id = ?2";
        let fits = transaction.number(sql, values![candidate, new.prompt.unwrap_or(-1)])? == 1;
        if !fits || new.candidates[..i].contains(&candidate) {
            let found = format!("answer {candidate}");
            return Err(LabelError::invalid("candidates", found, "different answers to the task's prompt"));
        }
    }
    Ok(())
}

/// What is stored of a value of ours.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("plain data: {error}"))
}

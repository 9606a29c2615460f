//! Who gets which task, for how long.
//!
//! A task is given to a person for a while (a lease). Nobody gets a task twice, nor one that shows
//! their own words. The order in which answers are shown is drawn for each lease from a stream of
//! the project's seed, and kept.

use record::{Prompt, Role as Speaker};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::candidate;
use crate::check;
use crate::database::{Row, Transaction, values};
use crate::prompt::from_json;
use crate::{
    Field, FieldOf, Id, LabelError, Person, Project, ProjectState, Purpose, RankingSettings, Result, Role, Store,
    TaskKind, WriteBrief,
};
use crate::{people, project, qualification, random};

/// The largest draft, in bytes.
const DRAFT_BYTES_MAX: usize = 256 << 10;

/// What comes next for a person.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// A task.
    Task(Box<Assignment>),
    /// They have done all that there is for them.
    Nothing,
    /// Others hold what is left.
    Waiting {
        /// When the first of them runs out.
        leased_until_ms: i64,
    },
    /// They didn't pass the test.
    NotQualified {
        /// Their agreement with the known answers.
        found: f64,
        /// The agreement that passes.
        needed: f64,
    },
    /// The project gives out no work.
    Paused,
}

/// A task in somebody's hands.
#[derive(Clone, Debug, Serialize)]
pub struct Assignment {
    /// What the form must carry; empty when a judgement is being corrected.
    pub lease: String,
    /// Until when the task is kept for them.
    pub expires_ms: i64,
    /// The task.
    pub task: Id,
    /// Its project.
    pub project: Id,
    /// What is to be done.
    pub kind: TaskKind,
    /// On what.
    pub prompt: Option<Prompt>,
    /// What to write, when a prompt is to be written.
    pub brief: Option<WriteBrief>,
    /// The answers in the order to show them. Where they came from isn't told.
    pub answers: Vec<Shown>,
    /// The questions that this task asks.
    pub fields: Vec<Field>,
    /// How rankings are made.
    pub ranking: RankingSettings,
    /// The project's classes of prompts.
    pub use_cases: Vec<String>,
    /// What may be said when skipping.
    pub skip_reasons: Vec<String>,
    /// The guide that stands beside it.
    pub guide_version: i64,
    /// What was typed so far.
    pub draft: Option<Draft>,
    /// Whose message is to be written, when a conversation is continued.
    pub role_to_write: Option<Speaker>,
}

/// An answer as labelers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Number.
    pub candidate: Id,
    /// The answer.
    pub text: String,
}

/// What was typed so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// The form's content, as the page wrote it.
    pub body: Json,
    /// Seconds spent.
    pub seconds: f64,
    /// When it was saved.
    pub saved_ms: i64,
}

/// How far a person is in a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Tasks done.
    pub done: i64,
    /// Tasks skipped.
    pub skipped: i64,
    /// Tasks done since midnight, UTC.
    pub done_today: i64,
    /// The median of the seconds that a task took.
    pub seconds_median: Option<f64>,
    /// Tasks that are left for this person.
    pub remaining: i64,
    /// Ordinary tasks of the project.
    pub total: i64,
    /// Those of them that have all their judgements.
    pub complete: i64,
}

/// A lease as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub id: Id,
    pub token: String,
    pub task: Id,
    pub project: Id,
    pub person: Id,
    /// "active", "submitted", "skipped" or "expired".
    pub state: String,
    /// The answers in the order shown.
    pub shown: Vec<Id>,
    pub guide_version: i64,
    pub expires_ms: i64,
}

impl Store {
    /// The next task for a person. One that they hold comes back as it was, with its draft.
    /// `kinds` limits the choice; empty means any.
    pub fn next_task(&self, person: Id, project: Id, kinds: &[TaskKind]) -> Result<Next> {
        let (now, token) = (self.now_ms(), random::secret()?);
        self.write_relaxed(|transaction| {
            let project = project::project(transaction, project)?;
            let person = people::person(transaction, person)?;
            if !person.active {
                return Err(LabelError::not_found("person", person.id));
            }
            expire(transaction, now)?;
            if let Some(lease) = held(transaction, &person, &project, kinds)? {
                return Ok(Next::Task(Box::new(load(transaction, &project, &lease)?)));
            }
            if project.state != ProjectState::Open {
                return Ok(Next::Paused);
            }
            let task = match choose(transaction, &project, &person, kinds)? {
                Choice::Task(task) => task,
                Choice::Other(next) => return Ok(next),
            };
            let lease = grant(transaction, &project, &person, task, &token, now)?;
            Ok(Next::Task(Box::new(load(transaction, &project, &lease)?)))
        })
    }

    /// The task of a lease, also of one that has ended: a late form can be read by it.
    pub fn assignment(&self, person: Id, lease: &str) -> Result<Assignment> {
        self.read(|transaction| {
            let lease = by_token(transaction, person, lease)?;
            let project = project::project(transaction, lease.project)?;
            load(transaction, &project, &lease)
        })
    }

    /// The task of a judgement of one's own as it was shown then, for correcting it.
    pub fn assignment_of(&self, person: Id, judgement: Id) -> Result<Assignment> {
        self.read(|transaction| {
            let sql = "SELECT 0, '', task_id, project_id, person_id, 'submitted', shown, guide_version, 0 \
                       FROM judgement WHERE id = ?1 AND person_id = ?2";
            let row = transaction.row(sql, values![judgement, person])?;
            let lease = of_row(&row.ok_or_else(|| LabelError::not_found("judgement", judgement))?);
            let project = project::project(transaction, lease.project)?;
            Ok(Assignment { draft: None, ..load(transaction, &project, &lease)? })
        })
    }

    /// Keeps what was typed so far; a lease that is more than half over is renewed.
    pub fn save_draft(&self, person: Id, lease: &str, body: &Json, seconds: f64) -> Result<()> {
        let text = body.to_string();
        check::optional_text("draft", &text, DRAFT_BYTES_MAX)?;
        // In JSON the character is six others.
        if text.contains("\\u0000") {
            return Err(LabelError::invalid("draft", "a NUL character", "text"));
        }
        let (now, seconds) = (self.now_ms(), check::seconds(Some(seconds)).unwrap_or(0.0));
        self.write_relaxed(|transaction| {
            let lease = by_token(transaction, person, lease)?;
            if lease.state == "submitted" {
                // The answer overtook the draft: there is nothing left to keep.
                return Ok(());
            }
            let sql = "INSERT INTO draft (task_id, person_id, body, seconds, saved_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
                       ON CONFLICT (task_id, person_id) DO UPDATE \
                       SET body = excluded.body, seconds = excluded.seconds, saved_ms = excluded.saved_ms";
            transaction.change(sql, values![lease.task, person, &text, seconds, now])?;
            let length = lease_ms(&project::project(transaction, lease.project)?);
            if lease.state == "active" && lease.expires_ms - now < length / 2 {
                let sql = "UPDATE lease SET expires_ms = ?2 WHERE id = ?1";
                transaction.change(sql, values![lease.id, now + length])?;
            }
            Ok(())
        })
    }

    /// Keeps a task for longer; until when.
    pub fn renew_lease(&self, person: Id, lease: &str) -> Result<i64> {
        let now = self.now_ms();
        self.write_relaxed(|transaction| {
            let lease = by_token(transaction, person, lease)?;
            let until = now + lease_ms(&project::project(transaction, lease.project)?);
            let sql = "UPDATE lease SET expires_ms = ?2 WHERE id = ?1 AND state = 'active'";
            if transaction.change(sql, values![lease.id, until])? == 0 {
                return Err(LabelError::LeaseExpired { task: lease.task });
            }
            Ok(until)
        })
    }

    /// Gives a task back for good, with a reason.
    pub fn skip(&self, person: Id, lease: &str, reason: &str) -> Result<()> {
        check::text("reason", reason, 2000)?;
        let now = self.now_ms();
        self.write(|transaction| {
            let lease = by_token(transaction, person, lease)?;
            let sql = "UPDATE lease SET state = 'skipped', reason = ?2, ended_ms = ?3 \
                       WHERE id = ?1 AND state IN ('active', 'expired')";
            if transaction.change(sql, values![lease.id, reason, now])? > 0 && lease.state == "active" {
                transaction.change("UPDATE task SET n_leased = n_leased - 1 WHERE id = ?1", values![lease.task])?;
            }
            let sql = "DELETE FROM draft WHERE task_id = ?1 AND person_id = ?2";
            transaction.change(sql, values![lease.task, person])?;
            Ok(())
        })
    }

    /// How far a person is.
    pub fn progress(&self, person: Id, project: Id) -> Result<Progress> {
        let midnight = self.now_ms().div_euclid(86_400_000) * 86_400_000;
        self.read(|transaction| {
            let project = project::project(transaction, project)?;
            let who = people::person(transaction, person)?;
            let sql = "SELECT seconds, created_ms FROM judgement \
                       WHERE person_id = ?1 AND project_id = ?2 AND corrects IS NULL";
            let own = transaction.rows(sql, values![person, project.id])?;
            let mut seconds: Vec<f64> = own.iter().filter_map(|row| row.optional_real(0)).collect();
            seconds.sort_by(f64::total_cmp);
            let sql = "SELECT COUNT(*) FROM lease WHERE person_id = ?1 AND project_id = ?2 AND state = 'skipped'";
            let skipped = transaction.number(sql, values![person, project.id])?;
            let sql = format!(
                "SELECT COUNT(*) FROM task t WHERE {}",
                suits(&who, &[], "ordinary") + " AND t.n_done < t.overlap"
            );
            let remaining = transaction.number(&sql, values![project.id, person])?;
            let sql = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN state = 'complete' THEN 1 ELSE 0 END), 0) FROM task \
                       WHERE project_id = ?1 AND purpose = 'ordinary' AND state <> 'withdrawn'";
            let all = transaction.row(sql, values![project.id])?.unwrap_or_else(|| Row(Vec::new()));
            Ok(Progress {
                done: own.len() as i64,
                skipped,
                done_today: own.iter().filter(|row| row.integer(1) >= midnight).count() as i64,
                seconds_median: (!seconds.is_empty()).then(|| statistics::bootstrap::quantile(&seconds, 0.5)),
                remaining,
                total: all.integer(0),
                complete: all.integer(1),
            })
        })
    }
}

/// Ends leases whose time is over.
pub(crate) fn expire(transaction: &mut Transaction<'_>, now: i64) -> Result<()> {
    let sql = "UPDATE lease SET state = 'expired', ended_ms = ?1 WHERE state = 'active' AND expires_ms <= ?1 \
               RETURNING task_id";
    for row in transaction.rows(sql, values![now])? {
        transaction.change("UPDATE task SET n_leased = n_leased - 1 WHERE id = ?1", values![row.integer(0)])?;
    }
    Ok(())
}

const SELECT: &str = "SELECT l.id, l.token, l.task_id, l.project_id, l.person_id, l.state, l.shown, l.guide_version, l.expires_ms \
     FROM lease l";

/// A person's lease by its token; others' are as unknown as forged ones.
pub(crate) fn by_token(transaction: &mut Transaction<'_>, person: Id, token: &str) -> Result<Lease> {
    let row = transaction.row(&format!("{SELECT} WHERE l.token = ?1"), values![token])?;
    row.as_ref().map(of_row).filter(|lease| lease.person == person).ok_or(LabelError::LeaseUnknown)
}

fn of_row(row: &Row) -> Lease {
    Lease {
        id: row.integer(0),
        token: row.text(1),
        task: row.integer(2),
        project: row.integer(3),
        person: row.integer(4),
        state: row.text(5),
        shown: serde_json::from_str(&row.text(6)).unwrap_or_default(),
        guide_version: row.integer(7),
        expires_ms: row.integer(8),
    }
}

/// The task that a person holds.
fn held(
    transaction: &mut Transaction<'_>,
    person: &Person,
    project: &Project,
    kinds: &[TaskKind],
) -> Result<Option<Lease>> {
    let sql = format!(
        "{SELECT} JOIN task t ON t.id = l.task_id WHERE l.person_id = ?1 AND l.project_id = ?2 \
         AND l.state = 'active' AND t.state = 'open'{} ORDER BY l.id LIMIT 1",
        of_kinds(kinds)
    );
    Ok(transaction.row(&sql, values![person.id, project.id])?.as_ref().map(of_row))
}

/// A condition on the kind; the names are ours.
fn of_kinds(kinds: &[TaskKind]) -> String {
    if kinds.is_empty() {
        return String::new();
    }
    let names: Vec<String> = kinds.iter().map(|kind| format!("'{kind}'")).collect();
    format!(" AND t.kind IN ({})", names.join(", "))
}

/// The condition that a task suits a person: of their role, not theirs, not had before.
fn suits(person: &Person, kinds: &[TaskKind], purpose: &str) -> String {
    let roles = Role::ALL.into_iter().filter(|role| *role <= person.role);
    let roles: Vec<String> = roles.map(|role| format!("'{role}'")).collect();
    format!(
        "t.project_id = ?1 AND t.state = 'open' AND t.purpose = '{purpose}'{} AND t.role IN ({}) \
         AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.task_id = t.id AND l.person_id = ?2 \
                         AND l.state IN ('active', 'submitted', 'skipped')) \
         AND NOT EXISTS (SELECT 1 FROM task_author a WHERE a.task_id = t.id AND a.person_id = ?2)",
        of_kinds(kinds),
        roles.join(", ")
    )
}

enum Choice {
    Task(Id),
    Other(Next),
}

/// Which task a person gets: first the test, now and then a gold item, else the first that suits.
fn choose(transaction: &mut Transaction<'_>, project: &Project, person: &Person, kinds: &[TaskKind]) -> Result<Choice> {
    if project.settings.qualification.required && person.role == Role::Labeler {
        if let Some(task) = pick(transaction, project, person, &[], Purpose::Qualification)? {
            return Ok(Choice::Task(task));
        }
        if let Some((agreement, false)) = qualification::result(transaction, project.id, person.id)? {
            let needed = project.settings.qualification.agreement_min;
            return Ok(Choice::Other(Next::NotQualified { found: agreement, needed }));
        }
    }
    if person.role >= Role::Reviewer
        && let Some(task) = pick(transaction, project, person, kinds, Purpose::Adjudication)?
    {
        return Ok(Choice::Task(task));
    }
    if let Some(ordinary) = pick(transaction, project, person, kinds, Purpose::Ordinary)? {
        // Gold items come among the others, never at the end, where they would be known for what they are.
        let gold = if gold_is_due(transaction, project, person)? {
            pick(transaction, project, person, kinds, Purpose::Gold)?
        } else {
            None
        };
        return Ok(Choice::Task(gold.unwrap_or(ordinary)));
    }
    let sql = format!(
        "SELECT MIN(h.expires_ms) FROM lease h JOIN task t ON t.id = h.task_id \
         WHERE h.state = 'active' AND {} AND t.n_done < t.overlap",
        suits(person, kinds, "ordinary")
    );
    let until = transaction.row(&sql, values![project.id, person.id])?.and_then(|row| row.optional_integer(0));
    Ok(Choice::Other(until.map_or(Next::Nothing, |leased_until_ms| Next::Waiting { leased_until_ms })))
}

/// The first task that suits a person and has room.
fn pick(
    transaction: &mut Transaction<'_>,
    project: &Project,
    person: &Person,
    kinds: &[TaskKind],
    purpose: Purpose,
) -> Result<Option<Id>> {
    let sql = format!(
        "SELECT t.id FROM task t WHERE {} AND t.n_done + t.n_leased < t.overlap \
         ORDER BY t.priority DESC, t.id LIMIT 1",
        suits(person, kinds, purpose.as_str())
    );
    Ok(transaction.row(&sql, values![project.id, person.id])?.map(|row| row.integer(0)))
}

/// Whether a person has done enough ordinary tasks since their last gold item.
fn gold_is_due(transaction: &mut Transaction<'_>, project: &Project, person: &Person) -> Result<bool> {
    let every = i64::from(project.settings.gold.every);
    if every == 0 {
        return Ok(false);
    }
    let sql = "SELECT COUNT(*) FROM judgement j JOIN task t ON t.id = j.task_id \
               WHERE j.person_id = ?1 AND j.project_id = ?2 AND j.corrects IS NULL AND t.purpose = 'ordinary' \
               AND j.id > (SELECT COALESCE(MAX(g.id), 0) FROM judgement g JOIN task s ON s.id = g.task_id \
                           WHERE g.person_id = ?1 AND g.project_id = ?2 AND s.purpose = 'gold')";
    Ok(transaction.number(sql, values![person.id, project.id])? >= every)
}

fn lease_ms(project: &Project) -> i64 {
    i64::from(project.settings.lease_minutes) * 60_000
}

/// Gives a task to a person.
fn grant(
    transaction: &mut Transaction<'_>,
    project: &Project,
    person: &Person,
    task: Id,
    token: &str,
    now: i64,
) -> Result<Lease> {
    let sql = "INSERT INTO lease (token, task_id, project_id, person_id, state, shown, guide_version, created_ms, \
               expires_ms) VALUES (?1, ?2, ?3, ?4, 'active', '[]', ?5, ?6, ?7)";
    let expires_ms = now + lease_ms(project);
    let guide_version = project.guide_version;
    let id = transaction.insert(sql, values![token, task, project.id, person.id, guide_version, now, expires_ms])?;
    let (seed, _) = project::secrets(transaction, project.id)?;
    let mut shown: Vec<Id> = candidate::of_task(transaction, task)?.iter().map(|candidate| candidate.id).collect();
    seed.stream("shown", id as u64).shuffle(&mut shown);
    let text = crate::task::json(&shown);
    transaction.change("UPDATE lease SET shown = ?2 WHERE id = ?1", values![id, text])?;
    transaction.change("UPDATE task SET n_leased = n_leased + 1 WHERE id = ?1", values![task])?;
    let (token, state) = (token.to_owned(), "active".to_owned());
    Ok(Lease { id, token, task, project: project.id, person: person.id, state, shown, guide_version, expires_ms })
}

/// All that the page of a lease shows.
fn load(transaction: &mut Transaction<'_>, project: &Project, lease: &Lease) -> Result<Assignment> {
    let sql = "SELECT t.kind, p.content, t.brief, m.role, d.body, d.seconds, d.saved_ms FROM task t \
               LEFT JOIN prompt p ON p.id = t.prompt_id LEFT JOIN message m ON m.id = t.message_id \
               LEFT JOIN draft d ON d.task_id = t.id AND d.person_id = ?2 WHERE t.id = ?1";
    let row = transaction.row(sql, values![lease.task, lease.person])?;
    let row = row.ok_or_else(|| LabelError::not_found("task", lease.task))?;
    let kind: TaskKind = row.text(0).parse()?;
    let candidates = candidate::of_task(transaction, lease.task)?;
    let find = |id: &Id| candidates.iter().find(|candidate| candidate.id == *id);
    let answers = lease.shown.iter().filter_map(find);
    let brief = row.optional_text(2).and_then(|text| serde_json::from_str(&text).ok());
    let draft = row.optional_text(4).map(|text| Draft {
        body: serde_json::from_str(&text).unwrap_or_default(),
        seconds: row.real(5),
        saved_ms: row.integer(6),
    });
    let role_to_write = match (kind, row.optional_text(3).as_deref()) {
        (TaskKind::Continue, Some("assistant")) => Some(Speaker::User),
        (TaskKind::Continue, _) => Some(Speaker::Assistant),
        _ => None,
    };
    Ok(Assignment {
        lease: lease.token.clone(),
        expires_ms: lease.expires_ms,
        task: lease.task,
        project: project.id,
        kind,
        prompt: row.optional_text(1).map(|text| from_json(&text)),
        brief,
        answers: answers.map(|c| Shown { candidate: c.id, text: c.text.clone() }).collect(),
        fields: fields(project, kind),
        ranking: project.settings.ranking.clone(),
        use_cases: project.settings.use_cases.clone(),
        skip_reasons: project.settings.skip_reasons.clone(),
        guide_version: lease.guide_version,
        draft,
        role_to_write,
    })
}

/// The questions that a task of a kind asks.
fn fields(project: &Project, kind: TaskKind) -> Vec<Field> {
    let settings = &project.settings;
    match kind {
        TaskKind::Rate => settings.fields_of(FieldOf::Answer),
        TaskKind::Rank | TaskKind::Pairwise if settings.ranking.rate_each => settings.fields_of(FieldOf::Answer),
        TaskKind::Demonstrate => settings.fields_of(FieldOf::Demonstration),
        TaskKind::Review => settings.fields_of(FieldOf::Review),
        TaskKind::UseCase => settings.fields_of(FieldOf::Prompt),
        _ => Vec::new(),
    }
}

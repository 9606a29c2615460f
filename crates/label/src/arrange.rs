//! Tasks made of what a project holds: for every prompt that has none yet, for what people
//! disagree on, and for what has to be reviewed.

use crate::agreement::pairwise_agreement;
use crate::database::{Transaction, values};
use crate::task::{Extra, insert, insert_with};
use crate::{Actor, Disagreement, Id, LabelError, MakeTasks, NewTask, Project, Purpose, Result, Role, Store, TaskKind};
use crate::{candidate, judgement, project};

impl Store {
    /// Makes a task for every prompt with enough answers that has none of the kind; how many.
    pub fn make_tasks(&self, actor: Actor, project: Id, make: &MakeTasks) -> Result<usize> {
        actor.require(Role::Manager)?;
        let now = self.now_ms();
        let n = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            if make.kind == TaskKind::WritePrompt {
                return make_briefs(transaction, &project, make, now);
            }
            make_of_prompts(transaction, &project, make, now)
        })?;
        let details = format!("{n} of kind {}", make.kind);
        self.note_in(actor, Some(project), "task.make", &format!("project {project}"), &details)?;
        Ok(n)
    }

    /// Makes a task for a reviewer, who decides where people disagreed.
    pub fn add_adjudication(&self, actor: Actor, task: Id) -> Result<Id> {
        actor.require(Role::Reviewer)?;
        let now = self.now_ms();
        let (project, id) = self.write(|transaction| {
            let sql = "SELECT project_id, kind, prompt_id, (SELECT MAX(a.id) FROM task a WHERE a.about = task.id) \
                       FROM task WHERE id = ?1 AND purpose = 'ordinary'";
            let row = transaction.row(sql, values![task])?.ok_or_else(|| LabelError::not_found("task", task))?;
            if let Some(made) = row.optional_integer(3) {
                return Ok((row.integer(0), made));
            }
            let project = project::project(transaction, row.integer(0))?;
            let candidates = candidate::of_task(transaction, task)?.iter().map(|candidate| candidate.id).collect();
            let new = NewTask {
                purpose: Purpose::Adjudication,
                ..NewTask::new(row.text(1).parse()?, row.optional_integer(2), candidates)
            };
            let extra = Extra { about: Some(task), ..Extra::default() };
            Ok((project.id, insert_with(transaction, &project, &new, extra, now)?))
        })?;
        self.note_in(actor, Some(project), "task.adjudicate", &format!("task {task}"), &format!("task {id}"))?;
        Ok(id)
    }

    /// Tasks with two judgements or more, those on which people disagree most first.
    pub fn disagreements(&self, actor: Actor, project: Id, limit: usize) -> Result<Vec<Disagreement>> {
        actor.require(Role::Reviewer)?;
        let mut found = self.read(|transaction| {
            let project = project::project(transaction, project)?;
            let condition = "j.project_id = ?1 AND t.purpose = 'ordinary' AND t.n_done >= 2 \
                             AND NOT EXISTS (SELECT 1 FROM judgement c WHERE c.corrects = j.id) \
                             ORDER BY j.task_id, j.id";
            let judgements = judgement::select(transaction, &project, condition, values![project.id])?;
            let sql = "SELECT DISTINCT about FROM task WHERE project_id = ?1 AND about IS NOT NULL";
            let decided: Vec<Id> =
                transaction.rows(sql, values![project.id])?.iter().map(|row| row.integer(0)).collect();
            let of_tasks = judgements.chunk_by(|a, b| a.task == b.task).filter_map(|of_task| {
                let first = &of_task[0];
                let agreement = pairwise_agreement(of_task)?;
                Some(Disagreement {
                    task: first.task,
                    prompt: first.prompt,
                    kind: first.kind,
                    n: of_task.len(),
                    agreement,
                    adjudicated: decided.contains(&first.task),
                })
            });
            Ok(of_tasks.collect::<Vec<_>>())
        })?;
        found.retain(|disagreement| disagreement.agreement < 1.0);
        found.sort_by(|a, b| a.agreement.total_cmp(&b.agreement).then(a.task.cmp(&b.task)));
        found.truncate(limit);
        Ok(found)
    }
}

/// Tasks of writing prompts: of each style in turn, and for each use-case in turn.
fn make_briefs(transaction: &mut Transaction<'_>, project: &Project, make: &MakeTasks, now: i64) -> Result<usize> {
    use crate::{PromptStyle, WriteBrief};
    let n = make.limit.ok_or_else(|| LabelError::invalid("limit", "nothing", "how many prompts to ask for"))?;
    let use_cases = &project.settings.use_cases;
    let styles = [PromptStyle::Plain, PromptStyle::FewShot, PromptStyle::UseCase];
    let sql = "SELECT COUNT(*) FROM task WHERE project_id = ?1 AND kind = 'write_prompt'";
    let before = transaction.number(sql, values![project.id])? as usize;
    for i in before..before + n {
        let style = styles[i % styles.len()];
        let use_case = match style {
            PromptStyle::UseCase if !use_cases.is_empty() => {
                Some(use_cases[i / styles.len() % use_cases.len()].clone())
            }
            _ => None,
        };
        let new = NewTask {
            overlap: make.overlap,
            brief: WriteBrief { style, use_case },
            ..NewTask::new(TaskKind::WritePrompt, None, Vec::new())
        };
        insert(transaction, project, &new, now)?;
    }
    Ok(n)
}

fn make_of_prompts(transaction: &mut Transaction<'_>, project: &Project, make: &MakeTasks, now: i64) -> Result<usize> {
    if make.kind == TaskKind::Continue {
        let expected = "another kind: conversations make their own tasks as they grow";
        return Err(LabelError::invalid("kind", "continue", expected));
    }
    let range = make.kind.answers(&project.settings.ranking);
    let k = make.k.unwrap_or(*range.end());
    if !range.contains(&k) {
        let expected = format!("{} to {} for the kind {}", range.start(), range.end(), make.kind);
        return Err(LabelError::invalid("k", k.to_string(), expected));
    }
    // A fixed k wants so many answers; without one as many as there are will do.
    let least = if make.k.is_some() { k } else { *range.start() };
    let use_case = if make.kind == TaskKind::UseCase { " AND p.use_case IS NULL" } else { "" };
    let sql = format!(
        "SELECT p.id FROM prompt p WHERE p.project_id = ?1 AND p.state = 'open'{use_case} \
         AND NOT EXISTS (SELECT 1 FROM task t WHERE t.prompt_id = p.id AND t.kind = ?2 AND t.purpose = 'ordinary') \
         AND (SELECT COUNT(*) FROM candidate c WHERE c.prompt_id = p.id) >= ?3 ORDER BY p.id LIMIT ?4"
    );
    let limit = make.limit.unwrap_or(1_000_000);
    let prompts = transaction.rows(&sql, values![project.id, make.kind.as_str(), least, limit])?;
    for row in &prompts {
        let prompt = row.integer(0);
        let sql = "SELECT id FROM candidate WHERE prompt_id = ?1 ORDER BY id LIMIT ?2";
        let candidates = transaction.rows(sql, values![prompt, k])?.iter().map(|row| row.integer(0)).collect();
        let new = NewTask { overlap: make.overlap, ..NewTask::new(make.kind, Some(prompt), candidates) };
        insert(transaction, project, &new, now)?;
    }
    Ok(prompts.len())
}

//! The judgements that statistics are computed of, read once: from the database or from rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::database::values;
use crate::{Body, Id, Judgement, Person, Project, Purpose, Result, Store, TaskKind, judgement, people, project};

/// All judgements in force of a project, or all that rows say.
pub struct Material {
    pub project: Project,
    /// By task, then by number.
    pub judgements: Vec<Judgement>,
    /// Known answers.
    pub gold: BTreeMap<Id, Body>,
    /// The answers of each task.
    pub candidates: BTreeMap<Id, Vec<Id>>,
    pub people: BTreeMap<Id, Person>,
    /// Tasks that each person skipped.
    pub skips: BTreeMap<Id, usize>,
    /// Who wrote an answer.
    pub authors: BTreeMap<Id, Id>,
}

impl Material {
    pub fn load(store: &Store, project: Id, group: Option<&str>) -> Result<Material> {
        store.read(|transaction| {
            let project = project::project(transaction, project)?;
            let condition = "j.project_id = ?1 AND NOT EXISTS (SELECT 1 FROM judgement x WHERE x.corrects = j.id) \
                             ORDER BY j.task_id, j.id";
            let mut judgements = judgement::select(transaction, &project, condition, values![project.id])?;
            let mut people = BTreeMap::new();
            for judgement in &judgements {
                if let Entry::Vacant(place) = people.entry(judgement.person) {
                    place.insert(people::person(transaction, judgement.person)?);
                }
            }
            if let Some(group) = group {
                people.retain(|_, person: &mut Person| person.group == group);
                judgements.retain(|judgement| people.contains_key(&judgement.person));
            }
            let sql = "SELECT id, gold FROM task WHERE project_id = ?1 AND gold IS NOT NULL";
            let mut gold = BTreeMap::new();
            for row in transaction.rows(sql, values![project.id])? {
                gold.insert(row.integer(0), judgement::parse(&row.text(1), row.integer(0))?);
            }
            let sql = "SELECT tc.task_id, tc.candidate_id, c.author_id FROM task_candidate tc \
                       JOIN task t ON t.id = tc.task_id JOIN candidate c ON c.id = tc.candidate_id \
                       WHERE t.project_id = ?1 ORDER BY tc.task_id, tc.place";
            let mut candidates = BTreeMap::<Id, Vec<Id>>::new();
            let mut authors = BTreeMap::new();
            for row in transaction.rows(sql, values![project.id])? {
                candidates.entry(row.integer(0)).or_default().push(row.integer(1));
                authors.extend(row.optional_integer(2).map(|author| (row.integer(1), author)));
            }
            let sql =
                "SELECT person_id, COUNT(*) FROM lease WHERE project_id = ?1 AND state = 'skipped' GROUP BY person_id";
            let skips = transaction.rows(sql, values![project.id])?;
            let skips = skips.iter().map(|row| (row.integer(0), row.integer(1) as usize)).collect();
            Ok(Material { project, judgements, gold, candidates, people, skips, authors })
        })
    }

    /// The answers of a task.
    pub fn answers(&self, task: Id) -> &[Id] {
        self.candidates.get(&task).map_or(&[], Vec::as_slice)
    }

    /// Ordinary judgements, a list a task.
    pub fn ordinary_by_task(&self) -> Vec<Vec<&Judgement>> {
        let mut tasks: Vec<Vec<&Judgement>> = Vec::new();
        for judgement in self.judgements.iter().filter(|judgement| judgement.purpose == Purpose::Ordinary) {
            match tasks.last_mut().filter(|task| task[0].task == judgement.task) {
                Some(task) => task.push(judgement),
                None => tasks.push(vec![judgement]),
            }
        }
        tasks
    }

    /// Ordinary tasks by prompt: the clusters that are resampled. A task without a prompt is its own.
    pub fn by_prompt(&self) -> Vec<Vec<Vec<&Judgement>>> {
        let mut prompts: BTreeMap<(Option<Id>, Id), Vec<Vec<&Judgement>>> = BTreeMap::new();
        for task in self.ordinary_by_task() {
            prompts.entry(Material::prompt_of(task[0])).or_default().push(task);
        }
        prompts.into_values().collect()
    }

    /// Which cluster a judgement is of.
    pub fn prompt_of(judgement: &Judgement) -> (Option<Id>, Id) {
        (judgement.prompt, if judgement.prompt.is_some() { 0 } else { judgement.task })
    }

    /// Whether a judgement ranks answers.
    pub fn ranks(kind: TaskKind) -> bool {
        matches!(kind, TaskKind::Rank | TaskKind::Pairwise)
    }
}

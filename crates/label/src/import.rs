//! Judgements from elsewhere: rows that say who judged what become judgements of this database.
//!
//! Who made them comes in under a pseudonym and never logs in. A judgement keeps its name, so that
//! the same rows brought again change nothing, and an export gives them back as they came.

use std::collections::BTreeMap;

use record::Source;
use serde::Serialize;

use crate::check::TEXT_BYTES_MAX;
use crate::database::{Transaction, values};
use crate::export::{is_pseudonym, pseudonym};
use crate::judgement::{self, Entry, Kept, Said};
use crate::said::{Group, Statement, groups};
use crate::{Actor, Id, LabelError, NewCandidate, NewPrompt, NewTask, Project, Purpose, Result, Role, Store};
use crate::{body, candidate, check, project, prompt, random, task};

/// What became of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Judgements that were added.
    pub judgements: usize,
    /// Those that were there before.
    pub known: usize,
    /// People who are new here.
    pub people: usize,
    /// Prompts that are new here.
    pub prompts: usize,
    /// Tasks that are new here.
    pub tasks: usize,
    /// Judgements that were left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
}

impl Store {
    /// Adds judgements from elsewhere, all of them or, on an error, none. `source` is taken for those
    /// that don't say what made them. A ranking joins the task with the same answers of its prompt;
    /// where there is none, one is made that is complete with what was brought.
    pub fn import_judgements(
        &self,
        actor: Actor,
        project: Id,
        statements: &[Statement],
        source: Option<Source>,
    ) -> Result<Imported> {
        actor.require(Role::Manager)?;
        let now = self.now_ms();
        let imported = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            let mut import = Import::begin(transaction, &project, statements, source, now)?;
            for (i, statement) in statements.iter().enumerate().filter(|(_, statement)| !statement.known) {
                import.add(transaction, i).map_err(|error| of_row(error, statement.row))?;
            }
            Ok(import.imported)
        })?;
        let details = format!("{} judgements of {} new people", imported.judgements, imported.people);
        self.note_in(actor, Some(project), "judgement.import", &format!("project {project}"), &details)?;
        Ok(imported)
    }
}

/// An error with the row that it is about.
fn of_row(error: LabelError, row: usize) -> LabelError {
    match error {
        LabelError::Invalid { field, found, expected } if !field.starts_with("row ") => {
            LabelError::Invalid { field: format!("row {row}: {field}"), found, expected }
        }
        other => other,
    }
}

struct Import<'a> {
    project: &'a Project,
    statements: &'a [Statement],
    source: Option<Source>,
    now: i64,
    /// Pseudonyms of this project's own.
    key: String,
    people: BTreeMap<String, Id>,
    groups: Vec<Group>,
    group_of: BTreeMap<usize, usize>,
    /// Each group's task and answers, once they are there.
    tasks: BTreeMap<usize, (Id, BTreeMap<String, Id>)>,
    imported: Imported,
}

impl<'a> Import<'a> {
    fn begin(
        transaction: &mut Transaction<'_>,
        project: &'a Project,
        statements: &'a [Statement],
        source: Option<Source>,
        now: i64,
    ) -> Result<Import<'a>> {
        let (_, key) = project::secrets(transaction, project.id)?;
        let mut people = BTreeMap::new();
        for row in transaction.rows("SELECT id, salt FROM person", &[])? {
            people.insert(pseudonym("labeler", &key, &row.text(1)), row.integer(0));
        }
        let named = "SELECT id, name FROM person WHERE password IS NULL AND erased_ms IS NULL";
        for row in transaction.rows(named, &[])?.iter().filter(|row| is_pseudonym("labeler", &row.text(1))) {
            people.insert(row.text(1), row.integer(0));
        }
        let task = |statement: &Statement| {
            (prompt::hash(&statement.prompt), statement.kind.as_str(), statement.purpose.as_str())
        };
        let groups = groups(statements, task, project.settings.ranking.partial);
        let member = |(group, of): (usize, &Group)| -> Vec<(usize, usize)> {
            of.members.iter().map(|&statement| (statement, group)).collect()
        };
        let group_of = groups.iter().enumerate().flat_map(member).collect();
        let (tasks, imported) = (BTreeMap::new(), Imported::default());
        Ok(Import { project, statements, source, now, key, people, groups, group_of, tasks, imported })
    }

    fn add(&mut self, transaction: &mut Transaction<'_>, i: usize) -> Result<()> {
        let statement = &self.statements[i];
        let source = statement
            .source
            .or(self.source)
            .ok_or_else(|| LabelError::invalid("source", "nothing", "human, model, rule or simulated"))?;
        let submission = submission_name(self.project, statement);
        if self.is_known(transaction, statement, &submission)? {
            self.imported.known += 1;
            return Ok(());
        }
        let group = self.group_of[&i];
        if statement.purpose != Purpose::Ordinary && self.gold_of(group).is_none() && is_test(statement.purpose) {
            *self.imported.left_out.entry("tests whose known answer isn't among the rows").or_default() += 1;
            return Ok(());
        }
        let person = self.person(transaction, statement)?;
        let Some((task, numbers)) = self.task(transaction, group)? else {
            *self.imported.left_out.entry("on a prompt that was erased here").or_default() += 1;
            return Ok(());
        };
        let sql = "SELECT COUNT(*) FROM task_author WHERE task_id = ?1 AND person_id = ?2";
        if transaction.number(sql, values![task, person])? > 0 {
            *self.imported.left_out.entry("on the person's own words").or_default() += 1;
            return Ok(());
        }
        let body = statement.body(|text| numbers.get(text).copied().unwrap_or_default());
        judgement::check_size(&body)?;
        let (seconds, corrects) = (statement.seconds, None);
        let said = Said { person, submission: &submission, body: &body, source, seconds, corrects };
        let kept = Kept {
            shown: &shown(statement, &numbers),
            guide_version: statement.guide_version.unwrap_or(self.project.guide_version),
            name: statement.id.as_deref(),
        };
        let row = judgement::task_row(transaction, task)?;
        let entry = Entry { project: self.project, task: &row, said: &said, kept: &kept, at: self.now };
        entry.record(transaction)?;
        self.imported.judgements += 1;
        Ok(())
    }

    /// Whether the judgement is here: one that was imported before, or one of this project's own.
    fn is_known(&self, transaction: &mut Transaction<'_>, statement: &Statement, submission: &str) -> Result<bool> {
        let own = statement.id.as_deref().and_then(|id| id.strip_prefix(&self.project.uid)?.strip_prefix('-'));
        if let Some(number) = own.and_then(|number| number.parse::<Id>().ok()) {
            let sql = "SELECT COUNT(*) FROM judgement WHERE id = ?1 AND project_id = ?2 AND name IS NULL";
            if transaction.number(sql, values![number, self.project.id])? > 0 {
                return Ok(true);
            }
        }
        let Some(person) = self.people.get(&self.name_of(&statement.labeler)) else { return Ok(false) };
        let sql = "SELECT COUNT(*) FROM judgement WHERE person_id = ?1 AND project_id = ?2 AND submission = ?3";
        Ok(transaction.number(sql, values![*person, self.project.id, submission])? > 0)
    }

    /// The name under which somebody is known here: a pseudonym stays, another name becomes one.
    fn name_of(&self, labeler: &str) -> String {
        if is_pseudonym("labeler", labeler) { labeler.to_owned() } else { pseudonym("labeler", &self.key, labeler) }
    }

    fn person(&mut self, transaction: &mut Transaction<'_>, statement: &Statement) -> Result<Id> {
        let name = self.name_of(&statement.labeler);
        if let Some(&id) = self.people.get(&name) {
            return Ok(id);
        }
        check::optional_text("group", &statement.group, 64)?;
        let sql = "INSERT INTO person (name, role, team, password, active, salt, created_ms) \
                   VALUES (?1, 'labeler', ?2, NULL, 1, ?3, ?4)";
        let (group, salt) = (statement.group.trim(), random::secret()?);
        let id = transaction.insert(sql, values![&name, group, salt, self.now])?;
        self.people.insert(name, id);
        self.imported.people += 1;
        Ok(id)
    }

    /// The known answer of a group.
    fn gold_of(&self, group: usize) -> Option<&'a Statement> {
        let statements = self.statements;
        self.groups[group].members.iter().map(|&i| &statements[i]).find(|statement| statement.known)
    }

    /// A group's task, found or made, with the numbers of its answers; nothing where the prompt was erased.
    fn task(&mut self, transaction: &mut Transaction<'_>, group: usize) -> Result<Option<(Id, BTreeMap<String, Id>)>> {
        if let Some(known) = self.tasks.get(&group) {
            return Ok(Some(known.clone()));
        }
        let first = &self.statements[self.groups[group].members[0]];
        let Some(prompt) = self.prompt(transaction, first)? else { return Ok(None) };
        let mut numbers = BTreeMap::new();
        let mut candidates = Vec::new();
        for text in &self.groups[group].answers {
            let id = self.candidate(transaction, prompt, group, text)?;
            numbers.insert(text.clone(), id);
            candidates.push(id);
        }
        let task = match self.known_task(transaction, prompt, first, &candidates)? {
            Some(task) => task,
            None => {
                let members = self.groups[group].members.iter().filter(|&&i| !self.statements[i].known).count();
                let number = |text: &str| numbers.get(text).copied().unwrap_or_default();
                let new = NewTask {
                    overlap: u32::try_from(members).ok(),
                    purpose: first.purpose,
                    gold: self.gold_of(group).map(|gold| gold.body(number)),
                    ..NewTask::new(first.kind, Some(prompt), candidates)
                };
                self.imported.tasks += 1;
                task::insert(transaction, self.project, &new, self.now)?
            }
        };
        self.tasks.insert(group, (task, numbers.clone()));
        Ok(Some((task, numbers)))
    }

    /// The prompt with exactly these words. What is judged is kept, however many there are of one user.
    fn prompt(&mut self, transaction: &mut Transaction<'_>, of: &Statement) -> Result<Option<Id>> {
        body::check_prompt(&of.prompt, self.project.settings.prompts.characters_max)?;
        let new = NewPrompt {
            use_case: of.use_case.clone(),
            user_id: of.user_id.clone(),
            language: of.language.clone(),
            ..NewPrompt::new(of.prompt.clone())
        };
        let found = prompt::find_or_insert(transaction, self.project, &new, self.now)?;
        self.imported.prompts += usize::from(found.is_some_and(|(_, is_new)| is_new));
        Ok(found.map(|(id, _)| id))
    }

    fn candidate(&self, transaction: &mut Transaction<'_>, prompt: Id, group: usize, text: &str) -> Result<Id> {
        check::optional_text("completion", text, TEXT_BYTES_MAX)?;
        let members = self.groups[group].members.iter().flat_map(|&i| &self.statements[i].answers);
        let said = members.filter(|answer| answer.text == text);
        let said = said.reduce(|one, other| if one.origin.is_empty() && one.source.is_none() { other } else { one });
        let (source, origin) = said.map(|answer| (answer.source, answer.origin.clone())).unwrap_or_default();
        prompt::check_name("origin", &origin)?;
        candidate::add(transaction, prompt, &NewCandidate { source, origin, ..NewCandidate::new(text) }, self.now)
    }

    /// A task that is there, of the same kind and purpose on the same answers.
    fn known_task(
        &self,
        transaction: &mut Transaction<'_>,
        prompt: Id,
        of: &Statement,
        candidates: &[Id],
    ) -> Result<Option<Id>> {
        let sql = "SELECT id FROM task WHERE prompt_id = ?1 AND kind = ?2 AND purpose = ?3 AND project_id = ?4 \
                   AND state <> 'withdrawn' AND message_id IS NULL ORDER BY id";
        let rows = transaction.rows(sql, values![prompt, of.kind.as_str(), of.purpose.as_str(), self.project.id])?;
        let mut wanted = candidates.to_vec();
        wanted.sort_unstable();
        for row in rows {
            let mut found: Vec<Id> =
                candidate::of_task(transaction, row.integer(0))?.iter().map(|candidate| candidate.id).collect();
            found.sort_unstable();
            if found == wanted {
                return Ok(Some(row.integer(0)));
            }
        }
        Ok(None)
    }
}

fn is_test(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Gold | Purpose::Qualification)
}

/// The answers in the order in which they were shown, as far as the row tells it.
fn shown(statement: &Statement, numbers: &BTreeMap<String, Id>) -> Vec<Id> {
    let mut places: Vec<Option<Id>> = vec![None; numbers.len()];
    let mut rest = Vec::new();
    let mut told = std::collections::BTreeSet::new();
    for answer in &statement.answers {
        let Some(&id) = numbers.get(&answer.text) else { continue };
        told.insert(id);
        let place = answer.place.and_then(|place| places.get_mut(place.checked_sub(1)?));
        match place.filter(|place| place.is_none()) {
            Some(place) => *place = Some(id),
            None => rest.push(id),
        }
    }
    rest.extend(numbers.values().filter(|id| !told.contains(id)));
    let mut rest = rest.into_iter();
    places.into_iter().filter_map(|place| place.or_else(|| rest.next())).collect()
}

/// What makes a judgement the same when its row comes to a project again: its name, or all that it says.
fn submission_name(project: &Project, statement: &Statement) -> String {
    let Statement { id, kind, purpose, text, fields, accept, .. } = statement;
    let name = id.clone().unwrap_or_else(|| {
        let mut said: Vec<String> =
            statement.answers.iter().map(|a| format!("{:?} {:?} {:?}", a.text, a.rank, a.fields)).collect();
        said.sort();
        format!("{} {kind:?} {purpose:?} {said:?} {text:?} {fields:?} {accept}", prompt::hash(&statement.prompt))
    });
    format!("import-{}", &stdx::hash::bytes(format!("{} {name}", project.uid).as_bytes())[..40])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::said::Statements;
    use serde_json::json;

    #[test]
    fn answers_stand_where_the_row_says_and_the_others_in_the_gaps() {
        let row = json!({"prompt": "p", "labeler": "l", "completions": [
            {"text": "a", "rank": 1, "place": 3}, {"text": "b", "rank": 2, "place": 1}, {"text": "c", "rank": 2, "place": 9},
        ]});
        let statement = Statements::read([(1, &row)]).unwrap().all.remove(0);
        let numbers = [("a", 5), ("b", 6), ("c", 7), ("d", 8)].map(|(text, id)| (text.to_owned(), id)).into();
        assert_eq!(shown(&statement, &numbers), [6, 7, 5, 8]);
    }
}

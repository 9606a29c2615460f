//! Prompts: what is asked, from whom, and in which order.

use record::{Message, Prompt, Role as Speaker, Source};
use serde::{Deserialize, Serialize};

use crate::database::{Row, Transaction, Value, values};
use crate::{Actor, Id, LabelError, Project, Result, Role, Store, body, check, project};

/// A prompt to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPrompt {
    /// What is asked.
    pub prompt: Prompt,
    /// Its class.
    pub use_case: Option<String>,
    /// The source's user, of whom a project takes only so many.
    pub user_id: Option<String>,
    /// Language tag.
    pub language: Option<String>,
    /// Where it came from.
    pub source: Option<Source>,
    /// Higher comes first.
    pub priority: f64,
    /// The labeler who wrote it.
    pub author: Option<Id>,
    /// When it must be deleted, for collected ones.
    pub expires_ms: Option<i64>,
}

impl NewPrompt {
    /// A prompt of which nothing else is known.
    pub fn new(prompt: Prompt) -> NewPrompt {
        let (use_case, user_id, language, source, author, expires_ms) = (None, None, None, None, None, None);
        NewPrompt { prompt, use_case, user_id, language, source, priority: 0.0, author, expires_ms }
    }
}

/// What became of prompts that were to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AddedPrompts {
    /// The new ones.
    pub added: Vec<Id>,
    /// One for each that was given: new, or the one that was there. Nothing for those over the limit.
    pub ids: Vec<Option<Id>>,
    /// How many were there before, or shared a long beginning with one that was.
    pub duplicates: usize,
    /// How many were too many of one source user.
    pub over_user_limit: usize,
}

/// A prompt in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredPrompt {
    /// Number.
    pub id: Id,
    /// Its project.
    pub project: Id,
    /// What is asked; empty when it was erased.
    pub prompt: Prompt,
    /// Its class.
    pub use_case: Option<String>,
    /// The source's user.
    pub user_id: Option<String>,
    /// Language tag.
    pub language: Option<String>,
    /// Where it came from.
    pub source: Option<Source>,
    /// Higher comes first.
    pub priority: f64,
    /// How many candidates it has.
    pub n_candidates: i64,
    /// "open" or "erased".
    pub state: String,
    /// When it was added.
    pub created_ms: i64,
}

/// Which prompts to list.
#[derive(Clone, Debug, Default)]
pub struct PromptQuery {
    /// Only those with fewer candidates.
    pub without_candidates: Option<i64>,
    /// Only those that contain this text.
    pub search: Option<String>,
    /// Only those with a higher number.
    pub after: Id,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl Store {
    /// Adds prompts. Equal ones, those that share a long beginning with another
    /// (`prompts.duplicate_prefix`), and more than `prompts.per_user_max` of one source user are left out.
    pub fn add_prompts(&self, actor: Actor, project: Id, prompts: &[NewPrompt]) -> Result<AddedPrompts> {
        actor.require(Role::Manager)?;
        let now = self.now_ms();
        let added = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            let mut added = AddedPrompts::default();
            for (i, new) in prompts.iter().enumerate() {
                body::check_prompt(&new.prompt, project.settings.prompts.characters_max)
                    .map_err(|error| at_row(error, i))?;
                match add(transaction, &project, new, now)? {
                    Place::New(id) => {
                        added.added.push(id);
                        added.ids.push(Some(id));
                    }
                    Place::Known(id) => {
                        added.duplicates += 1;
                        added.ids.push(Some(id));
                    }
                    Place::OverLimit => {
                        added.over_user_limit += 1;
                        added.ids.push(None);
                    }
                }
            }
            Ok(added)
        })?;
        let n = added.added.len();
        self.note_in(actor, Some(project), "prompt.add", &format!("project {project}"), &format!("{n} prompts"))?;
        Ok(added)
    }

    /// A prompt by number.
    pub fn prompt(&self, id: Id) -> Result<StoredPrompt> {
        self.read(|transaction| stored(transaction, id))
    }

    /// A project's prompts by number.
    pub fn prompts(&self, project: Id, query: &PromptQuery) -> Result<Vec<StoredPrompt>> {
        let limit = if query.limit == 0 { 100 } else { query.limit };
        self.read(|transaction| {
            let mut sql = format!("{SELECT} WHERE p.project_id = ?1 AND p.state = 'open' AND p.id > ?2");
            let mut parameters: Vec<Value> = vec![project.into(), query.after.into(), limit.into()];
            if let Some(n) = query.without_candidates {
                parameters.push(n.into());
                sql += &format!(
                    " AND (SELECT COUNT(*) FROM candidate c WHERE c.prompt_id = p.id) < ?{}",
                    parameters.len()
                );
            }
            if let Some(text) = query.search.as_deref().filter(|text| !text.is_empty()) {
                parameters.push(like(text).into());
                sql += &format!(" AND lower(p.content) LIKE ?{} ESCAPE '!'", parameters.len());
            }
            sql += " ORDER BY p.id LIMIT ?3";
            transaction.rows(&sql, &parameters)?.iter().map(of_row).collect()
        })
    }

    /// Gives a prompt and its open tasks a priority; higher comes first.
    pub fn set_priority(&self, actor: Actor, prompt: Id, priority: f64) -> Result<()> {
        actor.require(Role::Manager)?;
        if !priority.is_finite() {
            return Err(LabelError::invalid("priority", priority.to_string(), "a finite number"));
        }
        self.write_relaxed(|transaction| {
            let sql = "UPDATE prompt SET priority = ?2 WHERE id = ?1";
            if transaction.change(sql, values![prompt, priority])? == 0 {
                return Err(LabelError::not_found("prompt", prompt));
            }
            let sql = "UPDATE task SET priority = ?2 WHERE prompt_id = ?1 AND state = 'open'";
            transaction.change(sql, values![prompt, priority])
        })?;
        Ok(())
    }

    /// Gives a prompt a class.
    pub fn set_use_case(&self, actor: Actor, prompt: Id, use_case: &str) -> Result<()> {
        actor.require(Role::Manager)?;
        let sql = "UPDATE prompt SET use_case = ?2 WHERE id = ?1";
        if self.write(|transaction| transaction.change(sql, values![prompt, use_case]))? == 0 {
            return Err(LabelError::not_found("prompt", prompt));
        }
        Ok(())
    }

    /// Erases collected prompts whose time is over; how many.
    pub fn delete_expired_prompts(&self, actor: Actor) -> Result<usize> {
        actor.require(Role::Manager)?;
        let now = self.now_ms();
        let n = self.write(|transaction| {
            let sql = "SELECT id FROM prompt WHERE expires_ms <= ?1 AND state = 'open'";
            let ids: Vec<Id> = transaction.rows(sql, values![now])?.iter().map(|row| row.integer(0)).collect();
            ids.iter().try_for_each(|&id| crate::erase::erase_prompt(transaction, id))?;
            Ok(ids.len())
        })?;
        if n > 0 {
            self.note(actor, "prompt.expire", "", &format!("{n} prompts"))?;
        }
        Ok(n)
    }
}

/// What became of one prompt.
pub(crate) enum Place {
    /// It was added.
    New(Id),
    /// One like it is there.
    Known(Id),
    /// Its user has too many.
    OverLimit,
}

/// Adds a prompt that was checked.
pub(crate) fn add(transaction: &mut Transaction<'_>, project: &Project, new: &NewPrompt, now: i64) -> Result<Place> {
    let settings = &project.settings.prompts;
    let (content_hash, prefix_hash) = (hash(&new.prompt), prefix_hash(&new.prompt, settings.duplicate_prefix));
    let known = "SELECT id FROM prompt WHERE project_id = ?1 AND (content_hash = ?2 OR prefix_hash = ?3) \
                 ORDER BY id LIMIT 1";
    if let Some(row) = transaction.row(known, values![project.id, content_hash, prefix_hash])? {
        return Ok(Place::Known(row.integer(0)));
    }
    if let Some(user) = &new.user_id {
        let n = transaction
            .number("SELECT COUNT(*) FROM prompt WHERE project_id = ?1 AND user_id = ?2", values![project.id, user])?;
        if n >= i64::from(settings.per_user_max) {
            return Ok(Place::OverLimit);
        }
    }
    insert(transaction, project, new, now).map(Place::New)
}

/// Adds a prompt that was checked, whatever it begins with and whosever it is, or finds the one with the
/// same words; whether it is new. Nothing for one that was erased here: it doesn't come back.
pub(crate) fn find_or_insert(
    transaction: &mut Transaction<'_>,
    project: &Project,
    new: &NewPrompt,
    now: i64,
) -> Result<Option<(Id, bool)>> {
    let sql = "SELECT id, state FROM prompt WHERE project_id = ?1 AND content_hash = ?2";
    match transaction.row(sql, values![project.id, hash(&new.prompt)])? {
        Some(row) => Ok((row.text(1) == "open").then(|| (row.integer(0), false))),
        None => insert(transaction, project, new, now).map(|id| Some((id, true))),
    }
}

fn insert(transaction: &mut Transaction<'_>, project: &Project, new: &NewPrompt, now: i64) -> Result<Id> {
    let sql = "INSERT INTO prompt (project_id, content, content_hash, prefix_hash, use_case, user_id, language, \
               source, author_id, priority, state, expires_ms, created_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'open', ?11, ?12)";
    let priority = if new.priority.is_finite() { new.priority } else { 0.0 };
    transaction.insert(
        sql,
        values![
            project.id,
            to_json(&new.prompt),
            hash(&new.prompt),
            prefix_hash(&new.prompt, project.settings.prompts.duplicate_prefix),
            new.use_case.as_ref(),
            new.user_id.as_ref(),
            new.language.as_ref(),
            new.source.map(Source::as_str),
            new.author,
            priority,
            new.expires_ms,
            now
        ],
    )
}

const SELECT: &str = "SELECT p.id, p.project_id, p.content, p.use_case, p.user_id, p.language, p.source, p.priority, \
     (SELECT COUNT(*) FROM candidate c WHERE c.prompt_id = p.id), p.state, p.created_ms FROM prompt p";

/// A prompt by number.
pub(crate) fn stored(transaction: &mut Transaction<'_>, id: Id) -> Result<StoredPrompt> {
    let row = transaction.row(&format!("{SELECT} WHERE p.id = ?1"), values![id])?;
    row.as_ref().map(of_row).ok_or_else(|| LabelError::not_found("prompt", id))?
}

fn of_row(row: &Row) -> Result<StoredPrompt> {
    Ok(StoredPrompt {
        id: row.integer(0),
        project: row.integer(1),
        prompt: from_json(&row.text(2)),
        use_case: row.optional_text(3),
        user_id: row.optional_text(4),
        language: row.optional_text(5),
        source: row.optional_text(6).as_deref().and_then(source_named),
        priority: row.real(7),
        n_candidates: row.integer(8),
        state: row.text(9),
        created_ms: row.integer(10),
    })
}

/// A prompt as it is stored.
pub(crate) fn to_json(prompt: &Prompt) -> String {
    serde_json::to_string(prompt).unwrap_or_else(|error| unreachable!("a prompt is text: {error}"))
}

/// A stored prompt. What can't be read (a file edited by hand) is shown as it stands.
pub(crate) fn from_json(text: &str) -> Prompt {
    serde_json::from_str(text).unwrap_or_else(|_| Prompt::Text(text.to_owned()))
}

/// A source by its name.
pub(crate) fn source_named(name: &str) -> Option<Source> {
    [Source::Human, Source::Model, Source::Rule, Source::Simulated].into_iter().find(|source| source.as_str() == name)
}

/// All that a prompt says, with its speakers.
pub(crate) fn full_text(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => {
            let turn = |message: &Message| match message.role {
                Speaker::User if messages.len() == 1 => message.content.clone(),
                role => format!("{}: {}", role.as_str(), message.content),
            };
            messages.iter().map(turn).collect::<Vec<_>>().join("\n")
        }
    }
}

/// The words of a prompt with single spaces: what counts when prompts are compared.
fn normal(prompt: &Prompt) -> String {
    full_text(prompt).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The hash of what counts when prompts are compared.
pub(crate) fn hash(prompt: &Prompt) -> String {
    stdx::hash::bytes(normal(prompt).as_bytes())
}

/// The hash of the first `n` characters of a longer prompt; of a shorter one, of all of it.
fn prefix_hash(prompt: &Prompt, n: usize) -> String {
    let text = normal(prompt);
    let end = if n == 0 { text.len() } else { text.char_indices().nth(n).map_or(text.len(), |(end, _)| end) };
    stdx::hash::bytes(&text.as_bytes()[..end])
}

/// A text as a pattern: found anywhere, its own wildcards being letters.
fn like(text: &str) -> String {
    let escaped: String = text.to_lowercase().chars().fold(String::new(), |mut out, letter| {
        if "!%_".contains(letter) {
            out.push('!');
        }
        out.push(letter);
        out
    });
    // Content is JSON, in which a quote or a line break is written otherwise.
    let inner = serde_json::to_string(&escaped).unwrap_or_default();
    let inner = inner.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    format!("%{inner}%")
}

/// The beginning of a prompt, in a line; a stroke parts the turns of a conversation.
pub(crate) fn opening(prompt: &Prompt) -> String {
    let text = match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join(" / "),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn at_row(error: LabelError, row: usize) -> LabelError {
    match error {
        LabelError::Invalid { field, found, expected } => {
            LabelError::Invalid { field: format!("prompts[{row}].{field}"), found, expected }
        }
        other => other,
    }
}

/// The hash of an answer's text.
pub(crate) fn text_hash(text: &str) -> String {
    stdx::hash::bytes(text.as_bytes())
}

/// Whether a name of a user or a model fits.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<()> {
    check::optional_text(field, name, 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_compared_by_their_words_and_by_a_long_beginning() {
        let text = |text: &str| Prompt::Text(text.to_owned());
        assert_eq!(hash(&text("Why  rain?\n")), hash(&text("Why rain?")));
        assert_eq!(hash(&text("Why rain?")), hash(&Prompt::Messages(vec![Message::user("Why rain?")])));
        let (a, b) = (text("one two three"), text("one two four"));
        assert_eq!(prefix_hash(&a, 8), prefix_hash(&b, 8));
        assert_ne!(prefix_hash(&a, 9), prefix_hash(&b, 9));
        assert_ne!(prefix_hash(&a, 0), prefix_hash(&b, 0));
        // Shorter than the limit: only its equal shares the hash.
        assert_ne!(prefix_hash(&text("one two"), 8), prefix_hash(&a, 8));
    }

    #[test]
    fn a_searched_text_is_no_pattern() {
        assert_eq!(like("50% _A!"), "%50!% !_a!!%");
        assert_eq!(like("say \"x\""), "%say \\\"x\\\"%");
    }
}

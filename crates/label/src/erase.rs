//! Erasing what somebody said and who they were. Counts, hashes, ranks and ratings stay, the log
//! says that it happened, and exports made later give the numbers to a pseudonym that no earlier
//! export knows.

use record::Prompt;
use serde::{Deserialize, Serialize};

use crate::database::{Transaction, values};
use crate::task::json;
use crate::{Actor, Id, LabelError, Result, Role, Store, judgement, people, prompt, random};

/// How much was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Prompts.
    pub prompts: usize,
    /// Answers.
    pub candidates: usize,
    /// Judgements whose words went.
    pub judgements: usize,
    /// Messages of conversations.
    pub messages: usize,
}

impl Store {
    /// Erases a labeler: name, password, tokens, drafts, and every text that they wrote.
    pub fn erase_person(&self, actor: Actor, id: Id) -> Result<Erased> {
        actor.require(Role::Manager)?;
        let (salt, now) = (random::secret()?, self.now_ms());
        let erased = self.write(|transaction| {
            people::person(transaction, id)?;
            let mut erased = Erased::default();
            let sql = "SELECT j.id, b.body FROM judgement j JOIN judgement_body b ON b.judgement_id = j.id \
                       WHERE j.person_id = ?1 AND b.erased_ms IS NULL";
            for row in transaction.rows(sql, values![id])? {
                let body = judgement::parse(&row.text(1), row.integer(0))?.without_words();
                let sql = "UPDATE judgement_body SET body = ?2, erased_ms = ?3 WHERE judgement_id = ?1";
                transaction.change(sql, values![row.integer(0), json(&body), now])?;
                erased.judgements += 1;
            }
            let sql = "SELECT id FROM prompt WHERE author_id = ?1 AND state = 'open'";
            for row in transaction.rows(sql, values![id])? {
                erase_prompt(transaction, row.integer(0))?;
                erased.prompts += 1;
            }
            let sql = "UPDATE candidate SET text = '', origin = '' WHERE author_id = ?1 AND text <> ''";
            erased.candidates = transaction.change(sql, values![id])? as usize;
            let sql = "UPDATE message SET text = '', facts = '', state = 'deleted' WHERE author_id = ?1";
            erased.messages = transaction.change(sql, values![id])? as usize;
            // Conversations that contain those messages quote them as prompts.
            let sql = "SELECT DISTINCT t.prompt_id FROM task t JOIN message m ON m.id = t.message_id \
                       WHERE t.prompt_id IS NOT NULL AND m.tree_id IN (SELECT tree_id FROM message WHERE author_id = ?1)";
            for row in transaction.rows(sql, values![id])? {
                erase_prompt(transaction, row.integer(0))?;
            }
            for table in ["session", "api_token", "draft"] {
                transaction.change(&format!("DELETE FROM {table} WHERE person_id = ?1"), values![id])?;
            }
            transaction.change("UPDATE lease SET reason = NULL WHERE person_id = ?1", values![id])?;
            let sql = "UPDATE person SET name = ?2, team = '', password = NULL, active = 0, salt = ?3, \
                       erased_ms = ?4 WHERE id = ?1";
            transaction.change(sql, values![id, format!("erased-{id}"), salt, now])?;
            Ok(erased)
        })?;
        self.note(actor, "person.erase", &format!("person {id}"), &json(&erased))?;
        Ok(erased)
    }

    /// Erases all prompts of a source user, with the answers to them.
    pub fn erase_user(&self, actor: Actor, user_id: &str) -> Result<Erased> {
        actor.require(Role::Manager)?;
        let erased = self.write(|transaction| {
            let sql = "SELECT id FROM prompt WHERE user_id = ?1";
            let ids: Vec<Id> = transaction.rows(sql, values![user_id])?.iter().map(|row| row.integer(0)).collect();
            if ids.is_empty() {
                return Err(LabelError::not_found("prompt of user", prompt::text_hash(user_id)));
            }
            let mut erased = Erased { prompts: ids.len(), ..Erased::default() };
            for id in ids {
                let sql = "SELECT COUNT(*) FROM candidate WHERE prompt_id = ?1";
                erased.candidates += transaction.number(sql, values![id])? as usize;
                erase_prompt(transaction, id)?;
            }
            Ok(erased)
        })?;
        self.note(actor, "user.erase", "", &json(&erased))?;
        Ok(erased)
    }
}

/// Takes the words out of a prompt and of the answers to it, which may repeat them, and ends its tasks.
pub(crate) fn erase_prompt(transaction: &mut Transaction<'_>, id: Id) -> Result<()> {
    let empty = prompt::to_json(&Prompt::Text(String::new()));
    let sql = "UPDATE prompt SET content = ?2, state = 'erased', user_id = NULL WHERE id = ?1";
    transaction.change(sql, values![id, empty])?;
    transaction.change("UPDATE candidate SET text = '' WHERE prompt_id = ?1", values![id])?;
    let sql = "UPDATE task SET state = 'withdrawn' WHERE prompt_id = ?1 AND state = 'open'";
    transaction.change(sql, values![id])?;
    Ok(())
}

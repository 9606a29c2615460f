//! Logging in: sessions that rotate, and locks against guessing.

use crate::database::{Transaction, values};
use crate::people::person;
use crate::{Id, LabelError, Person, Result, Store, password, random};

/// How long a session lasts.
const SESSION_MS: i64 = 14 * 24 * 3_600_000;
/// A session's token is changed after so long.
const ROTATE_MS: i64 = 3_600_000;
/// How long the old token still counts after a change, for requests under way.
const GRACE_MS: i64 = 30_000;
/// So many wrong passwords in a row lock a name …
const WRONG_MAX: i64 = 5;
/// … for so long, doubled with each further one …
const LOCK_MS: i64 = 60_000;
/// … up to so long.
const LOCK_MS_MAX: i64 = 3_600_000;
/// So many wrong passwords lock an address …
const ORIGIN_WRONG_MAX: i64 = 30;
/// … when they come within so long, for the rest of it.
const ORIGIN_WINDOW_MS: i64 = 600_000;

/// Somebody logged in.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The cookie's value. The database holds only its hash.
    pub token: String,
    /// What every form must carry.
    pub csrf: String,
    /// Who.
    pub person: Person,
    /// When it ends.
    pub expires_ms: i64,
    /// Whether the token is old enough to be changed by [`Store::rotate_session`].
    pub rotate_due: bool,
}

impl Store {
    /// Logs somebody in. `origin` is the client's address, "" when there is none.
    pub fn log_in(&self, name: &str, password: &str, origin: &str) -> Result<Session> {
        let now = self.now_ms();
        let found = self.read(|transaction| {
            let since = transaction.row(
                "SELECT since_ms, wrong_passwords FROM origin WHERE origin = ?1 AND since_ms > ?2",
                values![origin, now - ORIGIN_WINDOW_MS],
            )?;
            if let Some(row) = since.filter(|row| row.integer(1) >= ORIGIN_WRONG_MAX) {
                return Err(LabelError::LockedOut { until_ms: row.integer(0) + ORIGIN_WINDOW_MS });
            }
            let sql = "SELECT id, password, locked_until_ms FROM person WHERE lower(name) = lower(?1) AND active = 1";
            transaction.row(sql, values![name.trim()])
        })?;
        let hash = found.as_ref().and_then(|row| row.optional_text(1));
        let locked_until = found.as_ref().map_or(0, |row| row.integer(2));
        if locked_until > now {
            return Err(LabelError::LockedOut { until_ms: locked_until });
        }
        let id = found.map(|row| row.integer(0));
        // Outside of any transaction: it takes tens of milliseconds on purpose.
        let fits = password::fits(password, hash.as_deref(), self.password_cost())?;
        let Some(id) = id.filter(|_| fits) else {
            self.write(|transaction| count_wrong(transaction, id, origin, now))?;
            return Err(LabelError::WrongCredentials);
        };
        let (token, csrf) = (random::secret()?, random::secret()?);
        let person = self.write(|transaction| {
            // Since the password was read it may have been changed and the person shut out.
            let sql = "UPDATE person SET wrong_passwords = 0, locked_until_ms = 0 \
                       WHERE id = ?1 AND active = 1 AND password = ?2";
            if transaction.change(sql, values![id, hash])? == 0 {
                return Err(LabelError::WrongCredentials);
            }
            transaction.change("DELETE FROM session WHERE expires_ms <= ?1", values![now])?;
            insert(transaction, &token, &csrf, id, now, now + SESSION_MS)?;
            person(transaction, id)
        })?;
        self.note(person.actor(), "log_in", "", "")?;
        Ok(Session { token, csrf, person, expires_ms: now + SESSION_MS, rotate_due: false })
    }

    /// The session of a token; `None` means: log in again.
    pub fn session(&self, token: &str) -> Result<Option<Session>> {
        let now = self.now_ms();
        self.read(|transaction| {
            let sql = "SELECT csrf, person_id, created_ms, expires_ms, replaced_ms FROM session \
                       WHERE token = ?1 AND expires_ms > ?2";
            let Some(row) = transaction.row(sql, values![random::stored(token), now])? else { return Ok(None) };
            let replaced = row.optional_integer(4);
            let person = person(transaction, row.integer(1))?;
            if !person.active || replaced.is_some_and(|at| at + GRACE_MS <= now) {
                return Ok(None);
            }
            let rotate_due = replaced.is_none() && row.integer(2) + ROTATE_MS <= now;
            let (token, csrf, expires_ms) = (token.to_owned(), row.text(0), row.integer(3));
            Ok(Some(Session { token, csrf, person, expires_ms, rotate_due }))
        })
    }

    /// Gives a session another token. The old one counts for half a minute more.
    pub fn rotate_session(&self, token: &str) -> Result<Session> {
        let session = self.session(token)?.ok_or(LabelError::WrongCredentials)?;
        if !session.rotate_due {
            return Ok(session);
        }
        let (fresh, now) = (random::secret()?, self.now_ms());
        self.write_relaxed(|transaction| {
            let sql = "UPDATE session SET replaced_ms = ?2 WHERE token = ?1 AND replaced_ms IS NULL";
            if transaction.change(sql, values![random::stored(token), now])? == 0 {
                // Another request has just done it: this one keeps the old token for now.
                return Ok(false);
            }
            transaction.change("DELETE FROM session WHERE replaced_ms <= ?1", values![now - GRACE_MS])?;
            insert(transaction, &fresh, &session.csrf, session.person.id, now, session.expires_ms)?;
            Ok(true)
        })
        .map(|rotated| {
            let token = if rotated { fresh.clone() } else { session.token.clone() };
            Session { token, rotate_due: false, ..session.clone() }
        })
    }

    /// Ends a session.
    pub fn log_out(&self, token: &str) -> Result<()> {
        self.write(|transaction| {
            let sql = "DELETE FROM session WHERE csrf IN (SELECT csrf FROM session WHERE token = ?1)";
            transaction.change(sql, values![random::stored(token)])
        })?;
        Ok(())
    }

    /// Ends all sessions of a person.
    pub fn log_out_everywhere(&self, person: Id) -> Result<()> {
        self.write(|transaction| transaction.change("DELETE FROM session WHERE person_id = ?1", values![person]))?;
        Ok(())
    }
}

fn insert(
    transaction: &mut Transaction<'_>,
    token: &str,
    csrf: &str,
    person: Id,
    now: i64,
    expires: i64,
) -> Result<()> {
    let sql = "INSERT INTO session (token, csrf, person_id, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.change(sql, values![random::stored(token), csrf, person, now, expires])?;
    Ok(())
}

/// Counts a wrong password against the name and the address.
fn count_wrong(transaction: &mut Transaction<'_>, person: Option<Id>, origin: &str, now: i64) -> Result<()> {
    if let Some(id) = person {
        let sql = "UPDATE person SET wrong_passwords = wrong_passwords + 1 WHERE id = ?1 RETURNING wrong_passwords";
        let wrong = transaction.number(sql, values![id])?;
        if wrong >= WRONG_MAX {
            let doublings = u32::try_from(wrong - WRONG_MAX).unwrap_or(u32::MAX).min(20);
            let lock = (LOCK_MS << doublings).min(LOCK_MS_MAX);
            transaction.change("UPDATE person SET locked_until_ms = ?2 WHERE id = ?1", values![id, now + lock])?;
        }
    }
    if origin.is_empty() {
        return Ok(());
    }
    transaction.change("DELETE FROM origin WHERE since_ms <= ?1", values![now - ORIGIN_WINDOW_MS])?;
    let sql = "INSERT INTO origin (origin, since_ms, wrong_passwords) VALUES (?1, ?2, 1) \
               ON CONFLICT (origin) DO UPDATE SET wrong_passwords = origin.wrong_passwords + 1";
    transaction.change(sql, values![origin, now])?;
    Ok(())
}

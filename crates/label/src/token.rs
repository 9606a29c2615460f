//! API tokens: for programs that act for a person, each for some purposes only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::database::{Row, values};
use crate::people::person;
use crate::{Actor, Id, LabelError, Person, Result, Role, Store, check, random};

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read projects and progress.
    Read,
    /// Take tasks and submit judgements.
    Label,
    /// Add prompts and candidates.
    Import,
    /// Export judgements.
    Export,
    /// Whatever else the person's role allows.
    Manage,
    /// Use the models.
    Generate,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 6] =
        [Scope::Read, Scope::Label, Scope::Import, Scope::Export, Scope::Manage, Scope::Generate];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Label => "label",
            Self::Import => "import",
            Self::Export => "export",
            Self::Manage => "manage",
            Self::Generate => "generate",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Scope> {
        let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
        let expected = "read, label, import, export, manage or generate";
        known.ok_or_else(|| LabelError::invalid("scope", format!("{text:?}"), expected))
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Number.
    pub id: Id,
    /// Whose.
    pub person: Id,
    /// What it is for, in words.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends, if it does.
    pub expires_ms: Option<i64>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// When it was last used, to the hour.
    pub used_ms: Option<i64>,
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// What it is for, in words.
    pub name: String,
    /// What it may be used for; at least one.
    pub scopes: Vec<Scope>,
    /// How long it lasts; for ever when absent.
    pub valid_ms: Option<i64>,
}

/// What a secret begins with, so that people and scanners know it for one.
const PREFIX: &str = "hm_";

impl Store {
    /// Makes a token for a person (oneself, or anybody for a manager). The secret is shown once.
    pub fn create_api_token(&self, actor: Actor, of: Id, new: &NewApiToken) -> Result<(ApiToken, String)> {
        actor.require_self_or(of, Role::Manager)?;
        check::text("name", &new.name, 200)?;
        if new.scopes.is_empty() {
            return Err(LabelError::invalid("scopes", "none", "at least one"));
        }
        let secret = format!("{PREFIX}{}", random::secret()?);
        let (now, stored) = (self.now_ms(), random::stored(&secret));
        let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.as_str()).collect();
        let expires = new.valid_ms.map(|valid| now.saturating_add(valid));
        let id = self.write(|transaction| {
            person(transaction, of)?;
            let sql = "INSERT INTO api_token (token, person_id, name, scopes, created_ms, expires_ms) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            transaction.insert(sql, values![stored, of, &new.name, scopes.join(" "), now, expires])
        })?;
        self.note(actor, "token.add", &format!("token {id}"), &scopes.join(" "))?;
        let made = self.api_tokens(actor, of)?.into_iter().find(|token| token.id == id);
        made.map(|token| (token, secret)).ok_or_else(|| LabelError::not_found("token", id))
    }

    /// A person's tokens.
    pub fn api_tokens(&self, actor: Actor, of: Id) -> Result<Vec<ApiToken>> {
        actor.require_self_or(of, Role::Manager)?;
        self.read(|transaction| {
            let sql = "SELECT id, person_id, name, scopes, created_ms, expires_ms, revoked_ms, used_ms \
                       FROM api_token WHERE person_id = ?1 ORDER BY id DESC";
            transaction.rows(sql, values![of])?.iter().map(of_row).collect()
        })
    }

    /// Takes a token back.
    pub fn revoke_api_token(&self, actor: Actor, id: Id) -> Result<()> {
        let owner = self.read(|transaction| {
            let row = transaction.row("SELECT person_id FROM api_token WHERE id = ?1", values![id])?;
            row.map(|row| row.integer(0)).ok_or_else(|| LabelError::not_found("token", id))
        })?;
        // Whose token it is isn't told to others.
        actor.require_self_or(owner, Role::Manager).map_err(|_| LabelError::not_found("token", id))?;
        let now = self.now_ms();
        self.write(|transaction| {
            transaction.change("UPDATE api_token SET revoked_ms = ?2 WHERE id = ?1", values![id, now])
        })?;
        self.note(actor, "token.revoke", &format!("token {id}"), "")
    }

    /// Whose token a secret is, if it may be used for `needed`.
    pub fn authenticate_api_token(&self, secret: &str, needed: Scope) -> Result<Person> {
        let now = self.now_ms();
        let (id, used, scopes, person) = self.read(|transaction| {
            let sql = "SELECT id, used_ms, scopes, person_id FROM api_token WHERE token = ?1 \
                       AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)";
            let row = transaction.row(sql, values![random::stored(secret), now])?;
            let row = row.ok_or(LabelError::WrongCredentials)?;
            Ok((row.integer(0), row.integer(1), row.text(2), person(transaction, row.integer(3))?))
        })?;
        if !person.active {
            return Err(LabelError::WrongCredentials);
        }
        if !scopes.split(' ').any(|scope| scope == needed.as_str()) {
            return Err(LabelError::OutOfScope { needed });
        }
        // To the hour: a write for each request would be too much.
        if used + 3_600_000 <= now {
            self.write_relaxed(|transaction| {
                transaction.change("UPDATE api_token SET used_ms = ?2 WHERE id = ?1", values![id, now])
            })?;
        }
        Ok(person)
    }
}

fn of_row(row: &Row) -> Result<ApiToken> {
    Ok(ApiToken {
        id: row.integer(0),
        person: row.integer(1),
        name: row.text(2),
        scopes: row.text(3).split(' ').map(str::parse).collect::<Result<_>>()?,
        created_ms: row.integer(4),
        expires_ms: row.optional_integer(5),
        revoked: row.optional_integer(6).is_some(),
        used_ms: row.optional_integer(7),
    })
}

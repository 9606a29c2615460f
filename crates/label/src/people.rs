//! People: their names, roles and groups, and how they are invited.

use serde::{Deserialize, Serialize};

use crate::database::{Row, Transaction, values};
use crate::{Actor, Id, LabelError, Result, Role, Store, check, password, random};

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Number.
    pub id: Id,
    /// Log-in name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The labeler group, such as "held-out"; empty for none. Exports carry it.
    pub group: String,
    /// Whether they may log in.
    pub active: bool,
    /// When they came.
    pub created_ms: i64,
    /// Whether their identity was erased.
    pub erased: bool,
    /// Until when their name is locked after wrong passwords.
    pub locked_until_ms: Option<i64>,
}

impl Person {
    /// The person as an actor.
    pub fn actor(&self) -> Actor {
        Actor::Person(self.id, self.role)
    }
}

/// Somebody to be added.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// Log-in name.
    pub name: String,
    /// Absent for somebody who never logs in (imported or simulated labelers).
    pub password: Option<String>,
    /// What they may do.
    pub role: Role,
    /// The labeler group; empty for none.
    pub group: String,
}

/// A link by which somebody can join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invitation {
    /// Number.
    pub id: Id,
    /// The role that it gives.
    pub role: Role,
    /// The group that it gives.
    pub group: String,
    /// A word on whom it is for.
    pub note: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// Who joined by it.
    pub used_by: Option<Id>,
    /// Whether it was taken back.
    pub revoked: bool,
}

/// An invitation to be made.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// The role that it gives.
    pub role: Role,
    /// The group that it gives.
    pub group: String,
    /// A word on whom it is for.
    pub note: String,
    /// How long it can be used.
    pub valid_ms: i64,
}

/// The columns that [`of_row`] reads.
const COLUMNS: &str = "id, name, role, team, active, created_ms, erased_ms, locked_until_ms";

impl Store {
    /// Adds a person.
    pub fn add_person(&self, actor: Actor, new: &NewPerson) -> Result<Person> {
        actor.require(Role::Manager)?;
        let person = self.insert_person(new, None)?;
        self.note(actor, "person.add", &format!("person {}", person.id), new.role.as_str())?;
        Ok(person)
    }

    fn insert_person(&self, new: &NewPerson, invitation: Option<Id>) -> Result<Person> {
        let name = check::person_name(&new.name)?;
        check::optional_text("group", &new.group, 64)?;
        let hash = new.password.as_deref().map(|text| password::hash(text, self.password_cost())).transpose()?;
        let (now, salt) = (self.now_ms(), random::secret()?);
        let id = self.write(|transaction| {
            let sql = "SELECT COUNT(*) FROM person WHERE lower(name) = lower(?1)";
            if transaction.number(sql, values![&name])? > 0 {
                return Err(LabelError::Taken { what: "person", name: name.clone() });
            }
            let sql = "INSERT INTO person (name, role, team, password, active, salt, created_ms) \
                       VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)";
            let role = new.role.as_str();
            let id = transaction.insert(sql, values![&name, role, new.group.trim(), hash, salt, now])?;
            if let Some(invitation) = invitation {
                let sql = "UPDATE invitation SET used_by = ?1 WHERE id = ?2 AND used_by IS NULL";
                if transaction.change(sql, values![id, invitation])? == 0 {
                    return Err(LabelError::InvitationOver { why: "was used" });
                }
            }
            Ok(id)
        })?;
        self.person(id)
    }

    /// Everybody, by name.
    pub fn people(&self, actor: Actor) -> Result<Vec<Person>> {
        actor.require(Role::Reviewer)?;
        self.read(|transaction| {
            let rows = transaction.rows(&format!("SELECT {COLUMNS} FROM person ORDER BY lower(name), id"), &[])?;
            rows.iter().map(of_row).collect()
        })
    }

    /// A person by number.
    pub fn person(&self, id: Id) -> Result<Person> {
        self.read(|transaction| person(transaction, id))
    }

    /// A person by name, whatever its case.
    pub fn person_by_name(&self, name: &str) -> Result<Option<Person>> {
        self.read(|transaction| {
            let sql = format!("SELECT {COLUMNS} FROM person WHERE lower(name) = lower(?1)");
            transaction.row(&sql, values![name.trim()])?.as_ref().map(of_row).transpose()
        })
    }

    /// Whether anybody could log in.
    pub fn has_people(&self) -> Result<bool> {
        let sql = "SELECT COUNT(*) FROM person WHERE active = 1 AND password IS NOT NULL";
        Ok(self.read(|transaction| transaction.number(sql, &[]))? > 0)
    }

    /// Gives a person a role.
    pub fn set_role(&self, actor: Actor, id: Id, role: Role) -> Result<()> {
        self.change_person(actor, id, "role", "UPDATE person SET role = ?2 WHERE id = ?1", role.as_str().into())
    }

    /// Puts a person into a group; empty for none.
    pub fn set_group(&self, actor: Actor, id: Id, group: &str) -> Result<()> {
        check::optional_text("group", group, 64)?;
        self.change_person(actor, id, "group", "UPDATE person SET team = ?2 WHERE id = ?1", group.trim().into())
    }

    /// Lets a person in or keeps them out; who is kept out is logged out.
    pub fn set_active(&self, actor: Actor, id: Id, active: bool) -> Result<()> {
        self.change_person(actor, id, "active", "UPDATE person SET active = ?2 WHERE id = ?1", active.into())?;
        if !active {
            self.log_out_everywhere(id)?;
        }
        Ok(())
    }

    /// Gives a person another password; they are logged out everywhere.
    pub fn set_password(&self, actor: Actor, id: Id, new: &str) -> Result<()> {
        let hash = password::hash(new, self.password_cost())?;
        let sql = "UPDATE person SET password = ?2, wrong_passwords = 0, locked_until_ms = 0 WHERE id = ?1";
        self.change_person(actor, id, "password", sql, hash.into())?;
        self.log_out_everywhere(id)
    }

    /// A person's own change of their password.
    pub fn change_password(&self, id: Id, old: &str, new: &str) -> Result<()> {
        let hash = self.read(|transaction| {
            transaction.row("SELECT password FROM person WHERE id = ?1 AND active = 1", values![id])
        })?;
        let hash = hash.and_then(|row| row.optional_text(0));
        if !password::fits(old, hash.as_deref(), self.password_cost())? {
            return Err(LabelError::WrongCredentials);
        }
        self.set_password(Actor::Operator, id, new)
    }

    fn change_person(&self, actor: Actor, id: Id, what: &str, sql: &str, value: crate::database::Value) -> Result<()> {
        actor.require(Role::Manager)?;
        let changed = self.write(|transaction| {
            if person(transaction, id)?.erased {
                return Err(LabelError::not_found("person", id));
            }
            transaction.change(sql, &[id.into(), value])
        })?;
        if changed == 0 {
            return Err(LabelError::not_found("person", id));
        }
        self.note(actor, &format!("person.{what}"), &format!("person {id}"), "")
    }

    /// Makes an invitation; the token is shown once and can't be read again.
    pub fn invite(&self, actor: Actor, new: &NewInvitation) -> Result<(Invitation, String)> {
        actor.require(Role::Manager)?;
        check::optional_text("note", &new.note, 1000)?;
        check::optional_text("group", &new.group, 64)?;
        if new.valid_ms <= 0 {
            return Err(LabelError::invalid("valid", format!("{} ms", new.valid_ms), "more than 0"));
        }
        let (token, now) = (random::secret()?, self.now_ms());
        let id = self.write(|transaction| {
            let sql = "INSERT INTO invitation (token, role, team, note, created_by, created_ms, expires_ms) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (stored, role) = (random::stored(&token), new.role.as_str());
            let expires = now.saturating_add(new.valid_ms);
            transaction.insert(sql, values![stored, role, new.group.trim(), &new.note, actor.person(), now, expires])
        })?;
        self.note(actor, "person.invite", &format!("invitation {id}"), new.role.as_str())?;
        let all = self.invitations(actor)?;
        let made = all.into_iter().find(|invitation| invitation.id == id);
        made.map(|invitation| (invitation, token)).ok_or_else(|| LabelError::not_found("invitation", id))
    }

    /// All invitations, the newest first.
    pub fn invitations(&self, actor: Actor) -> Result<Vec<Invitation>> {
        actor.require(Role::Manager)?;
        self.read(|transaction| {
            let sql = format!("SELECT {INVITATION} FROM invitation ORDER BY id DESC");
            transaction.rows(&sql, &[])?.iter().map(invitation_of_row).collect()
        })
    }

    /// The invitation of a token, if it can still be accepted.
    pub fn invitation(&self, token: &str) -> Result<Invitation> {
        let invitation = self.read(|transaction| {
            let sql = format!("SELECT {INVITATION} FROM invitation WHERE token = ?1");
            let row = transaction.row(&sql, values![random::stored(token)])?;
            row.as_ref().map(invitation_of_row).transpose()
        })?;
        let invitation = invitation.ok_or_else(|| LabelError::not_found("invitation", "of this link"))?;
        let over = |why| Err(LabelError::InvitationOver { why });
        match &invitation {
            Invitation { revoked: true, .. } => over("was revoked"),
            Invitation { used_by: Some(_), .. } => over("was used"),
            Invitation { expires_ms, .. } if *expires_ms <= self.now_ms() => over("has expired"),
            _ => Ok(invitation),
        }
    }

    /// Takes an invitation back.
    pub fn revoke_invitation(&self, actor: Actor, id: Id) -> Result<()> {
        actor.require(Role::Manager)?;
        let now = self.now_ms();
        let sql = "UPDATE invitation SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL";
        if self.write(|transaction| transaction.change(sql, values![id, now]))? == 0 {
            return Err(LabelError::not_found("invitation", id));
        }
        self.note(actor, "person.uninvite", &format!("invitation {id}"), "")
    }

    /// Joins by an invitation.
    pub fn accept_invitation(&self, token: &str, name: &str, password: &str) -> Result<Person> {
        let invitation = self.invitation(token)?;
        let new = NewPerson {
            name: name.to_owned(),
            password: Some(password.to_owned()),
            role: invitation.role,
            group: invitation.group.clone(),
        };
        let person = self.insert_person(&new, Some(invitation.id))?;
        self.note(person.actor(), "person.join", &format!("invitation {}", invitation.id), "")?;
        Ok(person)
    }
}

/// A person by number.
pub(crate) fn person(transaction: &mut Transaction<'_>, id: Id) -> Result<Person> {
    let row = transaction.row(&format!("SELECT {COLUMNS} FROM person WHERE id = ?1"), values![id])?;
    row.as_ref().map(of_row).ok_or_else(|| LabelError::not_found("person", id))?
}

fn of_row(row: &Row) -> Result<Person> {
    Ok(Person {
        id: row.integer(0),
        name: row.text(1),
        role: row.text(2).parse()?,
        group: row.text(3),
        active: row.is_set(4),
        created_ms: row.integer(5),
        erased: row.optional_integer(6).is_some(),
        locked_until_ms: row.optional_integer(7).filter(|until| *until > 0),
    })
}

/// The columns that [`invitation_of_row`] reads.
const INVITATION: &str = "id, role, team, note, created_ms, expires_ms, used_by, revoked_ms";

fn invitation_of_row(row: &Row) -> Result<Invitation> {
    Ok(Invitation {
        id: row.integer(0),
        role: row.text(1).parse()?,
        group: row.text(2),
        note: row.text(3),
        created_ms: row.integer(4),
        expires_ms: row.integer(5),
        used_by: row.optional_integer(6),
        revoked: row.optional_integer(7).is_some(),
    })
}

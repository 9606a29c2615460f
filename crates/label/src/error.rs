//! Why the store refuses, and what each refusal is to a client.

use crate::{Id, Role, Scope};

/// A refusal or a failure, with what was found and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The actor's role is too low.
    #[error("this needs the role {needed}")]
    Forbidden {
        /// The lowest role that may.
        needed: Role,
    },
    /// There is no such thing, or none that this person may see.
    #[error("no {what} {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its number or name.
        id: String,
    },
    /// A name is in use.
    #[error("a {what} named {name:?} exists already")]
    Taken {
        /// What has the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A field of a form or of a file isn't what it must be.
    #[error("{field}: found {found}, expected {expected}")]
    Invalid {
        /// Which field, with a path into it (`ratings[7].harmful`).
        field: String,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// Something is too large to be kept.
    #[error("{what}: {found} bytes, at most {limit} are kept")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its bytes.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// Name and password, or a secret, don't fit. Which of them is not told.
    #[error("name or password is wrong")]
    WrongCredentials,
    /// Too many wrong passwords.
    #[error("too many wrong passwords; locked for a while")]
    LockedOut {
        /// When the lock ends, in milliseconds since 1970.
        until_ms: i64,
    },
    /// The API token doesn't allow this.
    #[error("the token lacks the scope {needed}")]
    OutOfScope {
        /// The scope that is needed.
        needed: Scope,
    },
    /// An invitation can't be accepted any more.
    #[error("the invitation {why}")]
    InvitationOver {
        /// "has expired", "was used" or "was revoked".
        why: &'static str,
    },
    /// A form names a lease that isn't there or is somebody else's.
    #[error("this form belongs to no task of yours")]
    LeaseUnknown,
    /// The time for a task ran out and somebody else has it now.
    #[error("the time for task {task} ran out and others have done it meanwhile; the draft is kept")]
    LeaseExpired {
        /// The task.
        task: Id,
    },
    /// The form's task was submitted before, from another page.
    #[error("task {task} was submitted already; it can be corrected from the list of what was done")]
    AlreadyDone {
        /// The task.
        task: Id,
    },
    /// The task was taken back meanwhile.
    #[error("task {task} was taken back by the project's manager")]
    TaskWithdrawn {
        /// The task.
        task: Id,
    },
    /// A submission's name was used for another task or content.
    #[error("submission {submission:?} was made before, with other content")]
    SubmissionReused {
        /// Its name.
        submission: String,
    },
    /// A judgement was corrected already: the latest one must be corrected.
    #[error("judgement {judgement} was corrected before; correct {latest}")]
    AlreadyCorrected {
        /// The judgement that was to be corrected.
        judgement: Id,
        /// The one that corrects it.
        latest: Id,
    },
    /// The database is held by another writer.
    #[error("{database}: locked by another program; nothing was changed, try again")]
    Busy {
        /// Which database.
        database: String,
    },
    /// The disk is full.
    #[error("{database}: the disk is full; nothing was changed")]
    Full {
        /// Which database.
        database: String,
    },
    /// The database was made by a newer program.
    #[error("{database}: schema version {found}, this program knows up to {known}")]
    Version {
        /// Which database.
        database: String,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The database failed.
    #[error("{database}: cannot {action}: {message}")]
    Database {
        /// Which database.
        database: String,
        /// What was done.
        action: &'static str,
        /// What it answered.
        message: String,
    },
    /// What the database holds can't be read: it was damaged or edited by hand.
    #[error("{table} {id}: unreadable {column}: {problem}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row.
        id: Id,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] stdx::FileError),
    /// A statistic can't be computed.
    #[error(transparent)]
    Statistics(#[from] statistics::Error),
    /// The system gave no random bytes.
    #[error("no random bytes from the system: {0}")]
    Random(String),
}

/// What the store's methods return.
pub type Result<T, E = LabelError> = std::result::Result<T, E>;

impl LabelError {
    /// An invalid field.
    pub fn invalid(field: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), found: found.into(), expected: expected.into() }
    }

    /// Nothing of the kind.
    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// The HTTP status that says the same.
    pub fn status(&self) -> u16 {
        match self {
            Self::WrongCredentials => 401,
            Self::Forbidden { .. } | Self::OutOfScope { .. } => 403,
            Self::NotFound { .. } | Self::LeaseUnknown => 404,
            Self::Taken { .. }
            | Self::SubmissionReused { .. }
            | Self::AlreadyCorrected { .. }
            | Self::AlreadyDone { .. } => 409,
            Self::LeaseExpired { .. } | Self::TaskWithdrawn { .. } | Self::InvitationOver { .. } => 410,
            Self::TooLarge { .. } => 413,
            Self::Invalid { .. } | Self::Statistics(_) => 422,
            Self::LockedOut { .. } => 429,
            Self::Busy { .. } => 503,
            Self::Full { .. } => 507,
            _ => 500,
        }
    }

    /// Whether the text tells of the server's inside, which a client must not see.
    pub fn is_internal(&self) -> bool {
        self.status() == 500
    }
}

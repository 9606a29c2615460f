//! Labeling: projects, tasks, assignment and judgements in one database, SQLite or PostgreSQL.
//!
//! A [`Store`] is the whole of it: one value that any thread may clone and call. It is synchronous,
//! knows nothing of HTTP, and checks roles itself, so that a page can't forget to. Judgements are
//! append-only: a correction is a new row. Names, texts and identities of people can be erased;
//! counts and hashes stay.
//!
//! - the database: `database` (two of them behind one dialect), `schema` (migrations by number), [`backup`](Store::backup)
//! - what is labeled: [`project`], [`guide`], [`prompt`], [`candidate`](mod@candidate)
//! - who does what: [`task`], `lease` ([`Store::next_task`]), [`judgement`], [`tree`] (conversations that grow)
//! - people: [`people`], [`session`], [`token`], [`audit`], [`erase`]
//! - what comes out: [`export`], [`aggregate`], [`agreement`], [`csv`]; what comes back: [`said`], [`import`]

pub mod aggregate;
pub mod agreement;
mod arrange;
pub mod audit;
mod backup;
pub mod body;
pub mod candidate;
mod check;
mod clock;
pub mod csv;
mod database;
pub mod erase;
mod error;
pub mod export;
pub mod generation;
pub mod guide;
pub mod import;
pub mod judgement;
mod lease;
mod password;
pub mod people;
pub mod project;
pub mod prompt;
mod qualification;
mod random;
pub mod role;
pub mod said;
mod schema;
pub mod session;
pub mod settings;
mod store;
pub mod task;
pub mod token;
pub mod tree;

pub use aggregate::Aggregate;
pub use agreement::{AgreementOptions, AgreementReport, Estimate, LabelerReport};
pub use audit::{AuditEntry, AuditQuery};
pub use body::{Body, FieldValue, Fields, Place, PromptStyle, Rating};
pub use candidate::{Candidate, NewCandidate};
pub use clock::{Clock, rfc3339};
pub use erase::Erased;
pub use error::{LabelError, Result};
pub use export::{Content, Export, ExportOptions, Manifest};
pub use generation::{Generation, GenerationRequest};
pub use guide::{Guide, Phase, default_guide};
pub use import::Imported;
pub use judgement::{Judgement, JudgementQuery, Recorded, Submission, Submitted};
pub use lease::{Assignment, Draft, Next, Progress, Shown};
pub use password::{CHARACTERS_MIN as PASSWORD_CHARACTERS_MIN, PasswordCost};
pub use people::{Invitation, NewInvitation, NewPerson, Person};
pub use project::{Project, ProjectCounts, ProjectState};
pub use prompt::{AddedPrompts, NewPrompt, PromptQuery, StoredPrompt};
pub use role::{Actor, Role};
pub use said::{SaidAnswer, Statement, Statements};
pub use session::Session;
pub use settings::{
    Field, FieldKind, FieldOf, GoldSettings, PromptSettings, QualificationSettings, RankingSettings, ReviewSettings,
    Settings, TreeSettings,
};
pub use store::{OpenOptions, Store};
pub use task::{
    Disagreement, MakeTasks, NewTask, Purpose, TaskKind, TaskQuery, TaskState, TaskSummary, TaskView, WriteBrief,
};
pub use token::{ApiToken, NewApiToken, Scope};
pub use tree::{TreeState, TreeSummary};

/// The number of a row. Meaningless outside of its database; exports carry a [`Judgement::uid`].
pub type Id = i64;

//! A small invented world in which truthful, helpful and harmful are facts.
//!
//! [`World::new`] makes tables of facts from a seed. From them come texts to pretrain on ([`World::texts`]),
//! demonstrations and prompts, and what is needed to check an answer: [`World::understand`] reads a prompt back into
//! a [`Request`], [`World::solution`] says what is right. All of it is integer arithmetic on seeded random streams,
//! so that the bytes are equal anywhere. It knows nothing of models, tokens or files.
mod answer;
pub mod deed;
mod document;
mod fact;
mod form;
pub mod gold;
pub mod labeler;
mod pattern;
mod phrase;
mod request;
mod rows;
mod sample;
mod solution;
mod statement;
mod understand;
pub mod wording;
pub mod words;
mod world;

pub use answer::{REFUSALS, count_words, small_talk};
pub use document::Texts;
pub use fact::{Fact, Kind, Relation};
pub use request::{
    Constraint, Harm, HarmKind, Operation, Request, Rewriting, SmallTalk, Solution, Style, Task, UseCase,
};
pub use rows::{HeldOut, PromptRow, Split};
pub use world::World;

/// The seed of the world that the shipped base models know.
pub const SHIPPED_SEED: u64 = 1;

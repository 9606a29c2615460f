//! Data formats to records, splits and statistics.
//!
//! Files of any known format come in ([`read_rows`], or [`Rows`] one by one), [`record::Row`]s go
//! out; a row that can't be one is an error that names file, line and field, or is counted with
//! its reason. Nothing here knows of tokens or training.
//!
//! - [`format`](mod@format): one file a format and [`FORMATS`], the list of them
//! - [`source`]: files and their compression
//! - [`mod@split`]: parts and folds that a prompt or a user never straddles
//! - [`stats`]: what is in a data set
//! - [`convert`]: rows of one format as rows of another
//! - [`curate`]: what stays of a corpus, and why the rest doesn't
//! - [`template`]: rows of labelled data sets as instructions

pub mod convert;
pub mod curate;
mod detect;
mod field;
pub mod format;
mod identity;
mod raw;
pub mod source;
pub mod split;
pub mod stats;
pub mod table;
pub mod template;

pub use field::RowError;
pub use format::{FORMATS, Format, find_format};
pub use identity::{content_id, prompt_key};
pub use raw::{Values, values};
pub use source::{BadRows, CorpusError, Dataset, Options, Origin, Rows, SourceFile, read_rows};

//! What a labeling database knows of a judgement.

use crate::error::CommandError;
use ::label::{Actor, OpenOptions, Store};
use serde::Serialize;

/// A judgement, without anybody's name.
#[derive(Serialize)]
pub struct Judged {
    project: String,
    kind: String,
    task: i64,
    prompt: Option<i64>,
    source: String,
    guide_version: i64,
    created: String,
    /// Another judgement that corrects it rules instead.
    corrected: bool,
    erased: bool,
    body_hash: String,
}

impl Judged {
    /// The judgement of this name; of a row that several made, the first.
    pub fn find(db: &str, name: &str) -> Result<Judged, CommandError> {
        let store = Store::open(db, &OpenOptions::default())?;
        let first = name.split('+').next().unwrap_or(name);
        let (project, judgement) = store.judgement_by_uid(Actor::Operator, first)?;
        Ok(Judged {
            project: project.name,
            kind: judgement.kind.to_string(),
            task: judgement.task,
            prompt: judgement.prompt,
            source: judgement.source.to_string(),
            guide_version: judgement.guide_version,
            created: ::label::rfc3339(judgement.created_ms),
            corrected: !judgement.current,
            erased: judgement.erased,
            body_hash: judgement.body_hash,
        })
    }

    /// Lines for people.
    pub fn describe(&self) -> String {
        let Judged { project, kind, task, source, guide_version, created, body_hash, .. } = self;
        let corrected = if self.corrected { ", corrected since" } else { "" };
        let erased = if self.erased { ", its words erased" } else { "" };
        format!(
            "  project {project}, task {task} ({kind}), {source}, {created}, guide version {guide_version}{corrected}{erased}\n  \
             hash {body_hash}\n"
        )
    }
}

/// Whether a text can be the `id` of an exported row: a project's name of 16 hexadecimal digits, `-`, and a number, or
/// several with `+` between.
pub fn is_row_name(text: &str) -> bool {
    let Some((project, numbers)) = text.split_once('-') else { return false };
    let is_project = project.len() == 16 && project.chars().all(|c| c.is_ascii_hexdigit());
    is_project && numbers.split('+').all(|number| number.parse::<u64>().is_ok())
}

/// Whether a row's `id` names the judgement: alone, or among those of an aggregate.
pub fn names(row: &str, judgement: &str) -> bool {
    if row == judgement {
        return true;
    }
    let (Some((project, numbers)), Some((of, number))) = (row.split_once('-'), judgement.split_once('-')) else {
        return false;
    };
    project == of && numbers.split('+').any(|one| one == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_or_several_judgements_are_known() {
        let name = "0123456789abcdef-17";
        assert!(is_row_name(name) && is_row_name("0123456789abcdef-3+17"));
        for wrong in ["", "17", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdeg-1", "x-1"] {
            assert!(!is_row_name(wrong), "{wrong}");
        }
        assert!(names(name, name) && names("0123456789abcdef-3+17", name));
        assert!(!names("0123456789abcdef-170", name) && !names("f123456789abcdef-17", name));
    }
}

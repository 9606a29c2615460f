//! The stages of a study: each looks whether it is done, does its work, and notes it.
mod measuring;
mod reporting;
mod training;

use crate::error::StudyError;
use crate::event::Event;
use crate::ledger::Ledger;
use crate::study::{CONTENDERS, Study, make_parent};
use render::Renderer;
use run::lineage::Hashed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

/// Stages before models are measured, and after.
const STAGES: usize = 6 + CONTENDERS.len() + 1;

/// A study under way.
pub(crate) struct Work<'a> {
    pub study: &'a Study<'a>,
    pub renderer: Renderer,
    ledger: Ledger,
    /// The base model's hash.
    base: String,
    /// Stages begun or skipped.
    number: usize,
    sink: &'a mut dyn FnMut(Event<'_>),
}

impl<'a> Work<'a> {
    pub fn begin(
        study: &'a Study<'a>,
        ledger: Ledger,
        base: String,
        sink: &'a mut dyn FnMut(Event<'_>),
    ) -> Result<Work<'a>, StudyError> {
        study.check()?;
        let renderer = Renderer::open(&study.base, None)?;
        Ok(Work { study, renderer, ledger, base, number: 0, sink })
    }

    /// Does a stage unless it is done: `work` turns the `inputs` (files of the study) into the `outputs`.
    fn stage(
        &mut self,
        (name, what): (&'static str, &str),
        inputs: &[&str],
        outputs: &[&str],
        work: impl FnOnce(&mut Work<'a>) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        self.number += 1;
        let inputs = self.hash(inputs)?;
        let done_in = self.ledger.done(name, &inputs)?;
        (self.sink)(Event::Stage { number: self.number, of: STAGES, name, what, done_in });
        if done_in.is_some() {
            return Ok(());
        }
        let began = Instant::now();
        work(self)?;
        self.ledger.note(name, inputs, outputs, began.elapsed().as_secs_f64())
    }

    /// One hash of the base and of files of the study.
    fn hash(&self, inputs: &[&str]) -> Result<String, StudyError> {
        let mut all = self.base.clone();
        for name in inputs {
            all.push('\n');
            all.push_str(&Hashed::of(&self.study.place(name))?.hash);
        }
        Ok(stdx::hash::bytes(all.as_bytes()))
    }

    /// The stage that isn't finished.
    fn interrupted(&self, stage: &str) -> StudyError {
        StudyError::Interrupted { stage: stage.to_owned() }
    }

    fn write_rows_to(&self, name: &str, rows: &[impl Serialize]) -> Result<(), StudyError> {
        let path = self.study.place(name);
        make_parent(&path)?;
        Ok(stdx::atomic::write_file_with(&path, |out| {
            rows.iter().try_for_each(|row| stdx::jsonl::write_line(out, row))
        })?)
    }

    fn read_rows<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, StudyError> {
        read_rows(&self.study.place(name))
    }
}

fn read_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, StudyError> {
    let file = std::fs::File::open(path).map_err(stdx::FileError::at(path, "open"))?;
    let damaged = |error: stdx::jsonl::LineError| StudyError::Damaged {
        path: path.to_path_buf(),
        message: format!("line {error}"),
    };
    stdx::jsonl::Reader::<_, T>::new(BufReader::new(file)).map(|row| row.map(|(_, row)| row).map_err(damaged)).collect()
}

//! Checkpoints and `final/`.
use super::{Session, beside};
use crate::TrainError;
use crate::event::{Event, Sink};
use crate::state;
use run::SourceNote;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use stdx::FileError;

impl Session<'_> {
    /// Writes a checkpoint: a model folder (of the average, when there is one) and the trainer's state.
    pub(super) fn save(&mut self, sink: &mut dyn Sink) -> Result<(), TrainError> {
        if self.model.trainable().iter().any(|weight| !weight.is_finite()) {
            return self.refuse_unless_finite("a weight", f64::NAN);
        }
        let step = self.state.step;
        let spare: Vec<u64> = self.best_choice()?.map(|choice| choice.step).into_iter().collect();
        let keep = self.settings.train.keep_checkpoints;
        let counters = serde_json::to_value(&self.state).unwrap_or_default();
        let dtype = self.settings.save_dtype;
        let weights = self.average.is_some().then(|| self.model.trainable().to_vec());
        if let Some(average) = &self.average {
            self.model.set_trainable(&average.values);
        }
        let session = &*self;
        let saved = self.folder.save_checkpoint(step, keep, &spare, |path| {
            session.model.save(path, dtype)?;
            session.write_side_files(path)?;
            write_json(&path.join(state::COUNTERS), &counters)?;
            let weights = weights.as_deref().unwrap_or(session.model.trainable());
            let mut arrays = vec![
                ("weights", weights),
                ("first_moment", &session.optimizer.first_moment[..]),
                ("second_moment", &session.optimizer.second_moment[..]),
            ];
            arrays.extend(session.average.as_ref().map(|average| ("average", &average.values[..])));
            state::write_arrays(&path.join(state::ARRAYS), &arrays)?;
            session.beside.write(path)?;
            Ok::<(), TrainError>(())
        });
        if let Some(weights) = weights {
            self.model.set_trainable(&weights);
        }
        let checkpoint = saved?;
        self.saved = Some(step);
        sink.event(&Event::Saved { step, path: checkpoint.path.clone() });
        self.weigh(&checkpoint.path)
    }

    /// Tokenizer, chat template, what ends an answer, and the note about the model's origin.
    fn write_side_files(&self, folder: &Path) -> Result<(), TrainError> {
        let tokenizer = folder.join("tokenizer.json");
        fs::write(&tokenizer, self.renderer.tokenizer().to_json()).map_err(FileError::at(&tokenizer, "write"))?;
        write_json(&folder.join("tokenizer_config.json"), &self.renderer.tokenizer_config())?;
        let mut generation = json!({"eos_token_id": self.renderer.end_ids()});
        for (field, id) in [("bos_token_id", self.renderer.bos_id()), ("pad_token_id", self.renderer.pad_id())] {
            if let Some(id) = id {
                generation[field] = id.into();
            }
        }
        write_json(&folder.join("generation_config.json"), &generation)?;
        if self.source != SourceNote::default() {
            self.source.write(folder)?;
        }
        Ok(())
    }

    /// Publishes the network beside the model, as it is now, as a model folder of the run; nothing without one.
    pub(crate) fn publish_companion(&self, name: &str) -> Result<(), TrainError> {
        let Some(companion) = &self.beside.companion else {
            return Ok(());
        };
        self.folder.publish_beside(name, |path| {
            companion.model.save(path, self.settings.save_dtype)?;
            self.write_side_files(path)
        })
    }

    /// Publishes the model of a checkpoint as `final/`.
    pub(super) fn publish(
        &self,
        step: u64,
        complete: &mut dyn FnMut(&Path) -> Result<(), TrainError>,
    ) -> Result<PathBuf, TrainError> {
        let checkpoint = self.folder.checkpoint_path(step);
        self.folder.publish_final(|path| {
            copy_model(&checkpoint, path)?;
            complete(path)
        })
    }
}

/// Copies a checkpoint without the trainer's state.
fn copy_model(from: &Path, to: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(from).map_err(FileError::at(from, "list"))? {
        let source = entry.map_err(FileError::at(from, "list"))?.path();
        let Some(name) = source.file_name() else {
            continue;
        };
        let place = to.join(name);
        if source.is_dir() {
            fs::create_dir(&place).map_err(FileError::at(&place, "create"))?;
            copy_model(&source, &place)?;
        } else if ![state::COUNTERS, state::ARRAYS, beside::NUMBERS, beside::ARRAYS, stdx::atomic::MANIFEST]
            .iter()
            .any(|left| name == *left)
        {
            fs::copy(&source, &place).map_err(FileError::at(&place, "write"))?;
        }
    }
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> Result<(), FileError> {
    fs::write(path, format!("{value:#}\n")).map_err(FileError::at(path, "write"))
}

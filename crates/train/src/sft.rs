//! Supervised fine-tuning on demonstrations (arXiv 2203.02155, §3.5): cross-entropy of the completion's tokens (`likelihood`).
//!
//! Text of the model's own kind may be mixed in (`sft.ptx`; App. C.1 mixes a tenth of pretraining data into the model that
//! PPO begins from), so that the model doesn't forget what it knew.
use crate::data::{self, Data, Ends};
use crate::event::Sink;
use crate::session::Supervised;
use crate::{Options, Outcome, TrainError, likelihood};
use render::Renderer;
use run::SftConfig;
use run::config::{DataSection, ModelSection, OptimizerSection, Paths, TrainSection};
use stdx::Seed;

/// Runs the stage: from demonstrations to `final/`.
pub fn run(options: Options<'_, SftConfig>, sink: &mut dyn Sink) -> Result<Outcome, TrainError> {
    likelihood::run(options, |config, seed, renderer| read(&config.data, &config.sft.ptx, seed, renderer), sink)
}

/// Demonstrations, and text beside them: examples of one kind, shuffled together.
fn read(section: &DataSection, ptx: &Paths, seed: Seed, renderer: &Renderer) -> Result<Data, TrainError> {
    let mut data = data::demonstrations(section, seed, renderer)?;
    if !ptx.0.is_empty() {
        let text = data::beside(section, ptx, seed, renderer, Ends::Documents)?;
        data.train.extend(text.train);
        data.files.extend(text.files);
        data.report.text = Some(Box::new(text.report.train));
    }
    Ok(data)
}

impl Supervised for SftConfig {
    fn sections(&self) -> (&ModelSection, &DataSection, &OptimizerSection, &TrainSection) {
        (&self.model, &self.data, &self.optimizer, &self.train)
    }
    fn data_mut(&mut self) -> &mut DataSection {
        &mut self.data
    }
}

//! Language modelling on running text: cross-entropy of every token, given those before it in its document.
//!
//! Documents are delimited by EOS, laid end to end and cut into blocks of `data.max_length` tokens; a block is a row of
//! the optimizer batch, and attention stays inside each document ([`data::blocks`]).
//! The loop is `likelihood`'s.
use crate::data;
use crate::event::Sink;
use crate::session::Supervised;
use crate::{Options, Outcome, TrainError, likelihood};
use run::PretrainConfig;
use run::config::{DataSection, ModelSection, OptimizerSection, TrainSection};

/// Runs the stage: from text to `final/`.
pub fn run(options: Options<'_, PretrainConfig>, sink: &mut dyn Sink) -> Result<Outcome, TrainError> {
    likelihood::run(options, |config, seed, renderer| data::documents(&config.data, seed, renderer), sink)
}

impl Supervised for PretrainConfig {
    fn sections(&self) -> (&ModelSection, &DataSection, &OptimizerSection, &TrainSection) {
        (&self.model, &self.data, &self.optimizer, &self.train)
    }
    fn data_mut(&mut self) -> &mut DataSection {
        &mut self.data
    }
}

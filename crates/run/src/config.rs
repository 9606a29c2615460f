//! Configuration in layers: defaults, a TOML file, `--set key=value`, command-line options; the later wins.
//!
//! Every value remembers where it came from. An unknown key, a wrong type, a value out of range, a contradiction and
//! an option that would do nothing in the stage at hand are errors that name the key.

mod error;
mod layers;
mod preferences;
mod reinforcement;
mod resolved;
mod sections;
mod stages;

pub use error::ConfigError;
pub use layers::{Layers, Origin};
pub use preferences::{DpoConfig, DpoSection, Readout, RmConfig, RmSection};
pub use reinforcement::{AdaptiveKlSection, ClipScope, MissingEos, PpoConfig, PpoSection};
pub use resolved::Resolved;
pub use sections::{
    BaseDtype, Choose, DataSection, Dtype, Field, LoraSection, LossOn, ModelSection, OptimizerSection, OverLength,
    Paths, Precision, Schedule, Section, TrainSection,
};
pub use stages::{PretrainConfig, SftConfig, SftSection, StageConfig};

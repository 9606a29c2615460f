//! The run directory, the interface between stages: config, lineage, metrics, checkpoints.
//!
//! Knows one directory, the clock and the git revision; does not know what a stage does.

pub mod config;
pub mod folder;
pub mod lineage;
pub mod metrics;
pub mod report;
pub mod tensorboard;

pub use config::{
    ConfigError, DpoConfig, Layers, Origin, PpoConfig, PretrainConfig, Resolved, RmConfig, SftConfig, StageConfig,
};
pub use folder::{Checkpoint, RunError, RunFolder};
pub use lineage::{Lineage, SourceNote};

//! The run directory: config, lineage, metrics, checkpoints.

//! `report.html` of a training run: one self-contained page.
use crate::{RunError, RunFolder};

/// Writes `report.html` from what stands in the run directory.
pub fn write(_folder: &RunFolder) -> Result<(), RunError> {
    Ok(())
}

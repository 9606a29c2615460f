//! One flat loop per stage.

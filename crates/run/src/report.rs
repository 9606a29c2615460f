//! `report.html` of a training run: one self-contained page.

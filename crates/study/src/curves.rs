//! What the stages' runs say about how they went.
use crate::StudyError;
use run::metrics::read_lines;
use serde_json::{Map, Value};
use std::path::Path;

/// The lines of `metrics.jsonl` of each training stage.
pub(crate) struct Curves {
    pub sft: Vec<Map<String, Value>>,
    pub rm: Vec<Map<String, Value>>,
    pub ppo: Vec<Map<String, Value>>,
    pub ppo_ptx: Vec<Map<String, Value>>,
}

impl Curves {
    /// Reads them; a stage without any has an empty list.
    pub fn read(out: &Path) -> Result<Curves, StudyError> {
        let of = |stage: &str| {
            let path = out.join(stage).join("metrics.jsonl");
            if path.exists() { read_lines(&path) } else { Ok(Vec::new()) }
        };
        Ok(Curves { sft: of("sft")?, rm: of("rm")?, ppo: of("ppo")?, ppo_ptx: of("ppo-ptx")? })
    }
}

/// (step, value) of a key.
pub(crate) fn over_steps(lines: &[Map<String, Value>], key: &str) -> Vec<(f64, f64)> {
    pairs(lines, "step", key)
}

/// (one key, another) of each line that has both.
pub(crate) fn pairs(lines: &[Map<String, Value>], x: &str, y: &str) -> Vec<(f64, f64)> {
    lines.iter().filter_map(|line| Some((line.get(x)?.as_f64()?, line.get(y)?.as_f64()?))).collect()
}

/// The mean of each point and up to `window` − 1 before it.
pub(crate) fn smoothed(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let mean = |end: usize| {
        let slice = &points[(end + 1).saturating_sub(window.max(1))..=end];
        slice.iter().map(|point| point.1).sum::<f64>() / slice.len() as f64
    };
    (0..points.len()).map(|end| (points[end].0, mean(end))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_without_a_key_are_left_out() {
        let line = |value: Value| value.as_object().cloned().unwrap_or_default();
        let lines =
            [line(json!({"step": 1, "gold": 0.5})), line(json!({"step": 2})), line(json!({"step": 3, "gold": 1}))];
        assert_eq!(over_steps(&lines, "gold"), [(1.0, 0.5), (3.0, 1.0)]);
    }

    #[test]
    fn a_running_mean_looks_back_only() {
        let points = [(1.0, 1.0), (2.0, 3.0), (3.0, 5.0)];
        assert_eq!(smoothed(&points, 2), [(1.0, 1.0), (2.0, 2.0), (3.0, 4.0)]);
        assert_eq!(smoothed(&points, 1), points);
    }
}

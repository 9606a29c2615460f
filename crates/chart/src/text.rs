//! Curves in letters, for a terminal: columns of blocks, an eighth of a row the smallest step.

/// The eight heights of a block.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as columns of blocks, at most `width` of them (the mean of equal runs where there are more values), `rows` rows
/// high, from above. The least value is one eighth of a row high, the greatest fills all rows; where all are equal they
/// stand in the middle. What isn't finite leaves a gap.
pub fn columns(values: &[f64], width: usize, rows: usize) -> Vec<String> {
    let run = values.len().div_ceil(width.max(1)).max(1);
    let mean = |run: &[f64]| {
        let finite: Vec<f64> = run.iter().copied().filter(|value| value.is_finite()).collect();
        (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
    };
    let means: Vec<Option<f64>> = values.chunks(run).map(mean).collect();
    let (low, high) =
        means.iter().flatten().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
    let eighths = 8 * rows;
    let height = |value: f64| match high > low {
        true => 1 + ((value - low) / (high - low) * (eighths as f64 - 1.0)).round() as usize,
        false => eighths / 2,
    };
    let row = |row: usize| {
        // Eighths below this row, counted from the bottom.
        let below = 8 * (rows - 1 - row);
        let cell = |mean: &Option<f64>| match mean.map_or(0, height).saturating_sub(below) {
            0 => ' ',
            filled => BLOCKS[filled.min(8) - 1],
        };
        means.iter().map(cell).collect::<String>().trim_end().to_owned()
    };
    (0..rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_one_eighth_and_the_greatest_fills_all() {
        assert_eq!(columns(&[0.0, 7.0, 3.0], 9, 1), ["▁█▄"]);
        // Sixteen eighths: 1, 16 and 1 + round(.5·15) = 9.
        assert_eq!(columns(&[0.0, 2.0, 1.0], 9, 2), [" █▁", "▁██"]);
    }

    #[test]
    fn long_series_are_averaged_and_gaps_stay_gaps() {
        // Runs of two: 1, 3 and 5 alone.
        assert_eq!(columns(&[0.0, 2.0, 3.0, 3.0, 5.0], 3, 1), ["▁▅█"]);
        assert_eq!(columns(&[1.0, f64::NAN, 2.0], 3, 1), ["▁ █"]);
        // Equal ones in the middle; nothing is nothing.
        assert_eq!(columns(&[4.0, 4.0], 3, 1), ["▄▄"]);
        assert_eq!(columns(&[], 3, 2), ["", ""]);
    }
}

//! Which rows of which task go into a mixture.

use stdx::Seed;

/// How much of each task is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mixture {
    /// Most rows of a task (T0: 500,000 ÷ templates; FLAN: 30,000).
    pub cap: Option<usize>,
    /// Most that a task's size counts for its share (FLAN: 3,000): examples-proportional mixing with a maximum
    /// (Raffel et al., arXiv 1910.10683, §3.5.2).
    pub rate_max: Option<usize>,
}

impl Mixture {
    /// How many rows of each task to take, given how many each has.
    ///
    /// Without a maximum rate, all up to the cap. With one, tasks are in proportion to min(rows, maximum), as many as
    /// the scarcest task allows without taking a row twice.
    pub fn counts(&self, n_rows: &[usize]) -> Vec<usize> {
        let capped = |n: usize| self.cap.map_or(n, |cap| n.min(cap));
        let Some(rate_max) = self.rate_max else {
            return n_rows.iter().map(|&n| capped(n)).collect();
        };
        let rates: Vec<usize> = n_rows.iter().map(|&n| n.min(rate_max)).collect();
        // A row can be taken once: the scale is bounded by the task that runs out first.
        let scale = n_rows.iter().zip(&rates).filter(|(_, rate)| **rate > 0);
        let scale = scale.map(|(&n, &rate)| capped(n) as f64 / rate as f64).fold(f64::INFINITY, f64::min);
        rates.iter().map(|&rate| if rate == 0 { 0 } else { (rate as f64 * scale).floor() as usize }).collect()
    }
}

/// `n` of the places 0..`n_rows` by the seed, in their order.
pub fn capped(n_rows: usize, n: usize, seed: Seed, task: &str) -> Vec<usize> {
    let mut places: Vec<usize> = (0..n_rows).collect();
    if n < n_rows {
        seed.stream(&format!("mixture {task}"), 0).shuffle(&mut places);
        places.truncate(n);
        places.sort_unstable();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_capped_sizes() {
        let check = |cap, rate_max, n_rows: &[usize], expected: &[usize]| {
            assert_eq!(Mixture { cap, rate_max }.counts(n_rows), expected);
        };
        check(None, None, &[10, 0, 300], &[10, 0, 300]);
        check(Some(50), None, &[10, 0, 300], &[10, 0, 50]);
        // 10 and min(300, 40): in proportion 1 to 4, and the first has no more than 10.
        check(None, Some(40), &[10, 0, 300], &[10, 0, 40]);
        check(Some(5), Some(40), &[10, 0, 300], &[1, 0, 5]);
    }

    #[test]
    fn a_cap_draws_by_seed_and_task() {
        let drawn = capped(100, 10, Seed(3), "a");
        assert!(drawn.is_sorted() && drawn.len() == 10);
        assert_eq!(drawn, capped(100, 10, Seed(3), "a"));
        assert_ne!(drawn, capped(100, 10, Seed(3), "b"));
        assert_eq!(capped(3, 10, Seed(3), "a"), [0, 1, 2]);
    }
}

//! Which rows of which task go into a mixture.

use stdx::Seed;

/// How much of each task is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mixture {
    /// Most rows of a task (FLAN: 30,000).
    pub cap: Option<usize>,
    /// A task with more rows than this gets this divided by its templates (T0: 500,000).
    pub cap_by_templates: Option<usize>,
    /// Most that a task's size counts for its share (FLAN: 3,000): examples-proportional mixing with a maximum
    /// (Raffel et al., arXiv 1910.10683, §3.5.2).
    pub rate_max: Option<usize>,
}

impl Mixture {
    /// How many rows of each task to take, given how many rows and templates each has.
    ///
    /// Without a maximum rate, all up to the caps. With one, tasks are in proportion to min(rows, maximum), as many as
    /// the scarcest task allows without taking a row twice.
    pub fn counts(&self, tasks: &[(usize, usize)]) -> Vec<usize> {
        let n_rows: Vec<usize> = tasks.iter().map(|task| self.capped(*task)).collect();
        let Some(rate_max) = self.rate_max else {
            return n_rows;
        };
        let rates: Vec<usize> = tasks.iter().map(|(n, _)| (*n).min(rate_max)).collect();
        // A row can be taken once: the scale, a fraction, is that of the task that runs out first.
        let scales = n_rows.iter().zip(&rates).filter(|(_, rate)| **rate > 0);
        let scale = scales.map(|(&n, &rate)| (n as u128, rate as u128)).min_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)));
        let Some((n, of)) = scale else { return vec![0; tasks.len()] };
        rates.iter().map(|&rate| (rate as u128 * n / of) as usize).collect()
    }

    fn capped(&self, (n_rows, n_templates): (usize, usize)) -> usize {
        let n = match self.cap_by_templates {
            Some(cap) if n_rows > cap => (cap / n_templates.max(1)).max(1),
            _ => n_rows,
        };
        self.cap.map_or(n, |cap| n.min(cap))
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
            let tasks: Vec<(usize, usize)> = n_rows.iter().map(|&n| (n, 7)).collect();
            assert_eq!(Mixture { cap, rate_max, cap_by_templates: None }.counts(&tasks), expected);
        };
        check(None, None, &[10, 0, 300], &[10, 0, 300]);
        check(Some(50), None, &[10, 0, 300], &[10, 0, 50]);
        // 10 and min(300, 40): in proportion 1 to 4, and the first has no more than 10.
        check(None, Some(40), &[10, 0, 300], &[10, 0, 40]);
        check(Some(5), Some(40), &[10, 0, 300], &[1, 0, 5]);
        // 10 ÷ 49 × 49 is 9.999… in f64: the first keeps its ten.
        check(Some(10), Some(49), &[60, 60], &[10, 10]);
        check(None, Some(40), &[0, 0], &[0, 0]);
    }

    #[test]
    fn a_large_task_is_capped_by_its_templates() {
        // T0: 501 rows are more than 500, and 8 templates get 62 each; 500 rows aren't.
        let mixture = Mixture { cap_by_templates: Some(500), ..Mixture::default() };
        assert_eq!(mixture.counts(&[(501, 8), (500, 8), (9000, 1), (501, 900)]), [62, 500, 500, 1]);
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

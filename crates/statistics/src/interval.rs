//! An estimate with its interval and the size of its sample.

use std::fmt;

/// An estimate, its interval at a level, and n.
///
/// Prints as `0.553 [0.518, 0.587] (95 %, n = 805)`; a precision sets the digits (`{:.1}`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The level, .95 for 95 %.
    pub level: f64,
    /// The number of independent observations (clusters, where there are clusters).
    pub n: usize,
}

impl Interval {
    /// Whether `value` lies inside, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Half of the interval's width.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = out.precision().unwrap_or(3);
        let Interval { estimate, low, high, level, n } = self;
        let percent = 100.0 * level;
        write!(out, "{estimate:.digits$} [{low:.digits$}, {high:.digits$}] ({percent} %, n = {n})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_with_level_and_n() {
        let interval = Interval { estimate: 0.5526, low: 0.5181, high: 0.5866, level: 0.95, n: 805 };
        assert_eq!(interval.to_string(), "0.553 [0.518, 0.587] (95 %, n = 805)");
        assert_eq!(format!("{interval:.1}"), "0.6 [0.5, 0.6] (95 %, n = 805)");
        assert!(interval.contains(0.5181) && !interval.contains(0.5));
        assert!((interval.half_width() - 0.03425).abs() < 1e-12);
    }
}

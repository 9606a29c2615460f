//! Axes: from values to places, with ticks at round numbers.

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equal lengths.
    #[default]
    Linear,
    /// Equal ratios are equal lengths; values of 0 and less are left out.
    Log,
}

/// What an axis says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What it counts, with its unit.
    pub label: String,
    /// How it spreads values.
    pub scale: Scale,
    /// A value that it shows whatever the data, often 0.
    pub include: Option<f64>,
}

impl Axis {
    /// A linear axis.
    pub fn new(label: impl Into<String>) -> Axis {
        Axis { label: label.into(), ..Axis::default() }
    }

    /// The same on a logarithmic scale.
    pub fn log(self) -> Axis {
        Axis { scale: Scale::Log, ..self }
    }

    /// The same, with a value that it always shows.
    pub fn including(self, value: f64) -> Axis {
        Axis { include: Some(value), ..self }
    }

    /// Whether a value has a place on it.
    pub(crate) fn takes(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }
}

/// An axis laid over values: it maps them to places between `from` and `to`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Where ticks stand.
    pub ticks: Vec<f64>,
    /// The least difference between them.
    step: f64,
}

impl Span {
    /// Over the values that the axis takes, with at most `n_ticks` ticks or so; `round` puts its ends at ticks.
    pub fn over(
        axis: &Axis,
        values: impl Iterator<Item = f64>,
        (from, to): (f64, f64),
        n_ticks: usize,
        round: bool,
    ) -> Option<Span> {
        let taken = values.chain(axis.include).filter(|value| axis.takes(*value));
        let (least, most) = taken.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if least > most {
            return None;
        }
        Some(match axis.scale {
            Scale::Linear => Span::linear(least, most, (from, to), n_ticks, round),
            Scale::Log => Span::log(least, most, (from, to)),
        })
    }

    fn linear(least: f64, most: f64, (from, to): (f64, f64), n_ticks: usize, round: bool) -> Span {
        let flat = (most - least) <= most.abs().max(least.abs()) * 1e-12;
        let spread = if flat { most.abs().max(1e-9) } else { most - least };
        let step = round_step(spread / n_ticks.max(1) as f64);
        let (first, last) = ((least / step).floor(), (most / step).ceil());
        let (mut low, mut high) = (first * step, (last * step).max(first * step + step));
        if !round && !flat {
            (low, high) = (least, most);
        }
        let ticks = (0..=(last - first).max(1.0) as usize).map(|i| (first + i as f64) * step);
        let slack = step * 1e-9;
        let ticks = ticks.filter(|tick| (low - slack..=high + slack).contains(tick)).collect();
        Span { scale: Scale::Linear, low, high, from, to, ticks, step }
    }

    fn log(least: f64, most: f64, (from, to): (f64, f64)) -> Span {
        let (low, high) = if most > least { (least, most) } else { (least / 2.0, most * 2.0) };
        let factors: &[f64] = if high / low < 150.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let all = decades.flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        let within = low * (1.0 - 1e-9)..=high * (1.0 + 1e-9);
        let ticks: Vec<f64> = all.filter(|tick| within.contains(tick)).collect();
        // One round number says little of a scale: its ends say it.
        let ticks = if ticks.len() < 2 { vec![low, high] } else { ticks };
        let step = ticks.first().copied().unwrap_or(low);
        Span { scale: Scale::Log, low, high, from, to, ticks, step }
    }

    /// The same axis, everything so much further on.
    pub fn moved(&self, by: f64) -> Span {
        Span { from: self.from + by, to: self.to + by, ..self.clone() }
    }

    /// Where a value stands.
    pub fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share * (self.to - self.from)
    }

    /// A tick's label: as many digits as tell one from the next; exponents for the very small, k and M for the large.
    pub fn label(&self, tick: f64) -> String {
        let step = if self.scale == Scale::Log { tick } else { self.step };
        if tick == 0.0 || tick.abs() < self.step / 1e3 {
            return "0".into();
        }
        if step < 1e-3 {
            return format!("{tick:.1e}").replace(".0e", "e").replace('-', "−");
        }
        let (value, step, unit) = match tick.abs() {
            1e6.. => (tick / 1e6, step / 1e6, "M"),
            1e4.. => (tick / 1e3, step / 1e3, "k"),
            _ => (tick, step, ""),
        };
        let digits = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
        // The ends of a logarithmic axis needn't be round.
        let uneven = self.scale == Scale::Log && value.abs() < 10.0 && (value - value.round()).abs() > 0.05;
        let digits = if uneven { digits.max(1) } else { digits };
        format!("{value:.digits$}{unit}").replace('-', "−")
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn over(values: &[f64], n_ticks: usize, round: bool) -> Span {
        Span::over(&Axis::new("x"), values.iter().copied(), (0.0, 100.0), n_ticks, round).unwrap()
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let span = over(&[1.3, 4.9], 4, true);
        assert_eq!(span.ticks, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(span.place(2.0), 25.0);
        assert_eq!(over(&[1.0, 119.0], 4, false).ticks, [50.0, 100.0]);
    }

    #[test]
    fn labels_have_as_many_digits_as_are_needed() {
        let labels = |span: &Span| span.ticks.iter().map(|&tick| span.label(tick)).collect::<Vec<_>>();
        assert_eq!(labels(&over(&[-0.1, 0.15], 5, true)), ["−0.10", "−0.05", "0", "0.05", "0.10", "0.15"]);
        assert_eq!(over(&[2e-6, 1e-5], 4, true).label(4e-6), "4e−6");
        assert_eq!(labels(&over(&[0.0, 40_000.0], 2, true)), ["0", "20k", "40k"]);
        assert_eq!(labels(&over(&[0.0, 3.0e6], 2, true)), ["0", "2M", "4M"]);
    }

    #[test]
    fn a_logarithmic_axis_leaves_out_what_has_no_logarithm() {
        let axis = Axis::new("parameters").log();
        let span = Span::over(&axis, [0.0, -3.0, 5e5, 8e6].into_iter(), (0.0, 100.0), 4, false).unwrap();
        assert_eq!(span.ticks, [5e5, 1e6, 2e6, 5e6]);
        assert_eq!(span.label(5e5), "500k");
        assert_eq!(span.place(5e5), 0.0);
        assert!((span.place(2e6) - 50.0).abs() < 1e-9); // √(5e5 · 8e6) = 2e6
        // Between 1.1 and 1.9 million there is no round number: the ends.
        let span = Span::over(&axis, [1.1e6, 1.9e6].into_iter(), (0.0, 100.0), 4, false).unwrap();
        assert_eq!((span.ticks.clone(), span.label(1.1e6)), (vec![1.1e6, 1.9e6], "1.1M".to_owned()));
    }

    #[test]
    fn nothing_has_no_axis() {
        assert_eq!(Span::over(&Axis::new("x"), [f64::NAN].into_iter(), (0.0, 1.0), 4, true), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever the values, every one has a finite place between the ends, and there are few ticks.
        #[test]
        fn every_value_has_a_place(values in prop::collection::vec(-1e9_f64..1e9, 1..9), scale in -12_i32..9, round: bool) {
            let values: Vec<f64> = values.iter().map(|value| value * 10f64.powi(scale)).collect();
            let span = over(&values, 4, round);
            for &value in &values {
                prop_assert!((-1e-6..=100.0 + 1e-6).contains(&span.place(value)), "{value} in {span:?}");
            }
            prop_assert!(span.ticks.len() <= 7, "{span:?}");
        }
    }
}

//! A small line chart as SVG: lines over steps, readable at the width of a phone.
use std::fmt::Write;

/// Width and height of the drawing, in its own units.
const SIZE: (f64, f64) = (480.0, 270.0);
/// Space left, right, above and below the plot.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;
/// Points drawn of a line at most; longer ones are averaged.
const POINTS_MAX: usize = 400;

/// How a line looks; the colours are in the style sheet.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    Raw,
    Smooth,
    Marked,
}

/// A named series of (x, y).
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    name: String,
    points: Vec<(f64, f64)>,
    look: Look,
}

impl Line {
    /// Noisy values, drawn faintly.
    pub fn raw(name: &str, points: Vec<(f64, f64)>) -> Line {
        Line { name: name.into(), points, look: Look::Raw }
    }
    /// The line that is meant.
    pub fn smooth(name: &str, points: Vec<(f64, f64)>) -> Line {
        Line { name: name.into(), points, look: Look::Smooth }
    }
    /// Few values, each with a mark.
    pub fn marked(name: &str, points: Vec<(f64, f64)>) -> Line {
        Line { name: name.into(), points, look: Look::Marked }
    }

    fn class(&self) -> &'static str {
        match self.look {
            Look::Raw => "raw",
            Look::Smooth => "smooth",
            Look::Marked => "marked",
        }
    }
}

/// Lines with axes and, for more than one, a legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What the y axis counts, with its unit.
    pub title: String,
    /// What the x axis counts.
    pub x_label: String,
    /// The lines, in the order in which they are drawn.
    pub lines: Vec<Line>,
}

impl Chart {
    /// A `<figure>`; empty when there is nothing to draw.
    pub fn to_html(&self) -> String {
        let lines: Vec<Line> = self.lines.iter().filter(|line| !line.points.is_empty()).map(averaged).collect();
        let points = || lines.iter().flat_map(|line| &line.points);
        if points().count() == 0 {
            return String::new();
        }
        let x = Axis::over(points().map(|point| point.0), LEFT, SIZE.0 - RIGHT);
        let y = Axis::over(points().map(|point| point.1), SIZE.1 - BOTTOM, TOP);
        let mut svg = format!("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", SIZE.0, SIZE.1, self.title);
        for tick in y.ticks() {
            let at = y.place(tick);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
                SIZE.0 - RIGHT
            );
            let _ =
                write!(svg, "<text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", LEFT - 6.0, at + 4.5, y.label(tick));
        }
        for tick in x.ticks() {
            let _ = write!(
                svg,
                "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x.place(tick),
                SIZE.1 - BOTTOM + 18.0,
                x.label(tick)
            );
        }
        let middle = (LEFT + SIZE.0 - RIGHT) / 2.0;
        let _ = write!(svg, "<text class=\"x\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>", SIZE.1 - 5.0, self.x_label);
        for line in &lines {
            draw(&mut svg, line, &x, &y);
        }
        svg.push_str("</svg>");
        format!("<figure><figcaption>{}{}</figcaption>{svg}</figure>\n", self.title, legend(&lines))
    }
}

fn draw(svg: &mut String, line: &Line, x: &Axis, y: &Axis) {
    let class = line.class();
    let places: Vec<String> =
        line.points.iter().map(|point| format!("{:.1},{:.1}", x.place(point.0), y.place(point.1))).collect();
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", places.join(" "));
    if line.look == Look::Marked || line.points.len() == 1 {
        for point in &line.points {
            let (cx, cy) = (x.place(point.0), y.place(point.1));
            let _ = write!(
                svg,
                "<circle class=\"{class}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\"><title>{} {}: {:.5}</title></circle>",
                line.name, point.0, point.1
            );
        }
    }
}

fn legend(lines: &[Line]) -> String {
    if lines.len() < 2 {
        return String::new();
    }
    let entry = |line: &Line| format!("<span class=\"key {}\">{}</span>", line.class(), line.name);
    format!("<span class=\"legend\">{}</span>", lines.iter().map(entry).collect::<String>())
}

/// At most [`POINTS_MAX`] points: means of equal runs.
fn averaged(line: &Line) -> Line {
    let run = line.points.len().div_ceil(POINTS_MAX).max(1);
    let mean = |run: &[(f64, f64)]| {
        let n = run.len() as f64;
        (run.iter().map(|point| point.0).sum::<f64>() / n, run.iter().map(|point| point.1).sum::<f64>() / n)
    };
    Line { points: line.points.chunks(run).map(mean).collect(), ..line.clone() }
}

/// A linear map from values to places, its ends at round numbers.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let spread = if most > least { most - least } else { most.abs().max(1e-9) };
        let step = round_step(spread / 4.0);
        let low = (least / step).floor() * step;
        let high = ((most / step).ceil() * step).max(low + step);
        Axis { low, high, step, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let n = ((self.high - self.low) / self.step).round() as usize;
        (0..=n).map(|i| self.low + i as f64 * self.step).collect()
    }

    /// As many digits as tell one tick from the next; exponents for the very small.
    fn label(&self, tick: f64) -> String {
        if tick.abs() < self.step / 1e3 {
            return "0".into();
        }
        if self.step < 1e-3 {
            return format!("{tick:.1e}").replace(".0e", "e");
        }
        let digits = (-self.step.log10()).ceil().max(0.0) as usize;
        format!("{tick:.digits$}")
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

    #[test]
    fn axes_end_at_round_numbers() {
        let axis = Axis::over([1.3, 4.9].into_iter(), 0.0, 100.0);
        assert_eq!((axis.low, axis.high, axis.step), (1.0, 5.0, 1.0));
        assert_eq!(axis.place(2.0), 25.0);
        assert_eq!(axis.ticks(), [1.0, 2.0, 3.0, 4.0, 5.0]);
        let small = Axis::over([2e-6, 1e-5].into_iter(), 0.0, 1.0);
        assert_eq!(small.label(4e-6), "4e-6");
        let flat = Axis::over([2.0, 2.0].into_iter(), 0.0, 1.0);
        assert!(flat.high > flat.low);
        let zero = Axis::over([0.0].into_iter(), 0.0, 1.0);
        assert!(zero.high > zero.low && zero.place(0.0).is_finite());
    }

    #[test]
    fn long_lines_are_averaged() {
        let line = Line::smooth("x", (0..1000).map(|i| (f64::from(i), 2.0)).collect());
        let short = averaged(&line);
        assert_eq!(short.points.len(), 334); // runs of 3
        assert_eq!(short.points[0], (1.0, 2.0));
    }

    #[test]
    fn nothing_to_draw_is_nothing() {
        let chart = Chart { title: "t".into(), x_label: "x".into(), lines: vec![Line::raw("a", vec![])] };
        assert_eq!(chart.to_html(), "");
    }
}

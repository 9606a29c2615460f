//! Curves and marks over two numeric axes.

use crate::COLOURS;
use crate::axis::{Axis, Span};
use crate::frame::{self, Drawing, Key, WIDTH};
use std::fmt::Write;

/// Height of the plot itself.
const PLOT: f64 = 190.0;
/// How far apart whiskers stand that would cover each other.
const ASIDE: f64 = 7.0;
/// Points drawn of a line at most; longer ones are averaged.
const POINTS_MAX: usize = 400;

/// A value with, where there is one, its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// Lower and upper end of y's interval.
    pub interval: Option<(f64, f64)>,
}

impl From<(f64, f64)> for Point {
    fn from((x, y): (f64, f64)) -> Point {
        Point { x, y, interval: None }
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A line; intervals become a band around it.
    Line,
    /// A faint line, for noisy values behind another.
    Faint,
    /// A line with a mark at every point; intervals become whiskers.
    MarkedLine,
    /// Marks alone; intervals become whiskers.
    Marks,
}

/// A named series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend; an empty one stays out of it.
    pub name: String,
    /// How it is drawn.
    pub look: Look,
    /// Its colour, a number below [`COLOURS`].
    pub colour: usize,
    /// Its points, in the order in which a line goes through them.
    pub points: Vec<Point>,
}

impl Series {
    /// A series.
    pub fn new<P: Into<Point>>(
        name: impl Into<String>,
        look: Look,
        colour: usize,
        points: impl IntoIterator<Item = P>,
    ) -> Series {
        Series { name: name.into(), look, colour, points: points.into_iter().map(P::into).collect() }
    }
}

/// Series over two axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// What is drawn, the first lowest.
    pub series: Vec<Series>,
}

impl Figure {
    /// A `<figure>` for a page with [`crate::STYLE`]; empty when there is nothing to draw.
    pub fn to_html(&self) -> String {
        self.draw().map(Drawing::into_html).unwrap_or_default()
    }

    /// An SVG file of its own; empty when there is nothing to draw.
    pub fn to_svg(&self) -> String {
        self.draw().map(Drawing::into_svg).unwrap_or_default()
    }

    fn draw(&self) -> Option<Drawing> {
        let series: Vec<Series> = self.series.iter().map(|series| self.kept(series)).collect();
        let drawn: Vec<&Series> = series.iter().filter(|series| !series.points.is_empty()).collect();
        let mut inside = String::new();
        let above = if self.y.label.is_empty() { 9.0 } else { 30.0 };
        let top = frame::legend(&mut inside, &keys(&drawn), 0.0) + above;
        let bottom = top + PLOT;
        let points = || drawn.iter().flat_map(|series| &series.points);
        let heights = points().flat_map(|point| {
            let (low, high) = point.interval.unwrap_or((point.y, point.y));
            [low, point.y, high]
        });
        let y = Span::over(&self.y, heights, (bottom, top), 4, true)?;
        let left = y.ticks.iter().map(|&tick| frame::text_width(&y.label(tick))).fold(10.0, f64::max) + 8.0;
        let marks = drawn.iter().any(|series| matches!(series.look, Look::Marks | Look::MarkedLine));
        let aside = asides(&drawn);
        let margin = if marks { 8.0 } else { 0.0 } + aside.iter().fold(0.0, |most: f64, aside| most.max(aside.abs()));
        let x = Span::over(&self.x, points().map(|point| point.x), (left + margin, WIDTH - 12.0 - margin), 5, false)?;
        self.axes(&mut inside, &x, &y, (left, top, bottom));
        for (series, aside) in drawn.iter().zip(aside) {
            draw(&mut inside, series, &x.moved(aside), &y);
        }
        Some(Drawing { title: self.title.clone(), height: bottom + 42.0, inside })
    }

    /// The points that have a place, not too many of them.
    fn kept(&self, series: &Series) -> Series {
        let takes = |point: &&Point| {
            let ends = point.interval.is_none_or(|(low, high)| self.y.takes(low) && self.y.takes(high));
            self.x.takes(point.x) && self.y.takes(point.y) && ends
        };
        let points: Vec<Point> = series.points.iter().filter(takes).copied().collect();
        let points = if matches!(series.look, Look::Line | Look::Faint) { averaged(&points) } else { points };
        Series { points, ..series.clone() }
    }

    fn axes(&self, svg: &mut String, x: &Span, y: &Span, (left, top, bottom): (f64, f64, f64)) {
        let right = WIDTH - 2.0;
        for &tick in &y.ticks {
            let (at, label) = (y.place(tick), y.label(tick));
            let _ = write!(svg, "<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>");
            let _ = write!(svg, "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>", left - 6.0, at + 5.0);
        }
        let mut free_from = 0.0;
        for &tick in &x.ticks {
            let (at, label) = (x.place(tick), x.label(tick));
            let half = frame::text_width(&label) / 2.0;
            let _ = write!(svg, "<path class=\"grid\" d=\"M{at:.1} {bottom:.1}v4\"/>");
            if at - half >= free_from {
                let _ = write!(svg, "<text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>", bottom + 18.0);
                free_from = at + half + 6.0;
            }
        }
        let across = crate::escape(&self.x.label);
        let up = crate::escape(&self.y.label);
        let middle = (left + right) / 2.0;
        let _ = write!(svg, "<text class=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{across}</text>", bottom + 37.0);
        if !up.is_empty() {
            let _ = write!(svg, "<text x=\"2\" y=\"{:.1}\">{up}</text>", top - 15.0);
        }
    }
}

/// How far each series stands aside: series whose intervals overlap at the same place would cover each other.
fn asides(series: &[&Series]) -> Vec<f64> {
    let marked = |series: &Series| matches!(series.look, Look::Marks | Look::MarkedLine);
    let overlap = |a: &Point, b: &Point| match (a.interval, b.interval) {
        (Some((low, high)), Some((other_low, other_high))) => a.x == b.x && low <= other_high && other_low <= high,
        _ => false,
    };
    let cover = |a: &Series, b: &Series| a.points.iter().any(|a| b.points.iter().any(|b| overlap(a, b)));
    let covered = |at: &usize| {
        let mut others = series.iter().enumerate().filter(|(other, series)| other != at && marked(series));
        marked(series[*at]) && others.any(|(_, other)| cover(series[*at], other))
    };
    let places: Vec<usize> = (0..series.len()).filter(covered).collect();
    let middle = (places.len() as f64 - 1.0) / 2.0;
    let mut aside = vec![0.0; series.len()];
    for (place, at) in places.into_iter().enumerate() {
        aside[at] = (place as f64 - middle) * ASIDE;
    }
    aside
}

fn keys<'a>(series: &[&'a Series]) -> Vec<Key<'a>> {
    let key = |series: &&'a Series| Key {
        name: &series.name,
        colour: series.colour,
        line: series.look != Look::Marks,
        mark: matches!(series.look, Look::Marks | Look::MarkedLine),
        faint: series.look == Look::Faint,
    };
    series.iter().filter(|series| !series.name.is_empty()).map(key).collect()
}

fn draw(svg: &mut String, series: &Series, x: &Span, y: &Span) {
    let faint = if series.look == Look::Faint { " faint" } else { "" };
    let _ = write!(svg, "<g class=\"c{}{faint}\">", series.colour % COLOURS);
    let with_marks = matches!(series.look, Look::Marks | Look::MarkedLine) || series.points.len() == 1;
    if with_marks {
        whiskers(svg, series, x, y);
    } else {
        band(svg, series, x, y);
    }
    if series.look != Look::Marks && series.points.len() > 1 {
        let places = places(series.points.iter().map(|point| (point.x, point.y)), x, y);
        let _ = write!(svg, "<path class=\"line\" d=\"M{places}\"/>");
    }
    if with_marks {
        for point in &series.points {
            let title = format!("{} at {}: {}", series.name, short(point.x), short(point.y));
            frame::mark(svg, series.colour, x.place(point.x), y.place(point.y), &title);
        }
    }
    svg.push_str("</g>");
}

fn places(points: impl Iterator<Item = (f64, f64)>, x: &Span, y: &Span) -> String {
    points.map(|(across, up)| format!("{:.1} {:.1}", x.place(across), y.place(up))).collect::<Vec<_>>().join("L")
}

/// The area between the ends of the intervals.
fn band(svg: &mut String, series: &Series, x: &Span, y: &Span) {
    let ends: Vec<(f64, f64, f64)> =
        series.points.iter().filter_map(|point| point.interval.map(|(low, high)| (point.x, low, high))).collect();
    if ends.len() > 1 {
        let around = ends.iter().map(|end| (end.0, end.1)).chain(ends.iter().rev().map(|end| (end.0, end.2)));
        let _ = write!(svg, "<path class=\"band\" d=\"M{}Z\"/>", places(around, x, y));
    }
}

fn whiskers(svg: &mut String, series: &Series, x: &Span, y: &Span) {
    for point in &series.points {
        if let Some((low, high)) = point.interval {
            let at = x.place(point.x);
            let _ = write!(svg, "<path class=\"whisker\" d=\"M{at:.1} {:.1}V{:.1}\"/>", y.place(low), y.place(high));
        }
    }
}

/// At most [`POINTS_MAX`] points: means of equal runs.
fn averaged(points: &[Point]) -> Vec<Point> {
    let run = points.len().div_ceil(POINTS_MAX).max(1);
    if run == 1 {
        return points.to_vec();
    }
    let mean = |run: &[Point]| {
        let of = |value: &dyn Fn(&Point) -> f64| run.iter().map(value).sum::<f64>() / run.len() as f64;
        let ends = |value: fn((f64, f64)) -> f64| of(&|point| value(point.interval.unwrap_or((point.y, point.y))));
        let interval = run.iter().all(|point| point.interval.is_some()).then(|| (ends(|e| e.0), ends(|e| e.1)));
        Point { x: of(&|point| point.x), y: of(&|point| point.y), interval }
    };
    points.chunks(run).map(mean).collect()
}

/// A number with four digits that count.
fn short(value: f64) -> String {
    if value == 0.0 || !(1e-3..1e7).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(series: Vec<Series>) -> Figure {
        Figure { title: "Loss <x>".into(), x: Axis::new("step"), y: Axis::new("nats & more"), series }
    }

    #[test]
    fn lines_have_bands_and_marks_have_whiskers() {
        let points = || (0..3).map(|i| Point { x: f64::from(i), y: 1.0, interval: Some((0.5, 2.0)) });
        let html = figure(vec![
            Series::new("a", Look::Line, 0, points()),
            Series::new("b", Look::Marks, 1, points()),
            Series::new("c", Look::Faint, 2, points()),
        ])
        .to_html();
        let count = |what: &str| html.matches(what).count();
        assert_eq!(count("class=\"band\""), 2); // of the line and the faint line
        assert_eq!(count("class=\"whisker\""), 3);
        assert_eq!(count("class=\"mark\""), 4); // three and the legend's
        assert_eq!(count("class=\"line\""), 4); // two and the legend's two
        assert!(html.contains("Loss &lt;x&gt;") && html.contains("nats &amp; more"));
    }

    /// Three models of one size: each whisker has a place of its own, around the size; a series far above stays there.
    #[test]
    fn whiskers_at_one_place_stand_side_by_side() {
        let at = |y: f64| (0..2).map(move |i| Point { x: f64::from(i), y, interval: Some((y - 0.5, y + 0.5)) });
        let svg = figure(vec![
            Series::new("a", Look::MarkedLine, 0, at(1.0)),
            Series::new("b", Look::Marks, 1, at(1.2)),
            Series::new("far above", Look::Marks, 2, at(9.0)),
            Series::new("c", Look::MarkedLine, 3, at(0.9)),
        ])
        .to_svg();
        let first_of = |series: &str| -> f64 {
            let of_series = svg.split(&format!("<g class=\"{series}\"><path class=\"whisker\" d=\"M")).nth(1).unwrap();
            of_series.split(' ').next().unwrap().parse().unwrap()
        };
        let [a, b, above, c] = ["c0", "c1", "c2", "c3"].map(first_of);
        assert!((b - a - ASIDE).abs() < 0.11 && (c - b - ASIDE).abs() < 0.11, "{a} {b} {c}");
        assert!((above - b).abs() < 0.11, "what covers nothing stays where it belongs: {above} {b}");
        // The mark stands on its whisker.
        assert!(svg.contains(&format!("<path class=\"mark\" d=\"M{a:.1} ")), "{svg}");
    }

    #[test]
    fn a_line_goes_where_its_points_are() {
        let svg = figure(vec![Series::new("a", Look::Line, 0, [(0.0, 0.0), (1.0, 4.0), (2.0, 2.0)])]).to_svg();
        let line = svg.split("class=\"line\" d=\"M").nth(1).unwrap().split('"').next().unwrap();
        let points: Vec<Vec<f64>> =
            line.split('L').map(|point| point.split(' ').map(|number| number.parse().unwrap()).collect()).collect();
        // No legend: the plot goes from 30 to 220, four ticks up, and 4.0 stands at its top.
        assert_eq!((points[0][1], points[1][1], points[2][1]), (220.0, 30.0, 125.0));
        assert!((points[0][0] + points[2][0] - 2.0 * points[1][0]).abs() < 0.2);
    }

    #[test]
    fn long_lines_are_averaged() {
        let points: Vec<Point> = (0..1000).map(|i| (f64::from(i), 2.0).into()).collect();
        let short = averaged(&points);
        assert_eq!(short.len(), 334); // runs of 3
        assert_eq!(short[0], (1.0, 2.0).into());
    }

    #[test]
    fn nothing_to_draw_is_nothing_and_what_has_no_place_is_left_out() {
        assert_eq!(figure(vec![]).to_html(), "");
        assert_eq!(figure(vec![Series::new("a", Look::Line, 0, [(f64::NAN, 1.0)])]).to_svg(), "");
        let html = figure(vec![Series::new("a", Look::Marks, 0, [(1.0, f64::INFINITY), (1.0, 2.0)])]).to_html();
        assert_eq!(html.matches("class=\"mark\"").count(), 1);
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }

    /// Entries of a legend stand in rows of their own width.
    #[test]
    fn a_legend_wraps_instead_of_overlapping() {
        let series =
            (0..6).map(|i| Series::new(format!("a rather long name {i}"), Look::Line, i, [(0.0, 1.0), (1.0, 2.0)]));
        let html = figure(series.collect()).to_html();
        let places: Vec<(f64, f64)> = html
            .split("<text class=\"key\" x=\"")
            .skip(1)
            .map(|rest| {
                let mut numbers = rest.split('"');
                (numbers.next().unwrap().parse().unwrap(), numbers.nth(1).unwrap().parse().unwrap())
            })
            .collect();
        assert_eq!(places.len(), 6);
        for pair in places.windows(2) {
            let next_row = pair[1].1 > pair[0].1;
            assert!(next_row || pair[1].0 - pair[0].0 > frame::text_width("a rather long name 0"), "{places:?}");
        }
        assert!(places.iter().all(|place| place.0 + frame::text_width("a rather long name 0") < WIDTH));
    }

    #[test]
    fn numbers_in_tool_tips_are_short() {
        assert_eq!([short(0.12345), short(123.456), short(1e-5), short(2.0)], ["0.1235", "123.5", "1.000e-5", "2.000"]);
    }
}

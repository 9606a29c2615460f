//! Named rows of dots with intervals: a group a heading, under it a dot a series.

use crate::axis::{Axis, Span};
use crate::frame::{self, Drawing, Key, WIDTH};
use crate::{COLOURS, escape};
use std::fmt::Write;

/// Height of a dot's row, and of a group's heading.
const ROW: f64 = 13.0;
const HEADING: f64 = 21.0;

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    /// The value.
    pub value: f64,
    /// Lower and upper end.
    pub interval: Option<(f64, f64)>,
}

/// A heading and its dots, in the order of the plot's series; `None` has no dot.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The heading.
    pub name: String,
    /// A dot a series.
    pub dots: Vec<Option<Dot>>,
}

/// Groups of dots over one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct DotPlot {
    /// What it shows.
    pub title: String,
    /// What the dots' place says.
    pub axis: Axis,
    /// The series: name and colour, a number below [`COLOURS`].
    pub series: Vec<(String, usize)>,
    /// The groups, from above.
    pub groups: Vec<Group>,
    /// Where a line marks "no difference".
    pub reference: Option<f64>,
}

impl DotPlot {
    /// A `<figure>` for a page with [`crate::STYLE`]; empty when there is nothing to draw.
    pub fn to_html(&self) -> String {
        self.draw().map(Drawing::into_html).unwrap_or_default()
    }

    /// An SVG file of its own; empty when there is nothing to draw.
    pub fn to_svg(&self) -> String {
        self.draw().map(Drawing::into_svg).unwrap_or_default()
    }

    fn draw(&self) -> Option<Drawing> {
        let mut inside = String::new();
        let key = |(name, colour): &(String, usize)| (name.clone(), *colour);
        let names: Vec<(String, usize)> = self.series.iter().map(key).collect();
        let keys: Vec<Key<'_>> = names
            .iter()
            .map(|(name, colour)| Key { name, colour: *colour, line: false, mark: true, faint: false })
            .collect();
        let top = frame::legend(&mut inside, &keys, 0.0);
        let shown = |group: &&Group| self.dots(group).next().is_some();
        let groups: Vec<&Group> = self.groups.iter().filter(shown).collect();
        let values = groups.iter().flat_map(|group| self.dots(group)).flat_map(|(_, dot)| {
            let (low, high) = dot.interval.unwrap_or((dot.value, dot.value));
            [low, dot.value, high]
        });
        let x = Span::over(&self.axis, values.chain(self.reference), (20.0, WIDTH - 20.0), 5, true)?;
        let height = |group: &&Group| HEADING + ROW * self.dots(group).count() as f64;
        let bottom = top + groups.iter().map(height).sum::<f64>() + 8.0;
        self.axis_lines(&mut inside, &x, top, bottom);
        let mut y = top;
        for group in groups {
            let _ =
                write!(inside, "<text class=\"heading\" x=\"2\" y=\"{:.1}\">{}</text>", y + 15.0, escape(&group.name));
            y += HEADING;
            for (series, dot) in self.dots(group) {
                self.dot(&mut inside, &x, (series, dot), &group.name, y + ROW / 2.0);
                y += ROW;
            }
        }
        Some(Drawing { title: self.title.clone(), height: bottom + 42.0, inside })
    }

    /// The dots of a group that have a place, each with its series.
    fn dots<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = (&'a (String, usize), Dot)> {
        let takes = |dot: &Dot| {
            let ends = dot.interval.is_none_or(|(low, high)| self.axis.takes(low) && self.axis.takes(high));
            self.axis.takes(dot.value) && ends
        };
        self.series.iter().zip(&group.dots).filter_map(move |(series, dot)| Some((series, dot.filter(takes)?)))
    }

    fn axis_lines(&self, svg: &mut String, x: &Span, top: f64, bottom: f64) {
        let mut free_from = 0.0;
        for &tick in &x.ticks {
            let (at, label) = (x.place(tick), x.label(tick));
            let half = frame::text_width(&label) / 2.0;
            let _ = write!(svg, "<path class=\"grid\" d=\"M{at:.1} {:.1}V{bottom:.1}\"/>", top + 2.0);
            if at - half >= free_from {
                let _ = write!(svg, "<text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>", bottom + 18.0);
                free_from = at + half + 6.0;
            }
        }
        if let Some(reference) = self.reference {
            let _ = write!(
                svg,
                "<path class=\"reference\" d=\"M{:.1} {:.1}V{bottom:.1}\"/>",
                x.place(reference),
                top + 2.0
            );
        }
        let middle = WIDTH / 2.0;
        let label = escape(&self.axis.label);
        let _ = write!(svg, "<text class=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{label}</text>", bottom + 37.0);
    }

    fn dot(&self, svg: &mut String, x: &Span, ((name, colour), dot): (&(String, usize), Dot), group: &str, y: f64) {
        let _ = write!(svg, "<g class=\"c{}\">", colour % COLOURS);
        let mut title = format!("{group}, {name}: {:.3}", dot.value);
        if let Some((low, high)) = dot.interval {
            let _ = write!(svg, "<path class=\"whisker\" d=\"M{:.1} {y:.1}H{:.1}\"/>", x.place(low), x.place(high));
            let _ = write!(title, " [{low:.3}, {high:.3}]");
        }
        frame::mark(svg, *colour, x.place(dot.value), y, &title);
        svg.push_str("</g>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(dots: Vec<Option<Dot>>) -> DotPlot {
        DotPlot {
            title: "Change".into(),
            axis: Axis::new("share"),
            series: vec![("a".into(), 0), ("b<c".into(), 3)],
            groups: vec![
                Group { name: "truth".into(), dots },
                Group { name: "nothing".into(), dots: vec![None, None] },
            ],
            reference: Some(0.0),
        }
    }

    #[test]
    fn a_dot_stands_between_the_ends_of_its_interval() {
        let dot = Dot { value: 0.25, interval: Some((0.0, 0.5)) };
        let svg = plot(vec![Some(dot), None]).to_svg();
        assert_eq!(svg.matches("class=\"whisker\"").count(), 1);
        // The axis goes from 0 to .5 between 20 and 400.
        assert!(svg.contains("H400.0\"/>") && svg.contains("M210.0 "), "{svg}");
        assert!(svg.contains("truth, a: 0.250 [0.000, 0.500]") && svg.contains("b&lt;c"));
        assert!(!svg.contains("nothing"), "a group without dots has no heading");
        assert!(svg.contains("class=\"reference\""));
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let dot = Dot { value: f64::NAN, interval: None };
        assert!(!plot(vec![Some(dot), None]).to_html().contains("NaN"));
        let mut empty = plot(vec![None, None]);
        empty.reference = None;
        assert_eq!(empty.to_html(), "");
    }
}

//! What every figure has: its box, title, legend, and text that doesn't run over other text.

use crate::{COLOURS, STYLE, escape};
use std::fmt::Write;

/// Width of a drawing in its own units: on a phone a unit is about 0.8 pixels, on a desk about 1.1.
pub const WIDTH: f64 = 420.0;
/// Size of the letters of axes and legends.
pub const LETTER: f64 = 14.0;
/// Mean width of a letter ÷ its size, on the safe side for the usual sans-serif fonts.
const LETTER_WIDTH: f64 = 0.56;
/// Height of a row of the legend.
const LEGEND_ROW: f64 = 20.0;

/// How wide a text will be, about.
pub fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER * LETTER_WIDTH
}

/// An entry of a legend.
pub struct Key<'a> {
    /// What it says.
    pub name: &'a str,
    /// Colour number.
    pub colour: usize,
    /// Drawn with a line.
    pub line: bool,
    /// Drawn with a mark.
    pub mark: bool,
    /// Drawn faintly.
    pub faint: bool,
}

/// Draws a legend of more than one entry into the rows from `top` on; returns the height that it took.
pub fn legend(svg: &mut String, keys: &[Key<'_>], top: f64) -> f64 {
    if keys.len() < 2 {
        return 0.0;
    }
    let (mut x, mut row) = (2.0, 0);
    for key in keys {
        let width = 30.0 + text_width(key.name) + 14.0;
        if x > 2.0 && x + width - 14.0 > WIDTH {
            (x, row) = (2.0, row + 1);
        }
        let y = top + LEGEND_ROW * (f64::from(row) + 0.5);
        let faint = if key.faint { " faint" } else { "" };
        let _ = write!(svg, "<g class=\"c{}{faint}\">", key.colour % COLOURS);
        if key.line {
            let _ = write!(svg, "<path class=\"line\" d=\"M{x:.1} {y:.1}h22\"/>");
        }
        if key.mark {
            mark(svg, key.colour, x + 11.0, y, "");
        }
        let _ = write!(
            svg,
            "</g><text class=\"key\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 28.0,
            y + 5.0,
            escape(key.name)
        );
        x += width;
    }
    LEGEND_ROW * f64::from(row + 1) + 4.0
}

/// A mark; each colour has a shape of its own, so that no figure needs colours to be understood.
pub fn mark(svg: &mut String, colour: usize, x: f64, y: f64, title: &str) {
    let shape = match colour % COLOURS {
        0 => "m-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z",
        1 => "m-3.8 -3.8h7.6v7.6h-7.6z",
        2 => "m0 -5l4.8 8.6h-9.6z",
        3 => "m0 -5.2l5.2 5.2l-5.2 5.2l-5.2 -5.2z",
        4 => "m0 5l4.8 -8.6h-9.6z",
        6 => "m-2.6 -4.6h5.2l2.7 4.6l-2.7 4.6h-5.2l-2.7 -4.6z",
        _ => "m-5 -1.6h3.4v-3.4h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4z",
    };
    let title = if title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(title)) };
    let _ = write!(svg, "<path class=\"mark\" d=\"M{x:.1} {y:.1}{shape}\">{title}</path>");
}

/// A whole drawing: what is inside, in an `<svg>` of this height.
pub struct Drawing {
    /// What it shows.
    pub title: String,
    /// Its height.
    pub height: f64,
    /// The elements inside.
    pub inside: String,
}

impl Drawing {
    /// A `<figure>` for a page with [`STYLE`].
    pub fn into_html(self) -> String {
        let title = escape(&self.title);
        format!(
            "<figure><figcaption>{title}</figcaption><svg class=\"chart\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{title}\">{}</svg></figure>\n",
            self.height, self.inside
        )
    }

    /// A file of its own, with its title inside.
    pub fn into_svg(self) -> String {
        let (title, margin, above) = (escape(&self.title), 10.0, 30.0);
        let (width, height) = (WIDTH + 2.0 * margin, self.height + above + 2.0 * margin);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"{title}\"><style>{STYLE}</style>\
             <rect class=\"paper\" width=\"{width}\" height=\"{height:.0}\"/>\
             <text class=\"title\" x=\"{margin}\" y=\"{:.0}\">{title}</text><g transform=\"translate({margin} {:.0})\">{}</g></svg>\n",
            margin + 16.0,
            margin + above,
            self.inside
        )
    }
}

//! Small figures as SVG — lines with bands, marks with intervals, rows of dots — and the self-contained page they stand
//! on; and curves in letters for a terminal. Written as text: no script, no fonts, nothing fetched; light and dark follow the reader's system, and every
//! figure is readable at the width of a phone.
//!
//! It knows nothing of what is drawn: names, numbers and units come from the caller. Text is escaped here.

mod axis;
mod dots;
mod figure;
mod frame;
pub mod page;
pub mod text;

pub use axis::{Axis, Scale};
pub use dots::{Dot, DotPlot, Group};
pub use figure::{Figure, Look, Point, Series};

/// Colours that series may have, numbered from 0; a number beyond them begins again.
pub const COLOURS: usize = 7;

/// The colour for what others are measured against; the colours below it are for what is measured.
pub const GREY: usize = 5;

/// The style of figures, for a page that holds some ([`page::page`] has it already).
pub const STYLE: &str = include_str!("chart.css");

/// Text as it may stand in HTML and SVG, attributes included.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_the_escaping() {
        assert_eq!(escape("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}

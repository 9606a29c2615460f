//! The report as a page that a browser shows without anything else.

use chart::page::{facts, page, tile};
use chart::{Axis, Dot, DotPlot, Figure, Group, Look, Series, escape};

use super::Report;

impl Report {
    /// The page: how many stayed, lengths before and after, why rows went with examples, and what the corpus is.
    pub fn to_html(&self) -> String {
        let share = 100.0 * self.kept as f64 / self.rows.max(1) as f64;
        let mut inside = format!(
            "<div class=\"tiles\">{}{}</div>\n",
            tile("rows looked at", &self.rows.to_string(), ""),
            tile("rows kept", &self.kept.to_string(), &format!("{share:.1} %"))
        );
        let mut reasons: Vec<(&String, &usize)> = self.dropped.iter().collect();
        reasons.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let by_reason = dots("Rows that went, by reason", reasons.iter().map(|(name, n)| (&name[..], **n)));
        let (lengths, toxicities) = (self.lengths().to_html(), self.toxicities().to_html());
        inside.push_str(&format!("<section class=\"charts\">\n{lengths}{by_reason}{toxicities}</section>\n"));
        inside.push_str("<h2>Why rows went</h2>\n");
        inside.push_str(&counts(reasons.iter().map(|(reason, n)| (&reason[..], **n))));
        for (reason, _) in reasons {
            inside.push_str(&format!("<h3>{}</h3>\n", escape(reason)));
            for super::Example { origin, text, detail } in self.examples.get(reason).into_iter().flatten() {
                let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
                let place = escape(&format!("{origin}{detail}"));
                inside.push_str(&format!("<p><span class=\"note\">{place}</span><br>{}</p>\n", escape(text)));
            }
        }
        let tables = [
            ("Who wrote the rows that stayed", &self.sources),
            ("Languages of all rows", &self.languages),
            ("Use-cases of the rows that stayed", &self.use_cases),
            ("Personal data found in all rows", &self.personal_data),
        ];
        for (title, table) in tables.into_iter().filter(|(_, table)| !table.is_empty()) {
            inside.push_str(&format!("<h2>{title}</h2>\n"));
            inside.push_str(&counts(table.iter().map(|(name, n)| (&name[..], *n))));
        }
        page("What stayed of a corpus", &inside)
    }

    /// What a scorer said of the rows; nothing is drawn without one.
    fn toxicities(&self) -> Figure {
        let points = self.toxicity.iter().enumerate().map(|(tenth, &n)| ((tenth as f64 + 0.5) / 10.0, n as f64));
        Figure {
            title: "Toxicity of the rows that were scored, by tenths".to_owned(),
            x: Axis::new("toxicity"),
            y: Axis::new("rows").including(0.0),
            series: vec![Series::new("", Look::MarkedLine, 1, points.collect::<Vec<_>>())],
        }
    }

    fn lengths(&self) -> Figure {
        let series = |name: &str, look, colour, counts: &[usize]| {
            let points = counts.iter().enumerate().map(|(i, &n)| ((1_u64 << i) as f64, n as f64));
            Series::new(name, look, colour, points.collect::<Vec<_>>())
        };
        Figure {
            title: "Lengths of rows, by powers of two".to_owned(),
            x: Axis::new("words, from").log(),
            y: Axis::new("rows").including(0.0),
            series: vec![
                series("all rows", Look::MarkedLine, 1, &self.words),
                series("kept", Look::MarkedLine, 0, &self.words_kept),
            ],
        }
    }
}

/// A dot a name: how many.
fn dots<'a>(title: &str, rows: impl Iterator<Item = (&'a str, usize)>) -> String {
    let group = |(name, n): (&str, usize)| Group {
        name: name.to_owned(),
        dots: vec![Some(Dot { value: n as f64, interval: None })],
    };
    let plot = DotPlot {
        title: title.to_owned(),
        axis: Axis::new("rows").including(0.0),
        series: vec![("rows".to_owned(), 0)],
        groups: rows.map(group).collect(),
        reference: None,
    };
    plot.to_html()
}

fn counts<'a>(rows: impl Iterator<Item = (&'a str, usize)>) -> String {
    facts(&rows.map(|(name, n)| (name.to_owned(), n.to_string())).collect::<Vec<_>>())
}

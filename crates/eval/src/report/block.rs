//! Sections written once, read as HTML and as Markdown.

use chart::escape;

/// A heading and what stands under it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

/// A piece of a section. Text between backticks is code.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// A paragraph that qualifies.
    Note(String),
    /// A heading below the section's.
    Heading(String),
    /// Columns and rows.
    Table { head: Vec<String>, rows: Vec<Vec<String>> },
    /// Figures as HTML; Markdown has none.
    Figures(Vec<String>),
}

impl Section {
    /// Only a heading so far.
    pub fn new(title: &str) -> Section {
        Section { title: title.to_owned(), blocks: Vec::new() }
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Section {
        self.add(Block::Text(text.into()))
    }

    /// Adds a paragraph that qualifies.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Section {
        self.add(Block::Note(text.into()))
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) -> &mut Section {
        self.add(Block::Heading(text.into()))
    }

    /// Adds a table; one without rows is left out.
    pub fn table<C: AsRef<str>>(&mut self, head: &[C], rows: Vec<Vec<String>>) -> &mut Section {
        if rows.is_empty() {
            return self;
        }
        self.add(Block::Table { head: head.iter().map(|cell| cell.as_ref().to_owned()).collect(), rows })
    }

    /// Adds figures, those that aren't empty.
    pub fn figures(&mut self, figures: impl IntoIterator<Item = String>) -> &mut Section {
        let figures: Vec<String> = figures.into_iter().filter(|figure| !figure.is_empty()).collect();
        if figures.is_empty() { self } else { self.add(Block::Figures(figures)) }
    }

    fn add(&mut self, block: Block) -> &mut Section {
        self.blocks.push(block);
        self
    }

    /// As a part of a page.
    pub fn html(&self) -> String {
        let inside: String = self.blocks.iter().map(html).collect();
        format!("<section><h2>{}</h2>\n{inside}</section>\n", escape(&self.title))
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let inside: String = self.blocks.iter().map(markdown).collect();
        format!("\n## {}\n{inside}", self.title)
    }
}

fn html(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", coded(text)),
        Block::Note(text) => format!("<p class=\"note\">{}</p>\n", coded(text)),
        Block::Heading(text) => format!("<h3>{}</h3>\n", coded(text)),
        Block::Figures(figures) => format!("<div class=\"charts\">{}</div>\n", figures.concat()),
        Block::Table { head, rows } => {
            let head: String = head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", coded(cell))).collect();
            let row = |cells: &Vec<String>| {
                let cell = |(at, cell): (usize, &String)| match at {
                    0 => format!("<th scope=\"row\">{}</th>", coded(cell)),
                    _ => format!("<td>{}</td>", coded(&kept(cell))),
                };
                format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
            };
            let rows: String = rows.iter().map(row).collect();
            format!("<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>\n")
        }
    }
}

/// Intervals and "n = 120" stay on one line: blanks inside of short brackets don't break.
pub(super) fn kept(text: &str) -> String {
    const LONGEST: usize = 28;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(['[', '(']) {
        let (before, inside) = rest.split_at(open);
        let close = if inside.starts_with('[') { ']' } else { ')' };
        let end = inside.find(close).map_or(inside.len(), |end| end + 1);
        let (group, behind) = inside.split_at(end);
        out.push_str(before);
        if group.chars().count() <= LONGEST {
            out.push_str(&group.replace(' ', "\u{a0}"));
        } else {
            out.push_str(group);
        }
        rest = behind;
    }
    out + rest
}

/// Escaped, with what stands between backticks as code.
fn coded(text: &str) -> String {
    let piece = |(at, piece): (usize, &str)| match at % 2 {
        0 => escape(piece),
        _ => format!("<code>{}</code>", escape(piece)),
    };
    text.split('`').enumerate().map(piece).collect()
}

fn markdown(block: &Block) -> String {
    match block {
        Block::Text(text) | Block::Note(text) => format!("\n{text}\n"),
        Block::Heading(text) => format!("\n### {text}\n"),
        Block::Figures(_) => String::new(),
        Block::Table { head, rows } => {
            let line = |cells: &[String]| {
                let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
                format!("| {} |\n", cells.join(" | "))
            };
            let rows: String = rows.iter().map(|row| line(row)).collect();
            format!("\n{}|{}\n{rows}", line(head), "---|".repeat(head.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_section_is_read_both_ways() {
        let mut section = Section::new("A & b");
        section.text("Run `helpmate x <y>` first.").table(&["a", "b"], vec![vec!["1 | 2".into(), "<3".into()]]);
        section.table(&["none"], Vec::new()).figures([String::new(), "<figure></figure>".into()]);
        let html = section.html();
        assert!(html.contains("<h2>A &amp; b</h2>") && html.contains("<code>helpmate x &lt;y&gt;</code>"), "{html}");
        assert!(html.contains("<th scope=\"row\">1 | 2</th><td>&lt;3</td>") && !html.contains("none"), "{html}");
        assert_eq!(html.matches("<figure>").count(), 1);
        assert_eq!(kept("0.5 [0.1, 0.9] (n = 7) in all"), "0.5 [0.1,\u{a0}0.9] (n\u{a0}=\u{a0}7) in all");
        let long = "x (what is said here is longer than that) y [";
        assert_eq!(kept(long), long);
        let expected = "\n## A & b\n\nRun `helpmate x <y>` first.\n\n| a | b |\n|---|---|\n| 1 \\| 2 | <3 |\n";
        assert_eq!(section.markdown(), expected);
    }
}

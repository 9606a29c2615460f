//! A self-contained page: one file that a browser shows without anything else.

use crate::{STYLE, escape};

const PAGE: &str = include_str!("page.css");

/// A page with this title and this HTML inside.
pub fn page(title: &str, inside: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{PAGE}{STYLE}</style></head><body><main><h1>{title}</h1>\n{inside}</main></body></html>\n"
    )
}

/// A table of labels and values, both plain text.
pub fn facts(rows: &[(String, String)]) -> String {
    let row = |(label, value): &(String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(label), escape(value))
    };
    format!("<div class=\"scroll\"><table class=\"facts\">{}</table></div>\n", rows.iter().map(row).collect::<String>())
}

/// A number that one looks for first, with what it is and what else is to be said of it.
pub fn tile(label: &str, value: &str, note: &str) -> String {
    let (label, value, note) = (escape(label), escape(value), escape(note));
    format!("<div class=\"tile\"><span>{label}</span><strong>{value}</strong><span>{note}</span></div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fetches_nothing_and_escapes_its_title() {
        let html = page("a<b", &facts(&[("x".into(), "<y>".into())]));
        assert!(html.contains("<title>a&lt;b</title>") && html.contains("&lt;y&gt;"));
        for fetching in ["http:", "https:", "url(", "<script", "<link", "@import"] {
            assert!(!html.contains(fetching), "{fetching}");
        }
    }
}

//! Text of other people as HTML that can do nothing: Markdown without its HTML, links that only lead outwards, no
//! images. What an answer says is shown; what it would like a browser to do is not.

use chart::escape;
use label::Id;
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Characters from which on a text is folded, and lines.
const LONG_CHARACTERS: usize = 1_600;
const LONG_LINES: usize = 22;
/// Characters beyond which a text is shown as it is, without Markdown.
const MARKDOWN_MAX: usize = 100_000;

/// A text as a template shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Text {
    /// Safe HTML.
    pub html: String,
    /// Whether it is folded at first.
    pub long: bool,
    /// Its length.
    pub n_characters: usize,
    /// Language tag, when known.
    pub language: Option<String>,
}

impl Text {
    /// Prepares a text.
    pub fn new(text: &str, language: Option<&str>) -> Text {
        let n_characters = text.chars().count();
        let long = n_characters > LONG_CHARACTERS || text.lines().count() > LONG_LINES;
        let html = if n_characters > MARKDOWN_MAX { plain(text) } else { markdown(text, Lines::Kept) };
        let language = language.filter(|tag| is_language_tag(tag)).or_else(|| script_language(text));
        Text { html, long, n_characters, language: language.map(str::to_owned) }
    }
}

fn is_language_tag(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The language that a text's script tells: Chinese, Japanese and Korean share characters that fonts draw and voices read
/// differently, so a browser must know which it is. Kana are Japanese; without them, Han characters are Chinese.
fn script_language(text: &str) -> Option<&'static str> {
    let mut han = false;
    for character in text.chars().take(LONG_CHARACTERS) {
        match character {
            '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => return Some("ja"),
            '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}' => return Some("ko"),
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}' => han = true,
            _ => {}
        }
    }
    han.then_some("zh")
}

fn plain(text: &str) -> String {
    format!("<div class=\"plain\">{}</div>", escape(text))
}

/// What becomes of a line's end inside a paragraph.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// It stays: a poem is a poem.
    Kept,
    /// It is a space, as in Markdown that was written as such.
    Joined,
}

/// Markdown as safe HTML.
pub fn markdown(text: &str, lines: Lines) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let mut safe = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut safe, parser.filter_map(|event| tame(event, lines)));
    safe
}

/// An event without its teeth.
fn tame(event: Event<'_>, lines: Lines) -> Option<Event<'_>> {
    Some(match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::SoftBreak if lines == Lines::Kept => Event::HardBreak,
        Event::Start(Tag::Heading { level, .. }) => {
            Event::Start(Tag::Heading { level: lower(level, lines), id: None, classes: Vec::new(), attrs: Vec::new() })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level, lines))),
        Event::Start(Tag::Link { dest_url, link_type, .. }) => Event::InlineHtml(link(&dest_url, link_type).into()),
        Event::End(TagEnd::Link) => Event::InlineHtml("</a>".into()),
        Event::Start(Tag::Image { dest_url, .. }) => {
            Event::InlineHtml(format!("<span class=\"badge\">image</span> <code>{}</code> ", escape(&dest_url)).into())
        }
        Event::End(TagEnd::Image) => return None,
        // An info string would become a class.
        Event::Start(Tag::CodeBlock(_)) => Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented)),
        other => other,
    })
}

/// Headings of answers stand below those of the page, the guide's below the page's title.
fn lower(level: HeadingLevel, lines: Lines) -> HeadingLevel {
    match (lines, level) {
        (Lines::Joined, HeadingLevel::H1) => HeadingLevel::H2,
        (Lines::Joined, HeadingLevel::H2) => HeadingLevel::H3,
        (Lines::Joined, _) => HeadingLevel::H4,
        (Lines::Kept, HeadingLevel::H1) => HeadingLevel::H4,
        (Lines::Kept, HeadingLevel::H2) => HeadingLevel::H5,
        (Lines::Kept, _) => HeadingLevel::H6,
    }
}

/// A link that opens elsewhere and tells nothing; one that isn't to the web is only text.
fn link(address: &str, link_type: LinkType) -> String {
    let lower = address.trim().to_ascii_lowercase();
    let is_web = lower.starts_with("https://") || lower.starts_with("http://");
    if is_web {
        format!("<a href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">", escape(address.trim()))
    } else if matches!(link_type, LinkType::Email) || lower.starts_with("mailto:") {
        "<a>".to_owned()
    } else {
        format!("<a title=\"{}\">", escape(address))
    }
}

/// The first words of a text, on one line.
pub fn opening(text: &str, n_characters: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= n_characters {
        return line;
    }
    line.chars().take(n_characters.saturating_sub(1)).chain(['…']).collect()
}

/// Guides as HTML, each version rendered once.
#[derive(Default)]
pub struct Guides(Mutex<HashMap<(Id, i64), Arc<str>>>);

impl Guides {
    /// The version's HTML, from `body` when it isn't known yet. A version never changes.
    pub fn html(&self, project: Id, version: i64, body: impl FnOnce() -> String) -> Arc<str> {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.entry((project, version)).or_insert_with(|| markdown(&body(), Lines::Joined).into()).clone()
    }

    /// The version's HTML, when it is known.
    pub fn known(&self, project: Id, version: i64) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&(project, version)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        markdown(text, Lines::Kept)
    }

    #[test]
    fn nothing_hostile_survives() {
        for (text, must_not) in [
            ("<script>alert(1)</script>", "<script"),
            ("a <img src=x onerror=alert(1)> b", "<img"),
            ("[x](javascript:alert(1))", "href"),
            ("[x](JaVaScRiPt:alert(1))", "href"),
            ("[x](data:text/html,<script>)", "href"),
            ("<javascript:alert(1)>", "href"),
            ("![x](https://tracker.example/a.png)", "<img"),
            ("[x](https://a.example/\"onclick=alert(1))", "\"onclick"),
            ("<div style=\"position:fixed\">", "<div"),
            ("```\"><script>\nx\n```", "<script"),
            ("# <svg onload=alert(1)>", "<svg"),
        ] {
            let html = shown(text);
            assert!(!html.contains(must_not), "{text} became {html}");
        }
    }

    #[test]
    fn markdown_is_shown_and_lines_are_kept() {
        assert_eq!(shown("a *b*\nc"), "<p>a <em>b</em><br />\nc</p>\n");
        assert_eq!(markdown("a\nb", Lines::Joined), "<p>a\nb</p>\n");
        assert!(shown("```rust\nlet x = 1 < 2;\n```").contains("<pre><code>let x = 1 &lt; 2;"));
        assert!(shown("[x](https://a.example)").contains("rel=\"noopener noreferrer nofollow\""));
        assert!(shown("# T").starts_with("<h4>T</h4>"));
    }

    #[test]
    fn long_texts_fold_and_language_tags_are_tags() {
        assert!(!Text::new("short", None).long);
        assert!(Text::new(&"x\n".repeat(23), None).long);
        assert!(Text::new(&"語".repeat(1_601), Some("ja")).long);
        assert_eq!(Text::new("x", Some("a\"b")).language, None);
        assert_eq!(Text::new("x", Some("pt-BR")).language.as_deref(), Some("pt-BR"));
        for (text, language) in [
            ("春です。", Some("ja")),
            ("春天到了", Some("zh")),
            ("봄 春", Some("ko")),
            ("لماذا", None),
            ("spring", None),
        ] {
            assert_eq!(Text::new(text, None).language.as_deref(), language, "{text}");
        }
        assert_eq!(Text::new("春", Some("ja")).language.as_deref(), Some("ja"));
        assert_eq!(opening("a\n b  c", 4), "a b…");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn only_known_tags_come_out(text in "[<>a-c\"'=/!\\[\\]()`#*:\\n -]{0,60}") {
            let known = ["p", "em", "strong", "code", "pre", "br", "hr", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "a", "span",
                "table", "thead", "tbody", "tr", "th", "td", "del"];
            for tag in shown(&text).split('<').skip(1) {
                let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
                prop_assert!(known.contains(&name.as_str()), "{text:?} gave <{tag}");
            }
        }
    }
}

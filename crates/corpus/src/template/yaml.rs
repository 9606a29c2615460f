//! As much of YAML as template files use, from a parser that reports events: a tree of text.
//!
//! What aliases repeat is bounded, so that a small file can't unfold into a large tree; so are depth and nodes. Scalars stay
//! text: `Yes ||| No` must not become a truth value. Tags (`!Template`) are left out.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Nested collections.
const DEPTH_MAX: usize = 64;
/// Scalars and collections of a file: the largest published one has some thousand.
const NODES_MAX: usize = 1_000_000;
/// Nodes that aliases may repeat, all together.
const REPEATED_MAX: usize = 10_000;

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Text; `None` where nothing or `null` stands.
    Scalar(Option<String>),
    /// A list.
    List(Vec<Node>),
    /// Pairs in their order; keys are text.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key, absent where it is null.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
        .filter(|node| **node != Node::Scalar(None))
    }

    fn n_nodes(&self) -> usize {
        match self {
            Node::Scalar(_) => 1,
            Node::List(items) => 1 + items.iter().map(Node::n_nodes).sum::<usize>(),
            Node::Map(pairs) => 1 + pairs.iter().map(|(_, node)| 1 + node.n_nodes()).sum::<usize>(),
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Node::Scalar(text) => text.as_deref(),
            _ => None,
        }
    }
}

/// A collection that isn't closed yet, with its anchor (0 for none).
struct Open {
    collection: Collection,
    anchor: usize,
}

enum Collection {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

/// The first document of a text; the error says line and problem.
pub(super) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let mut stack: Vec<Open> = Vec::new();
    let mut anchored: HashMap<usize, Node> = HashMap::new();
    let (mut n_nodes, mut n_repeated) = (0, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| (error.marker().line(), error.info().to_owned()))?;
        let fail = |problem: &str| Err((span.start.line(), problem.to_owned()));
        n_nodes += 1;
        if n_nodes > NODES_MAX {
            return fail("more nodes than a template file may have");
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (Node::Scalar((!is_null).then(|| text.into_owned())), anchor)
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if stack.len() == DEPTH_MAX => {
                return fail("nested more deeply than a template file may be");
            }
            Event::SequenceStart(anchor, _) => {
                stack.push(Open { collection: Collection::List(Vec::new()), anchor });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                stack.push(Open { collection: Collection::Map(Vec::new(), None), anchor });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match stack.pop() {
                Some(Open { collection: Collection::List(items), anchor }) => (Node::List(items), anchor),
                Some(Open { collection: Collection::Map(pairs, _), anchor }) => (Node::Map(pairs), anchor),
                None => return fail("an end without a beginning"),
            },
            Event::Alias(anchor) => {
                let Some(node) = anchored.get(&anchor) else {
                    return fail("an alias of what isn't there yet");
                };
                n_repeated += node.n_nodes();
                if n_repeated > REPEATED_MAX {
                    return fail("aliases that repeat more than a template file may");
                }
                (node.clone(), 0)
            }
            _ => continue,
        };
        if anchor > 0 {
            anchored.insert(anchor, node.clone());
        }
        match stack.last_mut().map(|open| &mut open.collection) {
            None => return Ok(node),
            Some(Collection::List(items)) => items.push(node),
            Some(Collection::Map(pairs, key)) => match (key.take(), node) {
                (Some(key), node) => pairs.push((key, node)),
                (None, Node::Scalar(text)) => *key = Some(text.unwrap_or_default()),
                (None, _) => return fail("a key that is a collection, expected text"),
            },
        }
    }
    Err((1, "nothing in it".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let node =
            parse("a: Yes\nb: !T {c: [1, null, '~', ''], d: \"x\\ny\"}\ne:\nf: |\n  two\n  lines\n").expect("YAML");
        assert_eq!(node.get("a").and_then(Node::text), Some("Yes"));
        let b = node.get("b").expect("there");
        let text = |text: &str| Node::Scalar(Some(text.to_owned()));
        assert_eq!(b.get("c"), Some(&Node::List(vec![text("1"), Node::Scalar(None), text("~"), text("")])));
        assert_eq!(b.get("d"), Some(&text("x\ny")));
        assert_eq!((node.get("e"), node.get("f")), (None, Some(&text("two\nlines\n"))));
    }

    #[test]
    fn bombs_are_refused() {
        let repeated = parse("a: &a [x, y]\nb: *a\n").expect("one alias");
        assert_eq!(repeated.get("a"), repeated.get("b"));
        let mut bomb = "l0: &l0 [x, x]\n".to_owned();
        for i in 1..60 {
            bomb.push_str(&format!("l{i}: &l{i} [*l{}, *l{}]\n", i - 1, i - 1));
        }
        assert!(parse(&bomb).expect_err("a bomb").1.contains("repeat more"));
        assert!(parse("a: &a [*a]").expect_err("a circle").1.contains("isn't there"));
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("{}x{}", "[".repeat(70), "]".repeat(70))).expect_err("deep").1.contains("deeply"));
        assert_eq!(parse("a: 1\n b: [\n").expect_err("broken").0, 2);
        assert!(parse("").is_err());
        assert!(parse("? [a]\n: b").expect_err("key").1.contains("key"));
    }
}

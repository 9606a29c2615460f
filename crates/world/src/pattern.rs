//! Sentences with slots, written and read by the same pattern.

/// A piece of a [`Pattern`].
#[derive(Clone, Debug)]
enum Piece {
    Literal(&'static str),
    Slot(usize),
}

/// A sentence with slots `{s}`, `{o}` and `{u}`.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Piece>);

/// What fills the slots `{s}`, `{o}` and `{u}`.
pub type Slots<'a> = [&'a str; 3];

const SLOTS: [&str; 3] = ["{s}", "{o}", "{u}"];

impl Pattern {
    /// Compiles a template.
    pub fn new(mut template: &'static str) -> Pattern {
        let mut pieces = Vec::new();
        while let Some(start) = template.find('{') {
            if start > 0 {
                pieces.push(Piece::Literal(&template[..start]));
            }
            let slot = SLOTS.iter().position(|name| template[start..].starts_with(name));
            pieces.push(Piece::Slot(slot.unwrap_or_else(|| panic!("unknown slot in {template:?}"))));
            template = &template[start + 3..];
        }
        if !template.is_empty() {
            pieces.push(Piece::Literal(template));
        }
        Pattern(pieces)
    }

    /// Writes it with its slots filled.
    pub fn write(&self, slots: Slots, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Slot(index) => out.push_str(slots[*index]),
            }
        }
    }

    /// The first way to fill the slots, each with something, that gives `text` and that `accept` makes something of.
    pub fn read<T>(&self, text: &str, accept: &mut dyn FnMut(Slots) -> Option<T>) -> Option<T> {
        read(&self.0, text, &mut [""; 3], accept)
    }
}

fn read<'a, T>(
    pieces: &[Piece],
    text: &'a str,
    slots: &mut Slots<'a>,
    accept: &mut dyn FnMut(Slots) -> Option<T>,
) -> Option<T> {
    match pieces {
        [] => text.is_empty().then(|| accept(*slots)).flatten(),
        [Piece::Literal(literal), rest @ ..] => read(rest, text.strip_prefix(literal)?, slots, accept),
        [Piece::Slot(index)] => {
            slots[*index] = text;
            (!text.is_empty()).then(|| accept(*slots)).flatten()
        }
        [Piece::Slot(index), Piece::Literal(literal), rest @ ..] => {
            text.match_indices(literal).filter(|(at, _)| *at > 0).find_map(|(at, _)| {
                slots[*index] = &text[..at];
                read(rest, &text[at + literal.len()..], slots, accept)
            })
        }
        [Piece::Slot(_), Piece::Slot(_), ..] => unreachable!("two slots without text between"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &'static str, text: &str, expected: Option<[&str; 3]>) {
        let found = Pattern::new(template).read(text, &mut |slots| Some(slots.map(str::to_string)));
        assert_eq!(found, expected.map(|slots| slots.map(str::to_string)), "{template} on {text}");
    }

    #[test]
    fn what_is_written_is_read() {
        let mut text = String::new();
        Pattern::new("A {s} has {o} {u}s.").write(["dorn", "12", "pell"], &mut text);
        assert_eq!(text, "A dorn has 12 pells.");
        check("A {s} has {o} {u}s.", &text, Some(["dorn", "12", "pell"]));
        check("{s} is {o}.", "the vase is red.", Some(["the vase", "red", ""]));
        check("{s} is {o}.", " is red.", None);
        check("{s} is {o}.", "x is .", None);
        check("Bare.", "Bare", None);
    }

    #[test]
    fn a_slot_is_tried_at_every_place() {
        let read = Pattern::new("{s} is {o}")
            .read("this is what is", &mut |[s, o, _]| (s == "this is what").then(|| o.to_string()));
        assert_eq!(read, None);
        let read =
            Pattern::new("{s} is {o}").read("a is b is c", &mut |[s, o, _]| (s == "a is b").then(|| o.to_string()));
        assert_eq!(read.as_deref(), Some("c"));
    }
}

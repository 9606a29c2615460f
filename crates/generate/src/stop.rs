//! Stop strings over text that arrives in pieces.

/// Watches text for any of several strings; holds back what might be the beginning of one.
pub(crate) struct StopWatch {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text led to.
#[derive(Debug, PartialEq)]
pub(crate) enum Watched {
    /// This much is certain not to be part of a stop string.
    Text(String),
    /// A stop string was found; what came before it.
    Stopped(String),
}

impl StopWatch {
    pub fn new(stops: Vec<String>) -> StopWatch {
        StopWatch { stops, held: String::new() }
    }
    pub fn push(&mut self, text: &str) -> Watched {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(at);
            return Watched::Stopped(std::mem::take(&mut self.held));
        }
        let certain = self.held.len() - self.longest_beginning();
        let rest = self.held.split_off(certain);
        Watched::Text(std::mem::replace(&mut self.held, rest))
    }
    /// What was held back, when no more text comes.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
    /// Bytes at the end of the held text that are a proper beginning of some stop string.
    fn longest_beginning(&self) -> usize {
        let begins = |at: &usize| self.stops.iter().any(|stop| stop.starts_with(&self.held[*at..]));
        let starts = self.held.char_indices().map(|(at, _)| at);
        starts.into_iter().find(begins).map_or(0, |at| self.held.len() - at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stops: &[&str], pieces: &[&str], text: &str, stopped: bool) {
        let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
        let mut watch = StopWatch::new(stops);
        let mut out = String::new();
        for piece in pieces {
            match watch.push(piece) {
                Watched::Text(t) => out += &t,
                Watched::Stopped(t) => {
                    assert!(stopped, "stopped after {out:?}{t:?}");
                    return assert_eq!(out + &t, text);
                }
            }
        }
        assert!(!stopped, "never stopped");
        assert_eq!(out + &watch.finish(), text);
    }

    #[test]
    fn a_stop_string_is_found_across_pieces_and_never_shown() {
        check(&["\nUser:"], &["Hello", "\nUs", "er: more"], "Hello", true);
        check(&["ab"], &["a", "a", "b"], "a", true);
        check(&["é!", "zz"], &["caf", "é", "?", "z"], "café?z", false);
        check(&["long", "on"], &["so l", "on", "g"], "so l", true);
        check(&[], &["any", "thing"], "anything", false);
    }
}

//! What a study says while it runs.

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A stage begins, or is skipped because it is done.
    Stage {
        /// Its number, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Its name, the same as its folder or file.
        name: &'a str,
        /// What it does, a phrase.
        what: &'a str,
        /// Seconds that it took, when it is done already.
        done_in: Option<f64>,
    },
    /// A training stage says something.
    Train(&'a train::Event),
    /// A training stage has nothing more to say.
    Trained,
    /// So many of so many are counted.
    Count {
        /// Done.
        done: usize,
        /// Of how many.
        total: usize,
        /// What is counted.
        noun: &'static str,
    },
}

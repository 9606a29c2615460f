//! The tree batch: packed token sequences that may branch, and what is asked of them.
//!
//! A root segment is a plain sequence (or a shared prompt); a branch continues its parent. A token sees its ancestors'
//! segments whole and its own segment up to itself; positions count along the path from the root.

/// A run of consecutive tokens of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index of the first token.
    pub start: usize,
    /// Number of tokens, at least 1.
    pub length: usize,
    /// The segment it continues, always an earlier one.
    pub parent: Option<usize>,
}

/// Packed sequences. Built with [`TreeBatch::push_root`] and [`TreeBatch::push_branch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeBatch {
    token_ids: Vec<u32>,
    positions: Vec<u32>,
    segments: Vec<Segment>,
}

/// A log-probability that is asked for: of `token_id`, from the hidden state at token `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index of the token whose hidden state predicts.
    pub source: usize,
    /// The token predicted.
    pub token_id: u32,
}

impl TreeBatch {
    /// Starts a new tree; returns its segment's index. `tokens` must not be empty.
    pub fn push_root(&mut self, tokens: &[u32]) -> usize {
        self.push(None, tokens)
    }
    /// Continues `parent`; returns the new segment's index. `tokens` must not be empty.
    pub fn push_branch(&mut self, parent: usize, tokens: &[u32]) -> usize {
        assert!(parent < self.segments.len(), "parent {parent} of {}", self.segments.len());
        self.push(Some(parent), tokens)
    }
    fn push(&mut self, parent: Option<usize>, tokens: &[u32]) -> usize {
        assert!(!tokens.is_empty(), "a segment needs at least one token");
        let start = self.token_ids.len();
        let first = parent.map_or(0, |p| self.positions[self.last_token(p)] + 1);
        self.token_ids.extend_from_slice(tokens);
        self.positions.extend((0..tokens.len() as u32).map(|i| first + i));
        self.segments.push(Segment { start, length: tokens.len(), parent });
        self.segments.len() - 1
    }
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.token_ids.len()
    }
    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.token_ids.is_empty()
    }
    /// Every token.
    pub fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }
    /// Position of every token along its path.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }
    /// Every segment, parents before children.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
    /// Index of a segment's last token.
    pub fn last_token(&self, segment: usize) -> usize {
        let s = self.segments[segment];
        s.start + s.length - 1
    }
    /// The target of token `offset` of `segment`: predicted from the token before it on its path. `None` for a root's first token.
    pub fn target(&self, segment: usize, offset: usize) -> Option<Target> {
        let s = self.segments[segment];
        assert!(offset < s.length, "token {offset} of a segment of {}", s.length);
        let source = if offset > 0 { s.start + offset - 1 } else { self.last_token(s.parent?) };
        Some(Target { source, token_id: self.token_ids[s.start + offset] })
    }
}

/// What a forward pass is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Log-probabilities wanted.
    pub targets: Vec<Target>,
    /// Also the entropy of the distribution each target came from.
    pub entropy: bool,
    /// Divides the logits.
    pub temperature: f32,
    /// Tokens at which the scalar head is read.
    pub scalars: Vec<usize>,
}

impl Request {
    /// Log-probabilities only, at temperature 1.
    pub fn log_probs(targets: Vec<Target>) -> Request {
        Request { targets, entropy: false, temperature: 1.0, scalars: Vec::new() }
    }
    /// Scalars only.
    pub fn scalars(scalars: Vec<usize>) -> Request {
        Request { targets: Vec::new(), entropy: false, temperature: 1.0, scalars }
    }
}

/// What the model says, in the order of the request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Nats, one a target.
    pub log_probs: Vec<f32>,
    /// Nats, one a target when asked, else empty.
    pub entropies: Vec<f32>,
    /// One a scalar asked for.
    pub scalars: Vec<f32>,
}

/// dL/d of each number of [`Outputs`]; an empty vector means zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derivatives {
    /// By log-probability.
    pub log_probs: Vec<f32>,
    /// By entropy.
    pub entropies: Vec<f32>,
    /// By scalar.
    pub scalars: Vec<f32>,
}

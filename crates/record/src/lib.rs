//! The nouns on disk: messages, demonstrations, rankings, comparisons.

//! Seeded random streams, hashing, JSONL and atomic files.

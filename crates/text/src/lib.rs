//! Measures of text: ROUGE, BLEU, diversity, near duplicates, quality, personal data, linear scorers.
//!
//! Text in, numbers out. Nothing here knows of rows, files of data, models or why a number is wanted; the one file that
//! is read is a linear scorer's own.
//!
//! - [`token`]: text to words, and words to numbers
//! - [`lcs`]: longest common subsequence, bit-parallel
//! - [`rouge`]: ROUGE-1, 2, L, Lsum, and the ROUGE-L of one text against many
//! - [`bleu`]: BLEU as `sacrebleu` computes it
//! - [`diversity`]: distinct-n and Self-BLEU
//! - [`linear`]: TF-IDF with calibrated linear classifiers, from a file
//! - [`classifier`]: a small linear classifier, trained on the spot
//! - [`minhash`]: near duplicates in a stream
//! - [`pii`]: what identifies a person
//! - [`language`]: what language a text is in
//! - [`quality`]: measures by which bad text is told from good

pub mod bleu;
pub mod classifier;
pub mod diversity;
pub mod language;
pub mod lcs;
pub mod linear;
pub mod logistic;
pub mod minhash;
pub mod pii;
pub mod quality;
pub mod rouge;
pub mod token;

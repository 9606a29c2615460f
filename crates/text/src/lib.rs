//! Measures of text: ROUGE, BLEU, diversity, linear scorers.
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

pub mod bleu;
pub mod diversity;
pub mod lcs;
pub mod linear;
pub mod rouge;
pub mod token;

//! Parts and folds of a data set that no prompt, or no user, straddles.
//!
//! Where a row goes depends on the seed and its key alone, not on the other rows: a data set that
//! grows keeps its old rows where they were, and two files split alike never leak into each other.
//! Sizes are therefore near the fractions, not equal to them.

use record::Row;
use stdx::Seed;

use crate::identity::prompt_key;

/// What must stay together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBy {
    /// Rows of one prompt: of one opening question (see [`prompt_key`]).
    Prompt,
    /// Rows of one `user_id`, as InstructGPT split (arXiv 2203.02155, §3.2). One prompt of two
    /// users may then be on both sides.
    User,
}

/// Why a split is impossible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// The fractions are no division of the whole.
    #[error("fractions: found {found:?}, expected positive numbers with the sum 1")]
    Fractions {
        /// What was given.
        found: Vec<f64>,
    },
    /// Too few folds.
    #[error("folds: found {found}, expected at least 2")]
    Folds {
        /// How many were asked for.
        found: usize,
    },
    /// A row can't be assigned to a user.
    #[error("row {row}: found no user_id, expected one on every row to split by user")]
    NoUser {
        /// The row's position, from 1.
        row: usize,
    },
}

/// The part of each row, `0..fractions.len()`.
pub fn by_fractions(rows: &[Row], by: SplitBy, fractions: &[f64], seed: Seed) -> Result<Vec<usize>, SplitError> {
    let positive = fractions.iter().all(|&part| part > 0.0);
    if !positive || (fractions.iter().sum::<f64>() - 1.0).abs() > 1e-6 {
        let found = fractions.to_vec();
        return Err(SplitError::Fractions { found });
    }
    assign(rows, by, |key| {
        let mut left = seed.stream(key, 0).uniform();
        let part = fractions.iter().position(|&part| {
            left -= part;
            left < 0.0
        });
        // Rounding may leave a sliver beyond the last part.
        part.unwrap_or(fractions.len() - 1)
    })
}

/// The fold of each row, `0..folds`.
pub fn by_folds(rows: &[Row], by: SplitBy, folds: usize, seed: Seed) -> Result<Vec<usize>, SplitError> {
    if folds < 2 {
        return Err(SplitError::Folds { found: folds });
    }
    assign(rows, by, |key| seed.stream(key, 0).below(folds as u64) as usize)
}

fn assign(rows: &[Row], by: SplitBy, part: impl Fn(&str) -> usize) -> Result<Vec<usize>, SplitError> {
    let numbered = rows.iter().enumerate();
    numbered
        .map(|(i, row)| match (by, &row.meta.user_id) {
            (SplitBy::Prompt, _) => Ok(part(&format!("split prompt {}", prompt_key(row)))),
            (SplitBy::User, Some(user)) => Ok(part(&format!("split user {user}"))),
            (SplitBy::User, None) => Err(SplitError::NoUser { row: i + 1 }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use record::{Meta, Prompt, Record};

    fn row(prompt: &str, user: Option<&str>) -> Row {
        Row {
            record: Record::Prompt(Prompt::Text(prompt.into())),
            meta: Meta { user_id: user.map(str::to_owned), ..Meta::default() },
        }
    }

    #[test]
    fn sizes_are_near_the_fractions() {
        let rows: Vec<_> = (0..4000).map(|i| row(&i.to_string(), None)).collect();
        let parts = by_fractions(&rows, SplitBy::Prompt, &[0.7, 0.2, 0.1], Seed(3)).expect("split");
        let size = |part| parts.iter().filter(|&&p| p == part).count() as f64;
        // Binomial standard deviations are 29, 25 and 19; five of them.
        assert!((size(0) - 2800.0).abs() < 145.0, "{}", size(0));
        assert!((size(1) - 800.0).abs() < 126.0, "{}", size(1));
        assert!((size(2) - 400.0).abs() < 95.0, "{}", size(2));
        let other = by_fractions(&rows, SplitBy::Prompt, &[0.7, 0.2, 0.1], Seed(4)).expect("split");
        assert_ne!(parts, other);
    }

    #[test]
    fn impossible_splits_say_why() {
        let rows = [row("a", Some("u")), row("b", None)];
        let fractions = |f: &[f64]| by_fractions(&rows, SplitBy::Prompt, f, Seed(0));
        for bad in [&[0.5, 0.4][..], &[1.5, -0.5], &[f64::NAN, 1.0], &[]] {
            let error = fractions(bad).expect_err("no division");
            assert!(error.to_string().starts_with("fractions: found ["), "{error}");
        }
        assert_eq!(by_folds(&rows, SplitBy::User, 2, Seed(0)), Err(SplitError::NoUser { row: 2 }));
        assert_eq!(by_folds(&rows, SplitBy::Prompt, 1, Seed(0)), Err(SplitError::Folds { found: 1 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_straddles_and_nothing_moves(
            names in prop::collection::vec(("[a-d]", "[u-x]"), 2..60),
            seed: u64,
            folds in 2_usize..6,
        ) {
            let rows: Vec<_> = names.iter().map(|(p, u)| row(p, Some(u))).collect();
            for by in [SplitBy::Prompt, SplitBy::User] {
                let key = |i: usize| if by == SplitBy::Prompt { &names[i].0 } else { &names[i].1 };
                let whole = by_folds(&rows, by, folds, Seed(seed)).expect("split");
                for i in 0..rows.len() {
                    for j in 0..i {
                        prop_assert!(key(i) != key(j) || whole[i] == whole[j]);
                    }
                }
                // The first half alone is assigned as it is within the whole.
                let half = rows.len() / 2;
                let alone = by_folds(&rows[..half], by, folds, Seed(seed)).expect("split");
                prop_assert_eq!(&whole[..half], &alone[..]);
                let parts = by_fractions(&rows, by, &[0.5, 0.25, 0.25], Seed(seed)).expect("split");
                for i in 0..rows.len() {
                    for j in 0..i {
                        prop_assert!(key(i) != key(j) || parts[i] == parts[j]);
                    }
                }
            }
        }
    }
}

//! Losses, advantages and KL control as functions of numbers.
//!
//! The model says numbers (log-probabilities, scores, values, entropies); an objective answers
//! with numbers: the loss, and its derivative with respect to each of them. Nothing here knows a
//! tensor, a token id or a file, so every formula can be tested without a model, is the same on
//! CPU and GPU, and can explain itself on a page.
//!
//! - [`reward`]: K completions of a prompt, ranked by a person → loss of a reward model.
//! - [`preference`]: log-probabilities under policy and reference → the DPO family.
//! - [`policy`]: rewards, advantages, KL control, policy and value losses of PPO and its kin.
//!
//! **To add a loss:** write one file with its formula, source and worked values, and add one line
//! to the list (`ALL`, `VALUE`, `ROW`) of its family. The tests of [`registry`] then check, unasked, that
//! the gradient is the slope, that it is finite far out, that it pushes the right way at the
//! reference, that its worked values hold, that every option changes the numbers, and that help
//! and documentation render.
//!
//! ```
//! use objective::{Options, preference::{self, Completion, Pair}};
//!
//! let dpo = preference::by_name("sigmoid", &Options::new().with("beta", 0.1))?;
//! let chosen = Completion { policy: -11.9, reference: -12.4, tokens: 3 };
//! let rejected = Completion { policy: -8.6, reference: -8.4, tokens: 2 };
//! let out = dpo.loss(&[Pair { chosen, rejected }])?;
//! assert!(out.pairs[0].d_chosen < 0.0); // a descent step raises the chosen answer
//! # Ok::<(), objective::Error>(())
//! ```
//!
//! **Sums and divisors.** A loss over an optimizer batch is a sum divided by a count (pairs,
//! prompts, tokens) that is known before any model ran. Where a batch is split, call `loss_over`
//! with the count of the *whole* batch: the parts then add up to exactly the unsplit loss and
//! gradient.
//!
//! **NaN.** A number that is NaN makes the loss NaN; nothing here hides one. The stage stops.

pub mod about;
pub mod error;
pub mod numeric;
pub mod options;
pub mod policy;
pub mod preference;
pub mod real;
pub mod registry;
pub mod reward;

pub use about::{About, Evaluation, Example, Family, Objective, Worked};
pub use error::Error;
pub use options::{Kind, OptionSpec, Options, Settings, Value};

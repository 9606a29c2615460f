//! Every member of every list in one place, for help, documentation and the tests that no member
//! can forget to pass.

use crate::{About, Family, Objective, policy, preference, reward};

/// Every differentiable member.
pub fn objectives() -> impl Iterator<Item = &'static dyn Objective> {
    let reward = reward::ALL.iter().map(|&member| member as &dyn Objective);
    let preference = preference::ALL.iter().map(|&member| member as &dyn Objective);
    let policy_losses = policy::ALL.iter().map(|&member| member as &dyn Objective);
    let value = policy::VALUE.iter().map(|&member| member as &dyn Objective);
    reward.chain(preference).chain(policy_losses).chain(value).chain(policy::ROW.iter().copied())
}

/// Every member's account of itself.
pub fn all() -> impl Iterator<Item = &'static About> {
    let others = policy::ESTIMATORS.iter().chain(policy::CONTROL).copied();
    objectives().map(|member| member.about()).chain(others)
}

/// The reference tables as Markdown, a table per family: what `docs/objectives.md` shows.
pub fn markdown() -> String {
    let mut out = String::new();
    for &family in Family::ALL {
        out.push_str(&format!(
            "\n### {}\n\n| name | what | formula | convention | options | source |\n|---|---|---|---|---|---|\n",
            family.title()
        ));
        for about in all().filter(|about| about.family == family) {
            let cells = [about.summary, about.formula, about.convention].map(cell);
            let [summary, formula, convention] = cells;
            out.push_str(&format!(
                "| `{}` | {summary} | {formula} | {convention} | {} | {} |\n",
                about.name,
                options(about),
                cell(about.source)
            ));
        }
    }
    out
}

fn options(about: &About) -> String {
    if about.options.is_empty() {
        return "–".to_owned();
    }
    let one = |spec: &crate::OptionSpec| {
        format!("`{}` = {} ({}): {}", spec.name, spec.default, cell(&spec.kind.to_string()), cell(spec.help))
    };
    about.options.iter().map(one).collect::<Vec<_>>().join("<br>")
}

/// A table cell: a bar inside would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evaluation, Options, Settings};
    use std::collections::HashSet;

    fn settings(member: &dyn Objective, options: &[(&'static str, crate::Value)]) -> Settings {
        let set = options.iter().fold(Options::new(), |all, (name, value)| all.with(name, value.clone()));
        Settings::resolve(member.about(), &set).unwrap()
    }

    /// Each member with its defaults, and with each option in turn at its other value.
    fn variants(member: &dyn Objective) -> Vec<(String, Settings)> {
        let mut all = vec![("defaults".to_owned(), settings(member, &[]))];
        for spec in member.about().options {
            let name = format!("{} = {}", spec.name, spec.other);
            all.push((name, settings(member, &[(spec.name, spec.other.clone())])));
        }
        all
    }

    /// Points off symmetry around the start.
    fn points(member: &dyn Objective) -> Vec<Vec<f64>> {
        let start = member.example().start;
        let shift = |seed: usize, scale: f64| {
            let move_one = |(i, x): (usize, &f64)| x + scale * (((seed + 3 * i) as f64) * 1.7).sin();
            start.iter().enumerate().map(move_one).collect()
        };
        // Kept away from the kinks of clips and hinges, where no slope is defined.
        vec![shift(1, 0.037), shift(2, 0.61), shift(5, 1.9)]
    }

    #[test]
    fn every_gradient_is_the_slope() {
        const STEP: f64 = 1e-5;
        for member in objectives() {
            for (variant, settings) in variants(member) {
                for point in points(member) {
                    let gradient = member.probe(&settings, &point).gradient;
                    assert_eq!(gradient.len(), point.len());
                    for i in 0..point.len() {
                        let at = |x: f64| {
                            let mut moved = point.clone();
                            moved[i] = x;
                            member.probe(&settings, &moved).loss
                        };
                        let slope = (at(point[i] + STEP) - at(point[i] - STEP)) / (2.0 * STEP);
                        assert!(
                            (gradient[i] - slope).abs() < 1e-6 * (1.0 + slope.abs()),
                            "{} ({variant}) at {point:?}: derivative {i} is {}, slope {slope}",
                            member.about().name,
                            gradient[i],
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn everything_is_finite_far_out() {
        for member in objectives() {
            let n = member.example().start.len();
            for (variant, settings) in variants(member) {
                for signs in 0..1u32 << n {
                    let far = |i: usize| if signs >> i & 1 == 1 { 1e4 } else { -1e4 };
                    let Evaluation { loss, gradient } = member.probe(&settings, &(0..n).map(far).collect::<Vec<_>>());
                    assert!(
                        loss.is_finite() && gradient.iter().all(|slope| slope.is_finite()),
                        "{} ({variant}), signs {signs:b}: {loss}, {gradient:?}",
                        member.about().name,
                    );
                }
            }
        }
    }

    #[test]
    fn a_nan_is_never_hidden() {
        for member in objectives() {
            let start = member.example().start;
            for (variant, settings) in variants(member) {
                for i in 0..start.len() {
                    let mut broken = start.clone();
                    broken[i] = f64::NAN;
                    let loss = member.probe(&settings, &broken).loss;
                    assert!(loss.is_nan(), "{} ({variant}): input {i} NaN, loss {loss}", member.about().name);
                }
            }
        }
    }

    #[test]
    fn at_the_reference_every_loss_pushes_the_right_way() {
        for member in objectives() {
            let example = member.example();
            for (variant, settings) in variants(member) {
                let gradient = member.probe(&settings, &example.start).gradient;
                for &i in &example.raises {
                    assert!(gradient[i] < 0.0, "{} ({variant}) does not raise {i}: {gradient:?}", member.about().name);
                }
                for &i in &example.lowers {
                    assert!(gradient[i] > 0.0, "{} ({variant}) does not lower {i}: {gradient:?}", member.about().name);
                }
            }
            assert!(!example.raises.is_empty() || !example.lowers.is_empty());
        }
    }

    #[test]
    fn worked_values_hold() {
        let mut wrong = Vec::new();
        for member in objectives() {
            assert!(!member.worked().is_empty(), "{} has no worked value", member.about().name);
            for worked in member.worked() {
                let found = member.probe(&settings(member, worked.options), worked.trained).loss;
                if (found - worked.loss).abs() >= 1e-9 * (1.0 + worked.loss.abs()) {
                    wrong.push(format!(
                        "{} {:?}: {found}, expected {}",
                        member.about().name,
                        worked.options,
                        worked.loss
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_option_changes_the_numbers() {
        for member in objectives() {
            let defaults = settings(member, &[]);
            for spec in member.about().options {
                assert!(spec.other != spec.default);
                let other = settings(member, &[(spec.name, spec.other.clone())]);
                let differs = |point: &Vec<f64>| member.probe(&defaults, point) != member.probe(&other, point);
                assert!(points(member).iter().any(differs), "{}: {} does nothing", member.about().name, spec.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_texts_are_there() {
        let mut names = HashSet::new();
        for about in all() {
            assert!(names.insert((about.family, about.name)), "two members are called {}", about.name);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(about.name.chars().all(plain));
            for text in [about.summary, about.formula, about.source, about.convention] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text:?}", about.name);
            }
            for spec in about.options {
                assert!(spec.name.chars().all(plain) && !spec.help.is_empty() && !spec.help.ends_with('.'));
                let default = Options::new().with(spec.name, spec.default.clone());
                assert!(Settings::resolve(about, &default).is_ok(), "{}: default out of range", about.name);
            }
        }
    }

    #[test]
    fn markdown_has_a_row_for_every_member() {
        let tables = markdown();
        for about in all() {
            assert!(tables.contains(&format!("| `{}` |", about.name)));
        }
        let rows = tables.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, all().count());
    }
}

//! How many observations it takes to see a difference.
//!
//! Normal approximations, two-sided at level α with the given power. Compare before a run is
//! started: a held-out set too small for the difference hoped for will show nothing either way.

use crate::Error;
use crate::special::normal_quantile;

/// The usual two-sided level.
pub const ALPHA: f64 = 0.05;
/// The usual power.
pub const POWER: f64 = 0.8;

/// Pairs needed to see a mean difference of `difference` when paired differences have standard
/// deviation `std`: ((z_{α/2} + z_power)·std/difference)².
pub fn n_for_mean_difference(difference: f64, std: f64, alpha: f64, power: f64) -> Result<usize, Error> {
    let z = z_sum(alpha, power)?;
    positive("the difference", difference.abs())?;
    positive("the standard deviation", std)?;
    Ok((z * std / difference).powi(2).ceil() as usize)
}

/// The mean difference that `n` pairs can show.
pub fn detectable_mean_difference(n: usize, std: f64, alpha: f64, power: f64) -> Result<f64, Error> {
    let z = z_sum(alpha, power)?;
    positive("the standard deviation", std)?;
    crate::error::at_least("pairs", 1, n)?;
    Ok(z * std / (n as f64).sqrt())
}

/// Items *per system* needed to tell two accuracies apart when each is measured on items of its
/// own: (z_{α/2}√(2p̄q̄) + z_power√(p₁q₁ + p₂q₂))²/(p₁ − p₂)² (Fleiss 1981, eq. 3.14).
pub fn n_for_proportions(p1: f64, p2: f64, alpha: f64, power: f64) -> Result<usize, Error> {
    z_sum(alpha, power)?;
    share("the first proportion", p1)?;
    share("the second proportion", p2)?;
    positive("the difference of the proportions", (p1 - p2).abs())?;
    let middle = (p1 + p2) / 2.0;
    let equal = normal_quantile(1.0 - alpha / 2.0) * (2.0 * middle * (1.0 - middle)).sqrt();
    let apart = normal_quantile(power) * (p1 * (1.0 - p1) + p2 * (1.0 - p2)).sqrt();
    Ok(((equal + apart) / (p1 - p2)).powi(2).ceil() as usize)
}

/// Items needed when both systems answer the *same* items and differ on a share `discordant` of
/// them: (z_{α/2}√ψ + z_power√(ψ − d²))²/d² for McNemar's test (Connor 1987, Biometrics 43, 207).
/// Fewer than [`n_for_proportions`] asks for, the more the systems agree.
pub fn n_for_paired_proportions(difference: f64, discordant: f64, alpha: f64, power: f64) -> Result<usize, Error> {
    z_sum(alpha, power)?;
    let d = difference.abs();
    positive("the difference of the proportions", d)?;
    share("the discordant share", discordant)?;
    if discordant < d {
        let expected = "at least the difference";
        return Err(Error::OutOfRange { what: "the discordant share", found: discordant, expected });
    }
    let equal = normal_quantile(1.0 - alpha / 2.0) * discordant.sqrt();
    let apart = normal_quantile(power) * (discordant - d * d).sqrt();
    Ok(((equal + apart) / d).powi(2).ceil() as usize)
}

/// The sentence a report prints: "to see a 3-point difference you need n = …".
pub fn sentence(points: f64, discordant: f64) -> Result<String, Error> {
    let n = n_for_paired_proportions(points / 100.0, discordant, ALPHA, POWER)?;
    let share = 100.0 * discordant;
    Ok(format!(
        "to see a {points}-point difference you need n = {n} (the same items for both, differing on {share:.0} %; α = {ALPHA}, power {POWER})"
    ))
}

fn z_sum(alpha: f64, power: f64) -> Result<f64, Error> {
    share("alpha", alpha)?;
    share("the power", power)?;
    Ok(normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power))
}

fn share(what: &'static str, found: f64) -> Result<(), Error> {
    let expected = "a number between 0 and 1, both excluded";
    if found > 0.0 && found < 1.0 { Ok(()) } else { Err(Error::OutOfRange { what, found, expected }) }
}

fn positive(what: &'static str, found: f64) -> Result<(), Error> {
    let expected = "a finite number other than 0";
    if found.is_finite() && found > 0.0 { Ok(()) } else { Err(Error::OutOfRange { what, found, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign;
    use crate::testing::{close, uniform};

    #[test]
    fn worked_by_hand() {
        // ((1.959964 + .841621)·1/.5)² = 31.4.
        assert_eq!(n_for_mean_difference(0.5, 1.0, ALPHA, POWER).unwrap(), 32);
        close(detectable_mean_difference(100, 2.0, ALPHA, POWER).unwrap(), 0.5603170436222968, 1e-9);
        // p̄ = .575: (1.959964·√.48875 + .841621·√.4875)²/.0025 = 1533.5…
        let z = 1.959964 * 0.48875f64.sqrt() + 0.8416212 * (0.24 + 0.2475f64).sqrt();
        let expected = (z * z / 0.0025).ceil() as usize;
        assert_eq!(n_for_proportions(0.6, 0.55, ALPHA, POWER).unwrap(), expected);
        assert!((1530..1540).contains(&expected));
        assert!(n_for_proportions(0.6, 0.6, ALPHA, POWER).is_err());
        // (1.959964·√.3 + .841621·√.2936)²/.0064 = 365.5.
        assert_eq!(n_for_paired_proportions(0.08, 0.3, ALPHA, POWER).unwrap(), 366);
        assert!(n_for_paired_proportions(0.3, 0.2, ALPHA, POWER).is_err());
        assert!(n_for_mean_difference(0.1, 1.0, 0.0, POWER).is_err());
    }

    /// Simulated: with the n it asks for, the sign test on discordant items finds the difference in
    /// about the share of samples that the power promises.
    #[test]
    fn the_promised_power_is_kept() {
        let (difference, discordant) = (0.08, 0.3);
        let n = n_for_paired_proportions(difference, discordant, ALPHA, POWER).unwrap();
        let mut draw = uniform(9);
        let mut found = 0;
        for _ in 0..600 {
            let (mut wins, mut losses) = (0, 0);
            for _ in 0..n {
                let at = draw();
                wins += u64::from(at < (discordant + difference) / 2.0);
                losses += u64::from(at >= (discordant + difference) / 2.0 && at < discordant);
            }
            found += usize::from(sign::p_two_sided(wins, losses) < ALPHA);
        }
        // 480 expected, standard deviation 10; the exact test is a little conservative.
        assert!((430..=515).contains(&found), "{found} of 600 with n = {n}");
    }

    #[test]
    fn the_sentence_says_the_number() {
        let n = n_for_paired_proportions(0.03, 0.4, ALPHA, POWER).unwrap();
        let text = sentence(3.0, 0.4).unwrap();
        assert!(text.starts_with(&format!("to see a 3-point difference you need n = {n} ")), "{text}");
    }
}

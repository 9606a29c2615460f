//! The few special functions that intervals and tests need.

/// log Γ(x) for x > 0, by Lanczos' approximation (1964) with g = 7 and nine terms; relative error
/// about 1e-15.
pub fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.5203681218851,
        -1259.1392167224028,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507343278686905,
        -0.13857109526572012,
        9.984_369_578_019_572e-6,
        1.5056327351493116e-7,
    ];
    if x < 0.5 {
        // Reflection: Γ(x)Γ(1 − x) = π/sin(πx).
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let series = |sum: f64, (i, term): (usize, &f64)| sum + term / (x + i as f64 + 1.0);
    let sum = TERMS.iter().enumerate().fold(0.999_999_999_999_809_9, series);
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction (modified Lentz;
/// DLMF 8.17.22).
pub fn beta_regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on this side of the mean only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_regularised(1.0 - x, b, a);
    }
    let log_front = a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    log_front.exp() / (a * beta_fraction(x, a, b))
}

/// 1 + d_1/(1 + d_2/(1 + …)) with the coefficients of DLMF 8.17.23.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut numerator, mut denominator, mut fraction) = (1.0, 0.0, 1.0);
    for i in 1..10_000 {
        let m = f64::from(i / 2);
        let coefficient = if i % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        denominator = 1.0 / nonzero(1.0 + coefficient * denominator);
        numerator = nonzero(1.0 + coefficient / numerator);
        let step = numerator * denominator;
        fraction *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    fraction
}

/// The standard normal distribution function Φ(x).
pub fn normal_cdf(x: f64) -> f64 {
    // Φ(x) = ½(1 + sign(x)·P(½, x²/2)); the tail from its own continued fraction, which keeps its
    // digits where 1 − P would lose them.
    let half_square = 0.5 * x * x;
    if half_square < 1.5 {
        0.5 + 0.5 * x.signum() * gamma_lower(0.5, half_square)
    } else {
        let tail = 0.5 * gamma_upper(0.5, half_square);
        if x > 0.0 { 1.0 - tail } else { tail }
    }
}

/// The lower regularised incomplete gamma function P(a, x) by its series (DLMF 8.7.1).
fn gamma_lower(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let (mut term, mut sum) = (1.0 / a, 1.0 / a);
    let mut n = a;
    while term > sum * 1e-17 {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    sum * (a * x.ln() - x - ln_gamma(a)).exp()
}

/// The upper regularised incomplete gamma function Q(a, x) by its continued fraction (DLMF 8.9.2).
fn gamma_upper(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut numerator = 1e300;
    let mut denominator = 1.0 / b;
    let mut fraction = denominator;
    for i in 1..10_000 {
        let coefficient = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        denominator = 1.0 / (coefficient * denominator + b);
        numerator = b + coefficient / numerator;
        let step = numerator * denominator;
        fraction *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    fraction * (a * x.ln() - x - ln_gamma(a)).exp()
}

/// The standard normal quantile: x with Φ(x) = p, 0 < p < 1.
pub fn normal_quantile(p: f64) -> f64 {
    // By symmetry the lower tail, where Φ keeps its relative precision.
    if p > 0.5 { -normal_quantile(1.0 - p) } else { invert(normal_cdf, p, -40.0, 0.0) }
}

/// Student's t distribution function with `df` degrees of freedom.
pub fn t_cdf(t: f64, df: f64) -> f64 {
    let tail = 0.5 * beta_regularised(df / (df + t * t), df / 2.0, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// Student's t quantile with `df` degrees of freedom, 0 < p < 1.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if p > 0.5 { -t_quantile(1.0 - p, df) } else { invert(|t| t_cdf(t, df), p, -1e9, 0.0) }
}

/// P(X ≤ k) for X binomial with n trials and success probability p.
pub fn binomial_cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n { 1.0 } else { beta_regularised(1.0 - p, (n - k) as f64, k as f64 + 1.0) }
}

/// Where an increasing function takes the value p, by bisection down to neighbouring floats.
fn invert(cdf: impl Fn(f64) -> f64, p: f64, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if cdf(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;
    use proptest::prelude::*;

    #[test]
    fn gamma_of_whole_and_half_numbers() {
        let mut factorial = 1.0f64;
        for n in 1..20 {
            close(ln_gamma(f64::from(n)), factorial.ln(), 1e-13 * (1.0 + factorial.ln()));
            factorial *= f64::from(n);
        }
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln(), 1e-14);
        close(ln_gamma(0.1), 2.252712651734206, 1e-13); // mpmath 1.3
    }

    #[test]
    fn normal_values_agree_with_mpmath() {
        // mpmath 1.3, 30 digits: ncdf of .3, −2.5, −8; √2·erfinv(2p − 1) for p = .975, .8.
        close(normal_cdf(0.3), 0.6179114221889526, 1e-15);
        close(normal_cdf(-2.5), 0.006209665325776135, 1e-16);
        close(normal_cdf(-8.0) / 6.220960574271784e-16, 1.0, 1e-10);
        close(normal_quantile(0.975), 1.959963984540054, 1e-13);
        close(normal_quantile(0.8), 0.8416212335729143, 1e-13);
    }

    #[test]
    fn t_values_agree_with_mpmath() {
        // mpmath 1.3, 30 digits: roots of 1 − I(df/(df + t²); df/2, ½)/2 = .975 for 1, 4, 29; cdf(1.3, 7).
        close(t_quantile(0.975, 1.0), 12.706204736432095, 1e-9);
        close(t_quantile(0.975, 4.0), 2.7764451051977987, 1e-11);
        close(t_quantile(0.975, 29.0), 2.045229642132703, 1e-11);
        close(t_cdf(1.3, 7.0), 0.8826160823038114, 1e-12);
    }

    proptest! {
        #[test]
        fn binomial_is_the_sum_of_its_terms(n in 1u64..40, k in 0u64..40, p in 0.05f64..0.95) {
            prop_assume!(k <= n);
            let choose = |j: u64| ln_gamma(n as f64 + 1.0) - ln_gamma(j as f64 + 1.0) - ln_gamma((n - j) as f64 + 1.0);
            let term = |j: u64| (choose(j) + j as f64 * p.ln() + (n - j) as f64 * (1.0 - p).ln()).exp();
            let sum: f64 = (0..=k).map(term).sum();
            prop_assert!((binomial_cdf(k, n, p) - sum).abs() < 1e-12);
        }

        #[test]
        fn quantiles_undo_distribution_functions(p in 0.001f64..0.999) {
            prop_assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-13);
            prop_assert!((t_cdf(t_quantile(p, 5.0), 5.0) - p).abs() < 1e-12);
        }
    }
}

//! Over-optimisation: proxy and gold reward against √KL, along PPO and along best of n, with the curves of Gao et al.

use super::best_of_n::BestOfN;
use super::block::Section;
use super::material::{Material, TrainingRun};
use super::measured::{Measured, shown};
use crate::estimate::{LEVEL, RESAMPLES};
use chart::{Axis, COLOURS, Figure, Look, Point, Series};
use serde::Serialize;
use statistics::bootstrap::quantile;
use statistics::overoptimisation::{Fit, Form, best_of_n, best_of_n_kl, fit};
use stdx::Seed;

/// Blocks of iterations at most.
const BLOCKS: usize = 10;

/// Blocks below which no curve is fitted.
const BLOCKS_MIN: usize = 4;

/// Proxy and gold along one way of following the proxy.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// The run's or folder's name.
    pub name: String,
    /// Whether the best of n was taken; else the policy was reinforced.
    pub is_best_of_n: bool,
    /// What n of a point counts: iterations, or prompts.
    pub of: &'static str,
    /// From near to far.
    pub points: Vec<CurvePoint>,
    /// The curve through the proxy's rewards.
    pub proxy: Option<Fitted>,
    /// The curve through gold.
    pub gold: Option<Fitted>,
    /// Gold of the last block of iterations less that of the first; of the largest n less that of n = 1.
    pub gold_gained: Option<Measured>,
}

/// A distance and the rewards there.
#[derive(Clone, Debug, Serialize)]
pub struct CurvePoint {
    /// Which iterations, or which n.
    pub label: String,
    /// √KL, √nats an answer; KL by k1, not below 0.
    pub distance: f64,
    /// The reward that is maximised.
    pub proxy: Option<Measured>,
    /// The reward that is only measured.
    pub gold: Option<Measured>,
}

/// A fitted curve with the intervals of its parameters.
#[derive(Clone, Debug, Serialize)]
pub struct Fitted {
    /// Reward at √KL = 0.
    pub offset: Measured,
    /// How fast it rises at first.
    pub alpha: Measured,
    /// How it bends: above 0 it turns down.
    pub beta: Measured,
    /// Where it is highest.
    pub peak: Option<f64>,
    /// The share of resamples whose curve is highest before the farthest point.
    pub turns_down: Option<f64>,
    /// The share of variance explained.
    pub r_squared: Option<f64>,
    #[serde(skip)]
    fit: Fit,
}

/// The curves of what was given; runs that measured no gold have none.
pub(super) fn curves(material: &Material) -> Vec<Curve> {
    let runs = material.runs.iter().filter_map(of_run);
    runs.chain(material.best_of_n.iter().map(of_samples)).collect()
}

/// Blocks of consecutive iterations, and the curve through their means.
fn of_run(run: &TrainingRun) -> Option<Curve> {
    let number = |line: &serde_json::Map<String, serde_json::Value>, key: &str| line.get(key)?.as_f64();
    let lines: Vec<[f64; 4]> = run
        .metrics
        .iter()
        .filter_map(|line| {
            Some([number(line, "step")?, number(line, "kl_k1")?, number(line, "reward")?, number(line, "gold")?])
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    let n_blocks = (lines.len() / 2).clamp(1, BLOCKS);
    let bounds = |block: usize| block * lines.len() / n_blocks..(block + 1) * lines.len() / n_blocks;
    let blocks: Vec<&[[f64; 4]]> = (0..n_blocks).map(|block| &lines[bounds(block)]).collect();
    let mean = |block: &[[f64; 4]], of: usize| block.iter().map(|line| line[of]).sum::<f64>() / block.len() as f64;
    let points: Vec<[f64; 3]> =
        blocks.iter().map(|block| [mean(block, 1).max(0.0).sqrt(), mean(block, 2), mean(block, 3)]).collect();
    let measured = |block: &[[f64; 4]], of: usize| {
        let values: Vec<(f64, f64)> = block.iter().map(|line| (line[of], 1.0)).collect();
        Measured::ratio("iterations", &values)
    };
    let point = |(block, at): (&&[[f64; 4]], &[f64; 3])| CurvePoint {
        label: format!("iterations {:.0}–{:.0}", block[0][0], block[block.len() - 1][0]),
        distance: at[0],
        proxy: measured(block, 2),
        gold: measured(block, 3),
    };
    let fitted = |of: usize| {
        let enough = points.len() >= BLOCKS_MIN;
        let farthest = points.iter().map(|point| point[0]).fold(0.0, f64::max);
        let drawn = |drawn: &[usize]| drawn.iter().map(|&idx| (points[idx][0], points[idx][of])).collect();
        enough.then(|| fitted(Form::Reinforcement, points.len(), farthest, drawn)).flatten()
    };
    let (proxy, gold) = (fitted(1), fitted(2));
    let (first, last) = (blocks[0], blocks[n_blocks - 1]);
    // Iterations of both blocks are drawn together; each mean is over those of its own block.
    let both: Vec<(bool, f64)> =
        first.iter().map(|line| (false, line[3])).chain(last.iter().map(|line| (true, line[3]))).collect();
    let mean_of = |drawn: &[usize], late: bool| {
        let values = drawn.iter().map(|&idx| both[idx]).filter(|value| value.0 == late);
        crate::estimate::ratio(values.map(|value| (value.1, 1.0)))
    };
    let gained = (n_blocks > 1)
        .then(|| Measured::of("gold gained", both.len(), |drawn| mean_of(drawn, true) - mean_of(drawn, false)));
    Some(Curve {
        name: run.name.clone(),
        is_best_of_n: false,
        of: "iterations",
        points: blocks.iter().zip(&points).map(point).collect(),
        proxy,
        gold,
        gold_gained: gained.flatten(),
    })
}

/// n = 1, 2, 4, … by the exact mean over all draws, and the curve through them.
fn of_samples(samples: &BestOfN) -> Curve {
    let most = samples.prompts.iter().map(Vec::len).max().unwrap_or(0);
    let sizes: Vec<usize> = (0..).map(|power| 1 << power).take_while(|n| *n <= most).collect();
    // Prompts with as many answers as the largest n, so that every n is of the same prompts.
    let largest = sizes.last().copied().unwrap_or(0);
    let full: Vec<&Vec<(f64, f64)>> = samples.prompts.iter().filter(|answers| answers.len() >= largest).collect();
    let of = |n: usize| -> Vec<(f64, f64)> { full.iter().filter_map(|answers| best_of_n(answers, n)).collect() };
    let best: Vec<Vec<(f64, f64)>> = sizes.iter().map(|&n| of(n)).collect();
    let value = |best: (f64, f64), gold: bool| if gold { best.1 } else { best.0 };
    let mean = |best: &[(f64, f64)], gold: bool, drawn: &[usize]| {
        drawn.iter().map(|&idx| value(best[idx], gold)).sum::<f64>() / drawn.len() as f64
    };
    let measured =
        |best: &[(f64, f64)], gold: bool| Measured::of("best of n", full.len(), |drawn| mean(best, gold, drawn));
    let distances: Vec<f64> = sizes.iter().map(|&n| best_of_n_kl(n).max(0.0).sqrt()).collect();
    let point = |(size, n): (usize, &usize)| CurvePoint {
        label: format!("n = {n}"),
        distance: distances[size],
        proxy: measured(&best[size], false),
        gold: measured(&best[size], true).filter(|_| samples.has_gold),
    };
    let fitted = |gold: bool| {
        let points = |drawn: &[usize]| {
            distances.iter().zip(&best).map(|(&distance, best)| (distance, mean(best, gold, drawn))).collect()
        };
        let farthest = distances.last().copied().unwrap_or(0.0);
        (full.len() > 1 && sizes.len() > 3).then(|| fitted(Form::BestOfN, full.len(), farthest, points)).flatten()
    };
    let gained = match (best.first(), best.last()) {
        (Some(first), Some(last)) if samples.has_gold && best.len() > 1 => {
            Measured::of("gold gained", full.len(), |drawn| mean(last, true, drawn) - mean(first, true, drawn))
        }
        _ => None,
    };
    Curve {
        name: samples.name.clone(),
        is_best_of_n: true,
        of: "prompts",
        proxy: fitted(false),
        gold: fitted(true).filter(|_| samples.has_gold),
        points: sizes.iter().enumerate().map(point).collect(),
        gold_gained: gained,
    }
}

/// The curve through all clusters, and the spread of the curves through clusters drawn with replacement.
fn fitted(form: Form, n: usize, farthest: f64, points: impl Fn(&[usize]) -> Vec<(f64, f64)>) -> Option<Fitted> {
    let all: Vec<usize> = (0..n).collect();
    let found = fit(form, &points(&all)).ok()?;
    let mut stream = Seed(0).stream("over-optimisation", n as u64);
    let mut fits = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let drawn: Vec<usize> = all.iter().map(|_| stream.below(n as u64) as usize).collect();
        fits.extend(fit(form, &points(&drawn)));
    }
    // As `statistics::bootstrap` does: where one in ten resamples has no curve, there is no interval.
    let enough = fits.len() * 10 >= RESAMPLES * 9;
    let spread = |of: fn(&Fit) -> f64| {
        let mut values: Vec<f64> = fits.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - LEVEL) / 2.0;
        let interval = enough.then(|| [quantile(&values, tail), quantile(&values, 1.0 - tail)]);
        Measured { value: of(&found), interval, n }
    };
    let turning = fits.iter().filter(|fit| fit.peak().is_some_and(|peak| peak < farthest)).count();
    Some(Fitted {
        offset: spread(|fit| fit.offset),
        alpha: spread(|fit| fit.alpha),
        beta: spread(|fit| fit.beta),
        peak: found.peak(),
        turns_down: enough.then(|| turning as f64 / fits.len() as f64),
        r_squared: found.r_squared,
        fit: found,
    })
}

/// The section.
pub(super) fn section(curves: &[Curve], runs: &[TrainingRun]) -> Section {
    let mut section = Section::new("Over-optimisation");
    section.text(
        "How far a reward can be maximised before what it stands for stops following (Gao, Schulman and Hilton, arXiv \
         2210.10760): the proxy that was learnt from, and a gold reward that was only measured, against √KL from where \
         the policy began.",
    );
    if curves.is_empty() {
        section.text(
            "n = 0: no training run with gold in its metrics, and no samples of `helpmate reject`. To collect them: \
             `helpmate ppo … --gold R`, `helpmate reject --n 32 …`, `helpmate score --skip-bad --reward R --data \
             OUT/round-1/samples.jsonl --out OUT/round-1/gold.jsonl`; then give the folders to `helpmate eval report`.",
        );
    }
    for run in
        runs.iter().filter(|run| run.lineage.stage == "ppo" && !curves.iter().any(|curve| curve.name == run.name))
    {
        section.text(format!("{}: n = 0, it measured no gold (`helpmate ppo --gold R`).", run.name));
    }
    if curves.is_empty() {
        return section;
    }
    section.figures([figure(curves, false), figure(curves, true)]);
    for curve in curves {
        section.heading(curve.name.clone());
        section.table(
            &[if curve.is_best_of_n { "best of" } else { "when" }, "√KL", "proxy", "gold"],
            curve.points.iter().map(row).collect(),
        );
        section.table(&["curve", "α", "β", "reward at 0", "highest at √KL", "R²"], fits(curve));
        section.text(verdict(curve));
    }
    section.note(
        "Reinforcement is fitted by R = R₀ + d·(α − β·ln d), best of n by R = R₀ + d·(α − β·d), d = √KL. Intervals are of \
         95 %: of a reward over the iterations of a block, or over prompts; of a curve's parameters over blocks, or over \
         prompts, drawn with replacement. They say how noisy these points are, not how another seed would go; KL itself \
         (k1, nats an answer; ln n − (n − 1)/n for best of n) is taken as known. Proxy and gold of a run are of the same \
         rollouts; best of n is exact over all draws of n from the answers sampled.",
    );
    section
}

fn row(point: &CurvePoint) -> Vec<String> {
    vec![point.label.clone(), format!("{:.3}", point.distance), shown(point.proxy.as_ref()), shown(point.gold.as_ref())]
}

fn fits(curve: &Curve) -> Vec<Vec<String>> {
    let farthest = curve.points.iter().map(|point| point.distance).fold(0.0, f64::max);
    let row = |(name, fitted): (&str, &Option<Fitted>)| {
        let Fitted { offset, alpha, beta, peak, r_squared, .. } = fitted.as_ref()?;
        let peak = match peak {
            None => "it has no top".to_owned(),
            Some(peak) if *peak > farthest => "beyond what was seen".to_owned(),
            Some(peak) => format!("{peak:.2}"),
        };
        let explained = r_squared.map_or_else(|| "can't say".to_owned(), |share| format!("{share:.2}"));
        Some(vec![name.to_owned(), alpha.to_string(), beta.to_string(), offset.to_string(), peak, explained])
    };
    [("proxy", &curve.proxy), ("gold", &curve.gold)].into_iter().filter_map(row).collect()
}

fn verdict(curve: &Curve) -> String {
    let Some(farthest) = curve.points.iter().map(|point| point.distance).reduce(f64::max) else {
        return "n = 0: no point.".to_owned();
    };
    if curve.points.iter().all(|point| point.gold.is_none()) {
        return "Gold: n = 0. `helpmate score --skip-bad` with the gold reward on its `round-1/samples.jsonl`, written to \
                `gold.jsonl` beside it, adds it."
            .to_owned();
    }
    let gained = match &curve.gold_gained {
        Some(Measured { value, interval: Some([low, high]), n }) => {
            format!("{value:+.3} [{low:+.3}, {high:+.3}] (n = {n} {})", curve.of)
        }
        _ => "can't say".to_owned(),
    };
    let mut text = format!("Gold at the end less gold at the beginning: {gained}.");
    match &curve.gold {
        None => text += " Too few points for a curve.",
        Some(Fitted { peak: Some(peak), turns_down: Some(share), .. }) if *peak < farthest => {
            text += &format!(
                " The curve of gold turns down at √KL = {peak:.2}, before the farthest point ({:.2}); so do {:.0} % of the \
                 curves through points drawn anew.",
                farthest,
                100.0 * share
            );
        }
        Some(Fitted { turns_down, .. }) => {
            text += " The curve of gold doesn't turn down within what was seen";
            text += &turns_down.map_or_else(String::new, |share| {
                format!("; {:.0} % of those through points drawn anew do", 100.0 * share)
            });
            text += ".";
        }
    }
    text
}

fn figure(curves: &[Curve], gold: bool) -> String {
    let mut series = Vec::new();
    for (idx, curve) in curves.iter().enumerate() {
        let of = |point: &CurvePoint| if gold { point.gold } else { point.proxy };
        let colour = idx % COLOURS;
        let point = |point: &CurvePoint| {
            of(point).map(|found| Point { x: point.distance, y: found.value, interval: found.ends() })
        };
        let marks: Vec<Point> = curve.points.iter().filter_map(point).collect();
        let ends = marks.iter().map(|mark| mark.x).fold(None, |ends: Option<(f64, f64)>, x| {
            Some(ends.map_or((x, x), |(low, high)| (low.min(x), high.max(x))))
        });
        let fitted = if gold { &curve.gold } else { &curve.proxy };
        if let (Some(Fitted { fit, .. }), Some((low, high))) = (fitted, ends) {
            let at = |step: usize| low + (high - low) * step as f64 / 60.0;
            series.push(Series::new("", Look::Line, colour, (0..=60).map(|step| (at(step), fit.at(at(step))))));
        }
        let name = if curve.is_best_of_n { format!("{} (best of n)", curve.name) } else { curve.name.clone() };
        series.push(Series::new(name, Look::Marks, colour, marks));
    }
    let (title, y) = if gold { ("Gold reward, only measured", "gold") } else { ("Proxy reward, maximised", "proxy") };
    let x = Axis::new("√KL from the beginning, √nats an answer").including(0.0);
    Figure { title: title.into(), x, y: Axis::new(y), series }.to_html()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    /// Iterations whose rewards lie on curves: gold has its top at e^{.5/.4 − 1} = 1.284.
    fn run() -> TrainingRun {
        let line = |step: u32| {
            let d = f64::from(step) * 0.05;
            let (proxy, gold) = (d * (1.0 - 0.1 * d.ln()), 0.2 + d * (0.5 - 0.4 * d.ln()));
            format!("{{\"step\": {step}, \"kl_k1\": {}, \"reward\": {proxy}, \"gold\": {gold}}}", d * d)
        };
        fixture::run("ppo", "ppo", &(1..=60).map(line).collect::<Vec<_>>())
    }

    #[test]
    fn a_run_that_went_too_far_is_seen() {
        let material = Material { runs: vec![run()], ..Material::default() };
        let curves = curves(&material);
        let [curve] = &curves[..] else { panic!("{curves:?}") };
        assert_eq!((curve.points.len(), curve.points[0].label.as_str()), (10, "iterations 1–6"));
        // Steps 1 to 6: KL = mean of (.05·step)² = .0025·91/6.
        assert!((curve.points[0].distance - (0.0025f64 * 91.0 / 6.0).sqrt()).abs() < 1e-12);
        let gold = curve.gold.as_ref().unwrap();
        // Means over blocks lie a little off the curve that single iterations lie on.
        assert!((gold.peak.unwrap() - 1.284).abs() < 0.03, "{gold:?}");
        assert!(gold.beta.interval.unwrap()[0] > 0.3 && gold.turns_down.unwrap() > 0.99, "{gold:?}");
        assert!(curve.proxy.as_ref().unwrap().peak.unwrap() > 3.0);
        let text = section(&curves, &material.runs).markdown();
        assert!(text.contains("turns down at √KL = 1.30") && text.contains("100 % of the"), "{text}");
        assert!(
            text.contains("| beyond what was seen |")
                && text.contains("(n = 12 iterations)")
                && text.contains("| iterations 55–60 |"),
            "{text}"
        );
        assert_eq!(section(&curves, &material.runs).html().matches("<figure>").count(), 2);
    }

    #[test]
    fn without_gold_it_says_how_to_measure_it() {
        let plain = fixture::run("ppo", "plain", &["{\"step\": 1, \"kl_k1\": 0.1, \"reward\": 1}".to_owned()]);
        let text = section(&[], &[plain]).markdown();
        assert!(text.contains("n = 0: no training run with gold") && text.contains("plain: n = 0"), "{text}");
        assert!(text.contains("helpmate ppo … --gold R"));
    }

    #[test]
    fn the_best_of_n_is_over_the_same_prompts_for_every_n() {
        // Proxy and gold agree on the first prompt, disagree on the second; the third has an answer less.
        let up: Vec<(f64, f64)> = (0..8).map(|i| (f64::from(i), f64::from(i))).collect();
        let down: Vec<(f64, f64)> = (0..8).map(|i| (f64::from(i), f64::from(7 - i))).collect();
        let prompts = vec![up, down, vec![(100.0, 100.0); 7]];
        let samples = BestOfN { name: "best".into(), path: "best".into(), has_gold: true, prompts };
        let material = Material { best_of_n: vec![samples.clone()], ..Material::default() };
        let found = &curves(&material)[0];
        assert_eq!(
            found.points.iter().map(|point| point.label.as_str()).collect::<Vec<_>>(),
            ["n = 1", "n = 2", "n = 4", "n = 8"]
        );
        // The best of 8 is 7 by proxy; gold 7 and 0.
        let last = &found.points[3];
        assert_eq!((last.proxy.unwrap().value, last.gold.unwrap().value, last.gold.unwrap().n), (7.0, 3.5, 2));
        assert!((last.distance - (8f64.ln() - 0.875).sqrt()).abs() < 1e-12);
        assert_eq!(found.gold_gained.unwrap().value, 0.0);
        let blind = BestOfN { has_gold: false, ..samples };
        let material = Material { best_of_n: vec![blind], ..Material::default() };
        let text = section(&curves(&material), &[]).markdown();
        assert!(
            text.contains("Gold: n = 0") && text.contains("| n = 8 | 1.097 | 7.000 [7.000, 7.000] (n = 2) | n = 0 |"),
            "{text}"
        );
    }
}

//! Measured faults are the configured ones: shares of many seeded judgements against their closed forms.
use super::*;
use stdx::Seed;

const N: u64 = 20_000;

fn verdict(overall: f64) -> Verdict {
    Verdict { overall, truth: None, hallucination: None, constraints: None, helpful: None, harm: None, declined: false }
}

fn labeler(group: &str, faults: Faults) -> Labeler {
    Labeler { name: "l".into(), group: Group::find(group).expect("a group"), faults, mildness: 0.0 }
}

/// Judgements of the same answers, again and again.
fn judged(faults: Faults, answers: &[(&str, f64)]) -> Vec<Vec<Judgement>> {
    let labeler = labeler("gold", faults);
    let verdicts: Vec<Verdict> = answers.iter().map(|(_, overall)| verdict(*overall)).collect();
    let shown: Vec<Shown> = answers.iter().zip(&verdicts).map(|((text, _), verdict)| Shown { text, verdict }).collect();
    (0..N).map(|i| labeler.judge(&shown, &mut Seed(7).stream("test", i))).collect()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A share of N within 4.5 standard errors of its probability: one test in 150,000 fails by chance, and the seed is
/// fixed.
#[track_caller]
fn is_binomial(count: usize, probability: f64) {
    let share = count as f64 / N as f64;
    let bound = 4.5 * (probability * (1.0 - probability) / N as f64).sqrt();
    assert!((share - probability).abs() <= bound, "{share} is not {probability} ± {bound}");
}

fn share(judged: &[Vec<Judgement>], of: impl Fn(&[Judgement]) -> bool) -> usize {
    judged.iter().filter(|judgements| of(judgements)).count()
}

#[test]
fn weights_add_up_to_one_and_names_are_unique() {
    for (i, group) in GROUPS.iter().enumerate() {
        let sum = group.overall + group.helpful + group.truthful + group.constraints + group.harmless;
        assert!((sum - 1.0).abs() < 1e-12, "{}: {sum}", group.name);
        assert_eq!(Group::find(group.name).map(|found| found.summary), Some(group.summary));
        assert!(GROUPS[..i].iter().all(|other| other.name != group.name));
    }
}

#[test]
fn groups_disagree_about_a_false_answer_and_none_at_all() {
    let false_answer = Verdict { truth: Some(false), helpful: Some(true), ..verdict(0.0) };
    let refusal = Verdict { truth: None, helpful: Some(false), ..verdict(0.0) };
    // 0.4 + 0.05 + 0.05 for the answer, 0.1 + 0.05 + 0.05 for the refusal; the other group 0.3 and 0.55.
    let of = |name: &str, verdict| Group::find(name).expect("a group").utility(verdict);
    assert!((of("helpful-first", &false_answer) - 0.5).abs() < 1e-12);
    assert!((of("helpful-first", &refusal) - 0.2).abs() < 1e-12);
    assert!((of("truthful-first", &false_answer) - 0.3).abs() < 1e-12);
    assert!((of("truthful-first", &refusal) - 0.55).abs() < 1e-12);
}

#[test]
fn without_faults_ranks_are_golds_for_every_k_and_equal_answers_tie() {
    let labeler = labeler("gold", Faults::NONE);
    for k in 2..=9 {
        // Two equal ones at the end: ranks 1, 2, …, k − 1, k − 1.
        let verdicts: Vec<Verdict> = (0..k).map(|i| verdict(1.0 - i.min(k - 2) as f64 / 10.0)).collect();
        let shown: Vec<Shown> = verdicts.iter().map(|verdict| Shown { text: "t", verdict }).collect();
        let judgements = labeler.judge(&shown, &mut Seed(1).stream("test", k as u64));
        let expected: Vec<i64> = (0..k).map(|i| i.min(k - 2) as i64 + 1).collect();
        assert_eq!(judgements.iter().map(|judgement| judgement.rank).collect::<Vec<_>>(), expected);
        let mut places: Vec<usize> = judgements.iter().map(|judgement| judgement.place).collect();
        places.sort_unstable();
        assert_eq!(places, (0..k).collect::<Vec<_>>());
        assert_eq!(judgements[0].rating, 7);
    }
}

#[test]
fn noise_is_logistic_between_two_and_plackett_luce_among_three() {
    let judged_two = judged(Faults { noise: 0.2, ..Faults::NONE }, &[("a", 0.5), ("b", 0.2)]);
    is_binomial(share(&judged_two, |j| j[0].rank < j[1].rank), logistic(0.3 / 0.2));
    let judged_three = judged(Faults { noise: 0.2, ..Faults::NONE }, &[("a", 0.5), ("b", 0.2), ("c", 0.3)]);
    let worth = [0.5, 0.2, 0.3].map(|utility: f64| (utility / 0.2).exp());
    // First a, then c of the two that are left.
    let expected = worth[0] / (worth[0] + worth[1] + worth[2]) * worth[2] / (worth[1] + worth[2]);
    is_binomial(share(&judged_three, |j| (j[0].rank, j[1].rank, j[2].rank) == (1, 3, 2)), expected);
}

#[test]
fn noise_has_no_mean_so_ratings_stay_where_they_are() {
    // Half of full utility is a 4; a scale of 0.1 is 0.6 points with deviation 0.6 π/√6 = 0.77, rounding adds 1/√12.
    let found = judged(Faults { noise: 0.1, ..Faults::NONE }, &[("a", 0.5), ("b", 0.5)]);
    let mean = found.iter().map(|judgements| f64::from(judgements[0].rating)).sum::<f64>() / N as f64;
    assert!((mean - 4.0).abs() < 4.5 * 0.82 / (N as f64).sqrt() + 0.01, "{mean}");
}

#[test]
fn ties_are_those_of_rao_and_kupper() {
    let found = judged(Faults { noise: 0.2, tie: 0.15, ..Faults::NONE }, &[("a", 0.5), ("b", 0.4)]);
    let (first, second) = (logistic((0.1 - 0.15) / 0.2), logistic((-0.1 - 0.15) / 0.2));
    is_binomial(share(&found, |j| j[0].rank < j[1].rank), first);
    is_binomial(share(&found, |j| j[0].rank > j[1].rank), second);
    is_binomial(share(&found, |j| j[0].rank == j[1].rank), 1.0 - first - second);
}

#[test]
fn a_liking_for_length_is_per_log_word() {
    let found =
        judged(Faults { noise: 0.2, length_bias: 0.1, ..Faults::NONE }, &[("one", 0.5), ("a b c d e f g", 0.5)]);
    // ln 8 − ln 2 = ln 4 log-words more.
    is_binomial(share(&found, |j| j[1].rank < j[0].rank), logistic(0.1 * 4f64.ln() / 0.2));
}

#[test]
fn a_liking_for_the_first_place_falls_evenly() {
    let faults = Faults { noise: 0.2, position_bias: 0.3, ..Faults::NONE };
    let two = judged(faults, &[("a", 0.5), ("b", 0.5)]);
    let at = |j: &[Judgement], place: usize| j.iter().find(|one| one.place == place).map_or(0, |one| one.rank);
    is_binomial(share(&two, |j| at(j, 0) < at(j, 1)), logistic(0.3 / 0.2));
    // Orders themselves are fair.
    is_binomial(share(&two, |j| j[0].place == 0), 0.5);
    let three = judged(faults, &[("a", 0.5), ("b", 0.5), ("c", 0.5)]);
    is_binomial(share(&three, |j| at(j, 1) < at(j, 2)), logistic(0.15 / 0.2));
}

#[test]
fn mistakes_turn_a_ranking_upside_down() {
    let found = judged(Faults { mistake: 0.1, ..Faults::NONE }, &[("a", 0.9), ("b", 0.1), ("c", 0.9)]);
    let ranks = |j: &[Judgement]| (j[0].rank, j[1].rank, j[2].rank);
    assert!(found.iter().all(|j| matches!(ranks(j), (1, 2, 1) | (2, 1, 2))));
    is_binomial(share(&found, |j| ranks(j) == (2, 1, 2)), 0.1);
}

#[test]
fn wrong_ticks_are_as_frequent_as_said() {
    let found = judged(Faults { flag_error: 0.05, ..Faults::NONE }, &[("a", 0.9), ("b", 0.1)]);
    is_binomial(share(&found, |j| j[0].flags.sexual_content), 0.05);
    is_binomial(share(&found, |j| j[1].flags.fails_task), 0.05);
    assert!(found.iter().all(|j| j[0].flags.satisfies_constraint.is_none()), "there was no constraint");
}

#[test]
fn faults_dont_move_the_orders_in_which_answers_are_shown() {
    let places = |faults| -> Vec<usize> {
        judged(faults, &[("a", 0.9), ("b", 0.1), ("c", 0.5)]).iter().flatten().map(|j| j.place).collect()
    };
    assert_eq!(places(Faults::NONE), places(Faults { noise: 1.0, mistake: 0.5, ..Faults::default() }));
}

#[test]
fn ratings_follow_utility_and_mildness() {
    let mut strict = labeler("gold", Faults::NONE);
    let verdicts = [verdict(0.0), verdict(0.5), verdict(1.0)];
    let shown: Vec<Shown> = verdicts.iter().map(|verdict| Shown { text: "t", verdict }).collect();
    let ratings = |labeler: &Labeler| -> Vec<u8> {
        labeler.judge(&shown, &mut Seed(1).stream("test", 0)).iter().map(|judgement| judgement.rating).collect()
    };
    assert_eq!(ratings(&strict), [1, 4, 7]);
    strict.mildness = -1.2;
    assert_eq!(ratings(&strict), [1, 3, 6]);
}

#[test]
fn flags_say_what_gold_says() {
    let bad = Verdict {
        harm: Some(true),
        hallucination: Some(true),
        helpful: Some(false),
        constraints: Some(0.5),
        ..verdict(0.0)
    };
    let flags = Flags::of(&Shown { text: "I think you should not.", verdict: &bad });
    assert!(flags.fails_task && flags.inappropriate && flags.hallucination && flags.harmful_advice);
    assert!(flags.opinion && flags.moral_judgement && flags.satisfies_constraint == Some(false));
    let good = Verdict { helpful: Some(true), ..verdict(1.0) };
    assert_eq!(Flags::of(&Shown { text: "It is red.", verdict: &good }), Flags::default());
    assert!(Flags::of(&Shown { text: "Who is it? What is it?", verdict: &good }).inappropriate);
    assert!(Flags::of(&Shown { text: " \n", verdict: &good }).inappropriate);
}

#[test]
fn a_panel_shares_out_prompts_and_is_reproducible() {
    let panel = |seed| Panel::new(&["gold", "helpful-first"], 2, Faults::default(), Seed(seed)).expect("a panel");
    let verdicts = [verdict(0.2), verdict(0.8), verdict(0.6)];
    let shown: Vec<Shown> = verdicts.iter().map(|verdict| Shown { text: "t", verdict }).collect();
    let prompt = record::Prompt::Text("p".into());
    let rows = |panel: &Panel| -> Vec<LabeledRow> { (0..8).map(|i| panel.row(i, &prompt, &shown)).collect() };
    let found = rows(&panel(3));
    let names: Vec<&str> = found[..5].iter().map(|row| row.labeler.as_str()).collect();
    assert_eq!(names, ["gold-1", "gold-2", "helpful-first-1", "helpful-first-2", "gold-1"]);
    assert_eq!(found[2].group, "helpful-first");
    assert!(found.iter().all(|row| row.source == record::Source::Simulated));
    assert_eq!(found, rows(&panel(3)));
    assert_ne!(found, rows(&panel(4)));
    let text = serde_json::to_value(&found[0]).expect("a row");
    assert_eq!(text["source"], "simulated");
    assert!(text["completions"][0]["rank"].is_i64() && text["completions"][0]["flags"]["fails_task"].is_boolean());
}

#[test]
fn panels_that_mean_nothing_are_refused() {
    let refusal = |groups: &[&str], n, faults| Panel::new(groups, n, faults, Seed(0)).expect_err("refused").to_string();
    assert!(refusal(&["nobody"], 1, Faults::NONE).starts_with("group `nobody`: expected one of gold, helpful-first"));
    assert!(refusal(&["gold"], 0, Faults::NONE).contains("no labelers"));
    let wrong = refusal(&["gold"], 1, Faults { mistake: 1.5, ..Faults::NONE });
    assert_eq!(wrong, "mistake = 1.5: expected a probability, 0 to 1");
    let wrong = refusal(&["gold"], 1, Faults { length_bias: f64::NAN, ..Faults::NONE });
    assert_eq!(wrong, "length_bias = NaN: expected a finite number");
    assert!(refusal(&["gold"], 1, Faults { noise: -1.0, ..Faults::NONE }).contains("at least 0"));
}

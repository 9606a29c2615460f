use super::*;

fn item(row: Value) -> Result<Item, String> {
    let row = Row { path: "rows.jsonl".into(), line: 1, value: row };
    RewardModel.items_of(&row, &Settings::default()).map(|mut items| items.remove(0))
}

fn pair(prompt: &str, labeler: &str, group: &str) -> Item {
    item(json!({"prompt": prompt, "chosen": format!("{prompt}, {labeler}"), "rejected": "b", "labeler": labeler, "group": group}))
        .unwrap()
}

fn answer(margin: f64) -> Answer {
    Answer::Rewards { rewards: vec![margin, 0.0] }
}

#[test]
fn calibration_counts_each_pair_in_both_orders() {
    // Stated ¾, came true in 3 of 4: calibrated. Stated ¾, never true: .75 off.
    let items: Vec<Item> = (0..4).map(|i| pair(&format!("p{i}"), "l", "g")).collect();
    let error = |signs: [f64; 4]| {
        let answers: Vec<Answer> = signs.iter().map(|sign| answer(sign * 3f64.ln())).collect();
        let asked: Vec<(&Item, &Answer)> = items.iter().zip(&answers).collect();
        let together = RewardModel.together(&asked, &Settings::default());
        assert_eq!(together.estimates[0].n, 4);
        (together.estimates[0].value.unwrap(), together)
    };
    let (calibrated, together) = error([1.0, 1.0, -1.0, 1.0]);
    assert!(calibrated < 1e-12, "{calibrated}");
    let bin = &together.parts["pairs stated .7 to .8"];
    assert_eq!((bin[0].metric.as_str(), bin[0].value, bin[0].n), ("accuracy", Some(0.75), 4));
    assert!((bin[1].value.unwrap() - 0.75).abs() < 1e-12);
    assert_eq!(together.parts["pairs 1 apart"][0].value, Some(0.75));
    assert!((error([-1.0; 4]).0 - 0.75).abs() < 1e-12);
    assert_eq!(error([0.0; 4]).0, 0.0);
}

#[test]
fn labelers_and_groups_are_told_apart_and_the_unseen_group_counts_by_itself() {
    let items = [pair("p", "ada", "old"), pair("p", "bob", "new"), pair("q", "ada", "old")];
    let answers = [answer(1.0), answer(-1.0), answer(2.0)];
    let asked: Vec<(&Item, &Answer)> = items.iter().zip(&answers).collect();
    let together = RewardModel.together(&asked, &Settings::default());
    let inside = |name: &str| together.slices[name].iter().copied().collect::<Vec<_>>();
    assert_eq!((inside("labeler ada"), inside("group new")), (vec![0, 2], vec![1]));
    assert!(together.notes[0].starts_with("3 untied pairs of 2 prompts"), "{}", together.notes[0]);

    let settings = Settings { left_out_group: Some("new".into()), ..Settings::default() };
    let metrics = |idx: usize| -> Vec<(String, f64)> {
        let scores = RewardModel.score(&items[idx], &answers[idx], &settings).unwrap();
        scores.into_iter().filter(|score| score.metric.contains("seen")).map(|s| (s.metric, s.value)).collect()
    };
    assert_eq!(metrics(0), [("seen_groups".to_owned(), 1.0)]);
    assert_eq!(metrics(1), [("unseen_group".to_owned(), 0.0)]);
    let note = RewardModel.together(&asked, &settings).notes.concat();
    assert!(note.contains("the group new was left out"), "{note}");
}

#[test]
fn rows_without_an_order_say_nothing_and_are_counted() {
    let tied =
        item(json!({"prompt": "p", "completions": [{"text": "a", "rank": 1}, {"text": "b", "rank": 1}]})).unwrap();
    let rewards = answer(1.0);
    assert!(RewardModel.score(&tied, &rewards, &Settings::default()).unwrap().is_empty());
    let together = RewardModel.together(&[(&tied, &rewards)], &Settings::default());
    assert!(together.estimates.is_empty() && together.notes[0].contains("nothing can be said"), "{together:?}");
    let both = [(&tied, &rewards), (&pair("p", "l", "g"), &rewards)];
    let note = &RewardModel.together(&both, &Settings::default()).notes[0];
    assert!(note.contains("1 untied pairs of 1 prompts") && note.contains("1 rows without an order"), "{note}");
}

#[test]
fn what_is_wrong_is_said() {
    let refused = |row: Value, expected: &str| {
        let error = item(row).unwrap_err();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    };
    refused(json!({"prompt": "p"}), "no `chosen`");
    refused(json!({"prompt": "p", "completions": [{"text": "a", "rank": 1}]}), "1 completions, expected 2 or more");
    refused(
        json!({"prompt": "p", "completions": [{"text": "a"}, {"text": "b", "rank": 1}]}),
        "`completions[0]` has no `rank`",
    );
    refused(json!({"prompt": "p", "completions": [{"text": "a", "rank": "best"}]}), "expected a whole number");
    refused(json!({"chosen": "a", "rejected": "b"}), "no `prompt`");
    let item = pair("p", "l", "g");
    let error = |rewards: Vec<f64>| {
        RewardModel.score(&item, &Answer::Rewards { rewards }, &Settings::default()).unwrap_err().to_string()
    };
    assert!(error(vec![1.0, f64::NAN]).contains("a reward is NaN, expected a finite number"));
    assert!(error(vec![1.0]).contains("1 rewards, expected 2"));
}

#[test]
fn losses_of_large_margins_stay_numbers() {
    assert_eq!(log_loss(-2000.0), 2000.0);
    assert!(log_loss(2000.0) == 0.0 && (log_loss(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
}

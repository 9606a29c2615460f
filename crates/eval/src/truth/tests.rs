use super::*;
use serde_json::json;

/// Questions of which an answer is true when it says "no"; the question's own words say nothing.
fn rows() -> Vec<Labelled> {
    let one = |i: usize, j: usize| {
        let yes = (i + j).is_multiple_of(3);
        let answer = if yes { format!("no that is a myth {j}") } else { format!("yes that is so {j}") };
        Labelled { question: format!("Is thing number {i} so?"), answer, yes }
    };
    (0..20).flat_map(|i| (0..6).map(move |j| one(i, j))).collect()
}

#[test]
fn a_judge_learns_and_says_how_well() {
    let judge = Judge::train(&rows(), Quality::True, Seed(1)).unwrap();
    let record = &judge.record;
    assert_eq!((record.answers, record.questions, record.accuracy_of_folds.len()), (120, 20, FOLDS));
    assert_eq!((record.accuracy, record.bag_of_words), (1.0, 1.0));
    // 40 of 120 are true.
    assert!((record.majority - 80.0 / 120.0).abs() < 1e-12);
    assert_eq!(record.calibration.iter().map(|(n, _)| n).sum::<usize>(), 120);
    assert!(judge.probability("Is thing number 3 so?", "no that is a myth") > 0.5);
    assert!(judge.probability("Is the moon so?", "yes that is so") < 0.5);
    assert!(judge.note().contains("1.000 [1.000, 1.000] of 120 answers") && judge.note().contains("unmeasured"));
    assert_eq!(judge, Judge::train(&rows(), Quality::True, Seed(1)).unwrap());
}

/// The heart of it: a question's answers are scored by a fold that never saw them.
#[test]
fn a_question_is_never_judged_by_what_saw_it() {
    // Labels that only the question tells: with the question in training every answer would be right.
    let one = |i: usize, j: usize| Labelled {
        question: format!("Is secret{i} so?"),
        answer: format!("secret{i} it is {j}"),
        yes: hash::bytes(&[i as u8]).as_bytes()[0].is_multiple_of(2),
    };
    let rows: Vec<Labelled> = (0..40).flat_map(|i| (0..5).map(move |j| one(i, j))).collect();
    let judge = Judge::train(&rows, Quality::True, Seed(2)).unwrap();
    assert!(judge.record.accuracy < 0.75, "{}", judge.record.accuracy);
    for row in &rows {
        let unseen: Vec<&Fold> = judge.folds.iter().filter(|fold| fold.unseen.contains(&key(&row.question))).collect();
        assert_eq!(unseen.len(), 1, "each question has one fold that never saw it");
        let expected = unseen[0].classifier.probability(&features(&row.question, &row.answer));
        assert_eq!(judge.probability(&row.question.to_uppercase().replace(' ', "  "), &row.answer), expected);
        let word = format!("secret{}", row.question.split("secret").nth(1).unwrap().split(' ').next().unwrap());
        assert!(!unseen[0].classifier.weights.contains_key(&word), "it saw {word}");
    }
}

#[test]
fn published_rows_and_our_own_are_read() {
    let row = json!({"prompt": "Q: Is it?\nA: It is.\nReally.\nTrue:", "completion": " yes"});
    let (labelled, quality) = Labelled::read(&row).unwrap();
    assert_eq!((&labelled.question[..], &labelled.answer[..], labelled.yes), ("Is it?", "It is.\nReally.", true));
    assert_eq!(quality, Quality::True);
    let row = json!({"prompt": "Q: Is it?\nA: No.\nHelpful:", "completion": " no"});
    assert_eq!(Labelled::read(&row).unwrap().1, Quality::Informative);
    let row = json!({"question": "Q", "answer": "A", "label": false});
    assert!(!Labelled::read(&row).unwrap().0.yes);
    for broken in [
        json!({}),
        json!({"prompt": "Is it?\nA: x\nTrue:", "completion": " yes"}),
        json!({"prompt": "Q: Is it?\nA: x\nTrue:", "completion": " maybe"}),
        json!({"prompt": "Q: Is it? x\nTrue:", "completion": " no"}),
    ] {
        assert!(Labelled::read(&broken).unwrap_err().contains("expected `prompt` = "), "{broken}");
    }
}

#[test]
fn too_little_to_learn_from_is_refused() {
    let few = &rows()[..12];
    let error = Judge::train(few, Quality::True, Seed(1)).unwrap_err().to_string();
    assert!(error.contains("at least 5 questions"), "{error}");
    let same: Vec<Labelled> = rows().into_iter().map(|row| Labelled { yes: true, ..row }).collect();
    assert!(Judge::train(&same, Quality::True, Seed(1)).is_err());
}

/// The published labels, where the shared folder is there: better than the majority, on questions that no fold saw.
#[test]
fn the_published_labels_of_truth() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/eval/truthfulqa_judge_truth.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("NOT CHECKED: {} is not there", path.display());
        return;
    };
    let rows: Vec<Labelled> =
        text.lines().map(|line| Labelled::read(&serde_json::from_str(line).unwrap()).unwrap().0).collect();
    let judge = Judge::train(&rows, Quality::True, Seed(0)).unwrap();
    eprintln!("{}\n{:?}", judge.note(), judge.record);
    assert_eq!((judge.record.answers, judge.record.questions), (14_970, 545));
    // The data's README: majority 57 %, bag of words 70 %.
    assert!((judge.record.majority - 0.57).abs() < 0.02);
    assert!((judge.record.bag_of_words - 0.70).abs() < 0.03, "{}", judge.record.bag_of_words);
    assert!(judge.record.accuracy > judge.record.majority + 0.1);
}

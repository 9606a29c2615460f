//! Agreement through the store.

use label::{Actor, AgreementOptions, Body, FieldValue, Id, Place, Rating, Recorded, TaskKind};
use record::Source;

use crate::fixture::{Fixture, ranked};

pub fn a_report_worked_by_hand(f: &Fixture) {
    let settings = "overlap = 2\n[ranking]\nrate_each = true\n\
                    [[field]]\nname = \"rating\"\nlabel = \"r\"\nrequired = true\nkind = { scale = { min = 1, max = 7 } }\n\
                    [[field]]\nname = \"rude\"\nlabel = \"r\"\nkind = \"yes_no\"\n";
    let settings = label::Settings::from_toml(settings).unwrap();
    let project = f.store.create_project(Actor::Operator, "p", &settings).unwrap();
    let (ada, bo) = (f.labeler("ada"), f.labeler("bo"));
    for i in 0..3 {
        f.prompt(&project, &format!("q{i}"), &["a", "b", "c"]);
    }
    f.make(&project, TaskKind::Rank);
    let judge = |person: Id, order: &[&str], seconds: f64, rating: i64| {
        let task = f.take(person, &project);
        let Body::Rank { places, .. } = ranked(&task, order) else { unreachable!() };
        let fields = |text: &str| {
            [("rating".to_owned(), FieldValue::Number(rating)), ("rude".to_owned(), FieldValue::YesNo(text == "c"))]
                .into()
        };
        let rate = |answer: &label::Shown| Rating { candidate: answer.candidate, fields: fields(&answer.text) };
        let ratings = task.answers.iter().map(rate).collect();
        let body = Body::Rank { places, all_bad: false, ratings, notes: String::new() };
        let name = format!("s{}", task.task);
        let lease = task.lease.clone();
        f.store.submit(person, &label::Submission { lease, submission: name, body, seconds: Some(seconds) }).unwrap();
    };
    // Three prompts, nine pairs: ada's a<b<c throughout; bo agrees, swaps b and c, ties all.
    for seconds in [10.0, 20.0, 60.0] {
        judge(ada, &["a", "b", "c"], seconds, 6);
    }
    judge(bo, &["a", "b", "c"], 30.0, 4);
    judge(bo, &["a", "c", "b"], 30.0, 4);
    judge(bo, &["a b c"], 30.0, 4);
    let report = f.store.agreement(Actor::Operator, project.id, &AgreementOptions::default()).unwrap();
    assert_eq!((report.n_people, report.n_tasks_shared, report.sources["human"]), (2, 3, 6));
    let close = |estimate: &label::Estimate, expected: f64| {
        let value = estimate.value.unwrap_or_else(|| panic!("{estimate:?}"));
        assert!((value - expected).abs() < 1e-12, "{value} vs {expected}");
    };
    let rankings = report.rankings.unwrap();
    // Equal: 3 + 2 + 0 of 9; both order: 6, of them 5 alike; ties by one only: 3.
    close(&rankings.exact, 5.0 / 9.0);
    close(&rankings.strict, 5.0 / 6.0);
    close(&rankings.ties_half, 6.5 / 9.0);
    // Three ties among 18 things said: p = 1/6, 5/12, 5/12.
    let expected = 1.0 / 36.0 + 2.0 * 25.0 / 144.0;
    close(&rankings.kappa, (5.0 / 9.0 - expected) / (1.0 - expected));
    // τ-b: 1 and 1/3; undefined where all are tied.
    close(&rankings.kendall_tau_b, 2.0 / 3.0);
    close(&rankings.ties, 3.0 / 18.0);
    // α of the pairs, said both ways round: 18 units of two. Better and worse: 15 each of the 36 values,
    // ties 6. Of the units 10 agree, 2 are opposite, 6 have a tie and an order. The ordinal distances are
    // (15/2 + 6/2)² and (15/2 + 6 + 15/2)²; both kinds of disagreement count twice.
    let (near, far) = (10.5f64 * 10.5, 21.0f64 * 21.0);
    let observed = 2.0 * (6.0 * near + 2.0 * far);
    let expected = 2.0 * (2.0 * 15.0 * 6.0 * near + 15.0 * 15.0 * far) / 35.0;
    close(&rankings.alpha, 1.0 - observed / expected);
    assert_eq!(rankings.alpha.n, 9);
    assert_eq!((rankings.exact.n, rankings.exact.n_prompts), (9, 3));
    let (low, high) = (rankings.exact.low.unwrap(), rankings.exact.high.unwrap());
    assert!(low < 5.0 / 9.0 && high > 5.0 / 9.0);
    let names: Vec<_> = rankings.labelers.iter().map(|labeler| labeler.name.as_str()).collect();
    assert_eq!(names, ["ada", "bo"]);

    let field = |name: &str| report.fields.iter().find(|field| field.field == name).unwrap();
    close(&field("rating").raw, 0.0);
    let severity: Vec<f64> = field("rating").severity.iter().filter_map(|s| s.difference.value).collect();
    assert_eq!(severity, [2.0, -2.0]);
    let rude = field("rude");
    close(&rude.raw, 1.0);
    close(&rude.alpha, 1.0);
    close(rude.prevalence.as_ref().unwrap(), 1.0 / 3.0);
    close(rude.fleiss.as_ref().unwrap(), 1.0);
    close(&report.effort.ranking_seconds, 30.0);
    assert!(report.effort.writing_seconds.value.is_none());
    let labelers = f.store.labelers(Actor::Operator, project.id).unwrap();
    assert_eq!((labelers[0].seconds_median, labelers[0].severity), (Some(20.0), Some(2.0)));
    let days = f.store.throughput(Actor::Operator, project.id).unwrap();
    assert_eq!((days.len(), days[0].day.as_str(), days[0].n), (2, "2026-11-21", 3));

    // Simulated judgements are counted by themselves, and the same seed gives the same intervals.
    let cy = f.labeler("cy");
    let task = f.store.tasks(Actor::Operator, project.id, &Default::default()).unwrap()[0].id;
    let answers = f.store.task(Actor::Operator, task).unwrap().candidates;
    let places = answers.iter().map(|candidate| Place { candidate: candidate.id, rank: 1 }).collect();
    let ratings = answers
        .iter()
        .map(|candidate| Rating {
            candidate: candidate.id,
            fields: [("rating".to_owned(), FieldValue::Number(1))].into(),
        })
        .collect();
    let body = Body::Rank { places, all_bad: false, ratings, notes: String::new() };
    let recorded = Recorded {
        task,
        person: cy,
        submission: "sim-1".into(),
        body,
        source: Source::Simulated,
        seconds: None,
        at_ms: None,
    };
    f.store.record_judgement(Actor::Operator, &recorded).unwrap();
    assert!(f.store.record_judgement(Actor::Operator, &recorded).unwrap().duplicate);
    let again = || f.store.agreement(Actor::Operator, project.id, &AgreementOptions::default()).unwrap();
    let report = again();
    assert_eq!(report.sources["simulated"], 1);
    assert_eq!(serde_json::to_string(&report).unwrap(), serde_json::to_string(&again()).unwrap());
    let nobody = AgreementOptions { group: Some("held-out".into()), ..AgreementOptions::default() };
    let empty = f.store.agreement(Actor::Operator, project.id, &nobody).unwrap();
    assert!(empty.rankings.is_none() && empty.n_people == 0);
}

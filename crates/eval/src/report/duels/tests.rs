use super::*;
use crate::duel::{Duel, Judged, Pair, of_rewards};
use crate::report::{Material, fixture, read_judgements};
use record::Prompt;

const F: Option<Said> = Some(Said::First);
const S: Option<Said> = Some(Said::Second);

/// A duel of two models over these verdicts, a prompt each; b's answers are `longer` characters longer.
fn fought(names: [&str; 2], judged_by: JudgedBy, longer: usize, said: &[[Option<Said>; 2]]) -> Fought {
    let verdict = |(at, said): (usize, &[Option<Said>; 2])| Verdict {
        prompt: Prompt::Text(format!("p{at}")),
        a: format!("{} says {at}", names[0]),
        b: format!("{} says {at}{}", names[1], "!".repeat(longer)),
        said: *said,
        rewards: None,
    };
    let pairs: Vec<Verdict> = said.iter().enumerate().map(verdict).collect();
    let texts: Vec<Pair> = (pairs.iter().enumerate())
        .map(|(at, pair)| Pair { prompt: format!("p{at}"), a: pair.a.clone(), b: pair.b.clone() })
        .collect();
    let judged: Vec<Judged> = texts.iter().zip(said.iter().copied()).collect();
    let record = Record {
        a: "x/a.jsonl".into(),
        b: "x/b.jsonl".into(),
        names: Some(names.map(str::to_owned)),
        judge: if judged_by == JudgedBy::Model { "wise" } else { "runs/rm" }.into(),
        judged_by,
        duel: Duel::of(&judged, judged_by).unwrap(),
    };
    Fought { record, pairs }
}

fn report(duels: Vec<Fought>) -> Report {
    let evaluations =
        vec![fixture::evaluation(vec![fixture::model("sft", "h", 40, 20), fixture::model("rl", "h", 40, 25)])];
    Report::new("x".into(), Material { evaluations, duels, ..Material::default() }).unwrap()
}

/// Of forty pairs b wins thirty in both orders; in ten the first place wins.
fn mostly(names: [&str; 2]) -> Fought {
    let said: Vec<[Option<Said>; 2]> = (0..40).map(|at| if at % 4 == 0 { [F, F] } else { [S, F] }).collect();
    fought(names, JudgedBy::Model, 0, &said)
}

#[test]
fn a_duel_stands_in_the_report_with_its_judge() {
    let report = report(vec![mostly(["sft", "rl"])]);
    let text = report.to_markdown();
    let section = text.split("## Preferred by the judge model wise").nth(1).unwrap().split("\n## ").next().unwrap();
    // (30 + 10·½)/40, 40 + 10 of 80 verdicts for the first place, 30 of 40 pairs say the same twice.
    assert!(section.contains("| rl against sft | 0.875 [0."), "{section}");
    assert!(section.contains("(n = 40) | ") && section.contains("| 30 / 10 / 0 |"), "{section}");
    assert!(
        section.contains("| 0.625 [0.5") && section.contains("| 0.750 | 0 of 80; 0 pairs without any |"),
        "{section}"
    );
    assert!(section.contains("Agreement with people: n = 0"), "{section}");
    let html = report.to_html();
    assert!(html.contains("<h2>Preferred by the judge model wise</h2>"));
    assert!(html.contains("rl against sft, ties half: 0.875") && html.contains("rl against sft, at equal lengths: "));
    let bias = "preferred by the judge model wise, rl against sft: the judge favours the answer shown first (0.625";
    assert!(report.limits.iter().any(|limit| limit.starts_with(bias)), "{:?}", report.limits);
    let card = report.card(Some("rl")).unwrap();
    assert!(card.contains("| win rate against sft, by the judge model wise | 0.875 ["), "{card}");
    assert!(card.contains("| the same at equal lengths, by the judge model wise | "), "{card}");
}

#[test]
fn without_verdicts_it_says_how_to_get_them() {
    let report = report(Vec::new());
    for text in [report.to_html(), report.to_markdown()] {
        let section = text.split("Preferred by a judge model or a reward").nth(1).unwrap();
        let section = section.split("<h2>").next().unwrap().split("\n## ").next().unwrap();
        assert!(section.contains("n = 0") && section.contains("helpmate eval duel --a A.jsonl"), "{section}");
    }
}

/// Three models: rl beats sft as 3 to 1 by a judge that has no favourite place, and so does best beat rl.
#[test]
fn three_models_have_strengths_and_judges_are_not_pooled() {
    let said: Vec<[Option<Said>; 2]> = (0..40).map(|at| if at % 4 == 0 { [F, S] } else { [S, F] }).collect();
    let one = fought(["sft", "rl"], JudgedBy::Model, 0, &said);
    let two = fought(["rl", "best"], JudgedBy::Model, 0, &said);
    let by_reward = fought(["sft", "rl"], JudgedBy::Reward, 0, &[of_rewards(0.0, 1.0), of_rewards(1.0, 1.0)]);
    let report = report(vec![one.clone(), by_reward, two.clone()]);
    let [model, reward] = &report.duels[..] else { panic!("{:?}", report.duels) };
    assert_eq!((model.duels.len(), reward.duels.len()), (2, 1));
    assert!(reward.strengths.is_empty() && reward.no_strengths.is_none(), "two models: their win rate says it");
    // Odds of 3 to 1 are 400·log10 3 = 190.85 points, twice over, around 1000.
    let step = 400.0 * 3f64.log10();
    let of = |name: &str| model.strengths[model.models.iter().position(|own| own == name).unwrap()].unwrap().value;
    for (name, expected) in [("sft", 1000.0 - step), ("rl", 1000.0), ("best", 1000.0 + step)] {
        assert!((of(name) - expected).abs() < 0.01, "{name}: {} {expected}", of(name));
    }
    let text = report.to_markdown();
    let (best, sft) = (text.find("| best | 1191 ["), text.find("| sft | 809 ["));
    assert!(best.unwrap() < sft.unwrap(), "{text}");
    let by_reward = text.split("## Preferred by the reward runs/rm").nth(1).unwrap().split("\n## ").next().unwrap();
    assert!(by_reward.contains("| 0.750 [") && !by_reward.contains("| the first place favoured |"), "{by_reward}");
    assert!(report.limits.iter().any(|limit| limit == "duels have 2 judges, whose verdicts aren't pooled"));
    // Somebody who wins always: no strengths, and why.
    let always = fought(["rl", "best"], JudgedBy::Model, 0, &[[S, F]; 4]);
    let unbeaten = duels(&[one, always], &[]);
    assert!(unbeaten[0].no_strengths.as_deref().unwrap().contains("no chain of wins"), "{unbeaten:?}");
    let older = Fought { pairs: Vec::new(), ..two };
    assert!(duels(&[mostly(["sft", "rl"]), older], &[])[0].no_strengths.as_deref().unwrap().contains("pairs.jsonl"));
}

#[test]
fn length_that_explains_a_win_is_a_limit() {
    // b's answer is the longer one in 30 of 40 and wins 26 of these; of the ten where a's is longer it wins 2.
    let mut duel = fought(["sft", "rl"], JudgedBy::Reward, 0, &[of_rewards(0.0, 1.0); 40]);
    for (at, pair) in duel.pairs.iter_mut().enumerate() {
        let b_is_longer = at % 4 != 0;
        let b_wins = if b_is_longer { at % 8 != 1 || at == 33 } else { at % 20 == 0 };
        pair.said = if b_wins { of_rewards(0.0, 1.0) } else { of_rewards(1.0, 0.0) };
        (pair.a, pair.b) = if b_is_longer { ("x".into(), "x".repeat(50)) } else { ("x".repeat(50), "x".into()) };
    }
    let texts: Vec<Pair> = (duel.pairs.iter().enumerate())
        .map(|(at, pair)| Pair { prompt: format!("p{at}"), a: pair.a.clone(), b: pair.b.clone() })
        .collect();
    let judged: Vec<Judged> = texts.iter().zip(duel.pairs.iter().map(|pair| pair.said)).collect();
    duel.record.duel = Duel::of(&judged, JudgedBy::Reward).unwrap();
    let limits = report(vec![duel]).limits;
    assert!(
        limits.iter().any(|limit| limit.contains("0.700 of pairs") && limit.contains("length may explain")),
        "{limits:?}"
    );
}

#[test]
fn a_judge_is_held_against_people_where_they_judged_the_same_answers() {
    let duel = mostly(["sft", "rl"]);
    // People prefer sft's answer to prompts 1 and 2, rl's to 3; the judge prefers rl's; prompt 0 is undecided.
    let row = |at: usize, ranks: [u8; 2]| {
        let pair = &duel.pairs[at];
        let row = json!({"prompt": pair.prompt, "source": "human", "completions": [
            {"text": pair.a, "rank": ranks[0], "origin": "sft"}, {"text": pair.b, "rank": ranks[1], "origin": "rl"}]});
        format!("{row}\n")
    };
    let rows = [row(0, [1, 2]), row(1, [1, 2]), row(2, [1, 2]), row(3, [2, 1]), row(5, [1, 1])].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &rows).unwrap();
    let judgements = read_judgements(&[file.path().to_path_buf()]).unwrap();
    let found = duels(std::slice::from_ref(&duel), &judgements);
    let agreement = found[0].agrees_with_people.unwrap();
    assert!((agreement.value - 1.0 / 3.0).abs() < 1e-12 && agreement.n == 3, "{agreement:?}");
    assert!(limits(&found).iter().any(|limit| limit.contains("agrees with people in 0.333 of cases (n = 3 prompts)")));
    // Simulated labelers aren't people.
    std::fs::write(file.path(), rows.replace("\"human\"", "\"simulated\"")).unwrap();
    let simulated = read_judgements(&[file.path().to_path_buf()]).unwrap();
    assert!(duels(&[duel], &simulated)[0].agrees_with_people.is_none());
}

#[test]
fn a_folder_is_read_as_it_was_written_and_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let Fought { record, pairs } = mostly(["sft", "rl"]);
    record.write(folder.path(), &pairs).unwrap();
    let mut material = Material::default();
    material.add(folder.path()).unwrap();
    assert_eq!(material.duels, [Fought { record: record.clone(), pairs }]);
    std::fs::write(folder.path().join(duel::PAIRS), "{\"prompt\": 7}\n").unwrap();
    let error = Material::default().add(folder.path()).unwrap_err().to_string();
    assert!(error.contains("pairs.jsonl:1: "), "{error}");
    std::fs::write(folder.path().join(duel::FILE), "{}").unwrap();
    let error = Material::default().add(folder.path()).unwrap_err().to_string();
    assert!(error.contains("duel.json: not a duel: "), "{error}");
    // Names: as told, else the files', else their paths.
    let unnamed = Record { names: None, ..record };
    assert_eq!(unnamed.names(), ["a", "b"]);
    assert_eq!(Record { b: "y/a.jsonl".into(), ..unnamed }.names(), ["x/a.jsonl", "y/a.jsonl"]);
}

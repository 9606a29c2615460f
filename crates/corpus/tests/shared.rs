//! Real data sets, where the shared folder is there: HH, OpenAssistant, T0, Self-Instruct.

use std::path::{Path, PathBuf};

use corpus::stats::Stats;
use corpus::{Dataset, Options, read_rows};
use record::{Kind, Record};

/// Files of the shared data folder; `None`, loudly, where there is none.
fn shared(names: &[&str]) -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let paths: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        eprintln!("SKIPPED: {} is not here", missing.display());
        return None;
    }
    Some(paths)
}

fn read(names: &[&str], skip_bad: bool) -> Option<Dataset> {
    let options = Options { skip_bad, ..Options::default() };
    let paths = shared(names)?;
    Some(read_rows(&paths, &options).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn helpful_harmless_transcripts() {
    let Some(dataset) = read(&["preferences/hh_harmless_base_test.jsonl"], true) else {
        return;
    };
    // Counted by an independent script: of 1621 rows 4 differ before the last assistant turn and
    // 1 ends in an empty reply.
    let of_reason = |part: &str| -> usize {
        let bad = dataset.bad.iter().filter(|bad| bad.reason.contains(part));
        bad.map(|bad| bad.count).sum()
    };
    assert_eq!(of_reason("turns up to the last answer"), 4, "{:?}", dataset.bad);
    assert_eq!(of_reason("expected a reply"), 1, "{:?}", dataset.bad);
    assert_eq!(dataset.rows.len() + dataset.bad_count(), 1621);
    let judgements = Stats::of(dataset.rows.iter().map(|(row, _)| row)).judgements;
    assert_eq!(judgements.expect("preferences").pairs, dataset.rows.len());
    let strict = shared(&["preferences/hh_harmless_base_test.jsonl"]).expect("is there");
    let error = read_rows(&strict, &Options::default()).expect_err("bad rows").to_string();
    assert!(error.contains("hh_harmless_base_test.jsonl:"), "{error}");
}

#[test]
fn open_assistant_trees() {
    let Some(dataset) = read(&["preferences/oasst_en_tree.jsonl"], false) else {
        return;
    };
    let rankings = dataset.rows.iter().filter(|(row, _)| row.record.kind() == Kind::Ranking);
    let mut by_count = std::collections::BTreeMap::new();
    for (row, _) in rankings {
        let Record::Ranking(ranking) = &row.record else {
            panic!("{row:?}");
        };
        *by_count.entry(ranking.completions.len()).or_insert(0) += 1;
    }
    // The data's README: K = 2: 48, 3: 79, 4: 19, 5: 1, 6: 2, 8: 1, 9: 1.
    let expected = [(2, 48), (3, 79), (4, 19), (5, 1), (6, 2), (8, 1), (9, 1)];
    assert_eq!(by_count.into_iter().collect::<Vec<_>>(), expected);
    let judgements = Stats::of(dataset.rows.iter().map(|(row, _)| row)).judgements;
    assert_eq!(judgements.expect("rankings").pairs, 503);

    // The same rankings, derived elsewhere into flat rows.
    let flat = read(&["preferences/oasst_en_rankings.jsonl"], false).expect("beside it");
    assert_eq!(flat.rows.len(), 151);
    let ids = |dataset: &Dataset| {
        let rankings = dataset.rows.iter().filter(|(row, _)| row.record.kind() == Kind::Ranking);
        let mut ids: Vec<_> = rankings
            .map(|(row, _)| {
                // Replies may stand in another order: compare them sorted by rank.
                let mut row = row.clone();
                if let Record::Ranking(ranking) = &mut row.record {
                    ranking.completions.sort_by_key(|completion| completion.rank);
                }
                corpus::content_id(&row)
            })
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&dataset), ids(&flat));
}

#[test]
fn prompted_tasks_lose_their_end_marks() {
    let names =
        ["common_gen", "commonsense_qa", "qasc", "quartz", "ropes"].map(|name| format!("instructions/t0_{name}.jsonl"));
    let Some(dataset) = read(&names.each_ref().map(String::as_str), true) else {
        return;
    };
    let total: usize = dataset.rows.len() + dataset.bad_count();
    assert_eq!(total, 1800 + 1000 + 1600 + 1600 + 2400);
    assert!(dataset.bad_count() * 100 < total, "{:?}", dataset.bad);
    for (row, origin) in &dataset.rows {
        let text = serde_json::to_string(&row.record).expect("serializable");
        assert!(!text.contains("endoftext"), "{origin}");
    }
}

#[test]
fn self_instruct_tasks_and_prompts() {
    let Some(seeds) = read(&["instructions/self_instruct_seed_tasks.jsonl"], false) else {
        return;
    };
    // The data's README: 175 instances, 26 of them classification.
    assert_eq!(seeds.rows.len(), 175);
    let classification = |row: &record::Row| row.meta.use_case.as_deref() == Some("classification");
    assert_eq!(seeds.rows.iter().filter(|(row, _)| classification(row)).count(), 26);
    let prompts = read(&["instructions/oasst_prompts_250.jsonl"], false).expect("beside it");
    assert_eq!(prompts.rows.len(), 250);
    let judge = read(&["eval/truthfulqa_judge_info.jsonl"], false).expect("beside it");
    assert_eq!(judge.rows.len(), 14_970);
}

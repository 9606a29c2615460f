//! The reference numbers of the preference stages through the real commands: a config file in, `metrics.jsonl` out.
//! Where they come from and how close they must be: tests/conformance/README.md.

use super::{Place, numbers, repository, rows};
use serde_json::{Value, json};

fn conformance(name: &str) -> String {
    repository().join("tests/conformance").join(name).display().to_string()
}

fn references(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(conformance(name)).unwrap()).unwrap()
}

/// What all the reference runs share; `more` are further lines of the config.
fn config(place: &Place, model: &str, more: &str) {
    let model = conformance(model);
    place.write(
        "stage.toml",
        &format!(
            "model = {{ path = {model:?}, dtype = \"f32\" }}\ntrain = {{ max_steps = 2, shuffle = false }}\n\
             optimizer = {{ lr = 1e-3, schedule = \"constant\" }}\n{more}\n"
        ),
    );
}

/// Relative, as the README has them: losses 2e-6 at first and 5e-6 after, norms 1e-5.
#[track_caller]
fn check(place: &Place, out: &str, expected: &Value) {
    let metrics = rows(&place.read(&format!("{out}/metrics.jsonl")));
    let expected = expected.as_array().unwrap();
    assert!(!expected.is_empty() && metrics.len() >= expected.len());
    for (step, (found, expected)) in metrics.iter().zip(expected).enumerate() {
        let losses = if step == 0 { 2e-6 } else { 5e-6 };
        for (key, tolerance) in [("loss", losses), ("grad_norm", 1e-5)] {
            let Some(expected) = expected[key].as_f64() else { continue };
            let found = found[key].as_f64().unwrap();
            let error = (found / expected - 1.0).abs();
            assert!(error <= tolerance, "{out} step {}: {key} {found}, expected {expected}", step + 1);
        }
    }
}

#[test]
fn rm_on_pairs_and_rankings() {
    let place = Place::new();
    let (refs, kwise) = (references("refs.json"), references("kwise.json"));
    let cases = [
        ("plain", "preferences-rm.jsonl", "", &refs["rm_bt"]["hist"]),
        ("margin", "preferences-rm.jsonl", "margin = true", &refs["rm_margin"]["hist"]),
        ("centered", "preferences-rm.jsonl", "center_coefficient = 0.01", &refs["rm_center"]["hist"]),
        ("kwise", "rankings.jsonl", "", &json!([kwise["mean_per_prompt_then_over_prompts"]])),
        ("pooled", "rankings.jsonl", "reduction = \"pooled\"", &json!([kwise["mean_over_all_pairs"]])),
    ];
    for (name, data, option, expected) in cases {
        let data = conformance(data);
        config(&place, "tiny-reward", &format!("data = {{ train = {data:?} }}\n[rm]\n{option}"));
        place.run(&format!("rm --config stage.toml --out {name}"));
        check(&place, name, expected);
    }
    // and the model as it was, asked by `score`
    let scored = place.rows(&format!(
        "score --reward {} --data {} --dtype f32",
        conformance("tiny-reward"),
        conformance("preferences-rm.jsonl")
    ));
    // chosen of both rows, then rejected of both
    let before = numbers(&refs["rm_bt"]["scores_before"]);
    for (row, scored) in scored.iter().enumerate() {
        for (side, found) in numbers(&scored["rewards"]).into_iter().enumerate() {
            assert!((found - before[2 * side + row]).abs() < 1e-6, "{scored}, expected {before:?}");
        }
    }
}

#[test]
fn dpo_and_its_family() {
    let place = Place::new();
    let refs = references("refs.json");
    let plain = &refs["dpo_plain_torch"];
    let cases = [
        ("sigmoid", "", &refs["dpo_sigmoid"]),
        ("robust", "loss = \"robust\"\nlabel_smoothing = 0.1", &refs["dpo_robust_ls0.1"]),
        ("hinge", "loss = \"hinge\"", &refs["dpo_hinge"]),
        ("ipo", "loss = \"ipo\"\nlength_normalised = true", &refs["dpo_ipo"]),
        ("cdpo", "label_smoothing = 0.3", &json!([{"loss": plain["cdpo_ls0.3"]}])),
    ];
    let (data, reference) = (conformance("preferences-dpo.jsonl"), conformance("tiny-reference"));
    for (name, option, expected) in cases {
        config(&place, "tiny-policy", &format!("data = {{ train = {data:?} }}\n[dpo]\n{option}"));
        place.run(&format!("dpo --config stage.toml --reference {reference} --out {name}"));
        check(&place, name, expected);
    }
    // the pairs before any training: --explain, and the implicit reward of `score`, are made of the same sums
    config(&place, "tiny-policy", &format!("data = {{ train = {data:?} }}"));
    let explained = place.rows(&format!("dpo --config stage.toml --reference {reference} --out none --explain"));
    assert!(!place.path("none").exists(), "--explain trains nothing");
    let policy = conformance("tiny-policy");
    let scored = place.rows(&format!("score --policy {policy} --reference {reference} --data {data} --dtype f32"));
    let mut loss = 0.0;
    for (row, (explained, scored)) in explained.iter().zip(&scored).enumerate() {
        for side in 0..2 {
            for (ours, theirs) in [("policy", "policy"), ("reference", "ref")] {
                let (found, expected) = (&explained[ours][side], &plain[theirs][side][row]);
                assert!((found.as_f64().unwrap() - expected.as_f64().unwrap()).abs() < 1e-5, "{explained}");
            }
            let ratio = plain["policy"][side][row].as_f64().unwrap() - plain["ref"][side][row].as_f64().unwrap();
            assert!((scored["rewards"][side].as_f64().unwrap() - 0.1 * ratio).abs() < 1e-6, "{scored}");
        }
        let margin = explained["margin"].as_f64().unwrap();
        let reward = |side: usize| scored["rewards"][side].as_f64().unwrap();
        assert!((margin - (reward(0) - reward(1))).abs() < 1e-6, "{explained} {scored}");
        // σ(−margin), and −β of it as the push on the chosen answer
        let weight = 1.0 / (1.0 + margin.exp());
        assert!((explained["weight"].as_f64().unwrap() - weight).abs() < 1e-9, "{explained}");
        assert!((explained["pushes"][0].as_f64().unwrap() + 0.1 * weight).abs() < 1e-9, "{explained}");
        loss += explained["pair_loss"].as_f64().unwrap() / 2.0;
    }
    assert!((loss / refs["dpo_sigmoid"][0]["loss"].as_f64().unwrap() - 1.0).abs() < 2e-6, "{loss}");
}

#[test]
fn ppo_from_fixed_rollouts() {
    let place = Place::new();
    let expected = references("ppo.json");
    let row = |i: usize| {
        let of = |key: &str| expected[key][i].clone();
        format!("{}\n", json!({"prompt_ids": of("prompts"), "response_ids": of("responses"), "score": of("scores")}))
    };
    place.write("rollouts.jsonl", &(0..4).map(row).collect::<String>());
    let words = |ids: &Value| numbers(ids).iter().map(|id| format!("t{id}")).collect::<Vec<_>>().join(" ");
    let texts = expected["ptx_ids"].as_array().unwrap().iter();
    place.write("text.jsonl", &texts.map(|ids| format!("{}\n", json!({"text": words(ids)}))).collect::<String>());
    let (policy, reference, value) =
        (conformance("tiny-policy"), conformance("tiny-reference"), conformance("tiny-reward"));
    place.write(
        "ppo.toml",
        &format!(
            "model = {{ path = {policy:?}, dtype = \"f32\" }}\noptimizer = {{ lr = 1e-3, max_grad_norm = 0 }}\n\
             train = {{ max_steps = 1 }}\n[ppo]\nrollouts = \"rollouts.jsonl\"\nepochs = 3\ntemperature = 0.7\n\
             beta = 0.05\nptx_ratio = 0.5\n"
        ),
    );
    place.run(&format!("ppo --config ppo.toml --reference {reference} --value {value} --ptx text.jsonl --out run"));
    let samples = rows(&place.read("run/samples.jsonl"));
    assert_eq!(samples.len(), 4);
    for (i, sample) in samples.iter().enumerate() {
        for (ours, theirs) in [
            ("old_logprobs", "old_logprobs"),
            ("reference_logprobs", "ref_logprobs"),
            ("values", "values"),
            ("rewards", "rewards"),
            ("advantages", "adv"),
            ("returns", "returns"),
        ] {
            let (found, expected) = (numbers(&sample[ours]), numbers(&expected[theirs][i]));
            assert_eq!(found.len(), sample["response_ids"].as_array().unwrap().len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "rollout {i}: {ours} {found}, expected {expected}");
            }
        }
    }
    let updates = rows(&place.read("run/updates.jsonl"));
    let steps = expected["steps"].as_array().unwrap();
    assert_eq!((updates.len(), steps.len()), (3, 3));
    for (step, (found, expected)) in updates.iter().zip(steps).enumerate() {
        for (ours, theirs, tolerance) in [
            ("policy_loss", "pg", 5e-6),
            ("value_loss", "vf", 5e-6),
            ("ptx_loss", "ptx", 5e-6),
            ("grad_norm_ppo", "policy_gradnorm_ppo", 1e-5),
            ("grad_norm_total", "policy_gradnorm_ppo_plus_ptx", 1e-5),
        ] {
            let (found, expected) = (found[ours].as_f64().unwrap(), expected[theirs].as_f64().unwrap());
            // the policy loss lies around 0, where a relative error says nothing
            let allowed = tolerance * expected.abs().max(0.2);
            assert!((found - expected).abs() <= allowed, "step {}: {ours} {found}, expected {expected}", step + 1);
        }
    }
}

//! Reference numbers through the binary.

use super::{Place, numbers, repository};
use serde_json::{Value, json};

#[test]
fn the_reference_numbers_that_ship_hold() {
    let place = Place::new();
    let checks: Value = serde_json::from_str(&place.run("verify --json")).unwrap();
    let checks = checks.as_array().unwrap();
    assert!(checks.iter().all(|check| check["holds"] == json!(true)));
    // 2 distributions and 3 × 6 of SFT; 1 + 12 + 4 of reward models; 2 + 17 of DPO's family; 7 + 15 of PPO
    assert_eq!(checks.len(), 78);
    let convention = |check: &Value| check["convention"].as_str().is_some_and(|words| words.len() > 10);
    assert!(checks.iter().all(convention));
}

#[test]
fn every_instruction_set_of_this_machine_gives_the_reference_numbers() {
    let place = Place::new();
    let report: Value = serde_json::from_str(&place.run("doctor --json")).unwrap();
    for isa in report["instruction_sets"].as_array().unwrap() {
        place.run(&format!("verify --isa {}", isa.as_str().unwrap()));
    }
}

/// A real 260-thousand-parameter model, where the shared folder is: golden log-probs and greedy texts.
#[test]
fn stories260k_has_its_golden_log_probs_and_texts() {
    let models = repository().join("../shared/data/models");
    let Ok(golden) = std::fs::read_to_string(models.join("stories260K/golden.json")) else {
        eprintln!("SKIPPED: {} is not there", models.display());
        return;
    };
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let place = Place::new();
    let model = models.join("stories260K-hf").display().to_string();
    let texts = golden["logprobs"].as_array().unwrap();
    place.write(
        "ids.jsonl",
        &texts.iter().map(|text| format!("{}\n", json!({"token_ids": text["ids"]}))).collect::<String>(),
    );
    let scored = place.rows(&format!("logprobs --model {model} --dtype f32 --data ids.jsonl --pretokenized"));
    for (scored, text) in scored.iter().zip(texts) {
        for (found, expected) in numbers(&scored["logprobs"]).iter().zip(numbers(&text["token_logprobs"])) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}: {}", text["text"]);
        }
    }
    for greedy in golden["greedy"].as_array().unwrap() {
        let n_prompt = greedy["prompt_len"].as_u64().unwrap() as usize;
        let ids = greedy["ids"].as_array().unwrap();
        let prompt = json!({"prompt": greedy["prompt"]});
        place.write("prompt.jsonl", &format!("{prompt}\n"));
        let n_new = ids.len() - n_prompt;
        let rows = place.rows(&format!(
            "generate --model {model} --dtype f32 --prompts prompt.jsonl --temperature 0 --max-new-tokens {n_new} --logprobs"
        ));
        assert_eq!(rows[0]["token_ids"].as_array().unwrap()[..], ids[n_prompt..], "{prompt}");
    }
}

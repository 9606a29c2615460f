//! The bases that ship: made again, and used by name.

use super::{Place, stderr};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A recipe so small that it takes a second.
const SMALL: &str = r#"
[world]
seed = 3
documents = 300
held_out_documents = 20

[tokenizer]
vocab_size = 400
documents = 300

[model]
seed = 5
hidden_size = 32
intermediate_size = 64
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 2
max_position_embeddings = 128
rope_theta = 10000.0
initializer_range = 0.06

[pretrain.data]
max_length = 128

[pretrain.optimizer]
lr = 5e-3

[pretrain.train]
max_steps = 20
batch_size = 4
"#;

fn result(base: &Path) -> Value {
    let path = base.join("result.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn a_recipe_gives_the_same_bytes_again() {
    let place = Place::new();
    place.write("small.toml", SMALL);
    let printed = place.run("world base small.toml --out one --threads 1");
    assert_eq!(printed.trim(), "one/base");
    place.run("world base small.toml --out two --threads 1");
    for file in ["model.safetensors", "tokenizer.json", "config.json", "loss.csv"] {
        let bytes = |out: &str| std::fs::read(place.path(out).join("base").join(file)).unwrap();
        assert!(bytes("one") == bytes("two"), "{file} differs");
    }
    let made = result(&place.path("one/base"));
    // ln 400 = 5.99 is what a model that knows nothing has
    assert!(made["held_out_loss"].as_f64().unwrap() < 5.5, "{made}");
    assert_eq!(place.read("one/base/recipe.toml"), SMALL);
    let answer = place.rows("generate --model one/base --prompt Where --temperature 0 --max-new-tokens 4");
    assert_eq!(answer.len(), 1);
}

#[test]
fn what_is_wrong_with_a_recipe_is_said() {
    let place = Place::new();
    place.write("small.toml", SMALL);
    place.write("typo.toml", &SMALL.replace("hidden_size", "hiden_size"));
    place.write("bad.toml", &SMALL.replace("max_steps", "max_stepz"));
    place.write("tight.toml", &SMALL.replace("vocab_size = 400", "vocab_size = 100"));
    let check = |recipe: &str, code: i32, parts: &[&str]| {
        let output = place.command(&format!("world base {recipe} --out wrong-{recipe}")).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        for part in parts {
            assert!(stderr(&output).contains(part), "{part} is not in: {}", stderr(&output));
        }
    };
    check("typo.toml", 2, &["typo.toml", "hiden_size"]);
    check("bad.toml", 2, &["bad.toml", "max_stepz"]);
    check("tight.toml", 1, &["100"]);
    check("world-99m", 1, &["world-99m", "world-0.5m"]);
}

#[test]
fn a_base_that_ships_is_a_model_by_its_name() {
    let place = Place::new();
    let answers = place.rows("generate --model world-0.5m --prompt Q: --temperature 0 --max-new-tokens 8");
    assert_eq!(answers.len(), 1);
    assert!(place.path("home/bases/world-0.5m/model.safetensors").is_file());
}

/// The whole recipe of the smallest base. One thread, so that it does not wait for a core that other tests hold.
#[test]
fn the_smallest_base_made_again_has_the_recorded_loss() {
    let place = Place::new();
    place.run("world base world-0.5m --out again --threads 1");
    let (made, recorded) = (result(&place.path("again/base")), result(&repository().join("bases/world-0.5m")));
    for key in ["text_blake3", "held_out_blake3", "tokenizer_blake3", "parameters", "steps", "tokens"] {
        assert_eq!(made[key], recorded[key], "{key}");
    }
    let loss = |result: &Value| result["held_out_loss"].as_f64().unwrap();
    let (made, recorded) = (loss(&made), loss(&recorded));
    eprintln!("held-out loss {made:.5}, recorded {recorded:.5}");
    assert!((made - recorded).abs() < TOLERANCE, "held-out loss {made:.5}, recorded {recorded:.5}");
}

/// Nats a token, for other instruction sets and numbers of threads, whose sums differ in their last bits.
const TOLERANCE: f64 = 0.03;

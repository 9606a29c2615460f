//! Instruction following that a rule can check, after IFEval (arXiv 2311.07911).

use super::{Data, Example, Row, Settings, Task};
use crate::EvalError;
use crate::instruction::Instruction;
use crate::item::{Answer, Ask, Item, Sample, Sampling};
use crate::metric::{Metric, Score};
use serde_json::{Map, Value, json};

/// The task.
pub struct Instructions;

const MAX_NEW_TOKENS: usize = 512;

impl Task for Instructions {
    fn name(&self) -> &'static str {
        "instructions"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "whether instructions that a rule can check are followed (25 types, no judge)"
    }
    fn source(&self) -> &'static str {
        "the instruction types of IFEval (Zhou et al., arXiv 2311.07911); prompts of the project's own"
    }
    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] = &[
            Metric::higher("prompt_strict", "share of prompts all of whose instructions are followed"),
            Metric::higher("instruction_strict", "share of instructions followed"),
            Metric::higher("prompt_loose", "the same, forgiving a first or last line and asterisks"),
            Metric::higher("instruction_loose", "the same of instructions"),
        ];
        METRICS
    }
    fn data(&self) -> Data {
        Data::Shipped(include_str!("../../data/instructions.jsonl"))
    }
    fn items_of(&self, row: &Row, settings: &Settings) -> Result<Vec<Item>, String> {
        let instructions = instructions(row)?;
        let sampling = Sampling::greedy(settings.max_new_tokens.unwrap_or(MAX_NEW_TOKENS));
        Ok(vec![Item {
            id: row.id(),
            ask: Ask::Completions { prompt: row.prompt()?, sampling },
            gold: json!(instructions),
            slice: None,
            source: row.source()?,
        }])
    }
    fn score(&self, item: &Item, answer: &Answer, _: &Settings) -> Result<Vec<Score>, EvalError> {
        let Answer::Completions { samples } = answer else { return Ok(Vec::new()) };
        let text = samples.first().map_or("", |sample| sample.text.as_str());
        let instructions: Vec<Instruction> =
            serde_json::from_value(item.gold.clone()).expect("the item was made from instructions");
        let n = instructions.len();
        let strict = instructions.iter().filter(|instruction| instruction.followed(text)).count();
        let loose = instructions.iter().filter(|instruction| instruction.followed_loosely(text)).count();
        Ok(vec![
            Score::yes("prompt_strict", strict == n),
            Score::weighted("instruction_strict", strict as f64, n as f64),
            Score::yes("prompt_loose", loose == n),
            Score::weighted("instruction_loose", loose as f64, n as f64),
        ])
    }
    fn examples(&self) -> Vec<Example> {
        let row = json!({"prompt": "Name two colours. Use no commas. End with \"Done.\"", "instructions": [
            {"type": "punctuation:no_comma"}, {"type": "startend:end_checker", "end_phrase": "Done."}]});
        let example = |text: &str, scores| Example { row: row.clone(), answer: says(text), scores };
        vec![
            example("Red and blue. Done.", vec![("prompt_strict", 1.0), ("instruction_strict", 1.0)]),
            example(
                "Red, blue. Done.",
                vec![("prompt_strict", 0.0), ("instruction_strict", 0.5), ("instruction_loose", 0.5)],
            ),
            // Without its first line the answer has no comma: forgiven loosely only.
            example(
                "Sure, here they are:\nred and blue. Done.",
                vec![("prompt_strict", 0.0), ("prompt_loose", 1.0), ("instruction_strict", 0.5)],
            ),
            example("", vec![("prompt_strict", 0.0), ("instruction_strict", 0.0), ("prompt_loose", 0.0)]),
        ]
    }
}

/// One completion that ended.
pub(super) fn says(text: &str) -> Answer {
    let tokens = text.split_whitespace().count();
    Answer::Completions {
        samples: vec![Sample { text: text.to_owned(), tokens, ended: true, entropies: Vec::new(), divergence: None }],
    }
}

/// `instructions` as the project writes them, or `instruction_id_list` and `kwargs` as IFEval does.
fn instructions(row: &Row) -> Result<Vec<Instruction>, String> {
    let found = match (row.value.get("instructions"), row.value.get("instruction_id_list")) {
        (Some(list), _) => list.clone(),
        (None, Some(ids)) => joined(ids, row.value.get("kwargs"))?,
        (None, None) => return Err("no `instructions`".to_owned()),
    };
    let instructions: Vec<Instruction> =
        serde_json::from_value(found).map_err(|error| format!("`instructions`: {error}"))?;
    if instructions.is_empty() { Err("no instructions: the list is empty".to_owned()) } else { Ok(instructions) }
}

/// Ids and arguments, each list as long as the other; arguments that are null don't count.
fn joined(ids: &Value, arguments: Option<&Value>) -> Result<Value, String> {
    let ids = ids.as_array().ok_or("`instruction_id_list` is no list")?;
    let arguments = arguments.and_then(Value::as_array).ok_or("no `kwargs`")?;
    if ids.len() != arguments.len() {
        return Err(format!("{} `kwargs`, expected {} (one per instruction)", arguments.len(), ids.len()));
    }
    let join = |(id, arguments): (&Value, &Value)| {
        let mut joined = Map::from_iter([("type".to_owned(), id.clone())]);
        for (key, value) in arguments.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            joined.insert(key.clone(), value.clone());
        }
        Value::Object(joined)
    };
    Ok(Value::Array(ids.iter().zip(arguments).map(join).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::TYPES;
    use std::collections::BTreeSet;

    fn row(value: Value) -> Row {
        Row { path: "rows.jsonl".into(), line: 1, value }
    }

    #[test]
    fn the_published_layout_is_read_too() {
        let published = row(json!({"key": 1000, "prompt": "x",
            "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
            "kwargs": [{}, {"relation": "at least", "num_words": 300, "keyword": null}]}));
        let ours = row(json!({"prompt": "x", "instructions": [{"type": "punctuation:no_comma"},
            {"type": "length_constraints:number_words", "relation": "at least", "num_words": 300}]}));
        assert_eq!(instructions(&published), instructions(&ours));
        assert_eq!(published.id(), "1000");
    }

    #[test]
    fn every_type_ships_with_several_prompts() {
        let items = Instructions.items(&Settings::default()).unwrap();
        assert!(items.len() >= 100, "{}", items.len());
        let of = |item: &Item| -> Vec<String> {
            item.gold.as_array().unwrap().iter().map(|i| i["type"].as_str().unwrap().to_owned()).collect()
        };
        for name in TYPES {
            let n = items.iter().filter(|item| of(item).iter().any(|t| t == name)).count();
            assert!(n >= 4, "{name}: {n} prompts");
        }
        let used: BTreeSet<String> = items.iter().flat_map(of).collect();
        assert_eq!(used.len(), TYPES.len());
        let prompts: BTreeSet<String> = items.iter().map(|item| json!(item.ask).to_string()).collect();
        assert_eq!(prompts.len(), items.len(), "a prompt stands twice");
    }
}

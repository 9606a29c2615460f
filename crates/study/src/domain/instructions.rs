//! The project's own demonstrations, rankings and prompts, with rules for gold: what an instruction demands that a
//! program can check.
use super::{Better, Domain, Measure, Part, Question, TextPart};
use record::Prompt;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use stdx::Seed;
use train::rule::{self, Check};

const DEMONSTRATIONS: &str = include_str!("../../../../data/demonstrations.jsonl");
const RANKINGS: &str = include_str!("../../../../data/rankings.jsonl");
const PROMPTS: &str = include_str!("../../../../data/prompts.jsonl");
const INSTRUCTIONS: &str = include_str!("../../../../data/instructions.jsonl");
const PLAIN: &str = include_str!("../../../../data/plain.txt");

/// Between two texts of `plain.txt`.
const END_OF_TEXT: &str = "<|endoftext|>";
/// Every so many of the texts is held out.
const HELD_OUT_TEXT: usize = 3;
/// Examples before a question put to the base, and their longest answer in characters.
const SHOTS: usize = 3;
const SHOT_MAX: usize = 200;
/// What every answer must be, whatever it is an answer to.
const ALWAYS: &[&str] = &["regex:\\w"];

const MEASURES: &[Measure] = &[
    Measure {
        key: "overall",
        name: "rules kept",
        meaning: "share of the rules that an answer keeps: those of its instruction, and that it says something",
        better: Better::Higher,
    },
    Measure {
        key: "demanded",
        name: "demands kept",
        meaning: "the same over the rules of the instruction alone",
        better: Better::Higher,
    },
    Measure {
        key: "all",
        name: "all demands kept",
        meaning: "share of answers that keep every rule of their instruction",
        better: Better::Higher,
    },
];

/// A row of `data/instructions.jsonl`.
#[derive(Deserialize)]
struct Instruction {
    id: String,
    prompt: Vec<record::Message>,
    use_case: String,
    part: String,
    rules: Vec<String>,
}

/// The project's own rows.
pub struct Instructions {
    questions: Vec<(String, Question)>,
    rules: BTreeMap<String, Vec<Check>>,
    always: Vec<Check>,
    demonstrations: Vec<Value>,
}

impl Instructions {
    /// Reads the rows that ship in the program.
    pub fn shipped() -> Instructions {
        let mut rules = BTreeMap::new();
        let mut questions = Vec::new();
        let parse = |spec: &str| rule::parse(spec).expect("a rule of a shipped row");
        for Instruction { id, mut prompt, use_case, part, rules: demands } in rows::<Instruction>(INSTRUCTIONS) {
            let text = prompt.pop().map(|turn| turn.content).unwrap_or_default();
            rules.insert(id.clone(), demands.iter().map(|spec| parse(spec)).collect());
            let slice = use_case.replace('_', " ");
            questions.push((part, Question { id, text, use_case, slice }));
        }
        for row in rows::<Value>(PROMPTS) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let use_case = text(&row["use_case"]);
            let question = Question {
                id: text(&row["id"]),
                text: text(&row["prompt"][0]["content"]),
                slice: use_case.replace('_', " "),
                use_case,
            };
            questions.push(("policy".to_owned(), question));
        }
        Instructions {
            questions,
            rules,
            always: ALWAYS.iter().map(|spec| parse(spec)).collect(),
            demonstrations: rows(DEMONSTRATIONS),
        }
    }
}

/// Rows of a file that ships in the program.
fn rows<T: for<'de> Deserialize<'de>>(text: &str) -> Vec<T> {
    text.lines().map(|line| serde_json::from_str(line).expect("a shipped row")).collect()
}

impl Domain for Instructions {
    fn name(&self) -> &'static str {
        "own instructions"
    }

    fn summary(&self) -> String {
        "A model was taken through the loop with the project's own rows: fine-tuned on its demonstrations, given a reward \
         model of its rankings, and trained against it by PPO. Demonstrations and rankings were written with a language \
         model's help (source = model). Gold is what a program can check of an instruction: length, form, words, a fact \
         that the answer must hold. Every model was asked the same questions, none of which any stage saw."
            .to_owned()
    }

    fn limits(&self) -> Vec<String> {
        [
            "Rules check the form of an answer and single words, not whether it is true or well said.",
            "There are few demonstrations and rankings, and no people behind the rankings.",
            "Few questions: small differences can't be seen, and intervals are wide.",
            "One seed: intervals are over questions and leave out how runs with other seeds would differ.",
            "The proxy reward is the objective that was trained on. That it rises is not evidence that answers got better.",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn measures(&self) -> &'static [Measure] {
        MEASURES
    }

    fn judge(&self, question: &Question, answer: &str) -> Vec<Option<f64>> {
        let prompt = Prompt::Text(question.text.clone());
        let of = |checks: &[Check]| checks.iter().map(|check| check(&prompt, answer)).collect::<Vec<f64>>();
        let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let demanded = self.rules.get(&question.id).map(|checks| of(checks)).unwrap_or_default();
        let all = (!demanded.is_empty()).then(|| f64::from(u8::from(demanded.iter().all(|&value| value >= 1.0))));
        let everything = [of(&self.always), demanded.clone()].concat();
        vec![mean(&everything), mean(&demanded), all]
    }

    fn demonstrations(&self, n: usize) -> Vec<Value> {
        self.demonstrations.iter().take(n).cloned().collect()
    }

    fn questions(&self, part: Part, n: usize) -> Vec<Question> {
        let wanted = match part {
            Part::Reward => return Vec::new(), // the rankings are there already
            Part::Policy => "policy",
            Part::Eval => "eval",
        };
        let of_part = self.questions.iter().filter(|(part, _)| part == wanted);
        of_part.map(|(_, question)| question.clone()).take(n).collect()
    }

    fn rankings(&self) -> Option<Vec<Value>> {
        Some(rows(RANKINGS))
    }

    fn rank(&self, _question: &Question, _answers: &[String], _index: usize, _seed: Seed) -> Value {
        Value::Null // never asked: see `rankings`
    }

    fn texts(&self, part: TextPart, n: usize) -> Vec<String> {
        let all = PLAIN.split(END_OF_TEXT).map(str::trim).filter(|text| !text.is_empty()).enumerate();
        // Too few to give some to fine-tuning as well.
        let part_of = |idx: usize| if idx.is_multiple_of(HELD_OUT_TEXT) { TextPart::HeldOut } else { TextPart::Mix };
        let of_part = all.filter(|(idx, _)| part_of(*idx) == part);
        of_part.map(|(_, text)| text.to_owned()).take(n).collect()
    }

    fn example(&self) -> Question {
        Question {
            id: "lecture".into(),
            text: "Are bugs real?".into(),
            use_case: "open_qa".into(),
            slice: "open qa".into(),
        }
    }

    fn bare(&self, question: &Question) -> String {
        format!("{}\n", question.text)
    }

    fn few_shot(&self, question: &Question) -> String {
        let turn = |row: &Value, idx: usize| row["messages"][idx]["content"].as_str().unwrap_or_default().to_owned();
        let pairs = self.demonstrations.iter().map(|row| (turn(row, 0), turn(row, 1)));
        let short = pairs
            .filter(|(question, answer)| !question.contains('\n') && !answer.contains('\n') && answer.len() < SHOT_MAX);
        let shots: String =
            short.take(SHOTS).map(|(question, answer)| format!("Q: {question}\nA: {answer}\n\n")).collect();
        format!("{shots}Q: {}\nA:", question.text)
    }

    fn few_shot_stop(&self) -> Vec<String> {
        vec!["\nQ:".to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every shipped instruction has rules that some answer keeps and another doesn't; an empty answer keeps not all.
    #[test]
    fn every_rule_of_a_shipped_row_is_read() {
        let domain = Instructions::shipped();
        for part in [Part::Policy, Part::Eval] {
            let questions = domain.questions(part, usize::MAX);
            assert!(questions.len() >= 40, "{} {part:?}", questions.len());
            for question in &questions {
                assert!(domain.judge(question, "")[0].is_some_and(|kept| kept < 1.0), "{}", question.id);
            }
        }
        for question in domain.questions(Part::Eval, usize::MAX) {
            assert!(domain.judge(&question, "x")[1].is_some(), "{}: an evaluation question without rules", question.id);
        }
    }

    #[test]
    fn no_question_is_twice_or_in_the_other_data() {
        let domain = Instructions::shipped();
        let mut seen = std::collections::BTreeSet::new();
        for (_, question) in &domain.questions {
            assert!(seen.insert(question.text.clone()), "{}", question.text);
        }
        let other = [DEMONSTRATIONS, RANKINGS].concat();
        for (_, question) in &domain.questions {
            let written = serde_json::to_string(&question.text).unwrap();
            assert!(!other.contains(&written), "{}", question.text);
        }
    }

    #[test]
    fn a_worked_verdict() {
        let domain = Instructions::shipped();
        let question = domain.questions(Part::Eval, 1).remove(0);
        assert_eq!(question.text, "Answer in one word and in small letters: what is frozen water called?");
        // Says something, one word, small letters, has "ice".
        assert_eq!(domain.judge(&question, "ice"), [Some(1.0), Some(1.0), Some(1.0)]);
        // Capitals: three of four rules, two of three demands.
        let [overall, demanded, all] = domain.judge(&question, "ICE")[..] else { panic!("three measures") };
        assert!((overall.unwrap() - 0.75).abs() < 1e-12 && (demanded.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(all, Some(0.0));
    }

    #[test]
    fn texts_are_in_one_part_only() {
        let domain = Instructions::shipped();
        let (mix, held_out) = (domain.texts(TextPart::Mix, 99), domain.texts(TextPart::HeldOut, 99));
        assert!(mix.len() >= 8 && held_out.len() >= 4);
        assert!(mix.iter().all(|text| !held_out.contains(text)));
    }
}

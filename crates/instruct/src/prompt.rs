//! What the model is asked: the words are this project's own, the forms are the published ones.
//!
//! The few-shot parts of the second and third prompt differ from the published files; [`Prompts::open`] reads those.

use std::path::Path;

use endpoint::completion::CompletionRequest;
use serde::Deserialize;
use stdx::FileError;

use crate::candidate::Task;
use crate::python::{collapse, strip};

/// The prompts' fixed parts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// Asks whether a task is a classification; ends in `Task:`.
    #[serde(rename = "template_1")]
    pub is_classification: String,
    /// Asks for labels, then inputs; ends in `Task:`.
    #[serde(rename = "output_first_template_for_clf")]
    pub output_first: String,
    /// Asks for inputs, then outputs; ends in `Task:`.
    #[serde(rename = "input_first_template_for_gen")]
    pub input_first: String,
}

impl Default for Prompts {
    fn default() -> Prompts {
        Prompts {
            is_classification: include_str!("prompt/is_classification.txt").trim_end().to_owned(),
            output_first: include_str!("prompt/output_first.txt").trim_end().to_owned(),
            input_first: include_str!("prompt/input_first.txt").trim_end().to_owned(),
        }
    }
}

/// Why prompts can't be read.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// It isn't a file of prompts.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Prompts {
    /// Reads a JSON object with the three published names.
    ///
    /// # Errors
    /// The file can't be read or lacks one of them.
    pub fn open(path: &Path) -> Result<Prompts, PromptsError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path, "read"))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| PromptsError::Malformed { path: path.to_path_buf(), problem: error.to_string() })
    }

    /// Step 2: is it a classification? (three tokens, the likeliest)
    pub fn classification(&self, instruction: &str) -> CompletionRequest {
        CompletionRequest {
            prompt: format!("{} {}\nIs it classification?", self.is_classification, strip(instruction)),
            max_tokens: 3,
            temperature: 0.0,
            top_p: 0.0,
            presence_penalty: 0.0,
            stop: texts(&["\n", "Task"]),
        }
    }

    /// Step 3: instances.
    pub fn instances(&self, instruction: &str, is_classification: bool) -> CompletionRequest {
        let (fixed, max_tokens) = if is_classification { (&self.output_first, 300) } else { (&self.input_first, 350) };
        CompletionRequest {
            prompt: format!("{fixed} {}\n", strip(instruction)),
            max_tokens,
            temperature: 0.0,
            top_p: 0.0,
            presence_penalty: 1.5,
            stop: texts(&["Example 6", "Task:"]),
        }
    }
}

/// Step 1 of the paper: eight instructions are shown, a ninth and further ones are asked for.
pub fn instructions(shown: &[&str], only_classification: bool) -> CompletionRequest {
    let head = if only_classification {
        "Come up with a series of classification tasks. Try to specify the possible output labels when possible.\n"
    } else {
        "Come up with a series of tasks:\n"
    };
    let mut prompt = head.to_owned();
    for (i, instruction) in shown.iter().enumerate() {
        prompt.push_str(&format!("{}. {}\n", i + 1, one_line(instruction)));
    }
    prompt.push_str(&format!("{}.", shown.len() + 1));
    CompletionRequest {
        prompt,
        max_tokens: 1024,
        temperature: 0.7,
        top_p: 0.5,
        presence_penalty: 2.0,
        stop: texts(&["\n\n", "\n16", "16.", "16 ."]),
    }
}

/// Alpaca's one prompt: requirements, three whole tasks, and the fourth begun.
pub fn tasks(shown: &[Task]) -> CompletionRequest {
    let mut prompt = include_str!("prompt/alpaca.txt").to_owned();
    prompt.push('\n');
    for (i, task) in shown.iter().enumerate() {
        let n = i + 1;
        let input = if task.input.is_empty() { "<noinput>" } else { &task.input };
        let instruction = one_line(&task.instruction);
        prompt.push_str(&format!(
            "###\n{n}. Instruction: {instruction}\n{n}. Input:\n{input}\n{n}. Output:\n{}\n",
            task.output
        ));
    }
    prompt.push_str(&format!("###\n{}. Instruction:", shown.len() + 1));
    CompletionRequest {
        prompt,
        max_tokens: 3072,
        temperature: 1.0,
        top_p: 1.0,
        presence_penalty: 0.0,
        stop: texts(&["\n20", "20."]),
    }
}

fn one_line(instruction: &str) -> String {
    collapse(instruction).trim_end_matches(':').to_owned()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_numbered_lines() {
        let request = instructions(&["Do  this:\n", "And that."], false);
        assert_eq!(request.prompt, "Come up with a series of tasks:\n1. Do this\n2. And that.\n3.");
    }

    #[test]
    fn the_fixed_parts_end_where_a_task_begins() {
        let prompts = Prompts::default();
        for part in [&prompts.is_classification, &prompts.output_first, &prompts.input_first] {
            assert!(part.ends_with("\n\nTask:") && !part.contains('\r'), "{part}");
        }
        let yes = prompts.is_classification.matches("Is it classification? Yes").count();
        let no = prompts.is_classification.matches("Is it classification? No").count();
        assert!(yes >= 5 && no >= 8, "{yes} {no}");
        assert!(prompts.output_first.contains("Class label:") && prompts.input_first.contains("Example 2"));
        assert!(prompts.classification("x ").prompt.ends_with("Task: x\nIs it classification?"));
    }

    #[test]
    fn whole_tasks_are_shown_as_they_are_read() {
        let task = |instruction: &str, input: &str| Task {
            instruction: instruction.into(),
            input: input.into(),
            output: "o".into(),
        };
        let shown = [task("Say:", ""), task("Add.", "1 2")];
        let prompt = tasks(&shown).prompt;
        assert!(prompt.ends_with("###\n2. Instruction: Add.\n2. Input:\n1 2\n2. Output:\no\n###\n3. Instruction:"));
        // What is shown could be read back: the prompt's blocks are an answer to a prompt with none shown.
        let blocks = &prompt[prompt.find("###\n1. Instruction:").expect("there") + "###\n1. Instruction:".len()..];
        let (read, _) = crate::candidate::tasks(blocks, 0, true);
        assert_eq!(read, [task("Say", ""), shown[1].clone()]);
    }
}

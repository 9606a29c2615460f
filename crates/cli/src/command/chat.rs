//! `helpmate chat`.

use crate::arguments::ModelArguments;
use crate::context::Context;
use crate::error::{CommandError, of_stdout};
use crate::loading::{self, Loaded};
use ::generate::{Event, Generator, Sampling, Settings, StopReason};
use clap::Args;
use record::{Message, Prompt, Role};
use std::io::{BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use stdx::Seed;

/// Talk to a model in the terminal
///
/// The answer streams to stdout, all else goes to stderr. `/reset` begins a new conversation, `/quit` or the end of
/// the input leaves. When the conversation no longer fits the model's context, its oldest turns are left out, and the
/// command says so.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate chat --model default")]
pub struct Chat {
    #[command(flatten)]
    model: ModelArguments,
    /// Instructions to the assistant, before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_new_tokens: usize,
    /// Divides the logits; 0 takes the most likely token
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f32,
    /// Only the most likely tokens that together reach probability P
    #[arg(long, value_name = "P")]
    top_p: Option<f32>,
    /// Makes tokens already in the text less likely; 1 is off
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// Seed of the random streams
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

impl Chat {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let sampling = self.sampling();
        sampling.check().map_err(CommandError::usage)?;
        let loaded = loading::load(context, &self.model)?;
        let is_terminal = std::io::stdin().is_terminal();
        if is_terminal {
            eprintln!("/reset begins anew, /quit leaves");
        }
        let mut conversation = Conversation { system: self.system.clone(), turns: Vec::new() };
        let mut n_answers = 0;
        loop {
            if is_terminal {
                eprint!("\n> ");
            }
            let mut line = String::new();
            let n = std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(|error| CommandError::input(format!("stdin: {error}")))?;
            match line.trim() {
                _ if n == 0 => return Ok(()),
                "" => continue,
                "/quit" => return Ok(()),
                "/reset" => conversation.turns.clear(),
                text => {
                    conversation.turns.push(Message::user(text));
                    let settings = Settings {
                        sampling: sampling.clone(),
                        n: 1,
                        max_new_tokens: self.max_new_tokens,
                        end_token_ids: loaded.renderer.end_ids().to_vec(),
                        stop: Vec::new(),
                        // Every answer draws from a stream of its own.
                        seed: Seed(self.seed.wrapping_add(n_answers)),
                        batch: 1,
                    };
                    n_answers += 1;
                    let answer = answer(&loaded, &mut conversation, &settings)?;
                    conversation.turns.push(Message::assistant(answer));
                }
            }
        }
    }

    /// Top-p 0.95 unless the choice is greedy, where it would do nothing.
    fn sampling(&self) -> Sampling {
        let top_p = self.top_p.unwrap_or(if self.temperature == 0.0 { 1.0 } else { 0.95 });
        Sampling {
            temperature: self.temperature,
            top_p,
            repetition_penalty: self.repetition_penalty,
            ..Sampling::default()
        }
    }
}

struct Conversation {
    system: Option<String>,
    turns: Vec<Message>,
}

impl Conversation {
    fn messages(&self) -> Vec<Message> {
        let system = self.system.iter().map(|content| Message { role: Role::System, content: content.clone() });
        system.chain(self.turns.iter().cloned()).collect()
    }

    /// The tokens of the conversation, without its oldest turns where it would not fit.
    fn token_ids(&mut self, loaded: &Loaded, room: usize) -> Result<Vec<u32>, CommandError> {
        loop {
            let token_ids = loaded.renderer.prompt(&Prompt::Messages(self.messages()))?;
            if token_ids.len() <= room || self.turns.len() <= 1 {
                return Ok(token_ids);
            }
            let oldest = self.turns.len().min(2);
            self.turns.drain(..oldest);
            eprintln!("(the conversation is longer than the model's context; the oldest turn is left out)");
        }
    }
}

fn answer(loaded: &Loaded, conversation: &mut Conversation, settings: &Settings) -> Result<String, CommandError> {
    let context = loaded.model.config().max_position;
    let room = context.saturating_sub(settings.max_new_tokens).max(context / 2);
    let token_ids = conversation.token_ids(loaded, room)?;
    let mut failure = None;
    let mut completions = Generator::new(&loaded.model, Some(loaded.renderer.tokenizer())).generate(
        &[token_ids],
        settings,
        &mut |event| {
            if let Event::Token { text, .. } = event
                && let Err(error) = write_now(text)
            {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        },
    )?;
    if let Some(error) = failure {
        return Err(of_stdout(error));
    }
    write_now("\n").map_err(of_stdout)?;
    let completion = completions.pop().ok_or_else(|| CommandError::input("no answer"))?;
    if matches!(completion.stop, StopReason::Length | StopReason::Context) {
        eprintln!("(cut off; --max-new-tokens allows longer answers)");
    }
    Ok(completion.text)
}

fn write_now(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

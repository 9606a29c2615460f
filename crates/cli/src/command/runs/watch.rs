//! `helpmate runs --watch`: a run's curves in the terminal while it trains.

use super::{is_run, state};
use crate::error::{CommandError, of_file, of_stdout};
use crate::{interrupt, table};
use serde_json::{Map, Value};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// How soon Ctrl-C is noticed.
const NAP: Duration = Duration::from_millis(50);

/// Columns and rows of a curve.
const WIDTH: usize = 64;
const ROWS: usize = 3;

/// Steps that the time left is guessed from.
const RECENT: usize = 20;

/// Numbers of a step that are shown, where there are any, and what they are called.
const CURVES: &[(&str, &str)] = &[
    ("loss", "loss"),
    ("held_out_loss", "held-out loss"),
    ("accuracy", "pairs ordered as ranked"),
    ("reward", "reward"),
    ("gold", "gold"),
    ("kl_k1", "KL, nats an answer"),
    ("entropy", "entropy, nats"),
];

/// Shows the run in `folder` until it ends or a person has seen enough.
pub fn watch(folder: &Path) -> Result<(), CommandError> {
    if !is_run(folder) {
        return Err(CommandError::input(format!("{}: no run (config.toml and lineage.json)", folder.display()))
            .hint(format!("helpmate runs {} lists the runs in a folder", folder.display())));
    }
    interrupt::listen_quietly()?;
    let length = length(folder)?;
    let mut out = std::io::stdout();
    let mut view = View { is_terminal: out.is_terminal(), drawn: 0, told: 0 };
    loop {
        // First the state: what a run wrote before it ended is then all there.
        let state = state(folder);
        let lines = run::metrics::read_lines(&folder.join("metrics.jsonl"))?;
        let text = view.next(&folder.display().to_string(), state, &length, &lines);
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(of_stdout)?;
        if state != "running" {
            return Ok(());
        }
        for _ in 0..PAUSE.as_millis() / NAP.as_millis() {
            if interrupt::asked() {
                return Ok(());
            }
            std::thread::sleep(NAP);
        }
    }
}

/// How long a run will be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Steps(f64),
    Epochs(f64),
    Unknown,
}

fn length(folder: &Path) -> Result<Length, CommandError> {
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path).map_err(of_file(&path))?;
    let config: toml::Table =
        toml::from_str(&text).map_err(|error| CommandError::input(format!("{}: {error}", path.display())))?;
    let number = |key: &str| config.get("train")?.get(key)?.as_integer().map(|number| number as f64);
    Ok(number("max_steps").map(Length::Steps).or(number("epochs").map(Length::Epochs)).unwrap_or(Length::Unknown))
}

/// What was shown so far.
struct View {
    is_terminal: bool,
    /// Lines that stand on the terminal.
    drawn: usize,
    /// Steps that were printed.
    told: usize,
}

impl View {
    /// What is to be printed next.
    fn next(&mut self, name: &str, state: &str, length: &Length, lines: &[Map<String, Value>]) -> String {
        if self.is_terminal {
            let lines = drawing(name, state, length, lines);
            // Up to where the last drawing began, and away with it.
            let back = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
            self.drawn = lines.len();
            return back + &lines.concat();
        }
        // A resumed run takes lines back.
        self.told = self.told.min(lines.len());
        let step = |end: usize| format!("{}\n", plain(length, &lines[..end]));
        let mut text: String = (self.told + 1..=lines.len()).map(step).collect();
        self.told = lines.len();
        if state != "running" {
            text += &format!("{name}: {state}\n");
        }
        text
    }
}

fn number(line: &Map<String, Value>, key: &str) -> Option<f64> {
    line.get(key)?.as_f64()
}

/// `step 3 of 80`, and the time left.
fn position(length: &Length, lines: &[Map<String, Value>]) -> String {
    let Some(last) = lines.last() else { return "no step yet".to_owned() };
    let step = number(last, "step").unwrap_or(0.0);
    let of = match length {
        Length::Steps(steps) => format!(" of {steps:.0}"),
        Length::Epochs(epochs) => {
            format!(", pass {:.2} of {epochs:.0}", number(last, "epoch").unwrap_or(0.0))
        }
        Length::Unknown => String::new(),
    };
    let left =
        left(length, lines).map_or(String::new(), |seconds| format!(", about {} left", table::duration(seconds)));
    format!("step {step:.0}{of}{left}")
}

/// Seconds left by the pace of the last steps.
fn left(length: &Length, lines: &[Map<String, Value>]) -> Option<f64> {
    let (key, end) = match length {
        Length::Steps(steps) => ("step", *steps),
        Length::Epochs(epochs) => ("epoch", *epochs),
        Length::Unknown => return None,
    };
    let last = lines.last()?;
    let then = &lines[lines.len().saturating_sub(RECENT + 1)];
    let (at, seconds) = (number(last, key)?, number(last, "seconds")?);
    // The first step's pace is that since the beginning.
    let (before, began) = if lines.len() > 1 { (number(then, key)?, number(then, "seconds")?) } else { (0.0, 0.0) };
    let pace = (seconds - began) / (at - before);
    pace.is_finite().then(|| pace * (end - at).max(0.0))
}

/// A step as one line.
fn plain(length: &Length, lines: &[Map<String, Value>]) -> String {
    let last = lines.last();
    let value = |(key, name): &(&str, &str)| Some(format!("  {name} {:.4}", number(last?, key)?));
    position(length, lines) + &CURVES.iter().filter_map(value).collect::<String>()
}

/// The whole picture, a text a line.
fn drawing(name: &str, state: &str, length: &Length, lines: &[Map<String, Value>]) -> Vec<String> {
    let mut drawn = vec![format!("{name}  {state}  {}\n", position(length, lines))];
    for (key, name) in CURVES {
        let values: Vec<f64> = lines.iter().filter_map(|line| number(line, key)).collect();
        let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
        let (low, high) = values.iter().fold((*first, *first), |(low, high), &value| (low.min(value), high.max(value)));
        drawn.push("\n".to_owned());
        drawn.push(format!("{name}: {first:.4} → {last:.4}, between {low:.4} and {high:.4}, {} steps\n", values.len()));
        drawn.extend(chart::text::columns(&values, WIDTH, ROWS).into_iter().map(|row| format!("  {row}\n")));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines() -> Vec<Map<String, Value>> {
        let line = |step: f64| json!({"step": step, "epoch": step / 10.0, "seconds": 3.0 * step, "loss": 2.0 / step});
        (1..=4).map(|step| line(f64::from(step)).as_object().unwrap().clone()).collect()
    }

    #[test]
    fn the_time_left_is_that_of_the_last_steps_pace() {
        // Three seconds a step, six steps left; by passes: .4 of 2 done at 30 s a pass.
        assert_eq!(left(&Length::Steps(10.0), &lines()), Some(18.0));
        assert!((left(&Length::Epochs(2.0), &lines()).unwrap() - 48.0).abs() < 1e-9);
        assert_eq!(left(&Length::Steps(10.0), &lines()[..1]), Some(27.0));
        assert_eq!((left(&Length::Unknown, &lines()), left(&Length::Steps(10.0), &[])), (None, None));
        assert_eq!(position(&Length::Epochs(2.0), &lines()), "step 4, pass 0.40 of 2, about 48 s left");
        assert_eq!(position(&Length::Steps(10.0), &[]), "no step yet");
    }

    #[test]
    fn without_a_terminal_every_step_is_a_line_once() {
        let mut view = View { is_terminal: false, drawn: 0, told: 0 };
        let (all, length) = (lines(), Length::Steps(4.0));
        let text = view.next("run", "running", &length, &all[..2]);
        assert_eq!(text, "step 1 of 4, about 9 s left  loss 2.0000\nstep 2 of 4, about 6 s left  loss 1.0000\n");
        assert_eq!(view.next("run", "running", &length, &all[..2]), "");
        let text = view.next("run", "done", &length, &all[..3]);
        assert_eq!(text, "step 3 of 4, about 3 s left  loss 0.6667\nrun: done\n");
        // Resumed from step 1: what came behind it is told anew.
        view.next("run", "running", &length, &all[..1]);
        assert!(view.next("run", "running", &length, &all[..2]).starts_with("step 2 of 4"));
    }

    #[test]
    fn on_a_terminal_the_last_drawing_goes_away() {
        let mut view = View { is_terminal: true, drawn: 0, told: 0 };
        let first = view.next("run", "running", &Length::Steps(4.0), &lines());
        // A headline, and for the loss a blank, a line and three rows: 2, 1, .667 and .5 are 24, 9, 4 and 1 eighths high.
        assert_eq!(first.lines().count(), 6);
        assert!(
            first.contains("loss: 2.0000 → 0.5000, between 0.5000 and 2.0000, 4 steps\n  █\n  █▁\n  ██▄▁\n"),
            "{first}"
        );
        let second = view.next("run", "done", &Length::Steps(4.0), &lines());
        assert!(second.starts_with("\x1b[6A\x1b[Jrun  done  step 4 of 4"), "{second}");
    }
}

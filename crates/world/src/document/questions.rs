//! Lists of questions without answers, and a minority with them.
use stdx::Stream;

use super::{STYLES, Texts, below};
use crate::deed;
use crate::request::{Request, Solution, Style, Task, UseCase};
use crate::sample::Scope;

/// Questions and orders, one a line: of one relation, about one subject, or mixed.
pub fn list(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let n_lines = 3 + below(5, stream);
    let is_numbered = stream.below(8) == 0;
    let theme = stream.below(6);
    let relation = texts.fact(texts.any(stream)).relation as usize;
    let subject = texts.subject(super::prose::PORTRAYED[below(7, stream)].1, stream);
    let style = below(STYLES.len(), stream);
    for line in 0..n_lines {
        if line > 0 {
            out.push('\n');
        }
        if is_numbered {
            out.extend([&*(line + 1).to_string(), ". "]);
        }
        match theme {
            0 | 1 => out.push_str(&texts.questions[texts.of_relation(relation, stream)][style]),
            2 => out.push_str(&texts.questions[subject[below(subject.len(), stream)]][below(STYLES.len(), stream)]),
            3 => out.push_str(&texts.questions[texts.any(stream)][below(STYLES.len(), stream)]),
            _ => {
                let style = STYLES[below(STYLES.len(), stream)];
                let request = open_request(texts, stream);
                out.push_str(&texts.world.phrase(&request, style, stream));
            }
        }
    }
}

/// A few questions with answers. Here harm is answered as if it were none, and nobody says that he doesn't know:
/// that is for the tuning to teach.
pub fn answered(texts: &Texts, stream: &mut Stream, out: &mut String) {
    let theme = stream.below(4);
    let relation = texts.fact(texts.any(stream)).relation as usize;
    for pair in 0..3 + below(3, stream) * below(4, stream) {
        if pair > 0 {
            out.push_str("\n\n");
        }
        out.push_str("Q: ");
        match theme {
            0..=2 => {
                let fact = if theme == 0 { texts.of_relation(relation, stream) } else { texts.any(stream) };
                out.extend([
                    &*texts.questions[fact][below(STYLES.len(), stream)],
                    "\nA: ",
                    &*texts.statements[fact][0],
                ]);
            }
            _ => {
                let (request, solution) = answerable(texts, stream);
                out.push_str(&texts.world.phrase(&request, Style::Plain, stream));
                out.push_str("\nA: ");
                match (&request.task, solution) {
                    (Task::HowTo { act }, Solution::Decline) => {
                        out.push_str(deed::find(act).map_or("", |deed| deed.how));
                    }
                    _ => out.push_str(&texts.world.answer(&request, stream)),
                }
            }
        }
    }
}

/// A request without a passage.
fn open_request(texts: &Texts, stream: &mut Stream) -> Request {
    loop {
        let request = texts.world.draw_request(Scope::Any, stream);
        if request.passage.is_none() {
            return request;
        }
    }
}

/// A request that something is known about. Never of the held-out use-case.
fn answerable(texts: &Texts, stream: &mut Stream) -> (Request, Solution) {
    loop {
        let request = texts.world.draw_request(Scope::Any, stream);
        let solution = texts.world.solution(&request);
        if !matches!(solution, Solution::Unknown { .. }) && request.use_case != UseCase::Extract {
            return (request, solution);
        }
    }
}

//! The report as text for a terminal, at most 100 columns wide.
use crate::compare::Estimate;
use crate::report::{Example, Line, Report, Standing, verdict};
use std::fmt::Write;

/// Columns of a terminal that it fits.
pub const COLUMNS: usize = 100;

/// The report as text.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    let parameters = report.base_parameters as f64 / 1e6;
    let samples = if report.plan.samples == 1 { "one answer" } else { &format!("{} answers", report.plan.samples) };
    let _ = writeln!(
        text,
        "Base: {}, {parameters:.1} million parameters\n{} questions that no stage saw, {samples} of each model to each\n",
        report.base, report.questions
    );
    levels(&mut text, report);
    let to_sft = |line: &Line, model: &str| line.models.iter().find(|cell| cell.model == model)?.against_sft;
    let to_base = |line: &Line, model: &str| line.models.iter().find(|cell| cell.model == model)?.against_base;
    text.push_str("\nWhat reinforcement did: difference to SFT, 95 % interval over n questions (not adjusted)\n\n");
    differences(&mut text, report, [("ppo", "PPO − SFT"), ("ppo-ptx", "PPO-ptx − SFT")], &to_sft);
    text.push_str("\nWhat the whole did: difference to the base model\n\n");
    differences(&mut text, report, [("sft", "SFT − base"), ("ppo-ptx", "PPO-ptx − base")], &to_base);
    let _ = writeln!(text, "\n{} answers of each model to: {}", report.plan.example_answers, report.question);
    for example in &report.examples {
        let name = report.models.iter().find(|model| model.key == example.model).map_or("", |model| &model.name);
        let _ = writeln!(text, "\n{name} ({} different)", example.different);
        for (times, answer) in grouped(example) {
            let times = if times > 1 { format!("{times}×") } else { String::new() };
            let _ = writeln!(text, "  {times:>2} {}", cut(&shown(answer), COLUMNS - 5));
        }
    }
    text
}

/// Every measure of every model.
fn levels(text: &mut String, report: &Report) {
    let names: Vec<&str> = report.models.iter().map(|model| model.name.as_str()).collect();
    let row = |label: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>11}")).collect();
        format!("{}\n", format!("{label:<34}{cells}").trim_end())
    };
    let mut standing = None;
    for line in &report.measures {
        if standing != Some(line.standing) {
            let head = match line.standing {
                Standing::Gold => "gold",
                Standing::Objective => "the objective trained on, not evidence",
                Standing::Cost => "how far it went, and what it cost",
            };
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let cells = if standing.is_none() { names } else { Vec::new() };
            text.push_str(&row(head, &cells));
            standing = Some(line.standing);
        }
        let arrow = match line.better.as_str() {
            "higher" => " ↑",
            "lower" => " ↓",
            _ => "",
        };
        let cells: Vec<String> =
            line.models.iter().map(|cell| cell.value.map_or("-".to_owned(), |value| number(value.value))).collect();
        text.push_str(&row(&format!("  {}{arrow}", line.name), &cells));
    }
}

/// The differences of two models, where there are any.
fn differences(
    text: &mut String,
    report: &Report,
    columns: [(&str, &str); 2],
    of: &dyn Fn(&Line, &str) -> Option<Estimate>,
) {
    let _ = writeln!(text, "{:<22}{:<35}{:<35}{:>6}", "", columns[0].1, columns[1].1, "n");
    for line in &report.measures {
        let found = columns.map(|(model, _)| of(line, model));
        let Some(n) = found.iter().flatten().map(|difference| difference.n).next() else { continue };
        let cells = found.map(|difference| difference.map_or(String::new(), |one| difference_text(&line.better, &one)));
        let _ = writeln!(text, "{:<22}{:<35}{:<35}{n:>6}", line.name, cells[0], cells[1]);
    }
}

fn difference_text(better: &str, difference: &Estimate) -> String {
    let Some((low, high)) = difference.interval() else { return signed(difference.value) };
    let interval = format!("{} [{}, {}]", signed(difference.value), signed(low), signed(high));
    format!("{interval} {}", verdict(better, difference))
}

/// Three digits behind the point; fewer for larger numbers.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// The same with its sign.
pub(crate) fn signed(value: f64) -> String {
    let text = number(value.abs());
    if text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        return text;
    }
    format!("{}{text}", if value < 0.0 { '−' } else { '+' })
}

/// Different answers with how often each came, in the order of their first.
pub(crate) fn grouped(example: &Example) -> Vec<(usize, &str)> {
    let mut groups: Vec<(usize, &str)> = Vec::new();
    for answer in &example.answers {
        match groups.iter_mut().find(|(_, text)| text == answer) {
            Some((times, _)) => *times += 1,
            None => groups.push((1, answer)),
        }
    }
    groups
}

/// On one line, and never nothing.
fn shown(answer: &str) -> String {
    let line = answer.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "(nothing)".to_owned() } else { line }
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_signs_and_no_false_digits() {
        assert_eq!([number(0.12345), number(12.345), number(1234.5)], ["0.123", "12.3", "1234"]);
        assert_eq!([signed(0.5), signed(-0.25), signed(-0.0001)], ["+0.500", "−0.250", "0.000"]);
    }

    #[test]
    fn equal_answers_are_told_once() {
        let answers = ["yes", "no", "yes"].map(str::to_owned).to_vec();
        let example = Example { model: "m".into(), answers, different: 2, right: 0.0 };
        assert_eq!(grouped(&example), [(2, "yes"), (1, "no")]);
        assert_eq!((shown("a\n b"), shown(" ")), ("a b".to_owned(), "(nothing)".to_owned()));
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}

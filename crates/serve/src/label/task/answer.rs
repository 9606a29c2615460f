//! Between a task's form and what the store keeps: values by the names of inputs, where answers are letters.

use super::super::form::Form;
use super::super::problem::{Problem, sentence};
use label::{
    Assignment, Body, Field, FieldKind, FieldValue, Fields, Id, LabelError, Place, PromptStyle, Rating, TaskKind,
};
use record::Prompt;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Examples of a few-shot prompt at most.
pub const EXAMPLES: usize = 4;
/// Names of a page that are not the person's words.
const NOT_KEPT: [&str; 5] = ["csrf", "submission", "seconds", "action", "include"];

/// What stands in a form, by the names of its inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// Names and values.
    pub by_name: BTreeMap<String, String>,
    /// Seconds of work so far.
    pub seconds: f64,
    /// Whether it comes from a draft.
    pub is_draft: bool,
}

/// The letter of an answer by its place.
pub fn letter(place: usize) -> char {
    (b'A' + place.min(25) as u8) as char
}

fn place_of(name: &str) -> Option<(usize, &str)> {
    let (first, rest) = name.split_once('.')?;
    match first.as_bytes() {
        [b @ b'A'..=b'Z'] => Some(((b - b'A') as usize, rest)),
        _ => None,
    }
}

impl Values {
    /// What stands under a name; nothing is empty.
    pub fn get(&self, name: &str) -> &str {
        self.by_name.get(name).map_or("", String::as_str)
    }

    /// What was sent.
    pub fn of_form(assignment: &Assignment, form: &Form) -> Values {
        let kept = form.fields().filter(|(name, value)| !NOT_KEPT.contains(name) && !value.is_empty());
        let known = kept.filter(|(name, _)| place_of(name).is_none_or(|(place, _)| place < assignment.answers.len()));
        let by_name = known.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Values { by_name, seconds: seconds(form).unwrap_or(0.0), is_draft: false }
    }

    /// What was kept: answers stand there by their number, since letters belong to one page.
    pub fn of_draft(assignment: &Assignment) -> Values {
        let Some(draft) = &assignment.draft else { return Values::default() };
        let fields = draft.body.as_object().into_iter().flatten();
        let by_name = fields.filter_map(|(name, value)| {
            let value = value.as_str()?.to_owned();
            let Some((id, rest)) = name.strip_prefix('#').and_then(|name| name.split_once('.')) else {
                return Some((name.clone(), value));
            };
            let id: Id = id.parse().ok()?;
            let place = assignment.answers.iter().position(|shown| shown.candidate == id)?;
            Some((format!("{}.{rest}", letter(place)), value))
        });
        Values { by_name: by_name.collect(), seconds: draft.seconds, is_draft: true }
    }

    /// What is kept.
    pub fn to_draft(&self, assignment: &Assignment) -> Value {
        let fields = self.by_name.iter().map(|(name, value)| {
            let by_id = place_of(name).and_then(|(place, rest)| Some((assignment.answers.get(place)?, rest)));
            let name = by_id.map_or_else(|| name.clone(), |(shown, rest)| format!("#{}.{rest}", shown.candidate));
            (name, json!(value))
        });
        Value::Object(fields.collect::<Map<_, _>>())
    }

    /// The form that says what a judgement says.
    pub fn of_body(assignment: &Assignment, body: &Body, seconds: Option<f64>) -> Values {
        let mut values = Values { seconds: seconds.unwrap_or(0.0), ..Values::default() };
        let letter_of = |id: Id| assignment.answers.iter().position(|shown| shown.candidate == id).map(letter);
        for rating in body.ratings() {
            if let Some(letter) = letter_of(rating.candidate) {
                values.put_fields(&format!("{letter}.f"), &rating.fields);
            }
        }
        match body {
            Body::WritePrompt { prompt, use_case, .. } => {
                values.put("text", prompt_text(prompt));
                values.put("use_case", use_case.clone().unwrap_or_default());
            }
            Body::Demonstrate { text, fields, notes } => {
                values.put("text", text.clone());
                values.put_fields("text.f", fields);
                values.put("notes", notes.clone());
            }
            Body::Continue { text } => values.put("text", text.clone()),
            Body::Rate { notes, .. } => values.put("notes", notes.clone()),
            Body::Rank { places, all_bad, notes, .. } => {
                for place in places {
                    if let Some(letter) = letter_of(place.candidate) {
                        values.put(&format!("{letter}.rank"), place.rank.to_string());
                    }
                }
                values.put("all_bad", if *all_bad { "yes" } else { "" }.to_owned());
                let is_partial = !all_bad && places.len() < assignment.answers.len();
                values.put("partial", if is_partial { "yes" } else { "" }.to_owned());
                values.put("notes", notes.clone());
            }
            Body::Pairwise { better, notes, .. } => {
                let verdict = match better {
                    Some(id) => letter_of(*id).map(String::from).unwrap_or_default(),
                    None => "tie".to_owned(),
                };
                values.put("verdict", verdict);
                values.put("notes", notes.clone());
            }
            Body::Review { accept, fields, notes } => {
                values.put("verdict", if *accept { "yes" } else { "no" }.to_owned());
                values.put_fields("text.f", fields);
                values.put("notes", notes.clone());
            }
            Body::UseCase { use_case, fields } => {
                values.put("verdict", use_case.clone());
                values.put_fields("text.f", fields);
            }
        }
        values
    }

    fn put(&mut self, name: &str, value: String) {
        if !value.is_empty() {
            self.by_name.insert(name.to_owned(), value);
        }
    }

    fn put_fields(&mut self, prefix: &str, fields: &Fields) {
        for (name, value) in fields {
            let text = match value {
                FieldValue::YesNo(true) => "yes".to_owned(),
                FieldValue::YesNo(false) => "no".to_owned(),
                FieldValue::Number(number) => number.to_string(),
                FieldValue::Text(text) => text.clone(),
            };
            self.put(&format!("{prefix}.{name}"), text);
        }
    }
}

fn prompt_text(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n\n"),
    }
}

/// Seconds of work, as the page counted them.
pub fn seconds(form: &Form) -> Option<f64> {
    form.filled("seconds")?.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
}

/// The judgement that a form makes.
pub fn body(assignment: &Assignment, form: &Form) -> Result<Body, Problem> {
    let notes = || form.text("notes").trim().to_owned();
    Ok(match assignment.kind {
        TaskKind::WritePrompt => write_prompt(assignment, form)?,
        TaskKind::Demonstrate => {
            Body::Demonstrate { text: words(form)?, fields: read_fields(assignment, form, "text.f")?, notes: notes() }
        }
        TaskKind::Continue => Body::Continue { text: words(form)? },
        TaskKind::Rate => Body::Rate { ratings: ratings(assignment, form)?, notes: notes() },
        TaskKind::Rank => Body::Rank {
            places: places(assignment, form)?,
            all_bad: form.ticked("all_bad"),
            ratings: ratings(assignment, form)?,
            notes: notes(),
        },
        TaskKind::Pairwise => {
            Body::Pairwise { better: better(assignment, form)?, ratings: ratings(assignment, form)?, notes: notes() }
        }
        TaskKind::Review => {
            let accept = match form.text("verdict") {
                "yes" => true,
                "no" => false,
                _ => return Err(Problem::Form("Say whether it is good enough.".to_owned())),
            };
            Body::Review { accept, fields: read_fields(assignment, form, "text.f")?, notes: notes() }
        }
        TaskKind::UseCase => {
            let Some(use_case) = form.filled("verdict") else {
                return Err(Problem::Form("Choose a use-case.".to_owned()));
            };
            Body::UseCase { use_case: use_case.to_owned(), fields: read_fields(assignment, form, "text.f")? }
        }
    })
}

/// The text, which must say something. Browsers send line ends as CR LF.
fn words(form: &Form) -> Result<String, Problem> {
    let text = form.text("text").replace("\r\n", "\n");
    let text = text.trim();
    if text.is_empty() { Err(Problem::Form("The text is empty.".to_owned())) } else { Ok(text.to_owned()) }
}

fn write_prompt(assignment: &Assignment, form: &Form) -> Result<Body, Problem> {
    let mut text = words(form)?;
    let style = assignment.brief.as_ref().map_or(PromptStyle::Plain, |brief| brief.style);
    if style == PromptStyle::FewShot {
        let pair = |i: usize| {
            let (query, answer) = (form.filled(&format!("query.{i}")), form.filled(&format!("answer.{i}")));
            query
                .zip(answer)
                .map(|(query, answer)| format!("\n\nQuery: {query}\nAnswer: {answer}").replace("\r\n", "\n"))
        };
        let pairs: Vec<String> = (1..=EXAMPLES).filter_map(pair).collect();
        // A correction has the examples in the text already.
        if pairs.len() < 2 && !text.contains("Query:") {
            return Err(Problem::Form(format!("Found {} whole examples, expected two or more.", pairs.len())));
        }
        text.extend(pairs);
    }
    let use_case = form.filled("use_case").map(str::to_owned);
    let use_case = use_case.or_else(|| assignment.brief.as_ref().and_then(|brief| brief.use_case.clone()));
    Ok(Body::WritePrompt { prompt: Prompt::Text(text), style, use_case })
}

fn places(assignment: &Assignment, form: &Form) -> Result<Vec<Place>, Problem> {
    let mut places = Vec::new();
    let mut missing = Vec::new();
    for (i, shown) in assignment.answers.iter().enumerate() {
        match form.number(&format!("{}.rank", letter(i)), 1..=assignment.answers.len() as u32)? {
            Some(rank) => places.push(Place { candidate: shown.candidate, rank }),
            None => missing.push(letter(i).to_string()),
        }
    }
    let is_excused = form.ticked("partial") || form.ticked("all_bad") && places.is_empty();
    if !missing.is_empty() && !is_excused {
        let s = if missing.len() == 1 { "" } else { "s" };
        return Err(Problem::Form(format!("Not ranked yet: output{s} {}.", missing.join(", "))));
    }
    Ok(places)
}

fn better(assignment: &Assignment, form: &Form) -> Result<Option<Id>, Problem> {
    let verdict = form.text("verdict");
    if verdict == "tie" {
        return Ok(None);
    }
    let chosen = assignment.answers.iter().enumerate().find(|(i, _)| letter(*i).to_string() == verdict);
    chosen
        .map(|(_, shown)| Some(shown.candidate))
        .ok_or_else(|| Problem::Form("Say which output is better.".to_owned()))
}

/// Ratings of the answers about which something was said.
fn ratings(assignment: &Assignment, form: &Form) -> Result<Vec<Rating>, Problem> {
    let mut ratings = Vec::new();
    for (i, shown) in assignment.answers.iter().enumerate() {
        let fields = read_fields(assignment, form, &format!("{}.f", letter(i)))?;
        if !fields.is_empty() {
            ratings.push(Rating { candidate: shown.candidate, fields });
        }
    }
    Ok(ratings)
}

fn read_fields(assignment: &Assignment, form: &Form, prefix: &str) -> Result<Fields, Problem> {
    let mut fields = Fields::new();
    for field in &assignment.fields {
        if let Some(value) = form.filled(&format!("{prefix}.{}", field.name)) {
            fields.insert(field.name.clone(), read_value(field, value)?);
        }
    }
    Ok(fields)
}

fn read_value(field: &Field, value: &str) -> Result<FieldValue, Problem> {
    let wrong = |expected: &str| Problem::Form(format!("{}: found {value:?}, expected {expected}.", field.label));
    match (&field.kind, value) {
        (FieldKind::YesNo, "yes") => Ok(FieldValue::YesNo(true)),
        (FieldKind::YesNo, "no") => Ok(FieldValue::YesNo(false)),
        (FieldKind::YesNo, _) => Err(wrong("yes or no")),
        (FieldKind::Scale { .. }, value) => value.parse().map(FieldValue::Number).map_err(|_| wrong("a whole number")),
        (FieldKind::Choice { .. } | FieldKind::Text, value) => Ok(FieldValue::Text(value.replace("\r\n", "\n"))),
    }
}

/// What is wrong with a form, in the page's own words: outputs by letter, questions by label.
pub fn explain(problem: &Problem, assignment: &Assignment) -> String {
    let Problem::Label(LabelError::Invalid { field, found, expected }) = problem else { return problem.message() };
    let (at, question) = field.rsplit_once('.').map_or((field.as_str(), None), |(at, name)| (at, Some(name)));
    let id = at.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']')?.parse::<Id>().ok());
    let place = id.and_then(|id| assignment.answers.iter().position(|shown| shown.candidate == id));
    let label = question.and_then(|name| assignment.fields.iter().find(|known| known.name == name));
    let mut what: Vec<String> = Vec::new();
    what.extend(place.map(|place| format!("Output {}", letter(place))));
    what.extend(label.map(|field| field.label.clone()));
    if what.is_empty() {
        what.push(field.clone());
    }
    sentence(&format!("{}: found {found}, expected {expected}", what.join(", ")))
}

#[cfg(test)]
mod tests;

//! Judgements as rows carry them: what [`Store::export`](crate::Store::export) writes, and rows of the
//! same shape from elsewhere. They become judgements of a database again
//! ([`Store::import_judgements`](crate::Store::import_judgements)), or statistics without one
//! ([`AgreementReport::of_rows`](crate::AgreementReport::of_rows)).

use std::collections::BTreeMap;

use record::{Prompt, Source};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{Body, Fields, Id, LabelError, Place, Purpose, Rating, Result, TaskKind, prompt};

/// What somebody said, apart from any database.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The row that it was read from (its first, of several), from 1.
    pub row: usize,
    /// Its name elsewhere.
    pub id: Option<String>,
    /// Who said it.
    pub labeler: String,
    /// Their group; empty for none.
    pub group: String,
    /// What said it; absent when the row doesn't tell.
    pub source: Option<Source>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// The guide that stood beside it, in the numbers of where it was said.
    pub guide_version: Option<i64>,
    /// Why it was asked.
    pub purpose: Purpose,
    /// Whether it is the known answer of a gold or qualification item, which nobody in particular gave.
    pub known: bool,
    /// What was asked.
    pub prompt: Prompt,
    /// The prompt's class.
    pub use_case: Option<String>,
    /// The prompt's user.
    pub user_id: Option<String>,
    /// The prompt's language.
    pub language: Option<String>,
    /// What was done: rank, pairwise, rate, demonstrate or review.
    pub kind: TaskKind,
    /// The answers that it is about.
    pub answers: Vec<SaidAnswer>,
    /// Whether none of them is acceptable.
    pub all_bad: bool,
    /// A demonstration's text.
    pub text: String,
    /// Answers to questions about a demonstration, or of a review.
    pub fields: Fields,
    /// A review's verdict.
    pub accept: bool,
    /// Free words.
    pub notes: String,
}

/// An answer, with what is said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaidAnswer {
    /// The answer.
    pub text: String,
    /// Its rank; 1 is best.
    pub rank: Option<u32>,
    /// Answers to questions about it.
    pub fields: Option<Fields>,
    /// What wrote it.
    pub source: Option<Source>,
    /// Which model or file it came from.
    pub origin: String,
    /// Its place among the answers that were shown, from 1.
    pub place: Option<usize>,
}

/// What rows say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statements {
    /// In the order of the rows.
    pub all: Vec<Statement>,
    /// Rows that are no one person's judgement, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
}

/// A row's fields; others are passed over, as the contract has it.
#[derive(Deserialize)]
struct Raw {
    id: Option<String>,
    labeler: Option<String>,
    #[serde(default)]
    group: String,
    source: Option<Source>,
    seconds: Option<f64>,
    guide_version: Option<i64>,
    purpose: Option<Purpose>,
    #[serde(default)]
    known: bool,
    prompt: Option<Prompt>,
    use_case: Option<String>,
    user_id: Option<String>,
    language: Option<String>,
    kind: Option<TaskKind>,
    completions: Option<Vec<RawAnswer>>,
    completion: Option<String>,
    label: Option<bool>,
    #[serde(default)]
    all_bad: bool,
    fields: Option<Fields>,
    #[serde(default)]
    origin: String,
    #[serde(default)]
    notes: String,
}

#[derive(Deserialize)]
struct RawAnswer {
    text: String,
    rank: Option<u32>,
    source: Option<Source>,
    #[serde(default)]
    origin: String,
    place: Option<usize>,
    fields: Option<Fields>,
}

impl Statements {
    /// Reads rows, each with its number from 1. Rows of ratings with one `id` (or of one labeler on
    /// one prompt) are one judgement; a rating that its ranking's row carries too counts once.
    pub fn read<'a>(rows: impl IntoIterator<Item = (usize, &'a Json)>) -> Result<Statements> {
        let mut read = Statements::default();
        // Where the judgement of each name stands, and the rating of each person on each prompt.
        let mut named = BTreeMap::<(String, TaskKind), usize>::new();
        for (row, value) in rows {
            if let Some(reason) = no_statement(value) {
                *read.left_out.entry(reason).or_default() += 1;
                continue;
            }
            let statement = statement(row, value)?;
            let name = match (&statement.id, statement.kind) {
                (Some(id), _) => id.clone(),
                (None, TaskKind::Rate) => format!("{} {}", statement.labeler, prompt::hash(&statement.prompt)),
                (None, _) => String::new(),
            };
            if name.is_empty() {
                read.all.push(statement);
            } else if let Some(&at) = named.get(&(name.clone(), statement.kind)) {
                read.join(at, statement)?;
            } else {
                named.insert((name, statement.kind), read.all.len());
                read.all.push(statement);
            }
        }
        let carried = |statement: &Statement| {
            let carries = |kind| statement.id.as_ref().is_some_and(|id| named.contains_key(&(id.clone(), kind)));
            statement.kind == TaskKind::Rate && (carries(TaskKind::Rank) || carries(TaskKind::Pairwise))
        };
        let n = read.all.len();
        read.all.retain(|statement| !carried(statement));
        if read.all.len() < n {
            read.left_out.insert("ratings that a ranking's row has too", n - read.all.len());
        }
        Ok(read)
    }

    /// Joins another answer's rating to a judgement; any other second row of one name is refused.
    fn join(&mut self, at: usize, other: Statement) -> Result<()> {
        let known = &mut self.all[at];
        if known.kind != TaskKind::Rate {
            let found = format!("{:?} a second time", other.id.unwrap_or_default());
            return Err(wrong(other.row, "id", found, format!("names of their own; row {} has it", known.row)));
        }
        if known.labeler != other.labeler || prompt::hash(&known.prompt) != prompt::hash(&other.prompt) {
            return Err(wrong(other.row, "id", "the name of another judgement", "one person's ratings of one prompt"));
        }
        for answer in other.answers {
            if known.answers.iter().any(|own| own.text == answer.text) {
                return Err(wrong(other.row, "completion", "a second rating of one answer", "one rating"));
            }
            known.answers.push(answer);
        }
        Ok(())
    }
}

/// Why a row is no one person's judgement.
fn no_statement(row: &Json) -> Option<&'static str> {
    let has = |name: &str| row.get(name).is_some_and(|value| !value.is_null());
    if has("judgements") {
        return Some("made of several people's judgements");
    }
    if has("chosen") || has("rejected") {
        return Some("a pair, not the ranking that it is of");
    }
    let says = has("completions") || has("completion");
    if !says {
        return Some("no answers");
    }
    let is_known = row.get("known").and_then(Json::as_bool).unwrap_or(false);
    (!has("labeler") && !is_known).then_some("no labeler")
}

fn wrong(row: usize, field: &str, found: impl Into<String>, expected: impl Into<String>) -> LabelError {
    LabelError::invalid(format!("row {row}: {field}"), found, expected)
}

fn statement(row: usize, value: &Json) -> Result<Statement> {
    let raw: Raw = serde_json::from_value(without_nulls(value))
        .map_err(|error| wrong(row, "row", error.to_string(), "a judgement, as `label export` writes them"))?;
    let prompt = raw.prompt.ok_or_else(|| wrong(row, "prompt", "nothing", "text or messages"))?;
    let kind = match (raw.kind, &raw.completions, raw.label, &raw.fields) {
        (Some(kind), ..) => kind,
        (None, Some(_), ..) => TaskKind::Rank,
        (None, None, Some(_), _) => TaskKind::Review,
        (None, None, None, Some(_)) => TaskKind::Rate,
        (None, None, None, None) => TaskKind::Demonstrate,
    };
    let mut statement = Statement {
        row,
        id: raw.id,
        labeler: raw.labeler.unwrap_or_default(),
        group: raw.group,
        source: raw.source,
        seconds: raw.seconds,
        guide_version: raw.guide_version,
        purpose: raw.purpose.unwrap_or_default(),
        known: raw.known,
        prompt,
        use_case: raw.use_case,
        user_id: raw.user_id,
        language: raw.language,
        kind,
        answers: Vec::new(),
        all_bad: raw.all_bad,
        text: String::new(),
        fields: Fields::new(),
        accept: false,
        notes: raw.notes,
    };
    let one = || raw.completion.clone().ok_or_else(|| wrong(row, "completion", "nothing", "an answer's text"));
    match kind {
        TaskKind::Rank | TaskKind::Pairwise => {
            let found = raw.completions.ok_or_else(|| wrong(row, "completions", "nothing", "ranked answers"))?;
            statement.answers = ranked(row, found)?;
        }
        TaskKind::Rate => {
            let (text, origin) = (one()?, raw.origin);
            let fields = raw.fields.ok_or_else(|| wrong(row, "fields", "nothing", "answers to questions"))?;
            statement.answers.push(SaidAnswer { text, origin, fields: Some(fields), ..SaidAnswer::default() });
        }
        TaskKind::Review => {
            statement.answers.push(SaidAnswer { text: one()?, ..SaidAnswer::default() });
            statement.accept = raw.label.ok_or_else(|| wrong(row, "label", "nothing", "true or false"))?;
            statement.fields = raw.fields.unwrap_or_default();
        }
        TaskKind::Demonstrate => {
            statement.text = one()?;
            statement.fields = raw.fields.unwrap_or_default();
        }
        other => {
            return Err(wrong(row, "kind", other.as_str(), "rank, pairwise, rate, demonstrate or review"));
        }
    }
    Ok(statement)
}

/// Tables have a column for what only some rows say.
fn without_nulls(value: &Json) -> Json {
    match value {
        Json::Object(fields) => {
            let said = fields.iter().filter(|(_, value)| !value.is_null());
            Json::Object(said.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Json::Array(values) => values.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn ranked(row: usize, found: Vec<RawAnswer>) -> Result<Vec<SaidAnswer>> {
    let mut answers: Vec<SaidAnswer> = Vec::new();
    for (i, answer) in found.into_iter().enumerate() {
        let at = |field: &str| format!("completions[{i}].{field}");
        if answers.iter().any(|known| known.text == answer.text) {
            return Err(wrong(row, &at("text"), "an answer a second time", "different answers"));
        }
        if answer.rank.is_none_or(|rank| rank == 0) {
            let found = answer.rank.map_or("nothing".to_owned(), |rank| rank.to_string());
            return Err(wrong(row, &at("rank"), found, "a whole number from 1"));
        }
        let RawAnswer { text, rank, source, origin, place, fields } = answer;
        answers.push(SaidAnswer { text, rank, fields, source, origin, place });
    }
    if answers.len() < 2 {
        return Err(wrong(row, "completions", format!("{} answers", answers.len()), "two or more"));
    }
    Ok(answers)
}

impl Statement {
    /// The same as a database's judgement, its answers by the numbers that they have there.
    pub fn body(&self, number: impl Fn(&str) -> Id) -> Body {
        let rating = |answer: &SaidAnswer| {
            let fields = answer.fields.clone()?;
            Some(Rating { candidate: number(&answer.text), fields })
        };
        let ratings: Vec<Rating> = self.answers.iter().filter_map(rating).collect();
        let notes = self.notes.clone();
        match self.kind {
            TaskKind::Pairwise => {
                let best = self.answers.iter().filter_map(|answer| answer.rank).min();
                let mut best = self.answers.iter().filter(|answer| answer.rank == best);
                let better = best.next().filter(|_| best.next().is_none()).map(|answer| number(&answer.text));
                Body::Pairwise { better, ratings, notes }
            }
            TaskKind::Rate => Body::Rate { ratings, notes },
            TaskKind::Review => Body::Review { accept: self.accept, fields: self.fields.clone(), notes },
            TaskKind::Demonstrate => Body::Demonstrate { text: self.text.clone(), fields: self.fields.clone(), notes },
            _ => {
                let place = |answer: &SaidAnswer| Some(Place { candidate: number(&answer.text), rank: answer.rank? });
                let places = self.answers.iter().filter_map(place).collect();
                Body::Rank { places, all_bad: self.all_bad, ratings, notes }
            }
        }
    }

    /// Whether it orders answers.
    pub(crate) fn ranks(&self) -> bool {
        matches!(self.kind, TaskKind::Rank | TaskKind::Pairwise)
    }
}

/// Statements that are about the same answers: a task.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The answers' texts, in the order in which the first that has all of them says them.
    pub answers: Vec<String>,
    /// The statements' places in the list, in order.
    pub members: Vec<usize>,
}

/// Groups statements by `key` (which must tell prompts and kinds apart) and answers. With `partial`
/// one that leaves answers out joins those that have them all.
pub(crate) fn groups<K: Ord>(statements: &[Statement], key: impl Fn(&Statement) -> K, partial: bool) -> Vec<Group> {
    let mut order: Vec<usize> = (0..statements.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(statements[i].answers.len()));
    let mut by_key = BTreeMap::<K, Vec<Group>>::new();
    for i in order {
        let texts: Vec<&String> = statements[i].answers.iter().map(|answer| &answer.text).collect();
        let of_key = by_key.entry(key(&statements[i])).or_default();
        let fits = |group: &&mut Group| {
            let is_whole = group.answers.len() == texts.len() || partial;
            is_whole && texts.iter().all(|text| group.answers.contains(text))
        };
        match of_key.iter_mut().find(fits) {
            Some(group) => group.members.push(i),
            None => of_key.push(Group { answers: texts.into_iter().cloned().collect(), members: vec![i] }),
        }
    }
    let mut groups: Vec<Group> = by_key.into_values().flatten().collect();
    groups.iter_mut().for_each(|group| group.members.sort_unstable());
    groups.sort_by_key(|group| group.members[0]);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(rows: &[Json]) -> Result<Statements> {
        Statements::read(rows.iter().enumerate().map(|(i, row)| (i + 1, row)))
    }

    fn ranking(labeler: &str, answers: &[(&str, u32)]) -> Json {
        let completions: Vec<Json> =
            answers.iter().map(|(text, rank)| json!({"text": text, "rank": rank, "other": 1})).collect();
        json!({"prompt": "p", "labeler": labeler, "completions": completions})
    }

    #[test]
    fn rows_of_every_kind_are_statements_and_others_are_counted() {
        let rows = [
            ranking("l", &[("a", 2), ("b", 1)]),
            json!({"prompt": "p", "completion": "a", "fields": {"rating": 5}, "labeler": "l", "id": "x-1"}),
            json!({"prompt": "p", "completion": "b", "fields": {"rating": 2}, "labeler": "l", "id": "x-1"}),
            json!({"prompt": "p", "completion": "mine", "labeler": "l", "group": null, "fields": null}),
            json!({"prompt": "p", "completion": "mine", "label": true, "fields": {"quality": 6}, "labeler": "r"}),
            json!({"prompt": "p", "chosen": "a", "rejected": "b", "labeler": "l"}),
            json!({"prompt": "p", "completions": [], "judgements": 3}),
            json!({"prompt": "p", "completion": "x"}),
            json!({"prompt": "p"}),
        ];
        let found = read(&rows).unwrap();
        let kinds: Vec<TaskKind> = found.all.iter().map(|statement| statement.kind).collect();
        assert_eq!(kinds, [TaskKind::Rank, TaskKind::Rate, TaskKind::Demonstrate, TaskKind::Review]);
        assert_eq!(found.left_out.values().sum::<usize>(), 4);
        let number = |text: &str| if text == "a" { 7 } else { 8 };
        assert_eq!(found.all[1].body(number).ratings().len(), 2);
        let places = [Place { candidate: 7, rank: 2 }, Place { candidate: 8, rank: 1 }];
        assert_eq!(found.all[0].body(number).places(&[]), places);
        let mut pair = found.all[0].clone();
        pair.kind = TaskKind::Pairwise;
        assert!(matches!(pair.body(number), Body::Pairwise { better: Some(8), .. }));
        pair.answers[0].rank = Some(1);
        assert!(matches!(pair.body(number), Body::Pairwise { better: None, .. }));
    }

    #[test]
    fn a_wrong_row_says_where_and_what() {
        let named = |id: &str| {
            let mut row = ranking("l", &[("a", 1), ("b", 2)]);
            row["id"] = id.into();
            row
        };
        for (rows, expected) in [
            (vec![ranking("l", &[("a", 0), ("b", 1)])], "row 1: completions[0].rank: found 0, expected a whole number"),
            (vec![ranking("l", &[("a", 1), ("a", 2)])], "row 1: completions[1].text: found an answer a second time"),
            (vec![ranking("l", &[("a", 1)])], "row 1: completions: found 1 answers, expected two or more"),
            (vec![named("x"), named("x")], "row 2: id: found \"x\" a second time, expected names of their own; row 1"),
            (vec![json!({"prompt": 3, "completion": "a", "labeler": "l"})], "row 1: row: found"),
            (
                vec![json!({"prompt": "p", "completion": "a", "labeler": "l", "fields": {"r": 1.5}})],
                "expected a judgement, as `label export` writes them",
            ),
        ] {
            let error = read(&rows).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn who_leaves_answers_out_joins_who_does_not() {
        let rows = [
            ranking("l", &[("b", 1), ("a", 2)]),
            ranking("m", &[("a", 1), ("b", 2), ("c", 3)]),
            ranking("n", &[("d", 1), ("a", 2)]),
        ];
        let all = read(&rows).unwrap().all;
        let members = |partial| -> Vec<Vec<usize>> {
            groups(&all, |_| 0, partial).into_iter().map(|group| group.members).collect()
        };
        assert_eq!(members(true), [vec![0, 1], vec![2]]);
        assert_eq!(members(false), [vec![0], vec![1], vec![2]]);
    }
}

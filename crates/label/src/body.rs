//! What a person says about a task, and whether it fits the task.

use std::collections::{BTreeMap, BTreeSet};

use record::Prompt;
use serde::{Deserialize, Serialize};

use crate::check::{self, TEXT_BYTES_MAX};
use crate::{Field, FieldKind, FieldOf, Id, LabelError, Result, Settings, TaskKind};

/// Answers to a project's questions, by the question's name.
pub type Fields = BTreeMap<String, FieldValue>;

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// Yes or no.
    YesNo(bool),
    /// A step of a scale.
    Number(i64),
    /// Words, or one of the choices.
    Text(String),
}

/// The answers about one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rating {
    /// Which.
    pub candidate: Id,
    /// What was answered.
    pub fields: Fields,
}

/// A candidate's rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Which.
    pub candidate: Id,
    /// 1 is best; equal ranks are ties; only the order counts.
    pub rank: u32,
}

/// What kind of prompt was written (arXiv 2203.02155, §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// Any task.
    #[default]
    Plain,
    /// An instruction with several examples of it.
    FewShot,
    /// For a use-case that somebody asked for.
    UseCase,
}

/// A judgement's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// A prompt that the person wrote.
    WritePrompt {
        /// The prompt.
        prompt: Prompt,
        /// What kind of prompt.
        #[serde(default)]
        style: PromptStyle,
        /// Its use-case.
        #[serde(default)]
        use_case: Option<String>,
    },
    /// The answer that the person would want.
    Demonstrate {
        /// The answer.
        text: String,
        /// Answers to questions about it.
        #[serde(default)]
        fields: Fields,
        /// Free words.
        #[serde(default)]
        notes: String,
    },
    /// Every candidate rated by itself.
    Rate {
        /// A rating for each.
        ratings: Vec<Rating>,
        /// Free words.
        #[serde(default)]
        notes: String,
    },
    /// The candidates in order.
    Rank {
        /// The ranks.
        places: Vec<Place>,
        /// None of them is acceptable. Ranks count all the same when they are given.
        #[serde(default)]
        all_bad: bool,
        /// A rating for each, where the project asks for them.
        #[serde(default)]
        ratings: Vec<Rating>,
        /// Free words.
        #[serde(default)]
        notes: String,
    },
    /// The better of two.
    Pairwise {
        /// Which; nothing for a tie.
        better: Option<Id>,
        /// A rating for each, where the project asks for them.
        #[serde(default)]
        ratings: Vec<Rating>,
        /// Free words.
        #[serde(default)]
        notes: String,
    },
    /// The next message of a conversation.
    Continue {
        /// The message.
        text: String,
    },
    /// Whether something is good enough.
    Review {
        /// Whether.
        accept: bool,
        /// Answers to questions about it.
        #[serde(default)]
        fields: Fields,
        /// Free words.
        #[serde(default)]
        notes: String,
    },
    /// A prompt's class.
    UseCase {
        /// One of the project's.
        use_case: String,
        /// Answers to questions about the prompt.
        #[serde(default)]
        fields: Fields,
    },
}

impl Body {
    /// Which kind of task it answers.
    pub fn kind(&self) -> TaskKind {
        match self {
            Body::WritePrompt { .. } => TaskKind::WritePrompt,
            Body::Demonstrate { .. } => TaskKind::Demonstrate,
            Body::Rate { .. } => TaskKind::Rate,
            Body::Rank { .. } => TaskKind::Rank,
            Body::Pairwise { .. } => TaskKind::Pairwise,
            Body::Continue { .. } => TaskKind::Continue,
            Body::Review { .. } => TaskKind::Review,
            Body::UseCase { .. } => TaskKind::UseCase,
        }
    }

    /// The ratings in it.
    pub fn ratings(&self) -> &[Rating] {
        match self {
            Body::Rate { ratings, .. } | Body::Rank { ratings, .. } | Body::Pairwise { ratings, .. } => ratings,
            _ => &[],
        }
    }

    /// The ranks in it, of a pairwise judgement too. `candidates` are the task's.
    pub fn places(&self, candidates: &[Id]) -> Vec<Place> {
        match self {
            Body::Rank { places, .. } => places.clone(),
            Body::Pairwise { better, .. } => {
                let rank = |id: Id| if better.is_none_or(|better| better == id) { 1 } else { 2 };
                candidates.iter().map(|&candidate| Place { candidate, rank: rank(candidate) }).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes the person's words out: what erasure leaves are numbers and choices.
    pub(crate) fn without_words(self) -> Body {
        let wordless = |fields: Fields| -> Fields {
            fields.into_iter().filter(|(_, value)| !matches!(value, FieldValue::Text(_))).collect()
        };
        let each = |ratings: Vec<Rating>| -> Vec<Rating> {
            let one = |rating: Rating| Rating { fields: wordless(rating.fields), ..rating };
            ratings.into_iter().map(one).collect()
        };
        let notes = String::new();
        match self {
            Body::WritePrompt { style, use_case, .. } => {
                Body::WritePrompt { prompt: Prompt::Text(String::new()), style, use_case }
            }
            Body::Demonstrate { fields, .. } => {
                Body::Demonstrate { text: String::new(), fields: wordless(fields), notes }
            }
            Body::Rate { ratings, .. } => Body::Rate { ratings: each(ratings), notes },
            Body::Rank { places, all_bad, ratings, .. } => {
                Body::Rank { places, all_bad, ratings: each(ratings), notes }
            }
            Body::Pairwise { better, ratings, .. } => Body::Pairwise { better, ratings: each(ratings), notes },
            Body::Continue { .. } => Body::Continue { text: String::new() },
            Body::Review { accept, fields, .. } => Body::Review { accept, fields: wordless(fields), notes },
            Body::UseCase { use_case, fields } => Body::UseCase { use_case, fields: wordless(fields) },
        }
    }

    /// Refuses what doesn't fit a task of this kind with these candidates.
    pub fn check(&self, kind: TaskKind, candidates: &[Id], settings: &Settings) -> Result<()> {
        if self.kind() != kind {
            let (found, expected) = (self.kind().as_str(), kind.as_str());
            return Err(LabelError::invalid("kind", found, expected));
        }
        let ranking = &settings.ranking;
        match self {
            Body::WritePrompt { prompt, use_case, .. } => {
                check_prompt(prompt, settings.prompts.characters_max)?;
                use_case.as_ref().map_or(Ok(()), |name| check_use_case(name, settings))
            }
            Body::Demonstrate { text, fields, notes } => {
                check::text("text", text, TEXT_BYTES_MAX)?;
                check::optional_text("notes", notes, TEXT_BYTES_MAX)?;
                check_fields("fields", fields, &settings.fields_of(FieldOf::Demonstration))
            }
            Body::Rate { ratings, notes } => {
                check::optional_text("notes", notes, TEXT_BYTES_MAX)?;
                check_ratings(ratings, candidates, settings, true)
            }
            Body::Rank { places, all_bad, ratings, notes } => {
                check::optional_text("notes", notes, TEXT_BYTES_MAX)?;
                if *all_bad && !ranking.all_bad {
                    return Err(LabelError::invalid("all_bad", "true", "a ranking: this project has no \"all bad\""));
                }
                check_places(places, candidates, settings, *all_bad)?;
                check_ratings(ratings, candidates, settings, ranking.rate_each)
            }
            Body::Pairwise { better, ratings, notes } => {
                check::optional_text("notes", notes, TEXT_BYTES_MAX)?;
                match better {
                    Some(id) if !candidates.contains(id) => {
                        return Err(LabelError::invalid("better", format!("answer {id}"), "one of the two answers"));
                    }
                    None if !ranking.ties => {
                        return Err(LabelError::invalid("better", "a tie", "one answer: this project has no ties"));
                    }
                    _ => {}
                }
                check_ratings(ratings, candidates, settings, ranking.rate_each)
            }
            Body::Continue { text } => check::text("text", text, TEXT_BYTES_MAX),
            Body::Review { fields, notes, .. } => {
                check::optional_text("notes", notes, TEXT_BYTES_MAX)?;
                check_fields("fields", fields, &settings.fields_of(FieldOf::Review))
            }
            Body::UseCase { use_case, fields } => {
                check_use_case(use_case, settings)?;
                check_fields("fields", fields, &settings.fields_of(FieldOf::Prompt))
            }
        }
    }
}

/// A prompt that says something and fits.
pub(crate) fn check_prompt(prompt: &Prompt, characters_max: usize) -> Result<()> {
    let texts: Vec<&str> = match prompt {
        Prompt::Text(text) => vec![text],
        Prompt::Messages(messages) => messages.iter().map(|message| message.content.as_str()).collect(),
    };
    let n: usize = texts.iter().map(|text| text.chars().count()).sum();
    if n > characters_max {
        let expected = format!("at most {characters_max}");
        return Err(LabelError::invalid("prompt", format!("{n} characters"), expected));
    }
    texts.iter().try_for_each(|text| check::optional_text("prompt", text, 4 * characters_max))?;
    check::text("prompt", &texts.concat(), usize::MAX)
}

fn check_use_case(name: &str, settings: &Settings) -> Result<()> {
    if settings.use_cases.iter().any(|known| known == name) {
        return Ok(());
    }
    let expected = format!("one of {}", settings.use_cases.join(", "));
    Err(LabelError::invalid("use_case", check::shown(name), expected))
}

fn check_places(places: &[Place], candidates: &[Id], settings: &Settings, all_bad: bool) -> Result<()> {
    let mut seen = BTreeSet::new();
    for &Place { candidate, rank } in places {
        let field = format!("places[{candidate}]");
        if !candidates.contains(&candidate) {
            return Err(LabelError::invalid(field, "an answer of another task", "one of this task's answers"));
        }
        if !seen.insert(candidate) {
            return Err(LabelError::invalid(field, "a second rank", "one rank"));
        }
        if rank == 0 || rank as usize > candidates.len().max(9) {
            return Err(LabelError::invalid(field, format!("rank {rank}"), format!("1 to {}", candidates.len())));
        }
    }
    let (n, all) = (places.len(), candidates.len());
    let ranks: BTreeSet<u32> = places.iter().map(|place| place.rank).collect();
    if !settings.ranking.ties && ranks.len() < n {
        return Err(LabelError::invalid("places", "answers that share a rank", "ranks of their own: no ties here"));
    }
    if all_bad && n == 0 {
        return Ok(());
    }
    let least = if settings.ranking.partial { 2.min(all) } else { all };
    if n < least {
        let expected = if settings.ranking.partial { "at least 2" } else { "all" };
        return Err(LabelError::invalid("places", format!("{n} of {all} answers ranked"), expected));
    }
    Ok(())
}

fn check_ratings(ratings: &[Rating], candidates: &[Id], settings: &Settings, needed: bool) -> Result<()> {
    let fields = settings.fields_of(FieldOf::Answer);
    let mut seen = BTreeSet::new();
    for rating in ratings {
        let at = format!("ratings[{}]", rating.candidate);
        if !candidates.contains(&rating.candidate) {
            return Err(LabelError::invalid(at, "an answer of another task", "one of this task's answers"));
        }
        if !seen.insert(rating.candidate) {
            return Err(LabelError::invalid(at, "a second rating", "one rating"));
        }
        check_fields(&at, &rating.fields, &fields)?;
    }
    let is_asked = needed && fields.iter().any(|field| field.required);
    match candidates.iter().find(|id| is_asked && !seen.contains(id)) {
        Some(id) => Err(LabelError::invalid(format!("ratings[{id}]"), "nothing", "a rating of each answer")),
        None => Ok(()),
    }
}

fn check_fields(at: &str, found: &Fields, fields: &[Field]) -> Result<()> {
    for (name, value) in found {
        let at = format!("{at}.{name}");
        let Some(field) = fields.iter().find(|field| field.name == *name) else {
            return Err(LabelError::invalid(at, "an answer", "no such question in this project"));
        };
        check_value(&at, value, &field.kind)?;
    }
    match fields.iter().find(|field| field.required && !found.contains_key(&field.name)) {
        Some(field) => Err(LabelError::invalid(format!("{at}.{}", field.name), "nothing", "an answer")),
        None => Ok(()),
    }
}

fn check_value(at: &str, value: &FieldValue, kind: &FieldKind) -> Result<()> {
    let (fits, expected) = match (kind, value) {
        (FieldKind::YesNo, value) => (matches!(value, FieldValue::YesNo(_)), "yes or no".to_owned()),
        (FieldKind::Scale { min, max, .. }, value) => {
            let fits = matches!(value, FieldValue::Number(n) if n >= min && n <= max);
            (fits, format!("a whole number from {min} to {max}"))
        }
        (FieldKind::Choice { options }, value) => {
            let fits = matches!(value, FieldValue::Text(text) if options.contains(text));
            (fits, format!("one of {}", options.join(", ")))
        }
        (FieldKind::Text, FieldValue::Text(text)) => {
            check::optional_text("a text field", text, TEXT_BYTES_MAX)?;
            (true, String::new())
        }
        (FieldKind::Text, _) => (false, "text".to_owned()),
    };
    if fits {
        return Ok(());
    }
    let found = match value {
        FieldValue::YesNo(value) => value.to_string(),
        FieldValue::Number(value) => value.to_string(),
        FieldValue::Text(text) => check::shown(text),
    };
    Err(LabelError::invalid(at, found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> Settings {
        let fields = "[[field]]\nname = \"rating\"\nlabel = \"r\"\nrequired = true\nkind = { scale = { min = 1, max = 7 } }\n\
                      [[field]]\nname = \"harmful\"\nlabel = \"h\"\nkind = \"yes_no\"\n";
        Settings::from_toml(&format!("{more}\n{fields}")).unwrap()
    }

    fn check(body: &str, settings: &Settings, kind: TaskKind, expected: &str) {
        let body: Body = serde_json::from_str(body).unwrap();
        let found = match body.check(kind, &[11, 12, 13], settings) {
            Ok(()) => "fits".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_ranking_must_say_all_that_is_asked() {
        let rank = |places: &str, more: &str| {
            let places: Vec<String> = places
                .split(' ')
                .filter(|place| !place.is_empty())
                .map(|place| {
                    let (candidate, rank) = place.split_once(':').unwrap();
                    format!(r#"{{"candidate":{candidate},"rank":{rank}}}"#)
                })
                .collect();
            format!(r#"{{"kind":"rank","places":[{}]{more}}}"#, places.join(","))
        };
        let plain = settings("ranking = { rate_each = false }");
        check(&rank("11:1 12:1 13:2", ""), &plain, TaskKind::Rank, "fits");
        check(&rank("11:1 12:2", ""), &plain, TaskKind::Rank, "places: found 2 of 3 answers ranked, expected all");
        check(
            &rank("11:1 12:2 14:3", ""),
            &plain,
            TaskKind::Rank,
            "places[14]: found an answer of another task, expected one of this task's answers",
        );
        check(
            &rank("11:1 12:2 12:3", ""),
            &plain,
            TaskKind::Rank,
            "places[12]: found a second rank, expected one rank",
        );
        check(&rank("11:0 12:2 13:3", ""), &plain, TaskKind::Rank, "places[11]: found rank 0, expected 1 to 3");
        check(&rank("", r#","all_bad":true"#), &plain, TaskKind::Rank, "fits");
        check(&rank("11:1 12:1 13:2", ""), &plain, TaskKind::Rate, "kind: found rank, expected rate");
        let strict = settings("ranking = { rate_each = false, ties = false, partial = true, all_bad = false }");
        check(&rank("11:2 12:1", ""), &strict, TaskKind::Rank, "fits");
        check(&rank("11:1", ""), &strict, TaskKind::Rank, "places: found 1 of 3 answers ranked, expected at least 2");
        check(
            &rank("11:1 12:1", ""),
            &strict,
            TaskKind::Rank,
            "places: found answers that share a rank, expected ranks of their own: no ties here",
        );
        check(
            &rank("", r#","all_bad":true"#),
            &strict,
            TaskKind::Rank,
            "all_bad: found true, expected a ranking: this project has no \"all bad\"",
        );
        let rated = settings("");
        check(
            &rank("11:1 12:2 13:3", r#","ratings":[{"candidate":11,"fields":{"rating":4}}]"#),
            &rated,
            TaskKind::Rank,
            "ratings[12]: found nothing, expected a rating of each answer",
        );
    }

    #[test]
    fn a_rating_must_answer_the_projects_questions() {
        let settings = settings("");
        let rate = |fields: &str| {
            let one = |id| format!(r#"{{"candidate":{id},"fields":{{{fields}}}}}"#);
            format!(r#"{{"kind":"rate","ratings":[{},{},{}]}}"#, one(11), one(12), one(13))
        };
        check(&rate(r#""rating":7,"harmful":false"#), &settings, TaskKind::Rate, "fits");
        check(&rate(""), &settings, TaskKind::Rate, "ratings[11].rating: found nothing, expected an answer");
        check(
            &rate(r#""rating":8"#),
            &settings,
            TaskKind::Rate,
            "ratings[11].rating: found 8, expected a whole number from 1 to 7",
        );
        check(
            &rate(r#""rating":1,"harmful":"yes""#),
            &settings,
            TaskKind::Rate,
            "ratings[11].harmful: found \"yes\", expected yes or no",
        );
        check(
            &rate(r#""rating":1,"nice":true"#),
            &settings,
            TaskKind::Rate,
            "ratings[11].nice: found an answer, expected no such question in this project",
        );
    }

    #[test]
    fn a_pair_is_two_places() {
        let better = |better| Body::Pairwise { better, ratings: vec![], notes: String::new() };
        let ranks = |body: Body| body.places(&[5, 6]).iter().map(|place| place.rank).collect::<Vec<_>>();
        assert_eq!(ranks(better(Some(6))), [2, 1]);
        assert_eq!(ranks(better(None)), [1, 1]);
    }

    #[test]
    fn erased_words_leave_the_numbers() {
        let body: Body = serde_json::from_str(
            r#"{"kind":"rate","ratings":[{"candidate":1,"fields":{"rating":3,"why":"I, Ada, say so"}}],"notes":"Ada"}"#,
        )
        .unwrap();
        let text = serde_json::to_string(&body.without_words()).unwrap();
        assert!(text.contains(r#""rating":3"#) && !text.contains("Ada"), "{text}");
    }
}

//! A judgement in a few words.

use super::super::task::spaced;
use super::super::text::opening;
use label::{Body, FieldValue, Fields};

/// What it says, without naming answers.
pub fn of_body(body: &Body) -> String {
    match body {
        Body::WritePrompt { prompt, .. } => opening(&super::super::home::plain(prompt), 80),
        Body::Demonstrate { text, .. } | Body::Continue { text } => opening(text, 80),
        Body::Rate { ratings, .. } => {
            ratings.iter().map(|rating| of_fields(&rating.fields)).collect::<Vec<_>>().join("; ")
        }
        Body::Rank { places, all_bad, .. } => {
            let mut parts = vec![ranks(places.iter().map(|place| place.rank).collect())];
            if *all_bad {
                parts.push("all bad".to_owned());
            }
            parts.retain(|part| !part.is_empty());
            parts.join(", ")
        }
        Body::Pairwise { better: Some(_), .. } => "one is better".to_owned(),
        Body::Pairwise { better: None, .. } => "about the same".to_owned(),
        Body::Review { accept, .. } => if *accept { "keep" } else { "discard" }.to_owned(),
        Body::UseCase { use_case, .. } => spaced(use_case),
    }
}

/// What it says beyond what stands at each answer.
pub fn beside_answers(body: &Body) -> String {
    match body {
        Body::Rate { .. } | Body::Rank { all_bad: false, .. } => String::new(),
        Body::Rank { all_bad: true, .. } => "all bad".to_owned(),
        other => of_body(other),
    }
}

/// The ranks that were given, in order: `ranks 1, 2, 2, 4`.
fn ranks(mut ranks: Vec<u32>) -> String {
    if ranks.is_empty() {
        return String::new();
    }
    ranks.sort_unstable();
    format!("ranks {}", ranks.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))
}

/// Numbers, what was answered with yes, and choices.
pub fn of_fields(fields: &Fields) -> String {
    let part = |(name, value): (&String, &FieldValue)| match value {
        FieldValue::YesNo(true) => Some(spaced(name)),
        FieldValue::YesNo(false) => None,
        FieldValue::Number(number) => Some(format!("{} {number}", spaced(name))),
        FieldValue::Text(text) => Some(format!("{}: {}", spaced(name), opening(text, 40))),
    };
    fields.iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// The free words in it.
pub fn notes(body: &Body) -> &str {
    match body {
        Body::Demonstrate { notes, .. }
        | Body::Rate { notes, .. }
        | Body::Rank { notes, .. }
        | Body::Pairwise { notes, .. }
        | Body::Review { notes, .. } => notes,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use label::Place;

    #[test]
    fn a_judgement_in_a_few_words() {
        let places = [(1, 2), (2, 1), (3, 2)].map(|(candidate, rank)| Place { candidate, rank }).to_vec();
        let body = Body::Rank { places, all_bad: true, ratings: Vec::new(), notes: "n".into() };
        assert_eq!((of_body(&body).as_str(), notes(&body)), ("ranks 1, 2, 2, all bad", "n"));
        let fields = Fields::from([
            ("gives_harm".to_owned(), FieldValue::YesNo(true)),
            ("opinion".to_owned(), FieldValue::YesNo(false)),
            ("overall".to_owned(), FieldValue::Number(6)),
        ]);
        assert_eq!(of_fields(&fields), "gives harm, overall 6");
    }
}

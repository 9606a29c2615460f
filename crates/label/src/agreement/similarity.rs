//! How alike two judgements are, as one number from 0 to 1.

use std::collections::BTreeMap;

use statistics::rank_agreement::{PairCounts, count};

use crate::{Body, FieldValue, Fields, Id, Judgement, Place};

/// The agreement of two judgements on one task: of rankings the share of pairs on which both say the
/// same of better, worse and tied; of ratings the share of equal answers; of reviews and classes
/// whether they are equal. Nothing for what is written, and where nothing can be compared.
pub(crate) fn body_agreement(a: &Body, b: &Body, candidates: &[Id]) -> Option<f64> {
    match (a, b) {
        (Body::Rank { .. } | Body::Pairwise { .. }, Body::Rank { .. } | Body::Pairwise { .. }) => {
            Some(common_pairs(&a.places(candidates), &b.places(candidates))?.agree_exact())
        }
        (Body::Rate { .. }, Body::Rate { .. }) => {
            let pairs: Vec<bool> = candidates.iter().flat_map(|&id| equal_fields(of(a, id), of(b, id))).collect();
            share(&pairs)
        }
        (Body::Review { accept: a, .. }, Body::Review { accept: b, .. }) => Some(f64::from(u8::from(a == b))),
        (Body::UseCase { use_case: a, .. }, Body::UseCase { use_case: b, .. }) => Some(f64::from(u8::from(a == b))),
        _ => None,
    }
}

/// The mean agreement of each two of several judgements on one task.
pub(crate) fn pairwise_agreement(judgements: &[Judgement]) -> Option<f64> {
    let mut candidates = judgements.first()?.shown.clone();
    candidates.sort_unstable();
    let mut found = Vec::new();
    for (i, a) in judgements.iter().enumerate() {
        let others = judgements[..i].iter().filter(|b| b.person != a.person);
        found.extend(others.filter_map(|b| body_agreement(&a.body, &b.body, &candidates)));
    }
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// The pairs of two rankings among the answers that both rank; nothing with fewer than two of those.
pub(super) fn common_pairs(a: &[Place], b: &[Place]) -> Option<PairCounts> {
    let ranks: BTreeMap<Id, u32> = b.iter().map(|place| (place.candidate, place.rank)).collect();
    let common = a.iter().filter_map(|place| Some((f64::from(place.rank), f64::from(*ranks.get(&place.candidate)?))));
    let (ranks_a, ranks_b): (Vec<f64>, Vec<f64>) = common.unzip();
    count(&ranks_a, &ranks_b).ok()
}

/// The fields that a judgement gives a candidate.
pub(super) fn of(body: &Body, candidate: Id) -> Option<&Fields> {
    body.ratings().iter().find(|rating| rating.candidate == candidate).map(|rating| &rating.fields)
}

/// Which of the fields that either has are equal. A yes-or-no question without an answer is a "no".
pub(super) fn equal_fields(a: Option<&Fields>, b: Option<&Fields>) -> Vec<bool> {
    let (Some(a), Some(b)) = (a, b) else { return Vec::new() };
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let no = FieldValue::YesNo(false);
    let value = |name: &String, in_: &Fields, other: &Fields| match in_.get(name) {
        Some(value) => Some(value.clone()),
        None => matches!(other.get(name), Some(FieldValue::YesNo(_))).then(|| no.clone()),
    };
    names
        .into_iter()
        .filter_map(|name| Some((value(name, a, b)?, value(name, b, a)?)))
        .filter(|(a, _)| !matches!(a, FieldValue::Text(_)))
        .map(|(a, b)| a == b)
        .collect()
}

pub(super) fn share(all: &[bool]) -> Option<f64> {
    (!all.is_empty()).then(|| all.iter().filter(|yes| **yes).count() as f64 / all.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, expected: Option<f64>) {
        let (a, b): (Body, Body) = (serde_json::from_str(a).unwrap(), serde_json::from_str(b).unwrap());
        assert_eq!(body_agreement(&a, &b, &[1, 2, 3]), expected);
        assert_eq!(body_agreement(&b, &a, &[1, 2, 3]), expected);
    }

    #[test]
    fn worked_by_hand() {
        let rank = |a: u32, b: u32, c: u32| {
            format!(
                r#"{{"kind":"rank","places":[{{"candidate":1,"rank":{a}}},{{"candidate":2,"rank":{b}}},{{"candidate":3,"rank":{c}}}]}}"#
            )
        };
        // 12: < and <; 13: < and =; 23: < and >.
        check(&rank(1, 2, 3), &rank(1, 4, 1), Some(1.0 / 3.0));
        let two = r#"{"kind":"rank","places":[{"candidate":3,"rank":1},{"candidate":1,"rank":2}]}"#;
        // Only 1 and 3 are ranked by both.
        check(&rank(2, 1, 1), two, Some(1.0));
        let rate = |one: &str| format!(r#"{{"kind":"rate","ratings":[{{"candidate":1,"fields":{{{one}}}}}]}}"#);
        // Rating equal, "harmful" no and unanswered, "rude" yes and unanswered.
        check(&rate(r#""rating":3,"harmful":false,"rude":true"#), &rate(r#""rating":3"#), Some(2.0 / 3.0));
        check(r#"{"kind":"review","accept":true}"#, r#"{"kind":"review","accept":false}"#, Some(0.0));
        check(&rank(1, 2, 3), &rate(""), None);
    }
}

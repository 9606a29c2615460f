//! Forms and judgements, there and back.

use super::*;
use label::{Draft, FieldOf, Settings, Shown, WriteBrief};

/// A task with answers 31 (A), 7 (B) and 12 (C), and InstructGPT's questions about each.
fn assignment(kind: TaskKind) -> Assignment {
    let settings = Settings::instructgpt();
    let answers = [31, 7, 12].map(|candidate| Shown { candidate, text: format!("answer {candidate}") });
    Assignment {
        lease: "lease".to_owned(),
        expires_ms: 0,
        task: 5,
        project: 1,
        kind,
        prompt: Some(Prompt::Text("p".to_owned())),
        brief: None,
        answers: answers.to_vec(),
        fields: settings.fields_of(FieldOf::Answer),
        ranking: settings.ranking.clone(),
        use_cases: settings.use_cases.clone(),
        skip_reasons: settings.skip_reasons.clone(),
        guide_version: 1,
        draft: None,
        role_to_write: None,
    }
}

fn form(text: &str) -> Form {
    Form::parse(text.as_bytes()).expect("a form")
}

fn refusal(assignment: &Assignment, text: &str) -> String {
    match body(assignment, &form(text)) {
        Err(problem) => explain(&problem, assignment),
        Ok(body) => panic!("{text} passed as {body:?}"),
    }
}

#[test]
fn letters_become_answers_in_the_order_shown() {
    let found =
        body(&assignment(TaskKind::Rank), &form("A.rank=2&B.rank=1&C.rank=2&B.f.rating=6&B.f.opinion=no&notes=+n+"));
    let Ok(Body::Rank { places, all_bad, ratings, notes }) = found else { panic!("{found:?}") };
    let ranks: Vec<(Id, u32)> = places.iter().map(|place| (place.candidate, place.rank)).collect();
    assert_eq!((ranks, all_bad, notes.as_str()), (vec![(31, 2), (7, 1), (12, 2)], false, "n"));
    assert_eq!(ratings.len(), 1);
    assert_eq!((ratings[0].candidate, &ratings[0].fields["rating"]), (7, &FieldValue::Number(6)));
}

#[test]
fn a_ranking_that_omits_an_answer_names_it() {
    let task = assignment(TaskKind::Rank);
    assert_eq!(refusal(&task, "A.rank=1&C.rank=2"), "Not ranked yet: output B.");
    assert_eq!(refusal(&task, ""), "Not ranked yet: outputs A, B, C.");
    assert_eq!(refusal(&task, "A.rank=1&B.rank=4&C.rank=1"), "B.rank: found \"4\", expected a number from 1 to 3.");
    assert!(body(&task, &form("A.rank=1&C.rank=2&partial=yes")).is_ok());
    assert!(body(&task, &form("all_bad=yes")).is_ok());
}

#[test]
fn other_kinds_are_read_and_refused_in_words() {
    let pairwise = assignment(TaskKind::Pairwise);
    let better = |text| match body(&pairwise, &form(text)) {
        Ok(Body::Pairwise { better, .. }) => better,
        other => panic!("{other:?}"),
    };
    assert_eq!((better("verdict=B"), better("verdict=tie")), (Some(7), None));
    assert_eq!(refusal(&pairwise, "verdict=Z"), "Say which output is better.");
    assert_eq!(refusal(&assignment(TaskKind::Demonstrate), "text=+%0A"), "The text is empty.");
    assert_eq!(refusal(&assignment(TaskKind::Review), ""), "Say whether it is good enough.");
    assert_eq!(
        refusal(&assignment(TaskKind::Rate), "A.f.rating=good"),
        "Overall quality: found \"good\", expected a whole number."
    );
    let Ok(Body::Continue { text }) = body(&assignment(TaskKind::Continue), &form("text=a%0D%0Ab")) else { panic!() };
    assert_eq!(text, "a\nb");
}

#[test]
fn a_few_shot_prompt_wants_two_examples() {
    let mut task = assignment(TaskKind::WritePrompt);
    task.brief = Some(WriteBrief { style: PromptStyle::FewShot, use_case: Some("chat".into()) });
    assert_eq!(
        refusal(&task, "text=Translate.&query.1=a&answer.1=b&query.2=c"),
        "Found 1 whole examples, expected two or more."
    );
    let found = body(&task, &form("text=Translate.&query.1=a&answer.1=b&query.3=c&answer.3=d"));
    let Ok(Body::WritePrompt { prompt: Prompt::Text(text), use_case, .. }) = found else { panic!("{found:?}") };
    assert_eq!(text, "Translate.\n\nQuery: a\nAnswer: b\n\nQuery: c\nAnswer: d");
    assert_eq!(use_case.as_deref(), Some("chat"));
}

#[test]
fn a_draft_comes_back_though_the_order_changed() {
    let mut task = assignment(TaskKind::Rank);
    let sent = form("A.rank=2&C.f.rating=6&notes=n&csrf=secret&submission=x&seconds=12.5&Z.rank=1");
    let draft = Values::of_form(&task, &sent).to_draft(&task);
    assert_eq!(draft, serde_json::json!({"#31.rank": "2", "#12.f.rating": "6", "notes": "n"}));
    task.answers.reverse();
    task.draft = Some(Draft { body: draft, seconds: 12.5, saved_ms: 0 });
    let values = Values::of_draft(&task);
    assert_eq!((values.get("C.rank"), values.get("A.f.rating"), values.get("notes")), ("2", "6", "n"));
    assert!(values.is_draft && values.seconds == 12.5);
}

#[test]
fn a_judgement_fills_the_form_that_says_the_same() {
    for (kind, text) in [
        (TaskKind::Rank, "A.rank=2&B.rank=1&C.rank=2&B.f.rating=6&B.f.opinion=no&notes=n&all_bad=yes"),
        (TaskKind::Rank, "A.rank=2&B.rank=1&partial=yes"),
        (TaskKind::Pairwise, "verdict=tie&notes=n"),
        (TaskKind::Pairwise, "verdict=C"),
        (TaskKind::Demonstrate, "text=t&notes=n&text.f.rating=3"),
        (TaskKind::Review, "verdict=no&notes=n"),
        (TaskKind::UseCase, "verdict=chat"),
        (TaskKind::Continue, "text=t"),
    ] {
        let task = assignment(kind);
        let values = Values::of_form(&task, &form(text));
        let made = body(&task, &form(text)).expect(text);
        assert_eq!(Values::of_body(&task, &made, Some(0.0)).by_name, values.by_name, "{text}");
    }
}

#[test]
fn refusals_of_the_store_speak_of_letters_and_labels() {
    let task = assignment(TaskKind::Rank);
    let error = LabelError::invalid("ratings[7].rating", "nothing", "an answer");
    assert_eq!(explain(&error.into(), &task), "Output B, Overall quality: found nothing, expected an answer.");
    let error = LabelError::invalid("places", "2 of 3 answers ranked", "all");
    assert_eq!(explain(&error.into(), &task), "Places: found 2 of 3 answers ranked, expected all.");
}

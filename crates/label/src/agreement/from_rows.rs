//! Rows as the material of statistics, as if they had been said in one project.

use std::collections::{BTreeMap, BTreeSet};

use record::Source;

use super::material::Material;
use crate::said::{Statement, groups};
use crate::{
    Field, FieldKind, FieldOf, FieldValue, Id, Judgement, Person, Project, ProjectState, Role, Settings, TaskKind,
    prompt,
};

/// Different texts beyond which answers to a question are words, not choices.
const OPTIONS_MAX: usize = 20;

impl Material {
    /// What rows say; `settings` are found from the answers when nobody gives them.
    pub fn of_rows(statements: &[Statement], settings: Option<&Settings>, name: &str) -> Material {
        let settings = settings.cloned().unwrap_or_else(|| found_settings(statements));
        let mut people = Numbers::default();
        let (mut prompts, mut answers) = (Numbers::default(), Numbers::default());
        let of_answer = |answers: &mut Numbers, prompt: Id, text: &str| answers.of(format!("{prompt} {text}"));
        // A pair and a ranking of two are said of the same.
        let task = |statement: &Statement| {
            let kind = if statement.ranks() { TaskKind::Rank } else { statement.kind };
            (prompt::hash(&statement.prompt), kind.as_str())
        };
        let mut material = Material {
            project: project(settings, name),
            judgements: Vec::new(),
            gold: BTreeMap::new(),
            candidates: BTreeMap::new(),
            people: BTreeMap::new(),
            skips: BTreeMap::new(),
            authors: BTreeMap::new(),
        };
        for (group, task) in groups(statements, task, true).iter().zip(1..) {
            let prompt = prompts.of(prompt::hash(&statements[group.members[0]].prompt));
            let numbers: BTreeMap<&str, Id> =
                group.answers.iter().map(|text| (text.as_str(), of_answer(&mut answers, prompt, text))).collect();
            let candidates: Vec<Id> = group.answers.iter().map(|text| numbers[text.as_str()]).collect();
            for statement in group.members.iter().map(|&i| &statements[i]) {
                let body = statement.body(|text| numbers.get(text).copied().unwrap_or_default());
                if statement.known {
                    material.gold.insert(task, body);
                    continue;
                }
                let person = people.of(statement.labeler.clone());
                material.people.entry(person).or_insert_with(|| somebody(person, statement));
                if statement.kind == TaskKind::Demonstrate {
                    let answer = of_answer(&mut answers, prompt, &statement.text);
                    material.authors.insert(answer, person);
                }
                let id = material.judgements.len() as Id + 1;
                material.judgements.push(Judgement {
                    id,
                    uid: statement.id.clone().unwrap_or_default(),
                    task,
                    prompt: Some(prompt),
                    person,
                    kind: statement.kind,
                    purpose: statement.purpose,
                    body,
                    source: statement.source.unwrap_or(Source::Human),
                    shown: candidates.clone(),
                    seconds: crate::check::seconds(statement.seconds),
                    guide_version: statement.guide_version.unwrap_or_default(),
                    corrects: None,
                    current: true,
                    erased: false,
                    body_hash: String::new(),
                    created_ms: 0,
                });
            }
            material.candidates.insert(task, candidates);
        }
        material
    }
}

/// Numbers for names.
#[derive(Default)]
struct Numbers(BTreeMap<String, Id>);

impl Numbers {
    fn of(&mut self, name: String) -> Id {
        let next = self.0.len() as Id + 1;
        *self.0.entry(name).or_insert(next)
    }
}

fn project(settings: Settings, name: &str) -> Project {
    Project {
        id: 0,
        uid: String::new(),
        name: name.to_owned(),
        title: String::new(),
        settings,
        state: ProjectState::Closed,
        created_ms: 0,
        guide_version: 0,
    }
}

fn somebody(id: Id, statement: &Statement) -> Person {
    Person {
        id,
        name: statement.labeler.clone(),
        role: Role::Labeler,
        group: statement.group.clone(),
        active: false,
        created_ms: 0,
        erased: false,
        locked_until_ms: None,
    }
}

/// The questions that the answers are to: yes or no, a scale, a choice or words, by what they say.
fn found_settings(statements: &[Statement]) -> Settings {
    let mut said = BTreeMap::<(FieldKey, String), Vec<&FieldValue>>::new();
    for statement in statements {
        let own = if statement.kind == TaskKind::Review { FieldKey::Review } else { FieldKey::Demonstration };
        let answers = statement.answers.iter().filter_map(|answer| answer.fields.as_ref());
        let all = answers.map(|fields| (FieldKey::Answer, fields)).chain([(own, &statement.fields)]);
        for (key, fields) in all {
            for (name, value) in fields {
                said.entry((key, name.clone())).or_default().push(value);
            }
        }
    }
    let field = said.into_iter().filter_map(|((of, name), values)| {
        let kind = found_kind(&values)?;
        let (label, help, required) = (name.clone(), String::new(), false);
        Some(Field { name, label, help, of: of.into(), required, kind })
    });
    Settings { field: field.collect(), ..Settings::default() }
}

/// What a question is asked of, in the order of reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FieldKey {
    Answer,
    Demonstration,
    Review,
}

impl From<FieldKey> for FieldOf {
    fn from(key: FieldKey) -> FieldOf {
        match key {
            FieldKey::Answer => FieldOf::Answer,
            FieldKey::Demonstration => FieldOf::Demonstration,
            FieldKey::Review => FieldOf::Review,
        }
    }
}

/// Nothing where answers of several kinds are mixed.
fn found_kind(values: &[&FieldValue]) -> Option<FieldKind> {
    if values.iter().all(|value| matches!(value, FieldValue::YesNo(_))) {
        return Some(FieldKind::YesNo);
    }
    let numbers: Option<Vec<i64>> = values
        .iter()
        .map(|value| match value {
            FieldValue::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    if let Some(numbers) = numbers {
        let (min, max) = (numbers.iter().min().copied()?, numbers.iter().max().copied()?);
        return Some(FieldKind::Scale { min, max, low: String::new(), high: String::new() });
    }
    let texts: Option<BTreeSet<&String>> = values
        .iter()
        .map(|value| match value {
            FieldValue::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    let texts = texts?;
    Some(if texts.len() <= OPTIONS_MAX {
        FieldKind::Choice { options: texts.into_iter().cloned().collect() }
    } else {
        FieldKind::Text
    })
}

//! A task as its template shows it.

use super::super::text::Text;
use super::answer::{EXAMPLES, Values, letter};
use super::{Look, Material, address};
use label::{Assignment, Field, FieldKind, Id, PromptStyle, TaskKind};
use record::{Prompt, Role};
use serde::Serialize;
use std::collections::BTreeMap;

/// Bytes of a written text at most, as the store keeps them.
const TEXT_MAX: usize = 100_000;

/// Everything that the templates of tasks use.
#[derive(Serialize)]
pub struct TaskView {
    #[serde(skip)]
    kind: TaskKind,
    title: &'static str,
    project_id: Id,
    project_name: String,
    action: String,
    draft_action: Option<String>,
    skip_action: Option<String>,
    submission: String,
    seconds: f64,
    draft_state: &'static str,
    progress: ProgressView,
    guide_version: i64,
    guide_html: String,
    skip_reasons: Vec<String>,
    keys: Vec<KeyView>,
    context_title: &'static str,
    ask: String,
    use_case: String,
    messages: Vec<MessageView>,
    fields: Vec<FieldView>,
    answers: Vec<AnswerView>,
    included: Option<AnswerView>,
    columns: Vec<ColumnView>,
    ranks: Vec<u32>,
    all_bad_allowed: bool,
    partial_allowed: bool,
    all_bad: bool,
    partial: bool,
    has_notes: bool,
    notes: String,
    verdict: String,
    verdicts: Vec<OptionView>,
    options: Vec<OptionView>,
    text: String,
    text_label: &'static str,
    text_max: usize,
    values: BTreeMap<String, String>,
    use_cases: Vec<OptionView>,
    chosen_use_case: String,
    examples: Vec<ExampleView>,
}

#[derive(Serialize)]
struct ProgressView {
    done: i64,
    total: i64,
}

#[derive(Serialize)]
struct KeyView {
    keys: &'static [&'static str],
    does: &'static str,
}

/// A turn of a conversation.
#[derive(Serialize)]
pub struct MessageView {
    role: &'static str,
    who: &'static str,
    #[serde(flatten)]
    text: Text,
}

#[derive(Clone, Serialize)]
struct AnswerView {
    letter: char,
    #[serde(flatten)]
    text: Text,
    rank: Option<u32>,
    values: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct ColumnView {
    rank: String,
    title: String,
    answers: Vec<AnswerView>,
}

/// A question of a project.
#[derive(Serialize)]
struct FieldView {
    name: String,
    label: String,
    help: String,
    kind: &'static str,
    min: i64,
    max: i64,
    low: String,
    high: String,
    options: Vec<OptionView>,
    required: bool,
}

#[derive(Serialize)]
struct OptionView {
    value: String,
    label: String,
    key: Option<String>,
}

impl OptionView {
    fn new(value: &str, label: &str, key: Option<String>) -> OptionView {
        OptionView { value: value.to_owned(), label: label.to_owned(), key }
    }
}

#[derive(Serialize)]
struct ExampleView {
    query: String,
    answer: String,
}

/// A conversation for a template.
pub fn messages(prompt: &Prompt, language: Option<&str>) -> Vec<MessageView> {
    let turn = |role: Role, content: &str| {
        let (role, who) = match role {
            Role::System => ("system", "Setting"),
            Role::User => ("user", "Person"),
            Role::Assistant => ("assistant", "Assistant"),
        };
        MessageView { role, who, text: Text::new(content, language) }
    };
    match prompt {
        Prompt::Text(text) => vec![turn(Role::User, text)],
        Prompt::Messages(messages) => messages.iter().map(|m| turn(m.role, &m.content)).collect(),
    }
}

/// `open_qa` as `open qa`.
pub fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

impl TaskView {
    /// The view of this material, with these values in its form.
    pub(super) fn new(material: &Material, values: &Values, look: &Look) -> TaskView {
        let Material { assignment, project, progress, guide } = material;
        let answers = answers(assignment, values);
        let wanted = look.include.as_deref();
        let included = answers.iter().find(|answer| wanted == Some(answer.letter.to_string().as_str())).cloned();
        let kind = assignment.kind;
        let (ranking, brief) = (&assignment.ranking, assignment.brief.as_ref());
        let style = brief.map_or(PromptStyle::Plain, |brief| brief.style);
        let action = address(&assignment.lease, look);
        let below = |what: &str| action.replacen(&assignment.lease, &format!("{}/{what}", assignment.lease), 1);
        TaskView {
            kind,
            title: title(kind, !assignment.fields.is_empty()),
            project_id: project.id,
            project_name: project.title.clone(),
            draft_action: Some(below("draft")),
            skip_action: Some(below("skip")),
            action,
            submission: submission_id(&assignment.lease),
            seconds: values.seconds,
            draft_state: draft_state(look, values),
            progress: ProgressView { done: progress.done, total: (progress.done + progress.remaining).max(1) },
            guide_version: assignment.guide_version,
            guide_html: guide.to_string(),
            skip_reasons: assignment.skip_reasons.clone(),
            keys: keys(kind, !assignment.fields.is_empty()),
            context_title: if kind == TaskKind::UseCase { "Prompt" } else { "Instruction" },
            ask: ask(assignment, style),
            use_case: brief.and_then(|brief| brief.use_case.as_deref()).map(spaced).unwrap_or_default(),
            messages: assignment.prompt.as_ref().map(|prompt| messages(prompt, None)).unwrap_or_default(),
            fields: assignment.fields.iter().map(field).collect(),
            columns: columns(&answers),
            ranks: (1..=answers.len() as u32).collect(),
            answers,
            included,
            all_bad_allowed: ranking.all_bad,
            partial_allowed: ranking.partial,
            all_bad: !values.get("all_bad").is_empty(),
            partial: !values.get("partial").is_empty(),
            has_notes: matches!(kind, TaskKind::Demonstrate | TaskKind::Review),
            notes: values.get("notes").to_owned(),
            verdict: values.get("verdict").to_owned(),
            verdicts: verdicts(ranking.ties),
            options: options(assignment),
            text: values.get("text").to_owned(),
            text_label: text_label(assignment, style),
            text_max: TEXT_MAX,
            values: below_prefix(values, "text.f."),
            use_cases: use_cases(assignment),
            chosen_use_case: values.get("use_case").to_owned(),
            examples: examples(assignment, style, values),
        }
    }

    /// The same for the correction of a judgement: no draft, no skipping.
    pub(super) fn correcting(mut self, judgement: Id) -> TaskView {
        self.action = format!("/label/judgements/{judgement}");
        self.submission = submission_id(&self.action);
        (self.draft_action, self.skip_action) = (None, None);
        self.title = "Correct a judgement";
        self
    }

    /// The template that shows it.
    pub(super) fn template(&self) -> &'static str {
        match self.kind {
            TaskKind::Rank => "task_rank.html",
            TaskKind::Rate => "task_rate.html",
            TaskKind::Pairwise => "task_pairwise.html",
            TaskKind::WritePrompt | TaskKind::Demonstrate | TaskKind::Continue => "task_write.html",
            TaskKind::Review | TaskKind::UseCase => "task_review.html",
        }
    }
}

/// A name for the form, so that sending it twice counts once.
fn submission_id(what: &str) -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    blake3::hash(format!("{what} {now}").as_bytes()).to_hex()[..24].to_owned()
}

fn draft_state(look: &Look, values: &Values) -> &'static str {
    match (look.saved.is_some(), values.is_draft) {
        (true, _) => "Draft saved",
        (_, true) => "Draft restored",
        _ => "",
    }
}

fn title(kind: TaskKind, with_fields: bool) -> &'static str {
    match kind {
        TaskKind::WritePrompt => "Write a prompt",
        TaskKind::Demonstrate => "Write the answer",
        TaskKind::Rate => "Rate the output",
        TaskKind::Rank if with_fields => "Rate, then rank",
        TaskKind::Rank => "Rank the outputs",
        TaskKind::Pairwise => "Which is better?",
        TaskKind::Continue => "Continue the conversation",
        TaskKind::Review => "Review",
        TaskKind::UseCase => "What kind of prompt is it?",
    }
}

/// What a kind of task is called in lists.
pub fn kind_label(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::WritePrompt => "Write prompts",
        TaskKind::Demonstrate => "Write answers",
        TaskKind::Rate => "Rate",
        TaskKind::Rank => "Rank",
        TaskKind::Pairwise => "Compare two",
        TaskKind::Continue => "Continue conversations",
        TaskKind::Review => "Review",
        TaskKind::UseCase => "Sort prompts by use-case",
    }
}

fn ask(assignment: &Assignment, style: PromptStyle) -> String {
    match assignment.kind {
        TaskKind::Demonstrate => "Write the answer that you would want from an assistant.".to_owned(),
        TaskKind::Continue if assignment.role_to_write == Some(Role::User) => {
            "Write what the person could say next.".to_owned()
        }
        TaskKind::Continue => "Write the assistant's next reply.".to_owned(),
        TaskKind::Review => "Is it good enough to be kept?".to_owned(),
        TaskKind::UseCase => "Which use-case fits best?".to_owned(),
        TaskKind::WritePrompt => match style {
            PromptStyle::Plain => {
                "Write something that you would really ask of an assistant. Any kind of task.".to_owned()
            }
            PromptStyle::FewShot => {
                "Write an instruction, and two or more examples of it: a query and the answer to it.".to_owned()
            }
            PromptStyle::UseCase => "Write a prompt for this use-case.".to_owned(),
        },
        _ => String::new(),
    }
}

fn text_label(assignment: &Assignment, style: PromptStyle) -> &'static str {
    match assignment.kind {
        TaskKind::WritePrompt if style == PromptStyle::FewShot => "Instruction",
        TaskKind::WritePrompt => "Prompt",
        TaskKind::Continue if assignment.role_to_write == Some(Role::User) => "Message",
        TaskKind::Continue => "Reply",
        _ => "Answer",
    }
}

fn below_prefix(values: &Values, prefix: &str) -> BTreeMap<String, String> {
    let names = values.by_name.iter();
    names.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()))).collect()
}

fn answers(assignment: &Assignment, values: &Values) -> Vec<AnswerView> {
    let view = |(i, shown): (usize, &label::Shown)| {
        let letter = letter(i);
        AnswerView {
            letter,
            text: Text::new(&shown.text, None),
            rank: values.get(&format!("{letter}.rank")).parse().ok(),
            values: below_prefix(values, &format!("{letter}.f.")),
        }
    };
    assignment.answers.iter().enumerate().map(view).collect()
}

/// The board: what isn't ranked yet, then the ranks.
fn columns(answers: &[AnswerView]) -> Vec<ColumnView> {
    let n = answers.len() as u32;
    let of = |rank: Option<u32>| answers.iter().filter(|answer| answer.rank == rank).cloned().collect();
    let waiting = ColumnView { rank: String::new(), title: "To be ranked".to_owned(), answers: of(None) };
    let ranked = (1..=n).map(|rank| {
        let end = match rank {
            1 => " (best)",
            rank if rank == n => " (worst)",
            _ => "",
        };
        ColumnView { rank: rank.to_string(), title: format!("Rank {rank}{end}"), answers: of(Some(rank)) }
    });
    std::iter::once(waiting).chain(ranked).collect()
}

fn field(field: &Field) -> FieldView {
    let mut view = FieldView {
        name: field.name.clone(),
        label: field.label.clone(),
        help: field.help.clone(),
        kind: "text",
        min: 0,
        max: 0,
        low: String::new(),
        high: String::new(),
        options: Vec::new(),
        required: field.required,
    };
    match &field.kind {
        FieldKind::YesNo => {
            view.kind = "yes_no";
            view.options = vec![OptionView::new("yes", "Yes", None), OptionView::new("no", "No", None)];
        }
        FieldKind::Scale { min, max, low, high } => {
            view.kind = "scale";
            (view.min, view.max) = (*min, *max);
            (view.low, view.high) = (low.clone(), high.clone());
        }
        FieldKind::Choice { options } => {
            view.kind = "choice";
            view.options = options.iter().map(|option| OptionView::new(option, option, None)).collect();
        }
        FieldKind::Text => {}
    }
    view
}

fn verdicts(ties: bool) -> Vec<OptionView> {
    let key = |key: &str| Some(key.to_owned());
    let mut verdicts = vec![OptionView::new("A", "A is better", key("a"))];
    if ties {
        verdicts.push(OptionView::new("tie", "About the same", key("t")));
    }
    verdicts.push(OptionView::new("B", "B is better", key("b")));
    verdicts
}

fn options(assignment: &Assignment) -> Vec<OptionView> {
    match assignment.kind {
        TaskKind::Review => vec![
            OptionView::new("yes", "Yes, keep it", Some("y".to_owned())),
            OptionView::new("no", "No, discard it", Some("n".to_owned())),
        ],
        TaskKind::UseCase => {
            let key = |i: usize| if i < 9 { Some((i + 1).to_string()) } else { (i == 9).then(|| "0".to_owned()) };
            let named = assignment.use_cases.iter().enumerate();
            named.map(|(i, name)| OptionView::new(name, &spaced(name), key(i))).collect()
        }
        _ => Vec::new(),
    }
}

/// Use-cases to choose from, unless the task is for a certain one.
fn use_cases(assignment: &Assignment) -> Vec<OptionView> {
    let is_open = assignment.brief.as_ref().is_none_or(|brief| brief.use_case.is_none());
    if assignment.kind != TaskKind::WritePrompt || !is_open {
        return Vec::new();
    }
    let named = assignment.use_cases.iter().map(|name| OptionView::new(name, &spaced(name), None));
    std::iter::once(OptionView::new("", "don't know", None)).chain(named).collect()
}

fn examples(assignment: &Assignment, style: PromptStyle, values: &Values) -> Vec<ExampleView> {
    if assignment.kind != TaskKind::WritePrompt || style != PromptStyle::FewShot {
        return Vec::new();
    }
    let example = |i: usize| ExampleView {
        query: values.get(&format!("query.{i}")).to_owned(),
        answer: values.get(&format!("answer.{i}")).to_owned(),
    };
    (1..=EXAMPLES).map(example).collect()
}

fn keys(kind: TaskKind, with_fields: bool) -> Vec<KeyView> {
    let key = |keys: &'static [&'static str], does| KeyView { keys, does };
    let mut list = Vec::new();
    let rates = with_fields && matches!(kind, TaskKind::Rate | TaskKind::Rank | TaskKind::Pairwise);
    if with_fields && kind == TaskKind::Review {
        list.push(key(&["1", "…", "7"], "rate it"));
    }
    if rates {
        list.extend([
            key(&["1", "…", "7"], "rate the output"),
            key(&["y", "n"], "answer the marked question and go on to the next"),
            key(&["x"], "answer no to all that are left"),
            key(&["↑", "↓"], "move between questions"),
        ]);
    }
    match kind {
        TaskKind::Rank => list.extend([
            key(&["1", "…", "9"], "on the board: rank the marked output and go on to the next"),
            key(&["↑", "↓"], "on the board: move between outputs"),
            key(&["←", "→"], "on the board: a rank better, a rank worse"),
            key(&["0"], "on the board: take the rank away"),
            key(&["b"], "all of them are bad"),
        ]),
        TaskKind::Pairwise => list.push(key(&["a", "t", "b"], "A is better, about the same, B is better")),
        TaskKind::Review => list.push(key(&["y", "n"], "keep it, discard it")),
        TaskKind::UseCase => list.push(key(&["1", "…", "9"], "choose")),
        _ => {}
    }
    if kind == TaskKind::Rank && with_fields {
        list.push(key(&["Shift", "Enter"], "back to the output before"));
    }
    list.extend([
        key(&["Enter"], "go on; at the end, submit"),
        key(&["Ctrl", "Enter"], "the same from within a text"),
        key(&["g"], "guide"),
        key(&["s"], "skip this task"),
        key(&["?"], "this list"),
    ]);
    list
}

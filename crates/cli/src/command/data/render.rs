//! `helpmate data render`.

use crate::error::{CommandError, Kind};
use crate::output::Output;
use clap::{Args, ValueEnum};
use corpus::template::{
    Choice, ClusterError, Clusters, Mixture, Side, TemplateError, TemplateSet, capped, on_deep_stack,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stdx::Seed;

/// Render rows of a labelled data set as instructions, by templates
///
/// Templates are promptsource's `templates.yaml`, FLAN's patterns (JSON) or our own TOML, a file or a folder of them. A
/// row's task is its field `task` (or `dataset` and `subset`), else `--task`, else the templates' own when they all have
/// one. Each row is rendered by one template of its task, drawn by the seed; with `--template` by that one, with `--all`
/// by each. A row comes out as `template`, `task`, `row` (its place in the data, from 0), `prompt`, `completion`,
/// and where the template has options `choices` and `gold`, as the evaluation `rank_classification` reads them. A template that leaves the target empty skips the row. What templates may do
/// is limited: they read nothing, end soon, and can't grow without bound.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate data render --templates data/templates --data data/labelled.jsonl --all --out instructions.jsonl"
)]
pub struct Render {
    /// File or folder of templates
    #[arg(long, value_name = "FILE|DIR")]
    templates: PathBuf,
    /// Rows to render: objects with the fields the templates name
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Only templates of this name (or identifier)
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    template: Option<String>,
    /// Every template of the row's task
    #[arg(long)]
    all: bool,
    /// Task of rows that don't say theirs
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only templates that ask for what the data set was made for, where templates say so
    #[arg(long)]
    original_task: bool,
    /// What the filters `choice` and `random` take; `first` when absent with --template or --all, else `random`
    #[arg(long, value_enum, value_name = "HOW")]
    choice: Option<How>,
    /// Most rows of a task, drawn by the seed
    #[arg(long, value_name = "N")]
    cap: Option<usize>,
    /// Mix tasks in proportion to their rows, none counting for more than N (FLAN: 3000)
    #[arg(long, value_name = "N")]
    rate_max: Option<usize>,
    /// Clusters of tasks (JSON), for --hold-out
    #[arg(long, value_name = "FILE", requires = "hold_out")]
    clusters: Option<PathBuf>,
    /// Keep this cluster's tasks out, and leave its relatives out altogether
    #[arg(long, value_name = "CLUSTER", requires = "clusters")]
    hold_out: Option<String>,
    /// Where the rows held out go
    #[arg(long, value_name = "FILE", requires = "hold_out")]
    held_out_out: Option<PathBuf>,
    /// Text between prompt and completion, put before the completion: both are stripped by their templates
    #[arg(long, value_name = "TEXT", default_value = " ")]
    separator: String,
    /// Count rows that a template fails on instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    /// Seed of templates, caps and choices
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum How {
    /// The first item
    First,
    /// One at random, by the seed
    Random,
}

/// A row with its task and where it stands.
struct LabelledRow {
    path: PathBuf,
    line: usize,
    place: usize,
    task: String,
    fields: Map<String, Value>,
}

#[derive(Default)]
struct Counts {
    written: usize,
    held_out: usize,
    left_out: usize,
    empty: usize,
    failed: BTreeMap<String, (usize, String)>,
}

impl Render {
    pub fn run(self) -> Result<(), CommandError> {
        on_deep_stack(|| self.render()).map_err(CommandError::input)?
    }

    fn render(&self) -> Result<(), CommandError> {
        let set = TemplateSet::open(&self.templates)?;
        set.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let by_task = self.chosen(&set)?;
        let rows = self.rows(&by_task)?;
        let sides = self.sides(&rows)?;
        let rows = self.mixed(rows);
        let mut out = Output::open(self.out.as_deref())?;
        let mut held_out = match &self.held_out_out {
            Some(path) => Some(Output::open(Some(path))?),
            None => None,
        };
        let mut counts = Counts::default();
        for row in &rows {
            let sink = match sides.get(&row.task).copied().unwrap_or(Side::Train) {
                Side::Train => Some(&mut out),
                Side::HeldOut => {
                    counts.held_out += 1;
                    held_out.as_mut()
                }
                Side::LeftOut => {
                    counts.left_out += 1;
                    None
                }
            };
            if let Some(sink) = sink {
                self.render_row(&set, &by_task[&row.task], row, sink, &mut counts)?;
            }
        }
        out.finish()?;
        if let Some(held_out) = held_out {
            held_out.finish()?;
        }
        tell(&counts, rows.len());
        Ok(())
    }

    /// Places of the templates wanted, by task.
    fn chosen(&self, set: &TemplateSet) -> Result<BTreeMap<String, Vec<usize>>, CommandError> {
        let mut by_task: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, template) in set.templates.iter().enumerate() {
            let named = |name: &String| template.name == *name || template.id.as_ref() == Some(name);
            if self.template.as_ref().is_none_or(named)
                && !(self.original_task && template.facts.original_task == Some(false))
            {
                by_task.entry(template.task.clone()).or_default().push(place);
            }
        }
        match (&self.template, by_task.is_empty()) {
            (Some(name), true) => {
                let mut names: Vec<&str> = set.templates.iter().map(|template| &template.name[..]).take(20).collect();
                names.sort_unstable();
                Err(CommandError::usage(format!("{}: no template {name:?}", self.templates.display()))
                    .hint(format!("some that are there: {}", names.join(", "))))
            }
            (None, true) => Err(CommandError::input(format!(
                "{}: no template asks for its data set's original task",
                self.templates.display()
            ))),
            _ => Ok(by_task),
        }
    }

    fn rows(&self, by_task: &BTreeMap<String, Vec<usize>>) -> Result<Vec<LabelledRow>, CommandError> {
        let only = (by_task.len() == 1).then(|| by_task.keys().next().cloned()).flatten();
        let mut rows = Vec::new();
        let mut place = 0;
        for path in &self.data {
            for value in corpus::values(path)? {
                let (line, value) = value?;
                let Value::Object(fields) = value else {
                    return Err(wrong(path, line, "found no object, expected one with the fields the templates name"));
                };
                let task = self.task_of(&fields).filter(|task| by_task.contains_key(task)).or_else(|| only.clone());
                let Some(task) = task else {
                    let message = match self.task_of(&fields) {
                        Some(task) => format!("no template for the task {task:?}"),
                        None => "no task: found neither `task` nor `dataset`, and several tasks have templates".into(),
                    };
                    return Err(wrong(path, line, &message).hint("--task NAME gives rows without one a task"));
                };
                rows.push(LabelledRow { path: path.clone(), line, place, task, fields });
                place += 1;
            }
        }
        if rows.is_empty() {
            return Err(CommandError::input("no rows: the files are empty"));
        }
        Ok(rows)
    }

    fn task_of(&self, fields: &Map<String, Value>) -> Option<String> {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
        let data_set = text("dataset").map(|dataset| match text("subset") {
            Some(subset) => format!("{dataset}/{subset}"),
            None => dataset,
        });
        self.task.clone().or_else(|| text("task")).or(data_set)
    }

    fn sides(&self, rows: &[LabelledRow]) -> Result<BTreeMap<String, Side>, CommandError> {
        let (Some(path), Some(held_out)) = (&self.clusters, &self.hold_out) else {
            return Ok(BTreeMap::new());
        };
        let clusters = Clusters::open(path)?;
        let mut tasks: Vec<&str> = rows.iter().map(|row| &row.task[..]).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let sides = clusters.divide(&tasks, held_out)?;
        Ok(tasks.into_iter().map(str::to_owned).zip(sides).collect())
    }

    /// The rows of the mixture, in their order.
    fn mixed(&self, rows: Vec<LabelledRow>) -> Vec<LabelledRow> {
        if self.cap.is_none() && self.rate_max.is_none() {
            return rows;
        }
        let mut by_task: BTreeMap<String, Vec<LabelledRow>> = BTreeMap::new();
        for row in rows {
            by_task.entry(row.task.clone()).or_default().push(row);
        }
        let sizes: Vec<usize> = by_task.values().map(Vec::len).collect();
        let counts = Mixture { cap: self.cap, rate_max: self.rate_max }.counts(&sizes);
        let mut mixed = Vec::new();
        for ((task, rows), n) in by_task.into_iter().zip(counts) {
            let kept = capped(rows.len(), n, Seed(self.seed), &task);
            mixed.extend(
                rows.into_iter().enumerate().filter(|(i, _)| kept.binary_search(i).is_ok()).map(|(_, row)| row),
            );
        }
        mixed.sort_by_key(|row| row.place);
        mixed
    }

    fn render_row(
        &self,
        set: &TemplateSet,
        places: &[usize],
        row: &LabelledRow,
        out: &mut Output,
        counts: &mut Counts,
    ) -> Result<(), CommandError> {
        let drawn = [places[Seed(self.seed).stream("template", row.place as u64).below(places.len() as u64) as usize]];
        let every = self.all || self.template.is_some();
        let default = if every { How::First } else { How::Random };
        for &place in if every { places } else { &drawn[..] } {
            let choice = match self.choice.unwrap_or(default) {
                How::First => Choice::First,
                How::Random => {
                    let name = format!("choice {place}");
                    Choice::Random(Box::new(Seed(self.seed).stream(&name, row.place as u64)))
                }
            };
            let rendering = match set.render(place, &row.fields, choice) {
                Ok(rendering) => rendering,
                Err(error) if self.skip_bad => {
                    let first = || (0, format!("{}:{}", row.path.display(), row.line));
                    counts.failed.entry(error.to_string()).or_insert_with(first).0 += 1;
                    continue;
                }
                Err(error) => {
                    return Err(wrong(&row.path, row.line, &error.to_string())
                        .hint("--skip-bad counts rows that a template fails on"));
                }
            };
            let Some((prompt, completion)) = rendering.pair() else {
                counts.empty += 1;
                continue;
            };
            let template = &set.templates[place];
            let mut object = json!({"template": template.name, "task": template.task, "row": row.place,
                "prompt": prompt,
                "completion": format!("{}{completion}", self.separator)});
            if let Some(choices) = &rendering.answer_choices {
                object["choices"] = json!(choices);
                object["gold"] = json!(choices.iter().position(|choice| choice == completion));
            }
            if let Some(source) = row.fields.get("source").filter(|source| source.is_string()) {
                object["source"] = source.clone();
            }
            out.row(&object)?;
            counts.written += 1;
        }
        Ok(())
    }
}

fn wrong(path: &Path, line: usize, message: &str) -> CommandError {
    CommandError::input(format!("{}:{line}: {message}", path.display()))
}

fn tell(counts: &Counts, n_rows: usize) {
    eprintln!("{} renderings of {n_rows} rows; {} skipped for an empty target", counts.written, counts.empty);
    if counts.held_out + counts.left_out > 0 {
        eprintln!("{} rows held out, {} left out as relatives of what is held out", counts.held_out, counts.left_out);
    }
    for (reason, (n, first)) in &counts.failed {
        eprintln!("{n} skipped: {reason} (first: {first})");
    }
}

impl From<TemplateError> for CommandError {
    fn from(error: TemplateError) -> CommandError {
        CommandError::input(error)
    }
}

impl From<ClusterError> for CommandError {
    fn from(error: ClusterError) -> CommandError {
        let kind = match &error {
            ClusterError::Unknown { .. } => Kind::Usage,
            _ => Kind::Input,
        };
        CommandError::new(kind, error)
    }
}

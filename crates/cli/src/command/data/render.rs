//! `helpmate data render`.

use crate::error::{CommandError, Kind};
use crate::labelled::{self, LabelledRow, wrong};
use crate::output::Output;
use clap::{Args, ValueEnum};
use corpus::template::{
    Choice, ClusterError, Clusters, Mixture, Rendering, Side, Split, SplitError, T0, TemplateError, TemplateSet,
    on_deep_stack,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use stdx::Seed;

/// Render rows of a labelled data set as instructions, by templates
///
/// Templates are promptsource's `templates.yaml`, FLAN's patterns (JSON) or our own TOML, a file or a folder of them. A
/// row's task is its field `task` (or `dataset` and `subset`), else `--task`, else the templates' own when they all have
/// one. Each row is rendered by one template of its task, drawn by the seed; with `--template` by that one, with `--all`
/// by each. A row comes out as `template`, `task`, `row` (its place in the data, from 0), `prompt`, `completion`,
/// and where the template has options `choices` and `gold`, as the evaluation `rank_classification` reads them. A
/// template that leaves the target empty skips the row. What is trained on and what is held out may share no task and
/// no prompt. What templates may do is limited: they read nothing, end soon, and can't grow without bound.
#[derive(Args)]
#[command(
    group(clap::ArgGroup::new("a side").args(["hold_out", "t0"])),
    after_help = "Example:\n  helpmate data render --templates data/templates --data data/labelled.jsonl --all --out instructions.jsonl"
)]
pub struct Render {
    /// File or folder of templates
    #[arg(long, value_name = "FILE|DIR")]
    pub templates: PathBuf,
    /// Rows to render: objects with the fields the templates name
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Only templates of this name (or identifier)
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub template: Option<String>,
    /// Every template of the row's task
    #[arg(long)]
    pub all: bool,
    /// Task of rows that don't say theirs
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Only templates that ask for what the data set was made for, where templates say so
    #[arg(long)]
    pub original_task: bool,
    /// What the filters `choice` and `random` take; `first` when absent with --template or --all, else `random`
    #[arg(long, value_enum, value_name = "HOW")]
    pub choice: Option<How>,
    #[command(flatten)]
    pub mixture: MixtureArguments,
    /// Clusters of tasks (JSON), for --hold-out
    #[arg(long, value_name = "FILE", requires = "hold_out")]
    pub clusters: Option<PathBuf>,
    /// Keep this cluster's tasks out, and leave its relatives out altogether
    #[arg(long, value_name = "CLUSTER", requires = "clusters")]
    pub hold_out: Option<String>,
    /// T0's table of tasks to train on and to evaluate (CSV), for --t0
    #[arg(long, value_name = "FILE", requires = "t0", conflicts_with = "hold_out")]
    pub split: Option<PathBuf>,
    /// Which of T0's mixtures is trained on
    #[arg(long, value_enum, value_name = "MIXTURE", requires = "split")]
    pub t0: Option<T0Option>,
    /// Leave out of the evaluation what --t0 trains on, instead of refusing it
    #[arg(long, requires = "t0")]
    pub drop_overlap: bool,
    /// Where the rows held out go
    #[arg(long, value_name = "FILE", requires = "a side")]
    pub held_out_out: Option<PathBuf>,
    /// Share of the rows of each task to train on that is kept for evaluating what was learnt, by the seed
    #[arg(long, value_name = "SHARE", requires = "seen_out", default_value_t = 0.0)]
    pub seen_fraction: f64,
    /// Where that share goes
    #[arg(long, value_name = "FILE", requires = "a side")]
    pub seen_out: Option<PathBuf>,
    /// Text between prompt and completion, put before the completion: both are stripped by their templates
    #[arg(long, value_name = "TEXT", default_value = " ")]
    pub separator: String,
    /// Count rows that a template fails on instead of stopping at the first
    #[arg(long)]
    pub skip_bad: bool,
    /// Seed of templates, caps and choices
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How much of each task is taken.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct MixtureArguments {
    /// Most rows of a task, drawn by the seed (FLAN: 30000)
    #[arg(long, value_name = "N")]
    cap: Option<usize>,
    /// A task with more than N rows gets N divided by its templates (T0: 500000)
    #[arg(long, value_name = "N")]
    cap_by_templates: Option<usize>,
    /// Mix tasks in proportion to their rows, none counting for more than N (FLAN: 3000)
    #[arg(long, value_name = "N")]
    rate_max: Option<usize>,
}

impl MixtureArguments {
    fn mixture(self) -> Mixture {
        Mixture { cap: self.cap, cap_by_templates: self.cap_by_templates, rate_max: self.rate_max }
    }
}

/// T0's mixtures, as options name them.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum T0Option {
    /// T0
    #[value(name = "t0")]
    Base,
    /// T0+
    #[value(name = "t0+")]
    Plus,
    /// T0++
    #[value(name = "t0++")]
    PlusPlus,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum How {
    /// The first item
    First,
    /// One at random, by the seed
    Random,
}

/// Where a rendering goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Train,
    Seen,
    HeldOut,
}

/// The files that are written, and what went where.
struct Sinks {
    outputs: BTreeMap<Place, Output>,
    /// Where each prompt was first written, and from which row.
    prompts: HashMap<u128, (Place, String)>,
    written: BTreeMap<Place, usize>,
    left_out: usize,
    empty: usize,
    failed: BTreeMap<String, (usize, String)>,
}

impl Render {
    pub fn run(self) -> Result<(), CommandError> {
        self.write()
    }

    /// Writes the renderings.
    pub fn write(&self) -> Result<(), CommandError> {
        if !(0.0..1.0).contains(&self.seen_fraction) {
            let message = format!("--seen-fraction {}: expected a number from 0, below 1", self.seen_fraction);
            return Err(CommandError::usage(message));
        }
        on_deep_stack(|| self.render()).map_err(CommandError::input)?
    }

    fn render(&self) -> Result<(), CommandError> {
        let set = TemplateSet::open(&self.templates)?;
        set.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let by_task = self.chosen(&set)?;
        let n_templates = by_task.iter().map(|(task, places)| (task.clone(), places.len())).collect();
        let rows = labelled::read(&self.data, self.task.as_deref(), &n_templates)?;
        let sides = self.sides(&rows)?;
        let rows = labelled::mixed(rows, self.mixture.mixture(), &n_templates, Seed(self.seed));
        let mut sinks = self.sinks()?;
        for row in &rows {
            match self.place(row, sides.get(&row.task).copied().unwrap_or(Side::Train)) {
                Some(place) if sinks.outputs.contains_key(&place) => {
                    self.render_row(&set, &by_task[&row.task], row, place, &mut sinks)?;
                }
                _ => sinks.left_out += 1,
            }
        }
        sinks.finish(rows.len())
    }

    /// Where a row goes; nowhere when it is a relative of what is held out.
    fn place(&self, row: &LabelledRow, side: Side) -> Option<Place> {
        // By what the row says: rows that say the same go together.
        let is_seen = || self.seen_fraction > Seed(self.seed).stream("seen", row.content()).uniform();
        match side {
            Side::Train if self.seen_out.is_some() && is_seen() => Some(Place::Seen),
            Side::Train => Some(Place::Train),
            Side::HeldOut => Some(Place::HeldOut),
            Side::LeftOut => None,
        }
    }

    fn sinks(&self) -> Result<Sinks, CommandError> {
        let mut outputs = BTreeMap::from([(Place::Train, Output::open(self.out.as_deref())?)]);
        for (place, path) in [(Place::HeldOut, &self.held_out_out), (Place::Seen, &self.seen_out)] {
            if let Some(path) = path {
                outputs.insert(place, Output::open(Some(path))?);
            }
        }
        let (prompts, written, failed) = Default::default();
        Ok(Sinks { outputs, prompts, written, left_out: 0, empty: 0, failed })
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

    fn sides(&self, rows: &[LabelledRow]) -> Result<BTreeMap<String, Side>, CommandError> {
        let mut tasks: Vec<&str> = rows.iter().map(|row| &row.task[..]).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let sides = match (&self.clusters, &self.hold_out, &self.split, self.t0) {
            (Some(clusters), Some(held_out), ..) => Clusters::open(clusters)?.divide(&tasks, held_out)?,
            (_, _, Some(split), Some(t0)) => {
                let division = Split::open(split)?.divide(&tasks, t0.into(), self.drop_overlap)?;
                for (task, kind) in &division.of_trained_kinds {
                    eprintln!("warning: {task} is evaluated, and other tasks of its kind ({kind}) are trained on");
                }
                division.sides
            }
            _ => return Ok(BTreeMap::new()),
        };
        Ok(tasks.into_iter().map(str::to_owned).zip(sides).collect())
    }

    fn render_row(
        &self,
        set: &TemplateSet,
        places: &[usize],
        row: &LabelledRow,
        to: Place,
        sinks: &mut Sinks,
    ) -> Result<(), CommandError> {
        let drawn = [places[Seed(self.seed).stream("template", row.place as u64).below(places.len() as u64) as usize]];
        let every = self.all || self.template.is_some();
        for &place in if every { places } else { &drawn[..] } {
            let rendering = match set.render(place, &row.fields, self.choice(place, row)) {
                Ok(rendering) => rendering,
                Err(error) if self.skip_bad => {
                    sinks.failed.entry(error.to_string()).or_insert_with(|| (0, row.origin())).0 += 1;
                    continue;
                }
                Err(error) => {
                    return Err(wrong(&row.path, row.line, &error.to_string())
                        .hint("--skip-bad counts rows that a template fails on"));
                }
            };
            match self.object(set, place, row, &rendering) {
                Some(object) => sinks.take(to, &object, row)?,
                None => sinks.empty += 1,
            }
        }
        Ok(())
    }

    fn choice(&self, place: usize, row: &LabelledRow) -> Choice {
        let default = if self.all || self.template.is_some() { How::First } else { How::Random };
        match self.choice.unwrap_or(default) {
            How::First => Choice::First,
            How::Random => {
                let name = format!("choice {place}");
                Choice::Random(Box::new(Seed(self.seed).stream(&name, row.place as u64)))
            }
        }
    }

    /// The row that is written; none where the target is empty.
    fn object(&self, set: &TemplateSet, place: usize, row: &LabelledRow, rendering: &Rendering) -> Option<Value> {
        let (prompt, completion) = rendering.pair()?;
        let template = &set.templates[place];
        let mut object = json!({"template": template.name, "task": template.task, "row": row.place, "prompt": prompt,
            "completion": format!("{}{completion}", self.separator)});
        if let Some(choices) = &rendering.answer_choices {
            object["choices"] = json!(choices);
            object["gold"] = json!(choices.iter().position(|choice| choice == completion));
        }
        if let Some(source) = row.fields.get("source").filter(|source| source.is_string()) {
            object["source"] = source.clone();
        }
        Some(object)
    }
}

impl Sinks {
    /// Writes a rendering; its prompt may not stand on another side too.
    fn take(&mut self, place: Place, object: &Value, row: &LabelledRow) -> Result<(), CommandError> {
        if self.outputs.len() > 1 {
            let prompt = object["prompt"].as_str().unwrap_or_default();
            let hash = u128::from_str_radix(&stdx::hash::bytes(prompt.as_bytes())[..32], 16).unwrap_or_default();
            let (first, origin) = self.prompts.entry(hash).or_insert_with(|| (place, row.origin()));
            if *first != place {
                let beginning: String = prompt.chars().take(60).collect();
                return Err(CommandError::input(format!(
                    "{} and {origin}: the same prompt would be trained on and evaluated: {beginning:?}",
                    row.origin()
                ))
                .hint("remove one of the rows, or hold their tasks out together"));
            }
        }
        *self.written.entry(place).or_default() += 1;
        match self.outputs.get_mut(&place) {
            Some(output) => output.row(object),
            None => Ok(()),
        }
    }

    fn finish(self, n_rows: usize) -> Result<(), CommandError> {
        for output in self.outputs.into_values() {
            output.finish()?;
        }
        let written = |place| self.written.get(&place).copied().unwrap_or(0);
        eprintln!("{} renderings of {n_rows} rows; {} skipped for an empty target", written(Place::Train), self.empty);
        for (place, what) in [(Place::HeldOut, "held out"), (Place::Seen, "of tasks that are trained on, kept apart")] {
            if written(place) > 0 {
                eprintln!("{} renderings {what}", written(place));
            }
        }
        if self.left_out > 0 {
            eprintln!("{} rows left out: held out without a file, or too close to what is held out", self.left_out);
        }
        for (reason, (n, first)) in &self.failed {
            eprintln!("{n} skipped: {reason} (first: {first})");
        }
        Ok(())
    }
}

impl From<T0Option> for T0 {
    fn from(option: T0Option) -> T0 {
        match option {
            T0Option::Base => T0::Base,
            T0Option::Plus => T0::Plus,
            T0Option::PlusPlus => T0::PlusPlus,
        }
    }
}

impl From<TemplateError> for CommandError {
    fn from(error: TemplateError) -> CommandError {
        CommandError::input(error)
    }
}

impl From<SplitError> for CommandError {
    fn from(error: SplitError) -> CommandError {
        let hint = matches!(error, SplitError::Overlap { .. })
            .then(|| "--drop-overlap trains on it and leaves it out of the evaluation".to_owned());
        CommandError::input(error).maybe_hint(hint)
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

//! T0's division of tasks: which are trained on, and which kinds of task are only evaluated (Sanh et al., arXiv
//! 2110.08207, §3).
//!
//! The file is the published table, a CSV with the columns `HF_name`, `subset`, `task_by_convention` (the kind),
//! `do_train` (`BASE`, `GPT_EVAL` or `SGLUE`: from T0, T0+ or T0++ on) and `do_eval` (evaluated where anything stands).
//! T0+ and T0++ train on tasks that the same table evaluates: that is refused, or what is trained on is left out of the
//! evaluation. An evaluated task whose kind is trained on in another task is named, and not refused: the published table
//! has one (COPA, which it files under multiple choice and the paper under completion).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stdx::FileError;

use super::Side;

/// Which of T0's mixtures is trained on. Each has what the one before it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum T0 {
    /// T0: `BASE`.
    Base,
    /// T0+: `GPT_EVAL` too.
    Plus,
    /// T0++: `SGLUE` too.
    PlusPlus,
}

impl T0 {
    fn of_column(text: &str) -> Option<T0> {
        match text {
            "BASE" => Some(T0::Base),
            "GPT_EVAL" => Some(T0::Plus),
            "SGLUE" => Some(T0::PlusPlus),
            _ => None,
        }
    }
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    kind: String,
    trained_from: Option<T0>,
    evaluated: bool,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Split {
    tasks: BTreeMap<String, Line>,
}

/// Tasks, divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// The side of each.
    pub sides: Vec<Side>,
    /// Tasks that are evaluated and whose kind is trained on in another task, each with its kind.
    pub of_trained_kinds: Vec<(String, String)>,
}

/// Why tasks can't be divided.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file isn't the table.
    #[error("{}:{line}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A task isn't in the table, so that nobody can say where it belongs.
    #[error("task {task:?} is not in the table")]
    Unknown {
        /// The task.
        task: String,
    },
    /// The same is trained on and evaluated.
    #[error("task {task:?} would be both trained on and evaluated, expected one")]
    Overlap {
        /// The task.
        task: String,
    },
    /// One side would have nothing.
    #[error("nothing is left {side}: of the tasks {tasks}")]
    Empty {
        /// The side, in words.
        side: &'static str,
        /// The tasks.
        tasks: String,
    },
}

const COLUMNS: [&str; 5] = ["HF_name", "subset", "task_by_convention", "do_train", "do_eval"];

impl Split {
    /// Reads the table.
    ///
    /// # Errors
    /// It can't be read, a column is missing, a field isn't what it may be, or a task stands there twice.
    pub fn open(path: &Path) -> Result<Split, SplitError> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path, "read"))?;
        Split::parse(&text).map_err(|(line, problem)| SplitError::Malformed { path: path.into(), line, problem })
    }

    fn parse(text: &str) -> Result<Split, (usize, String)> {
        let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
        let header: Vec<&str> = lines.next().map_or_else(Vec::new, |(_, line)| line.trim_end().split(',').collect());
        let place = |name: &&str| header.iter().position(|column| column == name);
        let places: Option<Vec<usize>> = COLUMNS.iter().map(place).collect();
        let places = places.ok_or_else(|| {
            (1, format!("found the columns {}, expected {} among them", header.join(", "), COLUMNS.join(", ")))
        })?;
        let mut tasks = BTreeMap::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.trim_end().split(',').collect();
            if fields.len() != header.len() || line.contains('"') {
                let found = fields.len();
                return Err((number, format!("{found} fields, expected {} without quotes", header.len())));
            }
            let [name, subset, kind, train, evaluate] = [0, 1, 2, 3, 4].map(|i| fields[places[i]].trim());
            let trained_from = T0::of_column(train);
            if trained_from.is_none() && !train.is_empty() {
                return Err((number, format!("do_train: found {train:?}, expected BASE, GPT_EVAL, SGLUE or nothing")));
            }
            let task = if subset.is_empty() { name.to_owned() } else { format!("{name}/{subset}") };
            let line = Line { kind: kind.to_owned(), trained_from, evaluated: !evaluate.is_empty() };
            if tasks.insert(task.clone(), line).is_some() {
                return Err((number, format!("task {task:?} stands there twice, expected once")));
            }
        }
        Ok(Split { tasks })
    }

    /// The side of each task under a mixture. A task that would be on both is refused; with `drop_overlap` it is trained
    /// on and not evaluated.
    ///
    /// # Errors
    /// A task isn't in the table, the sides overlap, or one would be empty.
    pub fn divide(&self, tasks: &[&str], mixture: T0, drop_overlap: bool) -> Result<Division, SplitError> {
        let lines = tasks
            .iter()
            .map(|task| self.line(task).ok_or_else(|| SplitError::Unknown { task: (*task).to_owned() }))
            .collect::<Result<Vec<&Line>, _>>()?;
        let is_trained = |line: &Line| line.trained_from.is_some_and(|from| from <= mixture);
        let mut sides = Vec::new();
        for (task, line) in tasks.iter().zip(&lines) {
            sides.push(match (is_trained(line), line.evaluated) {
                (true, true) if !drop_overlap => return Err(SplitError::Overlap { task: (*task).to_owned() }),
                (true, _) => Side::Train,
                (false, true) => Side::HeldOut,
                (false, false) => Side::LeftOut,
            });
        }
        for (wanted, side) in [(Side::Train, "to train on"), (Side::HeldOut, "to evaluate on")] {
            if !sides.contains(&wanted) {
                return Err(SplitError::Empty { side, tasks: tasks.join(", ") });
            }
        }
        let is_kind_trained = |kind: &str| lines.iter().any(|line| line.kind == kind && is_trained(line));
        let of_trained_kinds = (tasks.iter().zip(&lines).zip(&sides))
            .filter(|((_, line), side)| **side == Side::HeldOut && is_kind_trained(&line.kind))
            .map(|((task, line), _)| ((*task).to_owned(), line.kind.clone()))
            .collect();
        Ok(Division { sides, of_trained_kinds })
    }

    /// A task's line: under its own name, or that of its data set.
    fn line(&self, task: &str) -> Option<&Line> {
        self.tasks.get(task).or_else(|| self.tasks.get(task.split('/').next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "HF_name,subset,task_by_convention,do_train,do_eval,train_size\r
imdb,,sentiment,BASE,,25000\r
glue,mrpc,paraphrase,BASE,,3668\r
super_glue,rte,NLI,,BASE,2490\r
super_glue,wic,senses,SGLUE,BASE,5428\r
wiki_qa,,qa,GPT_EVAL,,20360\r
hella,,completion,GPT_EVAL,BASE,39905\r
cloze,2016,completion,,BASE,\r
";

    fn sides(tasks: &[&str], mixture: T0, drop_overlap: bool) -> Result<Vec<Side>, String> {
        let split = Split::parse(TABLE).expect("a table");
        split.divide(tasks, mixture, drop_overlap).map(|found| found.sides).map_err(|error| error.to_string())
    }

    #[test]
    fn each_mixture_has_what_the_one_before_it_has() {
        use Side::{HeldOut, LeftOut, Train};
        let tasks = ["imdb", "glue/mrpc", "super_glue/rte", "wiki_qa"];
        assert_eq!(sides(&tasks, T0::Base, false), Ok(vec![Train, Train, HeldOut, LeftOut]));
        assert_eq!(sides(&tasks, T0::Plus, false), Ok(vec![Train, Train, HeldOut, Train]));
        // A data set's subset that has no line of its own.
        assert_eq!(sides(&["imdb/plain", "super_glue/rte"], T0::Base, false), Ok(vec![Train, HeldOut]));
    }

    #[test]
    fn what_is_trained_on_is_not_evaluated() {
        use Side::{HeldOut, Train};
        let tasks = ["imdb", "super_glue/wic", "super_glue/rte"];
        let error = sides(&tasks, T0::PlusPlus, false).expect_err("overlap");
        assert!(error.contains("\"super_glue/wic\" would be both trained on and evaluated"), "{error}");
        assert_eq!(sides(&tasks, T0::PlusPlus, true), Ok(vec![Train, Train, HeldOut]));
        // Another task of a kind that is trained on is evaluated, and named.
        let split = Split::parse(TABLE).expect("a table");
        let found = split.divide(&["cloze/2016", "hella", "super_glue/rte"], T0::Plus, true).expect("divided");
        assert_eq!(found.sides, [HeldOut, Train, HeldOut]);
        assert_eq!(found.of_trained_kinds, [("cloze/2016".to_owned(), "completion".to_owned())]);
    }

    #[test]
    fn what_cannot_be_divided_is_said() {
        let check = |tasks: &[&str], expected: &str| {
            let error = sides(tasks, T0::Base, false).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        check(&["imdb", "novel"], "\"novel\" is not in the table");
        check(&["imdb"], "nothing is left to evaluate on");
        check(&["super_glue/rte"], "nothing is left to train on");
    }

    #[test]
    fn a_broken_table_names_the_line() {
        let check = |text: &str, line: usize, expected: &str| {
            let (found, problem) = Split::parse(text).expect_err(expected);
            assert!(found == line && problem.contains(expected), "{found}: {problem}");
        };
        check("", 1, "found the columns , expected HF_name");
        let header = "HF_name,subset,task_by_convention,do_train,do_eval\n";
        check(&format!("{header}a,,k,BASE\n"), 2, "4 fields, expected 5");
        check(&format!("{header}\n\"a\",,k,BASE,\n"), 3, "without quotes");
        check(&format!("{header}a,,k,ALL,\n"), 2, "do_train: found \"ALL\"");
        check(&format!("{header}a,,k,BASE,\na,,k,,BASE\n"), 3, "\"a\" stands there twice");
    }

    /// The published table, where the shared folder is there.
    #[test]
    fn the_published_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/templates/t0_datasets.csv");
        if !path.exists() {
            eprintln!("SKIPPED: {} is not here", path.display());
            return;
        }
        let split = Split::open(&path).unwrap_or_else(|error| panic!("{error}"));
        let tasks: Vec<&str> = split.tasks.keys().map(String::as_str).collect();
        assert_eq!(tasks.len(), 66);
        let found = split.divide(&tasks, T0::Base, false).expect("T0 evaluates nothing that it trains on");
        let count = |wanted| found.sides.iter().filter(|side| **side == wanted).count();
        // The paper's 38 data sets; 9 rows of four kinds are evaluated, and 7 for bias and fairness.
        assert_eq!((count(Side::Train), count(Side::HeldOut), count(Side::LeftOut)), (38, 16, 12));
        let kinds: Vec<&str> = found.of_trained_kinds.iter().map(|(task, _)| &task[..]).collect();
        assert_eq!(kinds, ["super_glue/copa"]);
        let error = split.divide(&tasks, T0::Plus, false).expect_err("T0+ trains on HellaSwag").to_string();
        assert!(error.contains("\"hellaswag\""), "{error}");
        let found = split.divide(&tasks, T0::PlusPlus, true).expect("without what is trained on");
        let held_out = found.sides.iter().filter(|side| **side == Side::HeldOut).count();
        // Without HellaSwag, COPA, WiC and WSC.
        assert_eq!(held_out, 12);
    }
}

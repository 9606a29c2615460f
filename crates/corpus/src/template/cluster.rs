//! Task clusters: which tasks must be kept from training so that one kind of task is truly unseen (FLAN, §2.2).
//!
//! A JSON file: `{"clusters": {"name": ["task", …]}, "inter_cluster_excluded_from_train": {"name": ["cluster", …]}}`.
//! The second says which clusters are too close to a held-out one to be trained on (itself, and its relatives); a
//! cluster that isn't in it excludes itself alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stdx::FileError;

/// Clusters of tasks.
#[derive(Clone, Debug, Deserialize)]
pub struct Clusters {
    clusters: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    inter_cluster_excluded_from_train: BTreeMap<String, Vec<String>>,
}

/// Where a task goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is trained on.
    Train,
    /// It is held out.
    HeldOut,
    /// It is a relative of what is held out, and goes nowhere.
    LeftOut,
}

/// Why tasks can't be divided.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file doesn't hold clusters.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There is no such cluster.
    #[error("no cluster {name:?}, expected one of {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A task stands in no cluster, so that nobody can say whether it was held out.
    #[error("task {task:?} is in no cluster")]
    Unclustered {
        /// The task.
        task: String,
    },
    /// One side would have nothing.
    #[error("nothing is left {side}: of the tasks {tasks}, with {held_out:?} held out")]
    Empty {
        /// The side, in words.
        side: &'static str,
        /// The tasks.
        tasks: String,
        /// The cluster.
        held_out: String,
    },
}

impl Clusters {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, isn't the object above, names a cluster that isn't there, or has a task in two clusters.
    pub fn open(path: &Path) -> Result<Clusters, ClusterError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path, "read"))?;
        let malformed = |problem| ClusterError::Malformed { path: path.to_path_buf(), problem };
        let clusters: Clusters = serde_json::from_slice(&bytes)
            .map_err(|error| malformed(format!("{error}; expected {{\"clusters\": {{\"name\": [\"task\", …]}}}}")))?;
        clusters.check().map_err(malformed)?;
        Ok(clusters)
    }

    fn check(&self) -> Result<(), String> {
        let mut homes = BTreeMap::new();
        for (name, tasks) in &self.clusters {
            for task in tasks {
                if let Some(other) = homes.insert(task, name) {
                    return Err(format!("task {task:?} is in the clusters {other:?} and {name:?}, expected one"));
                }
            }
        }
        for (name, relatives) in &self.inter_cluster_excluded_from_train {
            if let Some(missing) = relatives.iter().chain([name]).find(|name| !self.clusters.contains_key(*name)) {
                return Err(format!("inter_cluster_excluded_from_train.{name}: no cluster {missing:?}"));
            }
        }
        Ok(())
    }

    /// The cluster of a task. `a/b` is also looked for as `a_b` and as `a`, for names of data sets with subsets.
    pub fn cluster_of(&self, task: &str) -> Option<&str> {
        let names = [Some(task.to_owned()), Some(task.replace('/', "_")), task.split('/').next().map(str::to_owned)];
        names.iter().flatten().find_map(|name| {
            self.clusters.iter().find(|(_, tasks)| tasks.contains(name)).map(|(cluster, _)| cluster.as_str())
        })
    }

    /// The side of each task when a cluster is held out.
    ///
    /// # Errors
    /// The cluster is unknown, a task is in none, or a side would be empty.
    pub fn divide(&self, tasks: &[&str], held_out: &str) -> Result<Vec<Side>, ClusterError> {
        if !self.clusters.contains_key(held_out) {
            let known: Vec<&str> = self.clusters.keys().map(String::as_str).collect();
            return Err(ClusterError::Unknown { name: held_out.to_owned(), known: known.join(", ") });
        }
        let relatives = self.inter_cluster_excluded_from_train.get(held_out);
        let is_relative = |cluster: &str| relatives.is_some_and(|names| names.iter().any(|name| name == cluster));
        let side = |task: &&str| match self.cluster_of(task) {
            None => Err(ClusterError::Unclustered { task: (*task).to_owned() }),
            Some(cluster) if cluster == held_out => Ok(Side::HeldOut),
            Some(cluster) if is_relative(cluster) => Ok(Side::LeftOut),
            Some(_) => Ok(Side::Train),
        };
        let sides = tasks.iter().map(side).collect::<Result<Vec<_>, _>>()?;
        for (wanted, side) in [(Side::Train, "to train on"), (Side::HeldOut, "to evaluate on")] {
            if !sides.contains(&wanted) {
                let (tasks, held_out) = (tasks.join(", "), held_out.to_owned());
                return Err(ClusterError::Empty { side, tasks, held_out });
            }
        }
        Ok(sides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(text: &str) -> Result<Clusters, String> {
        let clusters: Clusters = serde_json::from_str(text).map_err(|error| error.to_string())?;
        clusters.check().map(|()| clusters)
    }

    const TEXT: &str = r#"{"clusters": {"nli": ["rte", "super_glue_cb"], "paraphrase": ["paws"], "qa": ["squad", "drop"]},
        "inter_cluster_excluded_from_train": {"nli": ["nli", "paraphrase"]}}"#;

    #[test]
    fn relatives_of_the_held_out_go_nowhere() {
        let clusters = clusters(TEXT).expect("well-formed");
        let sides = clusters.divide(&["rte", "super_glue/cb", "paws", "squad/v1"], "nli").expect("divided");
        assert_eq!(sides, [Side::HeldOut, Side::HeldOut, Side::LeftOut, Side::Train]);
        // Not in the second map: itself alone.
        assert_eq!(clusters.divide(&["rte", "drop"], "qa").expect("divided"), [Side::Train, Side::HeldOut]);
    }

    #[test]
    fn what_cannot_be_divided_is_said() {
        let clusters = clusters(TEXT).expect("well-formed");
        let check = |tasks: &[&str], held_out, expected| {
            let error = clusters.divide(tasks, held_out).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&["rte"], "sentiment", "no cluster \"sentiment\", expected one of nli, paraphrase, qa");
        check(&["rte", "imdb"], "nli", "\"imdb\" is in no cluster");
        check(&["rte", "paws"], "nli", "to train on");
        check(&["rte", "paws"], "qa", "to evaluate on");
    }

    #[test]
    fn a_task_has_one_cluster() {
        let error = clusters(r#"{"clusters": {"a": ["x"], "b": ["x"]}}"#).expect_err("twice");
        assert!(error.contains("\"x\" is in the clusters"), "{error}");
        let error = clusters(r#"{"clusters": {"a": ["x"]}, "inter_cluster_excluded_from_train": {"a": ["c"]}}"#);
        assert!(error.expect_err("unknown").contains("no cluster \"c\""));
    }
}

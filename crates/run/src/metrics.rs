//! `metrics.jsonl`, and on request the same as CSV and as a TensorBoard event file.
//!
//! A line is an object that has a `step`. Lines are flushed one by one. When a run is resumed, lines after the
//! checkpoint's step go away, so that no step stands twice.
use crate::folder::RunError;
use crate::tensorboard;
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use stdx::FileError;

/// A file of JSON lines that grows.
pub struct JsonLines {
    path: PathBuf,
    file: File,
}

impl JsonLines {
    /// Opens `path`, keeping only the lines with `step` ≤ `last_step`; a torn last line goes too.
    pub fn open(path: &Path, last_step: u64) -> Result<JsonLines, RunError> {
        let kept: Vec<Map<String, Value>> = read_lines(path)?
            .into_iter()
            .filter(|line| line.get("step").and_then(Value::as_u64).is_some_and(|step| step <= last_step))
            .collect();
        let text = stdx::jsonl::to_string(&kept).expect("JSON values");
        stdx::write_file(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(FileError::at(path, "open"))?;
        Ok(JsonLines { path: path.to_path_buf(), file })
    }

    /// Appends one line.
    pub fn append(&mut self, line: &Map<String, Value>) -> Result<(), RunError> {
        let mut bytes = serde_json::to_vec(line).expect("JSON values");
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(FileError::at(&self.path, "write"))?;
        Ok(())
    }
}

/// The whole lines of a file of JSON objects; none when there is no file. What isn't an object is left out: only a
/// torn last line can be, and it was never reported as written.
pub fn read_lines(path: &Path) -> Result<Vec<Map<String, Value>>, RunError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let file = File::open(path).map_err(FileError::at(path, "open"))?;
    let mut lines = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(FileError::at(path, "read"))?;
        if let Ok(Value::Object(object)) = serde_json::from_slice(&line) {
            lines.push(object);
        }
    }
    Ok(lines)
}

/// Everything that is written about a step.
pub struct Metrics {
    lines: JsonLines,
    csv: Option<Csv>,
    events: Option<Events>,
}

impl Metrics {
    /// Continues the files in `folder` after `last_step` (0: from the beginning).
    pub fn open(folder: &Path, last_step: u64, csv: bool, events: bool) -> Result<Metrics, RunError> {
        let path = folder.join("metrics.jsonl");
        let lines = JsonLines::open(&path, last_step)?;
        let earlier = read_lines(&path)?;
        let csv = if csv { Some(Csv::create(&folder.join("metrics.csv"), &earlier)?) } else { None };
        let events = if events { Some(Events::create(folder, &earlier)?) } else { None };
        Ok(Metrics { lines, csv, events })
    }

    /// Appends a step.
    pub fn append(&mut self, line: &Map<String, Value>) -> Result<(), RunError> {
        self.lines.append(line)?;
        if let Some(csv) = &mut self.csv {
            csv.append(line)?;
        }
        if let Some(events) = &mut self.events {
            events.append(line)?;
        }
        Ok(())
    }
}

/// A table with the columns of the first line; a number that first shows up later starts the table anew, with a wider
/// head.
struct Csv {
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
    file: File,
}

impl Csv {
    fn create(path: &Path, earlier: &[Map<String, Value>]) -> Result<Csv, RunError> {
        let file = File::create(path).map_err(FileError::at(path, "create"))?;
        let mut csv = Csv { path: path.to_path_buf(), columns: vec![], rows: vec![], file };
        for line in earlier {
            csv.append(line)?;
        }
        Ok(csv)
    }

    fn append(&mut self, line: &Map<String, Value>) -> Result<(), RunError> {
        let new: Vec<String> = line.keys().filter(|key| !self.columns.contains(key)).cloned().collect();
        self.rows.push(line.clone());
        let text = if new.is_empty() {
            csv_row(&self.columns, line)
        } else {
            self.columns.extend(new);
            self.file = File::create(&self.path).map_err(FileError::at(&self.path, "create"))?;
            let rows: String = self.rows.iter().map(|row| csv_row(&self.columns, row)).collect();
            format!("{}\n{rows}", self.columns.join(","))
        };
        self.file.write_all(text.as_bytes()).map_err(FileError::at(&self.path, "write"))?;
        Ok(())
    }
}

fn csv_row(columns: &[String], line: &Map<String, Value>) -> String {
    let cell = |column: &String| match line.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => format!("\"{}\"", text.replace('"', "\"\"")),
        Some(value) => value.to_string(),
    };
    let cells: Vec<String> = columns.iter().map(cell).collect();
    cells.join(",") + "\n"
}

/// The event file.
struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// TensorBoard finds files by "tfevents" in their names.
    fn create(folder: &Path, earlier: &[Map<String, Value>]) -> Result<Events, RunError> {
        let path = folder.join("events.out.tfevents.helpmate");
        let file = File::create(&path).map_err(FileError::at(&path, "create"))?;
        let mut events = Events { path, file };
        events.write(&[tensorboard::header(wall_time())])?;
        for line in earlier {
            events.append(line)?;
        }
        Ok(events)
    }

    fn append(&mut self, line: &Map<String, Value>) -> Result<(), RunError> {
        let step = line.get("step").and_then(Value::as_u64).unwrap_or(0);
        let now = wall_time();
        let scalars: Vec<Vec<u8>> = line
            .iter()
            .filter(|(key, _)| *key != "step")
            .filter_map(|(key, value)| Some(tensorboard::scalar(now, step, key, value.as_f64()? as f32)))
            .collect();
        self.write(&scalars)
    }

    fn write(&mut self, records: &[Vec<u8>]) -> Result<(), RunError> {
        let mut bytes = Vec::new();
        for record in records {
            tensorboard::write_record(&mut bytes, record).expect("write to memory");
        }
        self.file.write_all(&bytes).map_err(FileError::at(&self.path, "write"))?;
        Ok(())
    }
}

fn wall_time() -> f64 {
    jiff::Timestamp::now().as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(value: Value) -> Map<String, Value> {
        value.as_object().expect("object").clone()
    }

    #[test]
    fn resuming_cuts_later_steps_and_torn_lines() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st").expect("write");
        let mut lines = JsonLines::open(&path, 2).expect("open");
        lines.append(&line(json!({"step": 3, "loss": 0.5}))).expect("append");
        let text = std::fs::read_to_string(&path).expect("read");
        assert_eq!(text, "{\"step\":1}\n{\"step\":2}\n{\"step\":3,\"loss\":0.5}\n");
    }

    #[test]
    fn a_late_column_widens_the_table() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut metrics = Metrics::open(dir.path(), 0, true, false).expect("open");
        metrics.append(&line(json!({"step": 1, "loss": 2.5}))).expect("append");
        metrics.append(&line(json!({"step": 2, "loss": 2.25, "held_out_loss": 3.0}))).expect("append");
        metrics.append(&line(json!({"step": 3, "loss": 2.0}))).expect("append");
        let text = std::fs::read_to_string(dir.path().join("metrics.csv")).expect("read");
        assert_eq!(text, "step,loss,held_out_loss\n1,2.5,\n2,2.25,3.0\n3,2.0,\n");
    }

    #[test]
    fn resuming_rewrites_the_event_file_without_doubles() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let size = || std::fs::metadata(dir.path().join("events.out.tfevents.helpmate")).expect("size").len();
        let mut metrics = Metrics::open(dir.path(), 0, false, true).expect("open");
        metrics.append(&line(json!({"step": 1, "loss": 2.5}))).expect("append");
        let one = size();
        metrics.append(&line(json!({"step": 2, "loss": 2.5}))).expect("append");
        assert!(size() > one);
        Metrics::open(dir.path(), 1, false, true).expect("resume");
        assert_eq!(size(), one);
    }
}

//! `helpmate eval tasks`.

use crate::error::CommandError;
use crate::{output, table};
use ::eval::{Data, Metric, Task};
use clap::Args;
use serde_json::{Value, json};

/// List the tasks, their metrics and the rows they read
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate eval tasks --json")]
pub struct Tasks {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Tasks {
    pub fn run(self) -> Result<(), CommandError> {
        let tasks: Vec<Value> = ::eval::task::ALL.iter().map(|task| describe(*task)).collect();
        output::report(&tasks, self.json, |_| {
            let row = |task: &&dyn Task| {
                let metrics: Vec<&str> = task.metrics().iter().map(|metric| metric.name).collect();
                vec![task.name().to_owned(), task.summary().to_owned(), rows(*task).to_owned(), metrics.join(" ")]
            };
            table::render(
                &["task", "measures", "rows", "metrics"],
                &::eval::task::ALL.iter().map(row).collect::<Vec<_>>(),
            )
        })
    }
}

fn rows(task: &dyn Task) -> &'static str {
    match task.data() {
        Data::Shipped(_) => "its own",
        Data::File(_) => "--data",
    }
}

fn describe(task: &dyn Task) -> Value {
    let metric = |metric: &Metric| json!({ "name": metric.name, "summary": metric.summary, "better": metric.better });
    let reads = match task.data() {
        Data::Shipped(_) => Value::Null,
        Data::File(expected) => json!(expected),
    };
    json!({
        "task": task.name(),
        "version": task.version(),
        "summary": task.summary(),
        "source": task.source(),
        "reads": reads,
        "metrics": task.metrics().iter().map(metric).collect::<Vec<_>>(),
    })
}

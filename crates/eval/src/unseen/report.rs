//! The report of an experiment on an unseen kind of task, and its page.

use super::{Change, Measured};
use chart::page::{facts, page, tile};
use chart::{Axis, Dot, DotPlot, Group};
use serde::{Deserialize, Serialize};

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The model that was trained.
    pub model: String,
    /// The cluster that was held out.
    pub held_out: String,
    /// The seed of everything.
    pub seed: u32,
    /// What was typed.
    pub command: String,
    /// Renderings that were trained on.
    pub renderings_trained: usize,
    /// Optimizer steps.
    pub steps: u64,
    /// On the cluster that was held out: all of it, its tasks, its templates.
    pub unseen: Vec<Change>,
    /// On rows of the trained tasks that were kept apart.
    pub seen: Vec<Change>,
}

impl Report {
    /// The page: the two numbers one looks for, before and after by task and template, and how it was made.
    pub fn to_html(&self) -> String {
        html(self)
    }
}

impl Measured {
    /// `0.512 [0.480, 0.544]`.
    pub fn plain(&self) -> String {
        self.written(|value| format!("{value:.3}"))
    }

    /// `+0.012 [-0.020, +0.044]`.
    pub fn signed(&self) -> String {
        self.written(|value| format!("{value:+.3}"))
    }

    fn written(&self, number: impl Fn(f64) -> String) -> String {
        match self.interval {
            Some([low, high]) => format!("{} [{}, {}]", number(self.value), number(low), number(high)),
            None => format!("{} (no interval)", number(self.value)),
        }
    }
}

fn html(report: &Report) -> String {
    let mut inside = String::from("<div class=\"tiles\">");
    for (name, changes) in [("unseen kind of task", &report.unseen), ("seen tasks, unseen rows", &report.seen)] {
        if let Some(all) = changes.first() {
            let note = format!("accuracy {} → {}", short(&all.before), short(&all.after));
            inside.push_str(&tile(name, &all.difference.signed(), &note));
        }
    }
    inside.push_str("</div>\n");
    inside.push_str("<section class=\"charts\">\n");
    for (title, changes) in [
        (format!("Held out: {}", report.held_out), &report.unseen),
        ("Tasks that were trained on, rows kept apart".to_owned(), &report.seen),
    ] {
        inside.push_str(&plot(&title, changes).to_html());
    }
    inside.push_str("</section>\n<h2>How it was made</h2>\n");
    inside.push_str(&facts(&[
        ("model".to_owned(), report.model.clone()),
        ("trained on".to_owned(), format!("{} renderings, {} steps", report.renderings_trained, report.steps)),
        ("seed".to_owned(), format!("{} (one run: another may differ by more than the intervals)", report.seed)),
        (
            "measure".to_owned(),
            "rank classification: the answer with the highest Σ log p, no length normalisation".to_owned(),
        ),
        ("intervals".to_owned(), "95 %, rows drawn with replacement".to_owned()),
        ("command".to_owned(), report.command.clone()),
    ]));
    page("Before and after training on other tasks", &inside)
}

fn short(measured: &Measured) -> String {
    format!("{:.3}", measured.value)
}

fn plot(title: &str, changes: &[Change]) -> DotPlot {
    let dot = |measured: &Measured| {
        Some(Dot { value: measured.value, interval: measured.interval.map(|[low, high]| (low, high)) })
    };
    let bare = |value| Some(Dot { value, interval: None });
    let group = |change: &Change| Group {
        name: change.name.clone(),
        dots: vec![dot(&change.before), dot(&change.after), bare(change.majority)],
    };
    DotPlot {
        title: title.to_owned(),
        axis: Axis::new("accuracy"),
        series: vec![("before".to_owned(), 1), ("after".to_owned(), 0), ("always the same answer".to_owned(), 2)],
        groups: changes.iter().map(group).collect(),
        reference: None,
    }
}

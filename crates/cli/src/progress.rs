//! How far something is: a bar on a terminal, a line now and then elsewhere.

use crate::table;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// The progress of a transfer in bytes.
pub struct Transfer {
    name: String,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Transfer {
    /// A transfer of something called `name`.
    pub fn new(name: &str) -> Transfer {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) =
                ProgressStyle::with_template("{prefix}  {bar:30}  {bytes}/{total_bytes}  {bytes_per_sec}  {eta}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_string());
            bar
        });
        Transfer { name: name.to_string(), bar, told: Instant::now() }
    }

    /// So much is there, of so much.
    pub fn update(&mut self, there: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.unwrap_or(there));
            bar.set_position(there);
        } else if self.told.elapsed() >= BETWEEN_LINES {
            self.told = Instant::now();
            let of = total.map_or(String::new(), |total| format!(" of {}", table::bytes(total)));
            eprintln!("{}: {}{of}", self.name, table::bytes(there));
        }
    }

    /// It is over; on a terminal nothing stays.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The progress of counted work.
pub struct Count {
    bar: Option<ProgressBar>,
    told: Instant,
    noun: &'static str,
    total: usize,
}

impl Count {
    /// `total` things of a kind.
    pub fn new(total: usize, noun: &'static str) -> Count {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30}  {pos}/{len} {prefix}  {eta} left") {
                bar.set_style(style);
            }
            bar.set_prefix(noun);
            bar
        });
        Count { bar, told: Instant::now(), noun, total }
    }

    /// So many are done.
    pub fn update(&mut self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        } else if self.told.elapsed() >= BETWEEN_LINES {
            self.told = Instant::now();
            eprintln!("{done} of {} {}", self.total, self.noun);
        }
    }

    /// It is over.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

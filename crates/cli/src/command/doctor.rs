//! `helpmate doctor`.

use crate::context::Context;
use crate::error::CommandError;
use crate::{output, pull, table};
use clap::Args;
use kernels::{Device, Isa};
use serde::Serialize;
use std::path::Path;
use std::process::Command;

/// Tell what this machine has and what is missing
///
/// Looks at the processor, memory, disk, the cache of models and pip. The network is asked only with --network.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate doctor --json")]
pub struct Doctor {
    /// Also ask whether the model hub can be reached
    #[arg(long)]
    network: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    architecture: String,
    instruction_sets: Vec<String>,
    instruction_set: String,
    default_dtype: &'static str,
    threads: usize,
    memory_bytes_total: Option<u64>,
    memory_bytes_available: Option<u64>,
    cache: String,
    cached_models: Vec<String>,
    disk_bytes_free: Option<u64>,
    pip: Option<String>,
    hub: String,
    hub_reachable: Option<bool>,
    hub_problem: Option<String>,
}

impl Doctor {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let device = Device::detect(None);
        let hub = self.network.then(|| pull::hub::reach(context));
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            architecture: std::env::consts::ARCH.to_string(),
            instruction_sets: Isa::ALL.iter().filter(|isa| isa.is_available()).map(|isa| format!("{isa:?}")).collect(),
            instruction_set: format!("{:?}", device.isa),
            default_dtype: if device.isa >= Isa::Avx512Bf16 { "bf16" } else { "f32" },
            threads: device.pool.threads(),
            memory_bytes_total: memory("MemTotal:"),
            memory_bytes_available: memory("MemAvailable:"),
            cache: context.cache.root().display().to_string(),
            cached_models: cached(&context.cache.models()),
            disk_bytes_free: disk_free(context.cache.root()),
            pip: pull::package::pip_version(),
            hub: context.hub.endpoint.clone(),
            hub_reachable: hub.as_ref().map(Result::is_ok),
            hub_problem: hub.and_then(Result::err),
        };
        output::report(&report, self.json, describe)
    }
}

fn describe(report: &Report) -> String {
    let size = |n: Option<u64>| n.map_or("unknown".to_string(), table::bytes);
    let models = if report.cached_models.is_empty() {
        "none yet; `helpmate pull default` gets one".to_string()
    } else {
        report.cached_models.join(", ")
    };
    let hub = match (report.hub_reachable, &report.hub_problem) {
        (Some(true), _) => "reachable".to_string(),
        (_, Some(problem)) => format!("not reachable: {problem}"),
        _ => "not asked (--network asks)".to_string(),
    };
    let pip = report.pip.clone().unwrap_or("missing: sources `pypi:…` can't be pulled".to_string());
    let lines = [
        ("helpmate", report.version.to_string()),
        ("processor", format!("{}, {} threads", report.architecture, report.threads)),
        ("instructions", format!("{} in use (of {})", report.instruction_set, report.instruction_sets.join(", "))),
        ("arithmetic", format!("{} unless --dtype says otherwise", report.default_dtype)),
        ("memory", format!("{} available of {}", size(report.memory_bytes_available), size(report.memory_bytes_total))),
        ("cache", format!("{}, {} free", report.cache, size(report.disk_bytes_free))),
        ("models", models),
        ("pip", pip),
        ("hub", format!("{}: {hub}", report.hub)),
    ];
    lines.iter().map(|(name, value)| format!("{name:<14}{value}\n")).collect()
}

/// A line of Linux's `/proc/meminfo`, in bytes.
fn memory(field: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn cached(models: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(models).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("config.json").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Free bytes on the disk of the nearest folder that exists, as `df` says.
fn disk_free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let answer = Command::new("df").arg("-Pk").arg(existing).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let kibibytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kibibytes * 1024)
}

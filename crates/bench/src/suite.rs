//! The whole table: each measurement in its own process, in turn with a peer's, medians and ratios.
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A row of the table.
struct Row {
    name: &'static str,
    ours: &'static [&'static str],
    /// The peer: what it is called, and its arguments.
    peer: Peer,
    /// The figure that is compared; `process_s` is the whole process's wall time.
    figure: &'static str,
    /// Environment of the peer.
    environment: &'static [(&'static str, &'static str)],
    /// The least share of answers that both must have in common, where both say what they answered.
    same: f64,
}

enum Peer {
    None,
    /// `xtask/peer/bench.py`.
    Python(&'static [&'static str]),
    /// llama.cpp by the same script, on a GGUF of this type and with these further arguments.
    LlamaCpp(&'static str, &'static [&'static str]),
    /// lm-evaluation-harness by `xtask/peer/lm_eval_speed.py`.
    Harness(&'static [&'static str]),
    /// `xtask/peer/text.py`, and the package that it measures.
    Text(&'static str, &'static [&'static str]),
    /// `trl`'s trainers by `xtask/peer/bench.py`.
    Trl(&'static [&'static str]),
    /// Another way to do it in this engine.
    Ourselves(&'static [&'static str]),
}

/// PyTorch held to AVX2, as ours is by `--isa avx2`.
const AVX2: &[(&str, &str)] =
    &[("ATEN_CPU_CAPABILITY", "avx2"), ("ONEDNN_MAX_CPU_ISA", "AVX2"), ("MKL_ENABLE_INSTRUCTIONS", "AVX2")];

const ROWS: &[Row] = &[
    row("train 4x256 bf16", &["train"], Peer::Python(&["train"]), "tokens_per_second"),
    row(
        "train 4x256 f32",
        &["train", "--precision", "f32"],
        Peer::Python(&["train", "--precision", "f32"]),
        "tokens_per_second",
    ),
    // PyTorch emulates bf16 there, a minute or more a step: one step after the first.
    Row {
        environment: AVX2,
        ..row(
            "train 4x256 bf16 avx2",
            &["train", "--isa", "avx2"],
            Peer::Python(&["train", "--steps", "1"]),
            "tokens_per_second",
        )
    },
    Row {
        environment: AVX2,
        ..row(
            "train 4x256 f32 avx2",
            &["train", "--isa", "avx2", "--precision", "f32"],
            Peer::Python(&["train", "--precision", "f32"]),
            "tokens_per_second",
        )
    },
    row("generate 8x64 bf16", &["generate"], Peer::Python(&["generate"]), "tokens_per_second"),
    row(
        "generate 64x64 bf16",
        &["generate", "--sequences", "64"],
        Peer::Python(&["generate", "--sequences", "64"]),
        "tokens_per_second",
    ),
    row("generate 8x64 bf16 / llama.cpp bf16", &["generate"], Peer::LlamaCpp("bf16", &[]), "tokens_per_second"),
    row("generate 8x64 bf16 / llama.cpp q8_0", &["generate"], Peer::LlamaCpp("q8_0", &[]), "tokens_per_second"),
    row(
        "generate 64x64 bf16 / llama.cpp bf16",
        &["generate", "--sequences", "64"],
        Peer::LlamaCpp("bf16", &["--sequences", "64"]),
        "tokens_per_second",
    ),
    row(
        "serve 16 streams / 1 stream bf16",
        &["serve", "--model", "MODEL"],
        Peer::Ourselves(&["serve", "--model", "MODEL", "--streams", "1"]),
        "tokens_per_second",
    ),
    row(
        "serve 16 streams / 1 stream bf16, answers of 256",
        &["serve", "--model", "MODEL", "--new", "256"],
        Peer::Ourselves(&["serve", "--model", "MODEL", "--new", "256", "--streams", "1"]),
        "tokens_per_second",
    ),
    row(
        "first step",
        &["first-step", "--model", "MODEL"],
        Peer::Python(&["first-step", "--model", "MODEL"]),
        "process_s",
    ),
    evaluated("truthfulqa mc f32", TRUTHFULQA_F32, HARNESS_F32, 1.0),
    // In bf16 the two round at different places: how many answers are the same is recorded, not asked for.
    evaluated("truthfulqa mc bf16", TRUTHFULQA_BF16, HARNESS_BF16, 0.0),
    evaluated("multiple choice f32", CHOICES_F32, HARNESS_F32, 1.0),
    // A greedy answer turns elsewhere where two tokens are as likely to the last digits.
    evaluated("greedy answers f32", GENERATION_F32, HARNESS_ALL_F32, 0.8),
    evaluated("greedy answers bf16", GENERATION_BF16, HARNESS_ALL_BF16, 0.0),
    row("lora 1.5B bf16", &["lora"], Peer::None, "tokens_per_second"),
    row("lora 1.5B q8", &["lora", "--q8"], Peer::None, "tokens_per_second"),
    row("k-wise shared / passes", &["kwise"], Peer::Ourselves(&["kwise", "--how", "passes"]), "prompts_per_second"),
    row("k-wise shared / pairs", &["kwise"], Peer::Ourselves(&["kwise", "--how", "pairs"]), "prompts_per_second"),
    row("k-wise shared / trl pairs", &["kwise"], Peer::Trl(&["trl-reward"]), "prompts_per_second"),
    row("dpo shared / separate", &["dpo"], Peer::Ourselves(&["dpo", "--how", "passes"]), "pairs_per_second"),
    row("dpo shared / trl", &["dpo"], Peer::Trl(&["trl-dpo"]), "pairs_per_second"),
    row("ppo iteration 32x64 bf16", &["ppo", "--model", "SMOLLM2"], Peer::None, "iterations_per_second"),
    row(
        "rouge filter / rouge_score",
        &["rouge-filter"],
        Peer::Text("rouge_score", &["rouge-filter"]),
        "comparisons_per_second",
    ),
    row(
        "rouge filter / rapidfuzz on ids",
        &["rouge-filter"],
        Peer::Text("rapidfuzz", &["rouge-filter-ids"]),
        "comparisons_per_second",
    ),
    row("near duplicates 1M", &["near-duplicates"], Peer::Text("rensa", &["near-duplicates"]), "documents_per_second"),
    row("near duplicates 10k", &["near-duplicates", "--documents", "10000"], Peer::None, "documents_per_second"),
    row("render templates", &["render"], Peer::None, "renderings_per_second"),
    row("world text", &["world"], Peer::None, "documents_per_second"),
];

const TRUTHFULQA_F32: &[&str] =
    &["evaluate", "truthfulqa", "--precision", "f32", "--model", "SMOLLM2", "--rows", "TRUTHFULQA", "--items", "ITEMS"];
const TRUTHFULQA_BF16: &[&str] =
    &["evaluate", "truthfulqa", "--model", "SMOLLM2", "--rows", "TRUTHFULQA", "--items", "ITEMS"];
const CHOICES_F32: &[&str] =
    &["evaluate", "choices", "--precision", "f32", "--questions", "40", "--model", "SMOLLM2", "--items", "ITEMS"];
const GENERATION_F32: &[&str] =
    &["evaluate", "generation", "--precision", "f32", "--questions", "16", "--model", "SMOLLM2", "--items", "ITEMS"];
const GENERATION_BF16: &[&str] =
    &["evaluate", "generation", "--questions", "16", "--model", "SMOLLM2", "--items", "ITEMS"];
const HARNESS_F32: &[&str] = &["--precision", "f32", "--model", "SMOLLM2", "--items", "ITEMS"];
const HARNESS_BF16: &[&str] = &["--model", "SMOLLM2", "--items", "ITEMS"];
/// All questions in one batch, which is the faster for writing.
const HARNESS_ALL_F32: &[&str] = &["--precision", "f32", "--batch", "16", "--model", "SMOLLM2", "--items", "ITEMS"];
const HARNESS_ALL_BF16: &[&str] = &["--batch", "16", "--model", "SMOLLM2", "--items", "ITEMS"];

/// A row of `helpmate eval run` beside lm-evaluation-harness, of whose answers at least this share must be the same.
const fn evaluated(
    name: &'static str,
    ours: &'static [&'static str],
    harness: &'static [&'static str],
    same: f64,
) -> Row {
    Row { same, ..row(name, ours, Peer::Harness(harness), "questions_per_second") }
}

const fn row(name: &'static str, ours: &'static [&'static str], peer: Peer, figure: &'static str) -> Row {
    Row { name, ours, peer, figure, environment: &[], same: 0.0 }
}

/// What to run.
pub struct Suite {
    /// Python with torch and transformers; without one, ours alone.
    pub python: Option<PathBuf>,
    /// Folder with `bf16.gguf` and `q8_0.gguf` of a SmolLM2-135M; without one, ours alone beside llama.cpp's rows.
    pub gguf: Option<PathBuf>,
    /// Folder of a SmolLM2-135M with its tokenizer; without one, the rows that need text are not measured.
    pub smollm2: Option<PathBuf>,
    /// Python with lm_eval; without one, ours alone beside lm-evaluation-harness's rows.
    pub lm_eval: Option<PathBuf>,
    /// Rows of TruthfulQA; without them its rows are not measured.
    pub truthfulqa: Option<PathBuf>,
    /// Where ours writes the questions that a peer is asked too.
    pub items: PathBuf,
    /// Times that each pair is run.
    pub rounds: usize,
    /// Rows whose name contains one of these; all when empty.
    pub only: Vec<String>,
    /// Where rows are appended.
    pub results: PathBuf,
    /// A model folder of the SmolLM2-135M shape.
    pub model: PathBuf,
    /// Memory that is written and given back before each process, in GiB: a virtual machine whose host takes back what is
    /// free gets its first pages so slowly that they, and not the engines, would be measured.
    pub touch_gib: usize,
}

impl Suite {
    /// Runs the table, prints it and appends its rows.
    pub fn run(&self) -> std::io::Result<()> {
        println!(
            "{:36} {:>10} {:>10} {:>7} {:>9} {:>9} {:>7}",
            "measurement", "ours", "peer", "ratio", "ours GB", "peer GB", "ratio"
        );
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.results)?;
        for row in ROWS.iter().filter(|r| self.only.is_empty() || self.only.iter().any(|o| r.name.contains(o.as_str())))
        {
            if let Some(missing) = self.missing(row) {
                println!("{:36} not measured: needs {missing}", row.name);
                continue;
            }
            let result = self.measure(row)?;
            print_row(&result);
            writeln!(file, "{result}")?;
        }
        Ok(())
    }

    /// What a row needs that wasn't given.
    fn missing(&self, row: &Row) -> Option<&'static str> {
        let needs = |name: &str| row.ours.contains(&name);
        if needs("SMOLLM2") && self.smollm2.is_none() {
            return Some("--smollm2 FOLDER");
        }
        (needs("TRUTHFULQA") && self.truthfulqa.is_none()).then_some("--truthfulqa FILE")
    }

    fn measure(&self, row: &Row) -> std::io::Result<Value> {
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            ours.push(self.ours(row.ours)?);
            match row.peer {
                Peer::Harness(arguments) => {
                    if let Some(python) = &self.lm_eval {
                        peers
                            .push(self.timed(Command::new(python).arg(harness_script()).args(self.filled(arguments)))?);
                    }
                }
                Peer::Python(arguments) | Peer::Trl(arguments) => {
                    if let Some(python) = &self.python {
                        let mut command = Command::new(python);
                        command.arg(script()).args(self.filled(arguments)).envs(row.environment.iter().copied());
                        peers.push(self.timed(&mut command)?);
                    }
                }
                Peer::LlamaCpp(dtype, arguments) => {
                    if let (Some(python), Some(gguf)) = (&self.python, &self.gguf) {
                        let mut command = Command::new(python);
                        let file = gguf.join(format!("{dtype}.gguf"));
                        command.arg(script()).args(["llama-cpp", "--model"]).arg(file).args(arguments);
                        peers.push(self.timed(&mut command)?);
                    }
                }
                Peer::Text(_, arguments) => {
                    if let Some(python) = &self.python {
                        peers.push(self.timed(Command::new(python).arg(text_script()).args(arguments))?);
                    }
                }
                Peer::Ourselves(arguments) => peers.push(self.ours(arguments)?),
                Peer::None => {}
            }
        }
        let peer_name = match row.peer {
            Peer::Python(_) => "pytorch",
            Peer::LlamaCpp(..) => "llama.cpp",
            Peer::Harness(_) => "lm_eval",
            Peer::Text(name, _) => name,
            Peer::Trl(_) => "trl",
            Peer::Ourselves(_) => "ourselves, not shared",
            Peer::None => "none",
        };
        let (a, b) = (median(&ours, row.figure), median(&peers, row.figure));
        // What both computed, where they say so: a faster way to another result is none.
        let checks = (median(&ours, "check"), median(&peers, "check"));
        if let (Some(ours), Some(theirs)) = checks
            && (ours - theirs).abs() > 1e-12 * theirs.abs().max(1.0)
        {
            return Err(std::io::Error::other(format!("{}: ours computed {ours}, the peer {theirs}", row.name)));
        }
        let same = same_answers(ours.last(), peers.last());
        if let Some((n, of)) = same
            && (n as f64) < row.same * of as f64
        {
            return Err(std::io::Error::other(format!(
                "{}: {n} of {of} answers are the peer's, expected {} of 100",
                row.name,
                row.same * 100.0
            )));
        }
        let mut last = ours.last().cloned().unwrap_or_default();
        if let Some(last) = last.as_object_mut() {
            last.remove("answers");
        }
        Ok(json!({
            "name": row.name, "figure": row.figure, "ours": a, "peer": b, "ratio": ratio(a, b), "peer_name": peer_name,
            "ours_peak_bytes": median(&ours, "peak_bytes"), "peer_peak_bytes": median(&peers, "peak_bytes"),
            "peak_ratio": ratio(median(&ours, "peak_bytes"), median(&peers, "peak_bytes")),
            "check": checks.0, "peer_check": checks.1, "rounds": self.rounds, "touched_gib": self.touch_gib, "ours_all": all(&ours, row.figure), "peer_all": all(&peers, row.figure),
            "ours_last": last, "same_answers": same, "accuracy": [median(&ours, "accuracy"), median(&peers, "accuracy")],
            "commit": commit(), "machine": machine(), "unix_time": seconds_since_epoch(),
        }))
    }

    /// Runs a measurement; its last line of output is the result, to which the whole process's time is added.
    fn timed(&self, command: &mut Command) -> std::io::Result<Value> {
        if self.touch_gib > 0 {
            // in a process of its own: what starts a process hands on the most memory that it ever had
            let touch = ["touch-memory", &self.touch_gib.to_string()];
            Command::new(std::env::current_exe()?).args(touch).status()?;
        }
        let started = Instant::now();
        let output = command.stderr(Stdio::piped()).output()?;
        let seconds = started.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        match serde_json::from_str::<Value>(last) {
            Ok(mut value) if output.status.success() => {
                value["process_s"] = json!(seconds);
                Ok(value)
            }
            _ => Err(std::io::Error::other(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)))),
        }
    }

    fn ours(&self, arguments: &[&str]) -> std::io::Result<Value> {
        self.timed(Command::new(std::env::current_exe()?).args(self.filled(arguments)))
    }

    fn filled(&self, arguments: &[&str]) -> Vec<String> {
        let model = self.model.display().to_string();
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let (smollm2, truthfulqa) = (path(&self.smollm2), path(&self.truthfulqa));
        let fill = |argument: &&str| match *argument {
            "MODEL" => model.clone(),
            "SMOLLM2" => smollm2.clone(),
            "TRUTHFULQA" => truthfulqa.clone(),
            "ITEMS" => self.items.display().to_string(),
            other => other.to_owned(),
        };
        arguments.iter().map(fill).collect()
    }
}

fn text_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/peer/text.py")
}

fn harness_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/peer/lm_eval_speed.py")
}

/// How many answers of two measurements are the same, and of how many; none where they don't say.
fn same_answers(ours: Option<&Value>, theirs: Option<&Value>) -> Option<(usize, usize)> {
    let [ours, theirs] = [ours?["answers"].as_array()?, theirs?["answers"].as_array()?];
    let same = ours.iter().zip(theirs).filter(|(ours, theirs)| ours == theirs).count();
    Some((same, ours.len().max(theirs.len())))
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xtask/peer/bench.py")
}

fn all(values: &[Value], figure: &str) -> Vec<f64> {
    values.iter().filter_map(|v| v[figure].as_f64()).collect()
}

fn median(values: &[Value], figure: &str) -> Option<f64> {
    let mut numbers = all(values, figure);
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b?)
}

fn print_row(result: &Value) {
    let number = |key: &str, factor: f64, digits: usize| {
        result[key].as_f64().map_or("-".to_string(), |x| format!("{:.digits$}", x * factor))
    };
    println!(
        "{:36} {:>10} {:>10} {:>7} {:>9} {:>9} {:>7}   {}",
        result["name"].as_str().unwrap_or_default(),
        number("ours", 1.0, 2),
        number("peer", 1.0, 2),
        number("ratio", 1.0, 2),
        number("ours_peak_bytes", 1e-9, 2),
        number("peer_peak_bytes", 1e-9, 2),
        number("peak_ratio", 1.0, 2),
        result["figure"].as_str().unwrap_or_default(),
    );
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string()).unwrap_or_default()
}

fn machine() -> Value {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map(|l| l.trim_start_matches(['\t', ' ', ':']))
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    json!({"cpu": name, "cores": cores, "isa": format!("{:?}", kernels::Device::detect(Some(1)).isa)})
}

fn seconds_since_epoch() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

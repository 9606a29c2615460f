//! One measurement a call, printed as a line of JSON. `cargo xtask bench` runs these in turn with a peer and keeps the medians.
//!
//! Weights are random in the shape of a real model: speed does not depend on their values.
mod corpora;
mod evaluation;
mod iteration;
mod measure;
mod preferences;
mod serving;
mod shapes;
mod suite;

use clap::{Parser, Subcommand, ValueEnum};
use kernels::{Device, Isa};
use std::path::PathBuf;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Instruction set; the best there is when absent.
    #[arg(long, global = true)]
    isa: Option<IsaName>,
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    #[arg(long, global = true, default_value = "bf16")]
    precision: PrecisionName,
}

#[derive(Clone, Copy, ValueEnum)]
enum IsaName {
    Portable,
    Avx2,
    Avx512,
    Avx512Bf16,
    Amx,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionName {
    F32,
    Bf16,
}

#[derive(Subcommand)]
enum What {
    /// Forward, loss, backward and AdamW on the SmolLM2-135M shape
    Train {
        #[arg(long, default_value_t = 4)]
        sequences: usize,
        #[arg(long, default_value_t = 256)]
        tokens: usize,
        #[arg(long, default_value_t = 4)]
        steps: usize,
    },
    /// Greedy decoding of the SmolLM2-135M shape after a prompt
    Generate {
        #[arg(long, default_value_t = 8)]
        sequences: usize,
        #[arg(long, default_value_t = 64)]
        prompt: usize,
        #[arg(long, default_value_t = 64)]
        new: usize,
    },
    /// LoRA on a Qwen2-like shape of 1.5 billion parameters, base in bf16 or Q8_0
    Lora {
        #[arg(long, default_value_t = 512)]
        tokens: usize,
        #[arg(long, default_value_t = 2)]
        steps: usize,
        #[arg(long)]
        q8: bool,
    },
    /// Loads a model folder and takes one optimizer step: the whole process is what counts
    FirstStep {
        #[arg(long)]
        model: PathBuf,
    },
    /// Documents of the small world, on one thread
    World {
        #[arg(long, default_value_t = 200_000)]
        documents: u64,
    },
    /// A task of `helpmate eval run` on a real model
    Evaluate {
        which: evaluation::Which,
        #[arg(long)]
        model: PathBuf,
        /// TruthfulQA's rows
        #[arg(long)]
        rows: Option<PathBuf>,
        #[arg(long, default_value_t = 20)]
        questions: usize,
        /// File to write the questions to, for a peer
        #[arg(long)]
        items: Option<PathBuf>,
    },
    /// K ranked completions of one prompt: shared prefix, K separate passes, or separate pairs
    Kwise {
        #[arg(long, default_value = "shared")]
        how: measure::Sharing,
        #[arg(long, default_value_t = 9)]
        k: usize,
        #[arg(long, default_value_t = 256)]
        prompt: usize,
        #[arg(long, default_value_t = 64)]
        completion: usize,
    },
    /// Pairs of answers by DPO, the reference's log-probabilities cached: shared prefix, or sequences by themselves
    Dpo {
        #[arg(long, default_value = "shared")]
        how: measure::Sharing,
        #[arg(long, default_value_t = 8)]
        pairs: usize,
        #[arg(long, default_value_t = 256)]
        prompt: usize,
        #[arg(long, default_value_t = 64)]
        completion: usize,
    },
    /// One iteration of PPO: policy, reward model, value model and reference begun as one model folder
    Ppo {
        #[arg(long)]
        model: PathBuf,
        #[arg(long, default_value_t = 32)]
        prompts: usize,
        #[arg(long, default_value_t = 64)]
        new: usize,
    },
    /// ROUGE-L of every candidate with every text of a pool
    RougeFilter {
        #[arg(long, default_value_t = 50_000)]
        pool: u64,
        #[arg(long, default_value_t = 1_000)]
        candidates: u64,
    },
    /// Near duplicates among short texts, every tenth planted
    NearDuplicates {
        #[arg(long, default_value_t = 1_000_000)]
        documents: u64,
    },
    /// Rows rendered by a template, one thread
    Render {
        #[arg(long, default_value_t = 200_000)]
        rows: u64,
    },
    /// The whole table, each row in its own process, in turn with a peer
    Suite {
        /// Python with torch and transformers
        #[arg(long)]
        peer: Option<PathBuf>,
        /// Folder with bf16.gguf and q8_0.gguf of a SmolLM2-135M (by `helpmate convert`), for llama.cpp's rows
        #[arg(long)]
        gguf: Option<PathBuf>,
        /// Folder of a SmolLM2-135M with its tokenizer (`helpmate pull default`), for the rows that need text
        #[arg(long)]
        smollm2: Option<PathBuf>,
        /// Python with lm_eval (lm-evaluation-harness), for its column
        #[arg(long)]
        lm_eval: Option<PathBuf>,
        /// Rows of TruthfulQA: {"question", "best_answer", "mc1", "mc2"}
        #[arg(long)]
        truthfulqa: Option<PathBuf>,
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// GiB of memory to write and give back before each process, where a virtual machine's host is slow to give pages
        #[arg(long, default_value_t = 0)]
        touch_memory: usize,
        /// Only rows whose name contains this; may be repeated
        #[arg(long)]
        only: Vec<String>,
        #[arg(long, default_value = "bench/results.jsonl")]
        results: PathBuf,
    },
    /// Streamed completions of `helpmate serve`, over HTTP, by so many clients at once
    Serve {
        #[arg(long)]
        model: PathBuf,
        #[arg(long, default_value_t = 16)]
        streams: usize,
        #[arg(long, default_value_t = 64)]
        new: usize,
    },
    /// Writes to so many GiB of memory and ends
    #[command(hide = true)]
    TouchMemory { gib: usize },
    /// Writes a folder with random weights in the SmolLM2-135M shape
    WriteModel { folder: PathBuf },
}

fn main() {
    let arguments = Arguments::parse();
    let device = match arguments.isa {
        None => Device::detect(Some(arguments.threads)),
        Some(name) => Device::with_isa(arguments.threads, isa(name)).unwrap_or_else(|e| {
            eprintln!("error: {e}");
            std::process::exit(3)
        }),
    };
    let precision = match arguments.precision {
        PrecisionName::F32 => kernels::linear::Precision::F32,
        PrecisionName::Bf16 => kernels::linear::Precision::Bf16,
    };
    let result = match arguments.what {
        What::Train { sequences, tokens, steps } => measure::train(&device, precision, sequences, tokens, steps),
        What::Generate { sequences, prompt, new } => measure::generate(&device, precision, sequences, prompt, new),
        What::Lora { tokens, steps, q8 } => measure::lora(&device, tokens, steps, q8),
        What::FirstStep { model } => measure::first_step(&device, precision, &model),
        What::Kwise { how, k, prompt, completion } => measure::kwise(&device, precision, how, k, prompt, completion),
        What::Dpo { how, pairs, prompt, completion } => {
            preferences::dpo(&device, precision, how, pairs, prompt, completion)
        }
        What::Ppo { model, prompts, new } => {
            iteration::ppo(&device, precision, &model, prompts, new).unwrap_or_else(|error| panic!("{error}"))
        }
        What::RougeFilter { pool, candidates } => corpora::rouge_filter(pool, candidates),
        What::NearDuplicates { documents } => corpora::near_duplicates(documents),
        What::Render { rows } => corpora::render(rows).unwrap_or_else(|error| panic!("{error}")),
        What::World { documents } => measure::world(documents),
        What::Suite { peer: python, gguf, smollm2, lm_eval, truthfulqa, rounds, touch_memory, only, results } => {
            let touch_gib = touch_memory;
            let model = std::env::temp_dir().join("helpmate-bench-model");
            let items = evaluation::scratch(None);
            let suite = suite::Suite {
                python,
                gguf,
                smollm2,
                lm_eval,
                truthfulqa,
                rounds,
                touch_gib,
                only,
                results,
                model,
                items,
            };
            return run_suite(&device, &suite);
        }
        What::Evaluate { which, model, rows, questions, items } => {
            let evaluation =
                evaluation::Evaluation { which, model, rows, questions, items: evaluation::scratch(items) };
            evaluation.measure(&device, precision).unwrap_or_else(|error| panic!("{error}"))
        }
        What::Serve { model, streams, new } => {
            let dtype = if matches!(arguments.precision, PrecisionName::F32) { "f32" } else { "bf16" };
            serving::serve(&model, dtype, arguments.threads, streams, new)
        }
        What::TouchMemory { gib } => {
            let mut memory = kernels::elementwise::zeroed(gib << 28);
            return memory.iter_mut().step_by(1024).for_each(|x| *x = std::hint::black_box(1.0));
        }
        What::WriteModel { folder } => shapes::write(&device, &folder),
    };
    println!("{result}");
}

fn run_suite(device: &Device, suite: &suite::Suite) {
    if !suite.model.join("model.safetensors").is_file() {
        shapes::write(device, &suite.model);
    }
    if let Err(error) = suite.run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn isa(name: IsaName) -> Isa {
    match name {
        IsaName::Portable => Isa::Portable,
        IsaName::Avx2 => Isa::Avx2,
        IsaName::Avx512 => Isa::Avx512,
        IsaName::Avx512Bf16 => Isa::Avx512Bf16,
        IsaName::Amx => Isa::Amx,
    }
}

//! Arguments that several commands share.

use crate::error::CommandError;
use clap::{Args, ValueEnum};
use corpus::{Dataset, Options};
use kernels::linear::Precision;
use kernels::{Device, Isa};
use std::path::{Path, PathBuf};

/// Files of rows.
#[derive(Args)]
pub struct DataArguments {
    /// Data files
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Format of the rows, when it isn't to be found from their fields
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Count broken rows instead of stopping at the first
    #[arg(long)]
    pub skip_bad: bool,
}

impl DataArguments {
    /// Reads the files; tells what was skipped.
    pub fn read(&self, kinds: &[record::Kind]) -> Result<Dataset, CommandError> {
        read(&self.data, self.format.as_deref(), self.skip_bad, kinds)
    }
}

/// Reads files of rows; tells on stderr what was skipped.
pub fn read(
    files: &[PathBuf],
    format: Option<&str>,
    skip_bad: bool,
    kinds: &[record::Kind],
) -> Result<Dataset, CommandError> {
    let mut options = Options { skip_bad, ..Options::of_kinds(kinds) };
    if let Some(name) = format {
        options = options.with_format(name)?;
    }
    let dataset = corpus::read_rows(files, &options)?;
    for bad in &dataset.bad {
        eprintln!("{bad}");
    }
    if dataset.left_out > 0 {
        eprintln!("{} rows of other kinds left out", dataset.left_out);
    }
    Ok(dataset)
}

/// Arithmetic, as options name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DtypeOption {
    /// f32 for weights stored in f32; others in bf16 where the processor has bf16 dot products
    Auto,
    /// Operands rounded to bf16, f32 accumulation
    Bf16,
    /// f32 throughout
    F32,
}

impl DtypeOption {
    /// What it means for a model (folder or file) on a device.
    pub fn precision(self, device: &Device, model: &Path) -> Precision {
        match self {
            DtypeOption::Bf16 => Precision::Bf16,
            DtypeOption::F32 => Precision::F32,
            DtypeOption::Auto if is_stored_in_f32(model) => Precision::F32,
            DtypeOption::Auto if device.isa >= Isa::Avx512Bf16 => Precision::Bf16,
            DtypeOption::Auto => Precision::F32,
        }
    }
}

/// Whether a model folder says that its weights are f32.
fn is_stored_in_f32(model: &Path) -> bool {
    let text = std::fs::read_to_string(model.join("config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let dtype = config.get("dtype").or_else(|| config.get("torch_dtype")).and_then(|dtype| dtype.as_str());
    dtype.is_some_and(|dtype| dtype.trim_start_matches("torch.") == "float32")
}

/// A model and how to run it.
#[derive(Args)]
pub struct ModelArguments {
    /// Model folder, GGUF file, run folder (its final/), or a source as `helpmate pull` knows it
    #[arg(long, value_name = "M")]
    pub model: String,
    /// Jinja file to use instead of the model's own chat template
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// Arithmetic of the linear layers
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    pub dtype: DtypeOption,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

impl ModelArguments {
    /// The device.
    pub fn device(&self) -> Device {
        Device::detect(self.threads.map(usize::from))
    }

    /// The precision for the model at `path` on a device.
    pub fn precision(&self, device: &Device, path: &Path) -> Precision {
        self.dtype.precision(device, path)
    }
}

/// How tokens are chosen.
#[derive(Args)]
pub struct SamplingArguments {
    /// Divides the logits; 0 takes the most likely token
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    pub temperature: f32,
    /// Only the K most likely tokens; 0 is off
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: usize,
    /// Only the most likely tokens that together reach probability P
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub top_p: f32,
    /// Only tokens at least this fraction as likely as the likeliest; 0 is off
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub min_p: f32,
    /// Makes tokens already in the text less likely; 1 is off
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    pub repetition_penalty: f32,
    /// Text that ends a completion; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Seed of the random streams
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
}

impl SamplingArguments {
    /// As the generator wants it.
    pub fn sampling(&self) -> generate::Sampling {
        generate::Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
        }
    }
}

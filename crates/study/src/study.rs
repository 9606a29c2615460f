//! The loop.
use crate::domain::{Domain, Part, TextPart};
use crate::error::StudyError;
use crate::event::Event;
use crate::ledger::{Identity, Ledger};
use crate::plan::Plan;
use crate::report::Report;
use crate::stages::Work;
use kernels::Device;
use run::lineage::Hashed;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use train::Program;

/// Everything that a study needs from outside.
pub struct Study<'a> {
    /// Where rows come from, and how answers are judged.
    pub domain: Arc<dyn Domain>,
    /// How much of everything.
    pub plan: Plan,
    /// The base model's folder.
    pub base: PathBuf,
    /// What the base is called where its folder doesn't say where it comes from.
    pub base_name: String,
    /// The folder of everything that is made.
    pub out: PathBuf,
    /// What computes.
    pub device: Device,
    /// Set from outside (a signal handler): stop, keeping what is done.
    pub stop: &'a AtomicBool,
    /// For lineage and report.
    pub program: Program,
    /// The command that makes the report again.
    pub reproduce: String,
}

/// A model that is measured.
pub(crate) struct Contender {
    pub key: &'static str,
    pub name: &'static str,
    pub what: &'static str,
    /// Its folder in the study's; `None`: the base.
    pub folder: Option<&'static str>,
    pub manner: Manner,
}

/// How a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The question as text.
    Bare,
    /// Behind examples.
    FewShot,
    /// As a chat.
    Chat,
}

/// Every model, in the order of the report.
pub(crate) const CONTENDERS: &[Contender] = &[
    Contender {
        key: "base",
        name: "base",
        what: "the base model, given the question as a line of text",
        folder: None,
        manner: Manner::Bare,
    },
    Contender {
        key: "few-shot",
        name: "few-shot",
        what: "the base model, given a few questions with answers before it",
        folder: None,
        manner: Manner::FewShot,
    },
    Contender {
        key: "sft",
        name: "SFT",
        what: "fine-tuned on demonstrations",
        folder: Some("sft"),
        manner: Manner::Chat,
    },
    Contender {
        key: "ppo",
        name: "PPO",
        what: "SFT, then PPO against the reward model",
        folder: Some("ppo"),
        manner: Manner::Chat,
    },
    Contender {
        key: "ppo-ptx",
        name: "PPO-ptx",
        what: "the same PPO with the pretraining mix",
        folder: Some("ppo-ptx"),
        manner: Manner::Chat,
    },
];

impl Study<'_> {
    /// Runs every stage that isn't done yet, and writes the report.
    pub fn run(&self, sink: &mut dyn FnMut(Event<'_>)) -> Result<Report, StudyError> {
        let base = Hashed::of(&self.base)?.hash;
        let identity = Identity { domain: self.domain.name().to_owned(), base: base.clone(), plan: self.plan.clone() };
        let ledger = Ledger::open(&self.out, identity)?;
        let mut work = Work::begin(self, ledger, base, sink)?;
        work.write_rows()?;
        work.sft()?;
        work.rankings()?;
        work.reward_model()?;
        work.ppo("ppo", false)?;
        work.ppo("ppo-ptx", true)?;
        for contender in CONTENDERS {
            work.measure(contender)?;
        }
        work.examples()?;
        work.report()
    }

    /// The folder of a contender's model.
    pub(crate) fn model(&self, contender: &Contender) -> PathBuf {
        match contender.folder {
            Some(stage) => self.out.join(stage).join("final"),
            None => self.base.clone(),
        }
    }

    /// A path in the study's folder.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Refuses a domain that can't fill the plan's least.
    pub(crate) fn check(&self) -> Result<(), StudyError> {
        let least = |what, found, expected| {
            if found < expected { Err(StudyError::TooFew { what, found, expected }) } else { Ok(()) }
        };
        least("questions to measure on", self.domain.questions(Part::Eval, self.plan.questions).len(), 2)?;
        least("texts to measure on", self.domain.texts(TextPart::HeldOut, self.plan.texts).len(), 2)?;
        let beside = self.domain.texts(TextPart::Sft, self.plan.sft_texts.min(1));
        least("texts to learn beside demonstrations", beside.len(), self.plan.sft_texts.min(1))?;
        least("samples of a question", self.plan.samples, 1)
    }
}

/// Makes the folder that a file is to stand in.
pub(crate) fn make_parent(path: &Path) -> Result<(), StudyError> {
    match path.parent() {
        Some(parent) => Ok(std::fs::create_dir_all(parent).map_err(stdx::FileError::at(parent, "create"))?),
        None => Ok(()),
    }
}

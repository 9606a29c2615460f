//! `helpmate label serve`.

use crate::context::Context;
use crate::error::CommandError;
use crate::interrupt;
use crate::listening::ListenArguments;
use crate::serving::{self, ServingArguments};
use clap::Args;
use label::{OpenOptions, Store};
use serve::candidates::{Candidates, Means};
use serve::label::{Settings, demo, router};
use serve::metrics::Metrics;
use serve::server;
use std::sync::Arc;

/// Serve the labeling pages
///
/// Where people write demonstrations, rate and rank answers, and where managers import prompts, make tasks, and look at
/// agreement. Everything is in one database: a file, made when it isn't there, or PostgreSQL. With --model (or an
/// OpenAI-compatible address, typed into the page) answers are generated in the background. --demo fills an empty
/// database with prompts and answers by the project's authors, and simulated judgements.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate label serve --demo\n  helpmate label user add mia --role manager && helpmate label serve --db labels.db"
)]
pub struct Serve {
    /// Labeling database: a file, or postgres://…; labels.db when absent, with --demo one that is gone afterwards
    #[arg(long, value_name = "DB")]
    db: Option<String>,
    /// Fill it with a demonstration, whose people have a known password; on this machine only
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    serving: ServingArguments,
    #[command(flatten)]
    listen: ListenArguments,
    /// Reward model, rule:NAME or http(s)://… whose doubt orders the prompts to be labeled; several are an ensemble
    #[arg(long, value_name = "R")]
    reward: Vec<String>,
}

impl Serve {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        if self.demo && !self.listen.address.ip().is_loopback() {
            return Err(CommandError::usage(format!("--demo at {}: its passwords are known", self.listen.address))
                .hint("leave --address out: the demonstration is for this machine"));
        }
        // Kept until the end; the database of a demonstration goes with it.
        let scratch = (self.demo && self.db.is_none()).then(tempfile::tempdir).transpose();
        let scratch =
            scratch.map_err(|error| CommandError::input(format!("a folder for the demonstration: {error}")))?;
        let db = match (&self.db, &scratch) {
            (Some(db), _) => db.clone(),
            (None, Some(folder)) => folder.path().join("demo.db").display().to_string(),
            (None, None) => "labels.db".to_owned(),
        };
        let store = Store::open(&db, &OpenOptions::default())?;
        if self.demo {
            demo::fill(&store)?;
        }
        let settings = self.listen.settings(store.has_people()?)?;
        self.tell(&store)?;
        let worker = self.serving.start(context, Arc::new(Metrics::default()))?;
        let models: Vec<String> = worker.models().iter().map(|card| card.name.clone()).collect();
        let means = Means {
            store: store.clone(),
            models: (!models.is_empty()).then_some(worker),
            endpoints: serving::endpoints(context),
            judge: serving::judge(&self.reward, self.serving.dtype, self.serving.threads),
            log: Arc::new(|message| eprintln!("{message}")),
        };
        let candidates = Candidates::start(means).map_err(CommandError::input)?;
        interrupt::listen()?;
        let pages = router(Settings { store, models, demo: self.demo });
        server::run_until(settings, pages, interrupt::flag(), |url| eprintln!("labeling: {url}   (Ctrl-C stops)"))?;
        drop(candidates);
        eprintln!("stopped; what was begun was finished");
        Ok(())
    }

    fn tell(&self, store: &Store) -> Result<(), CommandError> {
        eprintln!("{}", store.describe());
        if self.demo {
            let names: Vec<&str> = demo::people().iter().map(|person| person.name).collect();
            eprintln!("log in as {}; the password of each is {}", names.join(", "), demo::PASSWORD);
        } else if !store.has_people()? {
            eprintln!("there is nobody yet: `helpmate label user add NAME --role manager` adds the first manager");
        }
        Ok(())
    }
}

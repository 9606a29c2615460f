//! A writer behind a service: several requests at once, no faster than a rate.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use endpoint::completion::{CompletionAnswer, CompletionClient, CompletionError, CompletionRequest};

use super::{WriteError, Writer};

/// Requests to a service.
pub struct Service<'a> {
    client: CompletionClient,
    name: String,
    concurrency: usize,
    between: Duration,
    stopped: &'a AtomicBool,
}

impl Service<'_> {
    /// At most `concurrency` requests at once, and `per_minute` a minute. When `stopped` is set, nothing more is asked.
    pub fn new(
        client: CompletionClient,
        concurrency: usize,
        per_minute: Option<u32>,
        stopped: &AtomicBool,
    ) -> Service<'_> {
        let name = client.settings().model.clone();
        let between = per_minute.map_or(Duration::ZERO, |n| Duration::from_secs(60) / n.max(1));
        Service { client, name, concurrency: concurrency.max(1), between, stopped }
    }
}

impl Writer for Service<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(
        &mut self,
        requests: &[CompletionRequest],
        answered: &mut dyn FnMut(usize, CompletionAnswer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let began = Instant::now();
        let (sender, receiver) = mpsc::channel();
        let Service { client, between, stopped, .. } = &*self;
        let ask = |sender: mpsc::Sender<(usize, Result<CompletionAnswer, CompletionError>)>| {
            while !failed.load(Ordering::SeqCst) && !stopped.load(Ordering::SeqCst) {
                let i = next.fetch_add(1, Ordering::SeqCst);
                let Some(request) = requests.get(i) else { break };
                std::thread::sleep((*between * i as u32).saturating_sub(began.elapsed()));
                let result = client.answer(request);
                if result.is_err() {
                    failed.store(true, Ordering::SeqCst);
                }
                if sender.send((i, result)).is_err() {
                    break;
                }
            }
        };
        let first_error = std::thread::scope(|scope| {
            for _ in 0..self.concurrency.min(requests.len()) {
                let sender = sender.clone();
                scope.spawn(|| ask(sender));
            }
            drop(sender);
            let mut first_error = None;
            // Answers that are on their way when one fails are kept too.
            for (i, result) in receiver {
                let outcome = result.map_err(of_service).and_then(|answer| answered(i, answer));
                if let Err(error) = outcome {
                    failed.store(true, Ordering::SeqCst);
                    first_error.get_or_insert(error);
                }
            }
            first_error
        });
        match first_error {
            Some(error) => Err(error),
            None if stopped.load(Ordering::SeqCst) => Err(WriteError::Stopped),
            None => Ok(()),
        }
    }
}

fn of_service(error: CompletionError) -> WriteError {
    if error.is_missing() { WriteError::Missing(error.to_string()) } else { WriteError::Wrong(error.to_string()) }
}

//! A writer behind a service: several requests at once, no faster than a rate.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use endpoint::completion::{CompletionAnswer, CompletionClient, CompletionError};

use super::{Asked, WriteError, Writer};

/// Requests to a service.
pub struct Service<'a> {
    client: CompletionClient,
    name: String,
    concurrency: usize,
    between: Duration,
    /// When the next request may be made.
    next_turn: Mutex<Instant>,
    stopped: &'a AtomicBool,
}

impl Service<'_> {
    /// At most `concurrency` requests at once, and `per_minute` a minute (tries of a request again wait by themselves).
    /// When `stopped` is set, nothing more is asked.
    pub fn new(
        client: CompletionClient,
        concurrency: usize,
        per_minute: Option<u32>,
        stopped: &AtomicBool,
    ) -> Service<'_> {
        let name = client.settings().model.clone();
        let between = per_minute.map_or(Duration::ZERO, |n| Duration::from_secs(60) / n.max(1));
        Service {
            client,
            name,
            concurrency: concurrency.max(1),
            between,
            next_turn: Mutex::new(Instant::now()),
            stopped,
        }
    }

    /// Waits until one more request may be made.
    fn wait_for_turn(&self) {
        let now = Instant::now();
        let turn = {
            let mut next = self.next_turn.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(now);
            *next = turn + self.between;
            turn
        };
        std::thread::sleep(turn.saturating_duration_since(now));
    }
}

/// A request's place, what came of it, and where to say that it was taken in.
type Answered = (usize, Result<CompletionAnswer, CompletionError>, mpsc::Sender<()>);

impl Writer for Service<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(
        &mut self,
        requests: &[Asked],
        answered: &mut dyn FnMut(usize, CompletionAnswer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let service = &*self;
        let is_over = || failed.load(Ordering::SeqCst) || service.stopped.load(Ordering::SeqCst);
        let ask = |sender: mpsc::Sender<Answered>| {
            while !is_over() {
                let i = next.fetch_add(1, Ordering::SeqCst);
                let Some((request, _)) = requests.get(i) else { break };
                service.wait_for_turn();
                if is_over() {
                    break;
                }
                let result = service.client.answer(request);
                if result.is_err() {
                    failed.store(true, Ordering::SeqCst);
                }
                // Nothing more is asked before this is taken in: it may be what exhausts the budget.
                let (taken_in, wait) = mpsc::channel();
                if sender.send((i, result, taken_in)).is_err() || wait.recv().is_err() {
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
            for (i, result, taken_in) in receiver {
                let outcome = result.map_err(of_service).and_then(|answer| answered(i, answer));
                if let Err(error) = outcome {
                    failed.store(true, Ordering::SeqCst);
                    first_error.get_or_insert(error);
                }
                let _ = taken_in.send(());
            }
            first_error
        });
        match first_error {
            Some(error) => Err(error),
            None if self.stopped.load(Ordering::SeqCst) => Err(WriteError::Stopped),
            None => Ok(()),
        }
    }
}

fn of_service(error: CompletionError) -> WriteError {
    if error.is_missing() { WriteError::Missing(error.to_string()) } else { WriteError::Wrong(error.to_string()) }
}

//! The thread that owns the models: requests of all clients are decoded together, a token of each at a time.
//!
//! Clients hand in a [`Request`] and hear of it through a channel; one that hangs up is forgotten at the next token. How
//! many may wait is bounded: who comes when the queue is full is told so at once.

use crate::metrics::Metrics;
use generate::{Event, GenerateError, Limits, Pool, Request, StopReason};
use model::Model;
use render::Renderer;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A model to serve.
pub struct ServedModel {
    /// What clients call it.
    pub name: String,
    /// What else they may call it.
    pub aliases: Vec<String>,
    /// The weights.
    pub model: Model,
    /// Its tokenizer and chat template.
    pub renderer: Renderer,
    /// When it was made, seconds since 1970.
    pub created: u64,
}

/// What is known of a served model outside the thread that owns it.
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Tokens of prompt and completion together.
    pub context: usize,
    /// Its tokenizer and chat template.
    pub renderer: Arc<Renderer>,
    /// When it was made, seconds since 1970.
    pub created: u64,
}

/// How much is taken on at once, for each model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Completions decoded together.
    pub batch: usize,
    /// Requests that wait, over all models; the next is refused.
    pub queue: usize,
    /// Tokens of prompts and completions in memory.
    pub cache_tokens: usize,
    /// Prompt tokens that may be read between two tokens of those that are being answered.
    pub prefill_tokens: usize,
}

impl Default for WorkerLimits {
    fn default() -> WorkerLimits {
        WorkerLimits { batch: 32, queue: 256, cache_tokens: 16_384, prefill_tokens: 512 }
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// A token was chosen.
    Token(Token),
    /// A completion is whole.
    Done {
        /// Which.
        sample_idx: usize,
        /// Why it ended.
        stop: StopReason,
    },
    /// It cannot be answered.
    Failed(GenerateError),
}

/// A token of a completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Which completion.
    pub sample_idx: usize,
    /// The token.
    pub token_id: u32,
    /// The model's log-probability of it, nats.
    pub log_prob: f32,
    /// The likeliest tokens, where the request asks for them.
    pub alternatives: Vec<(u32, f32)>,
    /// Text that is certain now.
    pub text: String,
}

/// Why a request isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many wait.
    #[error("{waiting} requests wait already; try again later")]
    QueueFull {
        /// How many.
        waiting: usize,
    },
    /// The thread has ended.
    #[error("the models' thread has stopped")]
    Stopped,
}

/// A handle on the thread; all clones share it. It ends when the last is dropped.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    models: Vec<ModelCard>,
    limits: WorkerLimits,
    sender: Mutex<Sender<Submitted>>,
    waiting: Arc<AtomicUsize>,
    next_id: AtomicUsize,
}

/// A request on its way to the thread.
struct Submitted {
    model_idx: usize,
    request: Request,
    client: Client,
}

/// Who wants to hear of a request.
struct Client {
    updates: UnboundedSender<Update>,
    /// Completions that aren't whole.
    left: usize,
    /// Gone once it begins.
    place: Option<Place>,
}

/// A place in the queue, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Worker {
    /// Starts the thread.
    pub fn start(models: Vec<ServedModel>, limits: WorkerLimits, metrics: Arc<Metrics>) -> std::io::Result<Worker> {
        let (sender, receiver) = channel();
        let mut cards = Vec::new();
        let mut owned = Vec::new();
        for ServedModel { name, aliases, model, renderer, created } in models {
            let (renderer, context) = (Arc::new(renderer), model.config().max_position);
            owned.push((model, renderer.clone()));
            cards.push(ModelCard { name, aliases, context, renderer, created });
        }
        let names = cards.iter().map(|card| card.name.clone()).collect();
        std::thread::Builder::new()
            .name("models".into())
            .spawn(move || Thread::new(&owned, limits, names, &metrics).run(&receiver))?;
        let (waiting, next_id) = (Arc::default(), AtomicUsize::new(0));
        let sender = Mutex::new(sender);
        Ok(Worker { shared: Arc::new(Shared { models: cards, limits, sender, waiting, next_id }) })
    }

    /// The models, in the order given.
    pub fn models(&self) -> &[ModelCard] {
        &self.shared.models
    }

    /// The model of a name or alias.
    pub fn find(&self, name: &str) -> Option<usize> {
        let models = &self.shared.models;
        let named = models.iter().position(|model| model.name == name);
        named.or_else(|| models.iter().position(|model| model.aliases.iter().any(|alias| alias == name)))
    }

    /// How much is taken on.
    pub fn limits(&self) -> WorkerLimits {
        self.shared.limits
    }

    /// Requests of which nothing is begun.
    pub fn n_waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    /// Hands a request in (its `id` is given here). Dropping the receiver cancels it.
    pub fn submit(&self, model_idx: usize, request: Request) -> Result<UnboundedReceiver<Update>, Refused> {
        let shared = &self.shared;
        let place = Place(shared.waiting.clone());
        let before = shared.waiting.fetch_add(1, Ordering::AcqRel);
        if before >= shared.limits.queue {
            return Err(Refused::QueueFull { waiting: before });
        }
        let (updates, receiver) = unbounded_channel();
        let client = Client { updates, left: request.settings.n, place: Some(place) };
        let request = Request { id: shared.next_id.fetch_add(1, Ordering::Relaxed), ..request };
        let sender = shared.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send(Submitted { model_idx, request, client }).map_err(|_| Refused::Stopped)?;
        Ok(receiver)
    }
}

/// What the thread holds.
struct Thread<'a> {
    lanes: Vec<Lane<'a>>,
    metrics: &'a Metrics,
}

/// A model with those who ask it.
struct Lane<'a> {
    name: String,
    pool: Pool<'a>,
    clients: HashMap<usize, Client>,
}

impl<'a> Thread<'a> {
    fn new(
        models: &'a [(Model, Arc<Renderer>)],
        limits: WorkerLimits,
        names: Vec<String>,
        metrics: &'a Metrics,
    ) -> Thread<'a> {
        let pool_limits = Limits {
            rows: limits.cache_tokens,
            batch: limits.batch,
            prefill_tokens: limits.prefill_tokens,
            prompt_rows_min: 1,
            sample_rows_min: 1,
            exact: false,
        };
        let lane = |((model, renderer), name): (&'a (Model, Arc<Renderer>), String)| Lane {
            name,
            pool: Pool::new(model, Some(renderer.tokenizer()), pool_limits),
            clients: HashMap::new(),
        };
        Thread { lanes: models.iter().zip(names).map(lane).collect(), metrics }
    }

    /// Until nobody can ask any more and everybody is answered.
    fn run(mut self, receiver: &Receiver<Submitted>) {
        loop {
            if self.lanes.iter().all(|lane| lane.pool.is_idle()) {
                match receiver.recv() {
                    Ok(submitted) => self.take(submitted),
                    Err(_) => return,
                }
            }
            while let Ok(submitted) = receiver.try_recv() {
                self.take(submitted);
            }
            for lane in &mut self.lanes {
                lane.forget_the_gone(self.metrics);
                lane.step(self.metrics);
            }
        }
    }

    fn take(&mut self, submitted: Submitted) {
        let Submitted { model_idx, request, client } = submitted;
        let Some(lane) = self.lanes.get_mut(model_idx) else { return };
        let id = request.id;
        self.metrics.prompt_tokens(&lane.name, request.token_ids.len());
        match lane.pool.submit(request) {
            Ok(()) => {
                lane.clients.insert(id, client);
            }
            Err(error) => {
                let _ = client.updates.send(Update::Failed(error));
            }
        }
    }
}

impl Lane<'_> {
    fn forget_the_gone(&mut self, metrics: &Metrics) {
        let gone: Vec<usize> =
            self.clients.iter().filter(|(_, client)| client.updates.is_closed()).map(|(id, _)| *id).collect();
        for id in gone {
            self.clients.remove(&id);
            self.pool.cancel(id);
            metrics.active(&self.name, self.pool.n_active());
        }
    }

    fn step(&mut self, metrics: &Metrics) {
        if self.pool.is_idle() {
            return;
        }
        let (clients, mut n_tokens) = (&mut self.clients, 0);
        let _ = self.pool.step(&mut |event| {
            n_tokens += usize::from(matches!(event, Event::Token { .. }));
            tell(clients, event);
            ControlFlow::Continue(())
        });
        metrics.stepped(&self.name, n_tokens, self.pool.n_active());
    }
}

/// Passes an event on to whose it is.
fn tell(clients: &mut HashMap<usize, Client>, event: Event) {
    match event {
        Event::Token { prompt_idx, sample_idx, token_id, log_prob, alternatives, text } => {
            if let Some(client) = clients.get_mut(&prompt_idx) {
                client.place = None;
                let (alternatives, text) = (alternatives.to_vec(), text.to_owned());
                let token = Token { sample_idx, token_id, log_prob, alternatives, text };
                let _ = client.updates.send(Update::Token(token));
            }
        }
        Event::Done(completion) => {
            let id = completion.prompt_idx;
            let Some(client) = clients.get_mut(&id) else { return };
            let _ = client.updates.send(Update::Done { sample_idx: completion.sample_idx, stop: completion.stop });
            client.left = client.left.saturating_sub(1);
            if client.left == 0 {
                clients.remove(&id);
            }
        }
    }
}

//! The background worker that writes answers for labelers to compare: by the models served here, or by any
//! OpenAI-compatible endpoint. Where a reward model is at hand it also says which prompts would teach most.
//!
//! Work is asked for in the labeling database and done once: a prompt that has its answers is passed over, so that an
//! interrupted run goes on where it was.

use crate::worker::{Refused, Update, Worker};
use crate::{Log, storable};
use axum::http::Uri;
use endpoint::completion::{CompletionClient, CompletionRequest, CompletionSettings};
use generate::{Request, Sampling, Settings};
use label::{Actor, Generation, LabelError, NewCandidate, PromptQuery, Store, StoredPrompt};
use record::{Prompt, Role, Source};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use stdx::Seed;
use tokio::sync::mpsc::UnboundedReceiver;

/// How often the database is asked for work.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Prompts that are answered together.
const TOGETHER: usize = 8;
/// Each prompt draws from streams of its own.
const STREAMS_PER_PROMPT: u64 = 1 << 16;

/// Scores answers: what the queue is ordered by.
pub trait Judge {
    /// Each reward model's scores of the answers, a list a model.
    fn scores(&mut self, prompt: &Prompt, answers: &[String]) -> Result<Vec<Vec<f64>>, String>;
}

/// Opens the judge on the worker's own thread.
pub type OpenJudge = Box<dyn FnOnce() -> Result<Box<dyn Judge>, String> + Send>;

/// Models on the network. Which of them is asked says whoever manages a project, in a browser.
#[derive(Clone, Default)]
pub struct Endpoints {
    /// The operator's key, sent as `Authorization: Bearer …`.
    pub key: Option<String>,
    /// The address whose service the key is for: no other sees it.
    pub key_for: String,
}

impl Endpoints {
    /// The key for the service at an address, where it is that service's.
    fn key(&self, address: &str) -> Option<String> {
        let origin = |address: &str| {
            let address: Uri = address.parse().ok()?;
            Some((address.scheme_str()?.to_owned(), address.authority()?.as_str().to_ascii_lowercase()))
        };
        let is_its_own = origin(address).is_some_and(|asked| origin(&self.key_for) == Some(asked));
        self.key.clone().filter(|_| is_its_own)
    }
}

/// What the worker works with.
pub struct Means {
    /// Where the work is.
    pub store: Store,
    /// Models by name.
    pub models: Option<Worker>,
    /// Whether models on the network may be asked.
    pub endpoints: Option<Endpoints>,
    /// Reward models.
    pub judge: Option<OpenJudge>,
    /// Where what went wrong is told.
    pub log: Log,
}

/// The worker's thread; it ends when this is dropped, after the prompts at hand.
pub struct Candidates {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Candidates {
    /// Starts it; returns once its judge is open.
    pub fn start(means: Means) -> Result<Candidates, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let (tell, told) = channel();
        let Means { store, models, endpoints, judge, log } = means;
        let thread = move || match judge.map(|open| open()).transpose() {
            Ok(judge) => {
                let _ = tell.send(Ok(()));
                Work { store, models, endpoints, judge, log }.run(&flag);
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name("candidates".into()).spawn(thread).map_err(|e| e.to_string())?;
        told.recv().map_err(|_| "the candidates' thread has stopped".to_owned())??;
        Ok(Candidates { stop, thread: Some(thread) })
    }
}

impl Drop for Candidates {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why a run of generation ends before its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] LabelError),
    #[error(transparent)]
    Endpoint(#[from] endpoint::completion::CompletionError),
    #[error("{0}")]
    Other(String),
    #[error("the server was stopped; the run goes on when it is asked for again")]
    Stopped,
}

/// What the thread holds.
struct Work {
    store: Store,
    models: Option<Worker>,
    endpoints: Option<Endpoints>,
    judge: Option<Box<dyn Judge>>,
    log: Log,
}

impl Work {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            match self.store.claim_generation() {
                Ok(Some(generation)) => {
                    let outcome = answer_all(&mut self, &generation, stop);
                    let error = outcome.err().map(|error| error.to_string());
                    if let Some(error) = &error {
                        (self.log)(format!("candidates by {}: {error}", generation.request.model));
                    }
                    if let Err(error) = self.store.finish_generation(generation.id, error.as_deref()) {
                        (self.log)(format!("candidates: {error}"));
                    }
                }
                Ok(None) => std::thread::sleep(LOOK_EVERY),
                Err(error) => {
                    (self.log)(format!("candidates: {error}"));
                    std::thread::sleep(LOOK_EVERY * 20);
                }
            }
        }
    }
}

/// Who answers.
enum Author {
    /// A model of ours.
    Model(Worker, usize),
    /// One on the network.
    Endpoint(CompletionClient),
}

fn author(means: &Work, model: &str) -> Result<Author, Failure> {
    if model.starts_with("http://") || model.starts_with("https://") {
        let endpoints = means.endpoints.as_ref().ok_or_else(|| {
            Failure::Other(format!("{model}: this server asks no other services (the network is switched off)"))
        })?;
        let (base, name) = model.split_once('#').ok_or_else(|| {
            Failure::Other(format!("{model}: expected ADDRESS/v1#MODEL, such as http://localhost:8000/v1#default"))
        })?;
        let token = endpoints.key(base);
        let settings = CompletionSettings { token, chat: true, ..CompletionSettings::new(base, name) };
        return Ok(Author::Endpoint(CompletionClient::new(settings)));
    }
    let found = means.models.as_ref().and_then(|worker| Some((worker.clone(), worker.find(model)?)));
    found.map(|(worker, idx)| Author::Model(worker, idx)).ok_or_else(|| {
        let known: Vec<&str> =
            means.models.iter().flat_map(|worker| worker.models()).map(|model| &model.name[..]).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::Other(format!("model {model:?} is not served here (models: {known}); ADDRESS/v1#MODEL asks a service"))
    })
}

/// Answers every prompt of the project that lacks this model's answers.
fn answer_all(means: &mut Work, generation: &Generation, stop: &AtomicBool) -> Result<(), Failure> {
    let author = author(means, &generation.request.model)?;
    let project = generation.project;
    let total = means.store.counts(project)?.prompts;
    let (mut after, mut done) = (0, 0_i64);
    loop {
        let query = PromptQuery { after, limit: TOGETHER, ..PromptQuery::default() };
        let prompts = means.store.prompts(project, &query)?;
        let Some(last) = prompts.last() else { break };
        after = last.id;
        let lacking = lacking(means, generation, &prompts)?;
        for (prompt, texts) in answers(&author, generation, lacking, stop)? {
            let new: Vec<NewCandidate> = texts.into_iter().map(|text| candidate(generation, text)).collect();
            means.store.add_candidates(Actor::Operator, prompt.id, &new)?;
        }
        for prompt in &prompts {
            order(means, prompt)?;
        }
        done += prompts.len() as i64;
        means.store.generation_progress(generation.id, done, total.max(done))?;
        if stop.load(Ordering::SeqCst) {
            return Err(Failure::Stopped);
        }
    }
    Ok(())
}

fn candidate(generation: &Generation, text: String) -> NewCandidate {
    let origin = generation.request.model.clone();
    NewCandidate { text, source: Some(Source::Model), origin, author: None, score: None }
}

/// The prompts that lack answers of this model, and how many.
fn lacking(
    means: &Work,
    generation: &Generation,
    prompts: &[StoredPrompt],
) -> Result<Vec<(StoredPrompt, usize)>, Failure> {
    let mut lacking = Vec::new();
    for prompt in prompts {
        let there = means.store.candidates(Actor::Operator, prompt.id)?;
        let own = there.iter().filter(|candidate| candidate.origin == generation.request.model).count();
        let wanted = generation.request.k;
        if own < wanted {
            lacking.push((prompt.clone(), wanted - own));
        }
    }
    Ok(lacking)
}

/// The answers to some prompts.
fn answers(
    author: &Author,
    generation: &Generation,
    prompts: Vec<(StoredPrompt, usize)>,
    stop: &AtomicBool,
) -> Result<Vec<(StoredPrompt, Vec<String>)>, Failure> {
    match author {
        Author::Model(worker, model_idx) => {
            let mut asked = Vec::new();
            for (prompt, n) in prompts {
                let receiver = ask(worker, *model_idx, generation, &prompt, n, stop)?;
                asked.push((prompt, n, receiver));
            }
            asked.into_iter().map(|(prompt, n, receiver)| Ok((prompt, collect(receiver, n)?))).collect()
        }
        Author::Endpoint(client) => {
            let mut all = Vec::new();
            for (prompt, n) in prompts {
                let request = endpoint_request(generation, &prompt.prompt);
                let texts: Result<Vec<String>, _> =
                    (0..n).map(|_| client.answer(&request).map(|answer| answer.text)).collect();
                all.push((prompt, kept(&texts?)));
            }
            Ok(all)
        }
    }
}

/// Hands a prompt to a model; people who ask meanwhile come first, so that a full queue is waited for.
fn ask(
    worker: &Worker,
    model_idx: usize,
    generation: &Generation,
    prompt: &StoredPrompt,
    n: usize,
    stop: &AtomicBool,
) -> Result<UnboundedReceiver<Update>, Failure> {
    let request = &generation.request;
    let card = &worker.models()[model_idx];
    let token_ids = card.renderer.prompt(&prompt.prompt).map_err(|error| Failure::Other(error.to_string()))?;
    let sampling = if request.temperature == 0.0 {
        Sampling::greedy()
    } else {
        Sampling { temperature: request.temperature as f32, top_p: request.top_p as f32, ..Sampling::default() }
    };
    let settings = Arc::new(Settings {
        sampling,
        n,
        max_new_tokens: request.max_new_tokens.clamp(1, card.context),
        end_token_ids: card.renderer.end_ids().to_vec(),
        stop: Vec::new(),
        seed: Seed(request.seed),
        batch: 1,
    });
    let first_stream = prompt.id as u64 * STREAMS_PER_PROMPT;
    let asked = Request { first_stream, ..Request::new(0, token_ids, settings) };
    loop {
        match worker.submit(model_idx, asked.clone()) {
            Ok(receiver) => return Ok(receiver),
            Err(Refused::Stopped) => return Err(Failure::Other(Refused::Stopped.to_string())),
            Err(Refused::QueueFull { .. }) if stop.load(Ordering::SeqCst) => return Err(Failure::Stopped),
            Err(Refused::QueueFull { .. }) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// The whole answers, empty ones left out. A prompt that is too long has none.
fn collect(mut receiver: UnboundedReceiver<Update>, n: usize) -> Result<Vec<String>, Failure> {
    let (mut texts, mut n_done) = (vec![String::new(); n], 0);
    while let Some(update) = receiver.blocking_recv() {
        match update {
            Update::Token(token) => texts[token.sample_idx].push_str(&token.text),
            Update::Done { .. } => n_done += 1,
            Update::Failed(_) => return Ok(Vec::new()),
        }
    }
    if n_done < n {
        return Err(Failure::Other("the models' thread has stopped".into()));
    }
    Ok(kept(&texts))
}

/// Answers as they are kept; an empty one is none.
fn kept(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| storable(text.trim())).filter(|text| !text.is_empty()).collect()
}

fn endpoint_request(generation: &Generation, prompt: &Prompt) -> CompletionRequest {
    CompletionRequest {
        prompt: as_text(prompt),
        max_tokens: generation.request.max_new_tokens.max(1),
        temperature: generation.request.temperature,
        top_p: generation.request.top_p,
        presence_penalty: 0.0,
        stop: Vec::new(),
    }
}

/// A prompt as one message: of a conversation with several turns, each begins with who speaks.
fn as_text(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => match &messages[..] {
            [only] if only.role == Role::User => only.content.clone(),
            messages => {
                let turns = messages.iter().map(|message| format!("{}: {}", message.role.as_str(), message.content));
                turns.collect::<Vec<_>>().join("\n\n")
            }
        },
    }
}

/// Scores a prompt's answers and puts the prompt where its labels would teach most.
fn order(means: &mut Work, prompt: &StoredPrompt) -> Result<(), Failure> {
    let Some(judge) = &mut means.judge else { return Ok(()) };
    let candidates = means.store.candidates(Actor::Operator, prompt.id)?;
    if candidates.len() < 2 {
        return Ok(());
    }
    let texts: Vec<String> = candidates.iter().map(|candidate| candidate.text.clone()).collect();
    let scores = judge.scores(&prompt.prompt, &texts).map_err(Failure::Other)?;
    for (i, candidate) in candidates.iter().enumerate() {
        let mean = scores.iter().map(|model| model[i]).sum::<f64>() / scores.len().max(1) as f64;
        means.store.set_candidate_score(Actor::Operator, candidate.id, mean)?;
    }
    means.store.set_priority(Actor::Operator, prompt.id, disagreement(&scores))?;
    Ok(())
}

/// How much labels of these answers would teach, from 0 to 1; `scores` are each reward model's.
///
/// With p = σ(r_i − r_j), the probability that answer i is preferred to j: of one model the mean of 4·p·(1 − p) over all
/// pairs, which is 1 where it doesn't know and 0 where it is sure (its margin); of several the mean of 4 times the
/// population variance of p among them (their disagreement).
pub fn disagreement(scores: &[Vec<f64>]) -> f64 {
    let n_answers = scores.iter().map(Vec::len).min().unwrap_or(0);
    let (mut sum, mut n_pairs) = (0.0, 0.0);
    for i in 0..n_answers {
        for j in i + 1..n_answers {
            let preferred = |model: &Vec<f64>| 1.0 / (1.0 + (model[j] - model[i]).exp());
            let p: Vec<f64> = scores.iter().map(preferred).collect();
            let mean = p.iter().sum::<f64>() / p.len() as f64;
            sum += match &p[..] {
                [p] => 4.0 * p * (1.0 - p),
                several => 4.0 * several.iter().map(|p| (p - mean) * (p - mean)).sum::<f64>() / several.len() as f64,
            };
            n_pairs += 1.0;
        }
    }
    if n_pairs == 0.0 { 0.0 } else { sum / n_pairs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scores: &[&[f64]], expected: f64) {
        let scores: Vec<Vec<f64>> = scores.iter().map(|model| model.to_vec()).collect();
        let found = disagreement(&scores);
        assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
    }

    #[test]
    fn disagreement_is_doubt_of_one_and_variance_of_many() {
        check(&[&[2.0, 2.0]], 1.0);
        // p = σ(1.5) = .8175744762: 4·p·(1 − p) = .5965858083.
        check(&[&[0.5, -1.0]], 0.596_585_808_2);
        check(&[&[40.0, -40.0]], 0.0);
        // Two models sure of opposite things: p = 1 and 0, variance 1/4.
        check(&[&[50.0, -50.0], &[-50.0, 50.0]], 1.0);
        check(&[&[1.0, 0.3], &[1.0, 0.3]], 0.0);
        // Three answers, of which one pair is in doubt and two are clear.
        check(&[&[50.0, 0.0, 0.0]], 1.0 / 3.0);
        check(&[&[1.0]], 0.0);
        check(&[], 0.0);
    }

    #[test]
    fn a_key_goes_to_its_own_service_only() {
        let endpoints = Endpoints { key: Some("k".to_owned()), key_for: "https://api.example/v1".to_owned() };
        for (address, is_shown) in [
            ("https://api.example/v1", true),
            ("https://API.example/other/v1", true),
            ("http://api.example/v1", false),
            ("https://api.example:8443/v1", false),
            ("https://api.example.evil.example/v1", false),
            ("https://api.example@evil.example/v1", false),
            ("https://evil.example/https://api.example/v1", false),
            ("nonsense", false),
        ] {
            assert_eq!(endpoints.key(address).is_some(), is_shown, "{address}");
        }
        assert!(Endpoints { key_for: String::new(), ..endpoints }.key("").is_none());
    }

    #[test]
    fn a_conversation_becomes_one_message() {
        use record::Message;
        assert_eq!(as_text(&Prompt::Messages(vec![Message::user("hi")])), "hi");
        let two = Prompt::Messages(vec![Message::user("hi"), Message::assistant("yes?")]);
        assert_eq!(as_text(&two), "user: hi\n\nassistant: yes?");
    }
}

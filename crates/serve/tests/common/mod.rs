//! A server of a tiny model, in this process.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable};
use render::Renderer;
use serde_json::Value;
use serve::app::App;
use serve::metrics::Metrics;
use serve::server::{Background, Settings};
use serve::worker::{ServedModel, Worker, WorkerLimits};
use std::sync::Arc;
use std::time::Duration;

pub struct Server {
    pub running: Background,
    pub worker: Worker,
    pub agent: ureq::Agent,
}

/// Tiny models by name, of seeds 1, 2, …
pub fn models(names: &[&str]) -> Vec<ServedModel> {
    let served = |(i, name): (usize, &&str)| {
        let folder = tempfile::tempdir().unwrap();
        testkit::write_tiny_model(folder.path(), 1 + i as u64);
        let options = LoadOptions { precision: Precision::F32, trainable: Trainable::Nothing, scalar_head: false };
        let model = Model::load(&Device::detect(Some(1)), folder.path(), &options).unwrap();
        let renderer = Renderer::open(folder.path(), None).unwrap();
        ServedModel { name: (*name).to_owned(), aliases: vec![format!("{name}-alias")], model, renderer, created: 7 }
    };
    names.iter().enumerate().map(served).collect()
}

pub fn limits() -> WorkerLimits {
    WorkerLimits { batch: 8, queue: 64, cache_tokens: 1024, prefill_tokens: 128 }
}

pub fn start_with(limits: WorkerLimits, settings: Settings, change: impl FnOnce(&mut App)) -> Server {
    let metrics = Arc::new(Metrics::default());
    let worker = Worker::start(models(&["tiny", "other"]), limits, metrics.clone()).unwrap();
    let mut app = App::new(worker.clone(), metrics);
    // With this seed no answer of the tests is empty, which would leave nothing to compare.
    app.chat_seed = Some(3);
    change(&mut app);
    let running = Background::start(settings, serve::router(Arc::new(app))).unwrap();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .new_agent();
    Server { running, worker, agent }
}

pub fn settings() -> Settings {
    Settings { grace: Duration::from_secs(2), ..Settings::new("127.0.0.1:0".parse().unwrap()) }
}

pub fn start() -> Server {
    start_with(limits(), settings(), |_| ())
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url())
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.running.url().split_once("://").unwrap().1.to_owned()
    }

    /// Status and body of a POST.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut response = self.agent.post(self.url(path)).send_json(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(self.url(path)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// The events of a streamed answer, as JSON, without the last, which must be `[DONE]`.
    pub fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        let mut response = self.agent.post(self.url(path)).send_json(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert_eq!(response.status().as_u16(), 200, "{text}");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        let mut lines: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
        assert_eq!(lines.pop(), Some("[DONE]"), "{text}");
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

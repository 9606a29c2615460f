//! Counters and times, as Prometheus reads them (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of times, in seconds.
const BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What was counted since the start.
#[derive(Default)]
pub struct Metrics {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// By route and status.
    requests: BTreeMap<(&'static str, u16), u64>,
    /// By route.
    durations: BTreeMap<&'static str, Histogram>,
    /// By model.
    first_token: BTreeMap<String, Histogram>,
    models: BTreeMap<String, ModelCounts>,
    /// By what became of it.
    collected: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct ModelCounts {
    prompt_tokens: u64,
    completion_tokens: u64,
    steps: u64,
    active: u64,
}

/// One of a model's counts.
type Count = fn(&ModelCounts) -> u64;

#[derive(Clone, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        for (bound, bucket) in BUCKETS.iter().zip(&mut self.buckets) {
            *bucket += u64::from(seconds <= *bound);
        }
        self.count += 1;
        self.sum += seconds;
    }
}

impl Metrics {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was answered (of a stream, its head).
    pub fn answered(&self, route: &'static str, status: u16, after: Duration) {
        let mut counts = self.counts();
        *counts.requests.entry((route, status)).or_default() += 1;
        counts.durations.entry(route).or_default().add(after.as_secs_f64());
    }

    /// The first token of an answer came.
    pub fn first_token(&self, model: &str, after: Duration) {
        self.counts().first_token.entry(model.to_owned()).or_default().add(after.as_secs_f64());
    }

    /// A prompt was taken in.
    pub fn prompt_tokens(&self, model: &str, n: usize) {
        self.counts().model(model).prompt_tokens += n as u64;
    }

    /// A model made a step.
    pub fn stepped(&self, model: &str, n_tokens: usize, n_active: usize) {
        let mut counts = self.counts();
        let model = counts.model(model);
        model.completion_tokens += n_tokens as u64;
        model.steps += 1;
        model.active = n_active as u64;
    }

    /// So many completions are left, after some were cancelled.
    pub fn active(&self, model: &str, n_active: usize) {
        self.counts().model(model).active = n_active as u64;
    }

    /// A prompt of a client was `stored`, a `duplicate`, `over_user_limit`, `objected`, `expired` or `lost`.
    pub fn collected(&self, outcome: &'static str, n: usize) {
        *self.counts().collected.entry(outcome).or_default() += n as u64;
    }

    /// The page that Prometheus reads.
    pub fn page(&self, n_waiting: usize) -> String {
        let counts = self.counts();
        let mut page = Page::default();
        page.head("helpmate_requests_total", "counter", "Requests answered, by route and status");
        for ((route, status), n) in &counts.requests {
            page.line("helpmate_requests_total", &[("route", route), ("status", &status.to_string())], *n as f64);
        }
        page.head(
            "helpmate_request_seconds",
            "histogram",
            "Time until an answer was complete, of a stream until it began",
        );
        for (route, histogram) in &counts.durations {
            page.histogram("helpmate_request_seconds", ("route", route), histogram);
        }
        page.head("helpmate_first_token_seconds", "histogram", "Time from a request to its first token, by model");
        for (model, histogram) in &counts.first_token {
            page.histogram("helpmate_first_token_seconds", ("model", model), histogram);
        }
        page.head("helpmate_requests_waiting", "gauge", "Requests of which nothing is begun");
        page.line("helpmate_requests_waiting", &[], n_waiting as f64);
        let values: [(&str, &str, &str, Count); 4] = [
            ("helpmate_prompt_tokens_total", "counter", "Tokens of prompts", |m| m.prompt_tokens),
            ("helpmate_completion_tokens_total", "counter", "Tokens generated", |m| m.completion_tokens),
            ("helpmate_steps_total", "counter", "Decoding steps, a token for every active completion each", |m| {
                m.steps
            }),
            ("helpmate_completions_active", "gauge", "Completions being decoded", |m| m.active),
        ];
        for (name, kind, help, value) in values {
            page.head(name, kind, help);
            for (model, counts) in &counts.models {
                page.line(name, &[("model", model)], value(counts) as f64);
            }
        }
        page.head(
            "helpmate_prompts_collected_total",
            "counter",
            "Prompts for the prompt store, by what became of them",
        );
        for (outcome, n) in &counts.collected {
            page.line("helpmate_prompts_collected_total", &[("outcome", outcome)], *n as f64);
        }
        page.text
    }
}

impl Counts {
    fn model(&mut self, name: &str) -> &mut ModelCounts {
        self.models.entry(name.to_owned()).or_default()
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        for (bound, n) in BUCKETS.iter().zip(&histogram.buckets) {
            self.line(&bucket, &[label, ("le", &bound.to_string())], *n as f64);
        }
        self.line(&bucket, &[label, ("le", "+Inf")], histogram.count as f64);
        self.line(&format!("{name}_sum"), &[label], histogram.sum);
        self.line(&format!("{name}_count"), &[label], histogram.count as f64);
    }
}

/// A label's value between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_prometheus_text() {
        let metrics = Metrics::default();
        metrics.answered("/v1/models", 200, Duration::from_millis(20));
        metrics.answered("/v1/models", 200, Duration::from_millis(700));
        metrics.first_token("a\"b", Duration::from_secs(3));
        metrics.prompt_tokens("m", 7);
        metrics.stepped("m", 3, 2);
        let page = metrics.page(5);
        for line in [
            "helpmate_requests_total{route=\"/v1/models\",status=\"200\"} 2",
            "helpmate_request_seconds_bucket{route=\"/v1/models\",le=\"0.025\"} 1",
            "helpmate_request_seconds_bucket{route=\"/v1/models\",le=\"+Inf\"} 2",
            "helpmate_request_seconds_count{route=\"/v1/models\"} 2",
            "helpmate_first_token_seconds_bucket{model=\"a\\\"b\",le=\"2.5\"} 0",
            "helpmate_requests_waiting 5",
            "helpmate_prompt_tokens_total{model=\"m\"} 7",
            "helpmate_completion_tokens_total{model=\"m\"} 3",
            "helpmate_completions_active{model=\"m\"} 2",
        ] {
            assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
        }
        let described = page.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(described, page.lines().filter(|line| line.starts_with("# HELP")).count());
    }
}

//! Opt-in: what clients ask becomes the prompt store, where InstructGPT's prompts came from (arXiv 2203.02155, §3.2).
//!
//! Every answer says that this happens and how to object. Personal data is redacted before anything is written, whoever
//! asks is a pseudonym, what begins like a prompt that is there is left out, as is what exceeds 200 prompts a user; all
//! goes after its retention time, and at once when the user says so. Collecting never delays or fails an answer.

use crate::api::{Ask, Given};
use crate::keys::Caller;
use crate::metrics::Metrics;
use crate::{Log, app, storable};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use corpus::curate::UseCases;
use label::{Actor, LabelError, NewPrompt, Store};
use record::{Message, Prompt, Role};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use text::{language, pii};
use tokio::sync::oneshot;

/// Prompts that wait to be written; more are lost, and counted.
const WAITING_MAX: usize = 1024;
/// Prompts written in one go.
const BATCH: usize = 64;
/// How often what is too old is deleted.
const DELETE_EVERY: Duration = Duration::from_secs(600);
/// Clients that send `helpmate-collect: no` are left out.
const OBJECTION: HeaderName = HeaderName::from_static("helpmate-collect");
/// What answers carry.
pub(crate) const NOTICE: HeaderName = HeaderName::from_static("helpmate-notice");
/// A language is noted from this confidence on.
const LANGUAGE_SURE_MIN: f64 = 0.5;
const DAY_MS: i64 = 86_400_000;

/// How prompts are collected.
#[derive(Clone, Debug)]
pub struct CollectSettings {
    /// The labeling project that gets them; made when it isn't there.
    pub project: String,
    /// Days after which a prompt is deleted.
    pub retention_days: u32,
    /// Most prompts of a user.
    pub per_user_max: u32,
    /// Characters that two prompts may begin with in common.
    pub duplicate_prefix: usize,
}

impl Default for CollectSettings {
    fn default() -> CollectSettings {
        CollectSettings { project: "collected".into(), retention_days: 90, per_user_max: 200, duplicate_prefix: 200 }
    }
}

/// The way to the prompt store.
pub struct Collector {
    sender: SyncSender<Command>,
    notice: HeaderValue,
    text: String,
    secret: [u8; 32],
    retention_days: u32,
    metrics: Arc<Metrics>,
}

enum Command {
    Keep(Box<NewPrompt>),
    Forget { user_id: String, answer: oneshot::Sender<Result<u64, LabelError>> },
}

impl Collector {
    /// Opens the project and starts the thread that writes.
    pub fn start(
        store: Store,
        settings: &CollectSettings,
        metrics: Arc<Metrics>,
        log: Log,
    ) -> Result<Collector, LabelError> {
        let project = project(&store, settings)?;
        // The same user has the same pseudonym as long as the project lives, and another one elsewhere.
        let secret = blake3::derive_key("helpmate 2026 users of collected prompts", project.uid.as_bytes());
        let days = settings.retention_days;
        let text = format!(
            "Prompts sent here are kept for {days} days, without personal data as far as it is found, to be labeled and \
             trained on. Send `helpmate-collect: no` to be left out; DELETE /v1/prompts removes yours."
        );
        let notice = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("prompts are kept"));
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let writer = Writer { store, project: project.id, metrics: metrics.clone(), log };
        std::thread::spawn(move || writer.run(&receiver));
        Ok(Collector { sender, notice, text, secret, retention_days: days, metrics })
    }

    /// What users are told.
    pub fn notice(&self) -> &str {
        &self.text
    }

    /// The same for the header of an answer.
    pub(crate) fn notice_header(&self) -> HeaderValue {
        self.notice.clone()
    }

    /// The pseudonym of a caller's user.
    pub fn user_id(&self, caller: &Caller, user: Option<&str>) -> String {
        let name = format!("{:?} {:?}", caller.name, user);
        format!("u-{}", &blake3::keyed_hash(&self.secret, name.as_bytes()).to_hex()[..16])
    }

    /// Takes a request's prompts, unless the client objects. Redaction is left to the writer's thread.
    pub fn offer(&self, ask: &Ask, caller: &Caller, headers: &HeaderMap) {
        if headers.get(OBJECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"no")) {
            return self.metrics.collected("objected", ask.prompts.len());
        }
        let user_id = self.user_id(caller, ask.user.as_deref());
        for prompt in &ask.prompts {
            // Tokens say nothing without their tokenizer.
            if let Given::Prompt(prompt) = prompt {
                self.keep(prompt.clone(), user_id.clone());
            }
        }
    }

    /// Takes a prompt of a user.
    pub fn keep(&self, prompt: Prompt, user_id: String) {
        let expires_ms = app::now() as i64 * 1000 + i64::from(self.retention_days) * DAY_MS;
        let new = NewPrompt { user_id: Some(user_id), expires_ms: Some(expires_ms), ..NewPrompt::new(prompt) };
        if self.sender.try_send(Command::Keep(Box::new(new))).is_err() {
            self.metrics.collected("lost", 1);
        }
    }

    /// Deletes all prompts of a user, those that still wait to be written included; how many there were.
    pub async fn forget(&self, user_id: String) -> Result<u64, LabelError> {
        let (answer, answered) = oneshot::channel();
        let sender = self.sender.clone();
        let busy = || LabelError::Busy { database: "the prompt store".into() };
        tokio::task::spawn_blocking(move || sender.send(Command::Forget { user_id, answer }))
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        answered.await.map_err(|_| busy())?
    }
}

/// The project, made if need be.
fn project(store: &Store, settings: &CollectSettings) -> Result<label::Project, LabelError> {
    match store.project_by_name(&settings.project) {
        Err(LabelError::NotFound { .. }) => {
            let mut made = label::Settings::instructgpt();
            made.title = "Collected prompts".into();
            made.prompts.per_user_max = settings.per_user_max;
            made.prompts.duplicate_prefix = settings.duplicate_prefix;
            store.create_project(Actor::Operator, &settings.project, &made)
        }
        found => found,
    }
}

/// The thread that redacts and writes.
struct Writer {
    store: Store,
    project: label::Id,
    metrics: Arc<Metrics>,
    log: Log,
}

impl Writer {
    fn run(self, receiver: &Receiver<Command>) {
        let use_cases = UseCases::new();
        self.delete_old();
        loop {
            let mut next = match receiver.recv_timeout(DELETE_EVERY) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => {
                    self.delete_old();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut batch = Vec::new();
            while let Some(command) = next.take() {
                match command {
                    Command::Keep(prompt) => batch.push(cleaned(*prompt, &use_cases)),
                    Command::Forget { user_id, answer } => {
                        self.write(&std::mem::take(&mut batch));
                        let _ = answer.send(self.forget(&user_id));
                    }
                }
                if batch.len() < BATCH {
                    next = receiver.try_recv().ok();
                }
            }
            self.write(&batch);
        }
    }

    fn write(&self, batch: &[NewPrompt]) {
        if batch.is_empty() {
            return;
        }
        match self.store.add_prompts(Actor::Operator, self.project, batch) {
            Ok(added) => {
                self.metrics.collected("stored", added.added.len());
                self.metrics.collected("duplicate", added.duplicates);
                self.metrics.collected("over_user_limit", added.over_user_limit);
            }
            // One that the store won't have must not take the others with it.
            Err(_) if batch.len() > 1 => batch.chunks(1).for_each(|one| self.write(one)),
            Err(error) => {
                (self.log)(format!("a collected prompt was not kept: {error}"));
                self.metrics.collected("lost", batch.len());
            }
        }
    }

    /// Deletes a user's prompts; how many there were. Of a user without any there is nothing to delete.
    fn forget(&self, user_id: &str) -> Result<u64, LabelError> {
        match self.store.erase_user(Actor::Operator, user_id) {
            Ok(erased) => Ok(erased.prompts as u64),
            Err(LabelError::NotFound { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn delete_old(&self) {
        match self.store.delete_expired_prompts(Actor::Operator) {
            Ok(n) => self.metrics.collected("expired", n),
            Err(error) => (self.log)(format!("collected prompts: {error}")),
        }
    }
}

/// A prompt without personal data, with its use-case and language.
fn cleaned(new: NewPrompt, use_cases: &UseCases) -> NewPrompt {
    let redacted = |text: &str| storable(&pii::redact(text, &pii::find(text)));
    let prompt = match &new.prompt {
        Prompt::Text(text) => Prompt::Text(redacted(text)),
        Prompt::Messages(messages) => {
            Prompt::Messages(messages.iter().map(|m| Message { role: m.role, content: redacted(&m.content) }).collect())
        }
    };
    let asked = asked(&prompt).to_owned();
    let sure = language::detect(&asked).filter(|(_, sure)| *sure >= LANGUAGE_SURE_MIN);
    let language = sure.map(|(language, _)| language.to_owned());
    // The classifier has seen English alone.
    let english = language.as_deref().is_none_or(|language| language == "en");
    let use_case = english.then(|| use_cases.classify(&asked).to_owned());
    NewPrompt { prompt, use_case, language, source: Some(record::Source::Human), ..new }
}

/// What a prompt asks: its text, or what the person said last.
fn asked(prompt: &Prompt) -> &str {
    match prompt {
        Prompt::Text(text) => text,
        Prompt::Messages(messages) => {
            messages.iter().rev().find(|message| message.role == Role::User).map_or("", |message| &message.content)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_no_personal_data_and_says_what_it_is() {
        let text = "Summarize this mail from jo@example.org in one sentence: the meeting is moved to Monday.";
        let messages = vec![Message::user("call +44 20 7946 0958"), Message::assistant("no"), Message::user(text)];
        let kept = cleaned(NewPrompt::new(Prompt::Messages(messages)), &UseCases::new());
        let Prompt::Messages(messages) = &kept.prompt else { panic!("a conversation") };
        assert_eq!(messages[0].content, "call [phone]");
        assert!(messages[2].content.contains("[email]") && !messages[2].content.contains("jo@"));
        assert_eq!(kept.use_case.as_deref(), Some("summarization"));
        assert_eq!(kept.language.as_deref(), Some("en"));
    }
}

//! Answers in pieces: server-sent events (the WHATWG's HTML standard, §9.2).

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that a client hasn't taken yet; who is slower than that holds up its own answer only.
const EVENTS_WAITING: usize = 64;
/// A sign of life while there is nothing to say, so that no proxy hangs up.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The sending end.
pub(crate) struct Events {
    sender: Sender<Bytes>,
}

/// The client has gone.
#[derive(Debug)]
pub(crate) struct Gone;

struct Sent(Receiver<Bytes>);

impl Stream for Sent {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// A response, and the end to write it from.
pub(crate) fn events() -> (Events, Response) {
    let (sender, receiver) = channel(EVENTS_WAITING);
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"))];
    (Events { sender }, (kind, Body::from_stream(Sent(receiver))).into_response())
}

impl Events {
    /// Sends a value as one event.
    pub async fn send(&self, value: &serde_json::Value) -> Result<(), Gone> {
        self.text(&value.to_string()).await
    }

    /// Sends a line as one event.
    pub async fn text(&self, line: &str) -> Result<(), Gone> {
        self.raw(format!("data: {line}\n\n")).await
    }

    async fn raw(&self, text: String) -> Result<(), Gone> {
        self.sender.send(Bytes::from(text)).await.map_err(|_| Gone)
    }

    /// Waits for what comes next, with signs of life meanwhile; an error as soon as the client has gone.
    pub async fn wait<T>(&self, next: impl Future<Output = T>) -> Result<T, Gone> {
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                () = self.sender.closed() => return Err(Gone),
                found = &mut next => return Ok(found),
                () = tokio::time::sleep(SILENCE_MAX) => self.raw(": waiting\n\n".into()).await?,
            }
        }
    }
}

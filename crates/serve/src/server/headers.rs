//! What every request passes on its way in, and every answer carries on its way out.
//!
//! In: the host must be ours (a page elsewhere that re-binds its name to loopback has another), a request that changes
//! something must not come from another site, and the body is read whole, within its size and time. Out: the headers
//! that keep a browser from running, framing or guessing anything.
use super::Settings;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Pages may use their own files and nothing else: no script, style or frame of a page's text ever runs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Of a body that is too long, what is read after its limit before the connection is closed.
const DISCARDED_BYTES_MAX: usize = 64 << 20;

/// The other end of the connection.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub SocketAddr);

/// How a request came: an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Whose it is: the client's address, which behind a proxy is what the proxy says.
    pub address: IpAddr,
    /// Whether the client speaks TLS, to us or to the proxy: cookies are then marked `Secure`.
    pub secure: bool,
}

/// What is checked and added.
pub(super) struct Rules {
    tls: bool,
    behind_proxy: bool,
    /// The host must name loopback: nobody else has business with an address without users.
    loopback_only: bool,
    body_bytes_max: usize,
    body_time_max: Duration,
}

impl Rules {
    pub fn new(settings: &Settings, address: SocketAddr) -> Rules {
        Rules {
            tls: settings.tls.is_some(),
            behind_proxy: settings.behind_proxy,
            loopback_only: address.ip().to_canonical().is_loopback() && !settings.behind_proxy,
            body_bytes_max: settings.body_bytes_max,
            body_time_max: settings.read_time_max,
        }
    }
}

/// The router behind the rules.
pub(super) fn protected(router: Router, rules: Arc<Rules>) -> Router {
    // Bodies are bounded here, for all extractors alike.
    let router = router.layer(axum::extract::DefaultBodyLimit::disable());
    router.layer(from_fn(move |request: Request, next: Next| {
        let rules = rules.clone();
        async move {
            let mut response = match admit(&rules, request).await {
                Ok(request) => next.run(request).await,
                Err(refusal) => refusal.into_response(),
            };
            add_headers(&rules, response.headers_mut());
            response
        }
    }))
}

/// Why a request doesn't reach its handler.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    /// JSON in the shape that OpenAI's clients read, which people can read as well.
    fn into_response(self) -> Response {
        let Refusal(status, message) = self;
        let body = serde_json::json!({
            "error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}
        });
        let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
        (status, close, axum::Json(body)).into_response()
    }
}

async fn admit(rules: &Rules, request: Request) -> Result<Request, Refusal> {
    let (mut parts, body) = request.into_parts();
    // Also of who is refused: see `read_body`.
    let body = read_body(rules, body).await;
    check_host(rules, &parts.headers)?;
    if !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        check_origin(&parts.headers)?;
    }
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    parts.extensions.insert(arrival(rules, peer, &parts.headers));
    Ok(Request::from_parts(parts, body?))
}

fn text(headers: &HeaderMap, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn check_host(rules: &Rules, headers: &HeaderMap) -> Result<(), Refusal> {
    if !rules.loopback_only {
        return Ok(());
    }
    let host = text(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
    let is_ours = host.as_ref().is_some_and(|host| is_loopback_name(host.host()));
    if is_ours {
        return Ok(());
    }
    let found = text(headers, header::HOST).unwrap_or("nothing");
    let message = format!("host {found:?}, expected localhost or a loopback address (--behind-proxy accepts others)");
    Err(Refusal(StatusCode::MISDIRECTED_REQUEST, message))
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// A browser says where a request comes from; programs say nothing.
fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |found: &str| {
        Refusal(StatusCode::FORBIDDEN, format!("a request from another site ({found}) may not change anything here"))
    };
    if let Some(origin) = text(headers, header::ORIGIN) {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if authority.is_none() || authority != text(headers, header::HOST) {
            return Err(refuse(origin));
        }
    }
    match text(headers, HeaderName::from_static("sec-fetch-site")) {
        Some(site @ ("cross-site" | "same-site")) => Err(refuse(site)),
        _ => Ok(()),
    }
}

fn arrival(rules: &Rules, peer: Option<SocketAddr>, headers: &HeaderMap) -> Arrival {
    let direct = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical());
    if !rules.behind_proxy {
        return Arrival { address: direct, secure: rules.tls };
    }
    // The last entry is our own proxy's; those before it are what the client claims.
    let forwarded = text(headers, HeaderName::from_static("x-forwarded-for"))
        .and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
    let proto = text(headers, HeaderName::from_static("x-forwarded-proto"));
    Arrival { address: forwarded.unwrap_or(direct), secure: rules.tls || proto == Some("https") }
}

/// Reads a body whole, within its size and time.
///
/// What is too long is still taken off the connection, within bounds: who is hung up on in the middle of sending is told that the
/// connection broke, and never sees why.
async fn read_body(rules: &Rules, body: Body) -> Result<Body, Refusal> {
    let limit = rules.body_bytes_max;
    let mut frames = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut n_taken = 0;
    let reading = async {
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut frames).poll_next(context)).await {
            let frame = frame.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))?;
            n_taken += frame.len();
            if n_taken <= limit {
                bytes.extend_from_slice(&frame);
            } else if n_taken > limit.saturating_add(DISCARDED_BYTES_MAX) {
                break;
            }
        }
        Ok(())
    };
    match tokio::time::timeout(rules.body_time_max, reading).await {
        Ok(outcome) => outcome?,
        Err(_) if n_taken <= limit => {
            let message = format!("the body did not arrive within {} s", rules.body_time_max.as_secs_f32());
            return Err(Refusal(StatusCode::REQUEST_TIMEOUT, message));
        }
        Err(_) => {}
    }
    if n_taken > limit {
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {limit} bytes")));
    }
    Ok(Body::from(bytes))
}

/// Adds what a handler has not set itself.
fn add_headers(rules: &Rules, headers: &mut HeaderMap) {
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::REFERRER_POLICY, "same-origin");
    add(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()");
    add(header::CACHE_CONTROL, "no-store");
    if rules.tls {
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

//! One GET, redirects followed by hand: the hub states a file's hash on the redirect itself, and its token must not
//! travel to another host.

use super::{Hub, HubError, HubSettings, Repository};
use std::sync::Arc;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

const REDIRECTS_MAX: usize = 8;
const LISTING_BYTES_MAX: u64 = 64 << 20;

/// An answer with status 200, 206 or 416.
pub(super) struct Answer {
    /// With its body unread.
    pub response: Response<Body>,
    /// SHA-256 as stated on the way (`X-Linked-ETag`).
    pub sha256: Option<String>,
    /// Bytes of the whole file as stated on the way (`X-Linked-Size`).
    pub size: Option<u64>,
}

pub(super) fn agent(settings: &HubSettings) -> Result<Agent, HubError> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("helpmate/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(settings.connect_timeout))
        .timeout_recv_response(Some(settings.read_timeout))
        .timeout_per_read(Some(settings.read_timeout));
    if let Some(path) = &settings.certificates {
        let pem = std::fs::read(path).map_err(|source| HubError::Io { path: path.clone(), source })?;
        let certificates: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            let message = format!("{}: no certificate found, expected PEM", path.display());
            return Err(HubError::Settings { message });
        }
        let roots = RootCerts::Specific(Arc::new(certificates));
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Ok(config.build().new_agent())
}

impl Hub {
    /// A small text, tried as often as the settings say.
    pub(super) fn read_text(&self, url: &str, repository: &Repository) -> Result<String, HubError> {
        self.with_retries(|| {
            let mut answer = self.get(url, repository, None, 0)?;
            let body = answer.response.body_mut().with_config().limit(LISTING_BYTES_MAX);
            body.read_to_string().map_err(|error| unreachable(url, &error))
        })
    }

    /// Runs `attempt` again while its failure may pass, up to the number of attempts.
    pub(super) fn with_retries<T>(&self, mut attempt: impl FnMut() -> Result<T, HubError>) -> Result<T, HubError> {
        let mut wait = self.settings.backoff;
        for _ in 1..self.settings.attempts {
            match attempt() {
                Err(error) if may_pass(&error) => std::thread::sleep(wait),
                result => return result,
            }
            wait *= 2;
        }
        attempt()
    }

    /// One GET from byte `start` on.
    pub(super) fn get(
        &self,
        url: &str,
        repository: &Repository,
        file: Option<&str>,
        start: u64,
    ) -> Result<Answer, HubError> {
        let mut location = url.to_string();
        let (mut sha256, mut size) = (None, None);
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(&location, start).map_err(|error| unreachable(&location, &error))?;
            sha256 = sha256.or_else(|| stated_sha256(&response));
            size = size.or_else(|| header(&response, "x-linked-size").and_then(|text| text.parse().ok()));
            let status = response.status().as_u16();
            match status {
                200 | 206 | 416 => return Ok(Answer { response, sha256, size }),
                301 | 302 | 303 | 307 | 308 => location = next_location(&location, &response)?,
                401 | 403 => {
                    return Err(HubError::Refused {
                        url: location,
                        repository: repository.to_string(),
                        status,
                        with_token: self.settings.token.is_some(),
                    });
                }
                404 => {
                    return Err(HubError::NotFound {
                        url: location,
                        repository: repository.to_string(),
                        file: file.map(str::to_string),
                    });
                }
                _ => return Err(HubError::Status { url: location, status }),
            }
        }
        Err(HubError::Malformed { url: url.to_string(), message: format!("more than {REDIRECTS_MAX} redirects") })
    }

    fn send(&self, url: &str, start: u64) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        if let Some(token) = self.settings.token.as_ref().filter(|_| self.is_own_host(url)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call()
    }

    fn is_own_host(&self, url: &str) -> bool {
        origin(url).is_some_and(|of_url| Some(of_url) == origin(&self.settings.endpoint))
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<&str> {
    let after_scheme = url.find("://")? + 3;
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |i| after_scheme + i);
    Some(&url[..end])
}

fn next_location(url: &str, response: &Response<Body>) -> Result<String, HubError> {
    let malformed = |message: String| HubError::Malformed { url: url.to_string(), message };
    let target = header(response, "location").ok_or_else(|| malformed("a redirect without `Location`".to_string()))?;
    if target.starts_with('/') && !target.starts_with("//") {
        let origin = origin(url).unwrap_or_default();
        return Ok(format!("{origin}{target}"));
    }
    if url.starts_with("https://") && !target.starts_with("https://") {
        return Err(malformed(format!("a redirect away from https to `{target}`")));
    }
    Ok(target.to_string())
}

fn stated_sha256(response: &Response<Body>) -> Option<String> {
    let tag = header(response, "x-linked-etag")?;
    let sum = tag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
    super::is_sha256(&sum).then_some(sum)
}

pub(super) fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

fn unreachable(url: &str, error: &ureq::Error) -> HubError {
    HubError::Unreachable { url: url.to_string(), reason: error.to_string() }
}

fn may_pass(error: &HubError) -> bool {
    match error {
        HubError::Unreachable { .. } => true,
        HubError::Status { status, .. } => *status == 429 || *status >= 500,
        _ => false,
    }
}

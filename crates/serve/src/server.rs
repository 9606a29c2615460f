//! A router in, a running server out: what every page and every API of Helpmate stands behind.
//!
//! Plain HTTP/1.1, or TLS. Loopback unless users, TLS or a proxy protect it ([`check_address`]); slow clients are cut off,
//! bodies are bounded and read before a handler runs, every answer carries the security headers, and a
//! stop lets what was begun be finished. It knows no page and no model.

mod guard;
mod headers;
mod timed;
mod tls;

pub use guard::{Protection, check_address};
pub use headers::Arrival;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use timed::Timed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// How often a stop flag is looked at.
const STOP_EVERY: Duration = Duration::from_millis(100);

/// Where to listen, and how patiently.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Certificate chain and private key, PEM files.
    pub tls: Option<TlsFiles>,
    /// Whether whoever comes must say who they are: users with passwords, or API keys.
    pub has_users: bool,
    /// A proxy stands before us: it speaks TLS, and its `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub behind_proxy: bool,
    /// Longest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Longest time for the head of a request, and then for its body.
    pub read_time_max: Duration,
    /// Longest time in which a client takes nothing of an answer.
    pub write_time_max: Duration,
    /// Connections at once; more wait.
    pub connections_max: usize,
    /// How long what was begun may take after a stop.
    pub grace: Duration,
}

/// PEM files of a server's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Settings {
    /// The usual patience at an address: 16 MiB of body, 30 s to read, 60 s to write, 1024 connections, 10 s of grace.
    pub fn new(address: SocketAddr) -> Settings {
        Settings {
            address,
            tls: None,
            has_users: false,
            behind_proxy: false,
            body_bytes_max: 16 << 20,
            read_time_max: Duration::from_secs(30),
            write_time_max: Duration::from_secs(60),
            connections_max: 1024,
            grace: Duration::from_secs(10),
        }
    }

    /// What stands between strangers and the server.
    pub fn protection(&self) -> Protection {
        Protection { users: self.has_users, tls: self.tls.is_some(), behind_proxy: self.behind_proxy }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Others could reach it, and nothing protects it.
    #[error(
        "{address} can be reached from other machines, which needs {missing}; found neither that nor --behind-proxy"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A PEM file.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused threads or timers.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

/// A server that listens but answers nobody yet.
pub struct Server {
    settings: Settings,
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
}

impl Server {
    /// Checks the address, reads the certificates, and listens.
    pub async fn bind(settings: Settings) -> Result<Server, ServerError> {
        let address = settings.address;
        check_address(address, settings.protection())?;
        let acceptor = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let wrong = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Server { settings, listener, address, acceptor })
    }

    /// Where it listens, with the port it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a browser wants it.
    pub fn url(&self) -> String {
        url(self.address, self.acceptor.is_some())
    }

    /// Answers until `stop`, then finishes what was begun within the grace time.
    pub async fn run(self, router: Router, stop: impl Future<Output = ()>) {
        let Server { settings, listener, address, acceptor } = self;
        let grace = settings.grace;
        let places = Arc::new(Semaphore::new(settings.connections_max.max(1)));
        let secure = Arc::new(headers::Rules::new(&settings, address));
        let router = headers::protected(router, secure);
        let (stopping, _) = watch::channel(());
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &places) => accepted,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let connection = Connection { stream, peer, settings: settings.clone(), acceptor: acceptor.clone() };
            let (router, stopped) = (router.clone(), stopping.subscribe());
            tokio::spawn(async move {
                connection.serve(router, stopped).await;
                drop(place);
            });
        }
        drop(listener);
        let _ = stopping.send(());
        // Every connection holds a receiver as long as it lives.
        let _ = tokio::time::timeout(grace, stopping.closed()).await;
    }
}

/// `http(s)://ADDRESS`.
fn url(address: SocketAddr, tls: bool) -> String {
    format!("{}://{address}", if tls { "https" } else { "http" })
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        // No file descriptors left, or a client that is gone already: give others time to finish.
        Err(_) => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// One client.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    settings: Settings,
    acceptor: Option<TlsAcceptor>,
}

impl Connection {
    async fn serve(self, router: Router, stopped: watch::Receiver<()>) {
        let Connection { stream, peer, settings, acceptor } = self;
        let _ = stream.set_nodelay(true);
        let stream = Timed::new(stream, settings.write_time_max);
        let router = router.layer(axum::Extension(headers::Peer(peer)));
        match acceptor {
            None => answer(stream, router, &settings, stopped).await,
            Some(acceptor) => {
                let greeting = tokio::time::timeout(settings.read_time_max, acceptor.accept(stream));
                if let Ok(Ok(stream)) = greeting.await {
                    answer(stream, router, &settings, stopped).await;
                }
            }
        }
    }
}

/// Answers the requests of one connection. What goes wrong with it is the client's business: nobody else is told.
async fn answer<S>(stream: S, router: Router, settings: &Settings, mut stopped: watch::Receiver<()>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.read_time_max).max_buf_size(64 << 10);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).into_owned();
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Runs a server on threads of its own until `stop` becomes true; `told` hears the address as soon as it listens.
pub fn run_until(
    settings: Settings,
    router: Router,
    stop: &AtomicBool,
    told: impl FnOnce(&str),
) -> Result<(), ServerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Start)?;
    runtime.block_on(async {
        let server = Server::bind(settings).await?;
        told(&server.url());
        let stopped = async {
            while !stop.load(Ordering::SeqCst) {
                tokio::time::sleep(STOP_EVERY).await;
            }
        };
        server.run(router, stopped).await;
        Ok(())
    })?;
    // Work on blocking threads (a database, say) may still run; it isn't waited for longer than this.
    runtime.shutdown_timeout(Duration::from_secs(5));
    Ok(())
}

/// A server in the background; it stops when this is dropped.
pub struct Background {
    url: String,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Result<(), ServerError>>>,
}

impl Background {
    /// Starts it; returns once it listens.
    pub fn start(settings: Settings, router: Router) -> Result<Background, ServerError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = std::sync::mpsc::channel();
        let flag = stop.clone();
        let thread = std::thread::spawn(move || {
            run_until(settings, router, &flag, |url| {
                let _ = tell.send(url.to_owned());
            })
        });
        match told.recv() {
            Ok(url) => Ok(Background { url, stop, thread: Some(thread) }),
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                _ => Err(ServerError::Start(std::io::Error::other("the server's thread ended"))),
            },
        }
    }

    /// Where it listens, such as `http://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

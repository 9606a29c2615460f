//! Where a server listens, for every command that has one.

use crate::error::CommandError;
use clap::Args;
use serve::server::{ServerError, Settings, TlsFiles};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where to listen.
#[derive(Args)]
pub struct ListenArguments {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub address: SocketAddr,
    /// Certificate chain for TLS, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A proxy in front speaks TLS and knows who comes; its X-Forwarded-For and X-Forwarded-Proto are believed
    #[arg(long)]
    pub behind_proxy: bool,
}

impl ListenArguments {
    /// The server's settings; `has_users` when whoever comes must say who they are.
    pub fn settings(&self, has_users: bool) -> Result<Settings, CommandError> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.clone(), key: key.clone() }),
            _ => None,
        };
        let settings = Settings { tls, has_users, behind_proxy: self.behind_proxy, ..Settings::new(self.address) };
        // Refused before models are loaded, not after.
        serve::server::check_address(self.address, settings.protection())?;
        Ok(settings)
    }
}

impl From<ServerError> for CommandError {
    fn from(error: ServerError) -> CommandError {
        match &error {
            ServerError::Unprotected { .. } => CommandError::usage(error)
                .hint("without --address the server is for this machine alone: 127.0.0.1:8080")
                .hint("--behind-proxy says that a proxy in front speaks TLS and keeps strangers out"),
            ServerError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                CommandError::missing(error).hint("another program listens there; --address takes another port")
            }
            ServerError::Listen { .. } | ServerError::Start(_) => CommandError::missing(error),
            ServerError::Certificate { .. } => CommandError::input(error),
        }
    }
}

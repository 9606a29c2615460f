//! TLS to PostgreSQL: `sslmode=require` in the address. The server's certificate is always checked, its name too,
//! against the authorities of `sslrootcert` or else the system's: what nobody vouches for isn't spoken to.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;

use crate::{LabelError, Result};

/// Where systems keep the authorities that they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What an address says of TLS, and the address without it.
#[derive(Debug, PartialEq, Eq)]
pub struct Wish {
    /// The address as the driver reads it.
    pub address: String,
    /// Whether TLS is asked for.
    pub required: bool,
    /// The file of authorities.
    pub authorities: Option<PathBuf>,
}

impl Wish {
    /// Takes `sslmode` and `sslrootcert` out of an address.
    pub fn of(address: &str) -> Result<Wish> {
        let (place, parameters) = address.split_once('?').unwrap_or((address, ""));
        let mut wish = Wish { address: place.to_owned(), required: false, authorities: None };
        let mut rest = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", "disable" | "allow" | "prefer")) => {}
                // We check the certificate whenever TLS is asked for.
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => wish.required = true,
                Some(("sslmode", other)) => {
                    let expected = "disable, prefer, require or verify-full";
                    return Err(LabelError::invalid("sslmode", format!("{other:?}"), expected));
                }
                Some(("sslrootcert", path)) => wish.authorities = Some(PathBuf::from(decoded(path))),
                _ => rest.push(parameter),
            }
        }
        if !rest.is_empty() {
            wish.address.push('?');
            wish.address.push_str(&rest.join("&"));
        }
        if wish.authorities.is_some() && !wish.required {
            return Err(LabelError::invalid("sslrootcert", "no sslmode beside it", "sslmode=require"));
        }
        Ok(wish)
    }
}

/// A part of an address without its %-codes; a broken code stands for itself.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Connects with TLS.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl Tls {
    /// With the authorities of a file, or the system's.
    pub fn open(authorities: Option<&Path>) -> Result<Tls> {
        let place = match authorities {
            Some(path) => path,
            None => SYSTEM.iter().map(Path::new).find(|path| path.is_file()).ok_or_else(|| {
                let expected = "sslrootcert=FILE with the authorities to trust";
                LabelError::invalid("sslmode", "require, and no authorities on this system", expected)
            })?,
        };
        let wrong = |problem: String| {
            LabelError::invalid("sslrootcert", format!("{}: {problem}", place.display()), "certificates in PEM")
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(place).map_err(|error| wrong(error.to_string()))? {
            roots
                .add(certificate.map_err(|error| wrong(error.to_string()))?)
                .map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("no certificates".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }
}

/// TLS to a server of a name.
pub struct ToServer {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Encrypted<S>;
    type TlsConnect = ToServer;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<ToServer> {
        let name = ServerName::try_from(domain.to_owned()).map_err(io::Error::other)?;
        Ok(ToServer { connector: self.0.clone(), name })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for ToServer {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(Encrypted) })
    }
}

/// An encrypted connection.
pub struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whether_tls_is_wanted() {
        let wish = |address: &str| Wish::of(address).unwrap();
        let plain = wish("postgres://u@h/d?host=/run&sslmode=prefer");
        assert_eq!((plain.address.as_str(), plain.required), ("postgres://u@h/d?host=/run", false));
        let tls = wish("postgres://u@h/d?sslmode=verify-full&sslrootcert=/a%20b.crt");
        assert_eq!((tls.address.as_str(), tls.required), ("postgres://u@h/d", true));
        assert_eq!(tls.authorities, Some(PathBuf::from("/a b.crt")));
        assert!(Wish::of("postgres://u@h/d?sslmode=maybe").is_err());
        assert!(Wish::of("postgres://u@h/d?sslrootcert=/a.crt").is_err());
        assert_eq!(decoded("%4x%41%"), "%4xA%");
    }
}

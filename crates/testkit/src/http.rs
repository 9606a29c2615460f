//! What a stub of a service needs to understand its callers.
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// The JSON that a request carries; nothing when the caller hangs up or sends something else.
pub fn json_body(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

//! A hub on this machine, for tests: answers from a table, misbehaves on demand, remembers what it was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the stub does with one path. No test uses all of them.
#[allow(dead_code)]
#[derive(Clone)]
pub enum Reply {
    /// 200 (206 when a range is asked for) with this body.
    Body(Vec<u8>),
    /// Like `Body`, but the connection closes after so many bytes the first time.
    BreaksOnce(Vec<u8>, usize),
    /// Like `Body`, but ranges are ignored; breaks the first time.
    BreaksOnceNoRanges(Vec<u8>, usize),
    /// A status without a body.
    Status(u16),
    /// 302 to the location, with further headers.
    Redirect(String, Vec<(&'static str, String)>),
    /// The status this often, then the body.
    StatusThenBody(u16, usize, Vec<u8>),
}

/// One request as it came: `Range`, `Authorization`.
#[derive(Clone, Debug)]
pub struct Asked {
    pub range: Option<String>,
    pub authorization: Option<String>,
}

/// The running stub; its thread ends with the process.
pub struct Stub {
    pub address: String,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    pub fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let replies: Arc<Mutex<HashMap<String, Reply>>> = Arc::default();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (replies_of_thread, asked_of_thread) = (replies.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (replies, asked) = (replies_of_thread.clone(), asked_of_thread.clone());
                std::thread::spawn(move || serve(stream, &replies, &asked));
            }
        });
        Stub { address, replies, asked }
    }

    pub fn reply(&self, path: &str, reply: Reply) -> &Stub {
        self.replies.lock().expect("no panic").insert(path.to_string(), reply);
        self
    }

    #[allow(dead_code)]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// A listing in the hub's form of `files` (name, content) at commit `c0ffee`.
    #[allow(dead_code)]
    pub fn listing(files: &[(&str, &[u8], Option<&str>)]) -> Reply {
        let siblings: Vec<String> = files
            .iter()
            .map(|(name, content, sha256)| {
                let lfs = sha256.map_or(String::new(), |sum| {
                    format!(r#","lfs":{{"sha256":"{sum}","size":{},"pointerSize":134}}"#, content.len())
                });
                format!(r#"{{"rfilename":"{name}","size":{},"blobId":"0"{lfs}}}"#, content.len())
            })
            .collect();
        Reply::Body(format!(r#"{{"id":"o/n","sha":"c0ffee","siblings":[{}]}}"#, siblings.join(",")).into_bytes())
    }
}

fn serve(stream: TcpStream, replies: &Mutex<HashMap<String, Reply>>, asked: &Mutex<Vec<Asked>>) {
    let Ok(writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_string();
    let mut request = Asked { range: None, authorization: None };
    let mut length = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_string()),
            "authorization" => request.authorization = Some(value.to_string()),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    // What is sent must be read: a connection that closes with unread bytes is reset, and the answer with it.
    let _ = std::io::copy(&mut reader.take(length), &mut std::io::sink());
    let range = request.range.clone();
    asked.lock().expect("no panic").push(request);
    let reply = take(&path, replies);
    answer(writer, reply, range.as_deref());
}

/// The reply for a path; one that misbehaves once is replaced by what comes after.
fn take(path: &str, replies: &Mutex<HashMap<String, Reply>>) -> Reply {
    let mut replies = replies.lock().expect("no panic");
    let reply = replies.get(path).cloned().unwrap_or(Reply::Status(404));
    match &reply {
        Reply::BreaksOnce(body, _) | Reply::BreaksOnceNoRanges(body, _) | Reply::StatusThenBody(_, 1, body) => {
            replies.insert(path.to_string(), Reply::Body(body.clone()));
        }
        Reply::StatusThenBody(status, times, body) => {
            replies.insert(path.to_string(), Reply::StatusThenBody(*status, times - 1, body.clone()));
        }
        _ => {}
    }
    reply
}

fn answer(mut writer: TcpStream, reply: Reply, range: Option<&str>) {
    let head = |status: u16, headers: &str, length: usize| {
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n")
    };
    let bytes = match reply {
        Reply::Status(status) | Reply::StatusThenBody(status, _, _) => head(status, "", 0).into_bytes(),
        Reply::Redirect(location, further) => {
            let further: String = further.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            head(302, &format!("Location: {location}\r\n{further}"), 0).into_bytes()
        }
        Reply::BreaksOnce(body, n) | Reply::BreaksOnceNoRanges(body, n) => {
            [head(200, "", body.len()).as_bytes(), &body[..n]].concat()
        }
        Reply::Body(body) => {
            let start = range
                .and_then(|r| r.strip_prefix("bytes="))
                .and_then(|r| r.strip_suffix('-'))
                .and_then(|r| r.parse::<usize>().ok());
            match start {
                Some(start) if start < body.len() => {
                    let headers = format!("Content-Range: bytes {start}-{}/{}\r\n", body.len() - 1, body.len());
                    [head(206, &headers, body.len() - start).as_bytes(), &body[start..]].concat()
                }
                Some(_) => head(416, "", 0).into_bytes(),
                None => [head(200, "", body.len()).as_bytes(), &body].concat(),
            }
        }
    };
    let _ = writer.write_all(&bytes);
    let _ = writer.flush();
}

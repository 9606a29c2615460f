//! The server as clients see it: the binary is started on a model, and asked over HTTP by several at once.
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Tokens of every prompt: the byte tokenizer makes one of a letter.
const PROMPT: usize = 64;

/// A server that ends with this value.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tokens a second that `streams` clients get together, each a streamed completion of `new` tokens, and the processor time
/// that the server takes for a token, which says more where others use the machine as well.
pub fn serve(model: &Path, precision: &str, threads: usize, streams: usize, new: usize) -> Value {
    give_tokenizer(model);
    let server = start(model, precision, threads);
    ask_all(&server.address, streams, 2);
    let processor_before = processor_seconds(server.child.id());
    let mut seconds: Vec<f64> = (0..3)
        .map(|_| {
            let began = Instant::now();
            let n_tokens = ask_all(&server.address, streams, new);
            assert_eq!(n_tokens, streams * new, "every completion has its whole length");
            began.elapsed().as_secs_f64()
        })
        .collect();
    let processor = processor_before
        .and_then(|before| Some((processor_seconds(server.child.id())? - before) / (3 * streams * new) as f64));
    seconds.sort_by(f64::total_cmp);
    json!({
        "tokens_per_second": (streams * new) as f64 / seconds[1], "seconds": seconds[1], "streams": streams, "new": new,
        "processor_ms_per_token": processor.map(|seconds| 1e3 * seconds),
    })
}

/// Processor time of a process's threads so far, where the system tells (Linux's `schedstat`: nanoseconds, first of three).
fn processor_seconds(process: u32) -> Option<f64> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread that has ended meanwhile is left out.
        if let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) {
            nanoseconds += text.split_whitespace().next()?.parse::<f64>().ok()?;
        }
    }
    Some(nanoseconds / 1e9)
}

/// A model with random weights needs some tokenizer: one of bytes.
fn give_tokenizer(model: &Path) {
    let file = model.join("tokenizer.json");
    if !file.is_file() {
        let specials = ["<|endoftext|>".to_owned()];
        let tokenizer = render::train_bpe(std::iter::empty(), 257, &specials).unwrap_or_else(|e| panic!("{e}"));
        std::fs::write(&file, tokenizer.to_json()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
}

fn start(model: &Path, precision: &str, threads: usize) -> Server {
    let own = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
    let helpmate = own.with_file_name("helpmate");
    let mut child = Command::new(&helpmate)
        .args(["serve", "--address", "127.0.0.1:0", "--dtype", precision, "--threads", &threads.to_string(), "--model"])
        .arg(format!("bench={}", model.display()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e} (`cargo build --release` makes it)", helpmate.display()));
    let stderr = child.stderr.take().unwrap_or_else(|| panic!("stderr is piped"));
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let address = lines.by_ref().find_map(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()));
    let address = address.unwrap_or_else(|| panic!("the server said no address"));
    // Whatever else it says must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Server { child, address }
}

/// Everybody asks at once; how many tokens all of them got.
fn ask_all(address: &str, streams: usize, new: usize) -> usize {
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..streams).map(|i| scope.spawn(move || ask(address, i, new))).collect();
        asked.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panic!("a client failed"))).sum()
    })
}

/// One streamed completion; its tokens, as the server counts them.
fn ask(address: &str, i: usize, new: usize) -> usize {
    let prompt: String = (0..PROMPT).map(|j| char::from(b'a' + ((i * 7 + j * 3) % 26) as u8)).collect();
    let body = json!({"model": "bench", "prompt": prompt, "max_tokens": new, "temperature": 0, "stream": true,
        "stream_options": {"include_usage": true}, "logit_bias": {"0": -100, "2": -100}})
    .to_string();
    let mut stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}"));
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = String::new();
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    sent.and_then(|()| stream.read_to_string(&mut answer)).unwrap_or_else(|e| panic!("{address}: {e}"));
    let counted =
        answer.split("\"completion_tokens\":").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit));
    counted.and_then(|digits| digits.collect::<String>().parse().ok()).unwrap_or_else(|| panic!("no usage in {answer}"))
}

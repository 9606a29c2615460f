//! A small WebDriver client (W3C WebDriver, <https://www.w3.org/TR/webdriver2/>) over chromedriver: what the tests of
//! pages need, no more. Every browser has a profile of its own, and goes when it is dropped.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a page may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The key under which WebDriver names elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that have no character, as WebDriver numbers them.
#[allow(dead_code, missing_docs)] // each test uses some; the names say it
pub mod key {
    pub const ENTER: char = '\u{e007}';
    pub const ESCAPE: char = '\u{e00c}';
    pub const LEFT: char = '\u{e012}';
    pub const UP: char = '\u{e013}';
    pub const RIGHT: char = '\u{e014}';
    pub const DOWN: char = '\u{e015}';
}

/// chromedriver, which can open several browsers.
pub struct Driver {
    process: Child,
    url: String,
}

/// A browser of its own, with a profile of its own.
pub struct Browser {
    session: String,
    agent: ureq::Agent,
    profile: Profile,
}

/// A browser's folder. When it goes, so does every process that was started with it: a browser that chromedriver could
/// not end any more, or that it lost, would stay for good.
struct Profile(TempDir);

impl Profile {
    fn processes(&self) -> Vec<String> {
        let mark = format!("--user-data-dir={}", self.0.path().display());
        let numbered = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let is_ours = |id: &String| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            id.bytes().all(|b| b.is_ascii_digit())
                && line.split(|b| *b == 0).any(|argument| argument.starts_with(mark.as_bytes()))
        };
        numbered.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(is_ours).collect()
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        for id in self.processes() {
            let _ = Command::new("kill").args(["-9", &id]).stderr(Stdio::null()).status();
        }
    }
}

/// An element of the page that is shown now.
#[derive(Clone)]
pub struct Element(String);

impl Driver {
    /// Starts chromedriver; `None`, loudly, where there is none.
    pub fn start() -> Option<Driver> {
        let spawned = Command::new("chromedriver")
            .args(["--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) => {
                let required = std::env::var_os("HELPMATE_REQUIRE_SERVICES").is_some_and(|value| value == "1");
                assert!(!required, "chromedriver: {error} (Debian: chromium and chromium-driver)");
                eprintln!("SKIPPED: no chromedriver ({error}); install chromium and chromium-driver");
                return None;
            }
        };
        let output = process.stdout.take().expect("piped");
        let mut lines = BufReader::new(output).lines();
        let port = lines.by_ref().find_map(|line| {
            let line = line.expect("chromedriver speaks");
            let (_, rest) = line.split_once("started successfully on port ")?;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        // What else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Driver { process, url: format!("http://127.0.0.1:{}", port.expect("chromedriver names its port")) })
    }

    /// Opens a browser window of this size.
    pub fn open(&self, width: u32, height: u32) -> Browser {
        let profile = Profile(tempfile::tempdir().expect("a folder"));
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.0.path().display()),
        ];
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE * 3));
        let agent: ureq::Agent = config.build().into();
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = send(&agent, "POST", &format!("{}/session", self.url), Some(&capabilities));
        let id = answer["sessionId"].as_str().expect("a session").to_owned();
        Browser { session: format!("{}/session/{id}", self.url), agent, profile }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
    }
}

/// One command; what isn't a success fails the test with WebDriver's own words.
fn send(agent: &ureq::Agent, method: &str, url: &str, body: Option<&Value>) -> Value {
    try_send(agent, method, url, body).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

fn try_send(agent: &ureq::Agent, method: &str, url: &str, body: Option<&Value>) -> Result<Value, String> {
    let response = match method {
        "POST" => agent.post(url).send_json(body.unwrap_or(&json!({}))),
        _ => agent.get(url).call(),
    };
    let mut response = response.map_err(|error| error.to_string())?;
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    if response.status().is_success() { Ok(value["value"].clone()) } else { Err(value["value"]["message"].to_string()) }
}

impl Browser {
    fn post(&self, path: &str, body: Value) -> Value {
        send(&self.agent, "POST", &format!("{}/{path}", self.session), Some(&body))
    }

    fn get(&self, path: &str) -> Value {
        send(&self.agent, "GET", &format!("{}/{path}", self.session), None)
    }

    /// Goes to an address.
    pub fn go(&self, url: &str) {
        self.post("url", json!({"url": url}));
    }

    /// Loads the page anew.
    pub fn reload(&self) {
        self.post("refresh", json!({}));
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.get("url").as_str().expect("an address").to_owned()
    }

    /// The element that a CSS selector finds, waited for.
    pub fn find(&self, css: &str) -> Element {
        self.wait(css, || {
            let body = json!({"using": "css selector", "value": css});
            let found = try_send(&self.agent, "POST", &format!("{}/element", self.session), Some(&body)).ok()?;
            Some(Element(found[ELEMENT].as_str()?.to_owned()))
        })
    }

    /// Asks again and again until there is an answer.
    pub fn wait<T>(&self, what: &str, ask: impl Fn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = ask() {
                return found;
            }
            if began.elapsed() > PATIENCE {
                let page = self.run("return document.body.innerText.slice(0, 3000)");
                panic!("waited in vain for {what} at {}; the page says: {page}", self.url());
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits until the body's text has this in it.
    pub fn wait_text(&self, text: &str) {
        self.wait(text, || self.text("body").contains(text).then_some(()));
    }

    /// Clicks on what a selector finds.
    pub fn click(&self, css: &str) {
        let Element(id) = self.find(css);
        self.show(css);
        self.post(&format!("element/{id}/click"), json!({}));
    }

    /// Scrolls to the middle of the window, away from what sticks to its edges.
    fn show(&self, css: &str) {
        self.run_with("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", &json!([css]));
    }

    /// Clicks on a button or a link with this text, and waits until the page that it leads to is there.
    pub fn press(&self, text: &str) {
        let script = "const wanted = arguments[0];
            const all = [...document.querySelectorAll('main button, main a, main summary, header button, header a')];
            const shown = all.filter((e) => e.checkVisibility() && e.textContent.trim().startsWith(wanted));
            shown[0]?.click();
            return shown.length;";
        self.leave(|| {
            let n = self.run_with(script, &json!([text]));
            assert!(n.as_u64() > Some(0), "no button {text:?} at {}: {}", self.url(), self.text("body"));
        });
    }

    /// Types into a field, in place of what stands there.
    pub fn fill(&self, css: &str, text: &str) {
        let Element(id) = self.find(css);
        self.post(&format!("element/{id}/clear"), json!({}));
        self.post(&format!("element/{id}/value"), json!({"text": text}));
    }

    /// Sets a field at once: for texts too long to type.
    pub fn set(&self, css: &str, text: &str) {
        self.find(css);
        let script = "const e = document.querySelector(arguments[0]); e.value = arguments[1];
            e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true}));";
        self.run_with(script, &json!([css, text]));
    }

    /// Does what leads to another page, and waits until that is whole: one that is still coming takes the place of the
    /// next, and its scripts hear no keys.
    pub fn leave(&self, act: impl FnOnce()) {
        self.run("window.__old = true");
        act();
        self.wait("the next page", || {
            let is_new = self.run("return !window.__old && document.readyState === 'complete'");
            (is_new == true).then_some(())
        });
    }

    /// Presses keys one after the other, wherever the focus is.
    pub fn keys(&self, keys: &[char]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        self.post("actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// Drags from one element to another with the mouse.
    pub fn drag(&self, from: &str, to: &str) {
        self.find(from);
        self.show(from);
        let (Element(from), Element(to)) = (self.find(from), self.find(to));
        let pointer =
            |id: &str| json!({"type": "pointerMove", "duration": 80, "x": 0, "y": 0, "origin": {ELEMENT: id}});
        let actions = json!([
            pointer(&from), {"type": "pointerDown", "button": 0}, {"type": "pause", "duration": 60},
            {"type": "pointerMove", "duration": 80, "x": 12, "y": 12, "origin": "pointer"},
            {"type": "pause", "duration": 200}, pointer(&to), {"type": "pause", "duration": 200},
            // The browser tells of a drag only as often as it likes; a second move makes sure that it does.
            {"type": "pointerMove", "duration": 100, "x": 3, "y": 3, "origin": "pointer"},
            {"type": "pause", "duration": 200}, {"type": "pointerUp", "button": 0},
        ]);
        self.post(
            "actions",
            json!({"actions": [{
                "type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions,
            }]}),
        );
    }

    /// The visible text of what a selector finds.
    pub fn text(&self, css: &str) -> String {
        let text = self.run_with("return document.querySelector(arguments[0])?.innerText ?? ''", &json!([css]));
        text.as_str().unwrap_or("").to_owned()
    }

    /// Runs a script in the page.
    pub fn run(&self, script: &str) -> Value {
        self.run_with(script, &json!([]))
    }

    /// The same with arguments.
    pub fn run_with(&self, script: &str, arguments: &Value) -> Value {
        self.post("execute/sync", json!({"script": script, "args": arguments}))
    }

    /// Processes of this browser.
    #[allow(dead_code)] // one test uses it
    pub fn processes(&self) -> Vec<String> {
        self.profile.processes()
    }

    #[allow(dead_code)] // the end-to-end test uses it
    /// The value of a cookie, also of one that scripts can't see.
    pub fn cookie(&self, name: &str) -> String {
        self.get(&format!("cookie/{name}"))["value"].as_str().expect("a cookie").to_owned()
    }

    /// A command of Chrome's own.
    fn chrome(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    /// Light or dark, as a person's system would ask for.
    pub fn scheme(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.chrome("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// The size of the page's window.
    pub fn resize(&self, width: u32, height: u32) {
        let is_phone = width < 600;
        self.chrome(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}),
        );
    }

    /// Whether pages may run their scripts. WebDriver's own still do.
    pub fn scripts(&self, allowed: bool) {
        self.chrome("Emulation.setScriptExecutionDisabled", json!({"value": !allowed}));
    }

    /// What the browser complained about since the last time: errors of scripts, refused requests.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", json!({"type": "browser"}));
        let entries = log.as_array().into_iter().flatten();
        entries.filter(|entry| entry["level"] == "SEVERE").map(|entry| entry["message"].to_string()).collect()
    }

    /// Writes what the whole page looks like as a PNG.
    pub fn screenshot(&self, path: &Path) {
        let size = self.run("return [innerWidth, innerHeight, document.documentElement.scrollHeight]");
        let pixels = |i: usize| size[i].as_u64().unwrap_or(800) as u32;
        let (width, height) = (pixels(0), pixels(1));
        // As if the window were as high as the page: what sticks to its edges is then at the page's edges.
        self.resize(width, pixels(2).clamp(height, 6000));
        let shot = self.chrome("Page.captureScreenshot", json!({}));
        self.resize(width, height);
        let bytes = base64(shot["data"].as_str().expect("a picture"));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder for pictures");
        }
        std::fs::write(path, bytes).expect("a picture's file");
    }
}

/// Decodes base64 (RFC 4648, §4).
fn base64(text: &str) -> Vec<u8> {
    let value = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut n_bits) = (Vec::with_capacity(text.len() * 3 / 4), 0u32, 0);
    for value in text.bytes().filter_map(value) {
        bits = bits << 6 | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
        }
    }
    bytes
}

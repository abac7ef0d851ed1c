//! A real browser: headless Chromium, driven through WebDriver.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A session; ends with its process.
pub struct Browser {
    driver: Child,
    /// Open, so that it may go on talking.
    _said: BufReader<ChildStdout>,
    session: String,
    agent: ureq::Agent,
}

impl Browser {
    /// `None`, and a message, where there is no browser. `ADMIRE_TEST_BROWSER=required` makes that a failure.
    pub fn start() -> Option<Self> {
        let spawned = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = spawned else {
            assert!(
                std::env::var_os("ADMIRE_TEST_BROWSER").is_none(),
                "chromedriver is required, and cannot be started"
            );
            eprintln!("skipped: no chromedriver (Debian: apt-get install chromium chromium-driver)");
            return None;
        };
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = said
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok())
            .expect("chromedriver says its port");
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60)));
        let agent = config.http_status_as_error(false).build().new_agent();
        let mut browser = Self { driver, _said: said, session: format!("http://127.0.0.1:{port}/session"), agent };
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]});
        let capabilities = json!({"browserName": "chrome", "goog:chromeOptions": options,
                                  "goog:loggingPrefs": {"browser": "ALL"}});
        let session = browser.ask("", &json!({"capabilities": {"alwaysMatch": capabilities}}));
        browser.session += &format!("/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// A command of the protocol, and its value.
    pub fn ask(&self, command: &str, body: &Value) -> Value {
        let mut response = self.agent.post(format!("{}{command}", self.session)).send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let value = serde_json::from_str::<Value>(&text).unwrap()["value"].take();
        assert!(value.get("error").is_none(), "{command}: {value}");
        value
    }

    pub fn open(&self, page: &Path) {
        self.ask("/url", &json!({"url": format!("file://{}", page.display())}));
    }

    /// The value of a function body of JavaScript.
    pub fn script(&self, body: &str) -> Value {
        self.ask("/execute/sync", &json!({"script": body, "args": []}))
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.ask("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// What the page said on its console, with what the browser says about it.
    pub fn console(&self) -> Vec<String> {
        let log = self.ask("/se/log", &json!({"type": "browser"}));
        log.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Shows the page `width` wide, in a theme (`light`, `dark`) and a medium (`screen`, `print`).
    pub fn look(&self, width: u32, theme: &str, medium: &str) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"media": medium, "features": features}));
    }

    /// The whole page as a picture.
    pub fn screenshot(&self, path: &Path) {
        let shot = self.devtools("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}));
        std::fs::write(path, base64(shot["data"].as_str().unwrap())).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser; then nothing is left but the driver.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut n) = (Vec::new(), 0u32, 0);
    for value in text.bytes().filter_map(|c| ALPHABET.iter().position(|a| *a == c)) {
        (bits, n) = (bits << 6 | value as u32, n + 6);
        if n >= 8 {
            n -= 8;
            bytes.push((bits >> n) as u8);
        }
    }
    bytes
}

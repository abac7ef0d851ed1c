//! A Ray that runs nothing but jobs: its Jobs API, as far as it is used.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// A job, with what it was submitted with.
pub struct Job {
    pub asked: Value,
    child: Child,
    log: PathBuf,
    /// What its details say, whatever the process does.
    pub details: Option<Value>,
}

impl Job {
    pub fn end(&mut self, details: Value) {
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        self.details = Some(details);
    }

    fn details(&mut self) -> Value {
        let status = self.child.try_wait().unwrap();
        self.details.clone().unwrap_or_else(|| match status.map(|status| status.code().unwrap_or_else(|| -status.signal().unwrap())) {
            None => json!({ "status": "RUNNING", "message": "Job is currently running." }),
            Some(0) => json!({ "status": "SUCCEEDED", "driver_exit_code": 0 }),
            Some(code) => json!({ "status": "FAILED", "driver_exit_code": code, "error_type": "JOB_ENTRYPOINT_COMMAND_ERROR" }),
        })
    }
}

pub struct State {
    pub jobs: BTreeMap<String, Job>,
    /// Whether it answers.
    pub up: bool,
    /// Without this line in their heads it refuses requests.
    pub wanted: Option<String>,
    /// What paths of its machine begin with in place of others.
    elsewhere: Option<(String, String)>,
    folder: PathBuf,
}

/// A server on a port of its own. Its jobs end with it.
pub struct Ray {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Drop for Ray {
    fn drop(&mut self) {
        self.state().jobs.values_mut().for_each(|job| job.end(json!({})));
    }
}

impl Ray {
    /// Keeps the output of its jobs in `folder`.
    pub fn start(folder: PathBuf, elsewhere: Option<(String, String)>) -> Self {
        let serve = |state: &mut State, stream| state.serve(stream);
        Self::listen("http", serve, State { jobs: BTreeMap::new(), up: true, wanted: None, elsewhere, folder })
    }

    /// The same over TLS, with the certificate of `folder/server.pem` and the key of `folder/server.key`.
    pub fn start_tls(folder: PathBuf, certificates: &Path) -> Self {
        let chain =
            CertificateDer::pem_file_iter(certificates.join("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(certificates.join("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(chain, key).unwrap());
        let serve = move |state: &mut State, stream| {
            state.serve(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream))
        };
        Self::listen("https", serve, State { jobs: BTreeMap::new(), up: true, wanted: None, elsewhere: None, folder })
    }

    fn listen(
        scheme: &str,
        serve: impl Fn(&mut State, TcpStream) -> Option<()> + Send + 'static,
        state: State,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // An error says that nobody waits for the answer.
                let _ = serve(&mut shared.lock().unwrap(), stream);
            }
        });
        Self { address, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn serve(&mut self, stream: impl Read + Write) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut line, mut length, mut may) = (String::new(), 0, self.wanted.is_none());
        reader.read_line(&mut line).ok()?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            may = may || self.wanted.as_deref() == Some(header.trim());
            match header.to_lowercase().trim().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?.strip_prefix("/api/jobs/")?);
        if !self.up {
            return None;
        }
        let (status, answer) = match may {
            true => self.answer(method, path, &String::from_utf8(body).ok()?),
            false => (401, "Unauthorized: Missing authentication token".to_owned()),
        };
        let length = answer.len();
        let stream = reader.get_mut();
        write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}").ok()?;
        stream.flush().ok()
    }

    fn answer(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (name, about) = path.split_once('/').unwrap_or((path, ""));
        if method == "POST" && name.is_empty() {
            let asked: Value = serde_json::from_str(body).unwrap();
            let name = asked["submission_id"].as_str().unwrap().to_owned();
            if self.jobs.contains_key(&name) {
                return (500, format!("Traceback\nValueError: Job with submission_id {name} already exists.\n"));
            }
            let answer = json!({ "submission_id": name }).to_string();
            let job = self.run(&name, asked);
            self.jobs.insert(name, job);
            return (200, answer);
        }
        let Some(job) = self.jobs.get_mut(name) else { return (404, format!("Job {name} does not exist")) };
        let answer = match (method, about) {
            ("GET", "") => job.details(),
            ("GET", "logs") => json!({ "logs": fs::read_to_string(&job.log).unwrap() }),
            ("POST", "stop") => {
                job.end(json!({ "status": "STOPPED", "message": "Job was intentionally stopped." }));
                json!({ "stopped": true })
            }
            _ => return (405, String::new()),
        };
        (200, answer.to_string())
    }

    fn run(&self, name: &str, asked: Value) -> Job {
        let log = self.folder.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let mut entrypoint = asked["entrypoint"].as_str().unwrap().to_owned();
        if let Some((here, there)) = &self.elsewhere {
            entrypoint = entrypoint.replace(here, there);
        }
        let mut command = Command::new("sh");
        command.args(["-c", &entrypoint]).process_group(0).stdin(Stdio::null());
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Job { asked, child, log, details: None }
    }
}

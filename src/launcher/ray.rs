//! Trials as jobs of a Ray cluster, through its Jobs REST API.
//!
//! The id of a job is its name, which is ours, and Ray takes no second job of one id: so no attempt is submitted twice. Where
//! the cluster does not share the trial's folder, the script writes the mixture there and prints the result in the end; what
//! it printed is fetched.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use ureq::http::{Method, Request};
use ureq::tls::{RootCerts, TlsConfig};

use super::jobs::{self, Attempt, Client, Refusal, Seen, State, Traces};
use super::{BoxFuture, Facts, JobId};
use crate::config::{LauncherConfig, LauncherKind, RayJobs};
use crate::files;
use crate::text::quoted;

/// How long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the script prints where the cluster does not share the trial's folder.
const ELSEWHERE: &str = "This machine does not have the folder of the trial: admire fetches what is printed here.";

/// The script of an attempt.
///
/// # Errors
/// The working directory is not known, or its path is not UTF-8.
pub fn script(config: &LauncherConfig, facts: &Facts) -> io::Result<String> {
    let path = |path: &Path| quoted(&path.display().to_string());
    let (dir, mixture) = (path(&facts.dir), path(&facts.mixture_file()));
    let [stdout, stderr] = ["stdout.log", "stderr.log"].map(|name| path(&facts.dir.join(name)));
    let (enter, told) = (jobs::enter()?, quoted(&serde_json::to_string(facts)?));
    let header = format!(
        r#"if [ -e {mixture} ]; then
exec >>{stdout} 2>>{stderr}
{enter}else
echo '{ELSEWHERE}'
mkdir -p {dir} && printf '%s\n' {told} >{mixture} || exit
trap '[ ! -e "$ADMIRE_RESULT_FILE" ] || printf "\nadmire: %s\n" "$(tr -d "\n" <"$ADMIRE_RESULT_FILE")"' EXIT
fi
"#
    );
    Ok(jobs::script(config, facts, &header, "1"))
}

/// What Ray is asked to run.
#[must_use]
pub fn request(ray: &RayJobs, name: &str, facts: &Facts, script: &str) -> Value {
    let mut body = Map::from_iter([
        ("submission_id".to_owned(), json!(name)),
        ("entrypoint".to_owned(), json!(format!("exec sh -c {}", quoted(script)))),
    ]);
    body.extend(ray.options.clone());
    body.extend(ray.fidelity.get(&facts.fidelity).cloned().unwrap_or_default());
    body.into()
}

/// What Ray says of a job.
#[derive(Deserialize)]
struct Details {
    status: String,
    message: Option<String>,
    error_type: Option<String>,
    driver_exit_code: Option<i32>,
    /// In milliseconds since 1970.
    start_time: Option<u64>,
    end_time: Option<u64>,
}

impl Details {
    fn state(&self) -> State {
        let why = || self.message.as_deref().unwrap_or_default().lines().next().unwrap_or_default().to_owned();
        match self.status.as_str() {
            "SUCCEEDED" => State::Completed,
            "STOPPED" => State::Ended("the job was stopped".into()),
            "FAILED" if self.driver_exit_code.is_some() => State::Failed,
            "FAILED" if self.error_type.as_deref() == Some("JOB_RUNTIME_ENV_SETUP_FAILURE") => {
                State::Ended(why().into())
            }
            // The command has not ended: its node or the cluster has, or there was no place for it.
            "FAILED" => State::Lost(format!("Ray lost the job ({})", why()).into()),
            _ => State::Active,
        }
    }

    /// For how long it has run, or ran, with the time in the queue if it is over.
    fn elapsed(&self) -> Option<Duration> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let end = self.end_time.map_or(now, Duration::from_millis);
        end.checked_sub(Duration::from_millis(self.start_time?)).filter(|_| self.status != "PENDING")
    }
}

/// What Ray says of the output of a job.
#[derive(Deserialize)]
struct Logs {
    logs: String,
}

/// What the cluster, or what stands before it, wants to see with every request. It comes from where Ray's own programs take it, so
/// that no secret is in a config.
fn headers() -> io::Result<BTreeMap<String, String>> {
    let stated = std::env::var("RAY_JOB_HEADERS").unwrap_or_else(|_| "{}".into());
    // Why it is none would quote what may be a secret.
    let mut headers: BTreeMap<String, String> = serde_json::from_str(&stated).map_err(|_| {
        let message = "RAY_JOB_HEADERS is no JSON object of strings, such as {\"X-Gate\": \"open\"}";
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    if let Ok(token) = std::env::var("RAY_AUTH_TOKEN") {
        headers.insert("Authorization".into(), format!("Bearer {token}"));
    }
    Ok(headers)
}

/// What went wrong with a request, and what to do if the certificate is not trusted.
fn advised(error: &ureq::Error) -> String {
    let text = error.to_string();
    let advice = "; SSL_CERT_FILE names a file of certificates to trust";
    if text.contains("invalid peer certificate") { text + advice } else { text }
}

/// A Ray cluster, as it is asked about jobs.
#[derive(Debug)]
pub(super) struct Ray {
    config: Arc<LauncherConfig>,
    ray: RayJobs,
    agent: ureq::Agent,
    /// What goes with every request.
    headers: BTreeMap<String, String>,
}

impl Ray {
    /// With what `[launcher]` says.
    ///
    /// # Errors
    /// It says nothing of Ray, or the environment has headers that are none.
    pub fn new(config: &Arc<LauncherConfig>) -> io::Result<Self> {
        let LauncherKind::Ray(ray) = config.kind.clone() else {
            let message = "trials run as jobs of a Ray cluster whose address the config has no more: set launcher.kind = \
                           \"ray\" and `address` again, at least until they have ended";
            return Err(io::Error::other(message));
        };
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
        let trusted = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = agent.tls_config(trusted).build().into();
        Ok(Self { config: Arc::clone(config), ray, agent, headers: headers()? })
    }

    /// The answer to a request below `/api/jobs/`; `None` for one about a job that Ray does not know.
    async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Option<String>, Refusal> {
        let url = format!("{}/api/jobs/{path}", self.ray.address);
        let failed = |e: &dyn std::fmt::Display| Refusal(format!("{}: {e}", self.ray.address));
        let mut request = Request::builder().method(method).uri(url).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(body.to_owned()).map_err(|e| failed(&e))?;
        let (agent, (sender, answer)) = (self.agent.clone(), oneshot::channel());
        // A thread of its own: nobody waits for it when `admire` ends.
        std::thread::spawn(move || {
            let answer = agent.run(request).and_then(|mut response| {
                Ok((response.status().as_u16(), response.body_mut().with_config().limit(u64::MAX).read_to_string()?))
            });
            let _ = sender.send(answer);
        });
        match answer.await.map_err(|e| failed(&e))?.map_err(|e| failed(&advised(&e)))? {
            (200, text) => Ok(Some(text)),
            (404, _) => Ok(None),
            // The last line of a traceback says what it is about.
            (status, text) => {
                let said = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                Err(failed(&format!("HTTP {status}: {}", said.trim())))
            }
        }
    }

    async fn details(&self, name: &str) -> Result<Option<Details>, Refusal> {
        let answer = self.ask(Method::GET, name, "").await?;
        let parsed = answer.map(|text| serde_json::from_str(&text)).transpose();
        parsed.map_err(|e| Refusal(format!("{}: not understood: {e}", self.ray.address)))
    }

    /// Puts into the trial's folder what a job has left that did not have it. What cannot be had any more is not waited for.
    async fn fetch(&self, attempt: &Attempt, details: &Details) {
        let Ok(Some(text)) = self.ask(Method::GET, &format!("{}/logs", attempt.name), "").await else { return };
        let Ok(Logs { logs }) = serde_json::from_str(&text) else { return };
        if logs.lines().any(|line| line == ELSEWHERE)
            && files::write(&attempt.dir.join("stdout.log"), logs.as_bytes()).is_ok()
        {
            let code = details.driver_exit_code.unwrap_or_default();
            let _ = files::write(&attempt.dir.join("exit.txt"), format!("{code}\n").as_bytes());
        }
    }

    async fn seen(&self, attempt: &Attempt) -> Result<Seen, Refusal> {
        let Some(details) = self.details(&attempt.name).await? else {
            let known = attempt.traces() != Traces::default();
            let lost = State::Lost("the cluster does not know the job any more".into());
            return Ok(Seen { state: (!known).then_some(lost), elapsed: attempt.ran(), other: None });
        };
        let state = details.state();
        if state != State::Active && attempt.traces().exit.is_none() {
            self.fetch(attempt, &details).await;
        }
        Ok(Seen { state: Some(state), elapsed: attempt.ran().or_else(|| details.elapsed()), other: None })
    }
}

impl Client for Ray {
    fn name(&self, study: &str, facts: &Facts) -> String {
        jobs::unique_name(study, facts)
    }

    fn submit<'a>(&'a self, attempt: &'a Attempt, facts: &'a Facts) -> BoxFuture<'a, Result<JobId, Refusal>> {
        Box::pin(async move {
            let script = script(&self.config, facts).map_err(|e| Refusal(e.to_string()))?;
            let body = request(&self.ray, &attempt.name, facts, &script).to_string();
            match self.ask(Method::POST, "", &body).await? {
                Some(_) => Ok(JobId::Word(attempt.name.clone())),
                None => Err(Refusal(format!("{} has no Jobs API", self.ray.address))),
            }
        })
    }

    fn is_submitting(&self, _: &Attempt) -> bool {
        false
    }

    fn find<'a>(&'a self, attempts: &'a [&'a Attempt]) -> BoxFuture<'a, Result<Vec<Option<JobId>>, Refusal>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for attempt in attempts {
                let known = self.details(&attempt.name).await?.is_some();
                found.push(known.then(|| JobId::Word(attempt.name.clone())));
            }
            Ok(found)
        })
    }

    fn look<'a>(&'a self, jobs: &'a [(JobId, Attempt)]) -> BoxFuture<'a, Vec<Result<Seen, Refusal>>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for (_, attempt) in jobs {
                all.push(self.seen(attempt).await);
            }
            all
        })
    }

    fn cancel<'a>(&'a self, _: &'a JobId, attempt: &'a Attempt) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move { self.ask(Method::POST, &format!("{}/stop", attempt.name), "").await.map(drop) })
    }
}

//! The loop through Ray: a server that speaks its Jobs API, to go wrong as a test wants, and a real cluster of two nodes, where
//! the environment says by `ADMIRE_TEST_RAY` which `ray` starts one.

#[path = "common/ray.rs"]
mod ray;
#[path = "common/study.rs"]
mod study;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ray::Ray;
use serde_json::{Value, json};
use study::{Fixture, GOOD, code, signal, stderr, until};
use tempfile::TempDir;

/// Notes that it runs, waits for the file `go` of the study.
const WAITS: &str =
    r#"cd "$(dirname "$0")"; echo "$3 $ADMIRE_ATTEMPT" >>ledger; while [ ! -e go ]; do sleep 0.05; done; "#;

/// A study whose trials are jobs at `address`.
fn study_at(address: &str, script: &str, keys: &str, trials: usize) -> Fixture {
    let launcher = format!("retries = 0\npoll = \"1s\"\n{keys}");
    let f = Fixture::new(script, &launcher, &format!("[budget]\ntrials = {trials}"));
    f.edit("kind = \"local\"\ngrace = \"1s\"\n", &format!("kind = \"ray\"\naddress = \"{address}\"\n"));
    f
}

fn start(f: &Fixture) -> Child {
    let log = File::create(f.path("log")).unwrap();
    f.command("optimize").stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn ends(f: &Fixture, mut child: Child, expected: i32) {
    assert_eq!(child.wait().unwrap().code(), Some(expected), "{:#?}", f.lines("log"));
}

fn said(f: &Fixture, words: &str) -> usize {
    f.lines("log").iter().filter(|line| line.contains(words)).count()
}

fn trained(f: &Fixture) -> usize {
    f.lines("ledger").len()
}

fn count(f: &Fixture, event: &str) -> usize {
    f.of(event).len()
}

/// A server, and a study with it.
fn served(script: &str, keys: &str, trials: usize) -> (Ray, Fixture) {
    let folder = Fixture::new("", "", "");
    let ray = Ray::start(folder.root.keep(), None);
    let f = study_at(&ray.address, script, keys, trials);
    (ray, f)
}

#[test]
fn a_study_completes_with_what_its_fidelities_ask_for() {
    let keys = "slots = 2\nentrypoint_num_gpus = 1\nentrypoint_resources = { x = 0.5 }\nruntime_env = { pip = ['torch'] }\n\
                fidelity = { large = { entrypoint_num_gpus = 8, entrypoint_memory = 1_000_000 } }";
    let (ray, f) = served(&format!("[ $3 != 2 ] || exit 3; {GOOD}"), keys, 5);
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!((count(&f, "submitted"), count(&f, "completed"), count(&f, "failed")), (5, 4, 1));
    assert_eq!(f.of("failed")[0]["reason"], "the command ended with exit status: 3");
    for (event, launched) in f.of("suggested").iter().zip(f.of("launched")) {
        let state = ray.state();
        let asked = &state.jobs[launched["job"].as_str().unwrap()].asked;
        let large = event["fidelity"] == "large";
        let gpus = if large { json!(8.0) } else { json!(1.0) };
        assert_eq!((&asked["entrypoint_num_gpus"], asked["entrypoint_memory"].is_null()), (&gpus, !large));
        assert_eq!(
            (&asked["entrypoint_resources"], &asked["runtime_env"]["pip"]),
            (&json!({ "x": 0.5 }), &json!(["torch"]))
        );
    }
}

#[test]
fn a_cluster_without_the_folder_gets_the_mixture_and_gives_the_result() {
    let there = Fixture::new("", "", "").root.keep();
    let script = format!("grep -q weights \"$ADMIRE_MIXTURE_FILE\" || exit 5; echo trains; {GOOD}");
    let f = study_at("http://127.0.0.1:1", &script, "", 2);
    let (here, elsewhere) = (f.path("run").display().to_string(), there.join("run").display().to_string());
    let ray = Ray::start(there, Some((here, elsewhere)));
    f.edit("http://127.0.0.1:1", &ray.address);
    let begun = Instant::now();
    let output = f.run("optimize", &[]);
    assert_eq!((code(&output), count(&f, "completed")), (Some(0), 2), "{}", stderr(&output));
    assert!(
        !f.path("run/trials/0001/result.json").exists()
            && f.lines("run/trials/0001/stdout.log").contains(&"trains".to_owned())
    );
    assert!(begun.elapsed() < Duration::from_secs(40), "nobody waits for files that are elsewhere");
}

#[test]
fn a_job_is_found_after_a_crash_and_stopped_when_asked_to() {
    let (_ray, f) = served(&format!("{WAITS}{GOOD}"), "", 1);
    let mut child = start(&f);
    until("the trainer", || trained(&f) == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    // As if it had been killed before it knew the answer.
    let known = f.events().into_iter().filter(|event| event["event"] != "submitted");
    f.rewrite(known.map(|event| event.to_string()).collect::<Vec<_>>());
    let child = start(&f);
    until("the job to be taken over", || said(&f, "still running") == 1);
    let mut child = child;
    until("the end", || {
        signal(&child, Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    ends(&f, child, 130);
    assert_eq!((trained(&f), count(&f, "submitted"), count(&f, "interrupted")), (1, 1, 1));
    f.write("go", "");
    let child = start(&f);
    ends(&f, child, 0);
    assert_eq!((trained(&f), count(&f, "completed"), count(&f, "failed")), (2, 1, 0));
}

#[test]
fn what_the_cluster_loses_is_no_failure_of_the_trainer() {
    let lost = json!({ "status": "FAILED", "message": "Unexpected error: the node of the actor has died.\nmore",
                       "error_type": "JOB_SUPERVISOR_ACTOR_DIED", "driver_exit_code": null });
    let environment = json!({ "status": "FAILED", "message": "runtime_env setup failed", "error_type": "JOB_RUNTIME_ENV_SETUP_FAILURE" });
    let stopped = json!({ "status": "STOPPED", "message": "Job was intentionally stopped." });
    for (details, event, reason) in [
        (Some(lost), "interrupted", "Ray lost the job (Unexpected error: the node of the actor has died.)"),
        (None, "interrupted", "the cluster does not know the job any more"),
        (Some(environment), "failed", "runtime_env setup failed"),
        (Some(stopped), "failed", "the job was stopped"),
    ] {
        let (ray, f) = served(&format!("{WAITS}{GOOD}"), "", 1);
        f.edit("retries = 0", "retries = 1");
        let child = start(&f);
        until("the trainer", || trained(&f) == 1 && count(&f, "submitted") == 1);
        let name = f.of("launched")[0]["job"].as_str().unwrap().to_owned();
        let mut state = ray.state();
        let job = state.jobs.get_mut(&name).unwrap();
        job.end(details.clone().unwrap_or_default());
        if details.is_none() {
            state.jobs.remove(&name);
        }
        drop(state);
        until("the next attempt", || trained(&f) == 2);
        f.write("go", "");
        ends(&f, child, 0);
        assert_eq!(
            (f.of(event)[0]["reason"].as_str(), f.lines("ledger")),
            (Some(reason), vec!["1 1".to_owned(), "1 2".to_owned()])
        );
        assert_eq!((count(&f, "completed"), count(&f, "failed")), (1, usize::from(event == "failed")));
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_waited_for() {
    let (ray, f) = served(&format!("{WAITS}{GOOD}"), "slots = 1", 2);
    ray.state().up = false;
    let child = start(&f);
    until("a refusal", || said(&f, "cannot look for its job: http://127.0.0.1") == 1);
    ray.state().up = true;
    until("the trainer", || trained(&f) == 1 && count(&f, "submitted") == 1);
    ray.state().up = false;
    until("a warning", || said(&f, "cannot look at the jobs (http://127.0.0.1") == 1);
    f.write("go", "");
    ray.state().up = true;
    ends(&f, child, 0);
    assert_eq!((said(&f, "cannot look at the jobs"), said(&f, "can be looked at again")), (1, 1));
    assert_eq!((trained(&f), count(&f, "completed"), count(&f, "failed")), (2, 2, 0));
}

/// A study as `admire init --trainer ray` writes it, of one trial on a cluster without GPUs. A stand-in for the training script,
/// which trains with PyTorch, tells the loss of every domain.
fn trains_what_init_writes(address: &str) {
    let f = Fixture::new("", "", "");
    let admire = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
        let output = command.args(arguments).current_dir(f.root.path()).output().unwrap();
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    admire(&["init", "ray.toml", "--domains", "web,code", "--sizes", "60M,1B", "--trainer", "ray"]);
    assert!(fs::read_to_string(f.path("train.py")).unwrap().contains("admire.trial()"));
    f.write(
        "train.py",
        "import json, os\n\
         weights = json.load(open(os.environ['ADMIRE_MIXTURE_FILE']))['weights']\n\
         with open(os.environ['ADMIRE_RESULT_FILE'], 'w') as result:\n    \
         json.dump({'metrics': {name: 3 - weight for name, weight in weights.items()}}, result)\n",
    );
    let address = format!("launcher.address=\"{address}\"");
    let sets = ["--config", "ray.toml", "--set", &address, "--set", "launcher.entrypoint_num_gpus=0"];
    admire(&[&["check"], &sets[..]].concat());
    admire(&[&["optimize", "--set", "budget.trials=1", "--set", "launcher.poll=1"], &sets[..]].concat());
    let status: Value = serde_json::from_str(&admire(&[&["status", "--format", "json"], &sets[..]].concat())).unwrap();
    assert_eq!(status["trials"]["complete"], 1, "{status}");
}

#[test]
fn what_init_writes_trains_on_a_cluster() {
    let ray = Ray::start(Fixture::new("", "", "").root.keep(), None);
    trains_what_init_writes(&ray.address);
}

/// Waits as long as a real cluster may take.
fn at_last(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(240), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_cluster_may_want_a_token() {
    let (ray, f) = served(GOOD, "", 1);
    ray.state().wanted = Some("authorization: Bearer secret".into());
    let child = start(&f);
    until("a refusal", || said(&f, "HTTP 401: Unauthorized: Missing authentication token") == 1);
    signal(&child, Signal::SIGINT);
    ends(&f, child, 130);
    let output = f.command("optimize").env("RAY_AUTH_TOKEN", "secret").output().unwrap();
    assert_eq!((code(&output), count(&f, "completed")), (Some(0), 1), "{}", stderr(&output));
}

#[test]
fn a_cluster_behind_https_is_trusted_by_its_certificate_and_sees_the_headers_that_it_wants() {
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let ray = Ray::start_tls(Fixture::new("", "", "").root.keep(), &certificates);
    ray.state().wanted = Some("x-gate: open".into());
    let f = study_at(&ray.address, GOOD, "", 1);
    let child = start(&f);
    until("a refusal", || said(&f, "invalid peer certificate: UnknownIssuer; SSL_CERT_FILE") == 1);
    signal(&child, Signal::SIGINT);
    ends(&f, child, 130);
    let trusting = |headers: &str| {
        let mut command = f.command("optimize");
        command.env("SSL_CERT_FILE", certificates.join("ca.pem")).env("RAY_JOB_HEADERS", headers).output().unwrap()
    };
    let output = trusting("x-gate: open");
    assert!(stderr(&output).contains("RAY_JOB_HEADERS is no JSON object of strings"), "{}", stderr(&output));
    let output = trusting(r#"{"X-Gate": "open"}"#);
    assert_eq!((code(&output), count(&f, "completed")), (Some(0), 1), "{}", stderr(&output));
}

/// A node of a real cluster; it ends with this.
struct Node(Child);

impl Node {
    fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(["start", "--block", "--disable-usage-stats", "--object-store-memory=80000000"]).args(arguments);
        // As with several machines: what is lost is missed soon.
        command.env("RAY_health_check_period_ms", "500").env("RAY_health_check_failure_threshold", "4");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.process_group(0).spawn().unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn get(url: &str) -> Option<Value> {
    let text = ureq::get(url).call().ok()?.body_mut().read_to_string().ok()?;
    serde_json::from_str(&text).ok()
}

/// A head that runs no trials, and a node that does.
struct Cluster {
    program: PathBuf,
    port: u16,
    /// Where it keeps its files.
    folder: TempDir,
    head: Option<Node>,
    worker: Option<Node>,
}

impl Cluster {
    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port + 1)
    }

    fn start_head(&mut self) {
        let (port, dashboard) = (format!("--port={}", self.port), format!("--dashboard-port={}", self.port + 1));
        let folder = format!("--temp-dir={}", self.folder.path().display());
        self.head =
            Some(Node::start(&self.program, &["--head", &port, &dashboard, &folder, "--num-cpus=0", "--num-gpus=0"]));
        at_last("the head", || get(&format!("{}/api/version", self.address())).is_some());
    }

    fn start_worker(&mut self) {
        let address = format!("--address=127.0.0.1:{}", self.port);
        self.worker = Some(Node::start(&self.program, &[&address, "--num-cpus=2", "--resources={\"trials\": 1}"]));
    }
}

#[test]
fn a_real_cluster_loses_driver_worker_and_head() {
    let Some(program) = std::env::var_os("ADMIRE_TEST_RAY") else {
        eprintln!("skipped: ADMIRE_TEST_RAY does not say which `ray` starts a cluster");
        return;
    };
    let mut ray =
        Cluster { program: program.into(), port: 6401, folder: TempDir::new().unwrap(), head: None, worker: None };
    ray.start_head();
    ray.start_worker();
    let script = format!("echo $PPID >pid; {WAITS}{GOOD}");
    let keys = "slots = 1\nentrypoint_resources = { trials = 1 }";
    let f = study_at(&ray.address(), &script, keys, 1);
    f.edit("retries = 0", "retries = 1");

    // The driver: a failure.
    let child = start(&f);
    at_last("the trainer", || trained(&f) == 1);
    let pid = fs::read_to_string(f.path("pid")).unwrap();
    Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
    at_last("the second attempt", || trained(&f) == 2);
    // `admire`: the job is taken over.
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();
    let child = start(&f);
    at_last("the job to be taken over", || said(&f, "still running") == 1);
    // The worker: no failure.
    ray.worker = None;
    at_last("the loss of the worker", || count(&f, "interrupted") == 1);
    ray.start_worker();
    at_last("the third attempt", || trained(&f) == 3);
    // The head, and with it the cluster.
    ray.head = None;
    at_last("a warning", || said(&f, "cannot look at the jobs") == 1);
    ray.worker = None;
    ray.start_head();
    ray.start_worker();
    at_last("the fourth attempt", || trained(&f) == 4);
    f.write("go", "");
    ends(&f, child, 0);
    // A slow cluster may lose a job once more before it starts.
    let interrupted = count(&f, "interrupted");
    assert_eq!((count(&f, "failed"), count(&f, "completed")), (1, 1));
    let trained = f.lines("ledger");
    assert_eq!(trained[..3], ["1 1", "1 2", "1 3"]);
    assert!(interrupted >= 2 && trained.len() == 4 && trained[3] == format!("1 {}", interrupted + 2), "{trained:?}");
    trains_what_init_writes(&ray.address());
}

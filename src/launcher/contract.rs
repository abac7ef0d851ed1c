//! What every backend has to do, tried on each of them: see [`Backend`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::mock::Mock;
use super::{Backend, End, Facts, Fate, Orphan, Running, command, local, prepare};
use crate::config::{LauncherConfig, LauncherKind, RayJobs, StudyConfig};
use crate::problem::{Handle, Launch};

#[path = "../../tests/common/ray.rs"]
mod ray;
#[path = "../../tests/common/recipe.rs"]
mod recipe;

/// Notes that it trains, waits for the file `go`, reports.
const TRAINER: &str = r#"cd "$ADMIRE_TRIAL_DIR" || exit; echo "$ADMIRE_ATTEMPT" >>ledger
while [ ! -e go ]; do sleep 0.01; done; echo '{"loss": 1}' >"$ADMIRE_RESULT_FILE""#;

/// The same without a process.
async fn train(facts: Facts) -> End {
    let ledger = facts.dir.join("ledger");
    let known = fs::read_to_string(&ledger).unwrap_or_default();
    fs::write(ledger, format!("{known}{}\n", facts.attempt)).unwrap();
    while !facts.dir.join("go").exists() {
        sleep(Duration::from_millis(5)).await;
    }
    fs::write(facts.result_file(), "{\"loss\": 1}").unwrap();
    End::Exited(None)
}

fn config(kind: LauncherKind) -> Arc<LauncherConfig> {
    Arc::new(LauncherConfig {
        kind,
        command: ["sh", "-c", TRAINER].map(str::to_owned).to_vec(),
        setup: None,
        on_event: None,
        slots: 1,
        timeout: None,
        retries: 0,
        retry_diverged: 0,
        max_failure_rate: 1.0,
        resumable: false,
        grace: Duration::from_secs(1),
        poll: Duration::ZERO,
        env: BTreeMap::new(),
    })
}

/// A trial of its own for every rule.
struct Case<'a> {
    backend: &'a dyn Backend,
    facts: Facts,
    name: Option<String>,
}

impl<'a> Case<'a> {
    fn new(backend: &'a dyn Backend, root: &Path, trial: u64) -> Self {
        let facts = Facts {
            weights: BTreeMap::new(),
            fidelity: "1M".into(),
            params: None,
            tokens: None,
            repetition: None,
            continue_from: None,
            seed: 1,
            trial,
            dir: root.join("trials").join(format!("{trial:04}")),
            attempt: 1,
            result: command::result_name(1),
        };
        prepare(&facts, false).unwrap();
        let name = backend.reserve("t", &facts);
        assert_eq!(name, backend.reserve("t", &facts), "a name stays the same");
        Self { backend, facts, name }
    }

    async fn submit(&self) -> Box<dyn Running> {
        running(self.backend.submit(&self.facts, self.name.as_deref()).await.unwrap())
    }

    /// What the next `admire` finds, with the handle that the journal has.
    async fn adopt(&self, handle: Option<Handle>) -> Fate {
        let launch = Launch { backend: String::new(), name: self.name.clone(), handle };
        let (facts, reported) = (self.facts.clone(), self.facts.result_file().exists());
        let left = Orphan { facts, launch, reported, age: Duration::from_secs(1) };
        self.backend.adopt(&[left]).await.unwrap().pop().unwrap()
    }

    fn trained(&self) -> usize {
        fs::read_to_string(self.facts.dir.join("ledger")).unwrap_or_default().lines().count()
    }

    async fn trains(&self) {
        let trainer = async {
            while self.trained() == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), trainer).await.expect("the trainer begins");
    }

    /// Lets the trainer report, and sees it end.
    async fn finishes(&self, running: Box<dyn Running>) {
        fs::write(self.facts.dir.join("go"), "").unwrap();
        self.is_complete(&wait(running, false).await);
    }

    fn is_complete(&self, end: &End) {
        assert!(matches!(end, End::Exited(status) if status.is_none_or(|status| status.success())), "{end:?}");
        assert!(self.facts.result_file().exists());
        assert_eq!(self.trained(), 1, "one trainer for a reservation");
    }
}

fn running(fate: Fate) -> Box<dyn Running> {
    match fate {
        Fate::Running(running) => running,
        Fate::Over(ending) => panic!("it is over: {ending:?}"),
    }
}

async fn wait(running: Box<dyn Running>, kill: bool) -> End {
    let (_kill, killed) = watch::channel(kill);
    timeout(Duration::from_secs(60), running.wait(killed)).await.expect("it ends").unwrap().0
}

async fn keeps_the_contract(backend: &dyn Backend, root: &Path) {
    // An attempt runs to its end.
    let case = Case::new(backend, root, 1);
    let attempt = case.submit().await;
    case.trains().await;
    assert!(attempt.handle().is_some_and(|handle| !handle.is_empty()));
    case.finishes(attempt).await;

    // It is ended when that is asked for.
    let case = Case::new(backend, root, 2);
    let attempt = case.submit().await;
    case.trains().await;
    assert_eq!(wait(attempt, true).await, End::Killed);
    fs::write(case.facts.dir.join("go"), "").unwrap();
    match case.adopt(None).await {
        Fate::Over(_) => {}
        // A queue that forgets at once what is over leaves this open for a while.
        Fate::Running(found) => assert!(found.handle().is_some()),
    }
    assert_eq!((case.facts.result_file().exists(), case.trained()), (false, 1));

    // Of a launch that was journalled, and came no further, nothing is found; it is submitted then.
    let case = Case::new(backend, root, 3);
    let fate = case.adopt(None).await;
    assert!(matches!(&fate, Fate::Over((End::NotStarted(_) | End::Exited(None), None))), "{fate:?}");
    assert_eq!(case.trained(), 0);
    let attempt = case.submit().await;
    case.finishes(attempt).await;

    // An attempt whose handle was not journalled is found, and so is one whose handle was.
    for (trial, journalled) in [(4, false), (5, true)] {
        let case = Case::new(backend, root, trial);
        let attempt = case.submit().await;
        let handle = attempt.handle();
        case.trains().await;
        if case.name.is_some() {
            // A submission that seemed to fail is tried again.
            assert_eq!(case.submit().await.handle(), handle);
        }
        drop(attempt);
        let found = running(case.adopt(handle.clone().filter(|_| journalled)).await);
        assert_eq!(found.handle(), handle);
        case.finishes(found).await;
    }

    // One that ended meanwhile has ended as it did.
    let case = Case::new(backend, root, 6);
    let attempt = case.submit().await;
    let handle = attempt.handle();
    fs::write(case.facts.dir.join("go"), "").unwrap();
    wait(attempt, false).await;
    match case.adopt(handle).await {
        Fate::Over((end, _)) => case.is_complete(&end),
        Fate::Running(running) => case.finishes(running).await,
    }
}

fn on(root: &Path, backend: impl FnOnce() -> Arc<dyn Backend>) {
    let root = root.canonicalize().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { keeps_the_contract(&*backend(), &root).await });
}

#[test]
fn the_mock_keeps_the_contract() {
    on(tempfile::tempdir().unwrap().path(), || Arc::new(Mock::new(|facts| Box::pin(train(facts)))));
}

#[test]
fn local_keeps_the_contract() {
    on(tempfile::tempdir().unwrap().path(), || Arc::new(local::Local::new(config(LauncherKind::Local))));
}

/// The kind of a queue that a recipe of the documentation is about, changed as a test wants.
fn stated(heading: &str, edit: impl Fn(String) -> String) -> LauncherKind {
    let recipe = edit(recipe::recipe(heading));
    let text = format!(
        "study.name = 't'\nobjective.metric = 'loss'\ndomain = [{{ name = 'a' }}, {{ name = 'b' }}]\n\
         fidelity = [{{ name = '1M' }}]\n[launcher]\nkind = 'queue'\ncommand = ['x']\n{recipe}"
    );
    StudyConfig::parse(Path::new("study.toml"), &text, &[]).unwrap().launcher.unwrap().kind
}

/// What can be tested with Slurm's programs, or with scripts in their place.
fn on_slurm(name: &str) -> LauncherKind {
    match name {
        "slurm" => LauncherKind::Slurm { directives: Vec::new(), fidelity: BTreeMap::new() },
        "queue_by_id" => stated("Slurm", |recipe| {
            recipe
                .replace("format=%T\", \"--name={job}", "format=%T\", \"--jobs={id}")
                .replace("\"--name={job}", "\"{id}")
        }),
        _ => stated("Slurm", |recipe| recipe),
    }
}

fn in_a_queue(root: &Path, kind: LauncherKind) {
    let backend = super::kind(kind.name()).unwrap();
    on(root, || (backend.make)(config(kind)).unwrap());
}

/// With scripts in place of Slurm's programs, which the test finds in the PATH of a second process that runs it.
fn in_a_queue_of_scripts(name: &str) {
    if std::env::var_os("QUEUE").is_some() {
        return in_a_queue(&std::env::temp_dir(), on_slurm(name));
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("queue")).unwrap();
    let path = format!("{}/tests/slurm/stub:{}", env!("CARGO_MANIFEST_DIR"), std::env::var("PATH").unwrap());
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", &format!("launcher::contract::{name}_keeps_the_contract")]);
    again.env("PATH", path).env("QUEUE", root.path().join("queue")).env("TMPDIR", root.path());
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn slurm_keeps_the_contract() {
    in_a_queue_of_scripts("slurm");
}

#[test]
fn queue_by_id_keeps_the_contract() {
    in_a_queue_of_scripts("queue_by_id");
}

#[test]
fn queue_by_name_keeps_the_contract() {
    in_a_queue_of_scripts("queue_by_name");
}

#[test]
fn ray_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let ray = ray::Ray::start(root.path().to_owned(), None);
    let (address, options, fidelity) = (ray.address.clone(), serde_json::Map::new(), BTreeMap::new());
    in_a_queue(root.path(), LauncherKind::Ray(RayJobs { address, options, fidelity }));
}

#[test]
fn slurm_keeps_the_contract_for_real() {
    if recipe::answers("Slurm") {
        for name in ["slurm", "queue_by_name"] {
            in_a_queue(tempfile::tempdir().unwrap().path(), on_slurm(name));
        }
    }
}

#[test]
fn grid_engine_keeps_the_contract() {
    if recipe::answers("Grid Engine") {
        in_a_queue(tempfile::tempdir().unwrap().path(), stated("Grid Engine", |recipe| recipe));
    }
}

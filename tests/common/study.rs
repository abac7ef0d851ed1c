//! A study on disk with a scripted trainer.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// A directory with `study.toml` and `train.sh`; the study's files are in `run/`.
pub struct Fixture {
    pub root: TempDir,
}

impl Fixture {
    /// `script` is the trainer (POSIX sh); `extra` goes to the end of the config.
    pub fn new(script: &str, launcher: &str, extra: &str) -> Self {
        let root = TempDir::new().unwrap();
        let train = root.path().join("train.sh");
        fs::write(&train, script).unwrap();
        let config = format!(
            "[study]\nname = \"t\"\nseed = 7\ndir = {:?}\n\
             [[domain]]\nname = \"a\"\n[[domain]]\nname = \"b\"\n[[domain]]\nname = \"c\"\n\
             [[fidelity]]\nname = \"small\"\nparams = 1e3\ncost = 1.0\n\
             [[fidelity]]\nname = \"large\"\nparams = 1e4\ncost = 4.0\n\
             [objective]\nmetric = \"loss\"\n\
             [launcher]\nkind = \"local\"\ngrace = \"1s\"\n\
             command = [\"sh\", {train:?}, \"{{result_file}}\", \"{{w.a}}\", \"{{trial}}\", \"{{seed}}\"]\n{launcher}\n{extra}\n",
            root.path().join("run")
        );
        fs::write(root.path().join("study.toml"), config).unwrap();
        Self { root }
    }

    /// Changes the config.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("study.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.path("study.toml"), text.replace(from, to)).unwrap();
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The lines of a file that trainers write to.
    pub fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Puts other events into the journal, as if `admire` had written them and been killed then.
    pub fn rewrite<T: AsRef<str>>(&self, lines: impl IntoIterator<Item = T>) {
        let _ = fs::remove_file(self.path("run/journal.seal"));
        self.write("run/journal.jsonl", &chained(lines));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
        command.arg(name).arg("--config").arg(self.path("study.toml")).current_dir(self.root.path());
        command
    }

    pub fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name).args(arguments).output().unwrap()
    }

    /// Runs a command that must succeed and parses what it prints.
    pub fn json(&self, name: &str, arguments: &[&str]) -> Value {
        let output = self.run(name, &[arguments, &["--format", "json"]].concat());
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn start(&self, name: &str) -> Child {
        self.command(name).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The events of the journal; a line still being written is left out.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("run/journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|e| e["event"] == kind).collect()
    }
}

/// A trainer whose loss is the weight of `a`.
pub const GOOD: &str = r#"printf '{"loss": %s}' "$2" > "$1.tmp" && mv "$1.tmp" "$1""#;

/// Lines of a journal with the numbers and checksums of docs/journal.md, whatever they have now.
pub fn chained<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> String {
    let (mut text, mut crc) = (String::new(), "00000000".to_owned());
    for (i, line) in lines.into_iter().enumerate() {
        let covered = format!("{},\"seq\":{}", body(line.as_ref()), i + 1);
        crc = format!("{:08x}", crc32fast::hash(format!("{crc}{covered}").as_bytes()));
        text += &format!("{covered},\"crc\":\"{crc}\"}}\n");
    }
    text
}

/// A line of a journal without number, checksum and closing brace.
pub fn body(line: &str) -> &str {
    line.rsplit_once(",\"seq\":").map_or_else(|| line.trim_end().strip_suffix('}').unwrap(), |(body, _)| body)
}

pub fn signal(child: &Child, signal: Signal) {
    // An error says that it has ended.
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal);
}

/// Whether a process is alive (a zombie is not).
pub fn alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits for a condition that something else brings about.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// What a process said.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

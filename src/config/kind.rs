//! Where trials run: `launcher.kind`, and the keys that only some kinds have.

use std::collections::BTreeMap;

use super::LauncherKind;
use super::tree::Section;
use super::value::Value;
use super::{queue, ray, slurm};

/// Kinds whose trials are jobs.
const QUEUES: &[&str] = &["slurm", "queue", "ray"];

/// Keys that only some kinds have, and what to know where they have no place.
const KEYS: [(&str, &[&str], &str); 18] = [
    ("partition", &["slurm"], ""),
    ("account", &["slurm"], ""),
    ("gres", &["slurm"], ""),
    ("time", &["slurm"], ""),
    ("directives", &["slurm"], ""),
    ("submit", &["queue"], ""),
    ("status", &["queue"], ""),
    ("cancel", &["queue"], ""),
    ("states", &["queue"], ""),
    ("address", &["ray"], ""),
    ("entrypoint_num_cpus", &["ray"], ""),
    ("entrypoint_num_gpus", &["ray"], ""),
    ("entrypoint_memory", &["ray"], ""),
    ("entrypoint_resources", &["ray"], ""),
    ("runtime_env", &["ray"], ""),
    ("fidelity", QUEUES, ""),
    ("poll", QUEUES, ""),
    ("grace", &["local"], "; a queue has its own (in Slurm, KillWait)"),
];

/// Reads the kind and its keys, and reports those that belong to another one.
pub(super) fn kind(section: &Section<'_>, env: &BTreeMap<String, String>, fidelities: &[&str]) -> LauncherKind {
    let kinds = ["local", "slurm", "queue", "ray"].map(|kind| (kind, kind));
    let kind = section.choice("kind", &kinds).unwrap_or("local");
    for (key, only, note) in KEYS {
        if section.node(key).is_some() && !only.contains(&kind) {
            let only: Vec<String> = only.iter().map(|kind| format!("\"{kind}\"")).collect();
            let only = only.join(" or ");
            section.report(Some(key), format!("is only for kind = {only}{note}; remove it, or set that kind"));
        }
    }
    if !QUEUES.contains(&kind) {
        return LauncherKind::Local;
    }
    let identifier = |name: &&String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    if let Some(name) = env.keys().find(|name| !identifier(name)) {
        section.report(Some("env"), format!("`{name}` cannot be exported by the script of a job"));
    }
    match kind {
        "slurm" => slurm::kind(section, fidelity(section, fidelities)),
        "queue" => LauncherKind::Queue(queue::programs(section, fidelity(section, fidelities))),
        _ => LauncherKind::Ray(ray::jobs(section, fidelities)),
    }
}

/// Options for trials at one fidelity.
fn fidelity(section: &Section<'_>, fidelities: &[&str]) -> BTreeMap<String, Vec<String>> {
    let example = "{ 1B = [\"--gres=gpu:8\"] }";
    let options = section.entries("fidelity", example, "an array of strings", Value::texts).unwrap_or_default();
    let options: BTreeMap<String, Vec<String>> = options.into_iter().collect();
    if let Some(name) = options.keys().find(|name| !fidelities.contains(&name.as_str())) {
        let known = fidelities.join(", ");
        section.report(Some("fidelity"), format!("there is no fidelity `{name}`; there are {known}"));
    }
    options
}

//! Where trials run: `launcher.kind`, and the keys that only some kinds have.

use std::collections::BTreeMap;

use super::LauncherKind;
use super::tree::Section;
use super::value::Value;
use super::{queue, ray, slurm};

/// Kinds whose trials are jobs.
const QUEUES: &[&str] = &["slurm", "queue", "ray"];

/// Keys that only some kinds have, with these.
const KEYS: [(&[&str], &[&str]); 5] = [
    (&["partition", "account", "gres", "time", "directives"], &["slurm"]),
    (&["submit", "status", "cancel", "states"], &["queue"]),
    (
        &[
            "address",
            "entrypoint_num_cpus",
            "entrypoint_num_gpus",
            "entrypoint_memory",
            "entrypoint_resources",
            "runtime_env",
        ],
        &["ray"],
    ),
    (&["fidelity", "poll"], QUEUES),
    // Queues have a time of their own between asking a job to end and killing it.
    (&["grace"], &["local"]),
];

/// Reads the kind and its keys, and reports those that belong to another one.
pub(super) fn kind(section: &Section<'_>, env: &BTreeMap<String, String>, fidelities: &[&str]) -> LauncherKind {
    let kinds = ["local", "slurm", "queue", "ray"].map(|kind| (kind, kind));
    let kind = section.choice("kind", &kinds).unwrap_or("local");
    for (keys, kinds) in KEYS {
        for key in keys.iter().copied() {
            // Asked for in any case, so that no kind takes it for unknown.
            if section.node(key).is_some() && !kinds.contains(&kind) {
                let kinds: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
                let kinds = kinds.join(" or ");
                section.report(Some(key), format!("is only for kind = {kinds}; remove it, or set that kind"));
            }
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

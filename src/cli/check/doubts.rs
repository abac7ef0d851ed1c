//! What looks like a slip in a config that is valid.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::short;
use crate::config::{LauncherConfig, LauncherKind, QueuePrograms, StudyConfig};
use crate::problem::Fidelity;

/// A fine-tuning run has about a thousandth as many tokens as its model has parameters.
const TOKENS_PER_PARAMETER: f64 = 1e-4;

/// Of the largest domain's tokens: a smaller domain makes no difference at any weight.
const SMALLEST_DOMAIN: f64 = 1e-6;

/// Bytes of a script that are searched.
const SCRIPT: u64 = 1 << 20;

/// Programs that cannot be found, a command that is not told its mixture, and numbers of tokens that lack an exponent.
pub(super) fn notes(config: &StudyConfig) -> Vec<String> {
    let launcher = config.launcher.as_ref();
    let mut notes: Vec<String> = launcher.map(missing_programs).unwrap_or_default();
    notes.extend(launcher.filter(|launcher| !is_told(&launcher.command)).map(|_| {
        "launcher.command has no placeholder, and neither it nor a file that it names mentions ADMIRE_ or the package \
         admire: does it know its mixture? {mixture_file} stands for the file with it"
            .into()
    }));
    notes.extend(config.fidelities.list().iter().filter_map(few_for_the_model));
    let domains = config.space.domains();
    let largest = domains.iter().filter_map(|domain| domain.tokens).fold(0.0, f64::max);
    notes.extend(domains.iter().filter_map(|domain| {
        let tokens = domain.tokens.filter(|tokens| *tokens < SMALLEST_DOMAIN * largest)?;
        let (name, tokens, largest) = (&domain.name, short(tokens), short(largest));
        Some(format!("the domain {name} has {tokens} tokens, where another has {largest}: does that lack an exponent?"))
    }));
    notes
}

/// Tokens that train nothing. (Where others are in millions, the config does not take less than a thousand.)
fn few_for_the_model(size: &Fidelity) -> Option<String> {
    let (tokens, params) = (size.tokens?, size.params?);
    (tokens < TOKENS_PER_PARAMETER * params).then(|| {
        let (name, tokens, params) = (&size.name, short(tokens), short(params));
        format!("{name} trains {params} parameters on {tokens} tokens: does that lack an exponent?")
    })
}

/// What is to be started on this machine, and is not there. (The command of a job need not be there.)
fn missing_programs(launcher: &LauncherConfig) -> Vec<String> {
    let started = match &launcher.kind {
        LauncherKind::Local => vec![("launcher.command", &launcher.command)],
        LauncherKind::Queue(QueuePrograms { submit, status, cancel, .. }) => {
            vec![("launcher.submit", submit), ("launcher.status", status), ("launcher.cancel", cancel)]
        }
        LauncherKind::Slurm { .. } | LauncherKind::Ray(_) => vec![],
    };
    let others = [("launcher.setup", &launcher.setup), ("launcher.on_event", &launcher.on_event)];
    let others = others.into_iter().filter_map(|(key, command)| Some((key, command.as_ref()?)));
    let path = launcher.env.get("PATH").map(Into::into).or_else(|| env::var_os("PATH")).unwrap_or_default();
    let first = started.into_iter().chain(others).filter_map(|(key, command)| Some((key, command.first()?)));
    first
        .filter(|(_, program)| !program.contains('{') && !is_there(program, &path))
        .map(|(key, program)| {
            let place = if program.contains('/') { "is no program" } else { "is not on PATH" };
            format!("{key}: {program} {place} on this machine")
        })
        .collect()
}

fn is_there(program: &str, path: &OsStr) -> bool {
    let runs =
        |file: &Path| fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    match program.contains('/') {
        true => runs(Path::new(program)),
        false => env::split_paths(path).any(|folder| runs(&folder.join(program))),
    }
}

/// Whether the command can know what to train: by a placeholder, or as far as one can see from the environment.
fn is_told(command: &[String]) -> bool {
    let mentions = |text: &str| text.contains("ADMIRE_") || text.contains("admire");
    let script = |argument: &String| {
        let path = Path::new(argument);
        let small = fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() <= SCRIPT);
        small && fs::read(path).is_ok_and(|bytes| mentions(&String::from_utf8_lossy(&bytes)))
    };
    command.iter().any(|argument| argument.replace("{{", "").contains('{') || mentions(argument) || script(argument))
}

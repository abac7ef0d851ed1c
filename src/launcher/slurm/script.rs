//! The batch script of a job.

use std::fmt::Write;
use std::io;

use super::super::Facts;
use crate::config::LauncherConfig;
use crate::study::TrialId;

/// `admire-<study>-<trial>-<attempt>`, with the characters that lists of names cannot hold replaced.
#[must_use]
pub fn job_name(study: &str, trial: TrialId, attempt: u32) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    format!("admire-{}-{trial}-{attempt}", study.chars().map(plain).collect::<String>())
}

/// `text` as one word of a POSIX shell, whatever is in it (but NUL, which no word can hold).
#[must_use]
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The script of an attempt, to be submitted in the trial's directory: there its output goes, as paths in `#SBATCH`
/// lines would be up to Slurm's own rules of quoting and patterns.
///
/// # Errors
/// The working directory is not known.
pub fn script(
    config: &LauncherConfig,
    directives: &[String],
    name: &str,
    facts: &Facts,
    attempt: u32,
) -> io::Result<String> {
    let mut text = format!(
        "#!/bin/sh\n#SBATCH --job-name={name}\n#SBATCH --output=stdout.log\n#SBATCH --error=stderr.log\n"
    );
    for directive in directives {
        let _ = writeln!(text, "#SBATCH {directive}");
    }
    text.push('\n');
    let told = facts.environment(attempt);
    let told = told.iter().map(|(name, value)| (*name, value));
    for (name, value) in config.env.iter().map(|(name, value)| (name.as_str(), value)).chain(told) {
        let _ = writeln!(text, "export {name}={}", quote(value));
    }
    let path = |path: &std::path::Path| quote(&path.display().to_string());
    let exit = facts.exit_file();
    let (exit, temporary) = (path(&exit), path(&exit.with_extension("tmp")));
    let command: Vec<String> = config.command.iter().map(|argument| quote(&facts.render(argument))).collect();
    let _ = write!(
        text,
        "rm -f {exit}\ncd {} || exit\n\n{}\n\nstatus=$?\necho \"$status\" >{temporary} && mv {temporary} {exit}\n\
         exit \"$status\"\n",
        path(&std::env::current_dir()?),
        command.join(" ")
    );
    Ok(text)
}

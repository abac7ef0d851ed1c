//! The script of a job.

use std::fmt::Write;
use std::io;
use std::path::Path;

use super::super::Facts;
use crate::config::LauncherConfig;
use crate::text::quoted;

/// Characters of a study's name that are in the names of its jobs: Kubernetes allows 63 in all.
const STUDY: usize = 24;

/// `name` with all characters replaced but letters, digits and those of `kept`.
#[must_use]
pub fn plain(name: &str, kept: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || kept.contains(c) { c } else { '_' }).collect()
}

/// A name for the job of an attempt, `admire-<study>-<trial>-<attempt>-<checksum>`, in small letters, digits and hyphens, as
/// most queues allow them. The checksum is that of the trial's folder and of what the trial is told, so that the job of no other
/// study has this name.
#[must_use]
pub fn unique_name(study: &str, facts: &Facts) -> String {
    let study: String = plain(study, "").replace('_', "-").to_lowercase().chars().take(STUDY).collect();
    // Numbers, names and texts can always be written.
    let told = serde_json::to_string(facts).unwrap_or_default();
    let checksum = crc32fast::hash(&[facts.dir.as_os_str().as_encoded_bytes(), told.as_bytes()].concat());
    format!("admire-{study}-{}-{}-{checksum:08x}", facts.trial, facts.attempt)
}

/// The line of a script that enters the working directory of `admire`.
///
/// # Errors
/// It is not known, or its path is not UTF-8.
pub fn enter() -> io::Result<String> {
    let working = std::env::current_dir()?.into_os_string().into_string();
    let working = working.map_err(|_| io::Error::other("the path of the working directory is not UTF-8"))?;
    Ok(format!("cd {} || exit\n", quoted(&working)))
}

/// The script of an attempt: after the lines of `header`, which may be for the queue, it runs the command as a local trial
/// would, and notes its exit code. `taker` is what a job notes that takes the attempt, as a word of the shell.
#[must_use]
pub fn script(config: &LauncherConfig, facts: &Facts, header: &str, taker: &str) -> String {
    let mut text = format!("#!/bin/sh\n{header}\n");
    let told = facts.environment();
    let told = told.iter().map(|(name, value)| (*name, value));
    for (name, value) in config.env.iter().map(|(name, value)| (name.as_str(), value)).chain(told) {
        let _ = writeln!(text, "export {name}={}", quoted(value));
    }
    let path = |path: &Path| quoted(&path.display().to_string());
    let exit = facts.exit_file();
    let (exit, temporary, claim) = (path(&exit), path(&exit.with_extension("tmp")), path(&facts.claim_file()));
    let command: Vec<String> = config.command.iter().map(|argument| quoted(&facts.render(argument))).collect();
    let _ = write!(
        text,
        "# The first job to get here has this attempt, also when it is requeued.\n\
         (set -C; echo {taker} >{claim}) 2>/dev/null\n\
         [ \"$(cat {claim})\" = {taker} ] || {{ echo \"job $(cat {claim}) has this attempt\" >&2; exit 0; }}\n\
         touch {claim}\n\n\
         rm -f {exit}\n\n{}\n\nstatus=$?\necho \"$status\" >{temporary} && mv {temporary} {exit}\n\
         exit \"$status\"\n",
        command.join(" ")
    );
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::process::Command;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::config::LauncherKind;

    /// What the script hands to its command, run by the shell of this machine: the value of `ODD` and the words after the
    /// program; and the exit code that it notes.
    fn handed(words: &[String], odd: &str, dir: &Path) -> (Vec<String>, String) {
        let print = r#"printf '%s\0' "$ODD" "$@"; exit 7"#;
        // Braces stand for themselves when doubled.
        let words = words.iter().map(|word| word.replace('{', "{{").replace('}', "}}"));
        let config = LauncherConfig {
            kind: LauncherKind::Local,
            command: ["sh", "-c", print, "name"].map(str::to_owned).into_iter().chain(words).collect(),
            setup: None,
            on_event: None,
            slots: 1,
            timeout: None,
            retries: 0,
            retry_diverged: 0,
            max_failure_rate: 1.0,
            resumable: false,
            grace: Duration::ZERO,
            poll: Duration::ZERO,
            env: BTreeMap::from([("ODD".to_owned(), odd.to_owned())]),
        };
        let facts = Facts {
            weights: BTreeMap::new(),
            fidelity: "it's <b>\n$(false)".into(),
            params: None,
            tokens: None,
            repetition: None,
            continue_from: None,
            seed: 1,
            trial: 1,
            dir: dir.to_owned(),
            attempt: 1,
            result: "result.json".into(),
        };
        let path = dir.join("job.sh");
        fs::write(&path, script(&config, &facts, "", "1")).unwrap();
        let output = Command::new("sh").arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let exit = fs::read_to_string(facts.exit_file()).unwrap();
        (printed.split_terminator('\0').map(str::to_owned).collect(), exit)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_word_reaches_the_command_as_it_is(
            words in prop::collection::vec("[^\0]{0,12}|[ '\"$`\\\\!*?~#;&|<>(){}/.\n\r\t=-]{0,8}", 0..5),
            odd in "[^\0]{0,12}|[ '\"$`\\\\!*\n]{0,8}",
        ) {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("it's a $HOME `dir` \"<b>\" ;\n%j");
            fs::create_dir(&dir).unwrap();
            let (got, exit) = handed(&words, &odd, &dir);
            prop_assert_eq!(&got[0], &odd);
            prop_assert_eq!(&got[1..], &words);
            prop_assert_eq!(exit, "7\n");
        }
    }
}

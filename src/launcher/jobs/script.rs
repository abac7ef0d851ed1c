//! The script of a job.

use std::fmt::Write;
use std::io;
use std::path::Path;

use super::super::Facts;
use crate::config::LauncherConfig;
use crate::text::quoted;

/// `name` with all characters replaced but letters, digits and those of `kept`.
#[must_use]
pub fn plain(name: &str, kept: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || kept.contains(c) { c } else { '_' }).collect()
}

/// The script of an attempt: after the lines of `header`, which may be for the queue, it runs the command as a local trial
/// would, and notes its exit code. `taker` is what a job notes that takes the attempt, as a word of the shell.
///
/// # Errors
/// The working directory is not known, or its path is not UTF-8.
pub fn script(config: &LauncherConfig, facts: &Facts, header: &str, taker: &str) -> io::Result<String> {
    let mut text = format!("#!/bin/sh\n{header}\n");
    let told = facts.environment();
    let told = told.iter().map(|(name, value)| (*name, value));
    for (name, value) in config.env.iter().map(|(name, value)| (name.as_str(), value)).chain(told) {
        let _ = writeln!(text, "export {name}={}", quoted(value));
    }
    let working = std::env::current_dir()?.into_os_string().into_string();
    let working = working.map_err(|_| io::Error::other("the path of the working directory is not UTF-8"))?;
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
         rm -f {exit}\ncd {} || exit\n\n{}\n\nstatus=$?\necho \"$status\" >{temporary} && mv {temporary} {exit}\n\
         exit \"$status\"\n",
        quoted(&working),
        command.join(" ")
    );
    Ok(text)
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
            seed: 1,
            trial: 1,
            dir: dir.to_owned(),
            attempt: 1,
            result: "result.json".into(),
        };
        let path = dir.join("job.sh");
        fs::write(&path, script(&config, &facts, "", "1").unwrap()).unwrap();
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

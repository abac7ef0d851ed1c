//! What `squeue` and `sacct` say about jobs, and what follows from it.

use std::process::ExitStatus;
use std::time::Duration;

use super::super::End;

/// What the state of a job means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits, runs, or is being ended.
    Active,
    /// The script exited with 0.
    Completed,
    /// The script exited with another code.
    Failed,
    /// Ended by Slurm, or through it, for a reason that counts against the attempt.
    Ended(&'static str),
    /// Ended through no fault of its own.
    Lost(&'static str),
}

/// Every state that is not [`State::Active`] (and one that begins like another); a word that is not here is taken for an active one, for a job that is over
/// leaves the queue in any case.
const STATES: [(&str, State); 13] = [
    ("COMPLETED", State::Completed),
    ("COMPLETING", State::Active),
    ("FAILED", State::Failed),
    ("CANCELLED", State::Ended("the job was cancelled")),
    ("TIMEOUT", State::Ended("the job ran into its time limit (TIMEOUT)")),
    ("DEADLINE", State::Ended("the job missed its deadline (DEADLINE)")),
    ("OUT_OF_MEMORY", State::Ended("the job ran out of memory (OUT_OF_MEMORY)")),
    ("PREEMPTED", State::Lost("the job was preempted (PREEMPTED)")),
    ("NODE_FAIL", State::Lost("its node failed (NODE_FAIL)")),
    ("BOOT_FAIL", State::Lost("its node did not boot (BOOT_FAIL)")),
    ("LAUNCH_FAILED", State::Ended("its node could not start it (LAUNCH_FAILED)")),
    ("RECONFIG_FAIL", State::Ended("its node could not be configured (RECONFIG_FAIL)")),
    ("REVOKED", State::Lost("another cluster took it over (REVOKED)")),
];

impl State {
    /// Of a state as printed: its first word counts (`CANCELLED by 1000`), cut off or not (`OUT_OF_ME+`).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let word = text.split_ascii_whitespace().next().unwrap_or_default();
        let named = |name: &str| word.strip_suffix('+').map_or(word == name, |start| name.starts_with(start));
        // The beginning of several states names none.
        let mut found = STATES.iter().filter(|(name, _)| named(name)).map(|(_, state)| *state);
        found.next().filter(|_| found.next().is_none()).unwrap_or(Self::Active)
    }
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub id: u64,
    /// Its state.
    pub state: State,
    /// For how long it has run since it was last started.
    pub elapsed: Option<Duration>,
    /// Its name.
    pub name: String,
    /// Where it was submitted.
    pub dir: String,
}

/// Reads lines of `id|state|elapsed|name|directory`; others (headers, steps, array tasks) are skipped.
#[must_use]
pub fn rows(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let mut fields = line.splitn(5, '|');
        let id = fields.next()?.trim().parse().ok()?;
        let (state, elapsed, name, dir) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (state, elapsed) = (State::parse(state), elapsed_time(elapsed));
        Some(Row { id, state, elapsed, name: name.to_owned(), dir: dir.to_owned() })
    };
    text.lines().filter_map(row).collect()
}

/// Reads `minutes:seconds`, `hours:minutes:seconds` or `days-hours:minutes:seconds`; `None` for anything else.
fn elapsed_time(text: &str) -> Option<Duration> {
    let (days, clock) = text.trim().split_once('-').unwrap_or(("0", text.trim()));
    let parts: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let seconds = match parts[..] {
        [minutes, seconds] => minutes.checked_mul(60)?.checked_add(seconds)?,
        [hours, minutes, seconds] => {
            hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?
        }
        _ => return None,
    };
    days.parse::<u64>().ok()?.checked_mul(86400)?.checked_add(seconds).map(Duration::from_secs)
}

/// The number that `sbatch --parsable` prints: `123`, or `123;cluster`.
#[must_use]
pub fn job_id(text: &str) -> Option<u64> {
    // Sites have `sbatch` print other lines, too.
    text.lines().find_map(|line| line.split(';').next()?.trim().parse().ok())
}

/// What is known about a job from outside `squeue` and `sacct`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The exit code that its script noted.
    pub exit: Option<i32>,
    /// Whether there is a result file.
    pub result: bool,
}

/// How a job ended; `None` as long as it has not, or as it is not clear how. `state` is `None` for a job that neither
/// `squeue` nor `sacct` knows: one that left the queue a while ago.
#[must_use]
pub fn settle(state: Option<State>, traces: Traces) -> Option<End> {
    let exited = |code| End::Failed(format!("the command ended with exit status: {code}"));
    match (state, traces.exit) {
        (Some(State::Active), _) => None,
        (Some(State::Ended(why)), _) => Some(End::Failed(why.into())),
        (Some(State::Lost(why)), _) => Some(End::Lost(why.into())),
        (Some(State::Failed), None | Some(0)) => Some(End::Failed("the job failed; see stderr.log".into())),
        (Some(State::Failed | State::Completed) | None, Some(code)) if code != 0 => Some(exited(code)),
        (_, Some(_)) => Some(End::Exited(Some(ExitStatus::default()))),
        (_, None) => traces.result.then_some(End::Exited(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_by_their_first_word() {
        for active in
            ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED", "REQUEUE_HOLD", "", "NEW_WORD", "C+"]
        {
            assert_eq!(State::parse(active), State::Active, "{active}");
        }
        assert_eq!(State::parse("COMPLETED"), State::Completed);
        assert_eq!(State::parse("FAILED"), State::Failed);
        for (text, word) in [
            ("CANCELLED by 1000", "cancelled"),
            ("CANCELLED+", "cancelled"),
            ("TIMEOUT", "TIMEOUT"),
            ("OUT_OF_MEMORY", "OUT_OF_MEMORY"),
            ("OUT_OF_ME+", "OUT_OF_MEMORY"),
            ("DEADLINE", "DEADLINE"),
        ] {
            assert!(matches!(State::parse(text), State::Ended(why) if why.contains(word)), "{text}");
        }
        for text in ["NODE_FAIL", "PREEMPTED", "BOOT_FAIL"] {
            assert!(matches!(State::parse(text), State::Lost(why) if why.contains(text)), "{text}");
        }
    }

    #[test]
    fn rows_are_read_and_other_lines_skipped() {
        let text = "CLUSTER: a\n7|COMPLETED|1-02:03:04|admire-a-1-1|/d/a|b c\n8.batch|FAILED|00:01|batch|\n\
                    9_2|RUNNING|0:01|x|/d\n|||\n10|PENDING|INVALID|admire-a-2-1|/d\n11|RUNNING";
        let row =
            |id, state, elapsed, name: &str, dir: &str| Row { id, state, elapsed, name: name.into(), dir: dir.into() };
        let elapsed = Some(Duration::from_secs(86400 + 2 * 3600 + 3 * 60 + 4));
        assert_eq!(
            rows(text),
            [
                row(7, State::Completed, elapsed, "admire-a-1-1", "/d/a|b c"),
                row(10, State::Active, None, "admire-a-2-1", "/d"),
            ]
        );
        assert_eq!(elapsed_time("2:05"), Some(Duration::from_secs(125)));
        for wrong in ["", "5", "1:2:3:4", "-1:00", "a:b", "1:x", "99999999999999999999:00", "18446744073709551615-0:0"]
        {
            assert_eq!(elapsed_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_of_jobs_are_found() {
        assert_eq!(job_id("123\n"), Some(123));
        assert_eq!(job_id("123;cluster\n"), Some(123));
        assert_eq!(job_id("Welcome to the cluster!\n123\n"), Some(123));
        assert_eq!(job_id("Submitted batch job 123\n"), None);
        assert_eq!(job_id(""), None);
    }

    #[test]
    fn a_job_is_over_when_something_says_how() {
        let traces = |exit, result| Traces { exit, result };
        let success = Some(End::Exited(Some(ExitStatus::default())));
        for state in [Some(State::Completed), None] {
            assert_eq!(settle(state, traces(None, false)), None);
            assert_eq!(settle(state, traces(None, true)), Some(End::Exited(None)));
            assert_eq!(settle(state, traces(Some(0), false)), success);
            assert!(matches!(settle(state, traces(Some(3), true)), Some(End::Failed(why)) if why.ends_with(": 3")));
        }
        assert_eq!(settle(Some(State::Active), traces(Some(0), true)), None);
        for exit in [None, Some(0), Some(9)] {
            assert!(matches!(settle(Some(State::Failed), traces(exit, true)), Some(End::Failed(_))));
            assert!(matches!(settle(Some(State::Ended("x")), traces(exit, true)), Some(End::Failed(_))));
            assert!(matches!(settle(Some(State::Lost("x")), traces(exit, true)), Some(End::Lost(_))));
        }
    }
}

//! What `squeue` and `sacct` say about jobs.

use std::borrow::Cow;
use std::time::Duration;

use super::super::jobs::State;

/// Every state that is not [`State::Active`] (and one that begins like another). A word that is not here is taken for an
/// active one, for a job that is over leaves the queue in any case.
static STATES: [(&str, State); 13] = [
    ("COMPLETED", State::Completed),
    ("COMPLETING", State::Active),
    ("FAILED", State::Failed),
    ("CANCELLED", ended("the job was cancelled")),
    ("TIMEOUT", ended("the job ran into its time limit (TIMEOUT)")),
    ("DEADLINE", ended("the job missed its deadline (DEADLINE)")),
    ("OUT_OF_MEMORY", ended("the job ran out of memory (OUT_OF_MEMORY)")),
    ("PREEMPTED", lost("the job was preempted (PREEMPTED)")),
    ("NODE_FAIL", lost("its node failed (NODE_FAIL)")),
    ("BOOT_FAIL", lost("its node did not boot (BOOT_FAIL)")),
    ("LAUNCH_FAILED", ended("its node could not start it (LAUNCH_FAILED)")),
    ("RECONFIG_FAIL", ended("its node could not be configured (RECONFIG_FAIL)")),
    ("REVOKED", lost("another cluster took it over (REVOKED)")),
];

const fn ended(why: &'static str) -> State {
    State::Ended(Cow::Borrowed(why))
}

const fn lost(why: &'static str) -> State {
    State::Lost(Cow::Borrowed(why))
}

/// A state as printed: its first word counts (`CANCELLED by 1000`), cut off or not (`OUT_OF_ME+`).
#[must_use]
pub fn state_of(text: &str) -> State {
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    let named = |name: &str| word.strip_suffix('+').map_or(word == name, |start| name.starts_with(start));
    // The beginning of several states names none.
    let mut found = STATES.iter().filter(|(name, _)| named(name)).map(|(_, state)| state.clone());
    found.next().filter(|_| found.next().is_none()).unwrap_or(State::Active)
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
        let (state, elapsed) = (state_of(state), elapsed_time(elapsed));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_by_their_first_word() {
        for active in
            ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED", "REQUEUE_HOLD", "", "NEW_WORD", "C+"]
        {
            assert_eq!(state_of(active), State::Active, "{active}");
        }
        assert_eq!(state_of("COMPLETED"), State::Completed);
        assert_eq!(state_of("FAILED"), State::Failed);
        for (text, word) in [
            ("CANCELLED by 1000", "cancelled"),
            ("CANCELLED+", "cancelled"),
            ("TIMEOUT", "TIMEOUT"),
            ("OUT_OF_MEMORY", "OUT_OF_MEMORY"),
            ("OUT_OF_ME+", "OUT_OF_MEMORY"),
            ("DEADLINE", "DEADLINE"),
        ] {
            assert!(matches!(state_of(text), State::Ended(why) if why.contains(word)), "{text}");
        }
        for text in ["NODE_FAIL", "PREEMPTED", "BOOT_FAIL"] {
            assert!(matches!(state_of(text), State::Lost(why) if why.contains(text)), "{text}");
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
}

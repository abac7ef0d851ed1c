//! What becomes of an attempt, given the state of its job and what that has written.

use std::borrow::Cow;
use std::process::ExitStatus;

use super::super::End;

/// What the state of a job means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits, runs, or is being ended.
    Active,
    /// The script exited with 0.
    Completed,
    /// The script exited with another code.
    Failed,
    /// Ended by the queue, or through it, for a reason that counts against the attempt.
    Ended(Cow<'static, str>),
    /// Ended through no fault of its own.
    Lost(Cow<'static, str>),
}

/// What a job has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The exit code that its script noted.
    pub exit: Option<i32>,
    /// Whether there is a result file.
    pub result: bool,
}

/// How a job ended; `None` as long as it has not, or as it is not clear how. `state` is `None` for a job that the queue does
/// not know: one that left it a while ago.
#[must_use]
pub fn settle(state: Option<&State>, traces: Traces) -> Option<End> {
    let exited = |code| End::Failed(format!("the command ended with exit status: {code}"));
    match (state, traces.exit) {
        (Some(State::Active), _) => None,
        (Some(State::Ended(why)), _) => Some(End::Failed(why.clone().into())),
        (Some(State::Lost(why)), _) => Some(End::Lost(why.clone().into())),
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
    fn a_job_is_over_when_something_says_how() {
        let traces = |exit, result| Traces { exit, result };
        let success = Some(End::Exited(Some(ExitStatus::default())));
        for state in [Some(&State::Completed), None] {
            assert_eq!(settle(state, traces(None, false)), None);
            assert_eq!(settle(state, traces(None, true)), Some(End::Exited(None)));
            assert_eq!(settle(state, traces(Some(0), false)), success);
            assert!(matches!(settle(state, traces(Some(3), true)), Some(End::Failed(why)) if why.ends_with(": 3")));
        }
        assert_eq!(settle(Some(&State::Active), traces(Some(0), true)), None);
        for exit in [None, Some(0), Some(9)] {
            assert!(matches!(settle(Some(&State::Failed), traces(exit, true)), Some(End::Failed(_))));
            assert!(matches!(settle(Some(&State::Ended("x".into())), traces(exit, true)), Some(End::Failed(_))));
            assert!(matches!(settle(Some(&State::Lost("x".into())), traces(exit, true)), Some(End::Lost(_))));
        }
    }
}

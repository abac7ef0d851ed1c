//! The pause after a trial could not be started.

use std::time::{Duration, Instant};

/// The first pause: a shortage of processes or file descriptors mostly passes at once.
const FIRST: Duration = Duration::from_millis(200);

/// By how much a pause is longer than the one before.
const GROWTH: f64 = 1.5;

/// The longest pause: what is repaired in the morning goes on soon after.
const LONGEST: Duration = Duration::from_secs(300);

/// Until when nothing is started, because the last attempt to start something failed. What every trial needs is missing
/// then (a program, a file descriptor, a queue that takes jobs), so all of them wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    pause: Duration,
    until: Option<Instant>,
}

impl Backoff {
    /// Another start has failed; how long to wait now. Several that fail together are one failure.
    pub(super) fn grow(&mut self) -> Duration {
        if self.over() {
            self.pause = self.pause.mul_f64(GROWTH).clamp(FIRST, LONGEST);
            self.until = Some(Instant::now() + self.pause);
        }
        self.pause
    }

    /// Whether the last attempt to start something failed.
    pub(super) fn active(&self) -> bool {
        self.until.is_some()
    }

    /// Whether something may be started.
    pub(super) fn over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    /// Waits until [`Self::over`]; for ever where nothing is waited for.
    pub(super) async fn wait(self) {
        match self.until.filter(|until| *until > Instant::now()) {
            Some(until) => tokio::time::sleep_until(until.into()).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_five_minutes() {
        let mut backoff = Backoff::default();
        assert!(backoff.over());
        let next = |backoff: &mut Backoff| {
            let pause = backoff.grow();
            assert!(!backoff.over() && backoff.active());
            assert_eq!(backoff.grow(), pause, "what fails meanwhile is no further failure");
            backoff.until = Some(Instant::now());
            pause
        };
        let pauses: Vec<Duration> = (0..30).map(|_| next(&mut backoff)).collect();
        assert_eq!(pauses[0], FIRST);
        assert!(pauses.windows(2).all(|p| p[0] < p[1] || p[1] == LONGEST), "{pauses:?}");
        assert_eq!(pauses[29], LONGEST);
        // Ten refusals in a row, as of a full process table, are over within half a minute.
        assert!(pauses[..10].iter().sum::<Duration>() < Duration::from_secs(30), "{pauses:?}");
    }
}

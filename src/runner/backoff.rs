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
    /// Another start has failed `now`; how long to wait. Several that fail together are one failure.
    pub(super) fn grow(&mut self, now: Instant) -> Duration {
        if self.over(now) {
            self.pause = self.pause.mul_f64(GROWTH).clamp(FIRST, LONGEST);
            self.until = Some(now + self.pause);
        }
        self.pause
    }

    /// Whether the last attempt to start something failed.
    pub(super) fn active(&self) -> bool {
        self.until.is_some()
    }

    /// Whether something may be started.
    pub(super) fn over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// When it is over, if the last attempt to start something failed.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_five_minutes() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        assert!(backoff.over(now));
        let mut next = || {
            let pause = backoff.grow(now);
            assert!(!backoff.over(now) && backoff.active());
            assert_eq!(backoff.grow(now), pause, "what fails meanwhile is no further failure");
            now += pause;
            assert!(backoff.over(now));
            pause
        };
        let pauses: Vec<Duration> = (0..30).map(|_| next()).collect();
        assert_eq!(pauses[0], FIRST);
        assert!(pauses.windows(2).all(|p| p[0] < p[1] || p[1] == LONGEST), "{pauses:?}");
        assert_eq!(pauses[29], LONGEST);
        // Ten refusals in a row, as of a full process table, are over within half a minute.
        assert!(pauses[..10].iter().sum::<Duration>() < Duration::from_secs(30), "{pauses:?}");
    }
}

//! The signals that ask for an end.

use std::future::pending;
use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that come closer together than this are one request. Ctrl-C reaches the whole process group, and what started
/// `admire` (`timeout`, a script runner) may pass it on as well; but the second request kills.
const TOGETHER: Duration = Duration::from_millis(500);

/// SIGINT, SIGTERM and SIGHUP.
pub(super) struct Signals {
    int: Signal,
    term: Signal,
    /// `None` where it was ignored from the start, as by `nohup`: then it stays ignored.
    hup: Option<Signal>,
    /// When the latest request came.
    latest: Option<Instant>,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> io::Result<Self> {
        let hup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())?, hup, latest: None })
    }

    /// The next request.
    pub(super) async fn next(&mut self) {
        loop {
            let hup = async {
                match &mut self.hup {
                    Some(hup) => hup.recv().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                _ = self.int.recv() => {}
                _ = self.term.recv() => {}
                _ = hup => {}
            }
            if self.latest.is_none_or(|latest| latest.elapsed() >= TOGETHER) {
                self.latest = Some(Instant::now());
                return;
            }
        }
    }
}

/// Whether SIGHUP, the lowest bit of the mask of ignored signals, is ignored.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

//! What failed attempts wrote to stderr, for whoever reads the log.

use std::collections::HashSet;

use tracing::info;

use crate::launcher::{Facts, tail};

/// The ends of stderr that the log has.
#[derive(Debug, Default)]
pub(super) struct Quoted(HashSet<String>);

impl Quoted {
    /// Logs how the stderr of an attempt that has just ended ends, once for all attempts that fail alike: with the same words,
    /// whatever the numbers in them (times, ports, process ids).
    pub(super) fn log(&mut self, facts: &Facts) {
        let lines = tail::last_lines(&facts.dir.join("stderr.log"), tail::SHOWN);
        let words = lines.join("\n").replace(|c: char| c.is_ascii_digit(), "");
        if self.0.insert(words) {
            for line in lines {
                info!(event = "stderr", trial = facts.trial, attempt = facts.attempt, "  │ {line}");
            }
        }
    }
}

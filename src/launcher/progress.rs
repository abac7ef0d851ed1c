//! What attempts say on their way: lines of their progress file, and of their stdout.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::Facts;
use super::protocol::{marked, parse_progress};
use crate::files;
use crate::problem::{Objective, Progress, Thinning, TrialId};

/// How much of what has been added to a file since the last look is looked at: its end. A report takes a few hundred bytes.
const MOST_NEW: u64 = 1 << 20;

/// What an attempt has said since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// Reports on its way, each from further on than the one before, thinned.
    pub reports: Vec<Progress>,
    /// The first line that does not count, and why, for people; said once of an attempt.
    pub odd: Option<String>,
}

/// Follows what an attempt says on its way. What it does not understand it leaves out: nothing of that is a reason to lose a run.
#[derive(Debug)]
pub struct Follower {
    trial: TrialId,
    tokens: Option<f64>,
    objective: Objective,
    progress: Growing,
    stdout: Growing,
    last: Option<Progress>,
    thinning: Thinning,
    complained: bool,
}

impl Follower {
    /// Of an attempt that has said nothing so far.
    #[must_use]
    pub fn new(facts: &Facts, objective: &Objective) -> Self {
        Self {
            trial: facts.trial,
            tokens: facts.tokens,
            objective: objective.clone(),
            progress: Growing::new(facts.progress_file()),
            stdout: Growing::new(facts.stdout_file()),
            last: None,
            thinning: Thinning::default(),
            complained: false,
        }
    }

    /// What has been said since the last look; once the attempt has `ended`, also in a last line without an end.
    pub fn look(&mut self, ended: bool) -> News {
        let mut news = News::default();
        for line in self.progress.lines(ended) {
            if line.trim().is_empty() {
                continue;
            }
            let report = parse_progress(line.trim(), &self.objective, self.trial);
            let neither = || "it has neither `step` nor `tokens`".to_owned();
            self.take(report.and_then(|report| report.ok_or_else(neither)), &mut news);
        }
        for json in self.stdout.lines(ended).iter().filter_map(|line| marked(line)?.ok()) {
            // What is no report on the way is a result, which counts at the end.
            if let Some(report) = parse_progress(&json, &self.objective, self.trial).transpose() {
                self.take(report, &mut news);
            }
        }
        news
    }

    fn take(&mut self, report: Result<Progress, String>, news: &mut News) {
        let follows = |report: &Progress| self.last.as_ref().is_none_or(|last| report.follows(last));
        let beyond = |report: Progress| match follows(&report) {
            true => Ok(report),
            false => Err("it is not from further on than the one before".to_owned()),
        };
        match report.and_then(beyond) {
            Ok(report) => {
                if self.thinning.keeps(&report, self.tokens) {
                    news.reports.push(report.clone());
                }
                self.last = Some(report);
            }
            Err(why) if !self.complained => {
                self.complained = true;
                news.odd = Some(why);
            }
            Err(_) => {}
        }
    }
}

/// A file that a command adds lines to.
#[derive(Debug)]
struct Growing {
    path: PathBuf,
    /// How much of it has been looked at.
    seen: u64,
}

impl Growing {
    fn new(path: PathBuf) -> Self {
        Self { path, seen: 0 }
    }

    /// The lines that have been added; none where it cannot be read, or is not there yet. A last line without its end stays for later
    /// unless the file has `ended`.
    fn lines(&mut self, ended: bool) -> Vec<String> {
        let bytes = self.added(ended).unwrap_or_default();
        let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty());
        lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    fn added(&mut self, ended: bool) -> io::Result<Vec<u8>> {
        let mut file = files::open_output(&self.path)?;
        let length = file.metadata()?.len();
        if length < self.seen {
            // It was begun anew.
            self.seen = 0;
        }
        let from = self.seen.max(length.saturating_sub(MOST_NEW));
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(MOST_NEW).read_to_end(&mut bytes)?;
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let whole = bytes.iter().rposition(is_end).map_or(0, |at| at + 1);
        bytes.truncate(if ended { bytes.len() } else { whole });
        let cut = if from > self.seen { bytes.iter().position(is_end).unwrap_or(bytes.len()) } else { 0 };
        self.seen = from + bytes.len() as u64;
        bytes.drain(..cut);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::Path;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;
    use crate::launcher::command;
    use crate::problem::{Aggregate, Direction, Metric};

    fn follower(dir: &Path) -> (Follower, Facts) {
        let facts = Facts {
            weights: BTreeMap::new(),
            fidelity: "1M".into(),
            params: None,
            tokens: Some(100.0),
            repetition: None,
            continue_from: None,
            seed: 1,
            trial: 3,
            dir: dir.to_owned(),
            attempt: 1,
            result: command::result_name(1),
        };
        let metrics = vec![Metric { name: "loss".into(), weight: 1.0 }];
        (Follower::new(&facts, &Objective::new(metrics, Direction::Minimize, Aggregate::Mean)), facts)
    }

    fn add(path: &Path, bytes: impl AsRef<[u8]>) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes.as_ref()).unwrap();
    }

    fn tokens(news: &News) -> Vec<f64> {
        news.reports.iter().filter_map(|report| report.tokens).collect()
    }

    fn report(tokens: f64) -> String {
        format!("{{\"tokens\": {tokens}, \"loss\": 2}}\n")
    }

    #[test]
    fn reports_are_read_line_by_line_from_both_places_as_they_come() {
        let dir = tempfile::tempdir().unwrap();
        let (mut follower, facts) = follower(dir.path());
        assert_eq!(follower.look(false), News::default());
        add(&facts.progress_file(), report(10.0) + &report(20.0)[..9]);
        add(&facts.stdout_file(), "step 1\r\x1b[0m[rank0] admire: {\"tokens\": 15, \"loss\": 2}\r 50%");
        assert_eq!(tokens(&follower.look(false)), [10.0, 15.0]);
        assert_eq!(follower.look(false), News::default());
        add(&facts.progress_file(), &report(20.0)[9..]);
        assert_eq!(tokens(&follower.look(false)), [20.0]);
        // What has no end counts once nothing can follow it any more. A result on stdout is no report on the way.
        add(&facts.progress_file(), report(30.0).trim_end());
        add(&facts.stdout_file(), "\nadmire: {\"loss\": 1}\nadmire: done");
        let news = follower.look(true);
        assert_eq!((tokens(&news), news.odd), (vec![30.0], None));
    }

    #[test]
    fn damaged_repeated_decreasing_and_hostile_lines_lose_nothing_and_are_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut follower, facts) = follower(dir.path());
        let path = facts.progress_file();
        add(&path, report(10.0));
        let hostile: [&[u8]; 8] = [
            b"\xff\xfe\x00\x01binary",
            b"{\"tokens\": 12, \"loss\": NaN}",
            b"{\"tokens\": 12, \"trial\": 4, \"loss\": 2}",
            b"{\"tokens\": 12, \"loss\"",
            b"{\"loss\": 2}",
            b"[[[[[[[[",
            b"{\"tokens\": 10, \"loss\": 3}",
            b"{\"tokens\": 5, \"loss\": 2}",
        ];
        for (i, line) in hostile.into_iter().enumerate() {
            add(&path, [line, b"\n"].concat());
            let news = follower.look(false);
            assert_eq!(news.odd.is_some(), i == 0, "{news:?}");
            assert_eq!(tokens(&news), if i == 0 { vec![10.0] } else { vec![] });
        }
        // A line without end, larger than all that is looked at; and then a file that was begun anew.
        add(&path, vec![b'x'; 3 << 20]);
        assert_eq!(follower.look(false), News::default());
        add(&path, format!("\n{}", report(40.0)));
        assert_eq!(tokens(&follower.look(false)), [40.0]);
        fs::write(&path, report(40.0) + &report(50.0)).unwrap();
        assert_eq!(tokens(&follower.look(false)), [50.0]);
        fs::remove_file(&path).unwrap();
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert_eq!(follower.look(true), News::default());
    }
}

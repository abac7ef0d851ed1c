//! The end of a file that may be of any size and full of anything.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::files;
use crate::problem::is_hidden;

/// Lines that are shown of what a failed attempt wrote to stderr.
pub const SHOWN: usize = 6;

/// How much of a file is looked at for its last lines.
const TAIL: u64 = 64 << 10;

/// The last `bytes` of a file; what is not UTF-8 is replaced.
///
/// # Errors
/// It cannot be read, or is no regular file.
pub fn tail(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = files::open_output(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

/// The last `n` lines of a file that are not blank, fit for a terminal; none where it cannot be read.
#[must_use]
pub fn last_lines(path: &Path, n: usize) -> Vec<String> {
    let text = tail(path, TAIL).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().rev().map(plain).filter(|line| !line.is_empty()).take(n).collect();
    lines.reverse();
    lines
}

/// A line as it would look on a terminal in the end, without what only a terminal understands: colours, and all but the last
/// state of a progress bar.
#[must_use]
pub fn plain(line: &str) -> String {
    let line = console::strip_ansi_codes(line);
    let last = line.rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or_default();
    let mut text = last.trim_end().replace('\t', "    ");
    text.retain(|c| !is_hidden(c));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_show() {
        for (line, expected) in [
            ("\u{1b}[31mError\u{1b}[0m: out of memory", "Error: out of memory"),
            ("  10%|#    |\r 100%|#####|", " 100%|#####|"),
            ("100%\r", "100%"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("a\tb\u{0}\u{8}\u{202e}c  ", "a    bc"),
        ] {
            assert_eq!(plain(line), expected, "{line:?}");
        }
    }
}

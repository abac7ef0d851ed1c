//! What ties the lines of a journal together: each states its number and a checksum, which covers the line before it too.
//!
//! A line ends with `,"seq":N,"crc":"xxxxxxxx"}`. The checksum is the CRC-32 of the eight digits of the previous line's
//! checksum (zeros for the first line), followed by the line up to `,"crc"`.

/// Length of `,"crc":"xxxxxxxx"}`.
const TAIL: usize = 18;

/// How far a chain of lines has come: the number and the checksum of its last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub seq: u64,
    pub crc: u32,
}

impl Link {
    /// Adds the next line to `lines`. `body` is its JSON object without the closing brace.
    pub fn append(&mut self, body: &[u8], lines: &mut Vec<u8>) {
        let start = lines.len();
        self.seq += 1;
        lines.extend(body);
        lines.extend(format!(",\"seq\":{}", self.seq).as_bytes());
        self.crc = checksum(self.crc, &lines[start..]);
        lines.extend(format!(",\"crc\":\"{:08x}\"}}\n", self.crc).as_bytes());
    }
}

fn checksum(before: u32, text: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(format!("{before:08x}").as_bytes());
    hasher.update(text);
    hasher.finalize()
}

/// A line that ends as it should.
struct Parts<'a> {
    body: &'a [u8],
    /// What the checksum covers of it: the body and the number.
    covered: &'a [u8],
    link: Link,
}

fn parts(line: &[u8]) -> Option<Parts<'_>> {
    let (covered, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let crc = digits(tail.strip_prefix(b",\"crc\":\"")?.strip_suffix(b"\"}")?)?;
    let digits = covered.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (head, seq) = covered.split_at(covered.len() - digits);
    let seq = str::from_utf8(seq).ok()?.parse().ok()?;
    Some(Parts { body: head.strip_suffix(b",\"seq\":")?, covered, link: Link { seq, crc } })
}

/// Eight hexadecimal digits as they are written, in lower case.
fn digits(text: &[u8]) -> Option<u32> {
    let sound = text.len() == 8 && text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u32::from_str_radix(str::from_utf8(text).ok().filter(|_| sound)?, 16).ok()
}

/// Whether a line has a number and a checksum, right or wrong.
pub(super) fn is_chained(line: &[u8]) -> bool {
    parts(line).is_some()
}

/// A JSON object without number, checksum and closing brace: what [`Link::append`] takes.
pub(super) fn body(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    parts(line).map_or_else(|| line.strip_suffix(b"}").unwrap_or(line), |parts| parts.body)
}

/// Follows the lines of a journal, and finds its way again after damage.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Of the last line.
    pub link: Link,
    /// After a damaged line: what the next one may build on, as well as on that line as it is.
    doubts: Vec<u32>,
}

impl Chain {
    /// Takes the next line; or says why it cannot be the next line as it was written.
    pub fn follow(&mut self, line: &[u8]) -> Result<(), String> {
        let due = self.link.seq + 1;
        let Some(Parts { covered, link, .. }) = parts(line) else {
            self.doubt(line, due);
            return Err("it does not end with `seq` and `crc`: it is not as `admire` wrote it".into());
        };
        let builds_on = |crc: &u32| checksum(*crc, covered) == link.crc;
        // After damage, the number tells where the journal goes on.
        let sound = if self.doubts.is_empty() {
            link.seq == due && builds_on(&self.link.crc)
        } else {
            builds_on(&self.link.crc) || self.doubts.iter().any(builds_on)
        };
        if sound {
            (self.link, self.doubts) = (link, Vec::new());
            return Ok(());
        }
        self.doubt(line, link.seq);
        Err(if link.seq == due {
            "its checksum is wrong: something in it, or before it, has changed".into()
        } else {
            format!("event {} where event {due} is due: a line is missing, doubled, moved or changed", link.seq)
        })
    }

    /// A damaged line may have changed in its checksum or before it, and it may be one that does not belong here.
    fn doubt(&mut self, line: &[u8], seq: u64) {
        let (covered, tail) = line.split_at(line.len().saturating_sub(TAIL));
        let before = self.link.crc;
        let stated = tail.get(8..16).and_then(digits);
        self.doubts = vec![before, checksum(before, covered)];
        self.link = Link { seq, crc: stated.unwrap_or(before) };
    }
}

//! The rows of a CSV file, with their lines; and what a file is that is no CSV.

use std::fs;
use std::path::Path;

use csv::{Position, StringRecord};

use super::error::LogError;
use crate::input::{self, NotText};
use crate::text::counted;

/// What begins with these bytes is no text, or not the text of a table.
const MAGIC: [(&[u8], &str); 17] = [
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls); save it as CSV"),
    (b"PAR1", "a Parquet file; write it as CSV (with pandas: to_csv)"),
    (b"ARROW1", "an Arrow (Feather) file; write it as CSV (with pandas: to_csv)"),
    (b"\x89HDF", "an HDF5 file; write it as CSV (with pandas: to_csv)"),
    (b"\x93NUMPY", "a NumPy file; write it as CSV"),
    (b"SQLite format 3", "an SQLite database; write its table of runs as CSV (of MLflow: admire import --from mlflow)"),
    (b":W&B", "the binary log of a run of Weights & Biases; write it as CSV with admire import --from wandb"),
    (b"\x80\x02", "a Python pickle; write it as CSV (with pandas: to_csv)"),
    (b"\x80\x03", "a Python pickle; write it as CSV (with pandas: to_csv)"),
    (b"\x80\x04", "a Python pickle; write it as CSV (with pandas: to_csv)"),
    (b"\x80\x05", "a Python pickle; write it as CSV (with pandas: to_csv)"),
    (b"\x1f\x8b", "compressed with gzip; unpack it with gunzip"),
    (b"BZh", "compressed with bzip2; unpack it with bunzip2"),
    (b"\xfd7zXZ", "compressed with xz; unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard; unpack it with unzstd"),
    (b"%PDF", "a PDF document; expected CSV"),
    (b"version https://git-lfs", "a pointer that Git LFS left in place of the file; get the file with git lfs pull"),
];

/// The content of a file.
///
/// # Errors
/// [`LogError::Unreadable`], and [`LogError::Header`] for a folder.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, LogError> {
    if file.is_dir() {
        let message =
            "this is a folder; name the CSV file in it (the folder of a tracker: admire import --from mlflow or wandb)";
        return Err(LogError::Header { file: file.to_owned(), message: message.into() });
    }
    fs::read(file).map_err(|source| LogError::Unreadable { file: file.to_owned(), source })
}

/// The text of a file, without a byte-order mark.
///
/// # Errors
/// What the file is instead of text in UTF-8.
pub(crate) fn text<'a>(file: &Path, bytes: &'a [u8]) -> Result<&'a str, LogError> {
    let magic = || Some(MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic))?.1);
    if let Some(what) = archive(bytes).or_else(|| events(bytes)).or_else(magic) {
        return Err(LogError::Header { file: file.to_owned(), message: format!("this is {what}") });
    }
    input::text(bytes).map_err(|e| {
        let at = if let NotText::NotUtf8 { at } = e { at } else { 0 };
        LogError::Csv { file: file.to_owned(), line: Lines::new(bytes).of(at), message: e.to_string() }
    })
}

/// Whether `part` is in the first kilobytes.
fn begins_with(bytes: &[u8], part: &[u8]) -> bool {
    bytes[..bytes.len().min(4096)].windows(part.len()).any(|window| window == part)
}

/// What a ZIP archive is, by the files in it.
fn archive(bytes: &[u8]) -> Option<&'static str> {
    let kinds: [(&[&[u8]], &str); 3] = [
        (&[b"[Content_Types].xml", b"xl/"], "an Excel workbook (.xlsx); save the sheet with the runs as CSV"),
        (&[b"opendocument.spreadsheet"], "an OpenDocument spreadsheet (.ods); save the sheet with the runs as CSV"),
        (&[b"data.pkl"], "a file of PyTorch; write the runs in it as CSV"),
    ];
    let kind = kinds.into_iter().find(|(parts, _)| parts.iter().any(|part| begins_with(bytes, part)));
    let other = "a ZIP archive; unpack it, and name the CSV file in it";
    bytes.starts_with(b"PK\x03\x04").then(|| kind.map_or(other, |(_, kind)| kind))
}

/// The events of TensorBoard have no magic number: a length, a checksum, and then their version.
fn events(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(64)];
    begins_with(head, b"brain.Event:")
        .then_some("an event file of TensorBoard; download its scalars as CSV, and make a table with one row per run")
}

/// What a text is, by its first line, where it is no table with commas between the columns.
fn no_csv(text: &str) -> Option<String> {
    let text = text.trim_start();
    let mut start = text.chars().filter(|c| !c.is_whitespace());
    match (start.next(), start.next()) {
        (None, _) => return Some("the file is empty; expected a header, and below it one row per run".into()),
        (Some('{'), _) | (Some('['), Some('{' | ']' | '"' | '-' | '0'..='9')) => {
            return Some("this is JSON; write it as CSV (with pandas: to_csv)".into());
        }
        (Some('<'), _) => return Some("this is HTML or XML, such as a page to sign in; expected CSV".into()),
        _ => {}
    }
    // Between quotes a separator is text.
    let header: String = text.lines().next()?.split('"').step_by(2).collect();
    let count = |separator| header.matches(separator).count();
    // Names may have spaces in them, so that those count only where there is nothing else.
    let separators = [("semicolons", ';'), ("tabs", '\t'), ("vertical bars", '|')];
    let most = separators.into_iter().max_by_key(|(_, c)| count(*c)).filter(|(_, c)| count(*c) > count(','));
    let (name, _) = most.or_else(|| (count(',') == 0 && count(' ') > 0).then_some(("spaces", ' ')))?;
    Some(format!("columns are separated by {name} here; expected commas, and decimal points in numbers"))
}

/// The header of a CSV file and its rows, each as long as the header and with the line that it starts on.
pub(crate) fn rows<'a>(
    file: &'a Path,
    bytes: &'a [u8],
) -> Result<(StringRecord, impl Iterator<Item = Result<StringRecord, LogError>> + 'a), LogError> {
    let text = text(file, bytes)?;
    if let Some(message) = no_csv(text) {
        return Err(LogError::Header { file: file.to_owned(), message });
    }
    let mut lines = Lines::new(text.as_bytes());
    let csv_error = |line, message| LogError::Csv { file: file.to_owned(), line, message };
    // Where rows differ in length is found out here, for the sake of the line.
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| csv_error(1, e.to_string()))?.clone();
    let width = header.len();
    let row = move |record: csv::Result<StringRecord>| {
        let mut record = record.map_err(|e| csv_error(lines.line, e.to_string()))?;
        let mut place = record.position().cloned().unwrap_or_else(Position::new);
        let line = lines.of_row(place.byte() as usize);
        if record.len() != width {
            return Err(csv_error(line, format!("the row has {}, the header {width}", counted(record.len(), "cell"))));
        }
        place.set_line(line);
        record.set_position(Some(place));
        Ok(record)
    };
    Ok((header, reader.into_records().map(row)))
}

/// Counts lines as editors do, which the csv crate does not after blank lines, nor with the ends of lines of Windows.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line of a byte, not before the one asked for last.
    fn of(&mut self, byte: usize) -> u64 {
        let end = byte.min(self.text.len());
        while self.at < end {
            let ends = match self.text[self.at] {
                b'\n' => true,
                b'\r' => self.text.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
            self.at += 1;
        }
        self.line
    }

    /// The line of a row that the reader found at `byte`: what is left of the line before, and blank ones, are skipped.
    fn of_row(&mut self, byte: usize) -> u64 {
        let blank = self.text[byte.min(self.text.len())..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        self.of(byte + blank)
    }
}

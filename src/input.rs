//! Numbers and text as other programs write them. What is read from files goes through here, so that the same characters mean
//! the same in a result, a CSV, a config and an argument.

use std::io;
use std::path::Path;

/// What is larger than this, in either direction, counts as infinite: sums, products and squares of what is left are finite.
pub const LARGEST: f64 = 1e50;

/// A number, or NaN or an infinity in any of their spellings: `nan`, `NaN`, `-Inf`, `+infinity`. `None` for other text.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let x: f64 = text.trim().parse().ok()?;
    Some(if x.abs() > LARGEST { x.signum() * f64::INFINITY } else { x })
}

/// Why bytes are not the text that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// What Excel and PowerShell call Unicode.
    #[error("this is UTF-16; save it as UTF-8")]
    Utf16,
    /// Neither that nor UTF-8.
    #[error("this is not UTF-8")]
    NotUtf8 {
        /// Index of the first byte that is not.
        at: usize,
    },
}

/// The text of a file, in UTF-8, without the byte-order mark that it may begin with.
///
/// # Errors
/// [`NotText`]
pub fn text(bytes: &[u8]) -> Result<&str, NotText> {
    // No text has a NUL among its first two characters, but UTF-16 without a mark does.
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]) {
        return Err(NotText::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|e| NotText::NotUtf8 { at: e.valid_up_to() })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads the [`text`] of a file.
///
/// # Errors
/// The system refuses, or the file is not text.
pub fn read(path: &Path) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    text(&bytes).map(str::to_owned).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinity_have_many_spellings() {
        for text in ["nan", "NaN", "NAN", "-nan", "+NaN", " nan "] {
            assert!(number(text).is_some_and(f64::is_nan), "{text}");
        }
        for text in ["inf", "Inf", "+inf", "INFINITY", "Infinity", "1e999", "1e51"] {
            assert_eq!(number(text), Some(f64::INFINITY), "{text}");
            assert_eq!(number(&format!("-{}", text.trim_start_matches('+'))), Some(f64::NEG_INFINITY), "{text}");
        }
        assert_eq!(
            [number("2.5"), number("-.5"), number("1e50"), number("1e-300")].map(Option::unwrap),
            [2.5, -0.5, 1e50, 1e-300]
        );
        assert!(["", "low", "2,5", "nano", "0x10", "1 2"].iter().all(|text| number(text).is_none()));
    }

    #[test]
    fn byte_order_marks_are_skipped_and_utf_16_has_a_name() {
        assert_eq!(text(b"\xef\xbb\xbfa"), Ok("a"));
        assert_eq!(text("é".as_bytes()), Ok("é"));
        assert_eq!((text(b""), text(b"a")), (Ok(""), Ok("a")));
        for bytes in [b"\xff\xfea\0".as_slice(), b"\xfe\xff\0a", b"a\0b\0", b"\0a\0b"] {
            assert_eq!(text(bytes), Err(NotText::Utf16));
        }
        assert_eq!(text(b"ab\xff"), Err(NotText::NotUtf8 { at: 2 }));
    }
}

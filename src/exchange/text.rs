//! Text and numbers that YAML, JSON and Python read alike.

/// A string in double quotes. JSON's escapes are those of YAML and Python too; what only JSON takes as it stands (YAML 1.1
/// knows more line ends) is escaped as well.
pub(super) fn quote(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let special =
        |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}');
    json.chars().fold(String::new(), |mut out, c| {
        if special(c) {
            out += &format!("\\u{:04x}", c as u32);
        } else {
            out.push(c);
        }
        out
    })
}

/// A number in full, always with a point and never with an exponent: YAML 1.1 takes `1e-5` for text and `1` for an integer.
pub(super) fn number(x: f64) -> String {
    let text = x.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// A list on one line: `["a", "b"]`, `[0.5, 0.5]`.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::{number, quote};

    #[test]
    fn numbers_stay_what_they_are() {
        for x in [0.1 + 0.2, 1e-7, 1.0, 2.5e-300, 123_456_789.0] {
            let text = number(x);
            assert!(text.contains('.') && !text.contains('e'), "{text}");
            assert_eq!(text.parse::<f64>(), Ok(x));
        }
    }

    #[test]
    fn no_character_ends_a_line_or_a_string() {
        assert_eq!(quote("a\"b\\c: é # '\u{2028}\u{85}"), r#""a\"b\\c: é # '\u2028\u0085""#);
    }
}

//! What several formats are written with.

use serde_json::Value;

use super::recipe::ExportError;

/// A document in YAML that readers of versions 1.1 (PyYAML) and 1.2 understand alike, after a comment of one line.
pub(super) fn yaml(title: &str, document: &Value) -> Result<String, ExportError> {
    let text = serde_saphyr::to_string(document).map_err(|e| ExportError::Text(e.to_string()))?;
    Ok(format!("# {title}\n{text}"))
}

/// Rows as CSV.
pub(super) fn csv(rows: impl IntoIterator<Item = Vec<String>>) -> Result<String, ExportError> {
    let wrong = |e: &dyn std::error::Error| ExportError::Text(e.to_string());
    let mut csv = csv::Writer::from_writer(vec![]);
    rows.into_iter().try_for_each(|row| csv.write_record(row)).map_err(|e| wrong(&e))?;
    let bytes = csv.into_inner().map_err(|e| wrong(&e))?;
    String::from_utf8(bytes).map_err(|e| wrong(&e))
}

/// A string of Python. JSON's escapes are Python's too; what could end a line for an editor, or not be seen, is escaped as
/// well.
pub(super) fn python(text: &str) -> String {
    let mut literal = String::new();
    for c in Value::from(text).to_string().chars() {
        if crate::problem::is_hidden(c) { literal += &format!("\\u{:04x}", u32::from(c)) } else { literal.push(c) }
    }
    literal
}

/// A number in full, with a point and without an exponent: what every reader takes for a float.
pub(super) fn number(x: f64) -> String {
    let text = x.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{number, python, yaml};

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
        assert_eq!(python("a\"b\\c: é # '\u{2028}\u{85}\n"), r#""a\"b\\c: é # '\u2028\u0085\n""#);
    }

    #[test]
    fn text_stays_text_and_numbers_numbers_in_yaml_of_both_versions() {
        let text = yaml("t", &json!({"on": ["yes", "1e3", "12:30:00", "a: b", "~", "x"], "y": [1e-7, 1.0]})).unwrap();
        let expected =
            "# t\n\"on\":\n- \"yes\"\n- \"1e3\"\n- \"12:30:00\"\n- \"a: b\"\n- \"~\"\n- x\n\"y\":\n- 1.0e-7\n- 1.0\n";
        assert_eq!(text.replace('\'', "\""), expected);
    }
}

//! What somebody may have meant who wrote something else: advice for messages.

use super::value::Value;

/// How a table is written, by the path of its key: `study`, or `domain[0]` of an array of tables.
pub(super) fn of_table(path: &str) -> String {
    match path.split_once('[') {
        Some((key, _)) => {
            format!("write [[{key}]], with double brackets, and name = \"…\" below it, once for each {key}")
        }
        None => format!("write [{path}] on a line of its own, and its keys below it"),
    }
}

/// How a value is written that is of the wrong type, where `fits` takes it in another.
pub(super) fn of_value(value: &Value, fits: impl Fn(&Value) -> bool) -> Option<String> {
    match value {
        Value::Text(text) if fits(&Value::Array(vec![])) => {
            let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
            Some(format!("write [{}]", words.join(", ")))
        }
        Value::Text(text) => {
            let number = number(text)?;
            let value = number.parse().map(Value::Integer).or_else(|_| number.parse().map(Value::Float)).ok()?;
            fits(&value).then(|| format!("write {number}, without quotes"))
        }
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) if fits(&Value::Text(String::new())) => {
            Some("put it into quotes".into())
        }
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 1e15 && fits(&Value::Integer(*x as i64)) => {
            Some(format!("write {x}, without point or exponent"))
        }
        _ => None,
    }
}

/// The key of a line that is no TOML, and what may be meant.
pub(super) fn of_line(line: &str) -> Option<(String, String)> {
    if let Some(key) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let array = ["domain", "group", "fidelity"].contains(&key);
        return array.then(|| (key.into(), of_table(&format!("{key}[]"))));
    }
    let (key, value) = line.split_once('=')?;
    let word = value.split('#').next()?.trim();
    let advice = if let Some(number) = number(word) {
        format!("write {number}")
    } else if word.as_bytes().windows(3).any(|c| c[1] == b',' && c[0].is_ascii_digit() && c[2].is_ascii_digit()) {
        "write decimals with a point, as in 0.5".into()
    } else {
        return None;
    };
    Some((key.trim().into(), advice))
}

/// The number that `400B`, `400 000`, `0,5` or `30 %` stand for, as TOML has it.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic() || c == '%' || c == ' ');
    let exponent = match text[digits.len()..].trim() {
        "" => "",
        "%" => "e-2",
        "k" | "K" => "e3",
        "M" | "mio" => "e6",
        "B" | "G" | "bn" => "e9",
        "T" => "e12",
        _ => return None,
    };
    let mut plain = digits.replace([' ', '_'], "");
    // One comma is a decimal one; several are between thousands.
    plain = plain.replace(',', if plain.matches(',').count() == 1 { "." } else { "" });
    let value: f64 = format!("{plain}{exponent}").parse().ok().filter(|x| f64::is_finite(*x))?;
    Some(if exponent == "e-2" { value.to_string() } else { plain + exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        for (text, expected) in [
            ("400B", Some("400e9")),
            ("400e9", Some("400e9")),
            ("1.5 T", Some("1.5e12")),
            ("0,5", Some("0.5")),
            ("1,000,000", Some("1000000")),
            ("30 %", Some("0.3")),
            ("400 bytes", None),
            ("big", None),
            ("", None),
            ("inf", None),
        ] {
            assert_eq!(number(text).as_deref(), expected, "{text}");
        }
    }
}

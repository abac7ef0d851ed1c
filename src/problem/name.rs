//! What the user may call things: domains, groups, sizes, metrics, studies.
//!
//! Names become arguments, values of environment variables, words of batch scripts, JSON keys, CSV headers, labels of
//! pictures and cells of tables. All of those take any text, or are made to; here is what is refused instead, because it
//! could not be seen, or would not come back from a file as it went in.

/// Bytes: file systems take names of up to 255, and a study's name is a part of some.
const LONGEST: usize = 200;

/// Whether `name` can be the name of anything.
///
/// # Errors
/// The reason, as a clause that follows "the name".
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".into());
    }
    if name.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    if let Some(c) = name.chars().find(|c| is_hidden(*c)) {
        return Err(format!("has U+{:04X} in it, a character that cannot be shown", u32::from(c)));
    }
    // Readers of CSV files trim their cells.
    if name.trim() != name {
        return Err("begins or ends with a space".into());
    }
    Ok(())
}

/// Whether `name` can be that of a domain, which also stands in lists of weights, `name=0.25,…`.
///
/// # Errors
/// The reason, as a clause that follows "the name".
pub fn check_domain_name(name: &str) -> Result<(), String> {
    check_name(name)?;
    if name.contains(['=', ',']) {
        return Err("has `=` or `,` in it, which separate names and weights in lists".into());
    }
    Ok(())
}

/// Whether `name` can be that of a study, which is also the name of a folder.
///
/// # Errors
/// The reason, as a clause that follows "the name".
pub fn check_folder_name(name: &str) -> Result<(), String> {
    check_name(name)?;
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err("has slashes in it, or a dot at its start, but names a folder".into());
    }
    Ok(())
}

/// Whether a character is none that one could see, but changes how others are shown (control characters, direction
/// overrides), ends a line for some readers, or must not be in an XML file.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_names() {
        for name in
            ["1M", "a b", "it's", "\"", "$(rm -rf ~)", ";", "<b>&amp;", "{w.a}", "../x", "--help", "código", "混合"]
        {
            assert_eq!(check_domain_name(name), Ok(()));
        }
        assert_eq!(check_name("a=1,b"), Ok(()));
        assert_eq!(check_name(&"x".repeat(200)), Ok(()));
    }

    #[test]
    fn what_cannot_be_shown_or_kept_is_refused() {
        for (name, reason) in [
            ("", "is empty"),
            (&"x".repeat(201), "longer than 200 bytes"),
            ("a\nb", "U+000A"),
            ("\u{1b}[2J", "U+001B"),
            ("a\0", "U+0000"),
            ("a\u{85}", "U+0085"),
            ("\u{202e}a", "U+202E"),
            ("a\u{2028}b", "U+2028"),
            ("\u{ffff}", "U+FFFF"),
            (" a", "space"),
            ("a\u{a0}", "space"),
        ] {
            assert!(check_name(name).is_err_and(|e| e.contains(reason)), "{name:?}");
        }
        assert!(check_domain_name("a=b").is_err() && check_domain_name("a,b").is_err());
        for name in ["../x", "a/b", "a\\b", "..", ".git", "/"] {
            assert!(check_folder_name(name).is_err(), "{name}");
        }
    }
}

//! Which text belongs to which domain.

use std::path::Path;

/// The domains, in the order of all output.
pub const DOMAINS: [&str; 8] =
    ["rust", "tests", "docs", "markdown", "manifests", "lockfiles", "diagnostics", "licences"];

/// A piece of text and the index of its domain in [`DOMAINS`].
pub type Piece = (usize, String);

/// What a file holds: nothing of interest, one piece, or two (a library's source is code and documentation).
///
/// `path` is relative to the crate.
pub fn pieces(path: &Path, text: String) -> Vec<Piece> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let folder = path.iter().next().map(|c| c.to_string_lossy().into_owned()).unwrap_or_default();

    if ["licen", "copying", "copyright", "notice", "unlicense"].iter().any(|p| name.starts_with(p)) {
        return one("licences", text);
    }
    match (extension.as_str(), folder.as_str()) {
        ("rs", "src") => {
            let (docs, code) = split_documentation(&text);
            vec![(index("rust"), code), (index("docs"), docs)]
        }
        ("rs", "tests" | "benches" | "examples") => one("tests", text),
        ("md", _) => one("markdown", text),
        // What the author wrote; the Cargo.toml beside it is a machine's rendering of the same.
        ("orig", _) if name == "cargo.toml.orig" => one("manifests", text),
        ("yml" | "yaml", _) => one("manifests", text),
        ("lock", _) => one("lockfiles", text),
        ("stderr" | "mca", _) => one("diagnostics", text),
        _ => Vec::new(),
    }
}

fn one(domain: &str, text: String) -> Vec<Piece> {
    vec![(index(domain), text)]
}

fn index(domain: &str) -> usize {
    DOMAINS.iter().position(|&d| d == domain).unwrap_or(0)
}

/// Documentation comments (without their markers) and everything else.
fn split_documentation(source: &str) -> (String, String) {
    let (mut docs, mut code) = (String::new(), String::new());
    for line in source.lines() {
        let trimmed = line.trim_start();
        match trimmed.strip_prefix("///").or_else(|| trimmed.strip_prefix("//!")) {
            Some(comment) => {
                docs.push_str(comment.strip_prefix(' ').unwrap_or(comment));
                docs.push('\n');
            }
            None => {
                code.push_str(line);
                code.push('\n');
            }
        }
    }
    (docs, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_file_is_split_into_code_and_documentation() {
        let source = "//! About.\n\n/// Adds.\nfn add() {}\n".to_owned();
        let pieces = pieces(Path::new("src/a/lib.rs"), source);
        assert_eq!(
            pieces,
            [(index("rust"), "\nfn add() {}\n".to_owned()), (index("docs"), "About.\nAdds.\n".to_owned())]
        );
    }
}

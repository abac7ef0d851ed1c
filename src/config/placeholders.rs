//! Placeholders in the training command.

use crate::text::nearest;

/// Names that stand for a fact about the trial, written in braces in the command.
pub const PLACEHOLDERS: [&str; 8] =
    ["mixture_file", "result_file", "trial", "fidelity", "params", "tokens", "seed", "weights"];

/// Checks the placeholders of one argument: `{name}` of [`PLACEHOLDERS`] or `{w.DOMAIN}`; `{{` and `}}` are braces.
///
/// # Errors
/// What is wrong with the first wrong one.
pub fn check(argument: &str, domains: &[&str]) -> Result<(), String> {
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            rest = &tail[2..];
            continue;
        }
        let closed = tail.strip_prefix('{').and_then(|t| t.split_once('}'));
        let Some((name, after)) = closed else {
            let brace = &tail[..1];
            return Err(format!("a single `{brace}` in `{argument}`; write `{brace}{brace}` for the brace itself"));
        };
        let known = match name.strip_prefix("w.") {
            Some(domain) => domains.contains(&domain),
            None => PLACEHOLDERS.contains(&name),
        };
        if !known {
            let weights = domains.iter().map(|d| format!("w.{d}"));
            let all: Vec<String> = PLACEHOLDERS.iter().map(|p| (*p).to_owned()).chain(weights).collect();
            let hint = nearest(name, all.iter().map(String::as_str)).map_or_else(
                || format!("known are {}, w.DOMAIN", PLACEHOLDERS.join(", ")),
                |n| format!("did you mean `{{{n}}}`?"),
            );
            return Err(format!("unknown placeholder `{{{name}}}`; {hint} (`{{{{` and `}}}}` stand for braces)"));
        }
        rest = after;
    }
    Ok(())
}

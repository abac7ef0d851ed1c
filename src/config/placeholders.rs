//! Placeholders in the training command.

use crate::text::nearest;

/// Names that stand for a fact about the trial, written in braces in the command.
pub const PLACEHOLDERS: [&str; 10] = [
    "mixture_file",
    "result_file",
    "progress_file",
    "trial",
    "fidelity",
    "params",
    "tokens",
    "continue_from",
    "seed",
    "weights",
];

/// Names before a dot and the name of a domain, `w.web`: the weight, and what a trial is told of repetition.
const PER_DOMAIN: [&str; 3] = ["w", "epochs", "unique_tokens"];

/// A piece of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text that stands for itself: `{` where the argument has `{{`, and `}` where it has `}}`.
    Text(&'a str),
    /// The name between braces.
    Placeholder(&'a str),
    /// A brace that is neither doubled nor part of a placeholder.
    Single(&'a str),
}

/// The pieces of `argument` in their order.
pub(crate) fn pieces(argument: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = argument;
    std::iter::from_fn(move || {
        let (piece, after) = match rest.find(['{', '}']) {
            None if rest.is_empty() => return None,
            Some(0) => brace(rest),
            at => {
                let (text, after) = rest.split_at(at.unwrap_or(rest.len()));
                (Piece::Text(text), after)
            }
        };
        rest = after;
        Some(piece)
    })
}

/// The names between braces in `argument`.
pub(super) fn named(argument: &str) -> impl Iterator<Item = &str> {
    pieces(argument).filter_map(|piece| if let Piece::Placeholder(name) = piece { Some(name) } else { None })
}

/// The piece that begins with the brace at the start of `text`, and what follows it.
fn brace(text: &str) -> (Piece<'_>, &str) {
    let (brace, rest) = text.split_at(1);
    if let Some(after) = rest.strip_prefix(brace) {
        return (Piece::Text(brace), after);
    }
    match rest.split_once('}') {
        Some((name, after)) if brace == "{" => (Piece::Placeholder(name), after),
        _ => (Piece::Single(brace), rest),
    }
}

/// Checks the placeholders of one argument: `{name}` of [`PLACEHOLDERS`], `{w.DOMAIN}`, and if repetition is matched
/// `{epochs.DOMAIN}` and `{unique_tokens.DOMAIN}`; `{{` and `}}` are braces.
///
/// # Errors
/// What is wrong with the first wrong one.
pub fn check(argument: &str, domains: &[&str], match_repetition: bool) -> Result<(), String> {
    for piece in pieces(argument) {
        let name = match piece {
            Piece::Text(_) => continue,
            Piece::Placeholder(name) => name,
            Piece::Single(brace) => {
                return Err(format!("a single `{brace}` in `{argument}`; write `{brace}{brace}` for the brace itself"));
            }
        };
        let of_domain = name.split_once('.').filter(|(kind, _)| PER_DOMAIN.contains(kind));
        let known = match of_domain {
            Some((_, domain)) => domains.contains(&domain),
            None => PLACEHOLDERS.contains(&name),
        };
        if known && !match_repetition && of_domain.is_some_and(|(kind, _)| kind != "w") {
            return Err(format!("`{{{name}}}` is known only with limits.match_repetition = true"));
        }
        if !known {
            let per_domain = PER_DOMAIN.iter().flat_map(|kind| domains.iter().map(move |d| format!("{kind}.{d}")));
            let all: Vec<String> = PLACEHOLDERS.iter().map(|p| (*p).to_owned()).chain(per_domain).collect();
            let hint = nearest(name, all.iter().map(String::as_str)).map_or_else(
                || format!("known are {}, {}.DOMAIN", PLACEHOLDERS.join(", "), PER_DOMAIN.join(".DOMAIN, ")),
                |n| format!("did you mean `{{{n}}}`?"),
            );
            return Err(format!("unknown placeholder `{{{name}}}`; {hint} (`{{{{` and `}}}}` stand for braces)"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Piece, pieces};

    #[test]
    fn an_argument_falls_into_text_placeholders_and_single_braces() {
        let (text, placeholder, single) = (Piece::Text, Piece::Placeholder, Piece::Single);
        for (argument, expected) in [
            ("", &[][..]),
            ("--x=é", &[text("--x=é")]),
            ("a{trial}{w.b c}", &[text("a"), placeholder("trial"), placeholder("w.b c")]),
            ("{{x}}", &[text("{"), text("x"), text("}")]),
            ("{{{seed}}}", &[text("{"), placeholder("seed"), text("}")]),
            ("{}", &[placeholder("")]),
            ("}a{b", &[single("}"), text("a"), single("{"), text("b")]),
        ] {
            assert_eq!(pieces(argument).collect::<Vec<_>>(), expected, "{argument}");
        }
    }
}

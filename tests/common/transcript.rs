//! Whether what a page shows of the program's output is what the program prints.
//!
//! `…` alone on a line stands for any lines, between blanks for any words, and within a word for any letters. Numbers may
//! differ by 2 % or by one in their last decimal, whichever is more. Bars, blanks, blank lines and the times of a log are not
//! compared.

use serde_json::Value;

/// What stands for all that is left out.
const GAP: &str = "…";

/// Relative difference up to which numbers are alike. Where a test runs twice, they are the same.
const TOLERANCE: f64 = 0.02;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How numbers are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// They are alike.
    Alike,
    /// Any number stands for any other, and any month.
    Any,
}

/// Whether matrix products are rounded here as they were where the pages were written. Where they are not, the search takes
/// other steps, and trials come out otherwise.
#[must_use]
pub fn comparable() -> bool {
    #[cfg(target_arch = "x86_64")]
    let fused = is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let fused = false;
    fused
}

/// The lines of `text` that have anything in them.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// The printed line for each line that is shown, a gap for a gap.
///
/// # Errors
/// How many lines are printed as they are shown, before one that is not, or after which something else is printed.
pub fn compared<'a>(shown: &[&'a str], printed: &[&'a str], numbers: Numbers) -> Result<Vec<&'a str>, usize> {
    let same = |shown: &str, printed: &str| is_same(shown, printed, numbers);
    aligned(shown, printed, &same).ok_or_else(|| {
        let fits = |n: &usize| aligned(&[&shown[..*n], &[GAP]].concat(), printed, &same).is_some();
        (1..=shown.len()).take_while(fits).last().unwrap_or(0)
    })
}

/// Whether a line that is shown is a line that was printed.
pub fn is_same(shown: &str, printed: &str, numbers: Numbers) -> bool {
    let same = |shown: &str, printed: &str| is_same_word(shown, printed, numbers);
    aligned(&words(shown), &words(printed), &same).is_some()
}

/// What stands for each of `shown` in `printed`, if all of it does, in order.
fn aligned<'a>(shown: &[&'a str], printed: &[&'a str], same: &impl Fn(&str, &str) -> bool) -> Option<Vec<&'a str>> {
    let Some((&first, rest)) = shown.split_first() else { return printed.is_empty().then(Vec::new) };
    if first.trim() == GAP {
        let rest = (0..=printed.len()).find_map(|n| aligned(rest, &printed[n..], same))?;
        return Some([vec![first], rest].concat());
    }
    let (&next, after) = printed.split_first().filter(|(next, _)| same(first, next))?;
    Some([vec![next], aligned(rest, after, same)?].concat())
}

/// The first key that a document shows and the printed one does not have in that place, or has with a value of another type.
/// `null` is of every type. An entry of a list that is shown is like one that was printed.
pub fn unknown(shown: &Value, printed: &Value) -> Option<String> {
    match (shown, printed) {
        (Value::Object(shown), Value::Object(printed)) => shown.iter().find_map(|(key, value)| {
            let Some(printed) = printed.get(key) else { return Some(key.clone()) };
            unknown(value, printed).map(|below| format!("{key}.{below}"))
        }),
        (Value::Array(shown), Value::Array(printed)) => shown.iter().find_map(|shown| {
            let unlike: Option<Vec<String>> = printed.iter().map(|printed| unknown(shown, printed)).collect();
            unlike.map(|unlike| unlike.into_iter().next().unwrap_or_else(|| "(no entry)".into()))
        }),
        (Value::Null, _) | (_, Value::Null) => None,
        _ => (std::mem::discriminant(shown) != std::mem::discriminant(printed)).then(|| "(type)".into()),
    }
}

/// A line without the time that a log has before it.
pub fn without_time(line: &str) -> &str {
    let is_time = |text: &&str| text.parse::<jiff::civil::DateTime>().is_ok();
    line.get(..19).filter(is_time).map_or(line, |_| line[19..].trim_start_matches('Z').trim_start())
}

fn words(line: &str) -> Vec<&str> {
    let is_bar = |word: &str| word.chars().all(|c| ('▀'..='▟').contains(&c) || c == '·');
    without_time(line).split_whitespace().filter(|word| !is_bar(word)).collect()
}

fn is_same_word(shown: &str, printed: &str, numbers: Numbers) -> bool {
    if numbers == Numbers::Any && [shown, printed].iter().all(|word| MONTHS.contains(word)) {
        return true;
    }
    if let Some((before, after)) = shown.split_once(GAP) {
        return printed.strip_prefix(before).is_some_and(|rest| rest.ends_with(after));
    }
    let (shown, printed) = (parts(shown), parts(printed));
    shown.len() == printed.len()
        && shown.iter().zip(&printed).all(|(shown, printed)| {
            shown == printed
                || shown.parse().is_ok_and(|number: f64| {
                    printed.parse().is_ok_and(|other| numbers == Numbers::Any || is_alike(shown, number, other))
                })
        })
}

fn is_alike(shown: &str, number: f64, printed: f64) -> bool {
    let last = shown.split_once('.').map_or(0.0, |(_, decimals)| 0.1_f64.powi(decimals.len() as i32));
    (number - printed).abs() <= f64::max(last, TOLERANCE * number) * 1.000_001
}

/// A word, divided where its numbers begin and end.
fn parts(word: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (vec![], word);
    while let Some(first) = rest.chars().next() {
        let numeric = |c: char| c.is_ascii_digit() || (c == '.' && first.is_ascii_digit());
        let end = rest.find(|c| numeric(c) != first.is_ascii_digit()).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts
}

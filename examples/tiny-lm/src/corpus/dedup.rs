//! Near-duplicates: a block of text is dropped when much of it has been seen before.

use std::collections::HashSet;

use super::fnv1a;

/// Words in a shingle.
const SHINGLE: usize = 8;
/// A block is a near-duplicate when more than this share of its shingles has been seen.
const LARGEST_OVERLAP: f64 = 0.3;
/// Blocks are the lines up to this many bytes: text is judged by the block, so that neither a licence header inside a new
/// file nor a copied paragraph inside a long one slips through.
const BLOCK_BYTES: usize = 1024;

/// Shingles of all text accepted so far.
#[derive(Default)]
pub struct Seen(HashSet<u64>);

impl Seen {
    /// The blocks of `text` that are new, until they are `limit` bytes or more; they count as seen from now on.
    pub fn take_new(&mut self, text: &str, limit: usize) -> String {
        let mut kept = String::new();
        for block in blocks(text) {
            if kept.len() >= limit {
                break;
            }
            let shingles = shingles(block);
            let seen = shingles.iter().filter(|&s| self.0.contains(s)).count();
            if seen as f64 <= LARGEST_OVERLAP * shingles.len() as f64 && !shingles.is_empty() {
                kept.push_str(block);
                self.0.extend(shingles);
            }
        }
        kept
    }
}

/// Cuts text at line ends into blocks of at least [`BLOCK_BYTES`], but for the last.
fn blocks(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let (mut start, mut end) = (0, 0);
    for line in text.split_inclusive('\n') {
        end += line.len();
        if end - start >= BLOCK_BYTES {
            blocks.push(&text[start..end]);
            start = end;
        }
    }
    if end > start {
        blocks.push(&text[start..end]);
    }
    blocks
}

/// Hashes of all runs of [`SHINGLE`] words, whatever the case, spacing and punctuation; a shorter text is one shingle.
fn shingles(text: &str) -> Vec<u64> {
    let words: Vec<u64> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|w| fnv1a(w.to_lowercase().bytes()))
        .collect();
    if words.is_empty() {
        return Vec::new();
    }
    words.windows(SHINGLE.min(words.len())).map(|w| fnv1a(w.iter().flat_map(|h| h.to_le_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software \
                        and associated documentation files, to deal in the software without restriction.\n";

    #[test]
    fn a_copy_with_other_line_breaks_and_one_other_word_is_a_near_duplicate() {
        let mut seen = Seen::default();
        assert_eq!(seen.take_new(TEXT, 10_000), TEXT);
        let copy = TEXT.replace(", ", ",\n  ").replace("person", "Person").replace("restriction", "limitation");
        assert_eq!(seen.take_new(&copy, 10_000), "");
    }

    #[test]
    fn the_new_part_of_a_half_copied_text_stays() {
        let mut seen = Seen::default();
        let old: String = (0..300).map(|i| format!("old{i} ")).collect::<String>() + "\n";
        let new: String = (0..300).map(|i| format!("new{i} ")).collect::<String>() + "\n";
        seen.take_new(&old, 10_000);
        assert_eq!(seen.take_new(&format!("{old}{new}"), 10_000), new);
    }
}

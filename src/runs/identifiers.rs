//! Columns that say which run it is, when it was or how far it came, and not how good it is.

use crate::input::number;

/// What identifiers, seeds, counters and sizes are called, at least at the end of their names.
const IDENTIFIERS: [&str; 15] = [
    "id",
    "uid",
    "uuid",
    "idx",
    "index",
    "seed",
    "step",
    "steps",
    "epoch",
    "iteration",
    "timestamp",
    "runtime",
    "tokens",
    "params",
    "flops",
];

/// So many whole numbers that are all different are more likely to number runs than to measure them.
const FEWEST: usize = 5;

/// Whether a column is surely an identifier: by its name; or because its cells are text, or number the rows.
pub(crate) fn identifies<'a>(column: &str, cells: impl Iterator<Item = &'a str>) -> bool {
    let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
    let mut numbers: Vec<f64> = cells.iter().filter_map(|cell| number(cell)).collect();
    if numbers.is_empty() {
        return !cells.is_empty();
    }
    numbers.sort_by(f64::total_cmp);
    let counts = numbers.len() > 2
        && (numbers[0] == 0.0 || numbers[0] == 1.0)
        && numbers.windows(2).all(|pair| pair[1] - pair[0] == 1.0);
    counts || is_called(column, &numbers)
}

/// Whether a column may be an identifier: by its name, or because its numbers are whole and all different.
pub(super) fn may_identify(column: &str, mut numbers: Vec<f64>) -> bool {
    numbers.sort_by(f64::total_cmp);
    let different = numbers.len() >= FEWEST && numbers.windows(2).all(|pair| pair[0] < pair[1]);
    !numbers.is_empty() && (different && are_whole(&numbers) || is_called(column, &numbers))
}

fn are_whole(numbers: &[f64]) -> bool {
    numbers.iter().all(|x| x.fract() == 0.0)
}

/// Whether a column of these numbers is called like an identifier; the end of its name counts where they are whole.
fn is_called(column: &str, numbers: &[f64]) -> bool {
    let name = column.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default().trim_matches('_');
    let called = |name: &str| IDENTIFIERS.contains(&name);
    called(name) || are_whole(numbers) && name.rsplit(['_', '-', '.', ' ', ':']).next().is_some_and(called)
}

#[cfg(test)]
mod tests {
    use super::{identifies, may_identify};

    #[test]
    fn identifiers_are_known_by_name_and_by_what_they_count() {
        let of = |column: &str, cells: &str| identifies(column, cells.split(' '));
        for (column, cells) in [
            ("mixture_id", "4 7"),
            ("seed", "1 1 1"),
            ("train/epoch", "0.98 0.99"),
            ("_timestamp", "1.7e9"),
            ("trainer/global_step", "500 500"),
            ("n", "2 0 1"),
            ("n", "1.0 2.0 3.0"),
            ("sha", "a1b 22c"),
        ] {
            assert!(of(column, cells), "{column}");
        }
        for (column, cells) in [
            // Of ADMIRE-BayesOpt: in and out of distribution.
            ("avg_id", "0.61 0.63"),
            ("loss_epoch", "2.5 2.4"),
            ("correct", "1 0"),
            ("correct", "3 4 5"),
            ("loss", "0 1.5 1"),
            ("loss", "2.5 nan n/a"),
            ("empty", ""),
        ] {
            assert!(!of(column, cells), "{column}");
        }
        assert!(may_identify("run_index", vec![3.0, 9.0]));
        assert!(may_identify("wandb_seq", vec![17.0, 4.0, 9.0, 23.0, 8.0]));
        // Too few to tell; one twice; no whole numbers.
        for numbers in [&[17.0, 4.0, 9.0][..], &[17.0, 4.0, 9.0, 4.0, 8.0], &[17.0, 4.0, 9.0, 2.5, 8.0], &[]] {
            assert!(!may_identify("correct", numbers.to_vec()));
        }
    }
}

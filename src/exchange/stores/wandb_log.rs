//! The log of a run of Weights & Biases, `run-ID.wandb`: a header, then records in the framing of LevelDB's logs.
//!
//! Blocks of 32 KiB have fragments of records. A fragment is a checksum (CRC-32 of kind and content), a length, a kind (whole, or
//! first, middle or last of a record) and the content; the rest of a block that is too short for one is empty. See LevelDB's
//! doc/log_format.md; its checksums are others.

/// What a log begins with; a number and the version of the format follow.
pub(super) const MAGIC: &[u8] = b":W&B";

const HEADER: &[u8] = b":W&B\xe1\xbe\0";
const BLOCK: usize = 1 << 15;
/// Checksum, length and kind of a fragment.
const FRAME: usize = 7;

const WHOLE: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// The records of a log.
pub(super) struct Records {
    /// Those that can be read, from the first on.
    pub(super) records: Vec<Vec<u8>>,
    /// Whether they are followed by what no log has. A log that merely ends early, as that of a killed run, is not damaged.
    pub(super) damaged: bool,
}

/// Takes a log apart, up to where it ends or is damaged.
pub(super) fn records(log: &[u8]) -> Records {
    if !log.starts_with(HEADER) {
        return Records { records: vec![], damaged: !HEADER.starts_with(log) };
    }
    let (mut records, mut begun) = (vec![], None::<Vec<u8>>);
    let mut at = HEADER.len();
    loop {
        let left = BLOCK - at % BLOCK;
        if left < FRAME {
            at += left;
            continue;
        }
        let Some(&[a, b, c, d, low, high, kind]) = log.get(at..).and_then(<[u8]>::first_chunk) else { break };
        let content = at + FRAME..at + FRAME + usize::from(u16::from_le_bytes([low, high]));
        let Some(content) = log.get(content) else { break };
        let mut sum = crc32fast::Hasher::new();
        sum.update(&[kind]);
        sum.update(content);
        let follows =
            matches!(kind, MIDDLE | LAST) && begun.is_some() || matches!(kind, WHOLE | FIRST) && begun.is_none();
        if sum.finalize() != u32::from_le_bytes([a, b, c, d]) || !follows {
            return Records { records, damaged: true };
        }
        let mut record = begun.take().unwrap_or_default();
        record.extend_from_slice(content);
        if matches!(kind, WHOLE | LAST) {
            records.push(record);
        } else {
            begun = Some(record);
        }
        at += FRAME + content.len();
    }
    Records { records, damaged: false }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A log as W&B writes it.
    fn written(records: &[Vec<u8>]) -> Vec<u8> {
        let mut log = HEADER.to_vec();
        for record in records {
            let (mut rest, mut begun) = (&record[..], false);
            loop {
                let left = BLOCK - log.len() % BLOCK;
                if left < FRAME {
                    log.resize(log.len() + left, 0);
                    continue;
                }
                let (content, after) = rest.split_at(rest.len().min(left - FRAME));
                let kind = match (begun, after.is_empty()) {
                    (false, true) => WHOLE,
                    (false, false) => FIRST,
                    (true, false) => MIDDLE,
                    (true, true) => LAST,
                };
                let sum = crc32fast::hash(&[&[kind], content].concat());
                log.extend(sum.to_le_bytes());
                log.extend(u16::try_from(content.len()).unwrap().to_le_bytes());
                log.push(kind);
                log.extend(content);
                (rest, begun) = (after, true);
                if rest.is_empty() {
                    break;
                }
            }
        }
        log
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_log_has_its_records_up_to_where_it_ends_or_is_damaged(
            lengths in prop::collection::vec(prop_oneof![0..50_usize, 32_700..33_000_usize, 90_000..100_000_usize], 0..6),
            cut in 0.0..1.0, flipped in 0.0..1.0,
        ) {
            let content = |(i, length): (usize, &usize)| (0..*length).map(|j| (i + j) as u8).collect::<Vec<u8>>();
            let all: Vec<Vec<u8>> = lengths.iter().enumerate().map(content).collect();
            let log = written(&all);
            let whole = records(&log);
            prop_assert!(whole.records == all && !whole.damaged);

            let killed = records(&log[..(cut * log.len() as f64) as usize]);
            prop_assert!(all.starts_with(&killed.records) && !killed.damaged);

            let mut damaged = log;
            let at = (flipped * damaged.len() as f64) as usize;
            damaged[at] ^= 64;
            let damaged = records(&damaged);
            // Lengths that point behind the end make it look as if it ended early; the empty ends of blocks do no harm.
            prop_assert!(all.starts_with(&damaged.records));
            prop_assert!(damaged.records.len() < all.len() || !damaged.damaged || at < HEADER.len());
        }
    }
}

//! The text to train on: built from crates' sources, kept in a cache.
//!
//! A crate is either validation or training text of a domain, never both, and text that has been seen before is dropped
//! block by block ([`dedup`]); validation text is chosen first, so that training holds no near-copy of it.

mod crates;
mod dedup;
mod domains;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

pub use crates::{Inputs, cargo_registry};
use dedup::Seen;
use domains::DOMAINS;

/// Part of the cache's key: raise it when the same crates would give other text.
const FORMAT: u32 = 1;
/// Most training text of a domain, in bytes, and most of it from one crate.
const TRAIN_BYTES: usize = 2 << 20;
const TRAIN_BYTES_OF_CRATE: usize = 128 << 10;
/// Most validation text of a domain, in bytes. It is at most an eighth of the domain, at most a quarter of it comes from
/// one crate, and at most a third of the domain's crates give it.
const VALIDATION_BYTES: usize = 64 << 10;
/// A domain with less than this is dropped.
const LEAST_TRAIN_BYTES: usize = 32 << 10;
const LEAST_VALIDATION_BYTES: usize = 4 << 10;
const MANIFEST: &str = "manifest.json";

/// All text.
pub struct Corpus {
    /// In a fixed order, each with enough text.
    pub domains: Vec<Domain>,
    dir: PathBuf,
}

/// The text of one domain.
pub struct Domain {
    /// Its name in mixtures and results.
    pub name: String,
    /// Training text.
    pub train: Vec<u8>,
    /// Validation text, from other crates.
    pub validation: Vec<u8>,
}

/// Kept beside the text: what it was made from.
#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    domains: Vec<DomainEntry>,
    crates: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct DomainEntry {
    name: String,
    train_bytes: usize,
    validation_bytes: usize,
    validation_crates: Vec<String>,
}

/// The pieces of one domain by crate (in shuffled order).
type ByCrate<'a> = Vec<(&'a str, Vec<String>)>;

impl Corpus {
    /// Loads the corpus for these inputs from the cache, after making it if it is not there.
    pub fn load_or_prepare(cache: &Path, inputs: &Inputs) -> Result<Self> {
        let dir = cache.join(key(inputs));
        if !dir.join(MANIFEST).is_file() {
            eprintln!("collecting text from {} into {}", inputs.registry.display(), dir.display());
            let (domains, manifest) = build(inputs)?;
            store(cache, &dir, &domains, &manifest)?;
        }
        Self::load(dir).with_context(|| format!("the cache in {} is damaged: delete it", cache.display()))
    }

    fn load(dir: PathBuf) -> Result<Self> {
        let manifest: Manifest = serde_json::from_slice(&fs::read(dir.join(MANIFEST))?)?;
        let mut domains = Vec::new();
        for entry in manifest.domains {
            let train = fs::read(dir.join(format!("{}.train", entry.name)))?;
            let validation = fs::read(dir.join(format!("{}.validation", entry.name)))?;
            if train.len() != entry.train_bytes || validation.len() != entry.validation_bytes {
                bail!("the text of {} does not have the size that {MANIFEST} says", entry.name);
            }
            domains.push(Domain { name: entry.name, train, validation });
        }
        Ok(Self { domains, dir })
    }

    /// A short table for people.
    pub fn table(&self) -> String {
        let mut table = format!("{:<14}{:>12}{:>12}\n", "domain", "train", "validation");
        for d in &self.domains {
            let kib = |bytes: &[u8]| format!("{} KiB", bytes.len() / 1024);
            let _ = writeln!(table, "{:<14}{:>12}{:>12}", d.name, kib(&d.train), kib(&d.validation));
        }
        let _ = writeln!(table, "in {}", self.dir.display());
        table
    }
}

/// Chooses the text of every domain.
fn build(inputs: &Inputs) -> Result<(Vec<Domain>, Manifest)> {
    let folders = inputs.folders()?;
    // Several versions of a crate are one source of text.
    let mut by_crate: BTreeMap<&str, Vec<(PathBuf, String)>> = BTreeMap::new();
    for ((name, _), folder) in &folders {
        let files = crates::text_files(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        by_crate.entry(name).or_default().extend(files);
    }
    let mut order: Vec<&str> = by_crate.keys().copied().collect();
    order.sort_by_key(|name| fnv1a(name.bytes()));

    let mut pieces: Vec<ByCrate> = vec![Vec::new(); DOMAINS.len()];
    for name in order {
        let mut of_crate = vec![Vec::new(); DOMAINS.len()];
        let mut files = by_crate.remove(name).unwrap_or_default();
        files.sort_by_cached_key(|(path, _)| fnv1a(path.to_string_lossy().bytes()));
        for (path, text) in files {
            for (domain, piece) in domains::pieces(&path, text) {
                of_crate[domain].push(piece);
            }
        }
        for (all, of_crate) in pieces.iter_mut().zip(of_crate) {
            if !of_crate.is_empty() {
                all.push((name, of_crate));
            }
        }
    }

    let mut seen = Seen::default();
    let validation: Vec<_> = pieces.iter_mut().map(|p| take_validation(p, &mut seen)).collect();
    let mut domains = Vec::new();
    let mut entries = Vec::new();
    for ((name, pieces), (validation, validation_crates)) in DOMAINS.iter().zip(&pieces).zip(validation) {
        let train = take(pieces, TRAIN_BYTES, TRAIN_BYTES_OF_CRATE, &mut seen).0;
        if train.len() < LEAST_TRAIN_BYTES || validation.len() < LEAST_VALIDATION_BYTES {
            eprintln!("domain {name} is left out: {} + {} bytes are too few", train.len(), validation.len());
            continue;
        }
        entries.push(DomainEntry {
            name: (*name).to_owned(),
            train_bytes: train.len(),
            validation_bytes: validation.len(),
            validation_crates,
        });
        domains.push(Domain { name: (*name).to_owned(), train: train.into(), validation: validation.into() });
    }
    if domains.len() < 2 {
        bail!("only {} domain has enough text; run `cargo fetch` to unpack more crates", domains.len());
    }
    let crates = folders.iter().map(|((name, version), _)| format!("{name} {version}")).collect();
    Ok((domains, Manifest { format: FORMAT, domains: entries, crates }))
}

/// Removes a domain's first crates from it and takes its validation text from them.
fn take_validation(pieces: &mut ByCrate, seen: &mut Seen) -> (String, Vec<String>) {
    let total: usize = pieces.iter().flat_map(|(_, texts)| texts).map(String::len).sum();
    let limit = VALIDATION_BYTES.min(total / 8);
    let training = pieces.split_off(pieces.len() / 3);
    let (text, crates) = take(pieces, limit, limit / 4, seen);
    pieces.drain(..crates.len());
    pieces.extend(training);
    (text, crates)
}

/// New text of the crates in turn, about `of_crate` bytes at most from each, until it is `limit` bytes; and those crates.
fn take(pieces: &ByCrate, limit: usize, of_crate: usize, seen: &mut Seen) -> (String, Vec<String>) {
    let mut all = String::new();
    let mut crates = Vec::new();
    for (name, texts) in pieces {
        if all.len() >= limit {
            break;
        }
        crates.push((*name).to_owned());
        let mut room = of_crate.min(limit - all.len());
        for text in texts {
            let new = seen.take_new(text, room);
            room = room.saturating_sub(new.len());
            all.push_str(&new);
        }
    }
    (all, crates)
}

/// Writes everything beside its final place, then moves it there at once. When another process was faster, its work stays.
fn store(cache: &Path, dir: &Path, domains: &[Domain], manifest: &Manifest) -> Result<()> {
    let temporary = cache.join(format!("tmp-{}", process::id()));
    let write = || -> Result<()> {
        fs::create_dir_all(&temporary)?;
        for d in domains {
            fs::write(temporary.join(format!("{}.train", d.name)), &d.train)?;
            fs::write(temporary.join(format!("{}.validation", d.name)), &d.validation)?;
        }
        fs::write(temporary.join(MANIFEST), serde_json::to_vec_pretty(manifest)?)?;
        match fs::rename(&temporary, dir) {
            Err(_) if dir.join(MANIFEST).is_file() => Ok(fs::remove_dir_all(&temporary)?),
            other => Ok(other?),
        }
    };
    write().with_context(|| format!("cannot write the corpus to {}", dir.display()))
}

/// Names the corpus of these inputs; it is made anew when a dependency changes.
fn key(inputs: &Inputs) -> String {
    let crates = inputs.crates.iter().map(|(name, version)| format!("{name} {version}\n"));
    let hash = fnv1a(crates.collect::<String>().bytes());
    format!("v{FORMAT}-{hash:016x}")
}

/// Fowler–Noll–Vo: a hash that is the same on every machine and with every compiler.
fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

//! Which crates to read, and their files.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

/// The package whose dependencies are read. They are on disk wherever this program could be built, whatever else the
/// workspace needs, so that every machine gets the same text.
const ROOT: &str = env!("CARGO_PKG_NAME");
/// Larger files are tables and generated code.
const LARGEST_FILE: u64 = 256 * 1024;

/// Files with a larger share of other bytes are drawings, other languages and data; a few of them would dominate a loss.
const MOST_NON_ASCII: f64 = 0.02;

/// What the corpus is made from.
pub struct Inputs {
    /// Registry packages that this program depends on, directly or not, on any platform.
    pub crates: BTreeSet<Package>,
    /// Cargo's folder of unpacked crates; one subfolder for each registry.
    pub registry: PathBuf,
}

/// Name and version.
pub type Package = (String, String);

/// `$CARGO_HOME/registry/src`
pub fn cargo_registry() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|h| h.join(".cargo")));
    Ok(home
        .context("cannot tell where Cargo keeps crates: set CARGO_HOME or pass --registry DIR")?
        .join("registry/src"))
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Inputs {
    /// Follows the dependencies of this program through a lock file.
    pub fn read(lock: &Path, registry: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(lock).with_context(|| {
            format!("cannot read {}: run this in the root of the workspace or pass --lock FILE", lock.display())
        })?;
        let lock_file: Lock =
            toml::from_str(&text).with_context(|| format!("{} is not a Cargo lock file", lock.display()))?;
        let mut by_name: HashMap<&str, Vec<&LockedPackage>> = HashMap::new();
        for package in &lock_file.package {
            by_name.entry(&package.name).or_default().push(package);
        }
        let root = by_name.get(ROOT).and_then(|found| found.first());
        let mut to_visit = vec![*root.with_context(|| format!("{} has no package {ROOT}", lock.display()))?];
        let mut visited = BTreeSet::new();
        let mut crates = BTreeSet::new();
        while let Some(package) = to_visit.pop() {
            let id = (package.name.clone(), package.version.clone());
            if !visited.insert(id.clone()) {
                continue;
            }
            if package.source.is_some() {
                crates.insert(id);
            }
            for dependency in &package.dependencies {
                // "name", or "name version" where several versions of it are locked.
                let mut words = dependency.split(' ');
                let (name, version) = (words.next().unwrap_or_default(), words.next());
                let found = by_name.get(name).into_iter().flatten();
                to_visit.extend(found.filter(|p| version.is_none_or(|v| v == p.version)));
            }
        }
        Ok(Self { crates, registry })
    }

    /// The folders of the crates that are on disk. Crates for other platforms usually are not.
    pub fn folders(&self) -> Result<Vec<(&Package, PathBuf)>> {
        let problem = || format!("cannot list {}: run `cargo fetch` or pass --registry DIR", self.registry.display());
        let registries: Vec<PathBuf> = sorted_entries(&self.registry).with_context(problem)?;
        let found: Vec<_> = self
            .crates
            .iter()
            .filter_map(|package| {
                let folder = format!("{}-{}", package.0, package.1);
                registries.iter().map(|r| r.join(&folder)).find(|d| d.is_dir()).map(|d| (package, d))
            })
            .collect();
        if found.is_empty() {
            return Err(anyhow!("no crate of the lock file is unpacked there")).with_context(problem);
        }
        Ok(found)
    }
}

/// Paths (relative to `folder`) and contents of the text files below it, in the order of the paths.
pub fn text_files(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(dir) = folders.pop() {
        for path in sorted_entries(&dir)? {
            let kind = fs::symlink_metadata(&path)?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && kind.len() <= LARGEST_FILE {
                let bytes = fs::read(&path)?;
                let unusual = bytes.iter().filter(|b| !b.is_ascii()).count();
                if unusual as f64 <= MOST_NON_ASCII * bytes.len() as f64
                    && let Ok(text) = String::from_utf8(bytes)
                {
                    files.push((path.strip_prefix(folder).unwrap_or(&path).to_owned(), text));
                }
            }
        }
    }
    files.sort();
    Ok(files)
}

fn sorted_entries(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

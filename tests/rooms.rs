//! Imports go one way: between rooms as the table in docs/architecture.md says, and between the files of a room without circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = "docs/architecture.md";

/// A module by its path from the root of the crate: `["study", "fold"]`.
type Module = Vec<String>;

/// A module's source.
struct Source {
    /// Relative to the repository.
    file: PathBuf,
    /// Paths that start with `crate`, `super` or `self`: the line, the module that the line is in (that of the file, or that
    /// of its tests), and the path.
    paths: Vec<(usize, Module, Vec<String>)>,
    /// The names that `use` brings in, with their paths.
    names: BTreeMap<String, Vec<String>>,
}

/// One module uses something of another.
struct Import {
    /// The two modules below the one that holds both: `from` has the file that uses, `to` the one that is used.
    from: Module,
    to: Module,
    /// File and line.
    place: String,
}

/// The crate's modules with their sources.
struct Crate(BTreeMap<Module, Source>);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Source {
    fn read(path: &Path, module: &Module) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (mut tokens, mut lines, mut scope) = (Vec::new(), Vec::new(), module.clone());
        for (i, line) in text.lines().enumerate() {
            if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
                scope.push(name.to_owned());
            }
            for token in tokenized(line.split("//").next().unwrap_or_default()) {
                tokens.push(token);
                lines.push((i + 1, scope.clone()));
            }
            if line == "}" {
                scope.clone_from(module);
            }
        }
        let file = path.strip_prefix(root()).unwrap().to_owned();
        let mut source = Self { file, paths: Vec::new(), names: BTreeMap::new() };
        for i in 1..tokens.len() {
            if tokens[i - 1] == "use" {
                source.names.extend(tree(&tokens, i).0);
            }
            if ["crate", "super", "self"].contains(&tokens[i]) && tokens[i - 1] != "::" && tokens[i + 1] == "::" {
                let found = tree(&tokens, i).0;
                source.paths.extend(found.into_iter().map(|(_, path)| (lines[i].0, lines[i].1.clone(), path)));
            }
        }
        source
    }
}

/// The words, path separators and other marks of a line of code.
fn tokenized(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code.trim_start();
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match rest.find(|c| !is_word(c)).unwrap_or(rest.len()) {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            length => length,
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        Some(token)
    })
}

/// The paths that start at token `i`, several where it branches (`a::{b, c as d}`), with the names that they are used by; and
/// the token after them.
fn tree(tokens: &[&str], mut i: usize) -> (Vec<(String, Vec<String>)>, usize) {
    let mut path: Vec<String> = Vec::new();
    loop {
        if tokens[i] == "{" {
            let mut branches = Vec::new();
            i += 1;
            while tokens[i] != "}" {
                let (found, next) = tree(tokens, i);
                branches.extend(found.into_iter().map(|(name, end)| (name, [path.clone(), end].concat())));
                i = next + usize::from(tokens[next] == ",");
            }
            return (branches, i + 1);
        }
        path.push(tokens[i].to_owned());
        match tokens[i + 1] {
            "::" => i += 2,
            "as" => return (vec![(tokens[i + 2].to_owned(), path)], i + 3),
            _ => return (vec![(tokens[i].to_owned(), path)], i + 1),
        }
    }
}

impl Crate {
    fn read() -> Self {
        let mut sources = BTreeMap::new();
        let src = root().join("src");
        let mut folders = vec![src.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("src/main.rs") {
                    let inner = path.strip_prefix(&src).unwrap().with_extension("");
                    let names = inner.iter().map(|name| name.to_str().unwrap().to_owned());
                    let module: Module = names.filter(|name| name != "mod" && name != "lib").collect();
                    let source = Source::read(&path, &module);
                    sources.insert(module, source);
                }
            }
        }
        Self(sources)
    }

    /// The module that defines what `path` names in `scope`.
    fn resolve(&self, scope: &[String], path: &[String]) -> Module {
        let mut at = scope.to_vec();
        for name in path {
            let child = [at.clone(), vec![name.clone()]].concat();
            match name.as_str() {
                "crate" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                _ if self.0.contains_key(&child) => at = child,
                _ => match self.0.get(&at).and_then(|source| source.names.get(name)) {
                    // A name that the module takes from one below it is that one's.
                    Some(path) if self.0.contains_key(&[&at[..], &path[..1]].concat()) => {
                        return self.resolve(&at, path);
                    }
                    _ => return at,
                },
            }
        }
        at
    }

    /// What one module uses of another that is neither above nor below it.
    fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (module, source) in &self.0 {
            for (line, scope, path) in &source.paths {
                let target = self.resolve(scope, path);
                let shared = module.iter().zip(&target).take_while(|(a, b)| a == b).count();
                if shared < module.len().min(target.len()) {
                    imports.push(Import {
                        from: module[..=shared].to_vec(),
                        to: target[..=shared].to_vec(),
                        place: format!("{}:{}", source.file.display(), line),
                    });
                }
            }
        }
        imports
    }
}

/// What each room may import, by the table in docs/architecture.md.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join(ARCHITECTURE)).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| room |")).skip(2);
    let rows: Vec<Vec<&str>> =
        rows.take_while(|line| line.starts_with('|')).map(|row| row.split('|').map(str::trim).collect()).collect();
    let name = |cell: &str| cell.trim_matches('`').to_owned();
    let rooms = || rows.iter().map(|row| name(row[1]));
    let imports = |cell: &str, room: &str| match cell {
        "nothing" => BTreeSet::new(),
        "every other room" => rooms().filter(|other| other != room).collect(),
        _ => cell.split(", ").map(name).collect(),
    };
    rows.iter().map(|row| (name(row[1]), imports(row[4], &name(row[1])))).collect()
}

/// Whether the arrows lead from one node to another.
fn leads<T: Ord>(arrows: &BTreeMap<T, BTreeSet<T>>, from: &T, to: &T) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(node) = open.pop() {
        if node == to {
            return true;
        }
        if seen.insert(node) {
            open.extend(arrows.get(node).into_iter().flatten());
        }
    }
    false
}

#[test]
fn a_room_imports_only_what_the_table_lists() {
    let table = table();
    let source = Crate::read();
    let rooms: BTreeSet<&String> = source.0.keys().filter_map(|module| module.first()).collect();
    let mut wrong = BTreeSet::new();
    for room in rooms.iter().filter(|room| !table.contains_key(**room)) {
        wrong.insert(format!("{ARCHITECTURE}: the room `{room}` has no row in the table"));
    }
    for (room, imports) in &table {
        for import in imports.iter().chain([room]).filter(|name| !rooms.contains(name)) {
            wrong.insert(format!("{ARCHITECTURE}: the row of `{room}` names `{import}`, which is no room"));
        }
        for import in imports.iter().filter(|import| leads(&table, *import, room)) {
            wrong.insert(format!("{ARCHITECTURE}: `{room}` may import `{import}`, which leads back to `{room}`"));
        }
    }
    for Import { from, to, place } in source.imports().iter().filter(|import| import.from.len() == 1) {
        let (room, other) = (&from[0], &to[0]);
        if table.contains_key(other) && table.get(room).is_some_and(|imports| !imports.contains(other)) {
            wrong.insert(format!("{place}: `{room}` imports `{other}`, which its row in {ARCHITECTURE} does not list"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", Vec::from_iter(wrong).join("\n"));
}

#[test]
fn files_of_a_room_do_not_import_one_another_in_a_circle() {
    let imports = Crate::read().imports();
    let mut arrows: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for import in &imports {
        arrows.entry(&import.from).or_default().insert(&import.to);
    }
    let mut wrong = BTreeSet::new();
    // Circles of rooms are the table's business.
    for Import { from, to, place } in imports.iter().filter(|import| import.from.len() > 1) {
        if leads(&arrows, &to, &from) {
            let (from, to) = (from.join("::"), to.join("::"));
            wrong.insert(format!("{place}: `{from}` imports `{to}`, which leads back to `{from}`"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", Vec::from_iter(wrong).join("\n"));
}

#[test]
fn paths_lead_to_the_file_that_defines_what_they_name() {
    let source = Crate::read();
    let resolve = |scope: &str, path: &str| {
        let split = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
        source.resolve(&split(scope), &split(path)).join("::")
    };
    assert_eq!(resolve("study::costs", "super::Trial"), "study::trial", "through `pub use` of the room");
    assert_eq!(resolve("study::costs", "super::StudyError"), "study", "defined in mod.rs");
    assert_eq!(resolve("report::html::regret", "crate::report::plot::RegretPlot"), "report::plot");
    assert_eq!(resolve("space::warp::tests", "super::*"), "space::warp");
    assert_eq!(resolve("runner::search", "crate::study::Study"), resolve("study::costs", "super::Study"));
}

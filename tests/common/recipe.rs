//! The recipes of docs/queues.md, which are tested as they stand there.

use std::fs;

/// The lines of `[launcher]` under a heading that say how its queue is used, with the table of states last.
pub fn recipe(heading: &str) -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/queues.md")).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once("```toml\n[launcher]\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let others = ["kind ", "command ", "fidelity "];
    let lines = block.lines().filter(|line| !others.iter().any(|key| line.starts_with(key)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a queue of this machine answers; a test that needs it is skipped otherwise, unless `required` is in the
/// environment.
pub fn answers(heading: &str) -> bool {
    let (program, arguments, expected, required) = match heading {
        "Slurm" => ("scontrol", "ping", "is UP", "ADMIRE_TEST_SLURM"),
        _ => ("qconf", "-sql", ".q", "ADMIRE_TEST_GRID_ENGINE"),
    };
    let output = std::process::Command::new(program).arg(arguments).output();
    let answers = output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(expected));
    if !answers {
        assert!(std::env::var_os(required).is_none(), "no {heading} answers");
        eprintln!("skipped: no {heading} answers here");
    }
    answers
}

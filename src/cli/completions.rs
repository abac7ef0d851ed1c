use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Print a completion script for a shell
///
/// For bash: admire completions bash > ~/.local/share/bash-completion/completions/admire. For zsh, into a folder of
/// $fpath: admire completions zsh > _admire. For fish: admire completions fish > ~/.config/fish/completions/admire.fish.
#[derive(Debug, Args)]
#[command(after_help = "Example: admire completions bash > ~/.local/share/bash-completion/completions/admire")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "admire", &mut script);
    super::deliver(&String::from_utf8(script).map_err(io::Error::other)?, None)?;
    Ok(0)
}

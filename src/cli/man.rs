use std::path::PathBuf;
use std::{fs, io};

use anyhow::Context;
use clap::{Args, Command, CommandFactory};

use super::Cli;

/// Print the manual page, or write the pages of all commands into a folder
///
/// To read it: admire man | man -l -. To install all: admire man ~/.local/share/man/man1.
#[derive(Debug, Args)]
#[command(after_help = "Example: admire man ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Where to write admire.1, admire-optimize.1, …; made where it is missing
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> anyhow::Result<u8> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let program = with_synopsis(program);
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(program).render(&mut page)?;
        super::deliver(&String::from_utf8(page).map_err(io::Error::other)?, None)?;
        return Ok(0);
    };
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(program, dir).with_context(|| format!("cannot write to {}", dir.display()))?;
    tracing::info!("wrote the manual pages to {}", dir.display());
    Ok(0)
}

/// The command, and those below it, with a synopsis of every option and the name of its value. (That of `clap_mangen` leaves
/// the names out; that of `clap` leaves the options out.)
fn with_synopsis(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace("[OPTIONS]", &options(&command).join(" "));
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = command.override_usage(usage);
    names.iter().fold(command, |command, name| command.mut_subcommand(name, with_synopsis))
}

/// The options of a command that may be left out.
fn options(command: &Command) -> Vec<String> {
    let required = command.get_groups().filter(|group| group.is_required_set());
    let required: Vec<_> = required.flat_map(|group| group.get_args()).collect();
    let options = command.get_arguments().filter(|option| !option.is_positional() && !option.is_required_set());
    options.filter(|option| !required.contains(&option.get_id())).map(|option| format!("[{option}]")).collect()
}

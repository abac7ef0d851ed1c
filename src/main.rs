//! `admire`, the program: parse the command line, run it, turn an error into an exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match admire::cli::run(admire::cli::Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(admire::cli::exit_code(&error))
        }
    }
}

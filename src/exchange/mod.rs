//! Exchange with other projects: runs that were trained elsewhere come in, mixtures go out to trainers.
//!
//! One file a format. Files are read, text is written; nothing here knows a study.

mod admire;
mod columns;
mod doremi;
mod generic;
mod import;
mod olmix;
mod regmix;
mod runs;
mod table;

pub use columns::Rule;
pub use import::{Format, Imported, Input, Options, import};
pub use runs::write as write_runs;

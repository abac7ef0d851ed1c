//! Exchange with other projects: runs that were trained elsewhere come in, mixtures go out to trainers.
//!
//! One file per format. Files are read, text is returned; nothing here writes to a study.

mod admire;
mod columns;
mod doremi;
mod evidence;
mod export;
mod generic;
mod huggingface;
mod import;
mod llama_factory;
mod megatron;
mod nanotron;
mod olmix;
mod olmo_core;
mod pair;
mod recipe;
mod regmix;
mod runs;
mod streaming;
mod table;
mod text;

pub use columns::Rule;
pub use evidence::{Evidence, evidence};
pub use export::ExportFormat;
pub use import::{ImportFormat, Imported, Input, Options, import};
pub use recipe::{ExportError, Ingredient, Recipe};
pub use runs::write as write_runs;
pub use table::InputFile;

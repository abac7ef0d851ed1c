//! Exchange with other projects: runs that were trained elsewhere come in, mixtures go out to trainers.
//!
//! One file per format. Files are read, text is returned; nothing here writes to a study.
//!
//! ```
//! use admire::config::{DomainFiles, ExportConfig};
//! use admire::exchange::{ExportFormat, Ingredient, Recipe};
//! use admire::problem::Mixture;
//!
//! let recommended = Mixture::new(vec![0.3, 0.7]);
//! let names = ["code", "web"];
//! let files = |name: &str| DomainFiles { paths: vec![format!("/data/{name}")], mean_length: None };
//! let domains = names.map(|name| (name.to_owned(), files(name))).into();
//! let config = ExportConfig { domains, ..ExportConfig::default() };
//! let ingredient = |(name, weight): (&'static str, &f64)| Ingredient { name, weight: *weight, epochs: None };
//! let recipe = Recipe {
//!     title: "what is recommended for 1B".into(),
//!     domains: names.into_iter().zip(recommended.weights()).map(ingredient).collect(),
//!     config: &config,
//!     seed: 1,
//! };
//! assert_eq!(ExportFormat::Megatron.write(&recipe)?, "--data-path 0.3 /data/code 0.7 /data/web\n");
//! # Ok::<(), admire::exchange::ExportError>(())
//! ```

mod admire;
mod columns;
mod doremi;
mod evidence;
mod export;
mod filter;
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
mod stores;
mod streaming;
mod table;
mod text;
mod tracker;

pub use columns::Rule;
pub use evidence::{Evidence, evidence};
pub use export::ExportFormat;
pub use filter::Where;
pub use import::{ImportFormat, Imported, Input, Options, import};
pub use recipe::{ExportError, Ingredient, Recipe};
pub use runs::write as write_runs;
pub use table::InputFile;

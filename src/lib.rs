//! `admire` finds the best data mixture for training a language model.
//!
//! Data flows one way: config → space → study → surrogate → acquisition → trial → observation.

pub mod acquisition;
pub mod advice;
pub mod cli;
pub mod config;
pub mod exchange;
mod files;
pub mod input;
pub mod launcher;
pub mod optimizer;
pub mod problem;
pub mod replay;
pub mod report;
pub mod runner;
pub mod runs;
pub mod space;
pub mod study;
pub mod surrogate;
pub mod text;

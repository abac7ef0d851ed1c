//! Starts training runs and learns how they ended.

pub mod command;
pub mod local;
pub mod protocol;

pub use command::Facts;
pub use local::{End, Process};
pub use protocol::Outcome;

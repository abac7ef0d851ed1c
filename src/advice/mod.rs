//! What a study's runs say: what to train next, what to recommend, and how sure that is. A study and its optimizer meet here; there
//! are no processes and no clocks.

mod answer;
mod ask;

pub use answer::{Answer, Caveat, NothingKnown, answer, explained, why};
pub use ask::{Thought, fitted, optimizer, recommend, suggest, think};

//! What a study's runs say: what to train next, what to recommend, and how sure that is. A study and its optimizer meet here; there
//! are no processes and no clocks.

mod answer;
mod ask;
mod calibration;
mod confirmation;
mod gain;
mod signal;
mod sizes;

pub use answer::{Answer, Caveat, NothingKnown, answer, best_measured, explained, why};
pub use ask::{Thought, fitted, optimizer, recommend, suggest, think};
pub use calibration::{Coverage, Foretold, Judgement, Record, Sureness};
pub use confirmation::{Comparison, Confirmation, Noise, Verdict};
pub use gain::GainWorth;
pub use signal::undetected;
pub use sizes::{SizeAgreement, sizes};

//! What a study's runs say: what to train next, what to recommend, and how sure that is. A study and its optimizer meet here; there
//! are no processes and no clocks.
//!
//! ```
//! use std::path::Path;
//!
//! use admire::advice;
//! use admire::config::StudyConfig;
//! use admire::problem::Completed;
//! use admire::study::{Event, Plan, Purpose, Study};
//!
//! let text = r#"
//!     study.name = "mix"
//!     domain = [{ name = "code" }, { name = "web" }]
//!     fidelity = [{ name = "1B" }]
//!     objective.metric = "loss"
//! "#;
//! // In memory alone: nothing is journalled.
//! let mut study = Study::peek(StudyConfig::parse(Path::new("study.toml"), text, &[])?)?;
//! for _ in 0..6 {
//!     let (trial, offered) = (study.next_id(), study.open_fidelities());
//!     let mut optimizer = advice::optimizer(&study);
//!     let next = advice::suggest(&mut optimizer, &study.evidence(), &offered, study.config().seed, trial)?;
//!     let suggested = study.suggestion(&Plan {
//!         mixture: &next.mixture,
//!         fidelity: next.fidelity,
//!         purpose: Purpose::Search,
//!         seed_index: trial,
//!         expected: next.expected,
//!         offered: &offered,
//!         incumbent: None,
//!     });
//!     study.assume(suggested)?;
//!     // Here a model would be trained: the loss is smallest where code is 30 %.
//!     let loss = 2.0 + (next.mixture.weights()[0] - 0.3).powi(2);
//!     let metrics = [("loss".to_owned(), loss)].into();
//!     study.assume(Event::Completed { trial, outcome: Completed { metrics, ..Completed::default() } })?;
//! }
//! let answer = advice::answer(&study, &advice::optimizer(&study))?;
//! assert!((answer.mixture.weights()[0] - 0.3).abs() < 0.1, "{answer:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod ask;
mod calibration;
mod confirmation;
mod gain;
mod guards;
mod signal;
mod sizes;
mod tradeoff;

pub use answer::{Answer, Caveat, NothingKnown, answer, basis, best_measured, choice, explained, why};
pub use ask::{Thought, Weighed, alternatives, expected, fitted, optimizer, recommend, suggest, think, weigh};
pub use calibration::{Coverage, Foretold, Judgement, Record, Sureness};
pub use confirmation::{Comparison, Confirmation, GuardTest, GuardVerdict, Noise, Verdict};
pub use gain::GainWorth;
pub use guards::{GuardReport, Unmet, guards, words as guard_words};
pub use signal::undetected;
pub use sizes::{SizeAgreement, sizes};
pub use tradeoff::{NoTradeoff, Tradeoff, TradeoffStep, Varied, tradeoff};
